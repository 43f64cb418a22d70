"""Principal components of a view: how much of it each holds, and what stands at both ends of the first directions."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from tasks.features.items import Items, load_items
from tasks.features.scaling import comparable
from tasks.features.view import View, rows_of
from tasks.miners.fitting import lowest
from tasks.stats.fisher import fisher
from tasks.storage.store import MANIFEST

#: Train rows that are enough, components of a view that is sparse or wider than `WIDE`, and those whose share is kept.
ROWS, FEW, WIDE, KEPT = 10_000, 50, 2_000, 128
#: Directions that are looked at; of each so many names by |loading| and so many rows at either end.
DIRECTIONS, NAMES, SHOWN = 4, 10, 6
#: The rows of an end, as a share of all and at least so many, whose items and labels are told.
SHARE, LEAST = 0.05, 20
#: Items told of an end, and the chance of a false one among all that are tried (Bonferroni).
ITEMS, CHANCE = 5, 0.01
#: Labels told of an end, if the rows have no more than so many.
LABELS, MOST_LABELS = 2, 50


def components(views: dict[str, View], items: Path, seed: int) -> dict[str, dict[str, Any]]:
    """What PCA (Pearson 1901) of the train rows says of each of ``views``; a view of equal rows says nothing.

    The features are centred and not scaled, but of several inputs each weighs the same. `ratio` holds the share of
    the variance of each component, `ninety` how many hold 90 % together (None if more than were computed),
    `directions` what the first ones are made of.
    """
    known = load_items(items) if (items / MANIFEST).is_file() else None
    found = {}
    # sums over threads come in any order, and their low bits with them
    with threadpool_limits(1):
        for name, view in views.items():
            told = _of_view(view, known, seed)
            if told is not None:
                found[name] = told
    return found


def _of_view(view: View, items: Items | None, seed: int) -> dict[str, Any] | None:
    rows = lowest(view, np.flatnonzero(view.rows("train")), ROWS)
    X = comparable(view, rows)
    most, some = min(X.shape), view.sparse or X.shape[1] > WIDE
    count = min(FEW, most - 1) if some else most
    if count < 1 or len(rows) < 3:
        return None
    apart = (X.max(axis=0) - X.min(axis=0)).nnz if view.sparse else np.ptp(X, axis=0).any()
    if not apart:
        return None
    pca = PCA(count, svd_solver="arpack" if some else "full", random_state=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        places = pca.fit_transform(X if view.sparse else X.astype(np.float64))  # (N, count)
    ratio = pca.explained_variance_ratio_
    if not np.isfinite(ratio).all() or ratio.sum() <= 0:
        return None
    total = np.cumsum(ratio)
    directions = [
        _direction(view, rows, places[:, k], pca.components_[k], items)
        for k in range(min(DIRECTIONS, count)) if ratio[k] > 1e-9
    ]  # fmt: skip
    return {
        "rows": len(rows), "width": int(X.shape[1]), "ratio": [_plain(r) for r in ratio[:KEPT].tolist()],
        "ninety": int(np.searchsorted(total, 0.9) + 1) if total[-1] >= 0.9 else None, "directions": directions,
    }  # fmt: skip


def _direction(
    view: View, rows: np.ndarray, places: np.ndarray, weights: np.ndarray, items: Items | None
) -> dict[str, Any]:
    """What one direction is made of, and who stands at its ends."""
    order = np.argsort(places, kind="stable")
    found: dict[str, Any] = {"loadings": []}
    if view.names:
        heavy = np.argsort(-np.abs(weights), kind="stable")[:NAMES]
        found["loadings"] = [[view.names[i], _plain(weights[i])] for i in heavy.tolist()]
    size = max(LEAST, int(SHARE * len(rows)))
    for end, way in (("low", order), ("high", order[::-1])):
        shown = way[: min(SHOWN, len(rows) // 2)]
        found[end] = {"ids": view.ids[rows[shown]].tolist(), "items": [], "labels": []}
        if 2 * size <= len(rows):
            far = rows[np.sort(way[:size])]
            found[end] |= {"labels": _labels(view, rows, far), "items": _items(view, rows, far, items)}
    return found


def _labels(view: View, rows: np.ndarray, far: np.ndarray) -> list[list[Any]]:
    """The commonest labels of the rows ``far`` out, each with its share there and among all ``rows``."""
    every = Counter(view.label[rows[view.known[rows]]].tolist())
    if not 1 < len(every) <= MOST_LABELS:
        return []
    here = Counter(view.label[far[view.known[far]]].tolist())
    first = sorted(here, key=lambda label: (-here[label], label))[:LABELS]
    return [[label, here[label] / len(far), every[label] / len(rows)] for label in first]


def _items(view: View, rows: np.ndarray, far: np.ndarray, items: Items | None) -> list[dict[str, Any]]:
    """The items that stand out among the rows ``far`` out: those of the largest lift that chance does not explain."""
    if items is None or not items.names:
        return []
    held = items.view.X
    all_, here = (np.asarray(held[rows_of(items.view, view.ids[some])].sum(0)).ravel() for some in (rows, far))
    chance = fisher(here, np.array(len(far)), all_, len(rows))
    lift = (here / len(far)) / np.maximum(all_ / len(rows), 1e-12)
    sure = np.flatnonzero(chance * len(items.names) * 2 * DIRECTIONS < CHANCE)
    best = sorted(sure.tolist(), key=lambda i: (-lift[i], items.names[i]))[:ITEMS]
    return [{"item": items.names[i], "share": _plain(here[i] / len(far)), "lift": _plain(lift[i])} for i in best]


def _plain(value: float) -> float:
    return float(f"{value:.6g}")
