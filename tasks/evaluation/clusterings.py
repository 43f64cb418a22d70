"""What clusterings of the test rows are worth: figures, how far two of them agree, and what their clusters are."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import adjusted_rand_score

from tasks.evaluation.cluster_profiles import Known, of_classes, of_numbers, profiles
from tasks.features.items import load_items
from tasks.features.label_values import parse_numbers
from tasks.features.scaling import comparable
from tasks.features.view import load_view, rows_of
from tasks.metrics.clustering import clustering
from tasks.stats.intervals import Interval
from tasks.stats.rand_index import ari, ari_difference
from tasks.stats.resampling import Resampling

#: Clusterings of which each is held against each, at most.
MOST_COMPARED = 12
#: What the interval of a stability is.
REFITS = "5th to 95th percentile of refits"


def clusterings(
    names: list[str],
    predictions: pa.Table,
    features: Path,
    items: Path,
    mined: dict[str, Any],
    sampling: Resampling,
    silhouette_rows: int,
) -> dict[str, Any]:
    """All that `evaluate` says of the clusterings ``names`` (`NAME@VIEW`), by test rows alone.

    Returns:
        `clusters`: figures of each. `cluster_pairs`: of each clusterer the adjusted Rand index on `deep` less that on
        `raw`. `agreement`: that of each two clusterings with each other. `profiles`: of each, what its clusters are.
    """
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    if mined["aim"] == "classification":
        table = table.filter(table["label"].is_valid())
    if not table.num_rows or not names:
        return {"clusters": {}, "cluster_pairs": {}, "agreement": {}, "profiles": {}}
    ids, assigned = np.array(table["id"].to_pylist()), {name: np.array(table[name].to_pylist()) for name in names}
    truth = np.array(table["label"].to_pylist()) if mined["aim"] == "classification" else None
    sample = np.random.default_rng(sampling.seed).permutation(len(ids))[:silhouette_rows]
    views = {name: load_view(features, name) for name in dict.fromkeys(name.partition("@")[2] for name in names)}
    stable, known = mined.get("stability", {}), _known(ids, table["label"].to_pylist(), mined["aim"], items)
    found, pairs, told = {}, {}, {}
    for name in names:
        own, _, view_name = name.partition("@")
        view, other = views[view_name], assigned.get(f"{own}@raw")
        X, again = comparable(view, rows_of(view, ids)), stable.get(name, {})
        found[name] = clustering(truth, assigned[name], X, sample)
        if again:
            found[name] |= {
                "stability": again["mean"],
                "stability_interval": Interval(again["mean"], again["low"], again["high"], REFITS),
            }
        if truth is not None:
            found[name]["ari_interval"] = ari(truth, assigned[name], sampling)
        if truth is not None and view_name == "deep" and other is not None:
            gap = ari_difference(truth, assigned[name], other, sampling)
            pairs[own] = {"difference": gap.value, "interval": gap}
        told[name] = profiles(assigned[name], known, X, again.get("clusters", {}))
    agreement = {
        f"{a} - {b}": {
            "ari": float(adjusted_rand_score(assigned[a], assigned[b])),
            "interval": ari(assigned[a], assigned[b], sampling),
        }
        for a, b in combinations(names[:MOST_COMPARED], 2)
    }
    return {"clusters": found, "cluster_pairs": pairs, "agreement": agreement, "profiles": told}


def _known(ids: np.ndarray, labels: list[str | None], aim: str, items: Path) -> Known:
    """The items of the rows ``ids``, and their labels as items too: classes, or the quarters of one number."""
    store = load_items(items)
    held = store.view.X[rows_of(store.view, ids)]
    known = Known(held, store.names, store.attributes)
    if aim == "classification":
        return of_classes(labels).beside(known)
    if aim == "regression":
        numbers = [np.nan if label is None else parse_numbers([label])[0] for label in labels]
        if all(np.size(number) == 1 for number in numbers):
            return of_numbers(np.array([float(np.squeeze(number)) for number in numbers])).beside(known)
    return known
