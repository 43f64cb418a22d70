"""How the network was trained: its losses and scores epoch by epoch, and the encoders it is made of."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.core.files import read_json
from tasks.metrics import METRICS
from tasks.reporting.formatting import percent, significant
from tasks.reporting.section import Content
from tasks.storage.names import HISTORY

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Quantities of an epoch that are metrics of predictions.
SCORES = {"accuracy": METRICS["classification"]["accuracy"], "r2": METRICS["regression"]["r2"]}
#: Those of them that are fractions.
FRACTIONS = tuple(name for name, metric in SCORES.items() if metric.unit == "share")
#: What the network says of itself beside its weights.
CARD = "encoder.json"


@dataclass(frozen=True)
class Training(Content):
    """The curves of an epoch's quantities, as `curves` gives them, and a line for each branch of the network."""

    epochs: int
    charts: list[dict[str, Any]]
    best: dict[str, Any] | None
    branches: list[dict[str, Any]]


def build(run: "Run") -> Training:
    history = read_json(run.encoder / HISTORY)["epochs"]
    found = curves(history)
    return Training(len(history), found["charts"], found["best"], branches(read_json(run.encoder / CARD)))


def curves(history: list[dict[str, Any]]) -> dict[str, Any]:
    """One chart for each quantity of an epoch that was taken of train or val rows; a part that was not has no line.

    Returns:
        `charts` (`lines` of train and val, None where a value is no finite number), and `best`: the epoch with the
        lowest val loss and its other values, None where there are no val rows.
    """

    def column(name: str) -> list[float | None]:
        values = [epoch.get(name) for epoch in history]
        kept = [v if v is not None and math.isfinite(v) else None for v in values]
        return kept if any(v is not None for v in kept) else []

    parts = ("train", "val")
    names = dict.fromkeys(key.partition("_")[2] for epoch in history for key in epoch if key.partition("_")[0] in parts)
    charts: list[dict[str, Any]] = [
        {
            "title": _words(name)[:1].upper() + _words(name)[1:], "percent": name in FRACTIONS, "axis": "epoch",
            "x": [epoch["epoch"] for epoch in history],
            "lines": {part: values for part in parts if (values := column(f"{part}_{name}"))},
        }
        for name in names
    ]  # fmt: skip
    val = [e for e in history if e.get("val_loss") is not None]
    best = min(val, key=lambda e: e["val_loss"]) if val else None
    scores = [
        (_words(name), percent(best[f"val_{name}"]) if name in FRACTIONS else significant(best[f"val_{name}"]))
        for name in names if best and best.get(f"val_{name}") is not None
    ]  # fmt: skip
    return {
        "charts": [chart for chart in charts if chart["lines"]],
        "best": best and {"epoch": best["epoch"], "values": scores},
    }


def _words(name: str) -> str:
    return SCORES[name].title if name in SCORES else name.replace("_", " ")


def branches(card: dict[str, Any]) -> list[dict[str, Any]]:
    """What the network is made of: its inputs, and the encoder of each with its options."""
    return [
        {
            "input": part["name"], "modality": part["state"]["modality"], "encoder": part["encoder"]["name"],
            "options": {k: v for k, v in part["encoder"].items() if k != "name"},
        }
        for part in card["inputs"]
    ]  # fmt: skip
