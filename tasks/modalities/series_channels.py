"""Columns of a table as series: each column a time step, or each a channel with lists of numbers."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.modalities.tabular_cells import MISSING

#: Reason and detail of rows that cannot be used.
Faults = dict[int, tuple[str, str]]


def read(table: pa.Table, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, Faults]:
    """N rows' series: values (total, C) one after another, lengths (N,), whether there is one (N,), and faults.

    Raises:
        DeepmineError: columns hold no numbers, or only some of them lists.
    """
    columns = [_plain(table[name].combine_chunks()) for name in names]
    lists = [pa.types.is_list(column.type) for column in columns]
    if any(lists) and not all(lists):
        single = ", ".join(name for name, found in zip(names, lists, strict=True) if not found)
        raise DeepmineError(
            f"columns {single}: single numbers, where the others of this series hold lists. Use one of both forms."
        )
    faults: Faults = {}
    found = _channels(columns, names, faults) if all(lists) else _steps(columns, names, faults)
    return *found, faults


def _plain(column: pa.Array) -> pa.Array:
    """Dictionaries and the larger kinds of lists as the simple kind."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    return column


def _steps(
    columns: list[pa.Array], names: tuple[str, ...], faults: Faults
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that are time steps: values (total, 1), lengths (N,) and whether there is a series (N,)."""
    values = np.empty((len(columns[0]), len(columns)))  # (N, T)
    for t, (column, name) in enumerate(zip(columns, names, strict=True)):
        values[:, t], wrong = _numbers(column, name)
        for i in np.flatnonzero(wrong):
            faults.setdefault(int(i), ("not a number", f"column '{name}': {_quoted(column[int(i)])}"))
        for i in np.flatnonzero(np.isinf(values[:, t])):
            faults.setdefault(int(i), ("infinite value", f"column '{name}'"))
    known = ~np.isnan(values)
    lengths = np.where(known.any(1), len(columns) - known[:, ::-1].argmax(1), 0)
    return values[np.arange(len(columns)) < lengths[:, None]][:, None], lengths, lengths > 0


def _channels(
    columns: list[pa.Array], names: tuple[str, ...], faults: Faults
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that are channels: values (total, C), lengths (N,) and whether there is a series (N,).

    A channel that is null in a row where others are not is missing throughout.
    """
    sizes = np.stack([pc.fill_null(pc.list_value_length(column), -1).to_numpy() for column in columns])  # (C, N)
    lengths = sizes.max(0)
    there = lengths >= 0
    for i in np.flatnonzero(((sizes != lengths) & (sizes >= 0)).any(0)):
        told = ", ".join(f"{name} {size}" for name, size in zip(names, sizes[:, i], strict=True) if size >= 0)
        faults[int(i)] = ("channels of unequal length", told)
        lengths[i] = -1
    for i in np.flatnonzero(lengths == 0):
        faults.setdefault(int(i), ("empty series", "no steps"))
    lengths = np.maximum(lengths, 0)
    starts = np.cumsum(lengths) - lengths
    flat = np.full((int(lengths.sum()), len(columns)), np.nan)
    for c, (column, name) in enumerate(zip(columns, names, strict=True)):
        cells, counts = column.flatten(), np.maximum(sizes[c], 0)
        values, wrong = _numbers(cells, name)
        row, step = np.repeat(np.arange(len(column)), counts), within(counts)
        for place in np.flatnonzero(wrong):
            cell = _quoted(cells[int(place)])
            faults.setdefault(int(row[place]), ("not a number", f"column '{name}', step {step[place] + 1}: {cell}"))
        for place in np.flatnonzero(np.isinf(values)):
            faults.setdefault(int(row[place]), ("infinite value", f"column '{name}', step {step[place] + 1}"))
        kept = lengths[row] > 0
        flat[(starts[row] + step)[kept], c] = values[kept]
    return flat, lengths, there


def _numbers(column: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as float64, NaN = missing and infinite beyond float32, and which of its cells are no numbers."""
    wrong = np.zeros(len(column), bool)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        # what is no UTF-8 is no number, which is found out below
        column = pc.cast(column, options=pc.CastOptions(pa.large_string(), allow_invalid_utf8=True))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.ascii_trim_whitespace(column)
        column = pc.if_else(pc.is_in(pc.ascii_lower(column), MISSING.cast(column.type)), None, column)
        try:
            values = column.cast(pa.float64())
        except pa.ArrowInvalid:
            numbers = [_number(cell) for cell in column.cast(pa.large_binary()).to_pylist()]
            wrong = np.array([number is None for number in numbers], bool)
            values = pa.array(numbers, pa.float64())
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = column.cast(pa.float64(), safe=False)  # whole numbers beyond 2^53 lose digits, as in float32 they do
    elif pa.types.is_null(column.type):
        values = column.cast(pa.float64())
    else:
        raise DeepmineError(
            f"column '{name}': holds {column.type}, not numbers. A series is made of columns of numbers (one for each "
            "time step) or of lists of numbers (one for each channel)."
        )
    result = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return np.where(np.abs(result) > np.finfo(np.float32).max, np.inf, result), wrong


def _number(cell: bytes | None) -> float | None:
    """What Arrow makes of a cell, one by one: NaN for none, None for what is no number."""
    if cell is None:
        return math.nan
    try:
        return None if b"_" in cell else float(cell)
    except ValueError:
        return None


def _quoted(cell: pa.Scalar) -> str:
    return repr(cell.cast(pa.large_binary()).as_py()[:40].decode(errors="replace"))


def within(lengths: np.ndarray) -> np.ndarray:
    """Of every step of N series one after another its number in its own, from 0."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
