"""`deepmine doctor`: is everything that deepmine wrote as it was written? And with --mend: away with what is not."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows import healing, project
from flows.dvc_cache import object_findings, object_of, objects, recorded_findings
from flows.installation import extras, installation
from flows.lock import project_lock
from flows.screen import cell, console
from flows.server import NOTE
from tasks.checkup import Finding, Hashes
from tasks.checkup.outputs import faults
from tasks.checkup.scratch import scratch_faults
from tasks.config.fields import NAME
from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.core.text import many

RUN = "deepmine run"


def doctor(mend: bool) -> int:
    """Print a line for each thing that is wrong; the exit code, 1 if anything is left that is.

    Args:
        mend: remove what is damaged, so that the next run makes it anew. Never a sound file, a source or params.yaml.

    Raises:
        DeepmineError: a run holds the project, whose files are in flux.
    """
    with project_lock("deepmine doctor"):
        found = _once(findings())
        for finding in found:
            _say(f"{finding.where}: {finding.what}.")
            _say(f"  {finding.todo}")
        for group, names in extras().items():
            _say(f"(not installed, and needed only by those who use it: {', '.join(names)}; pip install '.[{group}]')")
        if not mend:
            _say(f"{many(len(found), 'finding', 'findings')}" if found else "all is well")
            return int(bool(found))
        left = [finding for finding in found if not _mended(finding)]
        told = healing.heal()
        if text := healing.set_aside_lockfile():
            told.append(text)
        for line in told:
            _say(line)
        left = [f for f in left if f.where not in (str(healing.LOCKFILE), str(healing.DVC_TMP / "rwlock"))]
        _say(f"{len(found) - len(left)} of {len(found)} mended. Now: {RUN}" if found else "all is well")
        return int(bool(left))


def _say(text: str) -> None:
    """A line on the terminal, the names of files in it shown as `visible` has them."""
    console().print(cell(text), soft_wrap=True)


def _once(found: Iterable[Finding]) -> list[Finding]:
    """One finding for each place, with all that mending removes."""
    at: dict[str, Finding] = {}
    for finding in found:
        old = at.get(finding.where)
        at[finding.where] = replace(old, remove=(*old.remove, *finding.remove)) if old else finding
    return list(at.values())


def findings() -> Iterator[Finding]:
    """All that is wrong in the project of the working directory. The caller holds the project."""
    yield from installation()
    yield from _configuration()
    yield from _locks()
    yield from _records()
    sizes = _Sizes()
    hashes = Hashes(sizes.read)
    outputs = [path for path in _outputs() if path.exists()]
    repo = _repo()
    cache = Path(repo.cache.local.path) if repo else Path(".dvc/cache/files/md5")  # `dvc cache dir` may have moved it
    cache = cache.relative_to(Path.cwd()) if cache.is_relative_to(Path.cwd()) else cache
    sizes.start([*outputs, *objects(cache), project.SCRATCH])
    yield from object_findings(cache, outputs, hashes)
    for output in outputs:
        for path, why in faults(output, hashes):
            # its object, too: DVC may have taken it in damaged, and would give it back
            kept = (object_of(cache, path, hashes),) if path.is_file() else ()
            yield Finding(str(path), why, remove=(output, *kept))
    yield from (Finding(str(p), why, remove=(p,)) for p, why in scratch_faults(project.SCRATCH, hashes))
    yield from _recorded(repo, hashes)


class _Sizes:
    """How much there is to read and how far we are, shown to a person at a terminal."""

    def __init__(self) -> None:
        self.done, self.total, self.progress = 0, 0, Progress(quiet=not sys.stderr.isatty())

    def start(self, paths: Iterable[Path]) -> None:
        known: dict[tuple[int, int], int] = {}
        for path in paths:
            for file in [path] if path.is_file() else path.rglob("*"):
                status = file.lstat()
                known[status.st_dev, status.st_ino] = status.st_size
        self.total = sum(known.values()) >> 20
        self.progress.start()

    def read(self, size: int) -> None:
        self.done += size
        self.progress(min(self.done >> 20, self.total), self.total + 1, "MiB read")


def _configuration() -> Iterator[Finding]:
    try:
        _, wrong = project.pick([])
    except DeepmineError as error:
        yield Finding(project.PARAMS, str(error).removeprefix(f"{project.PARAMS}: ").rstrip("."), "edit it")
        return
    for name, why in wrong.items():
        yield Finding(f"{project.PARAMS}: {name}", why.rstrip("."), "edit it")


def _locks() -> Iterator[Finding]:
    if not healing.lockfile_is_sound():
        todo = f"deepmine doctor --mend moves it to {healing.DVC_TMP}; {RUN} restores its records from DVC's run cache"
        yield Finding(str(healing.LOCKFILE), "empty, truncated or not a DVC lock file", todo)
    table = healing.DVC_TMP / "rwlock"
    if table.is_file() and healing.without_the_dead(table)[1]:
        todo = "deepmine doctor --mend, or any run, removes them"
        yield Finding(str(table), "holds locks of processes that no longer exist, or is not a lock table", todo)
    for path in healing.leftovers(Path()):
        yield Finding(str(path), "a temporary file of a process that was killed", "every run removes it", (path,))


def _records() -> Iterator[Finding]:
    """The untracked records of runs, and the note of the Prefect server: what is damaged of them is forgotten."""
    for path in [NOTE, *sorted(project.RECORDS.glob("*/*.json"))]:
        with suppress(FileNotFoundError):
            try:
                read_json(path)
            except Damaged as error:
                yield Finding(str(path), error.why, "deepmine doctor --mend removes it", (path,))
            except DeepmineError:
                continue  # not there


def _outputs() -> list[Path]:
    """Every output that dvc.yaml names, of every dataset that has one; a name that is none has no output, and leads nowhere."""
    names = {path.stem for path in Path("data/plan").glob("*.json")}
    with suppress(DeepmineError):
        known, wrong = project.pick([])
        names |= {*known, *wrong}
    names = {name for name in names if NAME.fullmatch(name)}
    found = {path for name in sorted(names) for stage in project.STAGES for path in project.outputs(stage, name)}
    return sorted(found)


def _repo() -> Any:
    """The project as DVC has it; None where DVC cannot open it, which `_recorded` tells."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    os.environ["DVC_NO_ANALYTICS"] = "1"
    try:
        return Repo(".")
    except DvcException:
        return None


def _recorded(repo: Any, hashes: Hashes) -> Iterator[Finding]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        yield from recorded_findings(repo or Repo("."), hashes)
    except DvcException as error:
        if healing.lockfile_is_sound():
            yield Finding("dvc.yaml", f"DVC cannot read the project: {error}", "mend the file that it names")


def _mended(finding: Finding) -> bool:
    for path in finding.remove:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return bool(finding.remove)
