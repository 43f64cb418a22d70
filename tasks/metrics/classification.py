"""Metrics of predicted classes, with their intervals."""

from typing import Any

import numpy as np
from sklearn import metrics as sk

from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, has_auc


def classification(truth: np.ndarray, predicted: np.ndarray, labels: list[str], sampling: Resampling) -> dict[str, Any]:
    """Accuracy with its interval, macro averages, and precision, recall and F1 of each class.

    >>> found = classification(np.array(list("aabb")), np.array(list("aaba")), ["a", "b"], Resampling(0.95, 200, 0))
    >>> found["accuracy"], found["interval"].method, round(found["f1"], 3)
    (0.75, 'Wilson', 0.733)
    """
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0.0
    )
    accuracy = sampling.proportion(truth == predicted)
    return {
        "accuracy": accuracy.value, "interval": accuracy,
        "precision": float(precision.mean()), "recall": float(recall.mean()), "f1": float(f1.mean()),
        "classes": {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        },
    }  # fmt: skip


def detection(
    positive: np.ndarray, said: np.ndarray, scores: np.ndarray | None, sampling: Resampling
) -> dict[str, Any]:
    """How well one of two classes is found.

    Args:
        positive, said: (N,) whether a row is of that class, and whether it was said to be.
        scores: (N,) that grow with how much it looks so; without them there is no AUC.

    >>> positive, predicted = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    >>> found = detection(positive, predicted, np.array([4.0, 2.0, 3.0, 1.0]), Resampling(0.95, 200, 0))
    >>> found["precision"], found["recall"], found["f1"], found["auc"]
    (0.5, 0.5, 0.5, 0.75)
    """
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        positive, said, average="binary", pos_label=True, zero_division=0.0
    )
    found = {
        "precision": float(precision), "recall": float(recall), "f1": float(f1),
        "f1_interval": sampling.f1(positive, said), "auc": None, "auc_interval": None,
        "average_precision": None,
    }  # fmt: skip
    if scores is not None and has_auc(positive):
        area = auc(positive, scores, sampling)
        found["auc"], found["auc_interval"] = area.value, area
        found["average_precision"] = float(sk.average_precision_score(positive, scores))
    return found


def confusion(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> list[list[int]]:
    """Rows are the true classes, columns the predicted ones.

    >>> confusion(np.array(list("aabb")), np.array(list("aaba")), ["a", "b"])
    [[2, 0], [1, 1]]
    """
    if len(labels) == 1:  # scikit-learn warns of it
        return [[int((predicted == labels[0]).sum())]]
    matrix: list[list[int]] = sk.confusion_matrix(truth, predicted, labels=labels).tolist()
    return matrix
