"""report: what a run found, as one page that a person can open, print and send."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks import STAGES
from tasks.modalities import modality
from tasks.page import atlas, examples, render, results, runs
from tasks.page import quality as checks
from tasks.page.pictures import EXAMPLE_SIDE, MAP_SIDE, embed, gather, sprite
from tasks.progress import Progress
from tasks.store import HISTORY, PREDICTIONS, STATE, SUMMARY, read, read_manifest, write_atomically
from tasks.views import load_view

if TYPE_CHECKING:
    from PIL import Image

    from tasks.config import Report

PARTS = 4
#: The stages whose records the page shows; its own is written after it.
SHOWN = tuple(stage for stage in STAGES if stage != "report")


def report(
    *, name: str, params: "Report", plan: Path, raw: Path, unreadable: Path, rejected: Path, quality: Path, clean: Path,
    encoder: Path, features: Path, miners: Path, metrics: Path, evaluation: Path, records: Path, index: Path,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Write the page of dataset ``name`` to ``index``; every picture, script and style is inside it.

    ``quality`` is linked to, relative to ``index``. Records that are missing are shown as not recorded.

    Raises:
        DeepmineError: a store is missing or damaged.
    """
    progress.start()
    planned, verdict, numbers = _json(plan), _json(evaluation), _json(metrics)
    summary, recorded = _json(rejected / SUMMARY), runs.records(records, SHOWN)
    rows = _judged(features)
    chosen = atlas.sample(rows, params.map_points, params.seed)
    galleries = {
        "typical": examples.typical(rows, params.examples),
        "confused": examples.confused(rows, 3 * params.examples),
        "centres": _centres(rows, verdict, miners, params.examples),
    }
    progress(1, PARTS, "parts", note="laying out the map", always=True)
    points = atlas.points(rows, chosen, params.seed)
    progress(2, PARTS, "parts", note="drawing examples", always=True)
    lost = checks.quarantine({"ingest": read(unreadable), "validate": read(rejected)}, params.examples)
    alike = summary["near_duplicates"]
    shown = [*_ids(galleries), *(row["id"] for pair in alike["examples"] for row in pair["rows"])]
    drawn = _draw(clean, shown, points["ids"])
    points["sprite"] = sprite([drawn.get(i) for i in points["ids"]])
    progress(3, PARTS, "parts", note="writing the page", always=True)
    page = render(
        name=name, source=planned["source"]["path"], listing=planned["listing"],
        parameters={stage: planned[stage]["params"] for stage in STAGES if stage in planned},
        test_rows=verdict["test_rows"], classes=results.classes(verdict),
        fusion=results.fusion(verdict, dict(verdict["titles"]), recorded), miners=results.miners(verdict, recorded),
        confusions=results.confusions(verdict, dict(verdict["titles"])), clusters=results.clusters(verdict, recorded),
        curves=runs.curves(_json(encoder / HISTORY)), points=points, **galleries,
        pictures={i: embed(drawn[i]) for i in shown if i in drawn}, alike=alike,
        rejects=_rejects(raw, lost), quarantine=lost, quarantined=sum(group["rows"] for group in lost),
        expectations=checks.expectations(summary), splits=checks.splits(summary),
        ledger=checks.ledger(verdict, numbers, STAGES), docs=checks.data_docs(quality, index),
        times=runs.times(recorded, SHOWN), about=runs.gathered(recorded), total=runs.total(recorded),
        fingerprint=read_manifest(features / "deep").metadata["fingerprint"],
    ).encode()  # fmt: skip
    write_atomically(index, page)
    progress(PARTS, PARTS, "parts", note=f"{len(page) / 1e6:.1f} MB in {index}")
    return {"bytes": len(page), "map_rows": len(chosen)}


def _judged(features: Path) -> examples.Judged:
    """The test rows with the network's own verdict."""
    labels = np.array(json.loads(read_manifest(features / "network").metadata["labels"]))
    view = load_view(features, "deep+network")  # joined by id
    test = view.rows("test")
    deep, probabilities = np.split(view.X[test], [view.X.shape[1] - len(labels)], axis=1)
    return examples.Judged(
        view.ids[test], view.label[test], labels[probabilities.argmax(1)], probabilities.max(1), deep
    )


def _centres(
    rows: examples.Judged, verdict: dict[str, Any], miners: Path, count: int
) -> dict[str, list[dict[str, Any]]]:
    """clusterer -> its clusters of the deep view with the rows nearest their means."""
    names = sorted(n for n in verdict["clusters"] if n.partition("@")[2] == "deep")
    if not names:
        return {}
    table = read(miners / PREDICTIONS, ["id", *names])
    ids = table["id"].to_pylist()
    return {
        name.partition("@")[0]: examples.centres(rows, dict(zip(ids, table[name].to_pylist(), strict=True)), count)
        for name in names
    }


def _ids(galleries: dict[str, Any]) -> list[str]:
    """The ids of all examples, each once."""
    groups = [*galleries["typical"], *(g for found in galleries["centres"].values() for g in found)]
    items = [*galleries["confused"], *(item for group in groups for item in group["items"])]
    return list(dict.fromkeys(item["id"] for item in items))


def _draw(clean: Path, shown: list[str], mapped: list[str]) -> "dict[str, Image.Image]":
    """The picture of every row that the page shows, each read once."""
    state = _json(clean / STATE)
    made = modality(state["modality"])
    sides = dict.fromkeys(mapped, MAP_SIDE) | dict.fromkeys(shown, EXAMPLE_SIDE)
    return gather(clean, state["input"], sides, lambda item, side: made.thumbnail(item, state, side))


def _rejects(raw: Path, lost: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """id -> picture of those quarantined rows that could be read."""
    metadata = read_manifest(raw).metadata
    made = modality(metadata["modality"])
    ids = [item["id"] for group in lost if group["stage"] == "validate" for item in group["items"]]
    sides = dict.fromkeys(ids, EXAMPLE_SIDE)
    drawn = gather(raw, metadata["input"], sides, made.thumbnail_raw)
    return {i: embed(image) for i, image in drawn.items()}


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())
