"""The map: features of a sample of rows laid out in two dimensions."""

from typing import Any

import numpy as np

from tasks.reporting.test_rows import Judged

#: Dimensions that t-SNE is given; more only cost time.
WIDTH = 30
#: Rows below which neighbourhoods say nothing.
FEW = 30
#: Shares of the numbers below and above which the colour scale no longer changes: a few extremes would take all of it.
ENDS = (0.02, 0.98)
#: Characters of a label.
LABEL = 80


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


def points(rows: Judged, chosen: np.ndarray, clusters: dict[str, str], seed: int) -> dict[str, Any]:
    """What the script of the page draws.

    Args:
        clusters: id -> cluster, which colours rows that have neither class nor number; empty: one colour.
    """
    places, method = layout(rows.X[chosen], seed)
    facts = [rows.facts(i) for i in chosen]
    names = list(dict.fromkeys(name for told in facts for name, _ in told))
    ids = rows.ids[chosen].tolist()
    columns = [{"name": n, "values": [dict(told).get(n, "–")[:LABEL] for told in facts]} for n in names]
    if clusters:
        columns.append({"name": "cluster", "values": [clusters[i] for i in ids]})
    return {
        "method": method,
        "ids": ids,
        "x": [round(float(v), 3) for v in places[:, 0]],
        "y": [round(float(v), 3) for v in places[:, 1]],
        "wrong": np.flatnonzero(rows.wrong()[chosen]).tolist(),
        "facts": columns,
        **_colours(rows, chosen, clusters),
    }


def _colours(rows: Judged, chosen: np.ndarray, clusters: dict[str, str]) -> dict[str, Any]:
    """A class for each row as a position in `labels`, or a number with the ends of the colour scale."""
    if rows.numbers is not None:
        numbers = rows.numbers[chosen, 0]
        low, high = np.quantile(numbers, ENDS) if len(numbers) else (0.0, 1.0)
        number = [float(f"{v:.5g}") for v in numbers]
        return {"coloured": "true value", "labels": [], "number": number, "ends": [float(low), float(high)]}
    ids = rows.ids[chosen].tolist()
    told = rows.truth[chosen].tolist() if rows.labelled else [clusters.get(i, "") for i in ids]
    by = "true class" if len(rows.classes) else "label" if rows.labelled else "cluster" if clusters else ""
    labels = sorted(set(told), key=lambda t: (len(t), t) if by == "cluster" else (0, t))
    place = {label: k for k, label in enumerate(labels)}
    return {"coloured": by, "labels": labels, "of": [place[t] for t in told], "number": None}
