"""Kernel machines above a number of rows: the map stands in, is weighed against the exact machine, and says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from tasks.config.mine import Mine, Miner
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.mine import mine
from tasks.miners import MINERS, Task, fitting, kernel_approximation
from tasks.miners.kernel_approximation import MAPS, better
from tasks.miners.persistence import load_miner
from tasks.reporting import fusion
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read
from tests.fixtures.views import write_view

N = 700
#: As they are where no test changes them.
EXACT, AFFORDED = kernel_approximation.KERNEL_ROWS, kernel_approximation.CHEAP


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "KERNEL_ROWS", 200)
    monkeypatch.setattr(fitting, "PROBES", (50, 100))
    monkeypatch.setattr(kernel_approximation, "PROBES", (50, 100))
    monkeypatch.setattr(fitting, "CHEAP", 0.0)
    monkeypatch.setattr(kernel_approximation, "COMPONENTS", 80)


def rings(home: Path, *, numbers: bool = False, val: bool = True) -> None:
    """Two rings that no linear machine can tell apart; or, as numbers, how far out a row is."""
    rng = np.random.default_rng(0)
    angle, ring = rng.uniform(0, 2 * np.pi, N), np.arange(N) % 2
    X = ((1 + ring) * np.stack([np.cos(angle), np.sin(angle)])).T + rng.normal(0, 0.12, (N, 2))
    split = np.array((["train"] * 8 + ["val"] * 3 + ["test"] * 3) * (N // 14))
    split = split if val else np.where(split == "val", "test", split)
    label = np.array([f"{np.hypot(*x):.4f}" for x in X]) if numbers else ring.astype(str)
    ids = np.array([f"r{i:03d}" for i in range(N)])
    write_view(home, "deep", X, ids=ids, split=split, label=label)
    write_view(home, "network", X, ids=ids, split=split, label=label,
               objective="regression" if numbers else "classification")  # fmt: skip


def run(home: Path, *names: str, **params: Any) -> dict[str, Any]:
    chosen = {name: Miner(miner=name, views=("deep",), **params) for name in names}
    at = {"items": home / "items", "features": home, "miners": home / "m"}
    mine(params=Mine(miners=chosen), progress=Progress(quiet=True), **at)
    told: dict[str, Any] = read_json(home / "m" / SUMMARY)
    return told


def right(home: Path, key: str) -> float:
    table = read(home / "m" / PREDICTIONS).to_pandas()
    return float((table[key] == table["label"])[table["split"] == "test"].mean())


def test_many_rows_are_for_a_map_that_is_weighed_against_the_exact_machine(tmp_path: Path) -> None:
    rings(tmp_path)
    told = run(tmp_path, "rbf_svm", "linear_svm")
    [(key, weighed)] = told["kernel_maps"].items()
    assert (key, weighed["rows"], weighed["part"]) == ("rbf_svm@deep", 400, 200)
    assert weighed["map"] >= weighed["exact"] > 0.9
    assert weighed["used"] == "map"
    steps = [type(step).__name__ for _, step in load_miner(tmp_path / "m" / "rbf_svm@deep.skops").estimator.steps]
    assert steps[-2:] == ["Nystroem", "RidgeClassifier"]
    assert right(tmp_path, "rbf_svm@deep") > 0.97 > 0.7 > right(tmp_path, "linear_svm@deep")
    # the report says what is held against what
    [said] = fusion.kernel_maps({"aim": "classification", "kernel_maps": told["kernel_maps"]})
    assert "fitted on all 400 train rows, has an accuracy of" in said
    assert "the exact SVM, fitted on 200 of them" in said


def test_a_map_that_is_worse_on_val_rows_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_approximation, "COMPONENTS", 1)
    rings(tmp_path)
    [weighed] = run(tmp_path, "rbf_svm")["kernel_maps"].values()
    assert weighed["exact"] > weighed["map"]
    assert weighed["used"] == "exact"
    estimator = load_miner(tmp_path / "m" / "rbf_svm@deep.skops").estimator
    assert estimator[-1].shape_fit_ == (200, 2)
    assert right(tmp_path, "rbf_svm@deep") > 0.9


def test_few_rows_or_a_limit_leave_the_exact_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rings(tmp_path)
    assert run(tmp_path, "rbf_svm", max_rows=300)["kernel_maps"] == {}
    assert load_miner(tmp_path / "m" / "rbf_svm@deep.skops").estimator[-1].shape_fit_ == (300, 2)
    monkeypatch.setattr(fitting, "KERNEL_ROWS", 400)
    assert run(tmp_path, "rbf_svm")["kernel_maps"] == {}


def test_where_it_is_cheap_the_exact_machine_has_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of classes, of numbers and of one class, above the rows up to which nobody asks."""
    monkeypatch.setattr(fitting, "CHEAP", 60.0)
    for numbers in (False, True):
        rings(tmp_path / str(numbers), numbers=numbers)
        assert run(tmp_path / str(numbers), "rbf_svm", "poly_svm", "one_class_svm")["kernel_maps"] == {}
    last = load_miner(tmp_path / "False" / "m" / "rbf_svm@deep.skops").estimator[-1]
    assert last.shape_fit_ == (400, 2)


@pytest.mark.parametrize("kind", ["two classes", "seven classes", "numbers", "two numbers", "one class"])
def test_the_cost_is_counted_and_comes_true(kind: str) -> None:
    """From fits on 200 and 400 rows: what a fit on 3,200 counts, within a factor of two. Equal runs count equally."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3200, 6))
    score = X[:, 0] + np.sin(2 * X[:, 1]) + rng.normal(0, 0.3, 3200)
    aim = "classification" if "classes" in kind else "regression"
    task = Task(aim=aim, classes=7 if kind.startswith("seven") else 2, outputs=2 if kind.startswith("two n") else 1)
    cut = np.quantile(score, np.linspace(0, 1, task.classes + 1)[1:-1])
    y = np.searchsorted(cut, score) if aim == "classification" else np.stack([score, X[:, 2]], 1)[:, : task.outputs]
    y = y if task.outputs > 1 or y.ndim == 1 else y[:, 0]
    name = "one_class_svm" if kind == "one class" else "rbf_svm"

    def fitted(rows: int) -> Any:
        own = {"nu": 0.1} if kind == "one class" else {}
        return MINERS[name](task, **own).fit(X[:rows], y[:rows])

    def seconds() -> float:
        return kernel_approximation.exact_seconds([fitted(200), fitted(400)], 3200, 1000, 6)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_approximation, "PROBES", (200, 400))
        guess = seconds()
        assert guess == seconds()
        patch.setattr(kernel_approximation, "PROBES", (1600, 3200))
        counted = kernel_approximation.exact_seconds([fitted(1600), fitted(3200)], 3200, 1000, 6)
    assert counted / 2 < guess < counted * 2


def test_the_threshold_is_written_down_as_it_is() -> None:
    for file in ("docs/miners.md", "params.yaml"):
        text = (Path(__file__).parents[2] / file).read_text()
        assert f"{EXACT:,} train rows" in text
        assert f"{AFFORDED:.0f} seconds" in text


def test_more_rows_questions_and_features_cost_more() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 4))
    fitted = [SVC().fit(X[:n], X[:n, 0] > 0) for n in (1000, 2000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_approximation, "PROBES", (1000, 2000))
        base = kernel_approximation.exact_seconds(fitted, 20_000, 5_000, 4)
        assert 0 < base < kernel_approximation.exact_seconds(fitted, 40_000, 5_000, 4) / 2
        assert base < kernel_approximation.exact_seconds(fitted, 20_000, 9_000, 4)
        assert base < kernel_approximation.exact_seconds(fitted, 20_000, 5_000, 400) / 2


def test_without_val_rows_the_map_is_taken_unweighed(tmp_path: Path) -> None:
    rings(tmp_path, val=False)
    told = run(tmp_path, "rbf_svm", "one_class_svm")["kernel_maps"]
    assert {w["used"] for w in told.values()} == {"map"}
    assert all(w["map"] is None for w in told.values())
    assert len(fusion.kernel_maps({"aim": "classification", "kernel_maps": told})) == 2


@pytest.mark.parametrize("name", ["rbf_svm", "poly_svm"])
def test_numbers_have_a_map_too(name: str, tmp_path: Path) -> None:
    rings(tmp_path, numbers=True)
    [weighed] = run(tmp_path, name, params={"C": 10.0})["kernel_maps"].values()
    assert 0 > weighed["map"] > -0.1
    table = read(tmp_path / "m" / PREDICTIONS).to_pandas()
    assert np.abs(table[f"{name}@deep"] - table["label"].astype(float)).mean() < 0.1
    [said] = fusion.kernel_maps({"aim": "regression", "kernel_maps": {"m@deep": weighed}})
    assert "has a mean absolute error of 0.0" in said


def test_a_map_of_one_class_flags_what_the_exact_machine_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rings(tmp_path)
    run(tmp_path, "one_class_svm", params={"nu": 0.1})
    mapped = read(tmp_path / "m" / PREDICTIONS).to_pandas()["one_class_svm@deep.score"]
    monkeypatch.setattr(fitting, "KERNEL_ROWS", N)
    run(tmp_path, "one_class_svm", params={"nu": 0.1})
    exact = read(tmp_path / "m" / PREDICTIONS).to_pandas()["one_class_svm@deep.score"]
    assert mapped.corr(exact, method="spearman") > 0.9


def test_the_better_is_taken_and_the_map_of_equals() -> None:
    assert [better(0.9, 0.8), better(0.8, 0.8), better(0.7, 0.8), better(None, None)] == ["exact", "map", "map", "map"]


def test_what_has_a_map_is_what_compares_all_rows() -> None:
    assert set(MAPS) == {"rbf_svm", "poly_svm", "one_class_svm"}
