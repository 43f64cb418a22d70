"""Every stage in turn on a small dataset of each kind, with the shipped defaults, in this process."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import STAGES
from tasks.config.dataset import Dataset
from tasks.config.loader import merge, read_yaml
from tasks.config.parsing import parse
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.features.view import load_view
from tasks.storage.store import read, read_manifest
from tests.fixtures import images, sounds
from tests.fixtures.runs import finished

ROOT = Path(__file__).parents[2]
QUICK = {
    "ingest": {"shard_rows": 40},
    "train": {
        "epochs": 2, "batch": 16, "device": "cpu", "precision": "float32",
        "encoders": {name: {"name": "vgg", "channels": [8, 16]} for name in ("image", "audio")},
    },
    "extract": {"device": "cpu", "precision": "float32"},
    "evaluate": {"resamples": 100},
    "report": {"map_points": 30},
}  # fmt: skip
ROWS = 120
WORDS = ["red", "green", "blue", "small", "large", "round", "old", "new"]


def run(home: Path, entry: dict[str, Any]) -> tuple[dict[str, Path], list[str]]:
    """plan to report of one entry of params.yaml; where everything is, and what was warned of."""
    defaults = read_yaml(ROOT / "params.yaml")["defaults"]
    dataset = parse(Dataset, merge(merge(defaults, QUICK), entry), "test")
    at: dict[str, Path] = {}
    said: list[str] = []
    (home / "records").mkdir()
    for stage in ("plan", *STAGES):
        verb = getattr(import_module(f"tasks.{stage}"), stage)
        names = {n: p for n, p in inspect.signature(verb).parameters.items() if p.default is p.empty or n in at}
        at |= {name: home / name for name, p in names.items() if p.annotation is Path}
        known: dict[str, Any] = {
            **at, "dataset": dataset, "source": dataset.source, "inputs": dataset.inputs, "name": "some",
            "objective": dataset.objective, "code": "code", "warn": said.append, "scratch": home / "scratch" / stage,
            "params": getattr(dataset, stage, None), "progress": Progress(quiet=True), "chain": dataset.chain,
            "confidence": dataset.evaluate.confidence,
            "run": finished(home, dataset, "some", dataset.report),
        }  # fmt: skip
        facts = verb(**{name: known[name] for name in names})
        record = {"stage": stage, "dataset": "some", "began": "2026-01-02T03:04:05", "seconds": 1.0, "host": "here",
                  "python": "3", "platform": "x", "versions": {}, "facts": facts}  # fmt: skip
        write_json(home / "records" / f"{stage}.json", record)
    return at, said


def table(path: Path, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """A CSV of ``columns`` as a source."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return {"path": str(path)}


def pictures(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    images.class_folders(home / "images", each=ROWS // 2)
    return {"source": {"path": str(home / "images")}}


def recordings(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    sounds.class_folders(home / "sounds", {"low": 300, "high": 900}, each=ROWS // 2)
    return {"source": {"path": str(home / "sounds")}, "inputs": {"sound": {"modality": "audio"}}}


def texts(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    notes = [" ".join([WORDS[i % 2], *rng.choice(WORDS, 5), str(i)]) for i in range(ROWS)]
    source = table(home / "rows.csv", {"note": notes, "label": ["no", "yes"] * (ROWS // 2)})
    return {"source": source, "inputs": {"note": {"modality": "text", "columns": ["note"]}}}


def numbers(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    age, job = rng.normal(40, 9, ROWS).round(2), rng.choice(["a", "b", "c"], ROWS)
    source = table(home / "rows.csv", {"age": age, "job": job, "price": (2 * age + rng.normal(size=ROWS)).round(2)})
    spec = {"modality": "tabular", "columns": ["age", "job"], "categorical": ["job"]}
    return {"source": {**source, "label": "price"}, "inputs": {"table": spec}, "objective": "regression"}


def future(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    t = np.arange(600)
    value = (np.sin(2 * np.pi * t / 12) + 0.05 * rng.normal(size=600)).round(3)
    source = table(home / "rows.csv", {"day": np.datetime64("2020-01-01") + t, "value": value})  # type: ignore[dict-item]
    source |= {"time": "day", "window": {"length": 36, "stride": 4, "horizon": 4}}
    spec = {"modality": "series", "columns": ["value"]}
    return {"source": source, "inputs": {"past": spec}, "objective": "forecasting"}


def unlabelled(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    for i in range(ROWS):
        images.write_image(home / "images" / f"{i:03d}.png", images.noise(i))
    return {"source": {"path": str(home / "images")}}


def several(home: Path, rng: np.random.Generator) -> dict[str, Any]:
    """An image, a text and a table, of which every seventh row lacks one."""
    columns: dict[str, list[Any]] = {name: [] for name in ("file", "note", "age", "job", "label")}
    for i in range(ROWS):
        images.write_image(home / "images" / f"{i:03d}.png", images.noise(i, low=0, high=100 + 150 * (i % 2)))
        row = [f"images/{i:03d}.png", " ".join([WORDS[i % 2], *rng.choice(WORDS, 4)]), 20 + i % 30, "xyz"[i % 3]]
        gap = i % 7
        row = [
            "" if (gap == 0 and k == 0) or (gap == 1 and k == 1) or (gap == 2 and k > 1) else cell
            for k, cell in enumerate(row)
        ]
        for name, cell in zip(columns, [*row, "ab"[i % 2]], strict=True):
            columns[name].append(cell)
    inputs = {
        "scan": {"columns": ["file"]}, "note": {"modality": "text", "columns": ["note"]},
        "table": {"modality": "tabular", "columns": ["age", "job"], "categorical": ["job"]},
    }  # fmt: skip
    return {"source": table(home / "rows.csv", columns), "inputs": inputs}


@pytest.mark.parametrize(
    ("make", "objective", "views"),
    [
        (pictures, "classification", {"deep", "raw", "network"}),
        (recordings, "classification", {"deep", "raw", "network"}),
        (texts, "classification", {"deep", "raw", "network"}),
        (numbers, "regression", {"deep", "raw", "network"}),
        (future, "forecasting", {"deep", "raw", "network", "naive"}),
        (unlabelled, "autoencoder", {"deep", "raw", "network"}),
        (several, "classification", {"deep", "raw", "network"}),
    ],
)
def test_from_plan_to_report(
    tmp_path: Path,
    one_thread: None,
    make: Callable[[Path, np.random.Generator], dict[str, Any]],
    objective: str,
    views: set[str],
) -> None:
    at, _ = run(tmp_path, make(tmp_path, np.random.default_rng(0)))
    assert {p.name for p in at["features"].iterdir() if p.is_dir()} == views
    assert read_manifest(at["features"] / "network").metadata["objective"] == objective
    raw, kept = read_manifest(at["raw"]), read_manifest(at["clean"])
    aside = sum(read_manifest(at[name]).rows for name in ("rejected", "cleaned"))
    assert raw.rows == kept.rows + aside
    assert kept.rows > 90
    for name in views:
        view = load_view(at["features"], name)
        assert view.ids.tolist() == sorted(read(at["clean"], ["id"])["id"].to_pylist())
        values = view.X.data if view.sparse else view.X
        assert np.isfinite(values).all()
    assert read_json(at["metrics"])
    page = (tmp_path / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    assert len(page) > 20_000
