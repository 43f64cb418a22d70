"""Figures of merit and their intervals. All take arrays and know nothing of where these came from."""

from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn import metrics as sk


def classification(truth: np.ndarray, predicted: np.ndarray, labels: list[str], confidence: float) -> dict[str, Any]:
    """Accuracy with its interval, macro averages, and precision, recall and F1 of each class."""
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0.0
    )
    hits = int((truth == predicted).sum())
    return {
        "accuracy": hits / len(truth),
        "interval": wilson(hits, len(truth), confidence),
        "precision": float(precision.mean()), "recall": float(recall.mean()), "f1": float(f1.mean()),
        "classes": {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        },
    }  # fmt: skip


def wilson(hits: int, n: int, confidence: float) -> list[float]:
    """Wilson's score interval of a share (Wilson 1927), [low, high]."""
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]


def paired_difference(a: np.ndarray, b: np.ndarray, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,) hits as 0 and 1) with its percentile bootstrap interval.

    A resample of N pairs is a draw of how many are won, lost and tied, so each costs one multinomial number
    (Efron and Tibshirani 1993, chapter 13).
    """
    difference = a.astype(int) - b.astype(int)
    n = len(difference)
    shares = [float((difference == v).mean()) for v in (1, -1, 0)]
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    means = (draws[:, 0] - draws[:, 1]) / n
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"difference": float(difference.mean()), "interval": [float(low), float(high)]}


def clustering(truth: np.ndarray, clusters: np.ndarray, X: np.ndarray, sample: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index, normalised mutual information, purity, and the silhouette on the rows ``sample``."""
    table = sk.cluster.contingency_matrix(truth, clusters)
    picked = clusters[sample]
    valid = 2 <= len(set(picked.tolist())) < len(picked)
    return {
        "ari": float(sk.adjusted_rand_score(truth, clusters)),
        "nmi": float(sk.normalized_mutual_info_score(truth, clusters)),
        "purity": float(table.max(axis=0).sum() / table.sum()),
        "silhouette": float(sk.silhouette_score(X[sample], picked)) if valid else 0.0,
        "clusters": len(set(clusters.tolist())),
    }


def confusion(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> list[list[int]]:
    """Rows are the true classes, columns the predicted ones."""
    matrix: list[list[int]] = sk.confusion_matrix(truth, predicted, labels=labels).tolist()
    return matrix
