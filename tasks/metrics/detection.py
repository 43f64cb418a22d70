"""Metrics of the detection of one of two classes, the positive one."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn import metrics as sk

from tasks.metrics import scores
from tasks.metrics.classification import ByClass, by_class
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, has_auc


def detection(
    y_true: np.ndarray, y_pred: np.ndarray, y_score: np.ndarray | None, sampling: Resampling
) -> dict[str, Any]:
    """Every metric of how well the positive class is found.

    Functions may ask for `y_true`, `y_pred`, `y_score`, `by_class` (of the positive class alone) and `sampling`.

    Args:
        y_true, y_pred: (N,) whether a row is positive, and is predicted to be.
        y_score: (N,) numbers that grow with how much a row looks positive; None where there are none. Where some are not
            finite, metrics of their order are undefined.

    >>> y_true, y_pred = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    >>> found = detection(y_true, y_pred, np.array([4.0, 2.0, 3.0, 1.0]), Resampling(0.95, 200, 0))
    >>> found["precision"], found["recall"], found["f1"], found["auc"]
    (0.5, 0.5, 0.5, 0.75)
    """
    if y_score is not None and not (has_auc(y_true) and np.isfinite(y_score).all()):
        y_score = None
    positive = by_class(y_true, y_pred, [True])
    return scores("detection", y_true=y_true, y_pred=y_pred, y_score=y_score, by_class=positive, sampling=sampling)


def roc_auc(y_true: np.ndarray, y_score: np.ndarray, sampling: Resampling) -> Interval:
    """Area under the ROC curve: the probability that a positive row has a higher score than another.

    >>> roc_auc(np.array([1, 1, 0, 0], bool), np.array([4.0, 2.0, 3.0, 1.0]), Resampling(0.95, 200, 0)).value
    0.75
    """
    return auc(y_true, y_score, sampling)


def average_precision(y_true: np.ndarray, y_score: np.ndarray) -> float:
    """The mean of the precision at each positive row, from the highest score down.

    >>> round(average_precision(np.array([1, 1, 0, 0], bool), np.array([4.0, 2.0, 3.0, 1.0])), 3)
    0.833
    """
    return float(sk.average_precision_score(y_true, y_score))


def f1(y_true: np.ndarray, y_pred: np.ndarray, by_class: ByClass, sampling: Resampling) -> Interval:
    """The harmonic mean of precision and recall of the positive class.

    >>> y_true, y_pred = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    >>> f1(y_true, y_pred, by_class(y_true, y_pred, [True]), Resampling(0.95, 200, 0)).value
    0.5
    """
    return replace(sampling.f1(y_true, y_pred), value=float(by_class.f1[0]))
