"""A decision tree told: the rules are those that it follows, the picture has every box in its place."""

import re
from itertools import pairwise

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tasks.features.view import Part, View
from tasks.miners import MINERS, Task
from tasks.miners.tree_text import read_tree, said
from tasks.reporting import trees

N = 300
NAMES = ("age", "income", "debt")


def view(names: tuple[str, ...] = NAMES) -> View:
    X = np.random.default_rng(0).uniform(0, 10, (N, 3)).astype(np.float32)
    label = np.where(X[:, 0] <= 4, "young", np.where(X[:, 2] <= 5, "safe", "risky"))
    ids = np.array([f"r{i}" for i in range(N)])
    return View("raw", ids, np.array(["train"] * N), label, np.ones(N, bool), X, "f", (Part(3),), names)


def told(text: str, row: dict[str, float]) -> str:
    """Follow the rules as a person would."""
    depth = 0
    for line in text.splitlines():
        indent, rest = line.count("|   "), line.replace("|   ", "")
        if indent != depth:
            continue
        rule = re.fullmatch(r"if (.+) (≤|>) (\S+):", rest)
        if rule is None:
            return rest
        name, sign, most = rule.groups()
        depth += (row[name] <= float(most)) == (sign == "≤")
    raise AssertionError("the rules lead nowhere")


def test_the_rules_say_what_the_tree_says() -> None:
    made = view()
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(made.X, made.label)
    found = read_tree(tree, made)
    assert found is not None
    close = np.abs(made.X - np.round(made.X)).min(1) > 0.01  # thresholds are told with four digits
    for row, label in zip(made.X[close][:60], tree.predict(made.X[close])[:60], strict=True):
        assert told(found.text, dict(zip(NAMES, row.tolist(), strict=True))).startswith(f"{label}: ")
    assert found.nodes["ask"][0] == "age"
    assert found.nodes["ask"][1] == pytest.approx(4, abs=0.1)
    assert found.nodes["rows"] == N
    assert found.nodes["yes"]["told"] == [["young", int((made.label == "young").sum())]]
    assert found.nodes["no"]["ask"][0] == "debt"


def test_features_without_names_are_numbered_by_their_view() -> None:
    made = view(())
    found = read_tree(DecisionTreeClassifier(max_depth=2).fit(made.X, made.label), made)
    assert found is not None
    assert "if raw 0 ≤ " in found.text


def test_a_deep_tree_is_told_in_part_and_says_so() -> None:
    made = view()
    label = np.random.default_rng(1).integers(0, 2, N).astype(str)
    tree = DecisionTreeClassifier(random_state=0).fit(made.X, label)
    found = read_tree(tree, made)
    assert found is not None
    assert max(line.count("|   ") for line in found.text.splitlines()) == 5
    hidden = sum(int(n) for n in re.findall(r"… (\d+) more nodes", found.text))
    shown = len(re.findall(r"if .* ≤ ", found.text)) * 2 + 1
    assert hidden + shown == tree.tree_.node_count


def test_numbers_have_means() -> None:
    made = view()
    tree = DecisionTreeRegressor(max_depth=1).fit(made.X, np.where(made.X[:, 1] > 5, 3.0, 1.0))
    found = read_tree(tree, made)
    assert found is not None
    assert re.search(r"if income > \S+:\n\|   3 \(\d+ rows\)", found.text)
    assert said(found.nodes["yes"]).startswith("1 (")
    assert [box["lines"][0] for box in trees.picture(found.nodes)["boxes"][:2]] == ["1", "3"]


def test_rows_of_balanced_weight_are_counted_as_shares_say() -> None:
    made = view()
    found = read_tree(DecisionTreeClassifier(max_depth=2).fit(made.X, made.label), made)
    assert found is not None
    assert sum(count for _, count in found.nodes["told"]) == N


def test_a_tree_of_one_leaf_and_what_is_no_tree() -> None:
    made = view()
    alone = read_tree(DecisionTreeClassifier().fit(made.X, ["same"] * N), made)
    assert alone is not None
    assert alone.text == f"same: {N}"
    [box] = trees.picture(alone.nodes)["boxes"]
    assert box["lines"] == [f"same: {N}", f"{N} rows"]
    assert read_tree(MINERS["random_forest"](Task(), n_estimators=2).fit(made.X, made.label), made) is None


def test_no_two_boxes_of_the_picture_touch() -> None:
    made = view()
    label = np.random.default_rng(1).integers(0, 2, N).astype(str)
    found = read_tree(DecisionTreeClassifier(random_state=0).fit(made.X, label), made)
    assert found is not None
    drawn = trees.picture(found.nodes)
    assert len(drawn["boxes"]) == 15
    assert len(drawn["edges"]) == 14
    for level in {box["y"] for box in drawn["boxes"]}:
        left = sorted(box["x"] for box in drawn["boxes"] if box["y"] == level)
        assert all(b - a >= trees.WIDTH for a, b in pairwise(left))
        assert left[0] >= 0
        assert left[-1] + trees.WIDTH <= drawn["width"]
    assert all(len(line) <= trees.LINE for box in drawn["boxes"] for line in box["lines"][:2])
