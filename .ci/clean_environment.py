"""Makes .venv of a clone from an installed one: what deepmine needs to run, without the extras, linked and not copied.

    .venv/bin/python .ci/clean_environment.py CLONE

A module that only the dev extra brings cannot be imported there, as on a fresh machine after `make run`.
"""

import re
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str) -> dict[str, Distribution]:
    """The distributions that ``name`` needs, with the extras that are asked of them, but none of its own extras."""
    found: dict[str, Distribution] = {}
    todo = [(name, "")]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        dist = found[canonicalize_name(name)] = distribution(name)
        for text in dist.requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                more = {(wanted.name, one) for one in ("", *wanted.extras)} - seen
                seen |= more
                todo += more
    return found


def main(clone: Path) -> None:
    home = clone / ".venv"
    venv.create(home, symlinks=True, with_pip=False)
    [site] = home.glob("lib/python*/site-packages")
    for name, dist in needed("deepmine").items():
        for file in dist.files or ():
            source = Path(str(dist.locate_file(file))).resolve()
            top = file.parts[0]
            if top == ".." and source.parent.name == "bin":
                script = re.sub(rb"\A#!.*", b"#!" + str(home / "bin/python").encode(), source.read_bytes())
                (home / "bin" / source.name).write_bytes(script)
                (home / "bin" / source.name).chmod(0o755)
            elif top not in ("..", "__pycache__") and not (name == "deepmine" and not top.endswith(".dist-info")):
                link = site / top
                if not link.is_symlink():
                    link.symlink_to(Path(str(dist.locate_file(top))).resolve())
    (site / "clone.pth").write_text(str(clone))
    (home / ".ready").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
