"""Long tables: what the rows of one id say of the item that they make up together."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.base import TIME, named_splits
from tasks.sources.rows import COMMON, Layout
from tasks.sources.table_file import BadRow
from tasks.sources.timestamps import cuts, splits


class Gathered(Protocol):
    """N rows that belong to items: where each stands, its words and time, and what is wrong with it."""

    @property
    def texts(self) -> dict[str, pa.Array]: ...
    @property
    def times(self) -> np.ndarray: ...
    @property
    def numbers(self) -> np.ndarray: ...
    @property
    def places(self) -> pa.Array: ...
    @property
    def spoilt(self) -> dict[int, tuple[str, str]]: ...
    @property
    def lost(self) -> list[BadRow]: ...


@dataclass(frozen=True)
class Items:
    """M items, in the order in which their ids first appear.

    Attributes:
        order: rows, those of one item together; those of item i are ``order[starts[i]:ends[i]]``.
        first: (M,) the row of each that comes first in the table.
        common: id, place, label, split and group of each, and its time where time splits the rows.
        faults: by item: reason and detail why it cannot be used.
        lost: rows that could not be read, or belong to no item.
    """

    order: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    first: np.ndarray
    common: pa.Table
    faults: dict[int, tuple[str, str]]
    lost: list[BadRow]


def codes_of(rows: Gathered) -> tuple[np.ndarray, pa.Array]:
    """(N,) the number of each row's id, -1 where it has none, and the ids."""
    ids = rows.texts["id"].dictionary_encode()
    return ids.indices.fill_null(-1).to_numpy(), ids.dictionary


def by_id(
    made: Layout, rows: Gathered, codes: np.ndarray, ids: pa.Array, order: np.ndarray, shares: tuple[float, float],
    item: str,
) -> Items:  # fmt: skip
    """The items that ``rows``, in ``order`` of their ids, make up; ``item`` is what messages call one.

    Label, split and group must be the same in all rows of an id. With a split by time an item belongs where its last
    row does.

    Args:
        codes, ids: as `codes_of` has them of these rows.

    Raises:
        DeepmineError: no row has an id.
    """
    order = order[codes[order] >= 0]
    if not len(order):
        raise DeepmineError(f"{made.file.path}: no row has an id (column '{made.source.id}').")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    faults: dict[int, tuple[str, str]] = {}
    for row in sorted(rows.spoilt):
        if codes[row] >= 0:
            faults.setdefault(int(codes[row]), rows.spoilt[row])
    found: dict[str, pa.Array] = {}
    for key in ("label", "split", "group"):
        found[key], several = _constant(rows.texts.get(key), order, starts)
        for i in several.tolist():
            faults.setdefault(i, (f"several {key}s", f"{key} changes within the {item}"))
    first = np.minimum.reduceat(order, starts)
    where = rows.places.take(pa.array(first))
    if "split" in rows.texts:
        found["split"] = named_splits(found["split"], where)
    columns = [ids, where, *(found[key] for key in ("label", "split", "group"))]
    common = pa.table(columns, names=list(COMMON))
    if made.source.split_by == "time":
        last = np.maximum.reduceat(np.nan_to_num(rows.times[order], nan=-np.inf), starts)
        at = common.schema.get_field_index("split")
        common = common.set_column(at, "split", pa.array(splits(last, cuts(last, shares)), pa.string()))
        common = common.append_column(TIME, pa.array(last, pa.float64()))
    nameless = [
        BadRow(int(rows.numbers[i]), rows.places[int(i)].as_py(), "id missing", f"column '{made.source.id}'")
        for i in np.flatnonzero(codes < 0)
    ]
    return Items(order, starts, ends, first, common, faults, [*rows.lost, *nameless])


def _constant(texts: pa.Array | None, order: np.ndarray, starts: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Of each item the one value that its rows have (null where none has), and the items that have several."""
    if texts is None:
        return pa.nulls(len(starts), pa.string()), np.zeros(0, np.int64)
    encoded = texts.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()[order]
    high = np.maximum.reduceat(codes, starts)
    low = np.minimum.reduceat(np.where(codes < 0, np.iinfo(codes.dtype).max, codes), starts)
    values = encoded.dictionary.take(pa.array(high, mask=high < 0))
    return values.cast(pa.string()), np.flatnonzero((high >= 0) & (high != low))
