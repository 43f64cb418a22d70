"""The room of what is wrong with files that deepmine wrote: found by their own hashes, without running anything."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEND = "deepmine doctor --mend removes it, and the next deepmine run makes it anew"
#: Bytes that are read at a time.
CHUNK = 1 << 22


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where, what, what to do about it, and what mending removes (files or folders)."""

    where: str
    what: str
    todo: str = MEND
    remove: tuple[Path, ...] = ()


class Hashes:
    """md5 (of DVC) and sha256 (ours) of files, each file read once however many names it has.

    Args:
        on_read: told how many bytes were read since it was last called.
    """

    def __init__(self, on_read: Callable[[int], None] = lambda size: None) -> None:
        self.on_read = on_read
        self._known: dict[tuple[int, int], tuple[str, str]] = {}

    def md5(self, path: Path) -> str:
        """As DVC names a file's content."""
        return self._of(path)[0]

    def sha256(self, path: Path) -> str:
        """As manifests and models name it."""
        return self._of(path)[1]

    def _of(self, path: Path) -> tuple[str, str]:
        status = path.stat()
        key = status.st_dev, status.st_ino
        if key not in self._known:
            md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
            with path.open("rb") as file:
                while data := file.read(CHUNK):
                    md5.update(data)
                    sha256.update(data)
                    self.on_read(len(data))
            self._known[key] = md5.hexdigest(), sha256.hexdigest()
        return self._known[key]
