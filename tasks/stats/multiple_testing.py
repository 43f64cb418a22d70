"""p-values adjusted for the number of tests."""

import numpy as np


def benjamini_hochberg(p_values: np.ndarray, tried: int | None = None) -> np.ndarray:
    """(R,) q-values, p-values adjusted so that of those under q a fraction q is false on average.

    Benjamini and Hochberg (1995), for R of ``tried`` tests of which the others gave 1; None: there were no others.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03]), tried=4).round(4).tolist()
    [0.04, 0.0533, 0.0533]
    """
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    return np.asarray(
        np.minimum(false_discovery_control(p_values) * ((tried or len(p_values)) / len(p_values)), 1.0), np.float64
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """(M,) p-values adjusted so that any false claim among M is as rare as it would be in one test (Holm 1979).

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)) if len(p_values) else p_values
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
