"""Metrics of clusters: their agreement with classes, and how well they are separated."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk

from tasks.metrics import scores
from tasks.storage.names import NOISE


def clustering(y_true: np.ndarray | None, clusters: np.ndarray, X: Any, sample: np.ndarray) -> dict[str, Any]:
    """Every metric of (N,) clusters that is defined, with how many there are and, where there is any, the share of noise.

    Noise agrees or not as a cluster of its own. It is not counted as one, and has no part in how well clusters are separated.
    Functions may ask for `y_true` and `clusters`, for the `contingency` of the two, and for the features of sampled rows
    without noise, (M, D) `points` (dense or sparse) and `dense_points`, with their `assigned` clusters. There are points
    where at least two clusters are in the sample.

    Args:
        y_true: (N,) classes; without them there is no agreement.
        X: (N, D) features; ``sample`` (S,) the positions of those rows that separation is measured on.

    >>> found = clustering(np.array(list("aabb")), np.array(list("0011")), np.array([[0.0], [0.1], [5.0], [5.1]]), np.arange(4))
    >>> found["ari"], found["purity"], found["clusters"], round(found["silhouette"], 2)
    (1.0, 1.0, 2, 0.98)
    """
    noise = clusters == NOISE
    sample = sample[~noise[sample]]
    assigned = clusters[sample]
    points = X[sample] if 2 <= len(set(assigned.tolist())) < len(assigned) else None
    found = scores(
        "clustering", y_true=y_true, clusters=clusters, assigned=assigned, points=points,
        dense_points=points.astype(np.float64) if isinstance(points, np.ndarray) else None,
        contingency=None if y_true is None else sk.cluster.contingency_matrix(y_true, clusters),
    )  # fmt: skip
    if points is None:
        found["silhouette"] = 0.0
    found = {name: value for name, value in found.items() if value is not None}
    found["clusters"] = len(set(clusters[~noise].tolist()))
    return found | ({"noise": float(noise.mean())} if noise.any() else {})


def ari(y_true: np.ndarray, clusters: np.ndarray) -> float:
    """Adjusted Rand index: agreement on which pairs of rows belong together, 0 by chance.

    >>> ari(np.array(list("aabb")), np.array(list("1100")))
    1.0
    """
    return float(sk.adjusted_rand_score(y_true, clusters))


def nmi(y_true: np.ndarray, clusters: np.ndarray) -> float:
    """Normalised mutual information, which is the V-measure too (Rosenberg and Hirschberg 2007).

    >>> nmi(np.array(list("aabb")), np.array(list("1100")))
    1.0
    """
    return float(sk.homogeneity_completeness_v_measure(y_true, clusters)[2])


def homogeneity(y_true: np.ndarray, clusters: np.ndarray) -> float:
    """How far each cluster holds one class alone (Rosenberg and Hirschberg 2007).

    >>> round(homogeneity(np.array(list("aabb")), np.array(list("0012"))), 3)
    1.0
    """
    return float(sk.homogeneity_completeness_v_measure(y_true, clusters)[0])


def completeness(y_true: np.ndarray, clusters: np.ndarray) -> float:
    """How far each class is in one cluster alone (Rosenberg and Hirschberg 2007).

    >>> completeness(np.array(list("aabb")), np.array(list("0000")))
    1.0
    """
    return float(sk.homogeneity_completeness_v_measure(y_true, clusters)[1])


def purity(contingency: np.ndarray) -> float:
    """The share of rows that have the commonest class of their cluster, from a (classes, clusters) table of rows.

    >>> purity(np.array([[2, 1], [0, 1]]))
    0.75
    """
    return float(contingency.max(axis=0).sum() / contingency.sum())


def accuracy(contingency: np.ndarray) -> float:
    """Accuracy under the best matching of clusters to classes (Kuhn 1955), from a (classes, clusters) table of rows.

    >>> accuracy(np.array([[0, 2], [1, 1]]))
    0.75
    """
    matched = contingency[linear_sum_assignment(contingency, maximize=True)].sum()
    return float(matched / contingency.sum())


def silhouette(points: Any, assigned: np.ndarray) -> float:
    """Mean over rows of how much nearer the own cluster is than the next (Rousseeuw 1987), from -1 to 1.

    >>> round(silhouette(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array(list("0011"))), 2)
    0.98
    """
    return float(sk.silhouette_score(points, assigned))


def davies_bouldin(dense_points: np.ndarray, assigned: np.ndarray) -> float:
    """Mean over clusters of their size over their distance to the most similar other (Davies and Bouldin 1979).

    >>> round(davies_bouldin(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array(list("0011"))), 2)
    0.02
    """
    return float(sk.davies_bouldin_score(dense_points, assigned))


def calinski_harabasz(dense_points: np.ndarray, assigned: np.ndarray) -> float:
    """Variance between clusters over variance within (Calinski and Harabasz 1974).

    >>> round(calinski_harabasz(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array(list("0011"))))
    5000
    """
    return float(sk.calinski_harabasz_score(dense_points, assigned))
