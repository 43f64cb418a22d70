"""How far a figure may be off: intervals of shares, of areas under curves, of means and of what is made of means."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from tasks.stats import cluster_robust
from tasks.stats.cluster_robust import Interval

#: What the methods here are called.
WILSON, BOOTSTRAP, NEWCOMBE, DELONG, CLOPPER = (
    "Wilson's",
    "bootstrap",
    "Newcombe's",
    "DeLong's",
    "Clopper and Pearson's",
)


def wilson(hits: int, n: int, confidence: float) -> Interval:
    """Wilson's score interval of a share (Wilson 1927), [low, high]."""
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Interval((interval.low, interval.high), WILSON)


def percentiles(draws: np.ndarray, confidence: float) -> Interval:
    """[low, high] of (R,) bootstrap draws."""
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval((low, high), BOOTSTRAP)


def paired_difference(
    a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,) hits as 0 and 1) with its percentile bootstrap interval.

    A resample of N pairs is a draw of how many are won, lost and tied, so each costs one multinomial number
    (Efron and Tibshirani 1993, chapter 13). With ``groups`` (N,) the interval is that of a mean over groups.
    """
    difference = a.astype(int) - b.astype(int)
    if groups is not None:
        return {
            "difference": float(difference.mean()),
            "interval": cluster_robust.mean(difference, groups, confidence)[0],
        }
    n = len(difference)
    shares = [float((difference == v).mean()) for v in (1, -1, 0)]
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    means = (draws[:, 0] - draws[:, 1]) / n
    return {"difference": float(difference.mean()), "interval": percentiles(means, confidence)}


def paired_means(
    a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,) numbers) with its percentile bootstrap interval, with ``groups`` over these."""
    if groups is not None:
        difference = a.astype(np.float64) - b.astype(np.float64)
        return {
            "difference": float(difference.mean()),
            "interval": cluster_robust.mean(difference, groups, confidence)[0],
        }
    means = bootstrap(a[:, None] - b[:, None], resamples, seed)[:, 0]
    return {"difference": float(a.mean() - b.mean()), "interval": percentiles(means, confidence)}


def share_difference(hits: int, n: int, others: int, m: int, confidence: float) -> dict[str, Any]:
    """A share less that of other rows, with the interval that Wilson's two make (Newcombe 1998, method 10)."""
    p, q = hits / n, others / m
    (low, high), (under, over) = wilson(hits, n, confidence), wilson(others, m, confidence)
    down = float(np.hypot(p - low, over - q))
    up = float(np.hypot(high - p, q - under))
    return {"difference": p - q, "interval": Interval((max(p - q - down, -1.0), min(p - q + up, 1.0)), NEWCOMBE)}


def mean_difference(a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Mean of ``a`` (N,) less that of other rows ``b`` (M,), with its percentile bootstrap interval."""
    one, two = bootstrap(a[:, None], resamples, seed)[:, 0], bootstrap(b[:, None], resamples, seed + 1)[:, 0]
    return {"difference": float(a.mean() - b.mean()), "interval": percentiles(one - two, confidence)}


def bootstrap(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Column means (R, M) of R resamples of the rows of ``values`` (N, M); the same rows for the same seed and N."""
    rng, n = np.random.default_rng(seed), len(values)
    means = np.empty((resamples, values.shape[1]))
    for i in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        means[i] = counts @ values / n
    return means


def f1_interval(
    positive: np.ndarray,
    said: np.ndarray,
    confidence: float,
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Interval:
    """Percentile bootstrap interval of F1: a resample is a draw of how many hits, misses and false alarms there are.

    With ``groups`` (N,) that of a ratio of means over groups.
    """
    if groups is not None and (positive | said).any():
        hit, all_ = 2.0 * (positive & said), positive.astype(np.float64) + said
        f1 = float(hit.sum() / all_.sum())
        return cluster_robust.around(f1, (hit - f1 * all_) / all_.mean(), groups, confidence, (0.0, 1.0))
    shares = [float(m.mean()) for m in (positive & said, positive & ~said, ~positive & said)]
    draws = np.random.default_rng(seed).multinomial(len(said), [*shares, max(1 - sum(shares), 0.0)], size=resamples)
    hits, missed, alarms = draws[:, 0], draws[:, 1], draws[:, 2]
    return percentiles(2 * hits / np.maximum(2 * hits + missed + alarms, 1), confidence)
