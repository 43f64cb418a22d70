"""Tests of two predictions on the same rows."""

import numpy as np
from scipy.stats import binom, wilcoxon
from scipy.stats import t as student

from tasks.stats.intervals import NADEAU_BENGIO, Interval


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """p-value of McNemar's exact test of two (N,) hits: only rows on which one alone is right count.

    >>> a, b = np.array([1] * 10 + [0] * 2, bool), np.array([0] * 10 + [1] * 2, bool)
    >>> round(mcnemar(a, b), 4)
    0.0386
    """
    one, two = int((a & ~b).sum()), int((~a & b).sum())
    return float(min(2 * binom.cdf(min(one, two), one + two, 0.5), 1.0))


def signed_ranks(difference: np.ndarray) -> float:
    """p-value of Wilcoxon's test of (N,) differences; 1 where there are none.

    >>> round(signed_ranks(np.array([0.1, 0.3, 0.2, 0.4, 0.25, 0.35])), 4)
    0.0277
    """
    size = np.abs(difference).max(initial=0.0)
    return float(wilcoxon(difference, method="asymptotic").pvalue) if size > 0 else 1.0


def corrected_t(values: np.ndarray, ratio: float, confidence: float) -> tuple[Interval, float]:
    """Mean of (K,) statistics of folds with its interval, and the p-value that it is zero.

    The corrected resampled t-test (Nadeau and Bengio, Machine Learning 52, 2003): folds share most of what they learn
    from, so that the variance of their mean is not s2 / K but (1 / K + ratio) s2.

    Args:
        ratio: rows tested over rows learned from.

    >>> interval, p = corrected_t(np.array([0.1, 0.3, 0.2, 0.25, 0.15]), ratio=0.25, confidence=0.95)
    >>> round(interval.value, 3), round(interval.low, 3), round(interval.high, 3), round(p, 3)
    (0.2, 0.053, 0.347, 0.02)
    """
    k, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) * (1 / k + ratio) ** 0.5
    half = float(student.ppf((1 + confidence) / 2, k - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, k - 1)) if error > 0 else float(mean == 0)
    return Interval(mean, mean - half, mean + half, NADEAU_BENGIO), p
