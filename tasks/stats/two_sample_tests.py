"""Tests of two samples."""

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import norm, rankdata
from scipy.stats import t as student


def rank_sum(score: np.ndarray, held: csr_array, inside: np.ndarray) -> np.ndarray:
    """(M,) p-values of Mann and Whitney's test (1947), by the normal distribution, with ties accounted for.

    >>> inside = csr_array(np.array([[1], [1], [1], [0], [0], [0]], float))
    >>> rank_sum(np.arange(6.0), inside, np.array([3])).round(3).tolist()
    [0.081]
    """
    n, ranks = len(score), rankdata(score)
    _, ties = np.unique(score, return_counts=True)
    outside = n - inside
    variance = inside * outside / 12 * ((n + 1) - (ties**3 - ties).sum() / (n * (n - 1)))
    off = np.abs(held.T @ ranks - inside * (n + 1) / 2) - 0.5  # for continuity
    return np.asarray(np.minimum(2 * norm.sf(np.maximum(off, 0) / np.sqrt(np.maximum(variance, 1e-12))), 1.0))


def welch(
    difference: np.ndarray, variances: tuple[np.ndarray, np.ndarray], rows: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(M,) p-values of Welch's (1947) test, the smaller part's rows less one as degrees of freedom: on the safe side.

    Args:
        difference: (M,) of the two means, with the ``variances`` of these means, (M,) each.

    >>> welch(np.array([1.0]), (np.array([0.1]), np.array([0.1])), (np.array([10]), np.array([10]))).round(3).tolist()
    [0.052]
    """
    error = np.sqrt(np.maximum(variances[0] + variances[1], 1e-300))
    return np.asarray(2 * student.sf(np.abs(difference) / error, np.minimum(*rows) - 1))
