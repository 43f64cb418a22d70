"""The untracked records of a run: when, where, with what, how long. Any of them may be missing."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.reporting.formatting import percent, significant

#: Characters of a fact at most; longer ones are sentences, which stand elsewhere on the page.
LONGEST = 60
#: Quantities of an epoch that are shares.
SHARES = ("accuracy",)


def records(folder: Path, order: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """stage -> its record, for those that are there and whole."""
    found = {}
    for stage in order:
        with suppress(DeepmineError):
            found[stage] = read_json(folder / f"{stage}.json")
    return found


def times(found: dict[str, dict[str, Any]], order: tuple[str, ...]) -> list[dict[str, Any]]:
    """One line a stage: seconds, rows a second, beginning and the facts that are single values.

    The rate of training is that of its passes, as the stage measured it.
    """
    lines = []
    for stage in order:
        record = found.get(stage, {})
        told = (record.get("facts") or {}).items()
        facts = {k: v for k, v in told if not isinstance(v, dict | list) and len(str(v)) <= LONGEST}
        began = str(record.get("began") or "").replace("T", " ")[:19]
        seconds = record.get("seconds")
        measured = next((v for k, v in facts.items() if k.endswith("_per_second")), None)
        rate = measured or (facts["rows"] / seconds if seconds and "rows" in facts else None)
        lines.append({"stage": stage, "seconds": seconds, "rate": rate, "began": began, "facts": facts})
    return lines


def total(found: dict[str, dict[str, Any]]) -> float | None:
    """Seconds of all recorded stages, None where none is."""
    known = [r["seconds"] for r in found.values() if r.get("seconds") is not None]
    return sum(known) if known else None


def gathered(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Hosts, platforms, devices, precisions and library versions over all stages; several where the stages differ."""
    facts = [r.get("facts") or {} for r in found.values()]
    about = {
        **{name: [r.get(name) for r in found.values()] for name in ("host", "platform", "python")},
        "device": [f.get("device") for f in facts],
        "precision": [f.get("precision") for f in facts],
    }
    libraries = {name for r in found.values() for name in r.get("versions") or {}}
    for name in sorted(libraries, key=str.lower):
        about[name] = [(r.get("versions") or {}).get(name) for r in found.values()]
    return {name: ", ".join(dict.fromkeys(str(v) for v in values if v is not None)) for name, values in about.items()}


def curves(history: list[dict[str, Any]]) -> dict[str, Any]:
    """One chart for each quantity of an epoch that was taken of train or val rows; a part that was not has no line.

    Returns:
        `epochs`, `charts` (`lines` of train and val, None where a value is no finite number), and `best`: what is
        told of the epoch with the lowest val loss, None where there are no val rows.
    """

    def column(name: str) -> list[float | None]:
        values = [epoch.get(name) for epoch in history]
        kept = [v if v is not None and math.isfinite(v) else None for v in values]
        return kept if any(v is not None for v in kept) else []

    parts = ("train", "val")
    names = dict.fromkeys(key.partition("_")[2] for epoch in history for key in epoch if key.partition("_")[0] in parts)
    charts: list[dict[str, Any]] = [
        {
            "title": _words(name)[:1].upper() + _words(name)[1:], "percent": name in SHARES, "axis": "epoch",
            "x": [epoch["epoch"] for epoch in history],
            "lines": {part: values for part in parts if (values := column(f"{part}_{name}"))},
        }
        for name in names
    ]  # fmt: skip
    val = [e for e in history if e.get("val_loss") is not None]
    best = min(val, key=lambda e: e["val_loss"]) if val else None
    told = [
        (_words(name), percent(best[f"val_{name}"]) if name in SHARES else significant(best[f"val_{name}"]))
        for name in names if best and best.get(f"val_{name}") is not None
    ]  # fmt: skip
    return {
        "epochs": [epoch["epoch"] for epoch in history],
        "charts": [chart for chart in charts if chart["lines"]],
        "best": best and {"epoch": best["epoch"], "told": told},
    }


def _words(name: str) -> str:
    return "R²" if name == "r2" else name.replace("_", " ")


def network(card: dict[str, Any]) -> list[dict[str, Any]]:
    """What the network is made of: its inputs, and the encoder of each with its options."""
    return [
        {
            "input": part["name"], "modality": part["state"]["modality"], "encoder": part["encoder"]["name"],
            "options": {k: v for k, v in part["encoder"].items() if k != "name"},
        }
        for part in card["inputs"]
    ]  # fmt: skip
