"""Data integration: a second table whose columns are added to the rows of the first by a key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError, nearest
from tasks.sources.base import Warn
from tasks.sources.open_table import open_table
from tasks.sources.table_file import TableFile

if TYPE_CHECKING:
    from tasks.config.source import Join

#: Bytes of a text that names something.
LONGEST_KEY = 1 << 16
#: Bytes of a joined table, which is held in memory.
LARGEST = 1 << 30
#: By row: reason and detail of those that cannot be used.
Faults = dict[int, tuple[str, str]]


@dataclass
class Joined:
    """The second table, in memory. ``used`` tells which of its rows have found theirs (one-to-one)."""

    join: "Join"
    table: pa.Table
    keys: pa.Array
    used: np.ndarray

    def add(self, rows: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, Faults]:
        """``rows`` with ``columns`` of the second table (null where nothing matches), and which do not match."""
        keys = text(rows[self.join.on], self.join.on).combine_chunks()
        places = pc.index_in(keys, value_set=self.keys, skip_nulls=True)
        for name in columns:
            rows = rows.append_column(name, self.table[name].take(places))
        faults: Faults = {}
        for i in np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False)):
            faults[int(i)] = ("no match in the joined table", f"{self.join.on} = {keys[i].as_py()!r}")
        if self.join.how == "one_to_one":
            where = pc.fill_null(places, -1).to_numpy()
            for i in self._again(where):
                faults[int(i)] = ("key of the joined table used twice", f"{self.join.on} = {keys[i].as_py()!r}")
        return rows, faults

    def _again(self, places: np.ndarray) -> np.ndarray:
        """Rows whose match has been used, above in the table or among them; marks the others' as used."""
        first = np.zeros(len(places), bool)
        first[np.unique(places, return_index=True)[1]] = True
        again = (places >= 0) & (~first | self.used[places])
        self.used[places[places >= 0]] = True
        return np.flatnonzero(again)


def open_join(join: "Join", warn: Warn | None = None) -> Joined:
    """Read the second table whole.

    Raises:
        DeepmineError: it cannot be read, holds a broken row, or a key twice.
    """
    file = open_table(join.path, wanted=(join.on,), warn=warn)
    if join.on not in file.names:
        raise DeepmineError(f"{join.path}: no column '{join.on}' to join on.{nearest(join.on, file.names)}")
    table = read_whole(file)
    keys = text(table[join.on], join.on).combine_chunks()
    counts = pc.value_counts(keys.drop_null())
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DeepmineError(
            f"{join.path}: {join.on} = {twice[0]['values'].as_py()!r} stands in {twice[0]['counts'].as_py()} rows. "
            "Each key may have one row of a joined table; keep one of them."
        )
    return Joined(join, table, keys, np.zeros(len(keys), bool))


def read_whole(file: TableFile) -> pa.Table:
    """All rows of a table that has no broken ones.

    Raises:
        DeepmineError: it has, or holds more than `LARGEST` bytes.
    """
    parts = []
    size = 0
    for block in file.read(file.names):
        size += block.table.nbytes
        if size > LARGEST:
            raise DeepmineError(
                f"{file.path}: holds more than {LARGEST >> 20:,} MB, and a joined table is held in memory. Take out the "
                "columns that are not used, or join it beforehand."
            )
        for row in block.bad:
            where = Path(file.path).parent / row.place
            raise DeepmineError(f"{where}: {row.reason} ({row.detail}). Mend the row or take it out.")
        parts.append(block.table)
    return pa.concat_tables(parts) if parts else pa.table({name: pa.array([], pa.string()) for name in file.names})


def text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A column of keys (ids, labels, groups, splits, paths) as text; an empty one is missing.

    Raises:
        DeepmineError: its values have none, or one is too long to name anything.
    """
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        longest = pc.max(pc.binary_length(column)).as_py() or 0
        if longest > LONGEST_KEY:
            raise DeepmineError(
                f"the column '{name}' holds a text of {longest:,} bytes, where a name (id, label, split, group, path, "
                f"good) may have {LONGEST_KEY:,}. Take another column, or shorten it."
            )
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise DeepmineError(f"the column '{name}' holds {column.type}, where texts or numbers are needed.") from None
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
