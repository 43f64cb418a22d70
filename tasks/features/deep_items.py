"""Items made of deep features, so that rules can speak of them: clusters, leaves of a small tree, main directions."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array

from tasks.features.binning import one_hot
from tasks.features.item_matrix import ItemMatrix
from tasks.features.view import View, feature_names
from tasks.stats.quantile_bins import quantile_edges
from tasks.storage.names import NOISE

#: Of the tree: levels, and the share and number of train rows that a leaf has at least.
DEPTH, LEAF_SHARE, LEAF_ROWS = 4, 0.01, 10
#: Train rows that the tree and the directions are fitted on at most.
MOST_ROWS = 20_000
#: What the parts of a direction are called, from its low end to its high one; of more they are counted.
PARTS = {
    2: ("low", "high"), 3: ("low", "middle", "high"), 4: ("lowest", "low", "high", "highest"),
    5: ("lowest", "low", "middle", "high", "highest"),
}  # fmt: skip
#: Rows of which clusters are asked at once.
BLOCK = 8192


class Clusterer(Protocol):
    """What a fitted clusterer of the deep view can do."""

    def predict(self, view: View, mask: np.ndarray) -> np.ndarray:
        """(M,) clusters of the rows under ``mask``, -1 for none."""
        ...


def deep_items(
    deep: View, clusterers: Mapping[str, Clusterer], target: np.ndarray | None, fitted_on: np.ndarray, *,
    directions: int, bins: int, seed: int,
) -> ItemMatrix:  # fmt: skip
    """The items of all N rows of ``deep``, fitted on its train rows: `cluster 3 (kmeans)`, `leaf 5 (tree)`, `direction 1 high`.

    Args:
        clusterers: name -> one that was fitted on this view.
        target: (N,) classes as text or numbers that the tree learns, None: no tree.
        fitted_on: positions of the train rows that tree and directions are fitted on; for the tree labelled ones.

    >>> from tasks.features.view import Part
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> text, split = np.arange(60).astype(str), np.full(60, "train")
    >>> deep = View("deep", text, split, text, np.ones(60, bool), X, "f", (Part(2),))
    >>> deep_items(deep, {}, None, np.arange(60), directions=1, bins=2, seed=0).names
    ('direction 1 low', 'direction 1 high')
    """
    groups = [_clusters(deep, name, clusterer) for name, clusterer in sorted(clusterers.items())]
    if target is not None:
        groups += _tree(deep, target, fitted_on, seed)
    groups += _directions(deep, fitted_on, directions, bins)
    names = tuple(name for _, own, _, _ in groups for name in own)
    attributes = tuple(attribute for _, own, attribute, _ in groups for _ in own)
    meaning = {name: text for _, own, _, told in groups for name, text in zip(own, told, strict=True) if text}
    return ItemMatrix(
        _one_hot([(codes, len(own)) for codes, own, _, _ in groups], len(deep.ids)), names, attributes, meaning
    )


#: (N,) position of each row's item among the names (-1: none), the names, their attribute, what each means.
Group = tuple[np.ndarray, list[str], str, list[str]]


def _clusters(deep: View, name: str, clusterer: Clusterer) -> Group:
    wanted = deep.rows("train", "val", "test")
    said = np.full(len(deep.ids), -1, np.int64)
    for start in range(0, len(said), BLOCK):
        mask = np.zeros(len(said), bool)
        mask[start : start + BLOCK] = wanted[start : start + BLOCK]
        if mask.any():
            said[mask] = clusterer.predict(deep, mask).astype(np.int64)
    levels = np.unique(said[wanted])
    names = [f"{NOISE} ({name})" if level == -1 else f"cluster {level} ({name})" for level in levels]
    codes = np.where(wanted, np.searchsorted(levels, said), -1)
    return codes, names, name, [""] * len(names)


def _tree(deep: View, target: np.ndarray, fitted_on: np.ndarray, seed: int) -> list[Group]:
    """The leaves of a decision tree (Breiman et al. 1984), from left to right."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if target.dtype.kind == "f" else DecisionTreeClassifier
    least = max(LEAF_ROWS, int(LEAF_SHARE * len(fitted_on)))
    tree = kind(max_depth=DEPTH, min_samples_leaf=least, random_state=seed).fit(deep.X[fitted_on], target[fitted_on])
    nodes = tree.tree_
    leaves = np.flatnonzero(nodes.children_left == -1)  # numbered from left to right already
    if len(leaves) < 2:
        return []
    ways = _ways(nodes, feature_names(deep))
    codes = np.searchsorted(leaves, tree.apply(deep.X))
    names = [f"leaf {i + 1} (tree)" for i in range(len(leaves))]
    return [(codes, names, "tree", [ways[leaf] for leaf in leaves.tolist()])]


def _ways(nodes: Any, features: Sequence[str]) -> dict[int, str]:
    """Node of a tree over ``features`` -> the questions on the way to it."""
    found = {0: ""}
    for node in range(nodes.node_count):  # a child comes after its parent
        for child, sign in ((nodes.children_left[node], "<="), (nodes.children_right[node], ">")):
            if child != -1:
                asked = f"{features[nodes.feature[node]]} {sign} {nodes.threshold[node]:.3g}"
                found[int(child)] = f"{found[node]}, {asked}".removeprefix(", ")
    return found


def _directions(deep: View, fitted_on: np.ndarray, count: int, bins: int) -> list[Group]:
    """The first principal components, each cut into parts of about equally many train rows."""
    from sklearn.decomposition import PCA

    rows = deep.X[fitted_on].astype(np.float64)
    count = min(count, rows.shape[1], len(rows) - 1)
    if count < 1 or not np.ptp(rows, axis=0).any():
        return []
    pca = PCA(count, svd_solver="full" if rows.shape[1] > len(rows) else "covariance_eigh").fit(rows)
    starts = range(0, len(deep.ids), BLOCK)
    scores = np.concatenate([pca.transform(deep.X[s : s + BLOCK].astype(np.float64)) for s in starts])  # (N, count)
    found: list[Group] = []
    for i, share in enumerate(pca.explained_variance_ratio_.tolist()):
        # as numbers of few digits, so that a cut means the same wherever it is written
        edges = quantile_edges(scores[fitted_on, i], bins)
        cuts = np.unique([float(f"{edge:.6g}") for edge in edges])
        if share < 1e-9 or len(cuts) + 1 != bins:
            continue
        name = f"direction {i + 1}"
        parts = PARTS.get(bins) or tuple(f"part {k + 1} of {bins}" for k in range(bins))
        told = f"principal direction {i + 1} of the deep features, with {share * 100:.0f} % of their variance"
        codes = np.searchsorted(cuts, scores[:, i], side="right")
        found.append((codes, [f"{name} {part}" for part in parts], name, [told] * bins))
    return found


def _one_hot(groups: Sequence[tuple[np.ndarray, int]], rows: int) -> csr_array:
    """(N, M) bool of the codes of several groups side by side."""
    if not groups:
        return csr_array((rows, 0), dtype=bool)
    starts = np.cumsum([0, *(width for _, width in groups)])
    codes = np.stack([np.where(c < 0, -1, c + start) for (c, _), start in zip(groups, starts[:-1], strict=True)], 1)
    return one_hot(codes, int(starts[-1]))
