"""What cross-validation found, arranged as the tables of the page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.metrics import METRICS
from tasks.reporting.axis_scale import LIMITS, balanced, marks, scale
from tasks.reporting.formatting import bounds, figure, significant
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

SCHEMES = {
    "stratified": "Each fold has about the same class distribution (for numbers: the same distribution of values)",
    "group": "All rows of a group are in one fold",
    "time": "Each fold is later than all rows that were used for training",
}
#: What has no value for each row, so that its mean over folds is shown.
COLUMNS = {
    "f1": METRICS["classification"]["f1"], "auc": METRICS["detection"]["auc"],
    "rmse": METRICS["regression"]["rmse"], "r2": METRICS["regression"]["r2"],
}  # fmt: skip


@dataclass(frozen=True)
class CrossValidation(Content):
    """What was cross-validated, and the tables of it.

    Attributes:
        folds: how many; 0 where nothing was cross-validated, ``why`` says the reason where it was asked for.
        tables: the approaches with their folds, differences and optimism; empty without folds.
    """

    folds: int
    why: str
    tables: dict[str, Any]


def build(run: "Run") -> CrossValidation:
    return cross_validation(run.evaluated.get("cross_validation") or {})


def cross_validation(found: dict[str, Any]) -> CrossValidation:
    """The section of what `evaluate` found; places of dots and whiskers are in percent of a cell."""
    if not found.get("ways"):
        return CrossValidation(0, found.get("why", "") if found.get("asked") else "", {})
    key, titles, ways = found["measure"]["key"], found["titles"], found["ways"]
    main = found["chosen"] or list(ways)
    unit = found["measure"]["unit"]
    place, ends = scale([x for way in main for x in (*ways[way]["interval"], *ways[way]["folds"])], LIMITS[unit])
    gaps = {way: ways[way]["optimism"] for way in ways if "optimism" in ways[way]}
    shown = [way for way in main if way in gaps]
    across, edges = balanced([x for way in shown for x in (*gaps[way]["interval"], *gaps[way]["folds"])], unit)
    columns = [name for name in COLUMNS if any(name in ways[way] for way in main)]
    rows = [
        {"title": titles[way], "value": ways[way][key], "interval": ways[way]["interval"],
         "cells": [_cell(ways[way].get(name), name) for name in columns],
         "dots": [place(x) for x in ways[way]["folds"]], "marks": marks(ways[way]["interval"], ways[way][key], place)}
        for way in main
    ]  # fmt: skip
    optimism = [
        {**gaps[way], "title": titles[way], "nested": ways[way][key], "naive": ways[way]["naive"],
         "dots": [across(x) for x in gaps[way]["folds"]],
         "marks": marks(gaps[way]["interval"], gaps[way]["difference"], across) | {"zero": across(0.0)}}
        for way in shown
    ]  # fmt: skip
    single = [
        {"name": way, "value": ways[way][key], "interval": ways[way]["interval"], "spread": ways[way]["spread"],
         "cells": [_cell(ways[way].get(name), name) for name in columns], "optimism": gaps.get(way)}
        for way in ways if way not in found["chosen"]
    ]  # fmt: skip
    pairs = [
        {**pair, "titles": [titles[way] for way in name.split(" - ")],
         "main": all(way in main for way in name.split(" - "))}
        for name, pair in found["pairs"].items()
    ]  # fmt: skip
    tables = {
        **{name: found[name] for name in ("sentence", "confidence", "measure", "set_aside", "lacking")},
        "grouped": found["grouped"], "methods": found["methods"],
        "rows": found["judged_rows"], "scheme": SCHEMES[found["scheme"]], "approaches": rows, "ends": ends, "optimism": optimism,
        "edges": edges, "single": single, "pairs": pairs, "columns": [COLUMNS[name].title for name in columns],
        "sizes": found["sizes"], "clusters": _clusters(found["clusters"]),
    }  # fmt: skip
    return CrossValidation(found["folds"], found["why"], tables)


def _clusters(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **values["nested"], "optimism": values.get("optimism")}
        for name, values in sorted(found.items())
    ]  # fmt: skip


def _cell(values: dict[str, Any] | None, name: str) -> tuple[str, str]:
    """A mean over folds, and its interval."""
    if values is None:
        return "–", ""
    unit = COLUMNS[name].unit
    low, high = values["interval"]
    if name in ("f1", "auc"):  # the t-interval of a few folds knows no bounds, but a share has some
        low, high = max(low, 0.0), min(high, 1.0)
    if unit == "share":
        return figure(values["mean"], unit), bounds([low, high], unit)
    mean, low, high = (significant(x, 3) for x in (values["mean"], low, high))
    return mean, f"{low} to {high}"
