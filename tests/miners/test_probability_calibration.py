"""Calibration: probabilities that come true, fitted on val rows alone, or on train rows where these are few."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy.special import softmax
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tasks.config.mine import Mine, Miner
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.features.view import load_view
from tasks.mine import mine
from tasks.miners import probability_calibration
from tasks.miners.persistence import load_miner
from tasks.miners.probability_calibration import Response
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read, vectors
from tests.fixtures.views import write_view

MINERS = {
    "svm": Miner(miner="linear_svm", views=("deep",), params={"C": 1.0}),
    "rbf": Miner(miner="rbf_svm", views=("deep",), params={"C": 100.0}),
    "tree": Miner(miner="decision_tree", views=("deep",), params={"max_depth": 30}),
    "forest": Miner(miner="random_forest", views=("deep",), params={"n_estimators": 20}),
}


def world(
    home: Path, *, classes: int = 2, val: int = 900, train: int = 300, test: int = 1500, seed: int = 0
) -> np.ndarray:
    """Classes that overlap, so that nobody can be sure; the true probability (N, K) of each class of each row."""
    rng = np.random.default_rng(seed)
    n = train + val + test
    label = rng.integers(0, classes, n)
    centres = 1.2 * np.eye(classes, 6)
    X = centres[label] + rng.normal(size=(n, 6))
    densities = np.exp(-0.5 * ((X[:, None] - centres) ** 2).sum(2))
    ids, split = (
        np.array([f"r{i:05d}" for i in range(n)]),
        np.array(["train"] * train + ["val"] * val + ["test"] * test),
    )
    write_view(home, "deep", X, ids=ids, split=split, label=np.array([f"class {k}" for k in label]))
    return densities / densities.sum(1, keepdims=True)


def run(home: Path, chosen: dict[str, Miner] | None = None) -> tuple[Any, dict[str, Any]]:
    at = {"items": home / "items", "features": home, "miners": home / "m"}
    mine(params=Mine(miners=chosen or MINERS), progress=Progress(quiet=True), **at)
    return read(home / "m" / PREDICTIONS), read_json(home / "m" / SUMMARY)


def shares(table: Any, key: str, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (M, K) and true classes (M,) as places."""
    rows = np.array(table["split"].to_pylist()) == split
    truth = np.array([int(label[-1]) for label in table["label"].to_pylist()])
    return vectors(table[f"{key}.probability"], np.float64)[rows], truth[rows]


def error(said: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error in ten bins of the highest probability."""
    top, hit = said.max(1), said.argmax(1) == truth
    bins = np.minimum((top * 10).astype(int), 9)
    return sum((bins == b).mean() * abs(top[bins == b].mean() - hit[bins == b].mean()) for b in set(bins.tolist()))


@pytest.mark.parametrize(("classes", "method"), [(2, "sigmoid"), (4, "temperature")])
def test_probabilities_come_true(classes: int, method: str, tmp_path: Path) -> None:
    known = world(tmp_path, classes=classes)
    table, told = run(tmp_path)
    assert told["classes"] == [f"class {k}" for k in range(classes)]
    for name in MINERS:
        key = f"{name}@deep"
        assert told["calibrated"][key] == {"method": method, "rows": 900, "on": "val"}
        said, truth = shares(table, key)
        assert said.shape == (1500, classes)
        assert np.allclose(said.sum(1), 1)
        assert error(said, truth) < 0.05, name
    best = shares(table, "svm@deep")[0]
    assert np.abs(best - known[-1500:]).mean() < 0.08


def test_a_deep_tree_is_sure_by_itself_and_less_so_once_calibrated(tmp_path: Path) -> None:
    world(tmp_path)
    table, _ = run(tmp_path)
    view, miner = load_view(tmp_path, "deep"), load_miner(tmp_path / "m" / "tree@deep.skops")
    own = miner.estimator.predict_proba(view.X[view.rows("test")])
    said, truth = shares(table, "tree@deep")
    assert error(own, truth) > 0.15 > 0.05 > error(said, truth)
    assert np.array_equal(miner.probabilities(view, view.rows("test")), said)


def test_predicted_classes_and_scores_stay_the_estimators_own(tmp_path: Path) -> None:
    world(tmp_path)
    table, _ = run(tmp_path)
    view = load_view(tmp_path, "deep")
    held_out = view.rows("val", "test")
    for name in MINERS:
        estimator = load_miner(tmp_path / "m" / f"{name}@deep.skops").estimator
        assert table[f"{name}@deep"].to_pylist() == estimator.predict(view.X[held_out]).tolist()
    margins = load_miner(tmp_path / "m" / "svm@deep.skops").estimator.decision_function(view.X[held_out])
    assert np.array_equal(table["svm@deep.score"].to_numpy(), margins)


def test_test_rows_calibrate_nothing(tmp_path: Path) -> None:
    world(tmp_path)
    run(tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / "m").glob("*.skops")}
    view = load_view(tmp_path, "deep")
    other = np.where(view.rows("test")[:, None], -view.X, view.X)
    write_view(tmp_path, "deep", other, ids=view.ids, split=view.split, label=view.label)
    run(tmp_path)
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "m").glob("*.skops")}


def test_few_val_rows_leave_it_to_train_rows_that_the_classifier_had_not_seen(tmp_path: Path) -> None:
    world(tmp_path, val=20, train=600)
    table, told = run(tmp_path)
    for name in MINERS:
        assert told["calibrated"][f"{name}@deep"] == {"method": "sigmoid", "rows": 600, "on": "train"}
        # a tree knows its train rows by heart: had it judged these itself, it would be sure of everything
        assert error(*shares(table, f"{name}@deep")) < 0.08, name


def test_few_rows_in_all_leave_what_there_is(tmp_path: Path) -> None:
    world(tmp_path, val=4, train=20, test=40)
    table, told = run(tmp_path)
    assert told["calibrated"]["svm@deep"] == {"method": "none", "rows": 0, "on": "val"}
    assert told["calibrated"]["forest@deep"]["method"] == "own"
    assert "svm@deep.probability" not in table.column_names
    assert np.allclose(shares(table, "forest@deep")[0].sum(1), 1)


def test_a_class_that_train_rows_lack_has_no_say(tmp_path: Path) -> None:
    """A val row of a class that the classifier never saw calibrates nothing; a class beyond its rows gets 0."""
    world(tmp_path, classes=3)
    view = load_view(tmp_path, "deep")
    label = view.label.astype(object)
    label[np.flatnonzero(view.rows("val"))[:5]] = "class 9"
    write_view(tmp_path, "deep", view.X, ids=view.ids, split=view.split, label=label.astype(str))
    table, told = run(tmp_path)
    assert told["classes"] == ["class 0", "class 1", "class 2"]
    assert told["calibrated"]["svm@deep"]["rows"] == 895
    assert shares(table, "svm@deep")[0].shape[1] == 3


def test_machines_of_pairs_are_told_as_they_predict_and_come_true(tmp_path: Path) -> None:
    world(tmp_path, classes=4)
    told = {}
    for shape in ("ovr", "ovo"):
        pairs = {"svm": Miner(miner="rbf_svm", views=("deep",), params={"decision_function_shape": shape})}
        table, summary = run(tmp_path, pairs)
        assert summary["calibrated"]["svm@deep"]["method"] == "temperature"
        told[shape] = shares(table, "svm@deep")
        said = np.array(summary["classes"])[told[shape][0].argmax(1)]
        assert said.tolist() == table.filter(pc.equal(table["split"], "test"))["svm@deep"].to_pylist()
    assert np.array_equal(told["ovr"][0], told["ovo"][0])


def test_sums_over_pairs_change_places_where_votes_go_against_them() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 3)), rng.integers(0, 5, 400).astype(str)  # noise: votes and sums often differ
    svc = make_pipeline(StandardScaler(), SVC()).fit(X[:200], y[:200])
    said = probability_calibration.response(svc, X[200:])
    assert said is not None
    assert (svc.classes_[said.values.argmax(1)] == svc.predict(X[200:])).all()
    assert svc[-1].decision_function_shape == "ovr", "the estimator itself stays as it is"


def test_shares_of_nothing_and_of_all_are_no_infinities() -> None:
    said = Response(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]), shares=True)
    assert said.margin is not None
    assert said.margin.tolist() == [0.5, -0.5, 0.0]
    assert np.isfinite(said.logits).all()
    assert said.logits[:, 0].tolist() == pytest.approx([3.4761, -3.4761, 0], abs=1e-3)


@pytest.mark.parametrize(("classes", "method"), [(2, "sigmoid"), (5, "temperature")])
@pytest.mark.parametrize("times", [0.4, 3.0])
def test_a_network_that_is_too_sure_or_too_modest_is_put_right(classes: int, method: str, times: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, classes))
    true = softmax(logits, axis=1)
    names = [f"c{i}" for i in range(classes)]
    labels = np.array(names)[(true.cumsum(1) > rng.random((4000, 1))).argmax(1)]
    said = softmax(times * logits, axis=1).astype(np.float32)
    made = probability_calibration.calibrate_network(
        probability_calibration.of_network(said[:2000]), labels[:2000], names
    )
    assert (made.method, made.rows, made.on) == (method, 2000, "val")
    better = probability_calibration.probabilities(made.calibrator, probability_calibration.of_network(said[2000:]))
    assert better is not None
    assert np.abs(better - true[2000:]).mean() < 0.02 < np.abs(said[2000:] - true[2000:]).mean()
    if classes > 2:
        assert (better.argmax(1) == said[2000:].argmax(1)).all()


def test_few_val_rows_leave_a_network_as_it_is() -> None:
    said, labels = np.full((10, 2), 0.5, np.float32), np.array(["a", "b"] * 5)
    made = probability_calibration.calibrate_network(probability_calibration.of_network(said), labels, ["a", "b"])
    assert (made.calibrator, made.method, made.rows) == (None, "own", 0)
    assert probability_calibration.probabilities(made.calibrator, probability_calibration.of_network(said)) is None
    nothing = probability_calibration.calibrate_network(
        probability_calibration.of_network(said[:0]), labels[:0], ["a", "b"]
    )
    assert nothing.method == "own"
    sure = probability_calibration.of_network(np.array([[0, 1], [1, 0]], np.float32)).logits
    assert np.isfinite(sure).all()
