"""report: what a run found, as one page that a person can open, print and send."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks import STAGES
from tasks.core.files import read_json, write_atomically
from tasks.core.progress import Progress
from tasks.features.view import View, columns_of, load_view, trained_for
from tasks.reporting import clusters as clustered
from tasks.reporting import (
    cross_validation,
    examples,
    feature_map,
    forecasts,
    miner_sections,
    pictures,
    render,
    results,
    row_cards,
    rules,
    run_record,
    sounds,
)
from tasks.reporting import quality as checks
from tasks.reporting.reliability import trust
from tasks.reporting.summary import front
from tasks.reporting.test_rows import Judged
from tasks.reporting.texts import shortened
from tasks.storage.names import HISTORY, PREDICTIONS, RULES, STATE, SUMMARY
from tasks.storage.store import read, read_manifest

if TYPE_CHECKING:
    from tasks.config.evaluate import Report
    from tasks.config.source import Input

PARTS = 4
#: The stages whose records the page shows; its own is written after it.
SHOWN = tuple(stage for stage in STAGES if stage != "report")
#: What the network says of itself beside its weights.
CARD = "encoder.json"


def report(
    *, name: str, params: "Report", inputs: "dict[str, Input]", objective: str, plan: Path, raw: Path, unreadable: Path,
    rejected: Path, quality: Path, clean: Path, cleaned: Path, items: Path, encoder: Path, features: Path,
    miners: Path, metrics: Path, evaluation: Path, records: Path, index: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Write the page of dataset ``name`` to ``index``; every picture, sound, script and style is inside it.

    ``quality`` is linked to, relative to ``index``. Records that are missing are shown as not recorded.

    Raises:
        DeepmineError: a store is missing or damaged.
    """
    progress.start()
    planned, verdict, summary = read_json(plan), read_json(evaluation), read_json(rejected / SUMMARY)
    recorded = run_record.records(records, SHOWN)
    view = load_view(features, "deep+network")  # joined by id
    judged = _judged(view, features)
    clusters = _clusters(verdict, miners)
    galleries = examples.galleries(judged, params.examples)
    told = miner_sections.sections(verdict, judged, galleries, features, miners, params.examples)
    centres = {n: examples.centres(judged, of, params.examples) for n, of in clusters.items()}
    progress(1, PARTS, "parts", note="laying out the map", always=True)
    chosen = feature_map.sample(judged, params.map_points, params.seed)
    colouring = next(iter(clusters.values()), {}) if judged.numbers is None and not judged.labelled else {}
    points = feature_map.points(judged, chosen, colouring, params.seed)
    progress(2, PARTS, "parts", note="drawing examples", always=True)
    lost = checks.quarantine(
        {"ingest": read(unreadable), "validate": read(rejected), "clean": read(cleaned)}, params.examples
    )
    alike = summary["near_duplicates"] or {"leaked": 0, "examples": []}
    found = verdict.get("rules", {})
    stored = read(miners / RULES).to_pylist() if found else []
    ruled = rules.sections(found, stored, judged, params.examples)
    shown = examples.ids([*({"groups": found} for found in centres.values()), *galleries])
    shown += [*rules.ids(ruled), *miner_sections.ids(told)]
    pairs = [row["id"] for pair in alike["examples"] for row in pair["rows"]]
    source = row_cards.Rows(inputs, read_json(clean / STATE)["inputs"], clean, raw)
    points["inputs"], looks = _look(source, points["ids"], [*shown, *pairs], checks.read_before(lost))
    looks.replace_pictures(_forecasts(source, judged, shown))
    progress(3, PARTS, "parts", note="writing the page", always=True)
    sections = dict(
        name=name, source=planned["source"]["path"], listing=planned["listing"], asked=objective,
        parameters={stage: planned[stage]["params"] for stage in STAGES if stage in planned},
        objective=judged.objective, points=points, galleries=galleries, centres=centres, alike=alike, rows=looks.of,
        rules=ruled,
        room=looks.room, heard=looks.sounds, seconds=looks.seconds, sound_rate=sounds.RATE, most_sounds=sounds.MOST,
        curves=run_record.curves(read_json(encoder / HISTORY)["epochs"]), network=run_record.network(read_json(encoder / CARD)),
        shortened=shortened(source), leaks=checks.leaks(summary), notes=summary.get("notes", []),
        expectations=checks.expectations(summary), docs=checks.data_docs(quality, index),
        splits=checks.splits(
            pa.table({"label": view.label, "split": view.split}), [c["label"] for c in summary["classes"]]
        ),
        quarantine=lost, quarantined=sum(group["rows"] for group in lost),
        ledger=checks.ledger(verdict, read_json(metrics), STAGES), **_found(verdict, recorded), **told,
        times=run_record.times(recorded, SHOWN), about=run_record.gathered(recorded), total=run_record.total(recorded),
        fingerprint=read_manifest(features / "deep").metadata["fingerprint"],
    )  # fmt: skip
    page = render(front=front(sections, verdict), **sections).encode()
    write_atomically(index, page)
    progress(PARTS, PARTS, "parts", note=f"{len(page) / 1e6:.1f} MB in {index}")
    return {"bytes": len(page), "map_rows": len(chosen)}


def _found(verdict: dict[str, Any], recorded: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The tables of what `evaluate` found."""
    titles = dict(verdict["titles"])
    return {
        "test_rows": verdict["test_rows"], "classes": results.classes(verdict),
        "fusion": results.fusion(verdict, titles, recorded), "miners": results.miners(verdict, recorded),
        "confusions": results.confusions(verdict, titles), "clusters": results.clusters(verdict, recorded),
        "tried": results.counts(verdict), "told": clustered.told(verdict), "agreement": clustered.agreement(verdict),
        "trust": trust(verdict, titles, recorded), "crossed": cross_validation.crossed(verdict),
    }  # fmt: skip


def _judged(view: View, features: Path) -> Judged:
    """The test rows with the network's own verdict."""
    test = view.rows("test")
    deep, said = (view.X[test][:, columns] for columns in columns_of(view.parts))
    objective = trained_for(features)
    classes = json.loads(read_manifest(features / "network").metadata.get("labels", "[]"))
    return Judged(
        objective=objective,
        ids=view.ids[test],
        truth=view.label[test],
        said=said.astype(np.float64),
        X=deep,
        numbers=view.targets(test) if objective in ("regression", "forecasting") else None,
        classes=np.array(classes, dtype=str),
    )


def _clusters(verdict: dict[str, Any], miners: Path) -> dict[str, dict[str, str]]:
    """clusterer -> id -> its cluster, of those that were fitted on the deep view."""
    names = sorted(n for n in verdict["clusters"] if n.partition("@")[2] == "deep")
    if not names:
        return {}
    table = read(miners / PREDICTIONS, ["id", *names])
    ids = table["id"].to_pylist()
    return {name.partition("@")[0]: dict(zip(ids, table[name].to_pylist(), strict=True)) for name in names}


def _look(
    source: row_cards.Rows, mapped: list[str], shown: list[str], aside: list[str]
) -> tuple[list[dict[str, Any]], row_cards.Looks]:
    """How the rows of the map look, and those of the examples with those set ``aside``."""
    shown = list(dict.fromkeys(shown))
    small = pictures.side(pictures.MAP_SIDE, len(mapped) * len(source.inputs))
    large = pictures.side(pictures.EXAMPLE_SIDE, (len(shown) + len(aside)) * len(source.inputs))
    sides = dict.fromkeys(mapped, small) | dict.fromkeys(shown, large)
    drawn = source.draw(sides, heard=shown[: sounds.MOST])  # each row is read once
    looks = row_cards.arrange({i: drawn[i] for i in shown if i in drawn} | source.draw_raw(aside, large), source.inputs)
    return row_cards.hovered(drawn, mapped, source.inputs, small), looks


def _forecasts(source: row_cards.Rows, judged: Judged, shown: list[str]) -> dict[str, Any]:
    """id -> input and drawing of the forecast of each example, with the steps before it where an input has them."""
    if judged.objective != "forecasting" or judged.numbers is None:
        return {}
    place = {i: k for k, i in enumerate(judged.ids.tolist())}
    shown = [i for i in shown if i in place]  # train rows were not judged
    name, windows = source.sequences(shown) or ("", {})
    return {i: (name, forecasts.draw(windows.get(i), judged.numbers[place[i]], judged.said[place[i]])) for i in shown}
