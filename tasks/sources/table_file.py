"""A table on disk, whatever its form: its columns, and its rows in blocks that know where they stand."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, AnyStr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.sources.base import DELIMITED, LINES, PACKED, PARQUET, Warn, kind_of

if TYPE_CHECKING:
    from tasks.config.source import Source

#: Bytes of text in a block.
BLOCK = 16 << 20
#: Bytes of text that a row may have; a longer one is set aside, or stops the table where rows cannot be told apart.
LONGEST_ROW = 16 << 20
#: Columns that a table may have, and characters of the name of one.
COLUMNS, LONGEST_NAME = 100_000, 1000


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


def line_of(stream: IO[AnyStr], longest: int = LONGEST_ROW) -> AnyStr | None:
    """The next line with its end, cut after ``longest`` bytes or characters and one; None after the last.

    The rest of a longer line is passed over, and is never held in memory.
    """
    found = rest = stream.readline(longest + 1)
    while len(rest) > longest and rest[-1] not in ("\n", 10):
        rest = stream.readline(longest + 1)
    return found or None


def checked_names(path: Path, names: Sequence[str]) -> Sequence[str]:
    """``names`` of columns, if they can be names of columns.

    Raises:
        DeepmineError: they are too many, or one is too long.
    """
    if len(names) > COLUMNS:
        raise DeepmineError(
            f"{path}: has {len(names):,} columns, where {COLUMNS:,} may be. Take out those that are not needed, or "
            "turn the table round."
        )
    for i, name in enumerate(names):
        if len(name) > LONGEST_NAME:
            raise DeepmineError(
                f"{path}: the name of its {i + 1}. column has {len(name):,} characters: {name[:40]!r}... No table has "
                "such names; look at its first line."
            )
    return names


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
        from tasks.sources.json_lines import open_lines

        return open_lines(path)
    from tasks.sources.parquet import open_parquet

    return open_parquet(path)


def places(prefix: str, numbers: np.ndarray) -> pa.Array:
    """``prefix`` followed by each number."""
    return pc.binary_join_element_wise(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")
