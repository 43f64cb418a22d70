"""Detectors: planted rows are found by them, clean ones are left alone, and errors that gather there are told."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.config.mine import Mine, Miner
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.evaluation.novelty import agreement, detectors
from tasks.evaluation.scorers import Said
from tasks.mine import mine
from tasks.reporting import novelty as page
from tasks.stats.intervals import newcombe
from tasks.stats.resampling import Resampling
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read
from tests.fixtures.views import write_view
from tests.fixtures.written import written

NAMES = ("isolation_forest", "local_outlier_factor", "one_class_svm")
TRAIN, VAL, TEST, PLANTED = 500, 50, 400, 20
#: Share of clean rows that may be flagged where 1 % is asked for; a one-class machine keeps closest to its train rows.
ALARMS = {"isolation_forest": 0.03, "local_outlier_factor": 0.03, "one_class_svm": 0.08}
N = TRAIN + VAL + TEST
SAMPLING = Resampling(0.95, 300, 0)


def world(home: Path, *, planted: int = PLANTED, labels: bool = True) -> np.ndarray:
    """Rows of two groups; so many test rows far from both. (N,) which."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 5)) + 4 * (np.arange(N) % 2)[:, None]
    far = np.zeros(N, bool)
    far[N - planted :] = planted > 0
    X[far] = rng.normal(size=(planted, 5)) * 2 + np.array([14, -10, 12, -9, 14])
    split = np.array(["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST)
    label = np.array([f"{i % 2}" for i in range(N)]) if labels else np.array([None] * N)
    write_view(home, "deep", X, ids=np.array([f"r{i:04d}" for i in range(N)]), split=split, label=label)
    return far


def run(home: Path, names: tuple[str, ...] = NAMES) -> tuple[pa.Table, dict[str, Any]]:
    chosen = {name: Miner(miner=name, views=("deep",)) for name in names}
    at = {"items": home / "items", "features": home, "miners": home / "m"}
    mine(params=Mine(miners=chosen), progress=Progress(quiet=True), **at)
    return read(home / "m" / PREDICTIONS), read_json(home / "m" / SUMMARY)


@pytest.mark.parametrize("labels", [True, False])
def test_planted_rows_are_found_and_clean_ones_left_alone(labels: bool, tmp_path: Path) -> None:
    far = world(tmp_path, labels=labels)[TRAIN:]
    table, told = run(tmp_path)
    for name in NAMES:
        assert told["miners"][name]["kind"] == "outlier_detector"
        said, scores = np.array(table[f"{name}@deep"].to_pylist()), table[f"{name}@deep.score"].to_numpy()
        assert set(said.tolist()) == {"unlike", "usual"}
        assert np.array_equal(said == "unlike", scores > 0), name
        assert (said[far] == "unlike").mean() > 0.9, name
        assert (said[~far] == "unlike").mean() < ALARMS[name], name
    found = written(detectors(table, [f"{name}@deep" for name in NAMES], None, SAMPLING))
    for each in found.values():
        assert each["rows"] == TEST
        assert len({row["id"] for row in each["most"]} & {f"r{i:04d}" for i in range(N - PLANTED, N)}) == PLANTED
        assert each["interval"][0] < each["share"] < each["interval"][1]
    pairs = written(agreement(table, list(found)))
    assert len(pairs) == 3
    assert all(pair["both"] >= 18 for pair in pairs.values())


def test_clean_rows_raise_few_alarms(tmp_path: Path) -> None:
    world(tmp_path, planted=0)
    table, _ = run(tmp_path)
    for key, each in written(detectors(table, [f"{name}@deep" for name in NAMES], None, SAMPLING)).items():
        assert each["share"] < ALARMS[key.partition("@")[0]]


def table_of(flagged: np.ndarray, scores: np.ndarray) -> pa.Table:
    n = len(flagged)
    return pa.table({
        "id": [f"r{i:04d}" for i in range(n)], "split": ["test"] * n, "label": ["a"] * n,
        "d@deep": np.where(flagged, "unlike", "usual").tolist(), "d@deep.score": scores,
    })  # fmt: skip


def judged(wrong: np.ndarray, *, numbers: bool = False) -> tuple[Said, str]:
    n = len(wrong)
    ids = np.array([f"r{i:04d}" for i in range(n)])
    truth = np.zeros((n, 1)) if numbers else np.where(np.arange(n) % 2, "a", "b")
    said = truth + wrong[:, None] * 3.0 if numbers else np.where(wrong, "c", truth)
    return Said(ids, truth, {"best": said}, {}), "best"


@pytest.mark.parametrize("numbers", [False, True])
def test_errors_that_gather_on_flagged_rows_are_told_and_others_are_not(numbers: bool) -> None:
    rng = np.random.default_rng(0)
    flagged = np.arange(600) % 10 == 0
    scores = flagged + rng.normal(0, 0.1, 600) - 0.5
    gather, spread = rng.random(600) < np.where(flagged, 0.5, 0.05), rng.random(600) < 0.1
    found = {}
    for name, wrong in {"gather": gather, "spread": spread}.items():
        best = judged(wrong, numbers=numbers)
        found[name] = written(detectors(table_of(flagged, scores), ["d@deep"], best, SAMPLING)["d@deep"])
        errors = found[name]["errors"]
        assert (errors["rows"], errors["by"]) == (60, "best")
        assert errors["flagged"] - errors["others"] == pytest.approx(errors["difference"])
        low, high = errors["interval"]
        assert (low > 0) == (name == "gather")
        assert low < errors["difference"] < high
        assert ("auc" in errors) == (not numbers)
    if not numbers:
        assert found["gather"]["errors"]["auc"] > 0.65
        assert found["gather"]["classes"] == {"a": [0, 300], "b": [60, 300]}
    verdict = {"aim": "regression" if numbers else "classification", "detectors": {"d@deep": found["gather"]}}
    [line] = page.detectors(verdict)
    assert line["errors"]["more"]
    assert (line["name"], line["view"]) == ("d", "deep")


@pytest.mark.parametrize("flags", [0, 50])
def test_none_or_all_flagged_have_nothing_to_compare(flags: int) -> None:
    flagged = np.arange(50) < flags
    [found] = written(detectors(table_of(flagged, np.zeros(50)), ["d@deep"], judged(flagged), SAMPLING)).values()
    assert found["errors"] is None
    assert page.detectors({"aim": "classification", "detectors": {"d@deep": found}})[0]["errors"] is None
    table = table_of(flagged, np.zeros(50))
    table = table.append_column("e@deep", [["usual"] * 50]).append_column("e@deep.score", [np.arange(50.0)])
    assert agreement(table, ["d@deep", "e@deep"])["d@deep - e@deep"].rank is None


def test_too_few_train_rows_are_skipped_in_words(tmp_path: Path) -> None:
    ids, split = np.array(list("abcdefgh")), np.array(["train"] * 6 + ["test"] * 2)
    write_view(tmp_path, "deep", np.arange(16.0).reshape(8, 2), ids=ids, split=split, label=np.array([None] * 8))
    _, told = run(tmp_path)
    assert set(told["skipped"].values()) == {"too few training rows for an outlier detector"}


def test_equal_rows_and_no_test_rows_are_no_fault(tmp_path: Path) -> None:
    ids = np.array([f"r{i}" for i in range(60)])
    write_view(tmp_path, "deep", np.ones((60, 3)), ids=ids, split=np.array(["train"] * 60), label=np.array([None] * 60))
    table, _ = run(tmp_path)
    assert table.num_rows == 0
    assert detectors(table, [f"{name}@deep" for name in NAMES], None, SAMPLING) == {}
    assert agreement(table, [f"{name}@deep" for name in NAMES]) == {}


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    """Newcombe 1998, table II, example (a): 56/70 and 48/80."""
    found = newcombe(56, 70, 48, 80, 0.95)
    assert found.value == pytest.approx(0.2)
    assert found.as_json() == pytest.approx([0.0524, 0.3339], abs=1e-4)


def test_a_difference_of_means_covers_it() -> None:
    rng = np.random.default_rng(0)
    found = Resampling(0.95, 500, 0).unpaired_difference(rng.normal(3, 1, 400), rng.normal(1, 1, 200))
    assert found.low < 2 < found.high
    assert found.high - found.low < 0.5
