"""kill -9 in the middle of train and extract: little is done again, and the result is that of an undisturbed run."""

import json
import os
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from tasks.core.files import read_json
from tests.flows.conftest import Project
from tests.kills import storm


def epochs_done(checkpoint: Path) -> int:
    try:
        with safe_open(checkpoint, "np") as file:
            return len(json.loads(file.metadata()["history"]))
    except (FileNotFoundError, OSError):
        return 0


def kill_when(project: Project, stage: str, condition) -> None:
    process = project.start("deepmine", "stage", stage, "small")
    while not condition():
        assert process.poll() is None, (project.path / "output.txt").read_text()
        time.sleep(0.002)
    process.kill()
    process.wait()


def record(project: Project, stage: str) -> dict:
    return read_json(project.path / f"data/records/small/{stage}.json")["facts"]


def clear(folder: Path) -> None:
    """What DVC does to an output before it runs the stage."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


@pytest.mark.parametrize(
    "moment", [pytest.param(1, marks=pytest.mark.slow), 9, pytest.param(17, marks=pytest.mark.slow)]
)
def test_killed_training_resumes_to_the_same_bits(finished: Project, moment: int) -> None:
    def longer(data: dict) -> None:
        data["datasets"]["small"]["train"]["epochs"] = 20

    finished.edit(longer)
    model = finished.path / "data/models/small/encoder"
    checkpoint = finished.path / "data/scratch/small/train/checkpoint.safetensors"
    finished.run("deepmine", "stage", "plan", "small")
    clear(model)
    finished.run("deepmine", "stage", "train", "small")
    undisturbed = {p.name: p.read_bytes() for p in model.iterdir()}
    clear(model)
    checkpoint.unlink()
    kill_when(finished, "train", lambda: epochs_done(checkpoint) >= moment)
    done = epochs_done(checkpoint)
    assert moment <= done < 20
    assert not (model / "encoder.safetensors").exists()
    output = finished.run("deepmine", "stage", "train", "small")
    assert f"epoch {done}/20 done" not in output
    assert f"epoch {done + 1}/20 done" in output
    assert {p.name: p.read_bytes() for p in model.iterdir()} == undisturbed


@pytest.mark.parametrize(
    "moment", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(6, marks=pytest.mark.slow)]
)
def test_killed_extraction_resumes_with_the_next_shard(finished: Project, moment: int) -> None:
    features, scratch = finished.path / "data/features/small", finished.path / "data/scratch/small/extract"

    def shards() -> int:
        # of a shard's three views `raw` is written last
        return len(list(scratch.glob("*.raw-*.parquet")))

    undisturbed = {p.relative_to(features): p.read_bytes() for p in features.rglob("*") if p.is_file()}
    total = shards()
    assert total == 8
    clear(features)
    clear(scratch)
    kill_when(finished, "extract", lambda: shards() >= moment)
    done = shards()
    finished.run("deepmine", "stage", "extract", "small")
    rows = read_json(features / "deep/_manifest.json")["shards"]
    assert record(finished, "extract")["encoded"] <= sum(s["rows"] for s in rows[done:])
    assert {p.relative_to(features): p.read_bytes() for p in features.rglob("*") if p.is_file()} == undisturbed


@pytest.mark.slow
def test_kills_at_random_moments_of_all_stages_through_all_doors(tmp_path: Path) -> None:
    """An hour or two; DEEPMINE_KILLS sets how many, and `python -m tests.kills` runs several at a time."""
    told = storm(tmp_path, int(os.environ.get("DEEPMINE_KILLS", "500")), seed=0)
    assert told["faults"] == []
    assert told["counts"]["completed"] >= 1
