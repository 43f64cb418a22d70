"""How far to trust the figures: curves, calibration, costs, residuals, slices and comparisons, drawn and in words."""

from typing import Any

from tasks.reporting.charts import COLOURS, chart, spanned
from tasks.reporting.comparisons import alike, slices
from tasks.reporting.formatting import change, confidence, count, percent, significant

WHOLE = (0.0, 1.0)


def trust(verdict: dict[str, Any], titles: dict[str, str], records: dict[str, Any]) -> dict[str, Any] | None:
    """The parts of the section, each None where there is nothing to show; None where nothing was judged."""
    found = verdict.get("figures") or {}
    if not found:
        return None
    fusion = verdict["fusion"]
    ways = {way: (titles[way], k % COLOURS) for k, way in enumerate(titles) if way in fusion["ways"]}
    base = {"ways": ways, "best": verdict["best"], "unit": fusion["measure"]["unit"], "sure": fusion["confidence"]}
    return {
        "alike": alike(found["comparisons"], base, records), "slices": slices(found.get("slices") or {}, base),
        "calibration": calibration(found.get("calibration") or {}, base),
        "curves": curves(found.get("curves") or {}, verdict, base), "costs": costs(found.get("costs"), base),
        "residuals": residuals(found.get("residuals"), base), "groups": grouped(verdict.get("groups")),
        "over_groups": ((verdict.get("groups") or {}).get("groups") or 0) > 1,
        "confidence": base["sure"], "unit": base["unit"], "positive": verdict["positive"],
    }  # fmt: skip


def grouped(groups: dict[str, Any] | None) -> str:
    """What rows that come in groups mean for the intervals."""
    if not groups:
        return ""
    if groups["groups"] == 1:
        return (
            "All test rows are of one group: intervals say how sure figures are of that group, and nothing of others."
        )
    told = (
        f"The {count(groups['rows'])} test rows come from {count(groups['groups'])} groups, and rows of one group are "
        f"alike. Intervals are taken over groups, not rows."
    )
    return told + (" So few groups leave much in doubt." if groups["few"] else "")


def calibration(found: dict[str, Any], base: dict[str, Any]) -> dict[str, Any] | None:
    """The reliability curves, a table, and what the best way's says in words."""
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
    across = "what it says" if of == "said" else "probability of the positive class"
    up = "how often that is right" if of == "said" else "how often it is positive"
    told = base["best"] if base["best"] in found else next(iter(found))
    return {
        "chart": chart(WHOLE, WHOLE, across, up, lines=lines, guide=((0, 0), (1, 1)), shares="xy"), "rows": rows,
        "sentence": _calibrated(found[told], base["ways"][told][0], base["sure"]), "of": of,
    }  # fmt: skip


def _calibrated(made: dict[str, Any], title: str, sure: float) -> str:
    """Whether a way may be taken at its word."""
    low, high = made["gap_interval"]
    what = (
        f"{percent(made['sure'])} sure of its most probable class, which is right {percent(made['right'])} of the time"
    )
    first = f"{_capital(title)}: on average it is {what}"
    if low > 0:
        return f"{first}: overconfident by {_plus(made['gap'])} points ({_plus(low)} to {_plus(high)})."
    if high < 0:
        return f"{first}: too modest by {_plus(-made['gap'])} points ({_plus(-high)} to {_plus(-low)})."
    if made["p"] < 1 - sure:
        worst = max(made["bins"], key=lambda b: abs(b["said"] - b["came"]) * b["rows"])
        what = "right" if made["of"] == "said" else "positive"
        return (
            f"{first}, which agrees, but not at every level: where it says {percent(worst['said'])} on average, "
            f"{percent(worst['came'])} of {count(worst['rows'])} rows are {what}."
        )
    return f"{first}: what it says may be taken at its word, as far as {count(made['rows'])} rows can tell."


def _capital(title: str) -> str:
    return title[0].upper() + title[1:]


def _plus(points: float) -> str:
    return f"{points * 100:.1f}".replace("-", "−")


def curves(found: dict[str, Any], verdict: dict[str, Any], base: dict[str, Any]) -> dict[str, Any] | None:
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
        own = found[way] if "auc" in found[way] else verdict["fusion"]["ways"][way]["positive"]
        rows.append(
            {"title": title, "colour": colour, "best": way == base["best"], "auc": own["auc"],
             "interval": own["auc_interval"], "average_precision": own["average_precision"]}
        )  # fmt: skip
    several = verdict["positive"] is None
    named = (
        (verdict.get("figures") or {}).get("methods") if several else verdict["fusion"].get("methods", {}).get("ways")
    )
    method = (named or {}).get("auc_interval", "")
    return {
        "roc": chart(WHOLE, WHOLE, "false alarms, of all others", "found, of the class", lines=lines["roc"],
                     guide=((0, 0), (1, 1)), shares="xy"),
        "pr": chart(WHOLE, WHOLE, "recall: found, of the class", "precision", lines=lines["pr"], shares="xy"),
        "rows": rows, "several": several, "method": method,
    }  # fmt: skip


def costs(found: dict[str, Any] | None, base: dict[str, Any]) -> dict[str, Any] | None:
    """The chart, the table and the sentence of the way that costs least on val rows; None where costs are not known."""
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
    told = (
        f"A false alarm costs {significant(found['false_positive'])}, a missed positive {significant(found['false_negative'])}. "
        f"{_capital(title)}, saying positive from a probability of {percent(made['threshold'])} on, costs "
        f"{significant(made['cost'], 3)} a row ({significant(low, 3)} to {significant(high, 3)})"
    )
    always = "always saying positive" if made["always_positive"] else "never saying positive"
    for key, other in (("half", "the usual threshold of 50 %"), ("always", always)):
        low, high = made[f"less_{key}"]["interval"]
        verb = "less than" if high < 0 else "more than" if low > 0 else "which cannot be told from"
        told += f"{', and ' if key == 'always' else ', '}{verb} {other} ({significant(made[f'cost_{key}'], 3)})"
    return told + "."


def residuals(found: dict[str, Any] | None, base: dict[str, Any]) -> dict[str, Any] | None:
    """Residuals against predictions, their histogram, their quantiles, and whether there is a bias."""
    if not found:
        return None
    edges, counts = found["edges"], found["counts"]
    y = spanned([*found["residual"], 0.0])
    x = spanned(found["predicted"])
    bars = [(a, b, n) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    return {
        "dots": chart(x, y, "predicted", "predicted less true", guide=((x[0], 0.0), (x[1], 0.0)),
                      dots=list(zip(found["predicted"], found["residual"], strict=True))),
        "bars": chart(spanned([edges[0], edges[-1]]), (0.0, max(counts) * 1.05 or 1.0), "predicted less true", "numbers", bars=bars),
        "quantiles": found["quantiles"], "sentence": _biased(found, base["sure"]),
    }  # fmt: skip


def _biased(found: dict[str, Any], sure: float) -> str:
    low, high = found["bias_interval"]
    if low > 0 or high < 0:
        way = "high" if low > 0 else "low"
        near, far = sorted(abs(end) for end in (low, high))
        told = (
            f"It says too {way} by {significant(abs(found['bias']), 3)} on average "
            f"({confidence(sure)} interval {significant(near, 3)} to {significant(far, 3)})"
        )
    else:
        ends = f"{change(low, 'number')} to {change(high, 'number')}"
        told = f"No bias can be seen: {change(found['bias'], 'number')} on average ({ends})"
    grows = found["grows"]
    if grows and grows["p"] < 1 - sure and abs(grows["correlation"]) >= 0.1:
        more = "larger" if grows["correlation"] > 0 else "smaller"
        told += (
            f". Errors are {more} where more is predicted (rank correlation {change(grows['correlation'], 'number')})"
        )
    return told + "."
