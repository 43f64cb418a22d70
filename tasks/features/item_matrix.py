"""Which rows have which items: `ItemMatrix` for what is known of rows, `Transactions` for what rules are found in."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.sparse import csr_array, hstack

from tasks.core.errors import DeepmineError

Kind = Literal["baskets", "rows"]


@dataclass(frozen=True)
class ItemMatrix:
    """Which of M items N rows have.

    Attributes:
        matrix: (N, M) `csr_array`, not zero where a row has an item.
        names: of the items, as a person reads them: `colour=red`, `cluster 3 (kmeans)`.
        attributes: what each is a value of, say `colour`; equal for the items of one column.
        meaning: name -> what an item is, in words, where its name does not say it.
    """

    matrix: csr_array
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    meaning: dict[str, str] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> "ItemMatrix":
        """The rows at ``rows``, positions or an (N,) mask, over the same items."""
        return ItemMatrix(csr_array(self.matrix[rows]), self.names, self.attributes, self.meaning)

    def beside(self, other: "ItemMatrix") -> "ItemMatrix":
        """The items of both for the same rows."""
        both = csr_array(hstack([self.matrix, other.matrix], format="csr"))
        names, attributes = self.names + other.names, self.attributes + other.attributes
        return ItemMatrix(both, names, attributes, self.meaning | other.meaning)


@dataclass(frozen=True)
class Transactions:
    """N baskets over M items.

    Attributes:
        matrix: (N, M) bool `csr_array`: which item is in which basket.
        names: of the M items, no two alike.
        ids: (N,) texts that name the baskets.
        kind: what a transaction is: a basket, or the row of a table.
    """

    matrix: csr_array
    names: tuple[str, ...]
    ids: np.ndarray
    kind: Kind = "baskets"

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.ids), len(self.names)):
            raise ValueError(f"{self.matrix.shape} for {len(self.ids)} ids and {len(self.names)} names")
        twice = sorted(self.names) if len(set(self.names)) < len(self.names) else []
        for name, following in pairwise(twice):
            if name == following:
                raise DeepmineError(f"two items are named '{name}', so rules could not distinguish them. Rename one.")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Transactions":
        """The baskets at ``rows``, positions or an (N,) mask, over the same items."""
        return Transactions(self.matrix[rows], self.names, self.ids[rows], self.kind)


def from_baskets(baskets: Iterable[tuple[str, Sequence[str]]]) -> Transactions:
    """Transactions of pairs (id, names of items), read once; items are sorted by name.

    Space around a name does not count, nor does an empty name, nor how often an item is in its basket.

    >>> baskets = from_baskets([("r1", ["milk", "bread"]), ("r2", ["milk"])])
    >>> baskets.names, baskets.matrix.toarray().astype(int).tolist()
    (('bread', 'milk'), [[1, 1], [0, 1]])
    """
    known: dict[str, int] = {}
    ids: list[str] = []
    places, starts = array("q"), array("q", [0])
    for key, names in baskets:
        items = {name.strip() for name in names} - {""}
        places.extend([known.setdefault(name, len(known)) for name in sorted(items)])
        starts.append(len(places))
        ids.append(key)
    ordered = sorted(known)
    rank = np.empty(len(ordered), np.int64)  # (M,) where the item first seen as the i-th stands among the sorted
    rank[[known[name] for name in ordered]] = np.arange(len(ordered))
    columns = rank[np.frombuffer(places, np.int64)] if places else np.empty(0, np.int64)
    cells = (np.ones(len(columns), bool), columns, np.frombuffer(starts, np.int64))
    return _transactions(csr_array(cells, shape=(len(ids), len(ordered))), ordered, ids)


def _transactions(matrix: csr_array, names: Sequence[str], ids: Sequence[str]) -> Transactions:
    matrix.sort_indices()
    return Transactions(matrix, tuple(names), np.array(ids, dtype=object).astype(str))
