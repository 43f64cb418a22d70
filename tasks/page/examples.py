"""Which rows are shown: typical, confused, in the middle of a cluster. Arrays in, positions out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Rows of pictures in one gallery at most; with more classes or clusters the least pure are shown.
MOST_ROWS = 30


@dataclass(frozen=True)
class Judged:
    """N test rows and what the network says of them.

    Attributes:
        ids, truth, predicted: (N,) arrays of text.
        probability: (N,) that the network gives to ``predicted``.
        X: (N, D) deep features.
    """

    ids: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    X: np.ndarray

    def caption(self, i: int) -> dict[str, Any]:
        """What is told of row ``i``."""
        return {
            "id": str(self.ids[i]), "truth": str(self.truth[i]), "predicted": str(self.predicted[i]),
            "probability": float(self.probability[i]),
        }  # fmt: skip


def typical(rows: Judged, count: int) -> list[dict[str, Any]]:
    """For each class, the right ones that the network is surest of."""
    found = []
    for label in sorted(set(rows.truth.tolist())):
        members = rows.truth == label
        right = np.flatnonzero(members & (rows.predicted == label))
        order = right[np.argsort(-rows.probability[right], kind="stable")][:count]
        share = len(right) / int(members.sum())
        found.append({"label": label, "share": share, "items": [rows.caption(i) for i in order]})
    return _least(found)


def confused(rows: Judged, count: int) -> list[dict[str, Any]]:
    """The wrong ones that the network is surest of."""
    wrong = np.flatnonzero(rows.predicted != rows.truth)
    order = wrong[np.argsort(-rows.probability[wrong], kind="stable")][:count]
    return [rows.caption(i) for i in order]


def centres(rows: Judged, cluster_of: dict[str, str], count: int) -> list[dict[str, Any]]:
    """For each cluster its commonest class and the rows nearest to its mean."""
    assigned = np.array([cluster_of[i] for i in rows.ids.tolist()])
    found = []
    for cluster in sorted(set(assigned.tolist()), key=lambda c: (len(c), c)):
        members = np.flatnonzero(assigned == cluster)
        names, counts = np.unique(rows.truth[members], return_counts=True)
        distance = np.linalg.norm(rows.X[members] - rows.X[members].mean(0), axis=1)
        order = members[np.argsort(distance, kind="stable")][:count]
        found.append(
            {"cluster": cluster, "rows": len(members), "label": str(names[counts.argmax()]),
             "share": float(counts.max() / len(members)), "items": [rows.caption(i) for i in order]}
        )  # fmt: skip
    return _least(found)


def _least(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(groups) <= MOST_ROWS:
        return groups
    worst = sorted(range(len(groups)), key=lambda g: groups[g]["share"])[:MOST_ROWS]
    return [groups[g] for g in sorted(worst)]
