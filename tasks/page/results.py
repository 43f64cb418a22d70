"""What `evaluate` found, arranged as the tables of the page."""

from collections.abc import Callable
from typing import Any

#: Above this many classes a matrix is no longer read; the most confused pairs are listed in its place.
MATRIX_CLASSES = 30
MOST_PAIRS = 25


def fusion(verdict: dict[str, Any], titles: dict[str, str], records: dict[str, Any]) -> dict[str, Any]:
    """The table of ways in the order of ``titles``, with the places of its whiskers in percent of their cell."""
    found = verdict["fusion"]["ways"]
    place, ends = _scale([x for way in found.values() for x in way["interval"]], (0.0, 1.0))
    ways = [
        {
            **found[key], "key": key, "title": title, "best": key == verdict["best"],
            "seconds": _seconds(found[key]["by"], records), "marks": _marks(found[key], "accuracy", place),
        }
        for key, title in titles.items() if key in found
    ]  # fmt: skip
    pairs = verdict["fusion"]["pairs"]
    span = max([abs(x) for p in pairs.values() for x in p["interval"]], default=0.0)
    across, edges = _scale([-span, span], (-1.0, 1.0))
    differences = [
        {**pair, "titles": [titles.get(way, way) for way in name.split(" - ")],
         "marks": _marks(pair, "difference", across) | {"zero": across(0.0)}}
        for name, pair in pairs.items()
    ]  # fmt: skip
    return {
        "ways": ways, "ends": ends, "differences": differences, "edges": edges,
        "sentence": verdict["fusion"]["sentence"], "confidence": verdict["fusion"]["confidence"],
        "gain": pairs.get("deep_svm - network", {}).get("difference"),
        "best": next(way for way in ways if way["best"]),
    }  # fmt: skip


def miners(verdict: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """Every classifier on every view, the best first."""
    rows = [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **scores, "seconds": _seconds(name, records)}
        for name, scores in verdict["scores"].items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["accuracy"], row["name"], row["view"]))


def confusions(verdict: dict[str, Any], titles: dict[str, str]) -> list[dict[str, Any]]:
    """For each way its matrix, or above `MATRIX_CLASSES` classes only its most confused pairs."""
    labels = verdict["labels"]
    few = len(labels) <= MATRIX_CLASSES
    return [
        {
            "key": key, "title": title, "shown": key == verdict["best"],
            "rows": _matrix(labels, verdict["confusion"][key]) if few else [],
            "pairs": _pairs(labels, verdict["confusion"][key]),
        }
        for key, title in titles.items() if key in verdict["confusion"]
    ]  # fmt: skip


def classes(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class under the best way, the worst first."""
    scores = verdict["scores"][verdict["fusion"]["ways"][verdict["best"]]["by"]]["classes"]
    rows = [{"label": label, **values} for label, values in scores.items()]
    return sorted(rows, key=lambda row: (row["f1"], row["label"]))


def clusters(verdict: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """Agreement of each clusterer on each view with the classes, and its seconds."""
    return [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **values, "seconds": _seconds(name, records)}
        for name, values in sorted(verdict["clusters"].items())
    ]


def _seconds(by: str, records: dict[str, Any]) -> dict[str, float]:
    """Fit and predict where a miner was timed; for the network the whole training."""
    times: dict[str, float] = records.get("mine", {}).get("facts", {}).get("seconds_of", {}).get(by, {})
    if by == "network" and "seconds" in records.get("train", {}):
        return {"train": records["train"]["seconds"]}
    return {key: times[key] for key in ("fit", "predict") if key in times}


def _scale(values: list[float], limits: tuple[float, float]) -> tuple[Callable[[float], float], tuple[float, float]]:
    """From a value to percent of the cell's width, and the values at its two ends."""
    low, high = min(values), max(values)
    margin = max((high - low) * 0.1, 0.001)
    low, high = max(low - margin, limits[0]), min(high + margin, limits[1])
    return lambda value: round((value - low) / (high - low) * 100, 2), (low, high)


def _marks(values: dict[str, Any], middle: str, place: Callable[[float], float]) -> dict[str, float]:
    low, high = values["interval"]
    return {"low": place(low), "high": place(high), "middle": place(values[middle])}


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
