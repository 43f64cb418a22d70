"""A table on disk, whatever its form: its columns, and its rows in blocks that know where they stand."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, AnyStr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.sources.readers import CODECS

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


@dataclass(frozen=True)
class ReadOptions:
    """What a person says of a table, each None or empty where it is to be detected; a format that knows it ignores it.

    Attributes:
        names: of the columns of a table without a header.
        wanted: columns that the table is expected to have, which helps to tell a header.
    """

    delimiter: str | None = None
    encoding: str | None = None
    names: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


def packed_stream(path: Path) -> tuple[IO[bytes], IO[bytes]]:
    """The file as it lies on disk (whose position tells progress), and its bytes unpacked."""
    raw = path.open("rb")
    packing = CODECS.get(path.suffix.lower())
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


def places(prefix: str, numbers: np.ndarray) -> pa.Array:
    """``prefix`` followed by each number."""
    return pc.binary_join_element_wise(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")
