"""Metrics of clusters, held against classes and by themselves."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk

from tasks.storage.names import NOISE


def clustering(truth: np.ndarray | None, clusters: np.ndarray, X: Any, sample: np.ndarray) -> dict[str, Any]:
    """Agreement of clusters with classes, and how well they stand apart on the rows ``sample`` of ``X``.

    Noise agrees or not as a cluster of its own. It is not counted as one, has no part in what is said of how clusters
    stand apart, and where there is any its share of the rows stands beside.

    Agreement: adjusted Rand index, normalised mutual information (which is the V-measure too), homogeneity and
    completeness (Rosenberg and Hirschberg 2007), purity, and accuracy under the best matching of clusters to classes
    (Kuhn 1955); none of it without ``truth``. Standing apart: silhouette, and of dense features where two clusters or
    more are in the sample the indices of Davies and Bouldin (1979; less is better) and Calinski and Harabasz (1974).

    >>> found = clustering(np.array(list("aabb")), np.array(list("0011")), np.array([[0.0], [0.1], [5.0], [5.1]]), np.arange(4))
    >>> found["ari"], found["purity"], found["clusters"], round(found["silhouette"], 2)
    (1.0, 1.0, 2, 0.98)
    """
    noise = clusters == NOISE
    sample = sample[~noise[sample]]
    picked = clusters[sample]
    valid = 2 <= len(set(picked.tolist())) < len(picked)
    found: dict[str, Any] = {
        "silhouette": float(sk.silhouette_score(X[sample], picked)) if valid else 0.0,
        "clusters": len(set(clusters[~noise].tolist())),
    }
    if valid and isinstance(X, np.ndarray):
        here = X[sample].astype(np.float64)
        found["davies_bouldin"] = float(sk.davies_bouldin_score(here, picked))
        found["calinski_harabasz"] = float(sk.calinski_harabasz_score(here, picked))
    if noise.any():
        found["noise"] = float(noise.mean())
    if truth is None:
        return found
    table = sk.cluster.contingency_matrix(truth, clusters)
    matched = table[linear_sum_assignment(table, maximize=True)].sum()
    homogeneity, completeness, same = sk.homogeneity_completeness_v_measure(truth, clusters)
    return {
        "ari": float(sk.adjusted_rand_score(truth, clusters)),
        "nmi": float(same),
        "homogeneity": float(homogeneity), "completeness": float(completeness),
        "purity": float(table.max(axis=0).sum() / table.sum()),
        "accuracy": float(matched / table.sum()),
        **found,
    }  # fmt: skip
