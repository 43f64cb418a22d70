"""How reliable the scores are: comparisons, slices, calibration, costs, curves and residuals, drawn and in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.core.text import many
from tasks.reporting.charts import COLOURS, chart, spanned
from tasks.reporting.comparisons import equivalent, slices
from tasks.reporting.formatting import change, confidence, count, percent, significant
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

WHOLE = (0.0, 1.0)


@dataclass(frozen=True)
class Reliability(Content):
    """The parts of the section, each None where there is nothing to show.

    Attributes:
        groups: what rows that come in groups mean for the intervals, "" where they come in none.
        over_groups: whether the intervals are taken over groups.
        unit: of the score that approaches are compared by.
    """

    groups: str
    over_groups: bool
    confidence: float
    unit: str
    positive: str | None
    equivalent: dict[str, Any] | None
    slices: dict[str, Any] | None
    calibration: dict[str, Any] | None
    costs: dict[str, Any] | None
    curves: dict[str, Any] | None
    residuals: dict[str, Any] | None


def build(run: "Run") -> Reliability | None:
    return reliability(run.evaluated, run.recorded)


def reliability(evaluated: dict[str, Any], records: dict[str, Any]) -> Reliability | None:
    """The section of what `evaluate` found; None where nothing could be scored."""
    found = evaluated.get("figures") or {}
    if not found:
        return None
    titles, fusion = dict(evaluated["titles"]), evaluated["fusion"]
    ways = {way: (titles[way], k % COLOURS) for k, way in enumerate(titles) if way in fusion["ways"]}
    base = {"ways": ways, "best": evaluated["best"], "unit": fusion["measure"]["unit"], "sure": fusion["confidence"]}
    return Reliability(
        groups=grouped(evaluated.get("groups")), over_groups=((evaluated.get("groups") or {}).get("groups") or 0) > 1,
        confidence=base["sure"], unit=base["unit"], positive=evaluated["positive"],
        equivalent=equivalent(found["comparisons"], base, records), slices=slices(found.get("slices") or {}, base),
        calibration=calibration(found.get("calibration") or {}, base),
        curves=curves(found.get("curves") or {}, evaluated, base), costs=costs(found.get("costs"), base),
        residuals=residuals(found.get("residuals"), base),
    )  # fmt: skip


def grouped(groups: dict[str, Any] | None) -> str:
    """What rows that come in groups mean for the intervals."""
    if not groups:
        return ""
    if groups["groups"] == 1:
        return "All test rows belong to one group: the intervals hold for that group and say nothing about others."
    text = (
        f"The {count(groups['rows'])} test rows come from {count(groups['groups'])} groups, and rows of a group are not "
        "independent. Intervals are therefore taken over groups, not rows."
    )
    return text + (" With so few groups they are wide and approximate." if groups["few"] else "")


def calibration(found: dict[str, Any], base: dict[str, Any]) -> dict[str, Any] | None:
    """The reliability curves, a table, and a sentence on the approach that val rows chose."""
    if not found:
        return None
    lines, rows = [], []
    for way, (title, colour) in base["ways"].items():
        if way not in found:
            continue
        made, best = found[way], way == base["best"]
        points = [(b["said"], b["came"]) for b in made["bins"]]
        lines.append(
            {"points": points, "colour": colour, "strong": best, "marks": True,
             "ends": [b["interval"] for b in made["bins"]] if best else []}
        )  # fmt: skip
        rows.append({**made, "title": title, "colour": colour, "best": best})
    of = rows[0]["of"]
    across = "confidence" if of == "said" else "predicted probability of the positive class"
    up = "accuracy" if of == "said" else "fraction of positives"
    shown = base["best"] if base["best"] in found else next(iter(found))
    return {
        "chart": chart(WHOLE, WHOLE, across, up, lines=lines, guide=((0, 0), (1, 1)), shares="xy"), "rows": rows,
        "sentence": _calibrated(found[shown], base["ways"][shown][0], base["sure"]), "of": of,
    }  # fmt: skip


def _calibrated(made: dict[str, Any], title: str, sure: float) -> str:
    """Whether the probabilities of an approach can be trusted."""
    low, high = made["gap_interval"]
    first = (
        f"{_capital(title)}: the mean probability of the predicted class is {percent(made['sure'])}, the accuracy "
        f"{percent(made['right'])}"
    )
    if low > 0:
        return f"{first}: overconfident by {_plus(made['gap'])} points ({_plus(low)} to {_plus(high)})."
    if high < 0:
        return f"{first}: underconfident by {_plus(-made['gap'])} points ({_plus(-high)} to {_plus(-low)})."
    if made["p"] < 1 - sure:
        worst = max(made["bins"], key=lambda b: abs(b["said"] - b["came"]) * b["rows"])
        what = "correct" if made["of"] == "said" else "positive"
        return (
            f"{first}. They agree on average, but not at every level: at a mean probability of {percent(worst['said'])}, "
            f"{percent(worst['came'])} of {many(worst['rows'], 'row is', 'rows are')} {what}."
        )
    return f"{first}: no miscalibration is detected on {many(made['rows'], 'row', 'rows')}."


def _capital(title: str) -> str:
    return title[0].upper() + title[1:]


def _plus(points: float) -> str:
    return f"{points * 100:.1f}".replace("-", "−")


def curves(found: dict[str, Any], evaluated: dict[str, Any], base: dict[str, Any]) -> dict[str, Any] | None:
    """Both charts, and a table that says whose line is whose."""
    if not found:
        return None
    shown = [(way, *base["ways"][way]) for way in base["ways"] if way in found]
    lines = {
        kind: [
            {"points": found[way][kind], "colour": colour, "strong": way == base["best"]} for way, _, colour in shown
        ]
        for kind in ("roc", "pr")
    }
    rows = []
    for way, title, colour in shown:
        own = found[way] if "auc" in found[way] else evaluated["fusion"]["ways"][way]["positive"]
        rows.append(
            {"title": title, "colour": colour, "best": way == base["best"], "auc": own["auc"],
             "interval": own["auc_interval"], "average_precision": own["average_precision"]}
        )  # fmt: skip
    several = evaluated["positive"] is None
    named = (
        (evaluated.get("figures") or {}).get("methods")
        if several
        else evaluated["fusion"].get("methods", {}).get("ways")
    )
    method = (named or {}).get("auc_interval", "")
    return {
        "roc": chart(WHOLE, WHOLE, "false positive rate", "true positive rate (recall)", lines=lines["roc"],
                     guide=((0, 0), (1, 1)), shares="xy"),
        "pr": chart(WHOLE, WHOLE, "recall", "precision", lines=lines["pr"], shares="xy"),
        "rows": rows, "several": several, "method": method,
    }  # fmt: skip


def costs(found: dict[str, Any] | None, base: dict[str, Any]) -> dict[str, Any] | None:
    """The chart, the table and the sentence of the approach that costs least on val rows; None where costs are not known."""
    if not found or not found["ways"]:
        return {"why": found["why"], "rows": []} if found else None
    lines, rows = [], []
    for way, (title, colour) in base["ways"].items():
        if way in found["ways"]:
            made, best = found["ways"][way], way == found["best"]
            lines.append({"points": made["curve"], "colour": colour, "strong": best})
            rows.append({**made, "title": title, "colour": colour, "best": best})
    best = found["ways"][found["best"]]
    top = max(max(y for _, y in line["points"]) for line in lines)
    return {
        "why": None, "rows": rows, "sentence": _spent(best, base["ways"][found["best"]][0], found),
        "prices": found,
        "chart": chart(WHOLE, (0.0, top * 1.05 or 1.0), "threshold", "cost of a test row", lines=lines, shares="x"),
    }  # fmt: skip


def _spent(made: dict[str, Any], title: str, found: dict[str, Any]) -> str:
    low, high = made["cost_interval"]
    text = (
        f"A false positive costs {significant(found['false_positive'])}, a false negative {significant(found['false_negative'])}. "
        f"{_capital(title)}, with a threshold of {percent(made['threshold'])}, costs "
        f"{significant(made['cost'], 3)} a row ({significant(low, 3)} to {significant(high, 3)})"
    )
    always = "always predicting positive" if made["always_positive"] else "never predicting positive"
    for key, other in (("half", "the default threshold of 50 %"), ("always", always)):
        low, high = made[f"less_{key}"]["interval"]
        verb = "less than" if high < 0 else "more than" if low > 0 else "not significantly different from"
        text += f"{', and ' if key == 'always' else ', '}{verb} {other} ({significant(made[f'cost_{key}'], 3)})"
    return text + "."


def residuals(found: dict[str, Any] | None, base: dict[str, Any]) -> dict[str, Any] | None:
    """Residuals against predictions, their histogram, their quantiles, and whether there is a bias."""
    if not found:
        return None
    edges, counts = found["edges"], found["counts"]
    y = spanned([*found["residual"], 0.0])
    x = spanned(found["predicted"])
    bars = [(a, b, n) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    return {
        "dots": chart(x, y, "predicted", "predicted − true", guide=((x[0], 0.0), (x[1], 0.0)),
                      dots=list(zip(found["predicted"], found["residual"], strict=True))),
        "bars": chart(spanned([edges[0], edges[-1]]), (0.0, max(counts) * 1.05 or 1.0), "predicted − true", "count", bars=bars),
        "quantiles": found["quantiles"], "sentence": _biased(found, base["sure"]),
    }  # fmt: skip


def _biased(found: dict[str, Any], sure: float) -> str:
    low, high = found["bias_interval"]
    if low > 0 or high < 0:
        side = "high" if low > 0 else "low"
        near, far = sorted(abs(end) for end in (low, high))
        text = (
            f"Predictions are too {side} by {significant(abs(found['bias']), 3)} on average "
            f"({confidence(sure)} interval {significant(near, 3)} to {significant(far, 3)})"
        )
    else:
        ends = f"{change(low, 'number')} to {change(high, 'number')}"
        text = f"No significant bias: {change(found['bias'], 'number')} on average ({ends})"
    grows = found["grows"]
    if grows and grows["p"] < 1 - sure and abs(grows["correlation"]) >= 0.1:
        more = "larger" if grows["correlation"] > 0 else "smaller"
        text += (
            f". Errors are {more} for larger predictions (rank correlation {change(grows['correlation'], 'number')})"
        )
    return text + "."
