"""What a run shows of its results in the Prefect UI: progress, tables, a link to the report."""

import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.graph import Node
from flows.project import STAGES, paths, read_record
from tasks.core.files import read_json
from tasks.core.printable import visible
from tasks.evaluation.fusion import table
from tasks.storage.names import SUMMARY
from tasks.validation.finding import NOTE, in_words

LONG = ("train", "extract", "crossvalidate")
MARKDOWN = re.compile(r"[\\`*_{}\[\]<>()#|~!&]")
LINE = re.compile(r"[\d,]+/[\d,]+ \w+")


class Progress:
    """The progress artifact of a long stage, fed from the file that the stage's process rewrites."""

    def __init__(self, node: Node, file: Path) -> None:
        self.node, self.file = node, file
        self._artifact: UUID | None = None
        self._seen: int | None = file.stat().st_mtime_ns if file.is_file() else None
        self._sent = 0.0

    def is_progress(self, line: str) -> bool:
        """Whether a line of output only says how far the stage is."""
        return bool(LINE.match(line))

    def update(self) -> None:
        """Send the share done, at most every two seconds."""
        if self.node.stage not in LONG or time.monotonic() - self._sent < 2 or not self.file.is_file():
            return
        if not self._changed():
            return
        self._seen, self._sent = self.file.stat().st_mtime_ns, time.monotonic()
        state = read_json(self.file)
        self._send(100.0 * state["done"] / max(state["total"], 1), state["line"])

    def _changed(self) -> bool:
        return self.file.is_file() and self.file.stat().st_mtime_ns != self._seen

    def finish(self) -> None:
        """Show a finished stage as such."""
        # a stage that had nothing to do has reported nothing
        if self._artifact is not None or (self.node.stage in LONG and self._changed()):
            self._send(100.0, "done")

    def _send(self, percent: float, line: str) -> None:
        told = in_markdown(f"{self.node.name}: {line}")
        if self._artifact is None:
            key = _key(self.node.stage, self.node.dataset)
            self._artifact = create_progress_artifact(percent, key=key, description=told)  # type: ignore[assignment]
        elif self._artifact is not None:
            update_progress_artifact(self._artifact, percent, description=told)


def publish(node: Node) -> None:
    """The artifacts of a finished stage, if it has any."""
    files = paths(node.stage, node.dataset)
    if node.stage == "validate":
        summary = read_json(files["rejected"] / SUMMARY)
        create_table_artifact(
            _cells(quality_rows(summary)), key=_key("quality", node.dataset), description=in_markdown(_quality(summary))
        )
    elif node.stage == "evaluate":
        result = read_json(files["evaluation"])
        create_table_artifact(
            _cells(table(result)), key=_key("metrics", node.dataset), description=in_markdown(result["verdict"])
        )
    elif node.stage == "report":
        page = files["index"].resolve()
        create_link_artifact(page.as_uri(), link_text=f"report of {node.dataset}", key=_key("report", node.dataset),
                             description=in_markdown(f"Open in a browser on the machine of the run: {page}"))  # fmt: skip
        create_markdown_artifact(
            _times(node.dataset),
            key=_key("times", node.dataset),
            description="Seconds of each stage's own work when it last ran",
        )


def quality_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an expectation."""
    return [
        {"expectation": e["reason"], "column": e["column"], "met": "yes" if e["success"] else "no",
         "rows failing": e["rows"], "otherwise": e["action"]}
        for e in summary["expectations"]
    ]  # fmt: skip


def _quality(summary: dict[str, Any]) -> str:
    gone = ", ".join(f"{n:,} {reason}" for reason, n in summary["quarantined"].items()) or "none rejected"
    findings = [in_words(one) for one in summary["findings"] if one["severity"] != NOTE]
    return " ".join([f"{summary['in']:,} rows in, {summary['accepted']:,} accepted; {gone}.", *findings])


def in_markdown(text: str) -> str:
    """``text`` for a description, which the UI takes for Markdown: as it is, with nothing in it that means anything."""
    return MARKDOWN.sub(r"\\\g<0>", visible(text))


def _cells(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{visible(k): visible(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def _times(dataset: str) -> str:
    rows = [(stage, read_record(dataset, stage)) for stage in STAGES]
    lines = ["| stage | seconds |", "| --- | ---: |"]
    return "\n".join(lines + [f"| {stage} | {r['seconds']:.1f} |" for stage, r in rows if r])


def _key(what: str, dataset: str) -> str:
    return f"{what}-{dataset}".replace("_", "-").lower()
