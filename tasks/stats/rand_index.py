"""The adjusted Rand index, with its interval."""

import numpy as np

from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling


def ari(y_true: np.ndarray, clusters: np.ndarray, sampling: Resampling) -> Interval:
    """Adjusted Rand index of two labellings (N,) of the same rows, with a bootstrap interval of independent rows.

    A resample holds rows twice, which agree with themselves: with many clusters that alone lifts the index, so the
    draws are moved back to where the rows themselves stand.

    >>> ari(np.array(list("aabb")), np.array(list("0011")), Resampling(0.95, 100, 0)).value
    1.0
    """
    (_, t), (_, p) = (np.unique(x, return_inverse=True) for x in (y_true, clusters))
    cells, counts = np.unique(np.stack([t, p]), axis=1, return_counts=True)
    draws = _ari(cells[0], cells[1], sampling.multinomial(counts / len(y_true), len(y_true)))
    value = float(_ari(cells[0], cells[1], counts[None])[0])
    return sampling.percentiles(value, np.minimum(draws - draws.mean() + value, 1.0))


def ari_difference(y_true: np.ndarray, a: np.ndarray, b: np.ndarray, sampling: Resampling) -> Interval:
    """Adjusted Rand index of clusters ``a`` (N,) minus that of ``b`` for the same rows, with a bootstrap interval.

    A resample is a draw of how many rows fall into each cell of class, cluster in ``a`` and cluster in ``b``.

    >>> truth, good, bad = (np.array(list(text)) for text in ("aaabbb", "000111", "010101"))
    >>> round(ari_difference(truth, good, bad, Resampling(0.95, 100, 0)).value, 3)
    1.111
    """
    (_, t), (_, p), (_, q) = (np.unique(x, return_inverse=True) for x in (y_true, a, b))
    cells, counts = np.unique(np.stack([t, p, q]), axis=1, return_counts=True)

    def difference(tables: np.ndarray) -> np.ndarray:
        return _ari(cells[0], cells[1], tables) - _ari(cells[0], cells[2], tables)

    draws = difference(sampling.multinomial(counts / len(y_true), len(y_true)))
    return sampling.percentiles(float(difference(counts[None])[0]), draws)


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
