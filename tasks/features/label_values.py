"""Labels as numbers."""

import numpy as np
import pyarrow as pa

from tasks.storage.store import vectors


def parse_numbers(texts: list[str]) -> np.ndarray:
    """Labels of regression and forecasting, numbers with spaces between, as (N, K) float64.

    Raises:
        ValueError: one is no number, or they are not equally many.

    >>> parse_numbers(["1 2", "3 4.5"]).tolist()
    [[1.0, 2.0], [3.0, 4.5]]
    """
    return np.array([text.split() for text in texts], np.float64) if texts else np.empty((0, 1))


def as_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of verdicts as (N, K) numbers.

    >>> as_numbers(pa.chunked_array([[1.5, 2.0]])).tolist()
    [[1.5], [2.0]]
    """
    if pa.types.is_fixed_size_list(column.type):
        return vectors(column, np.float64)
    return np.asarray(column.to_numpy(), np.float64)[:, None]
