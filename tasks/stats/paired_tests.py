"""Tests of two predictions on the same rows."""

from typing import Any

import numpy as np
from scipy.stats import binom, wilcoxon
from scipy.stats import t as student

from tasks.stats.cluster_robust import Interval

#: What the intervals over folds are called.
CORRECTED = "corrected resampled t"


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """p-value of McNemar's exact test of two (N,) hits: only rows on which one alone is right count."""
    one, two = int((a & ~b).sum()), int((~a & b).sum())
    return float(min(2 * binom.cdf(min(one, two), one + two, 0.5), 1.0))


def signed_ranks(difference: np.ndarray) -> float:
    """p-value of Wilcoxon's test of (N,) differences; 1 where there are none."""
    size = np.abs(difference).max(initial=0.0)
    return float(wilcoxon(difference, method="asymptotic").pvalue) if size > 0 else 1.0


def corrected(values: np.ndarray, ratio: float, confidence: float) -> dict[str, Any]:
    """Mean of (K,) figures of folds, its interval, and how likely so large a mean is where there is nothing (`p`).

    The corrected resampled t-test (Nadeau and Bengio, Machine Learning 52, 2003): folds share most of what they learn
    from, so that the variance of their mean is not s2 / K but (1 / K + ratio) s2.

    Args:
        ratio: rows tested over rows learned from.
    """
    k, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1)) * (1 / k + ratio) ** 0.5
    half = float(student.ppf((1 + confidence) / 2, k - 1)) * deviation
    p = 2 * float(student.sf(abs(mean) / deviation, k - 1)) if deviation > 0 else float(mean == 0)
    return {"mean": mean, "interval": Interval((mean - half, mean + half), CORRECTED), "p": p}
