"""Metrics of predicted numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.metrics import scores
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Moments:
    """Parts of every row, of whose means errors and R2 are made.

    Attributes:
        rows: (N, 2 + 2 K): the absolute and the squared error, means over K outputs; the centred true numbers and their squares.
        draws: (R, 2 + 2 K) means of bootstrap resamples of the rows, drawn once for all metrics; None over groups.
    """

    rows: np.ndarray
    draws: np.ndarray | None
    sampling: Resampling

    def value(self, statistic: Statistic) -> float | None:
        """What ``statistic`` makes of the means of all rows; None where it is not finite."""
        value = float(statistic(self.rows.mean(0)[None])[0])
        return value if np.isfinite(value) else None

    def bootstrapped(self, statistic: Statistic) -> Interval | float | None:
        """The same with its interval, where it is finite in every draw."""
        assert self.draws is not None
        value, drawn = self.value(statistic), statistic(self.draws)
        return value if value is None or not np.isfinite(drawn).all() else self.sampling.percentiles(value, drawn)


def regression(
    y_true: np.ndarray, y_pred: np.ndarray, sampling: Resampling, naive_error: float | None = None
) -> dict[str, Any]:
    """Every metric of (N, K) predicted numbers, means over all K outputs.

    Functions may ask for `y_true`, `y_pred`, `moments`, `naive_error` and `sampling`.

    Args:
        naive_error: mean absolute error of the seasonal naive forecast on train rows; None where there is none.

    >>> found = regression(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]]), Resampling(0.95, 200, 0))
    >>> round(found["mae"], 3), round(found["rmse"], 3), round(found["r2"], 3)
    (0.667, 1.155, -1.0)
    """
    found = scores(
        "regression", y_true=y_true, y_pred=y_pred, moments=moments(y_true, y_pred, sampling), sampling=sampling,
        naive_error=naive_error,
    )  # fmt: skip
    found["interval"] = found.pop("mae_interval", None)
    return found


def moments(y_true: np.ndarray, y_pred: np.ndarray, sampling: Resampling) -> Moments:
    """The moments of (N, K) numbers; over groups of rows no bootstrap is drawn.

    >>> moments(np.array([[1.0], [3.0]]), np.array([[1.0], [5.0]]), Resampling(0.95, 200, 0)).rows.tolist()
    [[0.0, 0.0, -1.0, 1.0], [2.0, 4.0, 1.0, 1.0]]
    """
    error = y_pred - y_true
    centred = y_true - y_true.mean(0)  # as a difference of large squares is no variance
    rows = np.concatenate(
        [np.abs(error).mean(1, keepdims=True), (error**2).mean(1, keepdims=True), centred, centred**2], axis=1
    )
    return Moments(rows, None if sampling.groups is not None else sampling.bootstrap(rows), sampling)


def mae(moments: Moments) -> Interval | float | None:
    """Mean absolute error.

    >>> y_true, y_pred = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]])
    >>> round(mae(moments(y_true, y_pred, Resampling(0.95, 200, 0))).value, 3)
    0.667
    """
    if moments.draws is not None:
        return moments.bootstrapped(_mae)
    value = moments.value(_mae)
    return None if value is None else replace(moments.sampling.mean(moments.rows[:, 0]), value=value)


def rmse(moments: Moments) -> Interval | float | None:
    """Root of the mean squared error; over groups its interval goes by each row's influence on it.

    >>> y_true, y_pred = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]])
    >>> round(rmse(moments(y_true, y_pred, Resampling(0.95, 200, 0))).value, 3)
    1.155
    """
    if moments.draws is not None:
        return moments.bootstrapped(_rmse)
    value = moments.value(_rmse)
    if value is None:
        return None
    influence = (moments.rows[:, 1] - value**2) / (2 * max(value, 1e-300))
    return moments.sampling.linearised(value, influence).clipped(0.0, np.inf)


def r2(moments: Moments) -> Interval | float | None:
    """1 minus the fraction of the variance (summed over outputs) that is left; undefined where true numbers do not vary.

    >>> y_true, y_pred = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]])
    >>> round(r2(moments(y_true, y_pred, Resampling(0.95, 200, 0))), 3)  # no interval: in some draws y_true does not vary
    -1.0
    """
    if moments.draws is not None:
        return moments.bootstrapped(_r2)
    value = moments.value(_r2)
    if value is None:
        return None
    error, outputs = moments.rows[:, 1], (moments.rows.shape[1] - 2) // 2
    spread = moments.rows[:, 2 + outputs :].mean(1)  # (N,) squares of the true numbers
    influence = ((1 - value) * spread - error) / spread.mean()
    return moments.sampling.linearised(value, influence).clipped(-np.inf, 1.0)


def mase(moments: Moments, naive_error: float) -> float | None:
    """Mean absolute error over that of the seasonal naive forecast on train rows (Hyndman and Koehler 2006).

    >>> mase(moments(np.array([[1.0], [3.0]]), np.array([[1.0], [5.0]]), Resampling(0.95, 200, 0)), naive_error=2.0)
    0.5
    """
    value = moments.value(_mae)
    return None if value is None else value / naive_error


def _mae(means: np.ndarray) -> np.ndarray:
    return means[:, 0]


def _rmse(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(means[:, 1]))


def _r2(means: np.ndarray) -> np.ndarray:
    """(R,) of (R, 2 + 2 K) means; NaN where the true numbers do not vary."""
    first, second = np.split(means[:, 2:], 2, axis=1)  # moments of the true numbers, (R, K) each
    variance = np.maximum(second - first**2, 0).mean(1)
    flat = variance <= 1e-300
    return np.where(flat, np.nan, 1 - means[:, 1] / np.where(flat, 1, variance))
