"""DVC's cache and what it has recorded, against the md5 of the bytes: DVC itself trusts size, time and mode of a file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.checkup import Finding, Hashes

#: An object's path below the cache: its md5, and `.dir` where it lists a folder.
OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{30})(\.dir)?")
MEND = "deepmine doctor --mend removes it and what is linked to it; the next deepmine run makes it anew"


def objects(cache: Path) -> list[Path]:
    """Every object of the cache (`.dvc/cache/files/md5`)."""
    return sorted(p for p in cache.glob("??/*") if OBJECT.fullmatch(f"{p.parent.name}/{p.name}") and p.is_file())


def object_of(cache: Path, path: Path, hashes: Hashes) -> Path:
    """Where the cache keeps the bytes of ``path``."""
    md5 = hashes.md5(path)
    return cache / md5[:2] / md5[2:]


def object_findings(cache: Path, outputs: list[Path], hashes: Hashes) -> Iterator[Finding]:
    """Objects that are not what their name says; mending removes each with the ``outputs`` that hold the same inode."""
    linked: dict[tuple[int, int], set[Path]] = {}
    for output in outputs:
        for path in [output] if output.is_file() else output.rglob("*"):
            status = path.lstat()
            linked.setdefault((status.st_dev, status.st_ino), set()).add(output)
    for path in objects(cache):
        if why := _fault(path, hashes):
            status = path.stat()
            beside = sorted(linked.get((status.st_dev, status.st_ino), ()))
            yield Finding(str(path), why, MEND, (path, *beside))


def _fault(path: Path, hashes: Hashes) -> str | None:
    name = path.parent.name + path.name.removesuffix(".dir")
    if hashes.md5(path) != name:
        return "a DVC cache object whose content does not match its hash"
    if path.suffix == ".dir" and _entries(path) is None:
        return "a DVC cache object that is not a directory listing"
    return None


def recorded_findings(repo: Any, hashes: Hashes) -> Iterator[Finding]:
    """Outputs that DVC holds to be unchanged and that are not what it recorded; mending removes them.

    What DVC sees to be changed is made anew by the next run, damaged or not.
    """
    for out in repo.index.outs:
        if not out.hash_info or not out.exists or out.workspace_status():
            continue
        own = Path(out.fs_path)
        listed = {own: out.hash_info.value}
        if out.hash_info.isdir:
            entries = _entries(Path(out.cache.oid_to_path(out.hash_info.value)))
            if entries is None:
                continue  # without the list nothing is known of the files; the object is named itself
            listed = {own / e["relpath"]: e["md5"] for e in entries}
        wrong = [path for path, md5 in listed.items() if not path.is_file() or hashes.md5(path) != md5]
        for path in wrong:
            where = path.relative_to(repo.root_dir)
            yield Finding(
                str(where), "content differs from what DVC recorded, although size and time match", MEND, (own,)
            )


def _entries(path: Path) -> list[dict[str, str]] | None:
    try:
        entries = json.loads(path.read_bytes())
        return entries if all(isinstance(e["md5"], str) and isinstance(e["relpath"], str) for e in entries) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
