"""Which classes are taken for which, by each approach, and the scores of each class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Above this many classes a matrix is no longer read; the most confused pairs are listed in its place.
MATRIX_CLASSES = 30
MOST_PAIRS = 25


@dataclass(frozen=True)
class Confusion(Content):
    """The matrix of each approach; the scores of each class by the one that val rows chose, ``best``."""

    approaches: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    best: str


def build(run: "Run") -> Confusion | None:
    """None where there are no classes."""
    return confusion(run.evaluated)


def confusion(evaluated: dict[str, Any]) -> Confusion | None:
    """The section of what `evaluate` found."""
    titles = dict(evaluated["titles"])
    if not evaluated["confusion"]:
        return None
    return Confusion(matrices(evaluated, titles), classes(evaluated), titles[evaluated["best"]])


def matrices(evaluated: dict[str, Any], titles: dict[str, str]) -> list[dict[str, Any]]:
    """For each approach its matrix, or above `MATRIX_CLASSES` classes only its most confused pairs; none of numbers."""
    labels = evaluated["labels"]
    few = len(labels) <= MATRIX_CLASSES
    return [
        {
            "key": key, "title": title, "shown": key == evaluated["best"],
            "rows": _matrix(labels, evaluated["confusion"][key]) if few else [],
            "pairs": _pairs(labels, evaluated["confusion"][key]),
        }
        for key, title in titles.items() if key in evaluated["confusion"]
    ]  # fmt: skip


def classes(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class under the approach that val rows chose, the worst first; none of numbers."""
    if not evaluated["confusion"]:
        return []
    scores = evaluated["scores"][evaluated["fusion"]["ways"][evaluated["best"]]["by"]]["classes"]
    areas = (evaluated.get("figures") or {}).get("class_auc", {})
    rows = [{"label": label, "auc": areas.get(label), **values} for label, values in scores.items()]
    return sorted(rows, key=lambda row: (row["f1"], row["label"]))


def _matrix(labels: list[str], matrix: list[list[int]]) -> list[dict[str, Any]]:
    """Rows of cells; the tint grows with the root of the share, so that single mistakes stay visible."""
    rows = []
    for i, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        total = sum(counts)
        cells = [
            {"n": n, "right": i == j, "tint": round((n / total) ** 0.5 * 70) if total else 0}
            for j, n in enumerate(counts)
        ]
        rows.append({"label": label, "cells": cells, "total": total})
    return rows


def _pairs(labels: list[str], matrix: list[list[int]]) -> list[dict[str, Any]]:
    """The pairs of classes that are taken for each other most often."""
    wrong: list[dict[str, Any]] = [
        {"truth": labels[i], "predicted": labels[j], "n": n, "share": n / sum(counts)}
        for i, counts in enumerate(matrix) for j, n in enumerate(counts) if n and i != j
    ]  # fmt: skip
    return sorted(wrong, key=lambda pair: (-pair["n"], -pair["share"]))[:MOST_PAIRS]
