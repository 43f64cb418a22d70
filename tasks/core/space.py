"""Whether there is room for what a stage will write, before it computes for hours."""

import os
import shutil
import time
from pathlib import Path

from tasks.core.errors import DeepmineError
from tasks.core.progress import Progress

#: What any stage needs for its record, progress and lock files, bytes.
LEAST = 8 << 20
#: Endings of files that are compressed already: they are stored as large as they are, others about half as large.
PACKED = (
    "jpg",
    "jpeg",
    "png",
    "webp",
    "gif",
    "flac",
    "mp3",
    "ogg",
    "opus",
    "m4a",
    "gz",
    "zip",
    "parquet",
    "heic",
    "avif",
)


def existing(path: Path) -> Path:
    """The nearest folder at or above ``path`` that there is."""
    path = path.absolute()
    return next((p for p in (path, *path.parents) if p.is_dir()), Path("/"))


def size(count: float) -> str:
    """Bytes as a person says them: `3.2 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def assert_room(folder: Path, need: float, doing: str, what: str) -> None:
    """Refuse to begin what would not fit.

    Args:
        need: bytes that will be written below ``folder``, rather too few than too many.
        what: what they are, as `60,000 files`.

    Raises:
        DeepmineError: the disk that holds ``folder`` has less; names need and have.
    """
    place = existing(folder)
    free = shutil.disk_usage(place).free
    if free < max(need, LEAST):
        raise DeepmineError(
            f"{doing}: not enough space on the disk of {place}: about {size(max(need, LEAST))} needed ({what}), "
            f"{size(free)} free. Free some, or move the project to a larger disk, and run again: what was finished is kept."
        )


def stored_bytes(paths: list[str | None], sizes: list[int | None]) -> float:
    """About how many bytes the listed files will take once they are stored, rather too few than too many."""
    packed = (str(path or "").rpartition(".")[2].lower() in PACKED for path in paths)
    return sum((0.95 if is_packed else 0.3) * (n or 0) for is_packed, n in zip(packed, sizes, strict=True))


def folder_bytes(folder: Path) -> int:
    """Bytes of the files directly in ``folder``; 0 where there is none."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except FileNotFoundError:
        return 0


class Roomy(Progress):
    """Progress of a stage that writes shard by shard: it stops as soon as the shards so far tell that all will not fit.

    Args:
        scratch: where the finished shards go.
        doing: the stage and its dataset, for the message.
    """

    def __init__(self, file: Path | None, scratch: Path, doing: str) -> None:
        super().__init__(file)
        self.scratch, self.doing = scratch, doing
        self.before, self.looked = folder_bytes(scratch), 0.0

    def __call__(self, done: int, total: int, unit: str, note: str = "", always: bool = False) -> None:
        """Report, and compare what is still to be written with what is free.

        Raises:
            DeepmineError: it is more.
        """
        super().__call__(done, total, unit, note, always)
        if time.monotonic() - self.looked < 2 or done >= total:
            return
        self.looked = time.monotonic()
        # shards that were there already cost nothing: with some it takes longer until the rate is to be trusted
        if done * (4 if self.before else 50) >= total:
            need = (folder_bytes(self.scratch) - self.before) * (total - done) / done
            assert_room(self.scratch, need, self.doing, f"{1 - done / total:.0%} of it is still to be written")
