"""Cells of a table as numbers, dates and texts: whole columns at once, with a reason for each that is none.

A verdict on a cell does not depend on the cells beside it, but for dates that are written with slashes.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: What stands for a missing number or date in tables of all sorts, in lower case. In a column of texts only "" does.
MISSING = pa.array(["", "na", "n/a", "nan", "null", "none", "?"])
#: What the clean data can hold: float32.
LARGEST = float(np.finfo(np.float32).max)
DATE = pa.timestamp("us")

NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(?i:inf|infinity)$"
INTEGER = r"^[+-]?[0-9]+$"
ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].+)?$"
ZONED = r"^.{10}[ T].*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
SLASHED = r"^(?P<first>[0-9]{1,2})/(?P<second>[0-9]{1,2})/[0-9]{4}"
#: What brings other usual forms of a date to ISO 8601, in this order.
TO_ISO = (
    (r"^([0-9]{1,2})[.]([0-9]{1,2})[.]([0-9]{4})", r"\3-\2-\1"),  # 31.12.2020
    (r"^([0-9]{4})[./]([0-9]{1,2})[./]([0-9]{1,2})", r"\1-\2-\3"),  # 2020/12/31
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})($|T)", r"\1-\2-\3\4"),  # 20201231
    (r"^([0-9]{4})-([0-9])-", r"\1-0\2-"),
    (r"^([0-9]{4}-[0-9]{2})-([0-9])($|[ T])", r"\1-0\2\3"),
    (r"^(.{10}[ T])([0-9]):", r"\10\2:"),
    (r"([.][0-9]{6})[0-9]+", r"\1"),  # microseconds are kept
    (r" (Z|[+-][0-9]{2}:?[0-9]{2})$", r"\1"),
)

#: Values of one column, and for each reason the rows (N,) bool that it holds for.
Read = tuple[pa.Array, dict[str, np.ndarray]]


def read(cells: pa.Array, kind: str, max_characters: int) -> Read:
    """A column of any type as float64, text or timestamp("us"), for ``kind`` numeric, categorical or date.

    What is missing or cannot be read is null.
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_large_string(cells.type) or pa.types.is_string_view(cells.type):
        cells = pc.cast(cells, pa.string())
    if kind == "numeric":
        return numbers(cells)
    return dates(cells) if kind == "date" else texts(cells, max_characters)


def numbers(cells: pa.Array) -> Read:
    """float64. Thousands separators, units and decimal commas make no number; NaN is a missing one."""
    if pa.types.is_string(cells.type):
        values = _cast(cells, pa.float64())
        if values is None or not np.isfinite(values.drop_null().to_numpy()).all():
            return _by_level(cells, _numbers)
        large = _beyond(cells, values)
        return _finite(values, {}, large) if large else (values, {})
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    if not any(of_kind(cells.type) for of_kind in kinds):
        return _none(cells, pa.float64(), "not a number")
    values = pc.cast(cells, pa.float64(), safe=False)
    return _finite(values, {}, _beyond(cells, values))


def _numbers(cells: pa.Array) -> Read:
    text = _trimmed(cells, MISSING)
    shaped = _true(pc.match_substring_regex(text, NUMBER))
    values = _each(_where(shaped, text), pa.float64())
    bad = {"not a number": _valid(text) & ~_valid(values)}
    return _finite(values, bad, _beyond(text, values))


def _beyond(cells: pa.Array, values: pa.Array) -> dict[str, np.ndarray]:
    """Numbers that the clean data cannot hold, and whole ones beyond 64 bits, which tell of an id or of a slip."""
    size = np.abs(_floats(values))
    if not (size >= 2.0**63).any():
        return {}
    written = pa.types.is_string(cells.type)
    digits = _true(pc.match_substring_regex(cells, INTEGER)) if written else np.full(len(cells), True)
    large = size > LARGEST
    if written:  # "1e400" is infinite only because no float holds it
        large &= ~_true(pc.match_substring_regex(cells, "inf", ignore_case=True))
    elif pa.types.is_floating(cells.type):
        large, digits = large & np.isfinite(size), np.full(len(cells), False)
    for row in np.flatnonzero(digits & (size >= 2.0**63)):
        large[row] |= not -(2**63) <= int(cells[row].as_py()) < 2**63
    return {"number too large": large}


def _finite(values: pa.Array, bad: dict[str, np.ndarray], large: dict[str, np.ndarray]) -> Read:
    """``values`` with null for NaN and for what is too large or infinite."""
    found = _floats(values)
    out = np.zeros(len(values), bool)
    for mask in large.values():
        out |= mask
    infinite = np.isinf(found) & ~out
    return pa.array(found, mask=np.isnan(found) | infinite | out), {**bad, **large, "infinite value": infinite}


def dates(cells: pa.Array) -> Read:
    """timestamp("us"), times with a zone as UTC: ISO 8601, else 31.12.2020, 2020/12/31, and with slashes either
    12/31/2020 or 31/12/2020 if the column tells which."""
    if pa.types.is_string(cells.type):
        values = _cast(cells, DATE)
        return (values, {}) if values is not None else _by_level(cells, _dates)
    if pa.types.is_temporal(cells.type) and not pa.types.is_time(cells.type) and not pa.types.is_duration(cells.type):
        if not pa.types.is_timestamp(cells.type):
            cells = pc.cast(cells, pa.timestamp("ms" if pa.types.is_date64(cells.type) else "s"))
        nanoseconds = pa.types.is_timestamp(cells.type) and cells.type.unit == "ns"
        try:
            return pc.cast(cells, DATE, safe=not nanoseconds), {}
        except pa.ArrowInvalid:  # years that do not fit
            return _none(cells, DATE, "not a date")
    return _none(cells, DATE, "not a date")


def _dates(cells: pa.Array) -> Read:
    text = _trimmed(cells, MISSING)
    iso = _unslashed(text)
    for pattern, form in TO_ISO:
        iso = pc.replace_substring_regex(iso, pattern, form)
    shaped, zoned = (_true(pc.match_substring_regex(iso, pattern)) for pattern in (ISO, ZONED))
    plain = _each(_where(shaped & ~zoned, iso), DATE)
    utc = _each(_where(shaped & zoned, iso), pa.timestamp("us", "UTC"))
    values = pc.coalesce(plain, pc.cast(utc, DATE))
    return values, {"not a date": _valid(text) & ~_valid(values)}


def _unslashed(text: pa.Array) -> pa.Array:
    """Dates with slashes as ISO 8601, where one of the first two numbers of some cell shows which is the day."""
    found = pc.extract_regex(text, SLASHED)
    first, second = (_floats(pc.cast(pc.struct_field(found, name), pa.float64())) for name in ("first", "second"))
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    if day_first == month_first:  # nothing tells, or the column mixes both
        return text
    form = r"\3-\2-\1" if day_first else r"\3-\1-\2"
    return pc.replace_substring_regex(text, r"^([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", form)


def texts(cells: pa.Array, max_characters: int) -> Read:
    """Trimmed text; only the empty one is missing, as "NA" and "none" may be levels of their own."""
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)
    if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
        text = _cast(cells, pa.string())
        text = _each(cells, pa.string()) if text is None else text
    else:
        try:
            text = pc.cast(cells, pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return _none(cells, pa.string(), "not a plain value")
    bad = {"not text": _valid(cells) & ~_valid(text)}
    text = _trimmed(text, pa.array([""]))
    bad["text too long"] = _true(pc.greater(pc.utf8_length(text), max_characters))
    return _where(~bad["text too long"], text), bad


def shortened(cell: pa.Scalar, characters: int = 40) -> str:
    """A cell as an error shows it."""
    try:
        text = str(cell.as_py())
    except (ValueError, OverflowError):  # a date that Python has no object for
        text = f"{cell.type} out of range"
    return repr(text if len(text) <= characters else f"{text[: characters - 1]}…")


def _by_level(cells: pa.Array, reader: Any) -> Read:
    """``reader`` asked once for each distinct text."""
    encoded = cells.dictionary_encode()
    values, bad = reader(encoded.dictionary)
    rows = encoded.indices
    held, at = _valid(cells), rows.fill_null(0).to_numpy()
    return values.take(rows), {reason: mask[at] & held if len(mask) else np.zeros(len(cells), bool)
                               for reason, mask in bad.items()}  # fmt: skip


def _each(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """A cast that gives null for what cannot be cast: by halves, down to the cells that fail."""
    values = _cast(text, kind)
    if values is not None:
        return values
    if len(text) == 1:
        return pa.nulls(1, kind)
    middle = len(text) // 2
    return pa.concat_arrays([_each(text[:middle], kind), _each(text[middle:], kind)])


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def _trimmed(text: pa.Array, missing: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(pc.cast(text, pa.string()))
    return _where(~_true(pc.is_in(pc.utf8_lower(trimmed), missing)), trimmed)


def _none(cells: pa.Array, kind: pa.DataType, reason: str) -> Read:
    return pa.nulls(len(cells), kind), {reason: _valid(cells)}


def _where(mask: np.ndarray, values: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))


def _true(mask: pa.Array) -> np.ndarray:
    return np.asarray(mask.fill_null(False).to_numpy(zero_copy_only=False))


def _valid(values: pa.Array) -> np.ndarray:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False))


def _floats(values: pa.Array) -> np.ndarray:
    """float64 with NaN for null."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
