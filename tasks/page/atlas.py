"""The map: features of a sample of rows laid out in two dimensions."""

from typing import Any

import numpy as np

from tasks.page.examples import Judged

#: Dimensions that t-SNE is given; more only cost time.
WIDTH = 30
#: Rows below which neighbourhoods say nothing.
FEW = 30


def sample(rows: Judged, count: int, seed: int) -> np.ndarray:
    """(M,) sorted positions of at most ``count`` rows."""
    return np.sort(np.random.default_rng(seed).permutation(len(rows.ids))[:count])


def layout(X: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """(N, 2) places of (N, D) rows and the name of the method: t-SNE, or PCA for few rows or flat features."""
    if len(X) < 2 or not np.ptp(X, axis=0).any():
        return np.zeros((len(X), 2)), "PCA"
    from sklearn.decomposition import PCA

    reduced = PCA(min(WIDTH, *X.shape), random_state=seed).fit_transform(X)  # (N, <=30)
    if len(X) < FEW or reduced.shape[1] < 2:
        padded = np.pad(reduced, ((0, 0), (0, max(0, 2 - reduced.shape[1]))))
        return padded[:, :2], "PCA"
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # which scikit-learn brings

    tsne = TSNE(2, init="pca", perplexity=min(30.0, (len(X) - 1) / 3), random_state=seed)
    # its threads wait for each other a thousand times: on two busy cores 33 s, with one thread 8 s
    with threadpool_limits(1):
        return tsne.fit_transform(reduced), "t-SNE"


def points(rows: Judged, chosen: np.ndarray, seed: int) -> dict[str, Any]:
    """What the script of the page draws; classes as positions in `labels`."""
    places, method = layout(rows.X[chosen], seed)
    labels = sorted({*rows.truth[chosen].tolist(), *rows.predicted[chosen].tolist()})
    number = {label: k for k, label in enumerate(labels)}
    return {
        "method": method,
        "labels": labels,
        "ids": rows.ids[chosen].tolist(),
        "x": [round(float(v), 3) for v in places[:, 0]],
        "y": [round(float(v), 3) for v in places[:, 1]],
        "truth": [number[v] for v in rows.truth[chosen].tolist()],
        "predicted": [number[v] for v in rows.predicted[chosen].tolist()],
        "probability": [round(float(v), 4) for v in rows.probability[chosen]],
    }
