"""Fisher's exact test of many tables at once."""

import numpy as np
from scipy.stats import hypergeom


def fisher(both: np.ndarray, antecedent: np.ndarray, consequent: np.ndarray, rows: np.ndarray | int) -> np.ndarray:
    """(R,) p-values of Fisher's exact test: so many or more of ``both`` by chance, all else given; of no rows 1.

    >>> fisher(np.array([8, 2]), np.array([10, 10]), np.array([10, 10]), 50).round(6).tolist()
    [3e-06, 0.65129]
    """
    p_values = np.asarray(hypergeom.sf(both - 1, rows, consequent, antecedent), np.float64)  # NaN where there are none
    return np.where(both > 0, np.clip(p_values, 0.0, 1.0), 1.0)


def fisher_two_sided(both: np.ndarray, inside: np.ndarray, hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(M,) two-sided p-values of Fisher's exact test: twice the smaller tail.

    >>> fisher_two_sided(np.array([8]), np.array([10]), np.array([10]), np.array([50])).round(6).tolist()
    [7e-06]
    """
    low, high = hypergeom.cdf(both, total, hits, inside), hypergeom.sf(both - 1, total, hits, inside)
    return np.asarray(np.clip(2 * np.minimum(low, high), 0.0, 1.0))
