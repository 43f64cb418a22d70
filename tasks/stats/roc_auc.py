"""The area under the ROC curve, with its interval."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from tasks.stats.intervals import CLOPPER_PEARSON, DELONG, Interval
from tasks.stats.resampling import Resampling


def auc(positive: np.ndarray, scores: np.ndarray, sampling: Resampling) -> Interval:
    """Area under the ROC curve of (N,) scores, with DeLong's interval (DeLong et al. 1988) on the logit scale.

    Where all of one class stand before all of the other the variance is zero: then the bound that so many rows of the
    smaller class allow (Clopper and Pearson 1934). Over groups the rows' influences on the area are summed within them,
    and of groups so many count.

    >>> positive, scores = np.array([1, 1, 1, 0, 0, 0], bool), np.array([5.0, 4.0, 2.0, 3.0, 2.0, 1.0])
    >>> interval = auc(positive, scores, Resampling(0.95, 100, 0))
    >>> round(interval.value, 3), interval.method
    (0.833, 'DeLong')
    """
    over, under = _placements(positive, scores)
    area, groups = float(over.mean()), sampling.groups
    if area in (0.0, 1.0):
        counts = [len(np.unique(groups[side])) if groups is not None else side.sum() for side in (positive, ~positive)]
        far = float(((1 - sampling.confidence) / 2) ** (1 / min(counts)))
        return Interval(area, far, 1.0, CLOPPER_PEARSON) if area else Interval(area, 0.0, 1 - far, CLOPPER_PEARSON)
    if groups is not None:
        return _over_groups(area, influence(positive, scores)[1] / (area * (1 - area)), sampling)
    z = float(norm.ppf((1 + sampling.confidence) / 2))
    return _on_logit_scale(area, z * _standard_error(over, under) / (area * (1 - area)))


def mean_auc(area: float, influence: np.ndarray, sampling: Resampling) -> Interval:
    """The mean of several areas on the same rows, above 0 and below 1, with its interval on the logit scale.

    Args:
        influence: (N,) of each row on the mean: the variance is theirs over N, or over groups.

    >>> positive, scores = np.array([1, 1, 1, 0, 0, 0], bool), np.array([5.0, 4.0, 2.0, 3.0, 2.0, 1.0])
    >>> interval = mean_auc(*influence(positive, scores), Resampling(0.95, 100, 0))
    >>> round(interval.low, 2), round(interval.high, 2)
    (0.35, 0.98)
    """
    on_logit = influence / (area * (1 - area))
    if sampling.groups is not None:
        return _over_groups(area, on_logit, sampling)
    half = float(norm.ppf((1 + sampling.confidence) / 2) * np.sqrt((on_logit**2).sum())) / len(influence)
    return _on_logit_scale(area, half)


def auc_difference(positive: np.ndarray, a: np.ndarray, b: np.ndarray, sampling: Resampling) -> Interval:
    """AUC of scores ``a`` (N,) minus that of ``b`` on the same rows, with DeLong's interval (DeLong et al. 1988).

    >>> positive = np.array([1, 1, 1, 0, 0, 0], bool)
    >>> a, b = np.array([5.0, 4.0, 2.0, 3.0, 2.0, 1.0]), np.array([5.0, 1.0, 2.0, 3.0, 2.0, 4.0])
    >>> round(auc_difference(positive, a, b, Resampling(0.95, 100, 0)).value, 3)
    0.444
    """
    if sampling.groups is not None:
        (one, first), (two, second) = influence(positive, a), influence(positive, b)
        return sampling.linearised(one - two, first - second).clipped(-1.0, 1.0)
    over, under = (x - y for x, y in zip(_placements(positive, a), _placements(positive, b), strict=True))
    value = float(over.mean())
    half = float(norm.ppf((1 + sampling.confidence) / 2)) * _standard_error(over, under)
    return Interval(value, value - half, value + half, DELONG).clipped(-1.0, 1.0)


def has_auc(positive: np.ndarray) -> bool:
    """Whether (N,) rows hold two of either side, as the variance of an area under their curve needs.

    >>> has_auc(np.array([True, True, False])), has_auc(np.array([True, True, False, False]))
    (False, True)
    """
    return bool(min(positive.sum(), (~positive).sum()) >= 2)


def influence(positive: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Area under the ROC curve, and the (N,) influences of the rows on it: the area's variance is theirs over N.

    DeLong's variance is their mean square over N, up to the degrees of freedom.

    >>> area, own = influence(np.array([True, True, False, False]), np.array([3.0, 1.0, 2.0, 0.0]))
    >>> area, own.tolist()
    (0.75, [0.5, -0.5, -0.5, 0.5])
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


def _standard_error(over: np.ndarray, under: np.ndarray) -> float:
    return float(np.sqrt(over.var(ddof=1) / len(over) + under.var(ddof=1) / len(under)))


def _over_groups(area: float, on_logit: np.ndarray, sampling: Resampling) -> Interval:
    ends = sampling.linearised(float(logit(area)), on_logit)
    return Interval(area, float(expit(ends.low)), float(expit(ends.high)), ends.method)


def _on_logit_scale(area: float, half: float) -> Interval:
    middle = float(logit(area))
    return Interval(area, float(expit(middle - half)), float(expit(middle + half)), DELONG)
