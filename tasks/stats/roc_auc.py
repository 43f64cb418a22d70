"""The area under the ROC curve, with its interval."""

from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from tasks.stats import cluster_robust
from tasks.stats.cluster_robust import Interval
from tasks.stats.intervals import CLOPPER, DELONG


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
