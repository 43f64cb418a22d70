"""Where rows come from: folders of files, tables (of values, or of paths to files), or what ships with a dependency.

There are two ways in. Where some input is made of files, `listing` has a row for each item, and `read_bytes` (and
`values`, for the inputs that are columns) give what they hold. Where all inputs are columns, `listing` has a row for
each table, which costs nothing however long they are, and `tables` streams their rows.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError, Unreadable
from tasks.sources.base import (
    EMBEDDED,
    LISTING,
    SHARES,
    SPLITS,
    NotNow,
    Warn,
    by_item,
    column,
    exists,
    is_table,
    root_of,
    uses_files,
)
from tasks.sources.files import read_bytes, read_listed
from tasks.sources.inventory import hashed, listing, scan
from tasks.sources.joins import text
from tasks.sources.rows import layout, rows
from tasks.sources.shards import Batch, shards

if TYPE_CHECKING:
    from tasks.config.source import Input, Source

__all__ = [
    "EMBEDDED", "LISTING", "SPLITS", "Batch", "NotNow", "Unreadable", "by_item", "column", "exists", "hashed", "is_table",
    "listing", "official", "read_bytes", "read_listed", "root_of", "scan", "tables", "uses_files", "values",
]  # fmt: skip


def values(source: "Source", inputs: "dict[str, Input]", warn: Warn | None = None) -> pa.Table | None:
    """`id` and the columns of all inputs, of a table whose rows are items; None where the listing says it all.

    Text from CSV, typed from others; rows as in the listing, less those that cannot be used.
    """
    if not is_table(source) or len(inputs) == 1:
        return None
    made = layout(source, inputs, warn)
    parts = [part.table.select(["id", *made.columns]) for part in rows(made, SHARES)]
    return pa.concat_tables(parts).combine_chunks()


def tables(
    source: "Source", inputs: "dict[str, Input]", shard_rows: int, shares: tuple[float, float] = SHARES,
    warn: Warn | None = None,
) -> Iterator[Batch]:  # fmt: skip
    """The rows of a table of values, streamed in order, ``shard_rows`` at a time; see `Batch`.

    Rows without an id of their own are called by their number, from 0, baskets by their line, from 1. Memory stays
    flat (but for 8 bytes an id, and for series and long baskets, which are put together whole).

    Args:
        shares: of val and test, where the split goes by time.
        warn: told what was repaired or detected.

    Raises:
        DeepmineError: see `open_table`, `layout`, `rows`, `long`, `windows` and `pairs`.
    """
    from tasks.sources.long_baskets import check_pairs, pairs
    from tasks.sources.long_series import check_series, long
    from tasks.sources.windows import windows

    of_baskets = any(spec.modality == "basket" for spec in inputs.values())
    if source.layout == "long" and of_baskets:
        check_pairs(source, inputs)
    elif source.window or source.layout == "long":
        check_series(source, inputs)
    made = layout(source, inputs, warn)
    if source.window:
        parts = windows(made, shares, warn)
    elif source.layout == "long":
        parts = pairs(made, shares) if of_baskets else long(made, shares, warn)
    else:
        parts = rows(made, shares, warn)
    empty = True
    for batch in shards(parts, shard_rows):
        empty = False
        yield batch
    if empty:
        raise DeepmineError(f"{source.path}: holds no rows.")


def official(source: "Source", inputs: "dict[str, Input]", listing: pa.Table) -> set[str]:
    """The splits that the source itself settles: no row of the others is to be given to these.

    Of a table of values this reads the column of splits; of a split by time all are settled.
    """
    if source.split_by == "time" or source.window:
        return {"val", "test"}
    if by_item(source, inputs):
        return {s for s in pc.unique(listing["split"]).to_pylist() if s}
    if not source.split:
        return set()
    made = layout(source, inputs)
    found: set[Any] = set()
    for block, _ in made.read([source.split]):
        found |= set(pc.unique(text(block.table[source.split], source.split)).to_pylist())
    return {SPLITS[word.lower()] for word in found if word and word.lower() in SPLITS}
