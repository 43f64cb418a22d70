"""Did fusion pay? Approaches with and without a network on the same test rows, their differences, and all miners."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.metrics import Metric, secondary
from tasks.reporting.axis_scale import LIMITS, balanced, marks, scale
from tasks.reporting.formatting import NONE, bounds, percent, significant
from tasks.reporting.run_record import seconds_of
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Outputs whose errors are listed one by one at most.
MOST_OUTPUTS = 48
#: Where no prediction could be scored.
UNMEASURED = {"key": "", "title": "", "better": "higher", "unit": "number"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Fusion(Content):
    """The approaches compared.

    Attributes:
        approaches: in the order of their titles, with the places of their whiskers in percent of a cell;
            `ends` are the values at both ends of it, `edges` those of the cells of ``differences``.
        best: the one which val rows chose; None where nothing could be scored.
        gain: the difference that ``sentence`` rests on.
        reason: why ``best`` was chosen.
        columns: titles of the scores beside the first.
        curves: whether ``differences`` have an AUC.
        errors: of regression and forecasting alone.
        groups: rows that come in several groups, over which the intervals are taken.
        miners: every miner and the network, the best first.
        tuned: `NAME@VIEW: parameter value` of what train and val rows chose.
    """

    sentence: str
    reason: str
    measure: dict[str, Any]
    task: str
    objective: str
    positive: str | None
    confidence: float
    methods: dict[str, Any]
    test_rows: int
    approaches: list[Row]
    ends: tuple[float, float]
    best: Row | None
    gain: float | None
    columns: list[str]
    differences: list[Row]
    edges: tuple[float, float]
    curves: bool
    seasonal_naive: bool
    errors: dict[str, Any] | None
    groups: dict[str, Any] | None
    miners: list[Row]
    calibrated: str
    tuned: list[str]
    kernel_maps: list[str]
    skipped: list[Row]


def build(run: "Run") -> Fusion:
    return fusion(run.evaluated, run.recorded)


def fusion(evaluated: dict[str, Any], records: dict[str, Any]) -> Fusion:
    """The section of what `evaluate` found, with the seconds that ``records`` know."""
    found, pairs = evaluated["fusion"]["ways"], evaluated["fusion"]["pairs"]
    titles, measure = dict(evaluated["titles"]), evaluated["fusion"]["measure"] or UNMEASURED
    # a prediction without a model is far from the others, whose differences would not be seen beside it
    shown = [way for name, way in found.items() if name != "constant"] or list(found.values())
    place, ends = scale([x for way in shown for x in way["interval"]], LIMITS[measure["unit"]])
    columns = _columns(list(found.values()), evaluated["aim"], evaluated["positive"])
    approaches = [
        {
            **found[key], "key": key, "title": title, "best": key == evaluated["best"],
            "value": found[key][measure["key"]], "seconds": seconds_of(found[key]["by"], records),
            "marks": marks(found[key]["interval"], found[key][measure["key"]], place),
            "cells": [cell(found[key]) for _, cell in columns],
        }
        for key, title in titles.items() if key in found
    ]  # fmt: skip
    across, edges = balanced([x for p in pairs.values() for x in p["interval"]], measure["unit"])
    differences = [
        {**pair, "titles": [titles.get(way, way) for way in name.split(" - ")],
         "marks": marks(pair["interval"], pair["difference"], across) | {"zero": across(0.0)}, "auc": pair.get("auc")}
        for name, pair in pairs.items()
    ]  # fmt: skip
    return Fusion(
        sentence=evaluated["fusion"]["sentence"], reason=evaluated["fusion"].get("reason", ""), measure=measure,
        task=evaluated["aim"], objective=evaluated["objective"], positive=evaluated["positive"],
        confidence=evaluated["fusion"]["confidence"],
        methods=evaluated["fusion"].get("methods", {"ways": {}, "pairs": {}}),
        test_rows=evaluated["test_rows"], approaches=approaches, ends=ends,
        best=next((one for one in approaches if one["best"]), None),
        gain=_gain(evaluated["fusion"]), columns=[title for title, _ in columns], differences=differences, edges=edges,
        curves=any(d["auc"] for d in differences), seasonal_naive="naive" in found, errors=errors(evaluated),
        groups=_several(evaluated.get("groups")), miners=miners(evaluated, records), calibrated=calibrated(evaluated),
        tuned=_tuned(evaluated["chosen"]), kernel_maps=kernel_maps(evaluated), skipped=_skipped(evaluated["skipped"]),
    )  # fmt: skip


def _gain(fusion: dict[str, Any]) -> float | None:
    """The difference that the conclusion rests on: the best miner on deep features less the best without a network."""
    ends = fusion.get("conclusion") or {}
    return fusion["pairs"].get(f"{ends.get('fused')} - {ends.get('plain')}", {}).get("difference")


def _several(groups: dict[str, Any] | None) -> dict[str, Any] | None:
    """Groups that intervals are taken over: of one alone there is nothing to take."""
    return groups if groups and groups["groups"] > 1 else None


def miners(evaluated: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """Every miner, the network and the forecasts, the best first."""
    measure = evaluated["fusion"]["measure"] or UNMEASURED
    sign = -1 if measure["better"] == "higher" else 1
    columns = _columns(list(evaluated["scores"].values()), evaluated["aim"], evaluated["positive"])
    rows = [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **scores, "value": scores[measure["key"]],
         "cells": [cell(scores) for _, cell in columns], "seconds": seconds_of(name, records)}
        for name, scores in evaluated["scores"].items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (sign * row["value"], row["name"], row["view"]))


def errors(evaluated: dict[str, Any]) -> dict[str, Any] | None:
    """Of numbers: dots of true and predicted values in percent of a square, bands of the true value, errors of each output."""
    if "scatter" not in evaluated:
        return None
    titles = dict(evaluated["titles"])
    y_true, y_pred = evaluated["scatter"]["truth"], evaluated["scatter"]["predicted"]
    low, high = min([*y_true, *y_pred]), max([*y_true, *y_pred])
    margin = (high - low) * 0.03 or 1.0
    low, high = low - margin, high + margin
    dots = [
        [round((v - low) / (high - low) * 100, 2) for v in pair] for pair in zip(y_true, y_pred, strict=True)
    ]  # from left to right the true value, upwards the predicted one
    steps = [(titles[way], values) for way, values in evaluated["steps"].items() if way in titles]
    outputs = [
        {"output": i + 1, "errors": [values[i] for _, values in steps]}
        for i in range(min(evaluated["outputs"], MOST_OUTPUTS))
    ]
    return {
        "dots": [[x, 100 - y] for x, y in dots], "ends": [low, high], "bands": evaluated["bands"],
        "ways": [title for title, _ in steps], "outputs": outputs if evaluated["outputs"] > 1 else [],
        "more": max(evaluated["outputs"] - MOST_OUTPUTS, 0),
    }  # fmt: skip


def kernel_maps(evaluated: dict[str, Any]) -> list[str]:
    """A sentence for each kernel SVM that many rows made expensive: whether a kernel map was used in its place."""
    found = []
    classes = evaluated["aim"] == "classification"
    measure = "an accuracy" if classes else "a mean absolute error"
    one = percent if classes else lambda score: significant(-score)
    for key, fit in sorted((evaluated.get("kernel_maps") or {}).items()):
        text = f"{key}: an exact kernel SVM is too slow on this many rows. A kernel approximation with a linear SVM"
        if fit["map"] is None:
            found.append(f"{text} was fitted on all {fit['rows']:,} train rows.")
            continue
        used = "approximation" if fit["used"] == "map" else "exact SVM"
        found.append(
            f"{text}, fitted on all {fit['rows']:,} train rows, has {measure} of {one(fit['map'])} on val rows; the exact SVM, "
            f"fitted on {fit['part']:,} of them, has {one(fit['exact'])}. The {used} is used."
        )
    return found


def calibrated(evaluated: dict[str, Any]) -> str:
    """How the probabilities of the miners and of the network were calibrated, in a sentence."""
    words = {
        "sigmoid": "a sigmoid (Platt)",
        "temperature": "temperature scaling",
        "own": "nothing (too few rows), so they are the model's own",
        "none": "nothing (too few rows), so there are none",
    }
    methods: dict[tuple[str, str, int], list[str]] = {}
    for key, how in sorted((evaluated.get("calibrated") or {}).items()):
        methods.setdefault((how["method"], how.get("on", "val"), how["rows"]), []).append(key)
    parts = [
        f"{', '.join(keys)} by {words[method]}"
        + (f" on {rows:,} {on} rows" + (" (out of fold)" if on == "train" else "") if rows else "")
        for (method, on, rows), keys in methods.items()
    ]
    return f"Probabilities were calibrated: {'; '.join(parts)}." if parts else ""


Cell = Callable[[dict[str, Any]], tuple[str, str]]  # the score, and what stands under it


def _columns(rows: list[dict[str, Any]], task: str, positive: str | None) -> list[tuple[str, Cell]]:
    """Titles of the metrics beside the first, and what they show of a row; those that no row has are left out."""
    if not rows:
        return []
    found = []
    for key, metric in secondary(task, positive is not None).items():
        cell = _cell(key, metric)
        if any(cell(row)[0] != NONE for row in rows):
            found.append((metric.title, cell))
    return found


def _cell(key: str, metric: Metric) -> Cell:
    """How a row shows the metric: the value, and its interval under it. `positive.f1` is found in `positive`."""
    inside, _, name = key.rpartition(".")

    def cell(row: dict[str, Any]) -> tuple[str, str]:
        values = row[inside] if inside else row
        value, interval = values.get(name), values.get(f"{name}_interval")
        if metric.unit == "share":
            return percent(value), bounds(interval, "share") if interval else ""
        under = f"{_three(interval[0])} to {_three(interval[1])}" if interval else ""
        return NONE if value is None else _three(value), under

    return cell


def _three(value: float) -> str:
    """Scores up to 1 with three decimals, so that a column of them can be compared; others with four digits."""
    return f"{value:.3f}".replace("-", "−") if abs(value) < 1 else significant(value)


def _skipped(skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Reasons with the miners that had nothing to do."""
    reasons: dict[str, list[str]] = {}
    for key, why in skipped.items():
        reasons.setdefault(why, []).append(key)
    return [{"why": why, "miners": ", ".join(keys)} for why, keys in reasons.items()]


def _tuned(chosen: dict[str, dict[str, float | str]]) -> list[str]:
    """`NAME@VIEW: parameter value` of what val rows chose."""
    return [
        f"{key}: {', '.join(f'{n} {v}' if isinstance(v, str) else f'{n} {v:g}' for n, v in values.items())}"
        for key, values in sorted(chosen.items())
    ]
