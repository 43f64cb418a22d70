"""What is known of each row in words, made of the raw and the cleaned data: groups, columns, measurements, goods.

Every fact is a column first (`facts`), then items (`fit` on train rows, `held` of any): a category is one item a level,
a number the interval that it lies in, a truth value one item where it is true.
"""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array, hstack

from tasks.features.binning import Binning, fit_binning, from_columns, intervals
from tasks.features.items import MOST_LEVELS

#: Intervals of a column of numbers: quarters of the train rows. Of more, each says less of more rows.
BINS = 4
#: Characters of a level at most; what is longer is a text, not a category.
LONGEST = 100
GROUP = "group"
MISSING = " missing"
#: Parts of a date, with what names them.
PARTS = {"year": "year of {}", "month": "month of {}", "weekday": "weekday of {}", "hour": "hour of {}"}
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

#: What train rows settle of one column: `cuts` of numbers, `levels` of categories, neither of a truth value.
Fitted = dict[str, dict[str, Any]]


def facts_of(columns: dict[str, pa.Array]) -> pa.Table:
    """Columns of numbers, texts, dates and truth values as `facts` has them, and where each is missing.

    >>> facts_of({"colour": pa.array(["red", None])}).to_pylist()
    [{'': 0, 'colour': 'red', 'colour missing': False}, {'': 1, 'colour': None, 'colour missing': True}]
    """
    found = []
    for name, values in columns.items():
        found += [*expanded(name, values), (f"{name}{MISSING}", values.is_null())]
    rows = len(next(iter(columns.values()), ()))
    full = unique(key for key, _ in found)
    return pa.table({"": np.arange(rows), **dict(zip(full, (value for _, value in found), strict=True))})


def fit(table: pa.Table) -> Fitted:
    """Levels and intervals of `facts` of train rows. Columns that tell none of these rows from another are left out.

    Of many levels the most frequent stay, none of them of a single row.

    >>> fit(facts_of({"colour": pa.array(["red", "blue", "red"])}))
    {'colour': {'levels': ['blue', 'red']}}
    """
    columns, flags = {}, []
    for name in table.column_names[1:]:
        column = table[name].combine_chunks()
        different = pc.count_distinct(column.drop_null()).as_py()
        column = _frequent(column) if pa.types.is_string(column.type) else column
        # of a measurement that is the same wherever it is, that the input is missing tells as much
        if different > 1 or (different and column.null_count and f"{name}{MISSING}" in table.column_names):
            if pa.types.is_boolean(column.type):
                flags.append(name)
            else:
                columns[name] = column
    columns = {name: column for name, column in columns.items() if column.null_count < len(column)}
    binning = fit_binning(pa.table(columns), BINS) if columns else Binning({}, {})
    fitted: Fitted = {name: {"cuts": list(cuts)} for name, cuts in binning.cuts.items()}
    fitted |= {name: {"levels": list(levels)} for name, levels in binning.levels.items() if levels}
    return fitted | {name: {} for name in flags}


def held(table: pa.Table, fitted: Fitted) -> csr_array:
    """(N, M) bool: which of the items of ``fitted`` each row of `facts` has. A level that train rows had not is none.

    >>> table = facts_of({"colour": pa.array(["red", "blue"])})
    >>> held(table, fit(table)).toarray().astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    # numbered, as two columns may make items of equal names: `a=b` with the level c, and `a` with the level b=c
    number = {name: str(i) for i, name in enumerate(fitted)}
    cuts, levels = (
        {number[name]: tuple(own[key]) for name, own in fitted.items() if key in own} for key in ("cuts", "levels")
    )
    parts = [csr_array((table.num_rows, 0), dtype=bool)]
    if cuts or levels:
        columns = pa.table({number[name]: table[name] for name, own in fitted.items() if own})
        parts.append(from_columns(columns, Binning(cuts, levels), np.arange(table.num_rows)).matrix)
    flags = [table[name].fill_null(False).to_numpy()[:, None] for name, own in fitted.items() if not own]
    return csr_array(hstack([*parts, *map(csr_array, flags)], format="csr"))


def named(fitted: Fitted, goods: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Names and attributes of the items of ``fitted``, then of the ``goods`` of each input; no two names alike.

    >>> named({"age": {"cuts": [30.0]}, "member": {}}, {"basket": ["milk"]})
    (['age < 30', 'age >= 30', 'member', 'milk'], ['age', 'age', 'member', 'milk'])
    """
    names: list[str] = []
    attributes: list[str] = []
    for name, own in fitted.items():
        if "cuts" in own:
            names += intervals(name, tuple(own["cuts"]))
        else:
            names += [f"{name}={level}" for level in own["levels"]] if own else [name]
        attribute = name if own else name.removesuffix(MISSING)
        attributes += [attribute] * (len(names) - len(attributes))
    several = len(goods) > 1
    listed = [f"{name} {good}" if several else good for name, own in goods.items() for good in own]
    names = unique(names + listed)
    return names, attributes + names[len(attributes) :]


def unique(names: Iterable[str]) -> list[str]:
    """``names`` with a number behind those that stood before: `a`, `a (2)`.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    found: list[str] = []
    seen: set[str] = set()
    for name in names:
        other = next(n for i in count(1) if (n := name if i == 1 else f"{name} ({i})") not in seen)
        seen.add(other)
        found.append(other)
    return found


def whole(values: Any) -> pa.Array:
    """A column in one piece: numbers as float64 without NaN or infinity, dictionaries as text, dates as they are.

    >>> whole([1.5, float('nan'), 2]).to_pylist()
    [1.5, None, 2.0]
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    values = values if isinstance(values, pa.Array) else pa.array(values)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = pc.cast(values, pa.float64(), safe=False)
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values


def expanded(name: str, values: Any) -> Iterator[tuple[str, pa.Array]]:
    """A column as columns of numbers, texts and truth values: of a date its parts.

    >>> from datetime import datetime
    >>> stamps = pa.array([datetime(2024, 2, 29, 12)], pa.timestamp("us"))
    >>> {name: column.to_pylist() for name, column in expanded("sold", stamps)}
    {'year of sold': [2024.0], 'month of sold': ['February'], 'weekday of sold': ['Thursday'], 'hour of sold': [12.0]}
    """
    values = whole(values)
    if pa.types.is_timestamp(values.type):
        weekday = pa.array(WEEKDAYS).take(pc.day_of_week(values))
        month = pa.array(MONTHS).take(pc.subtract(pc.month(values), 1))
        parts = {"year": pc.year(values), "month": month, "weekday": weekday, "hour": pc.hour(values)}
        yield from ((form.format(name), whole(parts[part])) for part, form in PARTS.items())
    else:
        yield name, values


def _frequent(column: pa.Array) -> pa.Array:
    """A column of texts with null for levels that are too long or too rare to be items."""
    counted = column.drop_null().value_counts()
    levels = sorted(
        (-n, level)
        for level, n in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
        if level and len(level) <= LONGEST
    )
    if len(levels) > MOST_LEVELS:
        levels = [(n, level) for n, level in levels[:MOST_LEVELS] if n < -1]
    kept = pa.array([level for _, level in levels], pa.string())
    return pc.if_else(pc.is_in(column, kept), column, pa.scalar(None, pa.string()))
