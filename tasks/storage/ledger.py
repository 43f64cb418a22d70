"""The ledger: every row of every stage, accepted or set aside for a reason."""

from pathlib import Path
from typing import Any

from tasks.core.files import read_json
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read_manifest


def ledger(raw: Path, rejected: Path, clean: Path, features: Path, miners: Path) -> dict[str, Any]:
    """Rows in, accepted and quarantined by reason of each stage, each stage's `in` being the last one's `accepted`.

    Raises:
        ValueError: rows vanished, or came from nowhere, between two stages.
    """
    summary = read_json(rejected / SUMMARY)
    kept = read_manifest(clean).counts
    lost = {reason: n for reason, n in kept["quarantined"].items() if reason != "rejected by validate"}
    counts = {
        "ingest": read_manifest(raw).counts,
        "validate": {k: summary[k] for k in ("in", "accepted", "quarantined")},
        "clean": {"in": summary["accepted"], "accepted": kept["accepted"], "quarantined": lost},
        "extract": read_manifest(features / "deep").counts,
    }
    before = counts["ingest"]["accepted"]
    for stage in ("validate", "clean", "extract"):
        if counts[stage]["in"] != before:
            raise ValueError(f"rows unaccounted for before {stage}: {before} came out, {counts[stage]['in']} went in")
        before = counts[stage]["accepted"]
    counts["mine"] = read_manifest(miners / PREDICTIONS).counts
    return counts
