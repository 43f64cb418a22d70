"""What became of every row: expectations, splits, the ledger, quarantine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from tasks import STAGES
from tasks.core.files import read_json
from tasks.reporting.section import Content
from tasks.reporting.texts import shortened
from tasks.storage.store import read

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: What follows when an expectation is not met, in words.
ACTIONS = {"reject": "quarantine the row", "fail": "stop", "warn": "warn"}


@dataclass(frozen=True)
class Quality(Content):
    """What became of every row.

    Attributes:
        data_docs: name and relative address of each.
        shortened: of inputs that are texts: how much of them the network does not read.
        quarantine: the reasons, with the first rows of each.
        near_duplicates: None where they were not looked for.
        splits: rows of each class in each split.
    """

    expectations: list[dict[str, Any]]
    data_docs: list[dict[str, str]]
    shortened: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]
    near_duplicates: dict[str, Any] | None
    splits: dict[str, Any]

    @property
    def quarantined(self) -> int:
        return sum(group["rows"] for group in self.quarantine)

    @property
    def row_ids(self) -> list[str]:
        pairs = self.near_duplicates["examples"] if self.near_duplicates else []
        # what `ingest` could not read cannot be shown
        groups = [group for group in self.quarantine if group["stage"] != "ingest"]
        return [row["id"] for pair in pairs for row in pair["rows"]] + [
            item["id"] for group in groups for item in group["items"]
        ]


def build(run: "Run") -> Quality:
    found = run.validated
    stores = {"ingest": run.unreadable, "validate": run.rejected, "clean": run.cleaned}
    rows = pa.table({"label": run.view.label, "split": run.view.split})
    return Quality(
        expectations=expectations(found), data_docs=data_docs(run.quality, run.index), shortened=shortened(run.source),
        ledger=ledger(run.evaluated, read_json(run.metrics), STAGES),
        quarantine=quarantine({stage: read(store) for stage, store in stores.items()}, run.params.examples),
        near_duplicates=found["near_duplicates"], splits=splits(rows, [c["label"] for c in found["classes"]]),
    )  # fmt: skip


def expectations(validated: dict[str, Any]) -> list[dict[str, Any]]:
    """Every expectation, the unmet ones first."""
    rows = [
        {**e, "words": e["expect"].removeprefix("expect_").replace("_", " "), "then": ACTIONS[e["action"]]}
        for e in validated["expectations"]
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


def ledger(evaluated: dict[str, Any], metrics: dict[str, Any], order: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows in, accepted and quarantined of each stage, in the order of the stages."""
    rows = metrics["rows"]
    return [
        {"stage": stage, **rows[stage], "reasons": evaluated["counts"][stage]["quarantined"]}
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
