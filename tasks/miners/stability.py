"""Whether a clustering would come out again: refits on half of the train rows, asked of the same held-out rows."""

from collections.abc import Mapping

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from tasks.miners.fitting import Job, fit, lowest
from tasks.storage.summaries import Stability

#: Refits of a clustering.
REFITS = 20
#: Train rows of a refit, and held-out rows that it is asked of, at most. On 50,000 x 128 rows 20 refits of k-means cost
#: 0.34 CPU seconds so.
MOST_TRAIN, MOST_ASKED = 2_000, 2_000
#: What is told of the refits: their mean, and between which shares of them most lie.
SPREAD = (0.05, 0.95)


def stability(job: Job, rows: np.ndarray, more: Mapping[str, float], whole: BaseEstimator) -> Stability | None:
    """How alike the clusterings of random halves of ``rows`` are to ``whole``, fitted on all of them with ``more``.

    By the adjusted Rand index over held-out rows, its mean and the range of nine refits in ten. For each cluster the
    mean Jaccard index with the cluster of a refit that is most like it (Hennig 2007,
    doi:10.1016/j.csda.2006.11.025): below .6 it dissolves, above .85 it is highly stable. Halves are drawn without
    repetition, as copies of a row would be clusters by themselves. Noise counts as one more cluster, but none is told
    of it. A half of a small set is sparse, so that clusters which are dense parts (HDBSCAN) are judged harshly.

    None where held-out rows show fewer than two clusters, or where the rows are too few to be halved.
    """
    view = job.view
    asked = lowest(view, np.flatnonzero(view.rows("val", "test")), MOST_ASKED)
    size = min(len(rows) // 2, MOST_TRAIN)
    if not len(asked) or size < 2:
        return None
    X = view.X[asked]
    found = np.asarray(whole.predict(X))
    clusters = sorted(set(found.tolist()) - {-1})
    if len(clusters) < 2:
        return None
    agreement, alike = np.empty(REFITS), np.empty((REFITS, len(clusters)))
    for i in range(REFITS):
        drawn = np.sort(np.random.default_rng([job.task.seed, i]).choice(rows, size, replace=False))
        try:
            said = np.asarray(fit(job, drawn, more).predict(X))
        except ValueError:  # more clusters or neighbours are asked for than a half has rows
            return None
        agreement[i], alike[i] = adjusted_rand_score(found, said), jaccard(found, said)
    low, high = np.quantile(agreement, SPREAD)
    indices = {str(c): float(value) for c, value in zip(clusters, alike.mean(0), strict=True)}
    return Stability(float(agreement.mean()), float(low), float(high), REFITS, size, indices)


def jaccard(found: np.ndarray, said: np.ndarray) -> np.ndarray:
    """(C,) for each cluster of ``found`` (N,), in order, its Jaccard index with the most alike of ``said`` (N,).

    Noise (-1) is no cluster of either.
    """
    table = contingency_matrix(found, said)
    sizes, others = table.sum(1, keepdims=True), table.sum(0, keepdims=True)
    index = table / (sizes + others - table)
    index = index[np.unique(found) != -1][:, np.unique(said) != -1]
    return np.asarray(index.max(axis=1, initial=0.0))
