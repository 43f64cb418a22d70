"""A table on disk, whatever its form: its columns, and its rows in blocks that know where they stand."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DeepmineError
from tasks.sources.base import DELIMITED, LINES, PACKED, PARQUET, Warn, kind_of

if TYPE_CHECKING:
    from tasks.config import Source

#: Bytes of text in a block; no row may be longer.
BLOCK = 16 << 20


@dataclass(frozen=True)
class BadRow:
    """A row that is no row of its table; ``number`` is its place among all of them, from 0."""

    number: int
    place: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Block:
    """Some rows of a table, in the order of the file.

    Attributes:
        table: N rows of the columns asked for: text from CSV; from others as they have them.
        numbers: (N,) int64, each row's place among all rows of the file, from 0.
        places: N texts, `rows.csv:17` (a line) or `rows.parquet:row 16`.
        bad: rows that stand among these and could not be read.
        done, total: bytes of the file up to here, and in all.
    """

    table: pa.Table
    numbers: np.ndarray
    places: pa.Array
    bad: list[BadRow]
    done: int
    total: int


@dataclass(frozen=True)
class TableFile:
    """An opened table: ``read`` gives blocks of the named columns (all rows of the file, each time anew)."""

    path: Path
    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Block]]
    notes: tuple[str, ...] = ()
    settled: tuple[tuple[str, Any], ...] = ()  # what was found out and may be written under `source:`


def open_table(
    path: str | Path, source: "Source | None" = None, wanted: Sequence[str] = (), warn: Warn | None = None
) -> TableFile:
    """Look at a table without reading it whole (a text file is scanned once for its encoding).

    Args:
        source: its `delimiter`, `encoding` and `names` win over what is detected.
        wanted: columns it is expected to have, which helps to tell a header.
        warn: told what was found out that a person may not expect.

    Raises:
        DeepmineError: no file, no form that is known, empty, or broken at its start.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise DeepmineError(f"{path}: {error.strerror}. Check 'source' in params.yaml.") from None
    given = (source.delimiter, source.encoding, source.names) if source else (None, None, ())
    of_baskets = source is not None and source.layout == "baskets"
    found = _open(path, status.st_size, status.st_mtime_ns, given, tuple(wanted), of_baskets)
    if warn:
        for note in found.notes:
            warn(f"{path}: {note}")
    return found


def packed_stream(path: Path) -> tuple[IO[bytes], IO[bytes]]:
    """The file as it lies on disk (whose position tells progress), and its bytes unpacked."""
    raw = path.open("rb")
    packing = PACKED.get(path.suffix.lower())
    return raw, io.BufferedReader(pa.CompressedInputStream(raw, packing)) if packing else raw


def unique(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """``names``, all different.

    Raises:
        DeepmineError: two are equal.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            raise DeepmineError(
                f"{path}: two columns are named '{name}' (the {first[name] + 1}. and the {i + 1}.). Rename one of them."
            )
    return tuple(names)


@lru_cache(8)
def _open(
    path: Path, size: int, changed: int, given: tuple[Any, ...], wanted: tuple[str, ...], of_baskets: bool
) -> TableFile:
    kind = kind_of(path)
    if kind not in (*DELIMITED, *PARQUET, *LINES) or not path.is_file():
        raise DeepmineError(
            f"{path}: neither a folder nor a .csv or .parquet file (or .tsv, .jsonl; .gz of either). "
            "Rename it by what it holds, or convert it."
        )
    if size == 0:
        raise DeepmineError(f"{path}: an empty file.")
    if of_baskets:
        from tasks.sources.baskets import open_baskets

        return open_baskets(path, *given)
    if kind in DELIMITED:
        from tasks.sources.delimited import open_delimited

        delimiter, encoding, names = given
        return open_delimited(path, delimiter, encoding, names, wanted)
    if kind in LINES:
        from tasks.sources.lines import open_lines

        return open_lines(path)
    return _parquet(path)


def _parquet(path: Path) -> TableFile:
    import pyarrow.parquet as pq

    def cannot(error: Exception) -> DeepmineError:
        return DeepmineError(f"{path}: cannot be read as Parquet: {error}. Write or copy it anew.")

    try:
        schema = pq.read_schema(path)
    except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
        raise cannot(error) from None
    names = unique(path, schema.names)

    def read(columns: Sequence[str]) -> Iterator[Block]:
        done, size = 0, path.stat().st_size
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                total = max(1, file.metadata.num_rows)
                for batch in file.iter_batches(1 << 16, columns=list(columns)):
                    table = plain(pa.Table.from_batches([batch])).select(columns)
                    numbers = np.arange(done, done + batch.num_rows)
                    done += batch.num_rows
                    where = places(f"{path.name}:row ", numbers)
                    yield Block(table, numbers, where, [], size * done // total, size)
        except (ValueError, OSError) as error:
            raise cannot(error) from None

    return TableFile(path, names, read)


def plain(table: pa.Table) -> pa.Table:
    """``table`` with texts and categories as plain strings."""
    for i, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            kind = pa.string()
        if kind != field.type:
            table = table.set_column(i, field.name, table[i].cast(kind))
    return table


def places(prefix: str, numbers: np.ndarray) -> pa.Array:
    """``prefix`` followed by each number."""
    return pc.binary_join_element_wise(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")
