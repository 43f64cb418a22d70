"""Fisher's exact test of many tables at once."""

import numpy as np


def fisher(both: np.ndarray, antecedent: np.ndarray, consequent: np.ndarray, rows: np.ndarray | int) -> np.ndarray:
    """(R,) p-values of Fisher's exact test: so many or more of ``both`` by chance, all else given; of no rows 1."""
    from scipy.stats import hypergeom

    p_values = np.asarray(hypergeom.sf(both - 1, rows, consequent, antecedent), np.float64)  # NaN where there are none
    return np.where(both > 0, np.clip(p_values, 0.0, 1.0), 1.0)
