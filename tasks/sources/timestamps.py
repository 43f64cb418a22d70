"""Times of any writing as numbers that order them, and the cuts of a split by time."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError

#: Writings of dates that are tried, after plain numbers and ISO 8601.
FORMATS = tuple(
    date + time
    for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")
    for time in ("", " %H:%M", " %H:%M:%S")
)
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}

Reading = Callable[[pa.ChunkedArray], np.ndarray]


class Clock:
    """Reads one column's times as float64 numbers, NaN where there is none. The first block settles how."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reading: Reading | None = None

    def __call__(self, column: pa.ChunkedArray) -> np.ndarray:
        """(N,) times: seconds since 1970 of dates, numbers as they are.

        Raises:
            DeepmineError: no writing fits the first block, or two fit it that differ.
        """
        if self.reading is None:
            self.reading = self._settle(column)
        return self.reading(column)

    def _settle(self, column: pa.ChunkedArray) -> Reading:
        kind = column.type
        if pa.types.is_temporal(kind):
            return _temporal
        if not pa.types.is_string(kind):
            return lambda c: numbers(c)[0]
        sample = column.slice(0, 10_000)
        readings: list[Reading] = [lambda c: numbers(c)[0], _dates("ISO8601"), *map(_dates, FORMATS)]
        fits = [int(np.isfinite(reading(sample)).sum()) for reading in readings]
        best = int(np.argmax(fits))
        if fits[best] < 0.5 * (len(sample) - sample.null_count) or not fits[best]:
            shown = next((v for v in sample.to_pylist() if v), "")
            raise DeepmineError(
                f"the column '{self.name}' (the time) holds {shown!r}, which is no time that is known. "
                "Write numbers, or dates like 2024-01-31 23:59:59."
            )
        for other in (i for i, n in enumerate(fits) if n == fits[best] and i > best > 0):
            if not np.array_equal(readings[other](sample), readings[best](sample), equal_nan=True):
                raise DeepmineError(
                    f"the column '{self.name}' (the time) can be read as day/month or as month/day. "
                    "Write its dates like 2024-01-31."
                )
        return readings[best]


def numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64, NaN where missing; and (N,) whether a cell is there and no number."""
    if not pa.types.is_string(column.type):
        return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(), np.zeros(len(column), bool)
    try:
        return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        import pandas as pd

        texts = pc.utf8_trim_whitespace(column)
        values = pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        none = pc.or_(pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(MISSING))), pc.is_null(texts))
        return values, np.isnan(values) & ~none.to_numpy(zero_copy_only=False).astype(bool)


def cuts(times: np.ndarray, shares: tuple[float, float]) -> tuple[float, float]:
    """The times from which on rows are val and test: the last shares of them, rows of one time together."""
    known = np.sort(times[np.isfinite(times)])
    val, test = shares

    def at(share: float) -> float:
        count = round(len(known) * share)
        return float(known[len(known) - count]) if count else np.inf

    return at(val + test) if val else at(test), at(test)


def splits(times: np.ndarray, cut: tuple[float, float]) -> np.ndarray:
    """(N,) `train`, `val` or `test` for times."""
    return np.where(times >= cut[1], "test", np.where(times >= cut[0], "val", "train")).astype(object)


def _temporal(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_time(column.type):
        micros = column.cast(pa.time64("us")).cast(pa.int64())
    else:
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return pc.fill_null(micros.cast(pa.float64()), np.nan).to_numpy() / 1e6


def _dates(form: str) -> Reading:
    def reading(column: pa.ChunkedArray) -> np.ndarray:
        import pandas as pd

        found = pd.to_datetime(column.to_pandas(), format=form, errors="coerce", utc=True)
        values = found.to_numpy("datetime64[us]").astype(np.float64) / 1e6
        values[found.isna().to_numpy()] = np.nan
        return values

    return reading
