"""The map: features of a sample of rows laid out in two dimensions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reporting import clusters, pictures, row_cards
from tasks.reporting.section import Content
from tasks.reporting.test_rows import PredictedRows

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Dimensions that t-SNE is given; more only cost time.
WIDTH = 30
#: Rows below which neighbourhoods say nothing.
FEW = 30
#: Quantiles of the numbers below and above which the colour scale no longer changes: a few extremes would take all of it.
ENDS = (0.02, 0.98)
#: Characters of a label.
LABEL = 80


@dataclass(frozen=True)
class Map(Content):
    """What the script draws (``points``), of how many test rows."""

    points: dict[str, Any]
    test_rows: int


def build(run: "Run") -> Map:
    rows, params = run.test_rows, run.params
    chosen = sample(rows, params.map_points, params.seed)
    by_cluster = rows.numbers is None and not rows.labelled
    cluster_of = next(iter(run.part(clusters.assignments).values()), {}) if by_cluster else {}
    found = points(rows, chosen, cluster_of, params.seed)
    side = pictures.side(pictures.MAP_SIDE, len(chosen) * len(run.inputs))
    drawn = run.source.draw(dict.fromkeys(found["ids"], side))
    cards = row_cards.map_cards(drawn, found["ids"], run.inputs, side)
    return Map(found | {"inputs": cards}, run.evaluated["test_rows"])


def sample(rows: PredictedRows, count: int, seed: int) -> np.ndarray:
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


def points(rows: PredictedRows, chosen: np.ndarray, cluster_of: dict[str, str], seed: int) -> dict[str, Any]:
    """What the script of the page draws.

    Args:
        cluster_of: id -> cluster, which colours rows that have neither class nor number; empty: one colour.
    """
    places, method = layout(rows.X[chosen], seed)
    facts = [rows.facts(i) for i in chosen]
    names = list(dict.fromkeys(name for row in facts for name, _ in row))
    ids = rows.ids[chosen].tolist()
    columns = [{"name": n, "values": [dict(row).get(n, "–")[:LABEL] for row in facts]} for n in names]
    if cluster_of:
        columns.append({"name": "cluster", "values": [cluster_of[i] for i in ids]})
    return {
        "method": method,
        "ids": ids,
        "x": [round(float(v), 3) for v in places[:, 0]],
        "y": [round(float(v), 3) for v in places[:, 1]],
        "wrong": np.flatnonzero(rows.wrong()[chosen]).tolist(),
        "facts": columns,
        **_colours(rows, chosen, cluster_of),
    }


def _colours(rows: PredictedRows, chosen: np.ndarray, cluster_of: dict[str, str]) -> dict[str, Any]:
    """A class for each row as a position in `labels`, or a number with the ends of the colour scale."""
    if rows.numbers is not None:
        numbers = rows.numbers[chosen, 0]
        low, high = np.quantile(numbers, ENDS) if len(numbers) else (0.0, 1.0)
        number = [float(f"{v:.5g}") for v in numbers]
        return {"coloured": "true value", "labels": [], "number": number, "ends": [float(low), float(high)]}
    ids = rows.ids[chosen].tolist()
    names = rows.y_true[chosen].tolist() if rows.labelled else [cluster_of.get(i, "") for i in ids]
    by = "true class" if len(rows.classes) else "label" if rows.labelled else "cluster" if cluster_of else ""
    labels = sorted(set(names), key=lambda name: (len(name), name) if by == "cluster" else (0, name))
    place = {label: k for k, label in enumerate(labels)}
    return {"coloured": by, "labels": labels, "of": [place[name] for name in names], "number": None}
