"""Association rules as the page shows them: tables by what they are about, a chart, and test rows for and against each."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.reporting.captions import short, undirected
from tasks.reporting.formatting import significant
from tasks.reporting.section import Content
from tasks.reporting.test_rows import PredictedRows
from tasks.storage.names import RULES
from tasks.storage.store import read

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: A view that rules were looked for in -> its heading.
TITLES = {
    "items": "Among the items of the rows",
    "deep": "Between deep features, the label and the items of the rows",
}
ABOUT = {
    "label": "About the label", "other": "Others", "features": "Among deep features alone",
}  # fmt: skip
#: Rules of a table that are shown unfolded, and rules of each kind that are shown with test rows.
OPEN, WITH_ROWS = 12, 4
#: Test rows for a rule, and against it, that are shown at most.
EXAMPLES = 6
#: Characters of one item in a rule, and of a rule in the chart.
ITEM, TIP = 80, 160
#: Width and height of the chart, in units of its own.
WIDTH, HEIGHT = 100, 56


@dataclass(frozen=True)
class Rules(Content):
    """A part for each view that rules were looked for in, as `parts` gives them."""

    parts: list[dict[str, Any]]

    @property
    def row_ids(self) -> list[str]:
        found = [e for part in self.parts for e in part["examples"]]
        return [item["id"] for e in found for item in (*e["for"], *e["against"])]


def build(run: "Run") -> Rules | None:
    """None where no rules were looked for."""
    found = run.evaluated.get("rules")
    if not found:
        return None
    return Rules(parts(found, read(run.miners / RULES).to_pylist(), run.test_rows, run.params.examples))


def parts(found: dict[str, Any], stored: list[dict[str, Any]], rows: PredictedRows, count: int) -> list[dict[str, Any]]:
    """The rules of each view: tables, a chart, and some rules with test rows for and against.

    Args:
        found: what `evaluate` says of each view, with bounds and a sentence.
        stored: the rules themselves, rows of their store.
        count: examples in a row of them at most.
    """
    places = {i: k for k, i in enumerate(rows.ids.tolist())}
    made = []
    for over, title in TITLES.items():
        summary = found.get(over)
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
        chosen = [rule for t in tables if t["about"] != "features" for rule in t["rules"][:WITH_ROWS]]
        shown = [_examples(rule, rows, places, min(count, EXAMPLES)) for rule in chosen]
        meaning = summary.get("meaning", {})
        made.append({
            "over": over, "title": title, "sentence": summary["sentence"], "tables": tables, "open": OPEN,
            "chart": chart(own), "examples": [e for e in shown if e["for"] or e["against"]],
            "bounds": None if "skipped" in summary else summary, "left_out": summary.get("left_out", []),
            "meaning": sorted(meaning.items()),
        })  # fmt: skip
    return made


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
    """A row of the store with its figures as the table shows them."""
    low, high = row["held_out_lift_low"], row["held_out_lift_high"]
    interval = None if low is None else f"{significant(low, 3)} to {significant(high, 3)}"
    held = {True: "replicated", False: "not replicated", None: "not tested"}[row["held_up"]]
    return row | {
        "antecedent": [short(item, ITEM) for item in row["antecedent"]],
        "consequent": [short(item, ITEM) for item in row["consequent"]],
        "interval": interval, "held": held, "lift_text": significant(row["lift"], 3),
        "held_text": significant(row["held_out_lift"], 3), "seen": interval is not None,
    }  # fmt: skip


def _examples(rule: dict[str, Any], rows: PredictedRows, places: dict[str, int], count: int) -> dict[str, Any]:
    """Test rows for and against a rule, with their labels below."""
    name = "true class" if len(rows.classes) else "true" if rows.numbers is not None else "label"

    def items(ids: list[str]) -> list[dict[str, Any]]:
        return [rows.caption(places[i], name) for i in ids if i in places][:count]

    return {"rule": rule, "for": items(rule["exemplars"]), "against": items(rule["counterexamples"])}
