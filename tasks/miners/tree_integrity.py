"""Fitted trees and sparse rows from a file, judged before they are asked: their indices are followed without looking.

A crafted archive of allowed types could else make a prediction read outside of its memory or never end. That is why
skops trusts no `Tree` by itself.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse


def sound(value: Any, width: int = 2**62) -> bool:
    """Whether all trees inside of a loaded estimator stay within their nodes and within the features they are given.

    Args:
        value: an estimator, or anything that stands inside of one.
        width: features that whatever holds it makes sure of.
    """
    kind = type(value).__name__
    if kind == "Tree":
        return _tree(value, width)
    if kind == "TreePredictor":
        return _predictor(value.nodes, width)
    if issparse(value):
        return _places(value)
    if isinstance(value, dict):
        return all(sound(inner, width) for inner in value.values())
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        return all(sound(inner, width) for inner in value)
    if hasattr(value, "get_params") or kind == "_CalibratedClassifier":  # which holds a classifier and is none
        seen = vars(value).get("n_features_in_", width)
        return isinstance(seen, int | np.integer) and sound(vars(value), min(width, int(seen)))
    return True


def _places(rows: Any) -> bool:
    """Whether sparse rows stay within their own places."""
    try:
        rows.check_format(full_check=True)
    except (ValueError, AttributeError):
        return False
    return True


def _tree(tree: Any, width: int) -> bool:
    inner = tree.children_left != -1
    return _nodes(tree.children_left[inner], tree.children_right[inner], tree.feature[inner], inner, width)


def _predictor(nodes: np.ndarray, width: int) -> bool:
    inner = nodes["is_leaf"] == 0
    numeric = not nodes["is_categorical"].any()  # features are numbers; a category would be one more index
    return numeric and _nodes(nodes["left"][inner], nodes["right"][inner], nodes["feature_idx"][inner], inner, width)


def _nodes(left: np.ndarray, right: np.ndarray, feature: np.ndarray, inner: np.ndarray, width: int) -> bool:
    """Children come after their parent, so that every way down ends."""
    own, total = np.flatnonzero(inner), len(inner)
    downward = all(((own < child) & (child < total)).all() for child in (left.astype(np.int64), right.astype(np.int64)))
    return bool(total and downward and ((feature >= 0) & (feature < width)).all())
