"""Tests of two predictions on the same rows."""

import numpy as np
from scipy.stats import binom, wilcoxon


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """p-value of McNemar's exact test of two (N,) hits: only rows on which one alone is right count."""
    one, two = int((a & ~b).sum()), int((~a & b).sum())
    return float(min(2 * binom.cdf(min(one, two), one + two, 0.5), 1.0))


def signed_ranks(difference: np.ndarray) -> float:
    """p-value of Wilcoxon's test of (N,) differences; 1 where there are none."""
    size = np.abs(difference).max(initial=0.0)
    return float(wilcoxon(difference, method="asymptotic").pvalue) if size > 0 else 1.0
