"""What clusterings of the test rows are worth: figures, how far two of them agree, and what their clusters are."""

from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import adjusted_rand_score

from tasks.evaluation.cluster_profiles import Profile, of_classes, of_numbers, profiles
from tasks.evaluation.scorers import Difference
from tasks.features.item_matrix import ItemMatrix
from tasks.features.items import load_items
from tasks.features.label_values import parse_numbers
from tasks.features.scaling import comparable
from tasks.features.view import load_view, rows_of
from tasks.metrics.clustering import clustering
from tasks.stats.intervals import Interval
from tasks.stats.rand_index import ari, ari_difference
from tasks.stats.resampling import Resampling
from tasks.storage.summaries import MineSummary

#: Clusterings of which each is held against each, at most.
MOST_COMPARED = 12
#: What the interval of a stability is.
REFITS = "5th to 95th percentile of refits"


@dataclass(frozen=True)
class Agreement:
    """The adjusted Rand index of two clusterings of the same rows, with its interval."""

    ari: float
    interval: Interval


@dataclass(frozen=True)
class Clusterings:
    """What `evaluate` says of clusterings (`NAME@VIEW`), by test rows alone.

    Attributes:
        clusters: metrics of each.
        cluster_pairs: of each clusterer the adjusted Rand index on `deep` minus that on `raw`.
        agreement: of each two clusterings, `A - B`.
        profiles: of each, what its clusters are.
    """

    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    cluster_pairs: dict[str, Difference] = field(default_factory=dict)
    agreement: dict[str, Agreement] = field(default_factory=dict)
    profiles: dict[str, list[Profile]] = field(default_factory=dict)


def clusterings(
    names: list[str],
    predictions: pa.Table,
    features: Path,
    items: Path,
    mined: MineSummary,
    sampling: Resampling,
    silhouette_rows: int,
) -> Clusterings:
    """What there is to say of the clusterings ``names`` (`NAME@VIEW`); the silhouette of ``silhouette_rows`` at most."""
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    if mined.aim == "classification":
        table = table.filter(table["label"].is_valid())
    if not table.num_rows or not names:
        return Clusterings()
    ids, assigned = np.array(table["id"].to_pylist()), {name: np.array(table[name].to_pylist()) for name in names}
    truth = np.array(table["label"].to_pylist()) if mined.aim == "classification" else None
    sample = np.random.default_rng(sampling.seed).permutation(len(ids))[:silhouette_rows]
    views = {name: load_view(features, name) for name in dict.fromkeys(name.partition("@")[2] for name in names)}
    known = _known(ids, table["label"].to_pylist(), mined.aim, items)
    found, pairs, told = {}, {}, {}
    for name in names:
        own, _, view_name = name.partition("@")
        view, other = views[view_name], assigned.get(f"{own}@raw")
        X, again = comparable(view, rows_of(view, ids)), mined.stability.get(name)
        found[name] = clustering(truth, assigned[name], X, sample)
        if again:
            found[name] |= {
                "stability": again.mean,
                "stability_interval": Interval(again.mean, again.low, again.high, REFITS),
            }
        if truth is not None:
            found[name]["ari_interval"] = ari(truth, assigned[name], sampling)
        if truth is not None and view_name == "deep" and other is not None:
            pairs[own] = Difference.of(ari_difference(truth, assigned[name], other, sampling))
        told[name] = profiles(assigned[name], known, X, again.clusters if again else {})
    agreement = {
        f"{a} - {b}": Agreement(
            float(adjusted_rand_score(assigned[a], assigned[b])), ari(assigned[a], assigned[b], sampling)
        )
        for a, b in combinations(names[:MOST_COMPARED], 2)
    }
    return Clusterings(found, pairs, agreement, told)


def _known(ids: np.ndarray, labels: list[str | None], aim: str, items: Path) -> ItemMatrix:
    """The items of the rows ``ids``, and their labels as items too: classes, or the quarters of one number."""
    store = load_items(items)
    held = store.view.X[rows_of(store.view, ids)]
    known = ItemMatrix(held, store.names, store.attributes)
    if aim == "classification":
        return of_classes(labels).beside(known)
    if aim == "regression":
        numbers = [np.nan if label is None else parse_numbers([label])[0] for label in labels]
        if all(np.size(number) == 1 for number in numbers):
            return of_numbers(np.array([float(np.squeeze(number)) for number in numbers])).beside(known)
    return known
