"""Columns of a table as items: categories as `column=value`, numbers as the interval that they lie in."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from tasks.core.errors import DeepmineError
from tasks.features.item_matrix import Transactions

#: Share of the numbers of a column that a cut of fewer digits may put on its other side.
MOVED = 0.01


@dataclass(frozen=True)
class Binning:
    """What train rows settle about columns; of plain values, so that it can be saved as JSON.

    Attributes:
        cuts: of a column of numbers, where one interval ends and the next begins, rising.
        levels: of a column of categories, sorted.
    """

    cuts: dict[str, tuple[float, ...]]
    levels: dict[str, tuple[str, ...]]


def fit_binning(table: pa.Table, bins: int = 4) -> Binning:
    """Levels and intervals of the columns of train rows; the intervals hold about equally many of them.

    Numbers of no more values than ``bins`` are categories. A column that is constant and nowhere missing, or that is
    always missing, gives no item.

    Raises:
        DeepmineError: a column of dates or of another type that is neither number, text nor truth value; or none left.

    >>> fit_binning(pa.table({"age": [20, 30, 40, 50, 60, 70], "colour": ["red", "blue"] * 3}), bins=2)
    Binning(cuts={'age': (50.0,)}, levels={'colour': ('blue', 'red')})
    """
    cuts, levels = {}, {}
    for name in table.column_names:
        column = _column(table, name)
        values = column.drop_null()
        count = pc.count_distinct(values).as_py() if len(values) else 0
        if count == 0 or (count == 1 and not column.null_count):
            continue
        if pa.types.is_floating(column.type) and count > bins:
            cuts[name] = _cuts(values.to_numpy(), bins)
        else:
            levels[name] = tuple(sorted(set(_levels(values.unique())) - {""}, key=_natural))
    if not cuts and not levels:
        raise DeepmineError(
            f"no column of {', '.join(table.column_names) or 'the table'} tells one train row from another, so there "
            "is nothing to find rules in. Name other columns."
        )
    return Binning(cuts, levels)


def from_columns(table: pa.Table, binning: Binning, ids: np.ndarray) -> Transactions:
    """Transactions of N rows, one item for each column that has a value; those of columns of numbers stand first.

    A missing value or an empty text gives no item, nor does a level that train rows had not; numbers beyond those of
    the train rows belong to the first or last interval.

    Args:
        ids: (N,) names of the rows.

    Raises:
        DeepmineError: a column is missing, or two columns make items of the same name.

    >>> table = pa.table({"colour": ["red", None, "blue"]})
    >>> items = from_columns(table, fit_binning(table), np.arange(3))
    >>> items.names, items.matrix.toarray().astype(int).tolist()
    (('colour=blue', 'colour=red'), [[0, 1], [0, 0], [1, 0]])
    """
    names: list[str] = []
    found = []
    for name in (*binning.cuts, *binning.levels):
        if name not in table.column_names:
            raise DeepmineError(f"there is no column '{name}', on which the items were fitted.")
        column = _column(table, name)
        if name in binning.cuts:
            cuts = binning.cuts[name]
            code = np.searchsorted(cuts, column.fill_null(0.0).to_numpy(), side="right")
            own, code = intervals(name, cuts), np.where(column.is_null().to_numpy(zero_copy_only=False), -1, code)
        else:
            levels = binning.levels[name]
            different = column.dictionary_encode()  # each level is looked up once
            places = {level: i for i, level in enumerate(levels)}
            known = [places.get(value, -1) for value in _levels(different.dictionary)]
            code = np.array([*known, -1], np.int64)[different.indices.fill_null(len(known)).to_numpy()]
            own = [f"{name}={level}" for level in levels]
        found.append(np.where(code < 0, -1, code + len(names)))
        names += own
    matrix = one_hot(np.stack(found, axis=1), len(names))
    return Transactions(matrix, tuple(names), np.asarray(ids).astype(str), "rows")


def one_hot(codes: np.ndarray, width: int) -> csr_array:
    """(N, width) bool: the items of (N, K) codes, those of one row rising; -1 for none.

    >>> one_hot(np.array([[0, 2], [1, -1]]), 3).toarray().astype(int).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    there = codes >= 0
    starts = np.concatenate([[0], np.cumsum(there.sum(1))])
    return csr_array((np.ones(there.sum(), bool), codes[there], starts), shape=(len(codes), width))


def intervals(name: str, cuts: tuple[float, ...]) -> list[str]:
    """What the items of a column of numbers are called: `age < 27`, `27 <= age < 41`, `age >= 41`.

    >>> intervals("age", (27.0, 41.0))
    ['age < 27', '27 <= age < 41', 'age >= 41']
    """
    ends = [repr(cut).removesuffix(".0") for cut in cuts]
    inner = [f"{low} <= {name} < {high}" for low, high in pairwise(ends)]
    return [f"{name} < {ends[0]}", *inner, f"{name} >= {ends[-1]}"]


def _column(table: pa.Table, name: str) -> pa.Array:
    """A column as float64, text or truth value, in one piece, NaN as missing."""
    column = table[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        return pc.add(pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers), 0.0)  # no -0.0
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    raise DeepmineError(
        f"column '{name}' holds {kind}, which makes no items: rules are found in numbers, texts and truth values. "
        "Leave it out, or make numbers of it (of a date, say, its month)."
    )


def _levels(column: pa.Array) -> Iterator[str]:
    """Each value as the text that its item is called by: 2.0 -> "2", True -> "yes", missing -> ""."""
    for value in column.to_pylist():
        if isinstance(value, bool):
            yield "yes" if value else "no"
        elif isinstance(value, float):
            yield repr(value).removesuffix(".0")
        else:
            yield value or ""


def _natural(level: str) -> tuple[float, str]:
    """Numbers by size, then texts."""
    try:
        number = float(level)
    except ValueError:
        number = np.inf
    return number if number == number else np.inf, level  # "nan" has no place among numbers


def _cuts(values: np.ndarray, bins: int) -> tuple[float, ...]:
    """Inner edges of quantile bins over (N,) numbers, in as few digits as part nearly all of them alike."""
    from sklearn.preprocessing import KBinsDiscretizer

    made = KBinsDiscretizer(
        bins, strategy="quantile", encode="ordinal", quantile_method="averaged_inverted_cdf", subsample=None
    )
    finite = values[np.isfinite(values)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Bins whose width are too small")  # where a value is so frequent
        made.fit(finite[:, None])
    distinct = np.unique(values)
    edges = made.bin_edges_[0][1:-1]
    if not len(edges):  # nearly all are of the smallest value, or of the largest
        low, high = distinct[0], distinct[-1]
        edges = np.array([distinct[1] if (values == low).sum() > (values == high).sum() else high])
    places = np.unique(np.searchsorted(distinct, edges))
    ordered, cuts, least = np.sort(values), [], distinct[0]
    for place in places[places > 0]:
        cuts.append(_short(ordered, least, distinct[place]))
        least = distinct[place]
    return tuple(cuts)


def _short(ordered: np.ndarray, least: float, value: float) -> float:
    """The number of fewest digits above ``least`` and not above ``value`` with few of the sorted numbers between."""
    for digits in range(1, 17):
        near = float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal_from_float(value))
        between = np.searchsorted(ordered, value) - np.searchsorted(ordered, near)
        if near > least and between <= MOVED * len(ordered):
            return near
    return float(value)
