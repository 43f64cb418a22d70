"""Where rows come from: folders of files, tables (of values, or of paths to files), or what ships with a dependency.

There are two ways in. Where some input is made of files, `listing` has a row for each item, and `read_bytes` (and
`values`, for the inputs that are columns) give what they hold. Where all inputs are columns, `listing` has a row for
each table, which costs nothing however long they are, and `tables` streams their rows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DeepmineError
from tasks.sources.base import (
    EMBEDDED,
    LISTING,
    SHARES,
    SPLITS,
    TIME,
    Unreadable,
    Warn,
    by_item,
    column,
    exists,
    is_table,
    listed,
    paths_of,
    root_of,
    size_of,
    uses_files,
)
from tasks.sources.files import embedded, read_bytes, unusable
from tasks.sources.folders import compiled, folder, said
from tasks.sources.rows import layout, rows
from tasks.sources.shards import Batch, shards

if TYPE_CHECKING:
    from tasks.config import Input, Source

__all__ = [
    "EMBEDDED", "LISTING", "SPLITS", "Batch", "Unreadable", "by_item", "column", "exists", "is_table", "listing",
    "official", "read_bytes", "root_of", "tables", "uses_files", "values",
]  # fmt: skip


def listing(
    source: "Source", inputs: "dict[str, Input]", shares: tuple[float, float] = SHARES, warn: Warn | None = None
) -> pa.Table:
    """What the source holds, sorted by id, with the columns of `LISTING`; reads names, sizes and (of items) labels.

    One row an item: `path` relative to the root (null where the row lacks this file), `size` in bytes (-1: absent),
    `mtime_ns`, the source's own `label`, `split`, `group` or null, and its time as `.time` where one is named. Or, of
    tables of values, one row a file.

    Args:
        shares: of val and test, for a split by time.

    Raises:
        DeepmineError: the source is absent, empty, or no form that is known.
    """
    path, times = Path(source.path), None
    if source.path.startswith(EMBEDDED):
        found = embedded(source.path)
    elif path.is_dir():
        _check_folder(source, inputs)
        found = folder(source)
    elif not path.is_file():
        raise DeepmineError(f"{path}: no such file or folder. Check the path (in params.yaml: source).")
    elif by_item(source, inputs):
        found, times = _items(source, inputs, shares, warn)
    else:
        found = [(p.name, p.name, *size_of(p), None, None, None) for p in paths_of(source)]
    if not found:
        raise DeepmineError(f"{path}: holds no items. Expected one folder per class with files inside.")
    return listed(found, times)


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
    from tasks.sources.pairs import check_pairs, pairs
    from tasks.sources.series import check_series, long
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
        found |= set(pc.unique(block.table[source.split]).to_pylist())
    return {SPLITS[word.lower()] for word in found if word and word.lower() in SPLITS}


def _check_folder(source: "Source", inputs: "dict[str, Input]") -> None:
    for name, spec in inputs.items():
        if not uses_files(source, spec) or spec.columns != ("path",):
            raise DeepmineError(
                f"{source.path}: a folder has files and no columns ({', '.join(spec.columns)}, of input '{name}'). "
                "List its files in a table with a column of paths, and take that as the source."
            )
    if source.join or source.split_by == "time":
        raise DeepmineError(f"{source.path}: join and split_by: time need a table. List the files in one.")


def _items(
    source: "Source", inputs: "dict[str, Input]", shares: tuple[float, float], warn: Warn | None
) -> tuple[list[tuple[Any, ...]], list[float | None] | None]:
    """Rows of the listing from a table of paths, and their times if it has any.

    A row that cannot be used is told by its path (`unusable`).
    """
    made = layout(source, inputs, warn)
    root = Path(root_of(source))
    pattern = compiled(source.pattern) if source.pattern else None
    files = [spec.columns[0] for spec in inputs.values() if uses_files(source, spec)]
    # a row is read anew when a value of its table may have changed
    newest = max(size_of(p)[1] for p in paths_of(source)) if len(inputs) > 1 else 0
    found: list[tuple[Any, ...]] = []
    times: list[float | None] = []
    for part in rows(made, shares, warn, alone=len(inputs) == 1):
        columns = ["id", "label", "split", "group", *files]
        for row in part.table.select(list(dict.fromkeys(columns))).to_pylist():
            own = {key: row[key] for key in ("label", "split", "group")}
            if pattern and row[files[0]]:
                own |= {key: value for key, value in said(pattern, row[files[0]]).items() if value}
            sizes = [size_of(root / str(row[name])) for name in files if row[name]]
            size = -1 if any(s < 0 for s, _ in sizes) else sum(s for s, _ in sizes)
            changed = max([newest, *(t for _, t in sizes)])
            found.append((row["id"], row[files[0]] or None, size, changed, own["label"], own["split"], own["group"]))
        times += part.table[TIME].to_pylist() if TIME in part.table.column_names else []
        times += [None] * part.bad.num_rows
        for row in part.bad.to_pylist():
            path = unusable(row["source"], row["reason"], row["detail"])
            found.append((row["id"], path, -1, 0, row["label"], row["split"], None))
    return found, times if "time" in made.keys else None
