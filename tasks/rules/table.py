"""What rules of a run are found in: what is known of its rows in words, beside it deep features and the label."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array, hstack

from tasks.core.errors import DeepmineError
from tasks.features.binning import fit_binning, from_columns
from tasks.features.deep_items import MOST_ROWS, Clusterer, deep_items
from tasks.features.item_matrix import Transactions
from tasks.features.items import Items
from tasks.features.view import View
from tasks.rules.pruning import common, twins
from tasks.rules.search import FEWEST

if TYPE_CHECKING:
    from tasks.config.mine import Rules as Params

#: Share of the train rows that have a label at least for rules about it, which leave out the others.
LABELLED = 0.5
#: What an item is of: the rows, their deep features, their label.
ITEM, DEEP, LABEL = range(3)


@dataclass(frozen=True)
class Table:
    """What rules of one kind are found in.

    Attributes:
        all: (N, M) which row has which item; ids as of the view.
        attributes: (M,) of the items.
        origin: (M,) `ITEM`, `DEEP` or `LABEL`.
        split: (N,) of the rows.
        meaning: name -> what an item is, where its name does not say it.
        left_out: items that are not searched, in words.
    """

    all: Transactions
    attributes: tuple[str, ...]
    origin: np.ndarray
    split: np.ndarray
    meaning: dict[str, str]
    left_out: tuple[str, ...] = ()

    def of(self, *splits: str) -> Transactions:
        """The rows of ``splits``."""
        return self.all.take(np.isin(self.split, splits))

    def take(self, items: np.ndarray, left_out: tuple[str, ...]) -> "Table":
        """The same rows with the ``items`` (M,) alone."""
        names, attributes = (tuple(np.array(v, object)[items]) for v in (self.all.names, self.attributes))
        chosen = Transactions(self.all.matrix[:, np.flatnonzero(items)], names, self.all.ids, self.all.kind)
        return replace(self, all=chosen, attributes=attributes, origin=self.origin[items], left_out=left_out)


def rule_table(
    over: str, params: "Params", items: Items, deep: View | None, clusterers: Mapping[str, Clusterer], aim: str, seed: int
) -> Table:  # fmt: skip
    """What is searched, less what says nothing.

    Raises:
        DeepmineError: there is nothing to search, and why.
    """
    view = items.view
    if not items.names and over == "items":
        raise DeepmineError("there are no facts of the rows (the store of items is empty).")
    if over == "deep" and (deep is None or deep.sparse):
        raise DeepmineError("there is no deep view of numbers.")
    label, target = _label(view, aim, params.bins)
    parts = [(csr_array(view.X, dtype=bool), items.names, items.attributes, ITEM)]
    meaning: dict[str, str] = {}
    if over == "deep":
        assert deep is not None
        if not np.array_equal(deep.ids, view.ids):
            raise DeepmineError("items and deep features are of different rows. Run: deepmine run")
        chosen = np.flatnonzero(view.rows("train") & (view.known if target is not None else True))
        fitted_on = np.sort(np.random.default_rng(seed).permutation(chosen)[:MOST_ROWS])
        if len(fitted_on) < FEWEST:
            raise DeepmineError(f"{len(fitted_on)} train rows are too few.")
        made = deep_items(
            deep, clusterers, target, fitted_on, directions=params.directions, bins=params.bins, seed=seed
        )
        meaning = made.meaning
        parts.append((made.matrix, made.names, made.attributes, DEEP))
    rows = np.ones(len(view.ids), bool)
    if label is not None:
        # rows without a label would count as rows of another one
        rows = view.known
        parts.append((label.matrix, label.names, ("label",) * len(label.names), LABEL))
    names = _apart([(name, origin) for _, own, _, origin in parts for name in own])
    matrix = csr_array(hstack([csr_array(m) for m, _, _, _ in parts], format="csr"), dtype=bool)
    matrix.sort_indices()
    attributes = tuple(f"{attribute} {origin}" for _, _, own, origin in parts for attribute in own)
    origin = np.array([o for _, own, _, o in parts for _ in own], np.int64)
    # an item that is a value of nothing but itself is a thing that a basket holds
    goods = len(parts) == 1 and items.names == items.attributes
    every = Transactions(matrix, names, view.ids, "baskets" if goods else "rows").take(rows)
    return _lean(Table(every, attributes, origin, view.split[rows], meaning))


def _label(view: View, aim: str, bins: int) -> tuple[Transactions | None, np.ndarray | None]:
    """The label of all rows as items, and as (N,) classes or numbers; None where it says nothing."""
    train = view.rows("train")
    if aim not in ("classification", "regression") or view.known[train].mean() < LABELLED:
        return None, None
    values: np.ndarray = view.label
    if aim == "regression":
        numbers = view.targets(view.known)
        if numbers.shape[1] != 1:
            return None, None
        values = np.full(len(view.ids), np.nan)
        values[view.known] = numbers[:, 0]
    column = pa.array(values.tolist(), mask=~view.known)
    table = pa.table({"label": column})
    fitted = fit_binning(table.filter(pa.array(train & view.known)), bins)
    return from_columns(table, fitted, view.ids), values


def _apart(names: list[tuple[str, int]]) -> tuple[str, ...]:
    """Names of which no two are alike: the later of two says what it is of."""
    taken: set[str] = set()
    found = []
    for name, origin in names:
        if name in taken and origin != ITEM:
            name = f"{name} ({'of the label' if origin == LABEL else 'of the deep features'})"
        taken.add(name)
        found.append(name)
    return tuple(found)


def _lean(table: Table) -> Table:
    """Without items that nearly all rows have, and those that the very rows of another item have."""
    train = table.of("train")
    label = table.origin == LABEL
    frequent = common(train) & ~label
    names = table.all.names
    same = {i: first for i, first in twins(train).items() if table.origin[i] == table.origin[first] and not label[i]}
    told = [f"“{names[i]}” is in nearly every row" for i in np.flatnonzero(frequent)]
    told += [f"“{names[i]}” is in the same rows as “{names[first]}”" for i, first in same.items() if not frequent[i]]
    keep = ~frequent
    keep[list(same)] = False
    return table.take(keep, tuple(told))
