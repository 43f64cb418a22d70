"""What can happen to a file on a disk, at random places, with size and times kept where that is possible."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit is another."""
    broken = bytearray(data)
    broken[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: int(rng.integers(1, max(len(data), 2)))] if len(data) > 1 else b""


def empty(data: bytes, rng: np.random.Generator) -> bytes:
    """Nothing is left."""
    return b""


def zero(data: bytes, rng: np.random.Generator) -> bytes:
    """A block is zeros."""
    start = int(rng.integers(len(data)))
    size = int(rng.integers(1, 4097))
    return data[:start] + b"\0" * min(size, len(data) - start) + data[start + size :]


#: name -> bytes as they were to bytes as they are.
CHANGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "flip": flip, "cut": cut, "empty": empty, "zero": zero,
}  # fmt: skip


def overwrite(path: Path, data: bytes) -> None:
    """Other bytes in the same inode (so in every file that is linked to it), its mode and times kept."""
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap(one: Path, other: Path) -> None:
    """Two files have changed places."""
    aside = one.with_name(f"{one.name}.aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
