"""The adjusted Rand index, with its interval."""

from typing import Any

import numpy as np

from tasks.stats.cluster_robust import Interval
from tasks.stats.intervals import percentiles


def ari_difference(
    truth: np.ndarray, a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Adjusted Rand index of clusters ``a`` less that of ``b`` for the same N rows, with a bootstrap interval.

    A resample is a draw of how many rows fall into each cell of class, cluster in ``a`` and cluster in ``b``.
    """
    (_, t), (_, p), (_, q) = (np.unique(x, return_inverse=True) for x in (truth, a, b))
    cells, counts = np.unique(np.stack([t, p, q]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(truth), counts / len(truth), size=resamples)
    found = _ari(cells[0], cells[1], draws) - _ari(cells[0], cells[2], draws)
    here = counts[None]
    difference = float((_ari(cells[0], cells[1], here) - _ari(cells[0], cells[2], here))[0])
    return {"difference": difference, "interval": percentiles(found, confidence)}


def ari_interval(truth: np.ndarray, a: np.ndarray, confidence: float, resamples: int, seed: int) -> Interval:
    """Bootstrap interval of the adjusted Rand index of two labellings (N,) of the same rows, [low, high].

    A resample holds rows twice, which agree with themselves: with many clusters that alone lifts the index, so the
    draws are moved back to where the rows themselves stand.
    """
    (_, t), (_, p) = (np.unique(x, return_inverse=True) for x in (truth, a))
    cells, counts = np.unique(np.stack([t, p]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(truth), counts / len(truth), size=resamples)
    found = _ari(cells[0], cells[1], draws)
    here = float(_ari(cells[0], cells[1], counts[None])[0])
    return percentiles(np.minimum(found - found.mean() + here, 1.0), confidence)


def _ari(classes: np.ndarray, clusters: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(R,) adjusted Rand indices (Hubert and Arabie 1985) of R tables given as counts (R, cells)."""

    def pairs(places: np.ndarray) -> np.ndarray:
        order = np.argsort(places, kind="stable")
        starts = np.flatnonzero(np.diff(places[order], prepend=-1))
        sums = np.add.reduceat(draws[:, order], starts, axis=1).astype(np.float64)  # (R, distinct places)
        return np.asarray((sums * (sums - 1) / 2).sum(1))

    n = draws.sum(1).astype(np.float64)
    both, rows, columns = pairs(classes * (clusters.max() + 1) + clusters), pairs(classes), pairs(clusters)
    chance = rows * columns / (n * (n - 1) / 2)
    most = (rows + columns) / 2
    return np.where(most == chance, 1.0, (both - chance) / np.where(most == chance, 1.0, most - chance))
