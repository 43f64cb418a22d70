"""Calibration: whether what is said to be 90 % sure comes true nine times of ten."""

from typing import Any

import numpy as np
from scipy.special import erf
from scipy.stats import chi2

from tasks.stats.intervals import Interval, wilson
from tasks.stats.quantile_bins import quantile_edges
from tasks.stats.resampling import Resampling

#: Rows that a bin needs at least: with fewer there are fewer bins.
BIN_ROWS = 10
#: A class that was called impossible and came true would cost an infinite logarithm.
LEAST = float(np.finfo(np.float64).eps)


def calibration(
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: list[str],
    positive: str | None,
    bins: int,
    sampling: Resampling,
) -> dict[str, Any]:
    """The reliability curve and its error, the scores of the probabilities, and how sure they are against how often right.

    With two classes it is the positive one's probability that is judged (how often it comes true), with more that of
    the class which was said (how often that is right: Guo et al. 2017). Bins hold about equally many rows.

    The expected calibration error is the mean distance of the curve from the diagonal, weighted by rows. Chance alone
    makes it larger than zero: `by_chance` is what it would be if the probabilities were true. So its interval lies
    around the error less what chance adds to it (as Kumar et al. 2019 take it from its square), as wide as a bootstrap
    of the rows makes it; and whether there is any error at all is told by the p-value of Hosmer and Lemeshow's (1980)
    statistic, here with as many degrees of freedom as bins, since nothing was fitted on these rows.

    Args:
        truth: (N,) classes; one that is not among ``classes`` has no probability.
        probabilities: (N, K), in the order of ``classes``.

    >>> truth, p = np.array(["yes"] * 9 + ["no"]), np.full(10, 0.8)
    >>> found = calibration(truth, np.stack([1 - p, p], 1), ["no", "yes"], "yes", 10, Resampling(0.95, 200, 0))
    >>> round(found["ece"], 2), round(found["brier"], 2), round(found["log_loss"], 2)
    (0.1, 0.1, 0.36)
    """
    known = probabilities[np.arange(len(truth)), _places(truth, classes)] * np.isin(truth, classes)
    sure, right = probabilities.max(1), np.array(classes)[probabilities.argmax(1)] == truth
    if positive is None:
        event, p = right, sure
    else:
        event, p = truth == positive, probabilities[:, classes.index(positive)]
    place = binned(p, bins)
    error = np.abs(np.bincount(place, weights=p - event)).sum() / len(p)
    spread = np.bincount(place, weights=p * (1 - p))
    miss = np.bincount(place, weights=event - p)
    groups = sampling.groups
    if groups is None:
        off, gap = _resampled(p - event, sure - right, place, sampling)
        ends, doubt = (off.low, off.high), spread
    else:
        off, gap = sampling.mean((p - event) * np.sign(-miss)[place]), sampling.mean(sure - right)
        ends = (off.low - off.value, off.high - off.value)
        # where rows of a group err alike, so many rows say less than they seem to
        together = np.zeros((groups.max() + 1, len(spread)))
        np.add.at(together, (groups, place), event - p)
        doubt = np.maximum(spread, (together**2).sum(0))
    middle = error - _added(miss, spread) / len(p)
    low, high = (max(float(middle) + end, 0.0) for end in ends)
    return {
        "bins": _bins(place, p, event, sampling.confidence), "of": "said" if positive is None else "positive",
        "ece": float(error), "ece_interval": Interval(float(error), low, high, off.method),
        "by_chance": float(_added(np.zeros(len(spread)), spread) / len(p)),
        "p": float(chi2.sf((miss**2 / np.maximum(doubt, 1e-9)).sum(), len(spread))),
        "brier": _brier(truth, probabilities, classes), "log_loss": float(-np.log(np.maximum(known, LEAST)).mean()),
        "sure": float(sure.mean()), "right": float(right.mean()), "gap": gap.value,
        "gap_interval": gap, "rows": len(p),
    }  # fmt: skip


def binned(p: np.ndarray, bins: int) -> np.ndarray:
    """(N,) bins, from 0, of about equally many rows; rows of the same probability share one.

    >>> binned(np.linspace(0, 1, 40), 2).tolist() == [0] * 20 + [1] * 20
    True
    """
    wanted = max(min(bins, len(p) // BIN_ROWS), 1)
    edges = quantile_edges(p, wanted)
    _, place = np.unique(np.searchsorted(edges, p, side="right"), return_inverse=True)
    return np.asarray(place)


def _bins(place: np.ndarray, p: np.ndarray, event: np.ndarray, confidence: float) -> list[dict[str, Any]]:
    found = []
    for i in range(place.max() + 1):
        rows = place == i
        hits, n = int(event[rows].sum()), int(rows.sum())
        found.append(
            {"low": float(p[rows].min()), "high": float(p[rows].max()), "said": float(p[rows].mean()),
             "came": hits / n, "interval": wilson(hits, n, confidence), "rows": n}
        )  # fmt: skip
    return found


def _resampled(over: np.ndarray, gap: np.ndarray, place: np.ndarray, sampling: Resampling) -> tuple[Interval, Interval]:
    """How far the error of resampled rows lies from the error itself, and the mean gap.

    Bins are fixed and keep their side of the diagonal, else those near it would fold over and make the interval short.
    """
    parts = np.zeros((len(over), place.max() + 2))
    parts[np.arange(len(over)), place] = over
    parts[:, -1] = gap
    means = sampling.bootstrap(parts)
    side = np.sign(parts[:, :-1].sum(0))
    off = means[:, :-1] @ side - (parts[:, :-1].mean(0) @ side)
    return sampling.percentiles(0.0, off), sampling.percentiles(float(gap.mean()), means[:, -1])


def _added(miss: np.ndarray, variance: np.ndarray) -> float:
    """How much chance adds to the sum of the sizes of B sums ``miss`` with ``variance`` each, by the folded normal."""
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    true = np.sqrt(np.maximum(miss**2 - variance, 0))  # its square less what chance adds to that
    size = deviation * np.sqrt(2 / np.pi) * np.exp(-(true**2) / (2 * deviation**2)) + true * erf(
        true / (deviation * np.sqrt(2))
    )
    return float((size - true).sum())


def _brier(truth: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> float:
    """Brier's (1950) mean squared error; of two classes the half of it, as is usual there."""
    wanted = truth[:, None] == np.array(classes)[None]
    return float(((probabilities - wanted) ** 2).sum(1).mean()) * (0.5 if len(classes) == 2 else 1.0)


def _places(truth: np.ndarray, classes: list[str]) -> np.ndarray:
    places = np.searchsorted(np.array(classes), truth)  # classes are sorted
    return np.minimum(places, len(classes) - 1)
