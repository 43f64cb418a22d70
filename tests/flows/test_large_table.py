"""Five million rows of a table from plan to clean: memory stays flat, every row is accounted for. Slow: minutes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from tasks.core.files import read_json
from tasks.storage.store import read_manifest

ROOT = Path(__file__).parents[2]
ROWS, PART = 5_000_000, 500_000
#: Of every `BAD` rows one has a number that is none.
BAD = 100_000
MOST = 3 << 20  # kB
STAGES = ("plan", "ingest", "validate", "clean")

STAGE = """
import inspect, sys, time
from importlib import import_module
from pathlib import Path

from tasks.config.clean import Clean, CleanTabular, Outliers
from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.source import Input, Source
from tasks.core.progress import Progress

home, stage = Path(sys.argv[1]), sys.argv[2]
names = ("a", "b", "c", "d", "kind", "place", "day")
dataset = Dataset(
    source=Source(path=str(home / "rows.csv"), id="id"),
    inputs={"table": Input(modality="tabular", columns=names, categorical=("kind", "place"), date=("day",))},
    ingest=Ingest(shard_rows=65_536),
    clean=Clean(tabular=CleanTabular(outliers=Outliers(method="z_score", threshold=4.5))),
)
verb = getattr(import_module(f"tasks.{stage}"), stage)
known = {name: home / name for name in inspect.signature(verb).parameters}
known |= {"dataset": dataset, "source": dataset.source, "inputs": dataset.inputs, "objective": "auto", "code": "code"}
known |= {"params": getattr(dataset, stage, None), "scratch": home / "scratch" / stage, "warn": print}
known["progress"] = Progress(quiet=True)
began = time.perf_counter()
verb(**{name: known[name] for name in inspect.signature(verb).parameters})
print(time.perf_counter() - began)
"""


def write_table(path: Path, rows: int) -> None:
    """A CSV of an id, a label, four columns of numbers, two of names and one of days; some cells are empty."""
    rng = np.random.default_rng(0)
    kinds, places = (np.array([f"{word} {i}" for i in range(n)]) for word, n in (("kind", 8), ("place", 300)))
    with path.open("wb") as file:
        for start in range(0, rows, PART):
            n = min(PART, rows - start)
            numbers = rng.normal(size=(4, n)).round(4)
            days = np.datetime64("2015-01-01") + rng.integers(0, 3000, n)
            columns = {
                "id": pa.array(np.arange(start, start + n)).cast(pa.string()),
                "label": pa.array(np.array(["no", "yes"])[(numbers[0] + rng.normal(size=n) > 0).astype(int)]),
                **{
                    name: pa.array(values, mask=rng.random(n) < 0.02).cast(pa.string())
                    for name, values in zip("abcd", numbers, strict=True)
                },
                "kind": pa.array(kinds[rng.integers(0, 8, n)]),
                "place": pa.array(places[rng.integers(0, 300, n)]),
                "day": pa.array(days).cast(pa.string()),
            }
            wrong = np.arange(start, start + n) % BAD == 0
            columns["b"] = pa.array(np.where(wrong, "many", columns["b"].to_numpy(zero_copy_only=False)))
            options = csv.WriteOptions(include_header=start == 0, quoting_style="none")
            csv.write_csv(pa.table(columns), file, options)


def run(home: Path, stage: str) -> tuple[float, int]:
    """Seconds of a stage in a process of its own, and the most memory that it held, in kB."""
    with subprocess.Popen(
        [sys.executable, "-c", STAGE, str(home), stage], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{stage}: {said}"
    return float(said.splitlines()[-1]), usage.ru_maxrss


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not outlive the test, as it comes to more than a gigabyte."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_five_million_rows(home: Path) -> None:
    write_table(home / "rows.csv", ROWS)
    for stage in STAGES:
        seconds, memory = run(home, stage)
        print(f"{stage:9} {seconds:7.1f} s, {seconds / ROWS * 1e6:6.2f} s a million rows, {memory / 2**20:.2f} GiB")
        assert memory < MOST, stage
    raw, unreadable, rejected, clean, cleaned = (
        read_manifest(home / name) for name in ("raw", "unreadable", "rejected", "clean", "cleaned")
    )
    assert raw.counts == {"in": ROWS, "accepted": ROWS - ROWS // BAD, "quarantined": {"not a number": ROWS // BAD}}
    assert (unreadable.rows, rejected.rows) == (ROWS // BAD, 0)
    assert clean.rows + cleaned.rows == clean.counts["in"] == raw.rows
    assert 0 < cleaned.rows < ROWS / 1000
    assert [s.rows for s in raw.shards[:-1]].count(65_536) > 10
    assert read_json(home / "clean" / "_state.json")["inputs"]["table"]["names"][:4] == list("abcd")
