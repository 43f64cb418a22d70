"""What became of every row: expectations, splits, the ledger, quarantine."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

#: What follows when an expectation is not met, as a person reads it.
ACTIONS = {"reject": "quarantine the row", "fail": "stop", "warn": "warn"}


def expectations(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Every expectation, those that are not met first."""
    rows = [
        {**e, "words": e["expect"].removeprefix("expect_").replace("_", " "), "then": ACTIONS[e["action"]]}
        for e in summary["expectations"]
    ]
    return sorted(rows, key=lambda row: row["success"])


def splits(summary: dict[str, Any]) -> dict[str, Any]:
    """Accepted rows of each class in each split, with totals."""
    names = ("train", "val", "test")
    rows = [
        {"label": c["label"], "counts": [c[s] for s in names], "total": sum(c[s] for s in names)}
        for c in summary["classes"]
    ]
    totals = [sum(row["counts"][k] for row in rows) for k in range(len(names))]
    return {"names": names, "rows": rows, "totals": totals, "total": sum(totals)}


def ledger(verdict: dict[str, Any], numbers: dict[str, Any], order: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows in, accepted and quarantined of each stage, in the order of the stages."""
    rows = numbers["rows"]
    return [
        {"stage": stage, **rows[stage], "reasons": verdict["counts"][stage]["quarantined"]}
        for stage in order if stage in rows
    ]  # fmt: skip


def quarantine(stores: dict[str, pa.Table], count: int) -> list[dict[str, Any]]:
    """Reasons with the number of rows and the first ``count`` of these, the most frequent first.

    Args:
        stores: stage -> table of the rows that it set aside.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for stage, table in stores.items():
        for row in table.to_pylist():
            group = found.setdefault(
                (stage, row["reason"]), {"stage": stage, "reason": row["reason"], "rows": 0, "items": []}
            )
            group["rows"] += 1
            if len(group["items"]) < count:
                group["items"].append(row)
    return sorted(found.values(), key=lambda group: (-group["rows"], group["reason"]))


def data_docs(quality: Path, index: Path) -> list[dict[str, str]]:
    """Links to the Data Docs, relative to the page so that the folder may move."""
    pages = sorted(quality.glob("*/index.html"))
    return [
        {"name": page.parent.name, "href": quote(Path(os.path.relpath(page, index.parent)).as_posix())}
        for page in pages
    ]
