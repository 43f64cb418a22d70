"""What numbers are off by: residuals (predicted less true) against what was predicted, their spread, their bias."""

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tasks.core.text import plain
from tasks.stats.resampling import Resampling

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Bars of the histogram.
BARS = 31


def residuals(truth: np.ndarray, said: np.ndarray, some: np.ndarray, sampling: Resampling) -> dict[str, Any]:
    """Dots, histogram, quantiles and bias of the residuals of (N, K) numbers, and whether they grow with the prediction.

    Args:
        some: positions of the rows that are drawn; of several outputs the first.

    >>> found = residuals(np.zeros((4, 1)), np.array([[1.0], [2.0], [1.0], [0.0]]), np.arange(2), Resampling(0.95, 200, 0))
    >>> found["bias"], found["size"], found["residual"]
    (1.0, 1.0, [1.0, 2.0])
    """
    off = said - truth
    row = off.mean(1)
    bias = sampling.mean(row)
    # the outermost hundredth would leave the rest in one bar
    low, high = np.quantile(off, [0.005, 0.995])
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # equal up to rounding, which no bars can part
        low = high = np.median(off)
    counts, edges = np.histogram(np.clip(off, low, high), bins=BARS)
    found: dict[str, Any] = {
        "predicted": plain(said[some, 0]), "residual": plain(off[some, 0]), "counts": counts.tolist(),
        "edges": plain(edges), "quantiles": [[share, float(np.quantile(off, share))] for share in QUANTILES],
        "bias": bias.value, "bias_interval": bias, "grows": None, "size": float(np.abs(off).mean()),
    }  # fmt: skip
    size, level = np.abs(off).mean(1), said.mean(1)
    if len(size) > 3 and np.ptp(size) > 0 and np.ptp(level) > 0:
        test = spearmanr(size, level)
        found["grows"] = {"correlation": float(test.statistic), "p": float(test.pvalue)}
    return found
