"""A fitted decision tree as a person reads it: its rules as text, and its nodes to be drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tasks.features.view import View, feature_names

#: Levels of questions that are told as text, and that are drawn.
DEEP, DRAWN = 5, 3
#: Classes that are counted in a node, and characters of a feature's name.
CLASSES, NAME = 4, 60
Node = dict[str, Any]


@dataclass(frozen=True)
class Tree:
    """The rules of a tree as ``text``, and its first `DRAWN` levels of ``nodes``, each with its children inside."""

    text: str
    nodes: Node


def read_tree(estimator: BaseEstimator, view: View) -> Tree | None:
    """What a decision tree asks of the features of ``view``; None of any other estimator.

    A node has `rows` (train rows that reach it) and `told` (the commonest classes with their rows, or the mean), and,
    unless it is a leaf, `ask` (a feature is at most a number: then `yes`, else `no`) or `more`, the nodes not told.
    """
    if not isinstance(estimator, DecisionTreeClassifier | DecisionTreeRegressor):
        return None
    names = feature_names(view)
    return Tree("\n".join(_lines(_node(estimator, names, 0, DEEP), "")), _node(estimator, names, 0, DRAWN))


def _node(estimator: Any, names: tuple[str, ...], place: int, levels: int) -> Node:
    tree = estimator.tree_
    found: Node = {"rows": int(tree.n_node_samples[place]), "told": _told(estimator, place)}
    if tree.children_left[place] == -1:
        return found
    if not levels:
        return {**found, "more": _below(tree, place)}
    name = names[tree.feature[place]]
    name = name if len(name) <= NAME else f"{name[: NAME - 1]}…"
    found["ask"] = [name, float(f"{tree.threshold[place]:.4g}")]
    for way, child in (("yes", tree.children_left[place]), ("no", tree.children_right[place])):
        found[way] = _node(estimator, names, int(child), levels - 1)
    return found


def _told(estimator: Any, place: int) -> list[list[Any]]:
    """Classes with their rows, the commonest first; of numbers their means without a name."""
    tree = estimator.tree_
    values = tree.value[place]
    if isinstance(estimator, DecisionTreeRegressor):
        return [["", float(f"{v:.4g}")] for v in values[:CLASSES, 0].tolist()]
    counts = np.rint(values[0] * tree.n_node_samples[place]).astype(int)  # shares, of the rows by their weight
    order = np.argsort(-counts, kind="stable")[:CLASSES]
    return [[str(estimator.classes_[i]), int(counts[i])] for i in order.tolist() if counts[i]]


def _below(tree: Any, place: int) -> int:
    """Nodes under a node."""
    waiting, found = [place], 0
    while waiting:
        at = waiting.pop()
        if tree.children_left[at] != -1:
            waiting += [tree.children_left[at], tree.children_right[at]]
            found += 2
    return found


def _lines(node: Node, before: str) -> list[str]:
    """A node and what is under it, a line each."""
    if "ask" not in node:
        more = f" … {node['more']} more nodes" if "more" in node else ""
        return [f"{before}{said(node)}{more}"]
    name, most = node["ask"]
    inner = before + "|   "
    return [
        f"{before}if {name} ≤ {most:g}:", *_lines(node["yes"], inner),
        f"{before}if {name} > {most:g}:", *_lines(node["no"], inner),
    ]  # fmt: skip


def said(node: Node) -> str:
    """What a node says in words: `ham: 40, spam: 2`, or the mean of so many rows."""
    if node["told"] and not node["told"][0][0]:
        return f"{', '.join(f'{v:g}' for _, v in node['told'])} ({node['rows']:,} rows)"
    return ", ".join(f"{label}: {count:,}" for label, count in node["told"])
