"""What a cluster is, in words: which items and labels its rows have more often than the other rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from tasks.core.text import enumerated, percent
from tasks.features.item_matrix import ItemMatrix
from tasks.stats.fisher import fisher
from tasks.stats.multiple_testing import benjamini_hochberg
from tasks.storage.names import NOISE

#: Clusters that are told of at most, the largest; and items of each, in the list and in its sentence.
MOST_CLUSTERS, MOST_ITEMS, MOST_TOLD = 100, 8, 3
#: Labels in a sentence: a cluster may hold two classes.
MOST_LABELS = 2
#: False-discovery rate over all clusters and items of a clustering.
FALSE = 0.05
#: How many times as often as in all rows an item must be in a cluster to be worth a word.
LEAST_LIFT = 1.2
#: Mean Jaccard index from which on a cluster is called stable, and below which it dissolves (Hennig 2007).
STABLE, DISSOLVES = 0.85, 0.6
#: Quarters of a label that is a number.
QUARTERS = ("lowest", "lower middle", "upper middle", "highest")
LABEL = "label"


def of_classes(labels: Sequence[str | None]) -> ItemMatrix:
    """Classes as items; a row without a label has none of them."""
    names = sorted({label for label in labels if label is not None})
    place = {name: i for i, name in enumerate(names)}
    pairs = [(row, place[label]) for row, label in enumerate(labels) if label is not None]
    return ItemMatrix(_ones(pairs, (len(labels), len(names))), tuple(f"“{n}”" for n in names), (LABEL,) * len(names))


def of_numbers(values: np.ndarray) -> ItemMatrix:
    """In which quarter of all the (N,) labels each stands, as an item; NaN in none."""
    known = np.isfinite(values)
    edges = np.quantile(values[known], (0.25, 0.5, 0.75)) if known.any() else np.zeros(3)
    quarter = np.searchsorted(edges, values, side="left")
    pairs = [(row, int(quarter[row])) for row in np.flatnonzero(known).tolist()]
    names = tuple(f"in the {q} quarter of the label" for q in QUARTERS)
    return ItemMatrix(_ones(pairs, (len(values), len(names))), names, (LABEL,) * len(names))


@dataclass(frozen=True)
class ProfileItem:
    """An item that rows of a cluster have more often than the others.

    Attributes:
        inside, outside: the fraction of the cluster's rows, and of all others, that have it.
        lift: how many times as often as in all rows; ``q`` is the adjusted p-value.
    """

    name: str
    attribute: str
    inside: float
    outside: float
    lift: float
    q: float


@dataclass(frozen=True)
class Profile:
    """What a cluster is.

    Attributes:
        share: fraction of all rows.
        stability: mean Jaccard index over refits; ``called`` says it in a word.
        spread: mean distance of its rows from their mean over that of all rows from theirs; of dense features.
        nearest: the cluster whose mean is nearest, where there is another.
        words: what sets its rows apart; ``sentence`` has its name and size before that.
    """

    cluster: str
    rows: int
    share: float
    stability: float | None
    called: str | None
    items: list[ProfileItem]
    spread: float | None = None
    nearest: str | None = None
    words: str = ""
    sentence: str = ""


def profiles(clusters: np.ndarray, known: ItemMatrix, X: Any, stable: dict[str, float]) -> list[Profile]:
    """What each cluster is, in the order of their names.

    Fisher's exact test that an item is more frequent in a cluster than in the other rows, over all pairs of cluster and
    item at once with Benjamini and Hochberg's (1995) control. It is told of rows that no cluster was made from, so a
    cluster is not proven by what made it. The rest of an item that stands is its lift.

    Args:
        clusters: (N,) names; noise is told of as a cluster of its own, after the others.
        known: of the same rows.
        X: (N, D) features, to say how tight a cluster is; not looked at if sparse.
        stable: cluster -> its mean Jaccard index over refits.
    """
    names, place = np.unique(clusters, return_inverse=True)
    inside = _ones(list(enumerate(place.tolist())), (len(clusters), len(names)))
    both = np.asarray((inside.T @ (known.matrix != 0).astype(np.float64)).todense())  # (C, M)
    sizes, totals = np.bincount(place, minlength=len(names)), both.sum(0)  # (C,), (M,)
    q_values, rows = _tests(both, sizes, totals), len(clusters)
    tight, nearest = _shape(X, place, len(names))
    largest = set(np.argsort(-sizes, kind="stable")[:MOST_CLUSTERS].tolist())
    found = []
    for c in sorted(largest, key=lambda c: (names[c] == NOISE, len(names[c]), names[c])):
        # shares of the cluster's rows, and of all others
        here, there = both[c] / sizes[c], (totals - both[c]) / max(rows - sizes[c], 1)
        lift = np.divide(here, totals / rows, out=np.ones(len(here)), where=totals > 0)
        real = np.flatnonzero((q_values[c] <= FALSE) & (lift >= LEAST_LIFT))
        order = real[np.argsort(-(here - there)[real], kind="stable")]
        items = [
            ProfileItem(
                known.names[m],
                known.attributes[m],
                float(here[m]),
                float(there[m]),
                float(lift[m]),
                float(q_values[c, m]),
            )
            for m in order
        ]
        index = stable.get(str(names[c]))
        one = Profile(
            str(names[c]), int(sizes[c]), float(sizes[c] / rows), index, None if index is None else called(index), _few(items),
            None if tight is None else float(tight[c]),
            str(names[nearest[c]]) if tight is not None and len(names) > 1 else None,
        )  # fmt: skip
        found.append(replace(one, words=f"{_words(one)}.", sentence=f"{_head(one)}: {_words(one)}."))
    return found


def called(index: float) -> str:
    """A mean Jaccard index in a word."""
    return "stable" if index >= STABLE else "dissolves" if index < DISSOLVES else "wavers"


def _tests(both: np.ndarray, sizes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """(C, M) q-values; only pairs that are together more often than by chance are worth their test, the rest are 1."""
    rows = int(sizes.sum())
    q_values = np.ones(both.shape)
    if len(sizes) < 2:
        return q_values
    at = np.nonzero(both > sizes[:, None] * totals / rows)
    together, size, total = (values.astype(np.int64) for values in (both[at], sizes[at[0]], totals[at[1]]))
    q_values[at] = benjamini_hochberg(fisher(together, size, total, rows), both.size)
    return q_values


def _shape(X: Any, place: np.ndarray, count: int) -> tuple[np.ndarray | None, np.ndarray]:
    """(C,) distance of a cluster's rows from its mean over that of all rows from theirs, and the cluster nearest to it."""
    if not isinstance(X, np.ndarray):
        return None, np.zeros(count, np.int64)
    X = X.astype(np.float64)
    means = np.stack([X[place == c].mean(0) for c in range(count)])
    own = np.linalg.norm(X - means[place], axis=1)
    usual = float(np.linalg.norm(X - X.mean(0), axis=1).mean())
    spread = np.bincount(place, own, minlength=count) / np.bincount(place, minlength=count)
    apart = ((means[:, None] - means[None]) ** 2).sum(2) if count <= MOST_CLUSTERS else _apart(means)
    np.fill_diagonal(apart, np.inf)
    return spread / (usual or 1.0), apart.argmin(1)


def _apart(means: np.ndarray) -> np.ndarray:
    squares = (means**2).sum(1)
    return np.asarray(squares[:, None] + squares[None] - 2 * means @ means.T)


def _few(items: list[ProfileItem]) -> list[ProfileItem]:
    """The first of each attribute, of the label two: intervals of one column say little after the first."""
    kept, seen = [], dict[str, int]()
    for item in items:
        seen[item.attribute] = seen.get(item.attribute, 0) + 1
        if seen[item.attribute] <= (MOST_LABELS if item.attribute == LABEL else 1):
            kept.append(item)
    return kept[:MOST_ITEMS]


def _head(one: Profile) -> str:
    """Say: Cluster 3 (142 rows, 14 % of all, stable .91)."""
    rows = f"{one.rows:,} {'row' if one.rows == 1 else 'rows'}"
    index = one.stability
    stable = "" if index is None else f", {called(index)} {f'{index:.2f}'.removeprefix('0')}"
    name = "Noise" if one.cluster == NOISE else f"Cluster {one.cluster}"
    return f"{name} ({rows}, {percent(one.share)} of all{stable})"


def _words(one: Profile) -> str:
    """Say: 97 % are “7” (0.6 % of the others); bright (61 % against 25 %)."""
    labels = [i for i in one.items if i.attribute == LABEL]
    others = [i for i in one.items if i.attribute != LABEL][:MOST_TOLD]
    of = [f"{percent(i.inside)} are {i.name} ({percent(i.outside)} of the others)" for i in labels]
    parts = [enumerated(of)] if of else []
    parts += [f"{i.name} ({percent(i.inside)} against {percent(i.outside)})" for i in others]
    return "; ".join(parts) or _by_distance(one)


def _by_distance(one: Profile) -> str:
    """What there is to say of a cluster of whose rows nothing is known that sets them apart."""
    if one.nearest is None:
        return "nothing that is known of its rows sets them apart"
    return (
        f"nothing that is known of its rows sets them apart; they stand {one.spread:.2f} times as far from their "
        f"middle as all rows do from theirs, nearest to {_named(one.nearest)}"
    )


def _named(cluster: str) -> str:
    return "the noise" if cluster == NOISE else f"cluster {cluster}"


def _ones(pairs: list[tuple[int, int]], shape: tuple[int, int]) -> csr_array:
    at = np.array(pairs, np.int64).reshape(-1, 2)
    return csr_array((np.ones(len(at)), (at[:, 0], at[:, 1])), shape=shape)
