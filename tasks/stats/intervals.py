"""How far a figure may be off: intervals of shares, of areas under curves, of means and of what is made of means."""

from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, rankdata

from tasks.stats import cluster_robust
from tasks.stats.cluster_robust import Interval

#: What the methods here are called.
WILSON, BOOTSTRAP, NEWCOMBE, DELONG, CLOPPER = (
    "Wilson's",
    "bootstrap",
    "Newcombe's",
    "DeLong's",
    "Clopper and Pearson's",
)


def wilson(hits: int, n: int, confidence: float) -> Interval:
    """Wilson's score interval of a share (Wilson 1927), [low, high]."""
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Interval((interval.low, interval.high), WILSON)


def percentiles(draws: np.ndarray, confidence: float) -> Interval:
    """[low, high] of (R,) bootstrap draws."""
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval((low, high), BOOTSTRAP)


def paired_difference(
    a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,) hits as 0 and 1) with its percentile bootstrap interval.

    A resample of N pairs is a draw of how many are won, lost and tied, so each costs one multinomial number
    (Efron and Tibshirani 1993, chapter 13). With ``groups`` (N,) the interval is that of a mean over groups.
    """
    difference = a.astype(int) - b.astype(int)
    if groups is not None:
        return {
            "difference": float(difference.mean()),
            "interval": cluster_robust.mean(difference, groups, confidence)[0],
        }
    n = len(difference)
    shares = [float((difference == v).mean()) for v in (1, -1, 0)]
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    means = (draws[:, 0] - draws[:, 1]) / n
    return {"difference": float(difference.mean()), "interval": percentiles(means, confidence)}


def paired_means(
    a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,) numbers) with its percentile bootstrap interval, with ``groups`` over these."""
    if groups is not None:
        difference = a.astype(np.float64) - b.astype(np.float64)
        return {
            "difference": float(difference.mean()),
            "interval": cluster_robust.mean(difference, groups, confidence)[0],
        }
    means = bootstrap(a[:, None] - b[:, None], resamples, seed)[:, 0]
    return {"difference": float(a.mean() - b.mean()), "interval": percentiles(means, confidence)}


def share_difference(hits: int, n: int, others: int, m: int, confidence: float) -> dict[str, Any]:
    """A share less that of other rows, with the interval that Wilson's two make (Newcombe 1998, method 10)."""
    p, q = hits / n, others / m
    (low, high), (under, over) = wilson(hits, n, confidence), wilson(others, m, confidence)
    down = float(np.hypot(p - low, over - q))
    up = float(np.hypot(high - p, q - under))
    return {"difference": p - q, "interval": Interval((max(p - q - down, -1.0), min(p - q + up, 1.0)), NEWCOMBE)}


def mean_difference(a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Mean of ``a`` (N,) less that of other rows ``b`` (M,), with its percentile bootstrap interval."""
    one, two = bootstrap(a[:, None], resamples, seed)[:, 0], bootstrap(b[:, None], resamples, seed + 1)[:, 0]
    return {"difference": float(a.mean() - b.mean()), "interval": percentiles(one - two, confidence)}


def bootstrap(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Column means (R, M) of R resamples of the rows of ``values`` (N, M); the same rows for the same seed and N."""
    rng, n = np.random.default_rng(seed), len(values)
    means = np.empty((resamples, values.shape[1]))
    for i in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        means[i] = counts @ values / n
    return means


def auc(
    positive: np.ndarray, scores: np.ndarray, confidence: float, groups: np.ndarray | None = None
) -> tuple[float, Interval]:
    """Area under the ROC curve of (N,) scores, and its interval by DeLong et al. (1988) on the logit scale.

    Where all of one class stand before all of the other the variance is zero: then the bound that so many rows of the
    smaller class allow (Clopper and Pearson 1934). With ``groups`` (N,) rows' influences on the area are summed within
    them, and of groups so many count.
    """
    over, under = _placements(positive, scores)
    area = float(over.mean())
    if area in (0.0, 1.0):
        counts = [len(np.unique(groups[side])) if groups is not None else side.sum() for side in (positive, ~positive)]
        far = ((1 - confidence) / 2) ** (1 / min(counts))
        return area, Interval((far, 1.0), CLOPPER) if area else Interval((0.0, 1 - far), CLOPPER)
    slope = area * (1 - area)
    if groups is not None:
        ends = cluster_robust.around(float(logit(area)), influence(positive, scores)[1] / slope, groups, confidence)
    else:
        half = float(norm.ppf((1 + confidence) / 2)) * _deviation(over, under) / slope
        ends = Interval((float(logit(area)) - half, float(logit(area)) + half), DELONG)
    return area, Interval(expit(ends), ends.method)


def auc_difference(
    positive: np.ndarray, a: np.ndarray, b: np.ndarray, confidence: float, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """AUC of scores ``a`` less that of ``b`` on the same rows, with DeLong's interval (DeLong et al. 1988)."""
    if groups is not None:
        (one, first), (two, second) = influence(positive, a), influence(positive, b)
        interval = cluster_robust.around(one - two, first - second, groups, confidence, (-1.0, 1.0))
        return {"difference": one - two, "interval": interval}
    over, under = (x - y for x, y in zip(_placements(positive, a), _placements(positive, b), strict=True))
    difference = float(over.mean())
    half = float(norm.ppf((1 + confidence) / 2)) * _deviation(over, under)
    return {
        "difference": difference,
        "interval": Interval((max(difference - half, -1.0), min(difference + half, 1.0)), DELONG),
    }


def has_auc(positive: np.ndarray) -> bool:
    """Whether (N,) rows hold two of either side, as the variance of an area under their curve needs."""
    return bool(min(positive.sum(), (~positive).sum()) >= 2)


def influence(positive: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under the ROC curve, and the (N,) influences of the rows on it: the area's variance is theirs over N.

    DeLong's variance is their mean square over N, up to the degrees of freedom.
    """
    over, under = _placements(positive, scores)
    area, n = float(over.mean()), len(positive)
    own = np.empty(n)
    own[positive], own[~positive] = (over - area) * (n / len(over)), (under - area) * (n / len(under))
    return area, own


def _placements(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each positive row the share of negative ones below it, of each negative row that of positive ones above.

    By ranks, as Sun and Xu (2014) have it: N log N instead of all pairs.
    """
    high, low = scores[positive], scores[~positive]
    ranks = rankdata(np.concatenate([high, low]))
    over = (ranks[: len(high)] - rankdata(high)) / len(low)
    under = 1 - (ranks[len(high) :] - rankdata(low)) / len(high)
    return over, under


def _deviation(over: np.ndarray, under: np.ndarray) -> float:
    return float(np.sqrt(over.var(ddof=1) / len(over) + under.var(ddof=1) / len(under)))


def f1_interval(
    positive: np.ndarray,
    said: np.ndarray,
    confidence: float,
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> Interval:
    """Percentile bootstrap interval of F1: a resample is a draw of how many hits, misses and false alarms there are.

    With ``groups`` (N,) that of a ratio of means over groups.
    """
    if groups is not None and (positive | said).any():
        hit, all_ = 2.0 * (positive & said), positive.astype(np.float64) + said
        f1 = float(hit.sum() / all_.sum())
        return cluster_robust.around(f1, (hit - f1 * all_) / all_.mean(), groups, confidence, (0.0, 1.0))
    shares = [float(m.mean()) for m in (positive & said, positive & ~said, ~positive & said)]
    draws = np.random.default_rng(seed).multinomial(len(said), [*shares, max(1 - sum(shares), 0.0)], size=resamples)
    hits, missed, alarms = draws[:, 0], draws[:, 1], draws[:, 2]
    return percentiles(2 * hits / np.maximum(2 * hits + missed + alarms, 1), confidence)


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
