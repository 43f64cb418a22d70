"""What `evaluate` found, arranged as the tables of the page."""

from collections.abc import Callable
from typing import Any

from tasks.reporting.axis_scale import LIMITS, balanced, marks, scale
from tasks.reporting.formatting import NONE, bounds, percent, significant

#: Above this many classes a matrix is no longer read; the most confused pairs are listed in its place.
MATRIX_CLASSES = 30
MOST_PAIRS = 25
#: Outputs whose errors are told one by one at most.
MOST_OUTPUTS = 48
#: Where nothing was judged.
UNMEASURED = {"key": "", "title": "", "better": "higher", "unit": "number"}


def fusion(verdict: dict[str, Any], titles: dict[str, str], records: dict[str, Any]) -> dict[str, Any]:
    """The table of ways in the order of ``titles``, with the places of its whiskers in percent of their cell."""
    found, pairs = verdict["fusion"]["ways"], verdict["fusion"]["pairs"]
    measure = verdict["fusion"]["measure"] or UNMEASURED
    # a prediction without a model is far from the others, whose differences would not be seen beside it
    shown = [way for name, way in found.items() if name != "constant"] or list(found.values())
    place, ends = scale([x for way in shown for x in way["interval"]], LIMITS[measure["unit"]])
    columns = _columns(list(found.values()), verdict["positive"])
    ways = [
        {
            **found[key], "key": key, "title": title, "best": key == verdict["best"], "value": found[key][measure["key"]],
            "seconds": _seconds(found[key]["by"], records), "marks": marks(found[key]["interval"], found[key][measure["key"]], place),
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
    return {
        "ways": ways, "ends": ends, "differences": differences, "edges": edges, "columns": [title for title, _ in columns],
        "sentence": verdict["fusion"]["sentence"], "reason": verdict["fusion"].get("reason", ""),
        "confidence": verdict["fusion"]["confidence"],
        "methods": verdict["fusion"].get("methods", {"ways": {}, "pairs": {}}),
        "gain": _gain(verdict["fusion"]), "measure": measure,
        "best": next((way for way in ways if way["best"]), None), "positive": verdict["positive"],
        "aim": verdict["aim"], "objective": verdict["objective"], "curves": any(d["auc"] for d in differences),
        "naive": "naive" in found, "skipped": _skipped(verdict["skipped"]), "chosen": _chosen(verdict["chosen"]),
        "errors": errors(verdict, titles), "groups": _several(verdict.get("groups")),
    }  # fmt: skip


def _gain(fusion: dict[str, Any]) -> float | None:
    """The difference that the conclusion rests on: the best miner on deep features less the best without a network."""
    ends = fusion.get("conclusion") or {}
    return fusion["pairs"].get(f"{ends.get('fused')} - {ends.get('plain')}", {}).get("difference")


def _several(groups: dict[str, Any] | None) -> dict[str, Any] | None:
    """Groups that intervals are taken over: of one alone there is nothing to take."""
    return groups if groups and groups["groups"] > 1 else None


def miners(verdict: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """Every miner, network and forecast that was judged, the best first."""
    measure = verdict["fusion"]["measure"] or UNMEASURED
    sign = -1 if measure["better"] == "higher" else 1
    columns = _columns(list(verdict["scores"].values()), verdict["positive"])
    rows = [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **scores, "value": scores[measure["key"]],
         "cells": [cell(scores) for _, cell in columns], "seconds": _seconds(name, records)}
        for name, scores in verdict["scores"].items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (sign * row["value"], row["name"], row["view"]))


def confusions(verdict: dict[str, Any], titles: dict[str, str]) -> list[dict[str, Any]]:
    """For each way its matrix, or above `MATRIX_CLASSES` classes only its most confused pairs; none of numbers."""
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


def errors(verdict: dict[str, Any], titles: dict[str, str]) -> dict[str, Any] | None:
    """Of numbers: dots of true and predicted values in percent of a square, bands of the truth, errors of each output."""
    if "scatter" not in verdict:
        return None
    truth, said = verdict["scatter"]["truth"], verdict["scatter"]["predicted"]
    low, high = min([*truth, *said]), max([*truth, *said])
    margin = (high - low) * 0.03 or 1.0
    low, high = low - margin, high + margin
    dots = [
        [round((v - low) / (high - low) * 100, 2) for v in pair] for pair in zip(truth, said, strict=True)
    ]  # from left to right the truth, upwards what was predicted
    steps = [(titles[way], values) for way, values in verdict["steps"].items() if way in titles]
    outputs = [
        {"output": i + 1, "errors": [values[i] for _, values in steps]}
        for i in range(min(verdict["outputs"], MOST_OUTPUTS))
    ]
    return {
        "dots": [[x, 100 - y] for x, y in dots], "ends": [low, high], "bands": verdict["bands"],
        "ways": [title for title, _ in steps], "outputs": outputs if verdict["outputs"] > 1 else [],
        "more": max(verdict["outputs"] - MOST_OUTPUTS, 0),
    }  # fmt: skip


def classes(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class under the best way, the worst first; none of numbers."""
    if not verdict["confusion"]:
        return []
    scores = verdict["scores"][verdict["fusion"]["ways"][verdict["best"]]["by"]]["classes"]
    areas = (verdict.get("figures") or {}).get("class_auc", {})
    rows = [{"label": label, "auc": areas.get(label), **values} for label, values in scores.items()]
    return sorted(rows, key=lambda row: (row["f1"], row["label"]))


def clusters(verdict: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """Agreement of each clusterer on each view with the classes (None without classes), and its seconds."""
    nothing = dict.fromkeys((
        "ari", "ari_interval", "nmi", "homogeneity", "completeness", "purity", "accuracy", "noise", "davies_bouldin",
        "calinski_harabasz", "stability", "stability_interval",
    ))  # fmt: skip
    return [
        {"name": name.partition("@")[0], "view": name.partition("@")[2], **nothing, **values,
         "seconds": _seconds(name, records)}
        for name, values in sorted(verdict["clusters"].items())
    ]  # fmt: skip


def counts(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """A chart for each clusterer whose number of clusters train rows chose: what each number tried is worth."""
    charts = []
    for key, curve in sorted(verdict["counts_tried"].items()) if verdict["clusters"] else ():
        name, _, view = key.partition("@")
        measure = {"bic": "BIC, the lower the better", "stability": "prediction strength"}.get(
            curve["measure"], curve["measure"]
        )
        x, errors, none = (
            [k for k, _ in curve["values"]],
            dict(curve.get("errors", ())),
            dict(curve.get("reference", ())),
        )
        lines = {measure: [value for _, value in curve["values"]]}
        if set(none) & set(x):
            lines["the same of rows without clusters"] = [none.get(k) for k in x]
        charts.append(
            {"title": f"{name} on the {view} view: {curve['chosen']} clusters, tried on {curve['rows']:,} train rows",
             "axis": "clusters", "x": x, "lines": lines, "errors": {measure: [errors.get(k, 0.0) for k in x]},
             "sentence": curve.get("sentence", "")}
        )  # fmt: skip
    return charts


Cell = Callable[[dict[str, Any]], tuple[str, str]]  # the figure, and what stands under it


def _columns(rows: list[dict[str, Any]], positive: str | None) -> list[tuple[str, Cell]]:
    """Titles of the figures beside the first, and what they show of a row."""
    if not rows:
        return []
    if "r2" in rows[0]:
        columns: list[tuple[str, Cell]] = [("RMSE", _plain("rmse")), ("R²", _plain("r2"))]
        return columns + ([("MASE", _plain("mase"))] if "mase" in rows[0] else [])
    if positive is None:
        return [(title, _share(title.lower())) for title in ("precision", "recall", "F1")]
    inner: list[tuple[str, Cell]] = [
        ("AUC", _plain("auc")), ("AP", _plain("average_precision")), ("precision / recall", _both), ("F1", _share("f1"))
    ]  # fmt: skip
    return [(title, _of_positive(cell)) for title, cell in inner]


def _plain(key: str) -> Cell:
    def cell(row: dict[str, Any]) -> tuple[str, str]:
        value, interval = row.get(key), row.get(f"{key}_interval")
        under = f"{_three(interval[0])} to {_three(interval[1])}" if interval else ""
        return NONE if value is None else _three(value), under

    return cell


def _three(value: float) -> str:
    """Scores up to 1 with three decimals, so that a column of them can be compared; others with four digits."""
    return f"{value:.3f}".replace("-", "−") if abs(value) < 1 else significant(value)


def _share(key: str) -> Cell:
    def cell(row: dict[str, Any]) -> tuple[str, str]:
        interval = row.get(f"{key}_interval")
        return percent(row[key]), bounds(interval, "share") if interval else ""

    return cell


def _both(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['precision'] * 100:.1f} / {row['recall'] * 100:.1f} %", ""


def _of_positive(cell: Cell) -> Cell:
    return lambda row: cell(row["positive"])


def _skipped(skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Reasons with the miners that had nothing to do."""
    reasons: dict[str, list[str]] = {}
    for key, why in skipped.items():
        reasons.setdefault(why, []).append(key)
    return [{"why": why, "miners": ", ".join(keys)} for why, keys in reasons.items()]


def _chosen(chosen: dict[str, dict[str, float | str]]) -> list[str]:
    """`NAME@VIEW: parameter value` of what val rows chose."""
    return [
        f"{key}: {', '.join(f'{n} {v}' if isinstance(v, str) else f'{n} {v:g}' for n, v in values.items())}"
        for key, values in sorted(chosen.items())
    ]


def _seconds(by: str, records: dict[str, Any]) -> dict[str, float]:
    """Fit and predict where a miner was timed; for the network the whole training."""
    times: dict[str, float] = records.get("mine", {}).get("facts", {}).get("seconds_of", {}).get(by, {})
    if by == "network" and "seconds" in records.get("train", {}):
        return {"train": records["train"]["seconds"]}
    return {key: times[key] for key in ("choose", "fit", "predict", "stability") if key in times}


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
