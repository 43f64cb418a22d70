"""p-values adjusted for the number of tests."""

import numpy as np


def adjusted(p_values: np.ndarray, tried: int) -> np.ndarray:
    """(R,) as Benjamini and Hochberg adjust the p-values of R of ``tried`` tests, where the others gave 1."""
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    return np.asarray(np.minimum(false_discovery_control(p_values) * (tried / len(p_values)), 1.0), np.float64)


def holm(p_values: np.ndarray) -> np.ndarray:
    """(M,) p-values adjusted so that any false claim among M is as rare as it would be in one test (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)) if len(p_values) else p_values
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
