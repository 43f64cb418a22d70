"""Parquet tables in blocks of bounded size, whatever a few bytes of the file unpack to.

Two things make much out of little. Dictionaries and runs: a text that stands in every row is written once. So columns
of text are read as dictionaries, and a block ends where its texts, written out, fill it. And compression: a page of
zeros. So a column is refused whose pages unpack to more than a table of real values would.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.sources.table_file import (
    BLOCK,
    LONGEST_ROW,
    BadRow,
    Block,
    ReadOptions,
    TableFile,
    checked_names,
    places,
    unique,
)

#: Rows that are decoded at a time, at most.
ROWS = 1 << 16
#: A column of a row group may unpack to `UNPACKED` bytes, or to so many times its packed size, whichever is more.
#: Text packs to a third or a tenth; a column of one repeated value needs no page of it, but an entry in a dictionary.
UNPACKED, RATIO = 256 << 20, 100
#: Bytes of a number as it is decoded (of texts the length counts).
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
#: Prints what a file says of each column of each row group (`Chunk`).
FOOTER = """
import json, resource, sys
from pyarrow.parquet import read_metadata
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
found, rows = read_metadata(sys.argv[1]), []
for group in range(found.num_row_groups):
    part = found.row_group(group)
    for i in range(found.num_columns):
        c = part.column(i)
        rows.append((group, part.num_rows, c.path_in_schema, c.physical_type, c.total_uncompressed_size,
                     c.total_compressed_size, c.num_values))
json.dump(rows, sys.stdout)
"""
#: What a damaged file makes Arrow raise.
BROKEN = (ValueError, OSError, pa.ArrowException)  # ArrowInvalid is a ValueError


def open_parquet(path: Path, options: ReadOptions) -> TableFile:
    """A Parquet file whose schema can be read.

    Raises:
        DeepmineError: it cannot, has too many columns, or two of one name.
    """
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except BROKEN as error:
        raise _cannot(path, error) from None
    names = unique(path, checked_names(path, schema.names))

    def read(columns: Sequence[str]) -> Iterator[Block]:
        try:
            yield from _blocks(path, columns)
        except BROKEN as error:
            raise _cannot(path, error) from None

    return TableFile(path, names, read)


def _cannot(path: Path, error: Exception) -> DeepmineError:
    if isinstance(error, OSError) and error.errno is not None:
        return DeepmineError(f"{path}: cannot be read now: {error.strerror}. Run again when it can.")
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DeepmineError(f"{path}: cannot be read as Parquet: {text}. Write or copy it anew.")


def _blocks(path: Path, columns: Sequence[str]) -> Iterator[Block]:
    import pyarrow.parquet as pq

    done, size = 0, path.stat().st_size
    chunks = _chunks(path, columns)
    texts = sorted({chunk.name for chunk in chunks if chunk.kind == "BYTE_ARRAY"})
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
        total = max(1, file.metadata.num_rows)
        for batch in file.iter_batches(_rows_at_once(chunks, total), columns=list(columns)):
            whole = pa.Table.from_batches([batch]).select(columns)
            lengths = np.zeros(whole.num_rows, np.int64)
            for name in columns:
                lengths += text_bytes(whole[name].combine_chunks())
            for start, end in _pieces(lengths):
                yield _block(path, whole.slice(start, end - start), done + start, lengths[start:end], size, total)
            done += whole.num_rows


class Chunk(NamedTuple):
    """What a file says of one column of a row group."""

    group: int
    rows: int
    name: str
    kind: str
    unpacked: int
    packed: int
    values: int


def _chunks(path: Path, columns: Sequence[str]) -> list[Chunk]:
    """Each leaf of ``columns`` in each row group.

    Raises:
        DeepmineError: one unpacks to more than a table of real values would, or the file is damaged.
    """
    status = path.stat()
    found = []
    for chunk in _footer(path, status.st_size, status.st_mtime_ns):
        if not any(chunk.name == name or chunk.name.startswith(f"{name}.") for name in columns):
            continue
        plain = max(chunk.unpacked, chunk.values * WIDTHS.get(chunk.kind, 0))
        nested = chunk.values > chunk.rows
        if (plain if nested else chunk.unpacked) > max(UNPACKED, RATIO * chunk.packed):
            raise DeepmineError(
                f"{path}: row group {chunk.group + 1}, column '{chunk.name}': {plain / 1e6:,.0f} MB of values packed in "
                f"{chunk.packed:,} bytes. That is more than deepmine unpacks at a time. If they are real, write the "
                "file with smaller row groups."
            )
        found.append(chunk)
    return found


@lru_cache(8)
def _footer(path: Path, size: int, changed: int) -> list[Chunk]:
    """What the file says of its columns, asked in a process of its own: Arrow ends the one that asks a damaged file.

    Raises:
        DeepmineError: it did.
    """
    asked = [sys.executable, "-I", "-c", FOOTER, str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["it says nothing that can be read"])[-1]
        raise _cannot(path, ValueError(f"what it says of its columns is damaged ({words.strip()})"))
    return [Chunk(*row) for row in json.loads(done.stdout)]


def _rows_at_once(chunks: list[Chunk], total: int) -> int:
    """Rows of a batch whose numbers, as the file says of itself, fill a few blocks at most."""
    numbers = sum(chunk.values * WIDTHS.get(chunk.kind, 0) for chunk in chunks)
    return max(1, min(ROWS, 4 * BLOCK * total // max(1, numbers)))


def text_bytes(column: pa.Array) -> np.ndarray:
    """(N,) bytes of the texts of each row, written out; 0 for what is no text.

    Raises:
        ValueError: an entry that its dictionary does not have, which Arrow does not look for.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = text_bytes(column.dictionary)
        index = column.indices.drop_null().to_numpy(zero_copy_only=False)
        if len(index) and not 0 <= index.min() <= index.max() < len(lengths):
            raise ValueError("an entry that its dictionary does not have")
        found = np.zeros(len(column), np.int64)
        found[column.indices.is_valid().to_numpy(zero_copy_only=False)] = lengths[index]
        return found
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = np.append(0, np.cumsum(text_bytes(column.flatten())))
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
        return inner[ends] - inner[np.append(0, ends[:-1])] if len(ends) else np.zeros(0, np.int64)
    if pa.types.is_map(kind):
        return text_bytes(_pairs(column))
    if pa.types.is_struct(kind):
        parts = [text_bytes(part) for part in column.flatten()]
        return np.sum(parts, axis=0) if parts else np.zeros(len(column), np.int64)
    if any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary,
                                   pa.types.is_large_binary)):  # fmt: skip
        return pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.zeros(len(column), np.int64)


def _pieces(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Stretches of rows whose texts fill a block; one row at least, and too long ones count for nothing."""
    counted = np.cumsum(np.where(lengths > LONGEST_ROW, 0, lengths))
    start = 0
    while start < len(lengths):
        before = counted[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(counted, before + BLOCK, side="right")))
        yield start, end
        start = end
    if not len(lengths):
        yield 0, 0


def _block(path: Path, table: pa.Table, first: int, lengths: np.ndarray, size: int, total: int) -> Block:
    numbers = np.arange(first, first + table.num_rows)
    keep = lengths <= LONGEST_ROW
    bad = []
    for i in np.flatnonzero(~keep):
        detail = f"{lengths[i] / 1e6:,.0f} MB of text, where {LONGEST_ROW >> 20} may be"
        bad.append(BadRow(int(numbers[i]), f"{path.name}:row {numbers[i]}", "row too long", detail))
    texts, invalid = _texts(table.filter(pa.array(keep)), numbers[keep])
    good = numbers[keep]
    if invalid:
        bad += [BadRow(int(good[i]), f"{path.name}:row {good[i]}", "invalid UTF-8", why) for i, why in invalid.items()]
        bad.sort(key=lambda row: row.number)
        keep = np.ones(len(good), bool)
        keep[list(invalid)] = False
        texts, good = texts.filter(pa.array(keep)), good[keep]
    done = size * (first + len(numbers)) // total
    return Block(texts, good, places(f"{path.name}:row ", good), bad, min(done, size), size)


def _texts(table: pa.Table, numbers: np.ndarray) -> tuple[pa.Table, dict[int, str]]:
    """``table`` with texts and categories as plain strings; and by row what is no UTF-8, null in its place."""
    invalid: dict[int, str] = {}
    for i, field in enumerate(table.schema):
        column = table[i].combine_chunks()
        made, wrong = _plain(column)
        for row, start in wrong.items():
            invalid.setdefault(row, f"column '{field.name}', byte {start}")
        table = table.set_column(i, field.name, made)
    return table, invalid


def _plain(column: pa.Array) -> tuple[pa.Array, dict[int, int]]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        values, wrong = _plain(column.dictionary)
        index = column.indices
        bad = {row: wrong[at] for row, at in enumerate(index.to_pylist()) if at in wrong} if wrong else {}
        return values.take(index), bad
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner, wrong = _plain(column.flatten())
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
        bad = {int(np.searchsorted(ends, at, side="right")): start for at, start in reversed(wrong.items())}
        if inner.type == kind.value_type:
            return column, bad
        offsets = pa.array(np.append(0, ends), pa.int32())
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, inner, mask=mask), bad
    if pa.types.is_map(kind):
        return _plain(_pairs(column))
    if pa.types.is_struct(kind):
        parts = [_plain(part) for part in column.flatten()]
        names = [field.name for field in kind]
        bad = {row: start for _, wrong in parts for row, start in wrong.items()}
        mask = column.is_null() if column.null_count else None
        return pa.StructArray.from_arrays([part for part, _ in parts], names, mask=mask), bad
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.string())
    if pa.types.is_string(column.type):
        return _valid(column)
    return column, {}


def _pairs(column: pa.MapArray) -> pa.Array:
    """A column of maps as one of lists of records."""
    return column.cast(pa.list_(pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])))


def _valid(column: pa.Array) -> tuple[pa.Array, dict[int, int]]:
    """A column of text without what is no UTF-8; by row the first byte that is none."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return column, {}
    wrong: dict[int, int] = {}
    texts: list[str | None] = []
    for i, cell in enumerate(column.cast(pa.binary()).to_pylist()):
        try:
            texts.append(cell if cell is None else cell.decode())
        except UnicodeDecodeError as error:
            wrong[i] = error.start
            texts.append(None)
    return pa.array(texts, pa.string()), wrong
