"""Metrics of predicted classes."""

from typing import Any, NamedTuple

import numpy as np
from sklearn import metrics as sk

from tasks.metrics import scores
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling


class ByClass(NamedTuple):
    """Of K classes (K,) each; 0 where a class is never predicted, or has no row."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    rows: np.ndarray


def classification(y_true: np.ndarray, y_pred: np.ndarray, labels: list[str], sampling: Resampling) -> dict[str, Any]:
    """Every metric of (N,) predicted classes, and precision, recall and F1 of each of the ``labels``.

    Functions may ask for `y_true`, `y_pred`, `labels`, `by_class` and `sampling`.

    >>> found = classification(np.array(list("aabb")), np.array(list("aaba")), ["a", "b"], Resampling(0.95, 200, 0))
    >>> found["accuracy"], found["interval"].method, round(found["f1"], 3)
    (0.75, 'Wilson', 0.733)
    """
    per = by_class(y_true, y_pred, labels)
    found = scores("classification", y_true=y_true, y_pred=y_pred, labels=labels, by_class=per, sampling=sampling)
    found["interval"] = found.pop("accuracy_interval")
    found["classes"] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *per, strict=True)
    }
    return found


def by_class(y_true: np.ndarray, y_pred: np.ndarray, labels: list[Any]) -> ByClass:
    """Precision, recall and F1 of each of the ``labels``, from (N,) classes.

    >>> by_class(np.array(list("aabb")), np.array(list("aaba")), ["a", "b"]).recall.tolist()
    [1.0, 0.5]
    """
    return ByClass(*sk.precision_recall_fscore_support(y_true, y_pred, labels=labels, zero_division=0.0))


def accuracy(y_true: np.ndarray, y_pred: np.ndarray, sampling: Resampling) -> Interval:
    """The share of rows whose class is predicted, from (N,) classes.

    >>> accuracy(np.array(list("aabb")), np.array(list("aaba")), Resampling(0.95, 200, 0)).value
    0.75
    """
    return sampling.proportion(y_true == y_pred)


def precision(by_class: ByClass) -> float:
    """The mean over classes of how often a prediction of the class is right.

    >>> precision(by_class(np.array(list("aabb")), np.array(list("abbb")), ["a", "b"]))
    0.8333333333333333
    """
    return float(by_class.precision.mean())


def recall(by_class: ByClass) -> float:
    """The mean over classes of the share of their rows that is found.

    >>> recall(by_class(np.array(list("aabb")), np.array(list("abbb")), ["a", "b"]))
    0.75
    """
    return float(by_class.recall.mean())


def f1(by_class: ByClass) -> float:
    """The mean over classes of the harmonic mean of precision and recall.

    >>> round(f1(by_class(np.array(list("aabb")), np.array(list("abbb")), ["a", "b"])), 3)
    0.733
    """
    return float(by_class.f1.mean())


def confusion(y_true: np.ndarray, y_pred: np.ndarray, labels: list[str]) -> list[list[int]]:
    """Rows are the true classes, columns the predicted ones.

    >>> confusion(np.array(list("aabb")), np.array(list("aaba")), ["a", "b"])
    [[2, 0], [1, 1]]
    """
    if len(labels) == 1:  # scikit-learn warns of it
        return [[int((y_pred == labels[0]).sum())]]
    matrix: list[list[int]] = sk.confusion_matrix(y_true, y_pred, labels=labels).tolist()
    return matrix
