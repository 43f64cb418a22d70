"""ROC and precision-recall curves, of one class or as means over classes, with so few points that a page can draw them."""

from typing import Any

import numpy as np
from sklearn import metrics as sk

from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import has_auc, influence, mean_auc

#: Points of a curve at most, and places at which curves of several classes are averaged.
MOST, PLACES = 200, 101


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST) -> list[list[float]]:
    """At most ``most`` of the points of a curve, about evenly along its way, so that no bend is lost; both ends stay.

    >>> len(thinned(np.linspace(0, 1, 1001), np.linspace(0, 1, 1001), most=50)) <= 50
    True
    """
    if len(x) > most:
        way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        places = np.searchsorted(way, np.linspace(0, way[-1], most))
        keep = np.unique(np.concatenate([[0], np.minimum(places, len(x) - 1), [len(x) - 1]]))[-most:]
        keep[0] = 0
        x, y = x[keep], y[keep]
    return _points(x, y)


def one(positive: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Points of both curves of (N,) ``scores``, which grow with how much a row looks ``positive``.

    >>> one(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]))["roc"]
    [[0.0, 0.0], [0.0, 0.5], [1.0, 0.5], [1.0, 1.0]]
    """
    false, true, _ = sk.roc_curve(positive, scores)
    precision, recall, _ = sk.precision_recall_curve(positive, scores)
    return {"roc": thinned(false, true), "pr": thinned(recall[::-1], precision[::-1])}


def several(truth: np.ndarray, probabilities: np.ndarray, classes: list[str], sampling: Resampling) -> dict[str, Any]:
    """Each class against the rest, and their mean (the macro average) with its interval; {} where no class can be judged.

    The interval is DeLong's (1988), carried over to a mean of areas on the same rows: every row has an influence on
    each, and the variance is that of the mean influence. Over groups influences are summed within them first. There is
    none where the mean is 0 or 1, as no row disagrees.

    Args:
        probabilities: (N, K), in the order of ``classes``.

    >>> truth, shares = np.array(list("aabb")), np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])
    >>> found = several(truth, shares, ["a", "b"], Resampling(0.95, 200, 0))
    >>> round(found["auc"], 2), found["classes"]
    (0.75, {'a': 0.75, 'b': 0.75})
    """
    grid = np.linspace(0, 1, PLACES)
    areas: dict[str, float] = {}
    on_grid, precisions, influences, averages = [], [], [], []
    for k, label in enumerate(classes):
        positive = truth == label
        if not has_auc(positive):
            continue
        scores = probabilities[:, k]
        areas[label], own = influence(positive, scores)
        influences.append(own)
        false, true, _ = sk.roc_curve(positive, scores)
        on_grid.append(np.interp(grid, false, true))
        precision, recall, _ = sk.precision_recall_curve(positive, scores)
        best = np.maximum.accumulate(precision)  # the best precision at this recall or more (Manning et al. 2008, 8.4)
        precisions.append(best[np.searchsorted(-recall, -grid, side="right") - 1])
        averages.append(float(sk.average_precision_score(positive, scores)))
    if not areas:
        return {}
    area = float(np.mean(list(areas.values())))
    mean = np.mean(influences, axis=0)
    return {
        "roc": _points(np.concatenate([[0.0], grid]), np.concatenate([[0.0], np.mean(on_grid, axis=0)])),
        "pr": _points(grid, np.mean(precisions, axis=0)),
        "auc": area, "auc_interval": mean_auc(area, mean, sampling) if 0 < area < 1 else None,
        "average_precision": float(np.mean(averages)), "classes": areas,
    }  # fmt: skip


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(x, y, strict=True)]
