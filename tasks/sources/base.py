"""What all sources share: how rows are named, which of them are files, and how one that is no good is told."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError, Unreadable
from tasks.sources.readers import READERS, format_of

if TYPE_CHECKING:
    from tasks.config.source import Input, Source

EMBEDDED = "embedded:"
SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
LISTING = pa.schema(
    [
        ("id", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
        ("sha256", pa.string()), ("label", pa.string()), ("split", pa.string()), ("group", pa.string()),
        ("reason", pa.string()), ("detail", pa.string()),
    ]
)  # fmt: skip
#: Numbers that order the rows, where the source names a time; no table has a column of this name.
TIME = ".time"
#: Shares of val and test that `ingest` has as defaults.
SHARES = (0.1, 0.2)

Warn = Callable[[str], None]


class NotNow(Unreadable):
    """No verdict on a file: it cannot be read at this moment, or is not the one that was listed."""


class State(NamedTuple):
    """What the file system says of a file; of one that is absent the size is -1 and all else 0."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


ABSENT = State(-1, 0, 0, 0)
#: What says that no file is there, and nothing of whether the disk or the share can be reached.
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def exists(source: "Source") -> bool:
    """Whether the source can be reached at this moment (a share may be unmounted)."""
    if source.path.startswith(EMBEDDED):
        return True
    roots = [Path(source.root)] if source.root is not None else []
    return all(path.exists() for path in [*paths_of(source), *roots])


def paths_of(source: "Source") -> list[Path]:
    """The folder or table, and the table that is joined to it."""
    return [Path(source.path), *([Path(source.join.path)] if source.join else [])]


def is_table(source: "Source") -> bool:
    """Whether the source is a table, and no folder: also told where it is away, by its name."""
    path = Path(source.path)
    if source.path.startswith(EMBEDDED) or path.is_dir():
        return False
    return path.is_file() or format_of(path) in READERS


def uses_files(source: "Source", spec: "Input") -> bool:
    """Whether the items of an input are files, each decoded by itself."""
    return spec.modality in ("image", "audio") or (spec.modality == "text" and not is_table(source))


def by_item(source: "Source", inputs: "dict[str, Input]") -> bool:
    """Whether the listing has a row for each item (some input is made of files), or one for each table."""
    return not is_table(source) or any(uses_files(source, spec) for spec in inputs.values())


def root_of(source: "Source") -> str:
    """The folder that listed paths are relative to."""
    if source.root is not None:
        return source.root
    return source.path if Path(source.path).is_dir() else str(Path(source.path).parent)


def state_of(entry: "os.DirEntry[str] | Path") -> State:
    """What a file (or what a link leads to) looks like at this moment.

    Raises:
        DeepmineError: the file system gives no answer, which is not the same as no file.
    """
    try:
        return state(entry.stat())
    except ValueError:  # a NUL character in the path
        return ABSENT
    except OSError as error:
        if error.errno in NO_FILE:
            return ABSENT
        raise cannot_look(os.fspath(entry), error) from None


def cannot_look(path: str, error: OSError) -> DeepmineError:
    """What to say of a file or folder that the file system gives no answer about."""
    return DeepmineError(
        f"{path}: cannot be looked at: {error.strerror or error}. Nothing was decided about it. Run again when it can, "
        "or mend its permissions, or take it out of the source."
    )


def state(status: os.stat_result) -> State:
    """The part of a status that tells whether a file is still the same."""
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & (2**63 - 1))


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


def table_of(columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Columns of texts and int64 numbers as a table of ``schema``; those that are not given are null."""
    count = len(next(iter(columns.values())))
    arrays = [column(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def named_splits(words: pa.Array | pa.ChunkedArray, where: pa.Array | str) -> pa.Array | pa.ChunkedArray:
    """`train`, `val` or `test` for any of their names; null for none.

    Args:
        where: the place of each row, or of all, for the error.

    Raises:
        DeepmineError: a row has another word.
    """
    known = {word: SPLITS.get(word.lower()) for word in pc.unique(words).to_pylist() if word}
    for word, name in known.items():
        if name is None:
            place = where if isinstance(where, str) else where[pc.index(words, word).as_py()]
            raise DeepmineError(f"{place}: '{word}' is no split. Use train, val or test.")
    if not known:
        return pa.nulls(len(words), pa.string())
    names = pa.array(list(known.values()), pa.string())
    return names.take(pc.index_in(words, value_set=pa.array(list(known), pa.string())))
