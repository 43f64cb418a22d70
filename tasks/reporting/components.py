"""Principal components of the views: the share of each as a small picture, and what stands at both ends."""

from typing import Any

from tasks.reporting.formatting import percent, significant

#: Components in the picture, and its size in its own units.
DRAWN, WIDTH, HEIGHT = 30, 300, 110
#: The view of whose directions rows are shown.
SHOWN = "deep"


def components(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """For each view its scree plot (Cattell 1966), and its first directions."""
    return [
        {
            "view": name, **_scree(told["ratio"]), "sentence": _sentence(told), "rows": told["rows"],
            "directions": [_direction(k, each, told["ratio"][k], name) for k, each in enumerate(told["directions"])],
        }
        for name, told in sorted(found.items())
    ]  # fmt: skip


def ids(parts: list[dict[str, Any]]) -> list[str]:
    """The rows that stand at the ends."""
    ends = [end for part in parts for each in part["directions"] for end in each["ends"]]
    return [item["id"] for end in ends for item in end["items"]]


def _sentence(told: dict[str, Any]) -> str:
    first = sum(told["ratio"][:2])
    text = f"The first two of {told['width']:,} hold {percent(first)} of the variance"
    if told["ninety"] is None:
        return f"{text}; more than {len(told['ratio']):,} are needed for 90 %."
    return f"{text}; {told['ninety']:,} {'holds' if told['ninety'] == 1 else 'hold'} 90 %."


def _scree(ratio: list[float]) -> dict[str, Any]:
    """Bars of the first shares, in units of the picture, and the line of their sums."""
    shares, step = ratio[:DRAWN], WIDTH / max(len(ratio[:DRAWN]), 1)
    top, total, line, bars = max(shares), 0.0, [], []
    for k, share in enumerate(shares):
        total += share
        high = share / top * HEIGHT
        bars.append({"x": _unit(k * step), "y": _unit(HEIGHT - high), "w": _unit(step * 0.8), "h": _unit(high),
                     "told": f"component {k + 1}: {percent(share)}, together {percent(min(total, 1.0))}"})  # fmt: skip
        line.append(f"{_unit((k + 0.4) * step)},{_unit(HEIGHT * (1 - min(total, 1.0)))}")
    return {
        "bars": bars,
        "line": " ".join(line),
        "top": percent(top),
        "last": len(shares),
        "total": percent(min(total, 1.0)),
    }


def _direction(k: int, told: dict[str, Any], share: float, view: str) -> dict[str, Any]:
    return {
        "title": f"Direction {k + 1}: {percent(share)} of the variance",
        "loadings": [{"name": name, "weight": weight, "told": significant(weight, 3)} for name, weight in told["loadings"]],
        "ends": [_end(end, told[end], view) for end in ("low", "high")],
    }  # fmt: skip


def _end(name: str, told: dict[str, Any], view: str) -> dict[str, Any]:
    labels = [f"“{label}” {percent(here)} (of all rows {percent(every)})" for label, here, every in told["labels"]]
    items = [
        f"{each['item']} ({percent(each['share'])}, lift {significant(each['lift'], 3)})" for each in told["items"]
    ]
    shown = told["ids"] if view == SHOWN else []
    return {
        "title": f"{name} end", "labels": ", ".join(labels), "facts": "; ".join(items),
        "items": [{"id": i, "of": "", "pair": [], "told": []} for i in shown],
    }  # fmt: skip


def _unit(value: float) -> float:
    return round(value, 2)
