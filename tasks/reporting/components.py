"""Principal components of the views: how much variance each explains, and which rows and items are at both ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.core.text import many
from tasks.reporting.formatting import percent, significant
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Components in the picture, and its size in its own units.
DRAWN, WIDTH, HEIGHT = 30, 300, 110
#: The view of whose components rows are shown.
SHOWN = "deep"


@dataclass(frozen=True)
class Components(Content):
    """A scree plot and the first components of each view."""

    views: list[dict[str, Any]]

    @property
    def row_ids(self) -> list[str]:
        ends = [end for view in self.views for each in view["components"] for end in each["ends"]]
        return [item["id"] for end in ends for item in end["items"]]


def build(run: "Run") -> Components | None:
    """None where `mine` fitted none."""
    found = run.mined.get("components")
    return Components(components(found)) if found else None


def components(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """For each view its scree plot (Cattell 1966), and its first components."""
    return [
        {
            "view": name, **_scree(pca["ratio"]), "sentence": _sentence(pca), "rows": pca["rows"],
            "components": [_component(k, each, pca["ratio"][k], name) for k, each in enumerate(pca["directions"])],
        }
        for name, pca in sorted(found.items())
    ]  # fmt: skip


def _sentence(pca: dict[str, Any]) -> str:
    if pca["width"] == 1:
        return "The only component explains all of the variance."
    first = sum(pca["ratio"][:2])
    text = f"The first two of {pca['width']:,} components explain {percent(first)} of the variance"
    if pca["ninety"] is None:
        return f"{text}; more than {len(pca['ratio']):,} are needed for 90 %."
    return f"{text}; {many(pca['ninety'], 'explains', 'explain')} 90 %."


def _scree(ratio: list[float]) -> dict[str, Any]:
    """Bars of the first components, in units of the picture, and the line of their cumulative sum."""
    shares, step = ratio[:DRAWN], WIDTH / max(len(ratio[:DRAWN]), 1)
    top, total, line, bars = max(shares), 0.0, [], []
    for k, share in enumerate(shares):
        total += share
        high = share / top * HEIGHT
        bars.append({"x": _unit(k * step), "y": _unit(HEIGHT - high), "w": _unit(step * 0.8), "h": _unit(high),
                     "text": f"component {k + 1}: {percent(share)}, cumulative {percent(min(total, 1.0))}"})  # fmt: skip
        line.append(f"{_unit((k + 0.4) * step)},{_unit(HEIGHT * (1 - min(total, 1.0)))}")
    return {
        "bars": bars,
        "line": " ".join(line),
        "top": percent(top),
        "last": len(shares),
        "total": percent(min(total, 1.0)),
    }


def _component(k: int, pca: dict[str, Any], share: float, view: str) -> dict[str, Any]:
    return {
        "title": f"Component {k + 1}: {percent(share)} of the variance",
        "loadings": [{"name": name, "weight": weight, "text": significant(weight, 3)} for name, weight in pca["loadings"]],
        "ends": [_end(end, pca[end], view) for end in ("low", "high")],
    }  # fmt: skip


def _end(name: str, found: dict[str, Any], view: str) -> dict[str, Any]:
    labels = [f"“{label}” {percent(here)} (of all rows {percent(every)})" for label, here, every in found["labels"]]
    items = [
        f"{each['item']} ({percent(each['share'])}, lift {significant(each['lift'], 3)})" for each in found["items"]
    ]
    shown = found["ids"] if view == SHOWN else []
    return {
        "title": f"{name} end", "labels": ", ".join(labels), "facts": "; ".join(items),
        "items": [{"id": i, "of": "", "pair": [], "facts": []} for i in shown],
    }  # fmt: skip


def _unit(value: float) -> float:
    return round(value, 2)
