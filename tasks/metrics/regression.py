"""Metrics of predicted numbers, with their intervals."""

from typing import Any

import numpy as np

from tasks.stats.resampling import Resampling


def regression(truth: np.ndarray, predicted: np.ndarray, sampling: Resampling) -> dict[str, Any]:
    """Mean absolute error, root of the mean squared error and R2 of (N, K) numbers, with bootstrap intervals.

    Errors are means over all K outputs; R2 is one less the share of the variance (summed over outputs) that is left.
    Over groups of rows intervals go by each row's influence on the figure.

    >>> found = regression(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [5.0]]), Resampling(0.95, 200, 0))
    >>> round(found["mae"], 3), round(found["rmse"], 3), round(found["r2"], 3)
    (0.667, 1.155, -1.0)
    """
    error = predicted - truth
    centred = truth - truth.mean(0)  # as a difference of large squares is no variance
    # (N, 2 + 2 K): of whose column means every figure is made
    parts = np.concatenate(
        [np.abs(error).mean(1, keepdims=True), (error**2).mean(1, keepdims=True), centred, centred**2], axis=1
    )
    here = _figures(parts.mean(0)[None])
    if sampling.groups is not None:
        return _over_groups(parts, here, sampling)
    draws = _figures(sampling.bootstrap(parts))
    found: dict[str, Any] = {}
    for name, value, drawn in zip(("mae", "rmse", "r2"), here, draws, strict=True):
        defined = np.isfinite(drawn)
        found[name] = float(value[0]) if np.isfinite(value[0]) else None
        found[f"{name}_interval"] = sampling.percentiles(found[name], drawn) if defined.all() else None
    return found


def _over_groups(parts: np.ndarray, here: tuple[np.ndarray, ...], sampling: Resampling) -> dict[str, Any]:
    """What `regression` gives, the intervals over groups, from the (N, 2 + 2 K) ``parts`` of which figures are made."""
    mae, rmse, r2 = (float(value[0]) for value in here)
    error, spread = parts[:, 1], parts[:, 2 + (parts.shape[1] - 2) // 2 :].mean(1)  # (N,) squares, of errors and truth
    found: dict[str, Any] = {
        "mae": mae,
        "mae_interval": sampling.mean(parts[:, 0]),
        "rmse": rmse,
    }
    on_root = (error - rmse**2) / (2 * max(rmse, 1e-300))
    found["rmse_interval"] = sampling.linearised(rmse, on_root).clipped(0.0, np.inf)
    if not np.isfinite(r2):
        return {**found, "r2": None, "r2_interval": None}
    on_r2 = ((1 - r2) * spread - error) / spread.mean()
    return {**found, "r2": r2, "r2_interval": sampling.linearised(r2, on_r2).clipped(-np.inf, 1.0)}


def _figures(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R,) MAE, RMSE and R2 of (R, 2 + 2 K) column means; R2 is NaN where the truth does not vary."""
    first, second = np.split(means[:, 2:], 2, axis=1)  # moments of the truth, (R, K) each
    variance = np.maximum(second - first**2, 0).mean(1)
    flat = variance <= 1e-300
    return means[:, 0], np.sqrt(means[:, 1]), np.where(flat, np.nan, 1 - means[:, 1] / np.where(flat, 1, variance))
