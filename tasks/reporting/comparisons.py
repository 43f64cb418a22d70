"""Which models are as good as the best, and on which slices the best does worse, in tables and in words."""

from typing import Any

from tasks.core.text import many
from tasks.metrics import METRICS
from tasks.reporting.formatting import change, count, cut, figure, isolated, seconds

#: Models in the matrix of comparisons, and characters of a name in a sentence.
MOST_COMPARED, NAME = 24, 60
#: Another model is named as cheaper if it takes at most this fraction of the seconds, and this many seconds less.
MUCH, SAVED = 0.8, 1.0
#: What slices are compared by.
MEASURES = {
    "accuracy": METRICS["classification"]["accuracy"], "mae": METRICS["regression"]["mae"],
    "recall": METRICS["detection"]["recall"],
}  # fmt: skip


def equivalent(found: dict[str, Any], base: dict[str, Any], records: dict[str, Any]) -> dict[str, Any] | None:
    """The models that are as good as the best, with what they cost, and the matrix of all differences."""
    if len(found["names"]) < 2:
        return None
    best, unit = found["best"], base["unit"]
    names = found["names"][:MOST_COMPARED]
    if best not in names:
        names = [*names[:-1], best]
    cells = {(p["a"], p["b"]): p for p in found["pairs"]}
    rows = []
    for i, a in enumerate(names):
        row = [
            None if a == b else _cell(cells.get((a, b)) or cells[b, a], (a, b) in cells, unit, base["sure"])
            for b in names
        ]
        rows.append(
            {"name": a, "number": i + 1, "value": figure(found["means"][a], unit), "best": a == best, "cells": row}
        )
    return {
        "sentence": _cheapest(found, base, records), "rows": rows, "more": len(found["names"]) - len(names),
        "others": [
            {**one, "text": _difference(one, unit), "cost": seconds(_cost(one["name"], records))} for one in found["alike"]
        ],
        "best": best, "pairs": len(found["pairs"]),
    }  # fmt: skip


def _cell(pair: dict[str, Any], forward: bool, unit: str, sure: float) -> dict[str, Any]:
    sign = 1 if forward else -1
    ends = sorted(sign * end for end in pair["interval"])
    title = f"{change(ends[0], unit)} to {change(ends[1], unit)}, p {_p(pair['p'])}, adjusted {_p(pair['holm'])}"
    better = sign * pair["difference"] > 0 if unit == "share" else sign * pair["difference"] < 0
    tone = "" if pair["holm"] > 1 - sure else "better" if better else "worse"
    return {"text": change(sign * pair["difference"], unit), "title": title, "tone": tone}


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cost(name: str, records: dict[str, Any]) -> float | None:
    """Seconds to select and fit a model, and to train the network where it is part of it."""
    if name == "naive":
        return 0.0
    total = 0.0
    if name != "network":
        times = records.get("mine", {}).get("facts", {}).get("seconds_of", {}).get(name)
        if not times:
            return None
        total = times.get("choose", 0.0) + times["fit"]
    if name == "network" or "deep" in name.partition("@")[2].split("+"):
        if "seconds" not in records.get("train", {}):
            return None
        total += records["train"]["seconds"]
    return float(total)


def _difference(one: dict[str, Any], unit: str) -> str:
    points = " points" if unit == "share" else ""
    low, high = one["interval"]
    return f"{change(one['difference'], unit)}{points} ({change(low, unit)} to {change(high, unit)})"


def _name(name: str) -> str:
    return isolated(cut(name, NAME))


def _cheapest(found: dict[str, Any], base: dict[str, Any], records: dict[str, Any]) -> str:
    best, others = found["best"], found["alike"]
    first = f"Of {count(len(found['names']))} models, {_name(best)} was chosen without using test rows"
    better = sorted((one for one in others if one["better"]), key=lambda one: -abs(one["difference"]))
    others = [one for one in others if not one["better"]]
    if better:
        does = "does" if len(better) == 1 else f"and {count(len(better) - 1)} more do"
        first += f"; {_name(better[0]['name'])} {does} better on them, {_difference(better[0], base['unit'])}"
    if not others:
        return f"{first}; all others are significantly worse on the test rows."
    costs = {name: _cost(name, records) for name in (best, *(one["name"] for one in others))}
    known = {name: cost for name, cost in costs.items() if cost is not None}
    cheapest = min(known, key=lambda name: (known[name], name != best), default=best)
    differ = "one other does" if len(others) == 1 else f"{count(len(others))} others do"
    if best not in known:
        return f"{first}; {differ} not differ significantly from it."
    if cheapest == best or known[cheapest] > min(MUCH * known[best], known[best] - SAVED):
        return f"{first}; {differ} not differ significantly from it, and none is much cheaper."
    one = next(one for one in others if one["name"] == cheapest)
    return (
        f"{first}; {_name(cheapest)} does not differ significantly from it, {_difference(one, base['unit'])}, and takes "
        f"{seconds(known[cheapest])} instead of {seconds(known[best])}."
    )


def slices(found: dict[str, Any], base: dict[str, Any]) -> dict[str, Any] | None:
    """The worst and best slices in words, and the table of each measure."""
    parts = []
    for measure, made in found.items():
        if made["tried"]:
            metric = MEASURES[measure]
            unit, title = metric.unit, metric.title + (" of the positive class" if measure == "recall" else "")
            order = sorted(
                made["slices"], key=lambda s: s["value"], reverse=metric.better == "lower"
            )  # the worst first
            rows = [{**one, "name": _spelt(one)} for one in order]
            parts.append({**made, "measure": measure, "unit": unit, "rows": rows, "title": title})
    if not parts:
        return None
    return {"parts": parts, "lines": [line for part in parts for line in _worst(part)]}


def _spelt(one: dict[str, Any]) -> str:
    named = " and ".join(_name(item) for item in one["items"])
    return f"class {named}" if one["kind"] == "class" else named


def _worst(part: dict[str, Any]) -> list[str]:
    """Sentences on the worst and the best significant slice, and the worst class."""
    unit, rows = part["unit"], part["rows"]
    sign = 1 if MEASURES[part["measure"]].better == "higher" else -1
    significant = [s for s in rows if s["stands"] and s["kind"] != "class"]
    tried = f"{count(part['tried'])} slices" + (
        f" and {count(part['pairs_tried'])} pairs of them" if part["pairs_tried"] else ""
    )
    lines = []
    worse = [s for s in significant if sign * s["difference"] < 0]
    better = [s for s in significant if sign * s["difference"] > 0]
    if worse:
        first = "Recall is lowest where" if part["measure"] == "recall" else "Worst where"
        lines.append(f"{first} {_described(worse[0], unit, part['measure'])}")
    if better and (part["measure"] != "recall" or not worse):
        first = "Recall is highest where" if part["measure"] == "recall" else "Best where"
        lines.append(f"{first} {_described(better[-1], unit, part['measure'])}")
    bad = [s for s in rows if s["stands"] and s["kind"] == "class" and sign * s["difference"] < 0]
    if bad:
        lines.append(f"Worst class: {_described(bad[0], unit, part['measure'])}")
    if not significant and part["measure"] != "recall":
        lines.append(
            f"{'None of the other' if bad else 'None of'} {tried} differs significantly from the remaining rows."
        )
    return lines


def _described(one: dict[str, Any], unit: str, measure: str) -> str:
    value, outside = figure(one["value"], unit), figure(one["outside"], unit)
    points = " points" if unit == "share" else ""
    low, high = one["interval"]
    rows = (
        many(one["rows"], "positive row", "positive rows") if measure == "recall" else many(one["rows"], "row", "rows")
    )
    words = f"{MEASURES[measure].title} {value} on {rows}, elsewhere {outside}"
    return f"{one['name']}: {words} ({change(low, unit)} to {change(high, unit)}{points})."
