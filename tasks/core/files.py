"""Small files: written whole or not at all, and JSON that carries its own hash; one writer and one reader for all."""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import Damaged, DeepmineError
from tasks.core.records import as_json

#: How a checked file begins: the sha256 of its name and of every byte after this. In a list, as `dvc metrics show` passes over lists.
HEAD = re.compile(rb'\{\n "sha256": \["([0-9a-f]{64})"\]')
HASH = "sha256"
#: Where a JSON file names files beside it, with their hashes.
FILES = "files"


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: Path, name: str) -> Path:
    """``folder / name``, which lies below ``folder`` whatever the name: the door for every path that a name is part of.

    Raises:
        DeepmineError: it would lie elsewhere, also by way of a symbolic link.
    """
    path = folder / name
    if "\0" in name or folder.resolve() not in path.resolve().parents:
        raise DeepmineError(f"{name!r} leads out of {folder}; nothing was read or written there.")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``path`` whole or not at all, also when the machine dies half-way.

    Raises:
        OSError: the disk is full or the like; nothing is left of the attempt.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with no_half(temporary, path), temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync(path.parent)


@contextmanager
def no_half(temporary: Path, path: Path) -> Iterator[None]:
    """Remove ``temporary`` where writing it fails, as the disk may lack its space; the error names ``path``."""
    try:
        yield
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def sync(path: Path) -> None:
    """Have a file or a folder on the disk before what is written next."""
    with suppress(OSError):  # some network file systems cannot
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write canonical, readable JSON atomically, with the hash that `read_json` checks; null for what is not finite.

    Dataclasses in it are written as `records.as_json` has them.

    Raises:
        ValueError: there is a top-level key `sha256` already.
    """
    write_atomically(path, encode(value, path.name))


def encode(value: dict[str, Any], name: str) -> bytes:
    """The bytes of a checked JSON file called ``name`` that holds ``value``.

    Raises:
        ValueError: as `write_json`.
    """
    if HASH in value:
        raise ValueError(f"the key '{HASH}' is taken by the file's own hash")
    try:
        text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=as_json)
    except ValueError:  # JSON has no NaN
        text = json.dumps(_finite(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    body = (("," if value else "\n") + text[1:] + "\n").encode()
    return b'{\n "%s": ["%s"]' % (HASH.encode(), _hash(name, body).encode()) + body


def named(folder: Path, *names: str) -> dict[str, str]:
    """name -> sha256 of files in ``folder``: what stands under `files` in a JSON file there binds them to it."""
    return {name: file_sha256(folder / name) for name in names}


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote, checked against the hash inside; so are the files beside it that it names (`named`).

    Raises:
        Damaged: its bytes, or those of a file that it names, are not those that were written.
        DeepmineError: it is not there, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DeepmineError(f"{path}: not there. Run the stage that makes it: deepmine run") from None
    except OSError as error:
        raise DeepmineError(f"{path}: cannot be read: {error.strerror}.") from None
    value = decode(data, path)
    for name, sha256 in value.get(FILES, {}).items():
        beside = path.parent / name
        if not beside.is_file() or file_sha256(beside) != sha256:
            raise Damaged(beside, f"missing, or not the one that was written with {path.name}")
    return value


def decode(data: bytes, path: Path) -> dict[str, Any]:
    """The value in the bytes of a checked JSON file, less its hash.

    Raises:
        Damaged: they are not those that were written; the text names ``path``.
    """
    head = HEAD.match(data)
    if head is None:
        raise Damaged(path, "it does not begin with its hash")
    if _hash(path.name, data[head.end() :]) != head[1].decode():
        raise Damaged(path, "its content is not what was written under this name")
    try:
        value: dict[str, Any] = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # the hash is right: this was made up by somebody
        raise Damaged(path, f"not a JSON file of deepmine ({error})") from None
    del value[HASH]
    return value


def _hash(name: str, body: bytes) -> str:
    """With the name, so that a sound file that stands in the place of another one is refused, too."""
    return hashlib.sha256(name.encode() + b"\n" + body).hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if is_dataclass(value):
        return _finite(as_json(value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def fingerprint(*parts: Any) -> str:
    """sha256 over the canonical JSON of ``parts``."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
