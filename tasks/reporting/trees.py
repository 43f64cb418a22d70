"""Decision trees as pictures: boxes and edges with their positions, for a small SVG."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.core.text import many
from tasks.reporting.captions import short, undirected
from tasks.reporting.formatting import significant
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: A box, the room between boxes, and characters of a line in a box.
WIDTH, HEIGHT, ACROSS, DOWN, LINE = 132, 58, 6, 34, 21


@dataclass(frozen=True)
class Trees(Content):
    """Each tree with its picture and its rules."""

    trees: list[dict[str, Any]]


def build(run: "Run") -> Trees | None:
    """None where no tree was fitted."""
    found = trees(run.mined.get("trees") or {}, run.mined.get("tree_nodes") or {})
    return Trees(found) if found else None


def trees(texts: dict[str, str], nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each tree with its picture and its rules."""
    return [
        {"name": key.partition("@")[0], "view": key.partition("@")[2], "text": text, **picture(nodes[key])}
        for key, text in sorted(texts.items()) if key in nodes
    ]  # fmt: skip


def picture(root: dict[str, Any]) -> dict[str, Any]:
    """Boxes and lines of the nodes under ``root``: leaves side by side, each parent above the middle of its two."""
    boxes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    leaves = 0

    def place(node: dict[str, Any], level: int) -> float:
        """The middle of the node's box."""
        nonlocal leaves
        if "ask" in node:
            ends = [place(node[answer], level + 1) for answer in ("yes", "no")]
            middle = sum(ends) / 2
            top = level * (HEIGHT + DOWN)
            for end, word in zip(ends, ("yes", "no"), strict=True):
                edges.append({"x1": round(middle, 1), "y1": top + HEIGHT, "x2": round(end, 1), "y2": top + HEIGHT + DOWN,
                              "word": word, "x": round((middle + end) / 2, 1), "y": top + HEIGHT + DOWN / 2})  # fmt: skip
        else:
            middle = leaves * (WIDTH + ACROSS) + WIDTH / 2
            leaves += 1
        boxes.append({"x": round(middle - WIDTH / 2, 1), "y": level * (HEIGHT + DOWN), "middle": round(middle, 1),
                      "lines": _lines(node), "leaf": not {"ask", "more"} & set(node)})  # fmt: skip
        return middle

    place(root, 0)
    wide = max(box["x"] for box in boxes) + WIDTH
    high = max(box["y"] for box in boxes) + HEIGHT
    return {"boxes": boxes, "edges": edges, "width": wide, "height": high, "box": [WIDTH, HEIGHT]}


def _lines(node: dict[str, Any]) -> list[str]:
    values = node["told"]
    if values and not values[0][0]:
        text = ", ".join(significant(value) for _, value in values)
    else:
        text = ", ".join(f"{label}: {count:,}" for label, count in values)
    rows = many(node["rows"], "row", "rows")
    if "ask" in node:
        name, most = node["ask"]
        tail = f" ≤ {significant(most)}?"
        return [short(undirected(name), LINE - len(tail)) + tail, short(undirected(text), LINE), rows]
    return [short(undirected(text), LINE), rows, *([f"… {node['more']:,} more nodes"] if "more" in node else [])]
