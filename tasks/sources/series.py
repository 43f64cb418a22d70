"""Long tables: a row for each id and time, put together to one series for each id."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.errors import DeepmineError
from tasks.sources.base import Warn, named_splits
from tasks.sources.rows import COMMON, TIME, Layout, Part
from tasks.sources.steps import PIECE, gather, in_order, lists, parts_of, with_lists
from tasks.sources.tablefile import BadRow
from tasks.sources.times import cuts, splits

if TYPE_CHECKING:
    from tasks.config import Input, Source


def check_series(source: "Source", inputs: "dict[str, Input]") -> None:
    """Refuse what these layouts cannot do.

    Raises:
        DeepmineError: an input that is no series, or keys that exclude each other.
    """
    which = "source.window" if source.window else "source.layout: long"
    for name, spec in inputs.items():
        if spec.modality != "series":
            raise DeepmineError(
                f"{which} makes series, but input '{name}' is {spec.modality}. Give it a table of its own."
            )
    if source.window and (source.layout == "long" or source.id or source.group):
        raise DeepmineError(
            "source.window cuts one series. Take out id, group and layout: long, or the window (layout: long makes "
            "one item of each id)."
        )
    if source.layout == "long" and not source.id:
        raise DeepmineError("source.layout: long needs source.id, the column that says which series a row belongs to.")


def long(made: Layout, shares: tuple[float, float], warn: Warn | None = None) -> Iterator[Part]:
    """One item for each id, in the order in which they first appear, its rows sorted by time.

    Of rows of one id and time the first is kept. Label, split and group must be the same in all rows of an id.
    With a split by time an item belongs where its last row does.
    """
    steps = gather(made)
    ids = steps.texts["id"].dictionary_encode()
    codes = ids.indices.fill_null(-1).to_numpy()
    order = in_order(made, steps.times, codes, np.zeros(len(codes), bool), warn)
    order = order[codes[order] >= 0]
    if not len(order):
        raise DeepmineError(f"{made.file.path}: no row has an id (column '{made.source.id}').")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    faults = faults_by(steps.spoilt, codes)
    found: dict[str, pa.Array] = {}
    for key in ("label", "split", "group"):
        found[key], several = constant(steps.texts.get(key), order, starts)
        for item in several.tolist():
            faults.setdefault(item, (f"several {key}s", f"{key} changes within the series"))
    first = np.minimum.reduceat(order, starts)
    where = steps.places.take(pa.array(first))
    if "split" in steps.texts:
        found["split"] = named_splits(found["split"], where)
    if made.source.split_by == "time":
        last = np.maximum.reduceat(np.nan_to_num(steps.times[order], nan=-np.inf), starts)
        found["split"] = pa.array(splits(last, cuts(last, shares)), pa.string())
    nameless = [BadRow(int(steps.numbers[i]), steps.places[int(i)].as_py(), "id missing", f"column '{made.source.id}'")
                for i in np.flatnonzero(codes < 0)]  # fmt: skip
    common = pa.table([ids.dictionary, where, *(found[k] for k in ("label", "split", "group"))], names=list(COMMON))
    if made.source.split_by == "time":
        common = common.append_column(TIME, pa.array(last, pa.float64()))

    def pieces() -> Iterator[tuple[pa.Table, np.ndarray]]:
        size = max(1, PIECE * max(1, len(starts)) // max(1, steps.values.size))
        for a in range(0, len(starts), size):
            b = min(a + size, len(starts))
            rows = order[starts[a] : ends[b - 1]]
            offsets = np.append(starts[a:b], ends[b - 1]) - starts[a]
            columns = [lists(offsets, steps.values[rows, c]) for c in range(steps.values.shape[1])]
            yield with_lists(common.slice(a, b - a), made.columns, columns), steps.numbers[first[a:b]]

    yield from parts_of(made, pieces(), len(starts), faults, [*steps.lost, *nameless])


def faults_by(spoilt: dict[int, tuple[str, str]], codes: np.ndarray) -> dict[int, tuple[str, str]]:
    faults: dict[int, tuple[str, str]] = {}
    for row in sorted(spoilt):
        if codes[row] >= 0:
            faults.setdefault(int(codes[row]), spoilt[row])
    return faults


def constant(texts: pa.Array | None, order: np.ndarray, starts: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Of each item the one value that its rows have (null where none has), and the items that have several."""
    if texts is None:
        return pa.nulls(len(starts), pa.string()), np.zeros(0, np.int64)
    encoded = texts.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()[order]
    high = np.maximum.reduceat(codes, starts)
    low = np.minimum.reduceat(np.where(codes < 0, np.iinfo(codes.dtype).max, codes), starts)
    values = encoded.dictionary.take(pa.array(high, mask=high < 0))
    return values.cast(pa.string()), np.flatnonzero((high >= 0) & (high != low))
