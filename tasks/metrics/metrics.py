"""Figures of merit with their intervals. All take arrays and know nothing of where these came from."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk

from tasks.stats import cluster_robust
from tasks.stats.intervals import auc, bootstrap, f1_interval, has_auc, percentiles, wilson
from tasks.storage.names import NOISE


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


def detection(
    positive: np.ndarray, said: np.ndarray, scores: np.ndarray | None, confidence: float, resamples: int, seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:  # fmt: skip
    """How well one of two classes is found.

    Args:
        positive, said: (N,) whether a row is of that class, and whether it was said to be.
        scores: (N,) that grow with how much it looks so; without them there is no AUC.
        groups: (N,) numbers of the groups of rows, None where rows are independent.
    """
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        positive, said, average="binary", pos_label=True, zero_division=0.0
    )
    found = {
        "precision": float(precision), "recall": float(recall), "f1": float(f1),
        "f1_interval": f1_interval(positive, said, confidence, resamples, seed, groups), "auc": None, "auc_interval": None,
        "average_precision": None,
    }  # fmt: skip
    if scores is not None and has_auc(positive):
        found["auc"], found["auc_interval"] = auc(positive, scores, confidence, groups)
        found["average_precision"] = float(sk.average_precision_score(positive, scores))
    return found


def regression(
    truth: np.ndarray, predicted: np.ndarray, confidence: float, resamples: int, seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Mean absolute error, root of the mean squared error and R2 of (N, K) numbers, with bootstrap intervals.

    Errors are means over all K outputs; R2 is one less the share of the variance (summed over outputs) that is left.
    With ``groups`` (N,) intervals are over groups of rows, by each row's influence on the figure.
    """
    error = predicted - truth
    centred = truth - truth.mean(0)  # as a difference of large squares is no variance
    # (N, 2 + 2 K): of whose column means every figure is made
    parts = np.concatenate(
        [np.abs(error).mean(1, keepdims=True), (error**2).mean(1, keepdims=True), centred, centred**2], axis=1
    )
    here = _figures(parts.mean(0)[None])
    if groups is not None:
        return _over_groups(parts, here, groups, confidence)
    draws = _figures(bootstrap(parts, resamples, seed))
    found: dict[str, Any] = {}
    for name, value, drawn in zip(("mae", "rmse", "r2"), here, draws, strict=True):
        defined = np.isfinite(drawn)
        found[name] = float(value[0]) if np.isfinite(value[0]) else None
        found[f"{name}_interval"] = percentiles(drawn[defined], confidence) if defined.all() else None
    return found


def _over_groups(
    parts: np.ndarray, here: tuple[np.ndarray, ...], groups: np.ndarray, confidence: float
) -> dict[str, Any]:
    """What `regression` gives, the intervals over groups, from the (N, 2 + 2 K) ``parts`` of which figures are made."""
    mae, rmse, r2 = (float(value[0]) for value in here)
    error, spread = parts[:, 1], parts[:, 2 + (parts.shape[1] - 2) // 2 :].mean(1)  # (N,) squares, of errors and truth
    found: dict[str, Any] = {
        "mae": mae,
        "mae_interval": cluster_robust.mean(parts[:, 0], groups, confidence)[0],
        "rmse": rmse,
    }
    on_root = (error - rmse**2) / (2 * max(rmse, 1e-300))
    found["rmse_interval"] = cluster_robust.around(rmse, on_root, groups, confidence, (0.0, np.inf))
    if not np.isfinite(r2):
        return {**found, "r2": None, "r2_interval": None}
    on_r2 = ((1 - r2) * spread - error) / spread.mean()
    return {**found, "r2": r2, "r2_interval": cluster_robust.around(r2, on_r2, groups, confidence, (-np.inf, 1.0))}


def _figures(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(R,) MAE, RMSE and R2 of (R, 2 + 2 K) column means; R2 is NaN where the truth does not vary."""
    first, second = np.split(means[:, 2:], 2, axis=1)  # moments of the truth, (R, K) each
    variance = np.maximum(second - first**2, 0).mean(1)
    flat = variance <= 1e-300
    return means[:, 0], np.sqrt(means[:, 1]), np.where(flat, np.nan, 1 - means[:, 1] / np.where(flat, 1, variance))


def clustering(truth: np.ndarray | None, clusters: np.ndarray, X: Any, sample: np.ndarray) -> dict[str, Any]:
    """Agreement of clusters with classes, and how well they stand apart on the rows ``sample`` of ``X``.

    Noise agrees or not as a cluster of its own. It is not counted as one, has no part in what is said of how clusters
    stand apart, and where there is any its share of the rows stands beside.

    Agreement: adjusted Rand index, normalised mutual information (which is the V-measure too), homogeneity and
    completeness (Rosenberg and Hirschberg 2007), purity, and accuracy under the best matching of clusters to classes
    (Kuhn 1955); none of it without ``truth``. Standing apart: silhouette, and of dense features where two clusters or
    more are in the sample the indices of Davies and Bouldin (1979; less is better) and Calinski and Harabasz (1974).
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


def confusion(truth: np.ndarray, predicted: np.ndarray, labels: list[str]) -> list[list[int]]:
    """Rows are the true classes, columns the predicted ones."""
    if len(labels) == 1:  # scikit-learn warns of it
        return [[int((predicted == labels[0]).sum())]]
    matrix: list[list[int]] = sk.confusion_matrix(truth, predicted, labels=labels).tolist()
    return matrix
