"""Association rules as the page shows them: tables by what they are about, a chart, and test rows for and against."""

import math
from typing import Any

from tasks.reporting.captions import short, undirected
from tasks.reporting.formatting import significant
from tasks.reporting.test_rows import Judged

TITLES = {
    "items": "Among what is known of the rows",
    "deep": "Between deep features, the label and what is known of the rows",
}
ABOUT = {
    "label": "About the label", "other": "Others", "features": "Among deep features alone",
}  # fmt: skip
#: Rules of a table that stand open, and rules that are shown with test rows, of each kind.
OPEN, LOOKED_AT = 12, 4
#: Test rows for a rule, and against it, that are shown at most.
EXAMPLES = 6
#: Characters of one item in a rule, and of a rule in the chart.
ITEM, TIP = 80, 160
#: Width and height of the chart, in units of its own.
WIDTH, HEIGHT = 100, 56


def sections(told: dict[str, Any], stored: list[dict[str, Any]], judged: Judged, count: int) -> list[dict[str, Any]]:
    """A part of the page for each view that rules were looked for in.

    Args:
        told: what `mine` said of each, with bounds and a sentence.
        stored: the rules themselves, rows of their store.
        count: examples in a row of them at most.
    """
    places = {i: k for k, i in enumerate(judged.ids.tolist())}
    found = []
    for over, title in TITLES.items():
        summary = told.get(over)
        if summary is None:
            continue
        own = [_rule(row) for row in stored if row["over"] == over]
        tables: list[dict[str, Any]] = [
            {"title": name, "about": about, "rules": [rule for rule in own if rule["about"] == about]}
            for about, name in ABOUT.items()
        ]
        tables = [t for t in tables if t["rules"]]
        if not any(t["about"] == "label" for t in tables):
            title = title.replace(", the label and", " and")
        chosen = [rule for t in tables if t["about"] != "features" for rule in t["rules"][:LOOKED_AT]]
        shown = [_examples(rule, judged, places, min(count, EXAMPLES)) for rule in chosen]
        meaning = summary.get("meaning", {})
        found.append({
            "over": over, "title": title, "sentence": summary["sentence"], "tables": tables, "open": OPEN,
            "chart": chart(own), "examples": [e for e in shown if e["for"] or e["against"]],
            "bounds": None if "skipped" in summary else summary, "left_out": summary.get("left_out", []),
            "meaning": sorted(meaning.items()),
        })  # fmt: skip
    return found


def ids(parts: list[dict[str, Any]]) -> list[str]:
    """The ids of all test rows that are shown."""
    return [item["id"] for part in parts for e in part["examples"] for item in (*e["for"], *e["against"])]


def chart(rules: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Dots of support (on a log scale) and confidence, with a tint for the lift; None where there are no rules."""
    if not rules:
        return None
    across, lift = ([math.log(rule[name]) for rule in rules] for name in ("support", "lift"))
    low, high = min(across), max(across)
    ends, most = (math.exp(low), math.exp(high)), max(lift)
    dots = [
        {
            "x": round((x - low) / (high - low) * WIDTH if high > low else WIDTH / 2, 2),
            "y": round((1 - rule["confidence"]) * HEIGHT, 2),
            "tint": round(100 * v / most) if most > 0 else 0,
            "tip": short(undirected(rule["words"]), TIP),
        }
        for x, v, rule in zip(across, lift, rules, strict=True)
    ]
    return {"dots": dots, "ends": ends, "lift": math.exp(most), "width": WIDTH, "height": HEIGHT}


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the store with its figures as the table tells them."""
    low, high = row["held_out_lift_low"], row["held_out_lift_high"]
    interval = None if low is None else f"{significant(low, 3)} to {significant(high, 3)}"
    held = {True: "held up", False: "not shown", None: "not seen"}[row["held_up"]]
    return row | {
        "antecedent": [short(item, ITEM) for item in row["antecedent"]],
        "consequent": [short(item, ITEM) for item in row["consequent"]],
        "interval": interval, "held": held, "lift_text": significant(row["lift"], 3),
        "held_text": significant(row["held_out_lift"], 3), "seen": interval is not None,
    }  # fmt: skip


def _examples(rule: dict[str, Any], judged: Judged, places: dict[str, int], count: int) -> dict[str, Any]:
    """Test rows for and against a rule, with their labels below."""
    told = "true class" if len(judged.classes) else "true" if judged.numbers is not None else "label"

    def items(names: list[str]) -> list[dict[str, Any]]:
        return [judged.caption(places[i], told) for i in names if i in places][:count]

    return {"rule": rule, "for": items(rule["exemplars"]), "against": items(rule["counterexamples"])}
