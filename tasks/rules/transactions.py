"""Transactions: baskets of named items, from files of baskets or from pairs of basket and item."""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from tasks.errors import DeepmineError

Kind = Literal["baskets", "rows"]


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
                raise DeepmineError(f"two items are called '{name}', and no rule could tell them apart. Rename one.")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Transactions":
        """The baskets at ``rows``, positions or an (N,) mask, over the same items."""
        return Transactions(self.matrix[rows], self.names, self.ids[rows], self.kind)


def from_baskets(baskets: Iterable[tuple[str, Sequence[str]]]) -> Transactions:
    """Transactions of pairs (id, names of items), read once; items are sorted by name.

    Space around a name does not count, nor does an empty name, nor how often an item is in its basket.
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


def read_baskets(path: Path) -> Transactions:
    """A file of one basket a line, its items parted by commas (CSV without a header); ids are the lines, from 1.

    A blank line is no basket; one of commas alone is a basket without items. Memory holds the items, not the file.

    Raises:
        DeepmineError: the file is not there, is no UTF-8, has a broken quote, or holds no basket.
    """
    found = from_baskets(_lines(path))
    if not len(found):
        raise DeepmineError(f"{path}: holds no basket. Write one a line, its items parted by commas.")
    return found


def from_long(baskets: Sequence[Any], items: Sequence[Any]) -> Transactions:
    """Transactions of (P,) keys of baskets and (P,) items, a pair a row; both are sorted as text.

    A missing or empty item adds nothing to its basket, which counts all the same.

    Raises:
        DeepmineError: a row names no basket.
    """
    held: dict[str, list[str]] = {}
    for row, (key, item) in enumerate(zip(_texts(baskets), _texts(items), strict=True)):
        if not key:
            raise DeepmineError(f"row {row + 1} names an item and no basket. Fill in its basket, or leave it out.")
        held.setdefault(key, []).append(item)
    return from_baskets(sorted(held.items()))


def _transactions(matrix: csr_array, names: Sequence[str], ids: Sequence[str]) -> Transactions:
    matrix.sort_indices()
    return Transactions(matrix, tuple(names), np.array(ids, dtype=object).astype(str))


def _texts(values: Sequence[Any]) -> Iterator[str]:
    """Each value as text; "" for what is missing (None, NaN)."""
    for value in values.tolist() if isinstance(values, np.ndarray) else values:
        yield "" if value is None or value != value else str(value).strip()


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield str(line), cells
                line = reader.line_num + 1
    except OSError as error:
        raise DeepmineError(f"{path}: cannot be read: {error.strerror}. Is the path right?") from None
    except UnicodeDecodeError as error:
        raise DeepmineError(f"{path}: not UTF-8, near line {line}: {error.reason}. Save it as UTF-8.") from None
    except csv.Error as error:
        raise DeepmineError(
            f'{path}:{line}: {error}. Close the quote, or double it ("") where it is meant as a character.'
        ) from None
