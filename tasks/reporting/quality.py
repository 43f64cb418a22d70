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


def splits(rows: pa.Table, labels: list[str]) -> dict[str, Any]:
    """Rows of each class in each split, with totals; no classes where there are no ``labels``.

    Args:
        rows: columns `split` and `label` of the rows that came through all checks.
    """
    names = ("train", "val", "test")
    counted = rows.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist()
    count = {(row["label"], row["split"]): row["count_all"] for row in counted}
    lines = [[count.get((label, split), 0) for split in names] for label in labels]
    totals = [sum(n for (_, split), n in count.items() if split == name) for name in names]
    return {
        "names": names, "totals": totals, "total": sum(totals),
        "rows": [{"label": label, "counts": n, "total": sum(n)} for label, n in zip(labels, lines, strict=True)],
    }  # fmt: skip


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


def read_before(groups: list[dict[str, Any]]) -> list[str]:
    """The ids of those quarantined examples that `ingest` could read, so that they can be shown."""
    return [item["id"] for group in groups if group["stage"] != "ingest" for item in group["items"]]


def data_docs(quality: Path, index: Path) -> list[dict[str, str]]:
    """Links to the Data Docs, relative to the page so that the folder may move."""
    pages = sorted(quality.glob("*/index.html"))
    return [
        {"name": page.parent.name, "href": quote(Path(os.path.relpath(page, index.parent)).as_posix())}
        for page in pages
    ]


def leaks(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """What may make test figures too good, less near-duplicates: the page tells of these with their pictures."""
    return [leak for leak in summary["leaks"] if leak.get("kind") != "near-duplicates"]
