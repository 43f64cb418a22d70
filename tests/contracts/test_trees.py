"""Trees in saved miners: what a file makes of them is judged, and nothing that chance left in memory is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.tree._tree import Tree

from tasks.core.errors import DeepmineError
from tasks.miners.persistence import Fitted, load_miner, save_miner
from tests.contracts.test_miners import MARK, fitted


def broken_tree(**wrong: Any) -> BaseEstimator:
    """A decision tree over 4 features of which one thing is ``wrong``."""
    estimator = fitted("decision_tree", "classes").estimator
    tree = estimator.tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    for field, value in wrong.items():
        if field in state:
            state[field] = value
        elif field == "n_features_in_":
            estimator.n_features_in_ = value
        else:
            state["nodes"][field][0] = value
    made = Tree(4, np.array([3], np.intp), 1)
    made.__setstate__(state)
    estimator.tree_ = made
    return estimator


WRONG = [
    {"left_child": 10**6}, {"right_child": 10**6}, {"left_child": -7}, {"right_child": -1}, {"left_child": 0},
    {"feature": 4}, {"feature": -2}, {"node_count": 2}, {"n_features_in_": 1},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_tree_that_leads_out_of_its_memory_is_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    save_miner(path, Fitted(broken_tree(), "deep", MARK))
    load_miner(path)
    save_miner(path, Fitted(broken_tree(**wrong), "deep", MARK))
    with pytest.raises(DeepmineError, match="a tree with invalid branches; refused"):
        load_miner(path)


def test_a_tree_is_no_larger_than_its_nodes() -> None:
    """Scikit-learn sees to that, and `bounds` leans on it."""
    assert broken_tree(node_count=10**6).tree_.node_count == fitted("decision_tree").estimator.tree_.node_count


@pytest.mark.parametrize("field", ["left", "right", "feature_idx", "is_categorical"])
@pytest.mark.parametrize("form", ["classes", "two numbers"])
def test_so_is_one_of_gradient_boosting(field: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    made = fitted("gradient_boosting", form)
    inner = made.estimator if form == "classes" else made.estimator.estimators_[1]
    inner._predictors[3][0].nodes[field][0] = 200 if field != "is_categorical" else 1
    save_miner(path, made)
    with pytest.raises(DeepmineError, match="a tree with invalid branches; refused"):
        load_miner(path)


def test_a_forest_that_is_wider_than_it_says_is_refused(tmp_path: Path) -> None:
    made = fitted("random_forest")
    made.estimator.n_features_in_ = 2
    save_miner(tmp_path / "m.skops", made)
    with pytest.raises(DeepmineError, match="a tree with invalid branches; refused"):
        load_miner(tmp_path / "m.skops")


def test_bytes_that_nothing_uses_are_zero(tmp_path: Path) -> None:
    """Between the fields of a tree's nodes, and where a leaf's rows without a value would go, lies what memory held."""
    one, two = fitted("decision_tree"), fitted("decision_tree")
    state = two.estimator.tree_.__getstate__()
    raw = state["nodes"].view(np.uint8).reshape(len(state["nodes"]), -1).copy()
    raw[:, -7:] = 0xAB
    raw[state["nodes"]["left_child"] == -1, -8] = 1
    state["nodes"] = raw.reshape(-1).view(state["nodes"].dtype)
    two.estimator.tree_.__setstate__(state)
    save_miner(tmp_path / "one", one)
    save_miner(tmp_path / "two", two)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_so_is_one_inside_of_a_calibration(tmp_path: Path) -> None:
    """Which is asked for probabilities, and holds classifiers."""
    path, X, y = tmp_path / "m.skops", np.arange(48.0).reshape(-1, 4), np.resize(broken_tree().classes_, 12)
    for wrong in ({}, {"left_child": 10**6}):
        calibrator = CalibratedClassifierCV(FrozenEstimator(broken_tree()), cv=2).fit(X, y)
        calibrator.calibrated_classifiers_[0].estimator = FrozenEstimator(broken_tree(**wrong))
        save_miner(path, Fitted(fitted("decision_tree").estimator, "deep", MARK, calibrator))
        if wrong:
            with pytest.raises(DeepmineError, match="a tree with invalid branches; refused"):
                load_miner(path)
        else:
            load_miner(path)
