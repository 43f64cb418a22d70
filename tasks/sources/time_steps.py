"""Tables whose rows are steps of series: read whole, as numbers, and put in order of time.

8 bytes a value. A cell that is no number spoils the item that it belongs to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.base import Warn
from tasks.sources.joins import text
from tasks.sources.rows import COMMON, Layout, Part, bad_rows
from tasks.sources.table_file import BadRow
from tasks.sources.timestamps import Clock, numbers

#: Values of series in one piece on its way to the shards.
PIECE = 1 << 21


@dataclass(frozen=True)
class Steps:
    """N rows of a table, each one step of a series.

    Attributes:
        values: (N, C) float64, NaN where missing.
        times: (N,) float64, or the rows' order where no column tells time.
        numbers, places: where each row stands.
        texts: label, split, group and id of each row, where there are such columns.
        spoilt: by step: reason and detail why it cannot be used.
        lost: rows that could not be read.
    """

    values: np.ndarray
    times: np.ndarray
    numbers: np.ndarray
    places: pa.Array
    texts: dict[str, pa.Array]
    spoilt: dict[int, tuple[str, str]]
    lost: list[BadRow]


def gather(made: Layout) -> Steps:
    """All rows of the table as numbers."""
    keys = {key: name for key, name in made.keys.items() if key != "time"}
    clock = Clock(made.keys["time"]) if "time" in made.keys else None
    values, times, numbers_, places = [], [], [], []
    texts: dict[str, list[pa.ChunkedArray]] = {key: [] for key in keys}
    spoilt: dict[int, tuple[str, str]] = {}
    lost: list[BadRow] = []
    n = 0
    for block, faults in made.read(list(dict.fromkeys([*made.columns, *made.keys.values()]))):
        table = block.table
        lost += block.bad
        if not table.num_rows:
            continue
        read = [numbers(table[name]) for name in made.columns]
        values.append(np.stack([v for v, _ in read], axis=1))
        times.append(clock(table[made.keys["time"]]) if clock else block.numbers.astype(np.float64))
        for key, name in keys.items():
            texts[key].append(text(table[name], name))
        for name, (_, wrong) in zip(made.columns, read, strict=True):
            for i in np.flatnonzero(wrong):
                spoilt.setdefault(n + int(i), ("not a number", f"{block.places[int(i)]}: column '{name}'"))
        for i in np.flatnonzero(np.isnan(times[-1])):
            spoilt.setdefault(n + int(i), ("no time", f"{block.places[int(i)]}: column '{made.keys['time']}'"))
        for at, (reason, detail) in faults.items():
            spoilt.setdefault(n + at, (reason, f"{block.places[at]}: {detail}"))
        numbers_.append(block.numbers)
        places.append(block.places)
        n += table.num_rows
    if not n:
        raise DeepmineError(f"{made.file.path}: holds no row that can be read.")
    return Steps(
        np.concatenate(values), np.concatenate(times), np.concatenate(numbers_), _whole(places),
        {key: _whole(parts) for key, parts in texts.items()}, spoilt, lost,
    )  # fmt: skip


def _whole(parts: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array:
    chunks = [c for part in parts for c in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return pa.concat_arrays([c.cast(pa.string()) for c in chunks])


def in_order(made: Layout, times: np.ndarray, codes: np.ndarray, keep: np.ndarray, warn: Warn | None) -> np.ndarray:
    """The rows by series (``codes``) and time, less those that repeat a time of their series.

    Args:
        keep: (N,) rows that stay even so.
    """
    if "time" not in made.keys:
        return np.argsort(codes, kind="stable")
    known = np.where(np.isnan(times), -np.inf, times)
    as_read = np.argsort(codes, kind="stable")
    backward = (np.diff(codes[as_read]) == 0) & (known[as_read][1:] < known[as_read][:-1])
    order = np.lexsort((known, codes))
    again = (np.diff(codes[order]) == 0) & (known[order][1:] == known[order][:-1])
    repeats = np.concatenate([[False], again]) & np.isfinite(times[order]) & ~keep[order]
    for count, what in ((backward.sum(), "stand below a later one: sorted by time"),
                        (repeats.sum(), "repeat a time of their series: the first of each is kept")):  # fmt: skip
        if count and warn:
            warn(f"{made.file.path}: {count:,} rows {what}")
    return order[~repeats]


def lists(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.float64()))


def with_lists(common: pa.Table, names: Sequence[str], lists: list[pa.Array]) -> pa.Table:
    for name, values in zip(names, lists, strict=True):
        common = common.append_column(name, values)
    return common


def parts_of(
    made: Layout, pieces: Iterator[tuple[pa.Table, np.ndarray]], count: int, faults: dict[int, tuple[str, str]],
    lost: list[BadRow],
) -> Iterator[Part]:  # fmt: skip
    """``count`` items, which come in pieces with their numbers, less those with ``faults``; bad rows in their order.

    Args:
        lost: rows of the table that belong to no item.
    """
    done, size = 0, made.file.path.stat().st_size
    bad = [(r.number, (r.place, r.place, None, None, r.reason, r.detail)) for r in lost]
    for table, at in pieces:
        keep = np.ones(table.num_rows, bool)
        for i in (i for i in range(table.num_rows) if done + i in faults):
            row = table.slice(i, 1).select(COMMON).to_pylist()[0]
            bad.append((int(at[i]), (row["id"], row["source"], row["label"], row["split"], *faults[done + i])))
            keep[i] = False
        done += table.num_rows
        bad.sort(key=lambda entry: entry[0])
        here = [entry for entry in bad if done == count or entry[0] <= at[-1]]
        bad = bad[len(here) :]
        yield Part(table.filter(pa.array(keep)), at[keep], bad_rows([row for _, row in here]),
                   np.array([n for n, _ in here], np.int64), size * done // count, size)  # fmt: skip
