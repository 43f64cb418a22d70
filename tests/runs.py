"""The stores of a run of any modality and objective: rows are admitted, checked, cleaned, mined and judged by the real
parts; only what a network would have learned is made up."""

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks import STAGES
from tasks.config.dataset import Dataset
from tasks.config.evaluate import Report
from tasks.config.ingest import Ingest
from tasks.config.parsing import plain
from tasks.config.source import Input
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.features.view import view_schema
from tasks.modalities import modality
from tasks.modalities.raw_schema import raw_schema
from tasks.reporting.run import Run
from tasks.sources import Unreadable
from tasks.storage.names import HISTORY, STATE, SUMMARY
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.store import Writer, read

STORES = (
    "plan", "raw", "unreadable", "rejected", "quality", "clean", "cleaned", "items", "encoder", "features", "miners",
    "crossvalidation", "metrics", "evaluation", "records",
)  # fmt: skip
WIDTH = 6


def finish(
    home: Path, dataset: Dataset, rows: list[dict[str, Any]], *, seed: int = 0, sure: float = 0.9
) -> dict[str, Path]:
    """Write the outputs of every stage before the report; gives them by name.

    Args:
        rows: `id`, `split`, `label`, and for each input the bytes of its file, or a mapping of its columns' values.
        sure: how often the made-up network is right, or how close to the truth.
    """
    at = {name: home / name for name in STORES}
    rng = np.random.default_rng(seed)
    write_raw(at["raw"], at["unreadable"], dataset.inputs, rows)
    stage("validate", dataset, at, home)
    stage("clean", dataset, at, home)
    objective = read_json(at["rejected"] / SUMMARY)["objective"]
    write_features(at, dataset, objective, rng, sure)
    stage("mine", dataset, at, home)
    stage("crossvalidate", dataset, at, home)
    stage("evaluate", dataset, at, home)
    values = plain(dataset)
    parts = {name: {"params": values[name]} for name in STAGES if name in values}
    write_json(at["plan"], {"source": values["source"], "listing": {"rows": len(rows), "digest": "d" * 64}, **parts})
    at["records"].mkdir()
    for name in ("ingest", "validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate"):
        record = {"stage": name, "began": "2026-01-02T03:04:05", "seconds": 1.5, "host": "<b>host</b>",
                  "versions": {"numpy": "2.3.0"}, "facts": {"rows": len(rows)}}  # fmt: skip
        write_json(at["records"] / f"{name}.json", record)
    return at


def finished(home: Path, dataset: Dataset, name: str) -> Run:
    """The run that `finish` left in ``home``, as the report reads it; the page is to be `index.html` beside it."""
    params, paths = Report(map_points=14, examples=3), {field.name: home / field.name for field in fields(Run)}
    return Run(**paths | {
        "name": name, "params": params, "inputs": dataset.inputs, "objective": dataset.objective, "index": home / "index.html",
    })  # fmt: skip


def stage(name: str, dataset: Dataset, at: dict[str, Path], home: Path) -> Any:
    """Run one real stage on ``at``."""
    from importlib import import_module

    verb = getattr(import_module(f"tasks.{name}"), name)
    known = {
        **at, "inputs": dataset.inputs, "objective": dataset.objective, "code": "code", "warn": lambda text: None,
        "params": getattr(dataset, name), "scratch": home / "scratch" / name, "progress": Progress(quiet=True), "chain": dataset.chain,
        "confidence": dataset.evaluate.confidence,
    }  # fmt: skip
    return verb(**{key: known[key] for key in inspect.signature(verb).parameters})


def write_raw(raw: Path, unreadable: Path, inputs: dict[str, Input], rows: list[dict[str, Any]]) -> None:
    """What `ingest` makes of ``rows``, with the modalities' own decoding."""
    params, schema = Ingest(), raw_schema(inputs)
    good: list[dict[str, Any]] = []
    lost: list[dict[str, Any]] = []
    for row in rows:
        made = {name: row.get(name) for name in ("id", "split", "label")} | {"source": f"{row['id']}.x", "bytes": 0}
        contents = []
        try:
            for name, spec in inputs.items():
                if row.get(name) is None:
                    continue
                facts, item = admitted(spec, row[name], params)
                contents.append(facts.pop("content"))
                made |= {f"{name}.{suffix}": value for suffix, value in facts.items()}
                if item is not None:
                    made[name] = item
        except Unreadable as error:
            lost.append({**made, "reason": error.reason, "detail": error.detail})
            continue
        good.append({**made, "content": "".join(contents)})
    writer = Writer(raw, schema, "made by hand")
    writer.add(pa.Table.from_pylist(good, schema))
    reasons = {row["reason"]: sum(r["reason"] == row["reason"] for r in lost) for row in lost}
    writer.finish({"in": len(rows), "accepted": len(good), "quarantined": reasons})
    aside = Writer(unreadable, QUARANTINE, "made by hand")
    aside.add(pa.Table.from_pylist([{name: row.get(name) for name in QUARANTINE.names} for row in lost], QUARANTINE))
    aside.finish({"in": len(lost), "accepted": len(lost), "quarantined": {}})


def admitted(spec: Input, value: Any, params: Ingest) -> tuple[dict[str, Any], Any]:
    """The facts and the item of one input of one row."""
    made = modality(spec.modality)
    if made.sandboxed:
        return made.admit(value, params)
    found = made.admit_columns(pa.table({c: pa.array([value[c]]) for c in spec.columns}), spec, params)
    if found.reasons[0] is not None:
        raise Unreadable(found.reasons[0], found.details[0] or "")
    facts = {suffix: column[0].as_py() for suffix, column in found.columns.items()}
    item = facts.pop("", None)
    return {"content": found.content[0], **facts}, item


def write_features(
    at: dict[str, Path], dataset: Dataset, objective: str, rng: np.random.Generator, sure: float
) -> None:
    """Views of random features that know the labels, the network's verdict, its card and its history."""
    rows = read(at["clean"], ["id", "content", "split", "label"])
    known = rows["label"].to_pylist()
    deep, said, labels = verdict(known, objective, rng, sure)
    for name, values, more in (
        ("deep", deep, {}), ("raw", rng.normal(size=(len(known), WIDTH)) + 0.3 * deep, {}),
        ("network", said, {"objective": objective} | ({"labels": json.dumps(labels)} if labels else {})),
    ):  # fmt: skip
        schema = view_schema(name, values.shape[1], "f" * 64, **more)
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).ravel()), values.shape[1])
        writer = Writer(at["features"] / name, schema, "made up")
        writer.add(pa.table([*(rows[c].combine_chunks() for c in ("id", "content", "split", "label")), column], schema))
        writer.finish({"in": rows.num_rows, "accepted": rows.num_rows, "quarantined": {}})
    states = read_json(at["clean"] / STATE)["inputs"]
    encoders = plain(dataset.train)["encoders"]
    inputs = [
        {"name": name, "encoder": encoders[spec.modality], "form": {}, "state": states[name]}
        for name, spec in dataset.inputs.items()
    ]
    at["encoder"].mkdir()
    write_json(at["encoder"] / "encoder.json", {"inputs": inputs, "labels": labels, "objective": objective})
    write_json(at["encoder"] / HISTORY, {"epochs": history(objective)})


def verdict(
    known: list[str | None], objective: str, rng: np.random.Generator, sure: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Deep features (N, D), what the network says (N, K), and its classes."""
    n = len(known)
    noise = rng.normal(size=(n, WIDTH))
    if objective in ("regression", "forecasting"):
        numbers = np.array([label.split() for label in known if label is not None], float)  # (N, K)
        spread = numbers.std() or 1.0
        deep = noise + 3 * ((numbers[:, :1] - numbers.mean()) / spread) * np.linspace(0.2, 1, WIDTH)
        return deep, numbers + rng.normal(size=numbers.shape) * (1 - sure) * spread * 2, []
    names = sorted({label for label in known if label is not None}) or [""]
    place = np.array([names.index(label or names[0]) for label in known])
    if set(known) == {None}:
        place = rng.integers(0, 3, n)
    deep = noise + 4 * np.eye(max(len(names), 3), WIDTH)[place % WIDTH] * (1 + place[:, None] // WIDTH)
    if objective == "autoencoder":
        return deep, rng.gamma(2.0, 0.3, (n, 1)), []
    wrong = rng.random(n) > sure
    scores = rng.normal(size=(n, len(names)))
    scores[np.arange(n), (place + wrong) % len(names)] += 5
    shares = np.exp(scores)
    return deep, shares / shares.sum(1, keepdims=True), names


def history(objective: str) -> list[dict[str, Any]]:
    """Eight epochs as `train` writes them."""
    epochs = []
    for epoch in range(1, 9):
        loss = 2.0 / epoch
        found: dict[str, Any] = {"epoch": epoch, "lr": 0.1, "train_loss": loss, "val_loss": loss + 0.1}
        accuracy = objective == "classification"
        found |= {
            "train_accuracy": 1 - loss / 3 if accuracy else None,
            "val_accuracy": 1 - loss / 2.9 if accuracy else None,
        }
        found["val_r2"] = 1 - loss / 3 if objective in ("regression", "forecasting") else None
        epochs.append(found)
    return epochs
