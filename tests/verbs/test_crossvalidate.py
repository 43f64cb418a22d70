"""The stage `crossvalidate` with real networks on small tables: nothing judged was seen, kills cost little, no folds cost nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.config.dataset import Dataset
from tasks.config.encoders import FFN, Encoders
from tasks.config.evaluate import CrossValidate
from tasks.config.ingest import Ingest
from tasks.config.mine import Mine, Miner
from tasks.config.source import Input, Source
from tasks.config.train import SGD, Adam, Extract, Train
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.crossvalidate import _cases, _without_detectors, crossvalidate
from tasks.evaluation.cross_validation import figures
from tasks.modalities.raw_schema import raw_schema
from tasks.splitting.folds import make_folds
from tasks.stats.resampling import Resampling
from tasks.storage.names import SUMMARY
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.store import MANIFEST, Writer, read, read_manifest, read_shards
from tests.fixtures.runs import admitted
from tests.fixtures.runs import stage as run_stage
from tests.fixtures.written import written

SAMPLING = Resampling(0.95, 300, 0)

ROOT = Path(__file__).parents[2]
WIDE = 12
INPUTS = {"table": Input(modality="tabular", columns=tuple(f"x{i}" for i in range(WIDE)))}
MINERS = {
    "svm": Miner(miner="linear_svm", views=("raw", "deep"), params={"C": 1.0}),
    "groups": Miner(miner="kmeans", views=("deep",)),
}


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    """Networks this small only wait for each other on several; children have the one too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def dataset(folds: int = 3, epochs: int = 2, objective: Any = "classification", **more: Any) -> Dataset:
    encoder = FFN(hidden=(64,), dropout=0.0)
    return Dataset(
        source=Source(path="."), inputs=INPUTS, objective=objective,
        train=Train(
            encoders=Encoders(tabular=encoder), epochs=epochs, batch=32, device="cpu", precision="float32",
            optimizer=Adam(lr=0.01),
        ),
        extract=Extract(device="cpu", precision="float32", batch=64),
        mine=Mine(miners=MINERS), crossvalidate=CrossValidate(folds=folds), **more,
    )  # fmt: skip


def write_rows(home: Path, labels: list[str | None], seed: int = 0, shift: float = 0.0, **columns: list[Any]) -> None:
    """Raw rows of random numbers, of class `b` shifted by ``shift``, in two shards; none rejected."""
    numbers = np.random.default_rng(seed).normal(size=(len(labels), WIDE))
    schema, rows = raw_schema(INPUTS), []
    for i, label in enumerate(labels):
        values = numbers[i] + (shift if label == "b" else 0.0)
        facts, _ = admitted(INPUTS["table"], dict(zip(INPUTS["table"].columns, values.tolist(), strict=True)), Ingest())
        row = {"id": f"r{i:03d}", "split": "train", "label": label, "source": "rows.csv", "bytes": 0}
        row |= {"content": facts.pop("content")} | {f"table.{k}": v for k, v in facts.items()}
        rows.append(row | {name: values_[i] for name, values_ in columns.items()})
    writer = Writer(home / "raw", schema, "made by hand")
    for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        writer.add(pa.Table.from_pylist(part, schema))
    writer.finish({"in": len(rows), "accepted": len(rows), "quarantined": {}})
    Writer(home / "rejected", QUARANTINE, "made by hand").finish({"in": 0, "accepted": 0, "quarantined": {}})
    write_json(home / "rejected" / SUMMARY, {})


def run(home: Path, wanted: Dataset, said: list[str] | None = None, into: str = "crossvalidation") -> dict[str, Any]:
    return crossvalidate(
        params=wanted.crossvalidate, chain=wanted.chain, code="code", raw=home / "raw", rejected=home / "rejected",
        crossvalidation=home / into, scratch=home / "scratch", warn=(said if said is not None else []).append,
        progress=Progress(quiet=True),
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def classes(n: int, seed: int = 1) -> list[str | None]:
    return np.random.default_rng(seed).choice(["a", "b"], n).tolist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three folds."""
    home = tmp_path_factory.mktemp("made")
    write_rows(home, classes(90), shift=0.8)
    facts = run(home, dataset())
    assert (facts["rows"], facts["folds"], facts["made"]) == (90, 3, 6)
    return home


def test_nested_verdicts_are_those_of_the_verbs_run_by_hand(made: Path, tmp_path: Path) -> None:
    judged, summary = read(made / "crossvalidation"), read_json(made / "crossvalidation" / SUMMARY)
    test = judged.filter(pc.equal(judged["fold"], 1))["id"].to_pylist()
    at = {
        name: tmp_path / name
        for name in ("raw", "rejected", "clean", "cleaned", "items", "encoder", "features", "miners")
    }
    chain = dataset().chain
    assert chain
    cases = _cases(made / "raw", made / "rejected", chain)
    split = dict(zip(cases.ids, make_folds(cases, 3, "auto", chain.val, 0).split[1], strict=True))
    assert sorted(i for i, s in split.items() if s == "test") == sorted(test)
    writer = Writer(at["raw"], raw_schema(INPUTS), "by hand")
    for _, table in read_shards(made / "raw"):
        own = pa.array([split[i] for i in table["id"].to_pylist()], pa.string())
        writer.add(
            table.set_column(table.schema.get_field_index("split"), "split", own).replace_schema_metadata(
                table.schema.metadata
            )
        )
    writer.finish({"in": 90, "accepted": 90, "quarantined": {}})
    Writer(at["rejected"], QUARANTINE, "by hand").finish({"in": 0, "accepted": 0, "quarantined": {}})
    for verb in ("clean", "train", "extract", "mine"):
        run_stage(verb, dataset(), at, tmp_path)
    said = read(at["miners"] / "predictions")
    said = said.filter(pc.equal(said["split"], "test")).sort_by("id")
    mine = judged.filter(pc.equal(judged["fold"], 1)).sort_by("id")
    assert said["id"].to_pylist() == mine["id"].to_pylist()
    for name in ("svm@raw", "svm@deep", "svm@deep.score", "groups@deep"):
        assert said[name].to_pylist() == mine[f"nested.{name}"].to_pylist(), name
    assert summary["sizes"][1]["test"] == len(test)


def test_every_row_is_judged_once_and_the_heavy_rest_is_gone(made: Path) -> None:
    judged = read(made / "crossvalidation")
    assert judged["id"].to_pylist() == [f"r{i:03d}" for i in range(90)]
    assert set(judged["fold"].to_pylist()) == {0, 1, 2}
    ways = {f"{how}.{way}" for how in ("nested", "naive") for way in ("svm@raw", "svm@deep", "groups@deep", "network")}
    assert ways <= set(judged.column_names)
    assert judged["nested.svm@deep"].null_count == judged["naive.svm@deep"].null_count == 0
    assert not (made / "scratch" / "work").exists()
    assert len(list((made / "scratch" / "pieces").iterdir())) == 6


def test_the_same_inputs_give_the_same_bytes_and_finished_folds_are_not_made_again(made: Path, tmp_path: Path) -> None:
    assert run(made, dataset(), into="again")["made"] == 0
    assert files(made / "again") == files(made / "crossvalidation")
    write_rows(tmp_path, classes(90), shift=0.8)
    assert run(tmp_path, dataset())["made"] == 6
    assert files(tmp_path / "crossvalidation") == files(made / "crossvalidation")


def test_random_labels_that_an_encoder_memorises_are_chance_and_the_naive_way_does_not_see_it(tmp_path: Path) -> None:
    write_rows(tmp_path, classes(150, seed=5), shift=0.0)
    run(tmp_path, dataset(epochs=60))
    found = written(figures(tmp_path / "crossvalidation", SAMPLING))
    deep, raw = found["ways"]["deep_svm"], found["ways"]["raw_svm"]
    assert deep["accuracy"] == pytest.approx(0.5, abs=0.12)
    assert found["ways"]["network"]["accuracy"] == pytest.approx(0.5, abs=0.12)
    assert deep["naive"] > 0.85
    assert deep["optimism"]["interval"][0] > 0.2
    assert deep["optimism"]["over_folds"][0] > 0, "in every fold alike"
    assert raw["optimism"]["interval"][0] <= 0 <= raw["optimism"]["interval"][1]
    assert "Judged naively, deep → SVM looks" in found["sentence"]


def test_no_folds_cost_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path, classes(20))
    code = (
        "import sys; from pathlib import Path; from tasks.config.evaluate import CrossValidate;"
        "from tasks.crossvalidate import crossvalidate;"
        "from tasks.core.progress import Progress; home = Path(sys.argv[1]);"
        "print(crossvalidate(params=CrossValidate(), chain=None, code='', raw=home / 'raw', rejected=home / 'rejected',"
        "crossvalidation=home / 'crossvalidation', scratch=home / 'scratch', warn=print, progress=Progress(quiet=True)),"
        "[m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "{'rows': 0, 'folds': 0} []\n", done.stderr
    assert read_manifest(tmp_path / "crossvalidation").rows == 0
    assert not (tmp_path / "scratch").exists()
    assert written(figures(tmp_path / "crossvalidation", SAMPLING))["folds"] == 0


@pytest.mark.parametrize(
    ("labels", "objective", "why"),
    [
        ([None] * 20, "auto", "no row has a label that predictions could be compared with"),
        (["a"] * 20, "classification", "1 class"),
        (["a", "b", "b"], "classification", "do not make two folds"),
        ([], "auto", "no row has a label"),
    ],
)
def test_what_cannot_be_folded_says_so(tmp_path: Path, labels: list[Any], objective: str, why: str) -> None:
    write_rows(tmp_path, labels)
    said: list[str] = []
    facts = run(tmp_path, dataset(objective=objective), said)
    assert why in facts["why"]
    assert read_json(tmp_path / "crossvalidation" / SUMMARY)["asked"] == 3
    found = written(figures(tmp_path / "crossvalidation", SAMPLING))
    assert why in found["why"]
    assert found["ways"] == {}


def test_numbers_in_groups_with_rows_rejected(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=60)
    group = [f"g{i % 10}" for i in range(60)]
    write_rows(tmp_path, [repr(v) for v in numbers.tolist()], group=group)
    lost = pa.table({"id": ["r000", "r059"]} | {n: pa.nulls(2, pa.string()) for n in QUARANTINE.names[1:]})
    writer = Writer(tmp_path / "rejected", QUARANTINE, "by hand")
    writer.add(lost)
    writer.finish({"in": 2, "accepted": 2, "quarantined": {}})
    said: list[str] = []
    run(tmp_path, dataset(folds=2, objective="regression"), said)
    judged, summary = read(tmp_path / "crossvalidation"), read_json(tmp_path / "crossvalidation" / SUMMARY)
    assert judged["id"].to_pylist() == [f"r{i:03d}" for i in range(1, 59)]
    assert (summary["scheme"], summary["grouped"], said) == ("group", True, [])
    for unit in set(judged["unit"].to_pylist()):
        rows = judged.filter(pc.equal(judged["unit"], unit))
        assert len(set(rows["fold"].to_pylist())) == 1
        assert len({group[int(i[1:])] for i in rows["id"].to_pylist()}) == 1
    found = written(figures(tmp_path / "crossvalidation", SAMPLING))
    assert found["ways"]["network"]["mae"] > 0
    assert found["measure"]["key"] == "mae"


def test_what_a_verb_says_names_the_fold(tmp_path: Path) -> None:
    write_rows(tmp_path, classes(40))
    worse = replace(dataset(folds=2).train, optimizer=SGD(lr=1e30), epochs=3)
    with pytest.raises(DeepmineError, match=r"^crossvalidate: fold 1 of 2: training diverged"):
        run(tmp_path, replace(dataset(folds=2), train=worse))


SCRIPT = """
import sys
from pathlib import Path
from tests.verbs.test_crossvalidate import dataset, run
import torch
print(run(Path(sys.argv[1]), dataset(epochs=40))["made"])
"""


def test_a_killed_run_goes_on_with_what_it_was_in(tmp_path: Path) -> None:
    write_rows(tmp_path, classes(90), shift=0.8)
    pieces, work = tmp_path / "scratch" / "pieces", tmp_path / "scratch" / "work"

    def start() -> subprocess.Popen[str]:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=environment)  # fmt: skip

    def midway() -> list[Path]:
        """Folds in training whose piece is not finished; a finished one's folder may be about to go."""
        training = [p.parents[2] for p in work.glob("nested.*/scratch/train/checkpoint.safetensors")]
        return [fold for fold in training if not list(pieces.glob(f"{fold.name}-*"))]

    process = start()
    # in the middle of training the second fold
    while not (len(list(pieces.glob("nested.*"))) == 1 and midway()):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout and process.stdout.close()
    process.stderr and process.stderr.close()
    assert not (tmp_path / "crossvalidation" / MANIFEST).exists()
    [first] = pieces.glob("nested.*")
    before = first.stat().st_mtime_ns
    [fold] = midway()
    done = read_json(fold / "done.json")["done"]
    assert done[:2] == ["prepare", "clean"]
    stamp = (fold / "clean" / MANIFEST).stat().st_mtime_ns
    kept = fold / "clean"
    os.link(kept / MANIFEST, tmp_path / "witness")  # the folder goes when the fold is finished, the file stays
    said, errors = start().communicate()
    assert said == "5\n", errors
    assert first.stat().st_mtime_ns == before, "the finished fold was not made again"
    assert (tmp_path / "witness").stat().st_mtime_ns == stamp
    resumed = files(tmp_path / "crossvalidation")
    undisturbed = tmp_path / "other"
    write_rows(undisturbed, classes(90), shift=0.8)
    run(undisturbed, dataset(epochs=40))
    assert resumed == files(undisturbed / "crossvalidation")


def test_other_parameters_remake_the_folds_and_leave_nothing_of_the_old(made: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, classes(40))
    (tmp_path / "scratch" / "work" / "nested.stale").mkdir(parents=True)
    assert run(tmp_path, dataset(folds=2, epochs=1))["made"] == 4
    old = {p.name for p in (tmp_path / "scratch" / "pieces").iterdir()}
    assert run(tmp_path, dataset(folds=2, epochs=2))["made"] == 4
    new = {p.name for p in (tmp_path / "scratch" / "pieces").iterdir()}
    assert len(old) == len(new) == 4
    assert not old & new


def test_in_folds_only_without_detectors_is_made() -> None:
    odd = Miner(miner="isolation_forest", views=("deep",))
    lean = _without_detectors(Mine(miners={**MINERS, "odd": odd}))
    assert lean.miners == MINERS
    assert lean.rules.views == ()
