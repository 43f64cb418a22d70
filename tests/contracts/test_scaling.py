"""One scale a view: what every miner of the registry does with views of other scales, of noise, side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from tasks.core.errors import DeepmineError
from tasks.features.scaling import ViewScaler, comparable
from tasks.features.view import Part, View
from tasks.miners import MINERS, Task, persistence, unfit
from tasks.miners.kernel_approximation import MAPS
from tasks.miners.persistence import Fitted, load_miner, save_miner
from tests.contracts.test_miners import SMALL

N = 160
#: Kinds of features side by side, by name: their parts, of 6 and 5 features.
KINDS = {
    "two dense views": (Part(6), Part(5)),
    "components beside columns": (Part(6), Part(5, columns=True)),
    "texts beside a dense view": (Part(6, sparse=True), Part(5)),
}
CASES = [
    (name, kind) for name in MINERS for kind, parts in KINDS.items() if unfit(name, Task(parts=parts)) is None
]  # fmt: skip


def rows(kind: str, first: float = 1.0, second: float = 1.0, seed: int = 0) -> tuple[Any, np.ndarray]:
    """(N, 11) features of three classes, which both parts know something of, and the classes; parts times a number."""
    rng = np.random.default_rng(seed)
    label = np.arange(N) % 3
    one, two = rng.normal(size=(N, 6)), rng.normal(size=(N, 5))
    one[np.arange(N), label] += 3
    two[np.arange(N), label] += 3
    if kind.startswith("texts"):
        one = np.abs(one) / np.linalg.norm(one, axis=1, keepdims=True)
        return sparse.csr_array(np.hstack([one * first, two * second]).astype(np.float32)), label.astype(str)
    return np.hstack([one * first, two * second]).astype(np.float32), label.astype(str)


def said(name: str, task: Task, X: Any, label: np.ndarray) -> Any:
    """What a miner fitted on most rows says of the rest."""
    with threadpool_limits(1):
        made = MINERS[name](task, **SMALL.get(name, {})).fit(X[:120], label[:120])
        if hasattr(made, "predict"):
            return made.predict(X[120:])
        for _, step in made.steps[:-1]:
            X = step.transform(X)
        return made[-1].kneighbors(X[120:])[1]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_scale_of_one_view_changes_no_verdict(name: str, kind: str) -> None:
    """A thousand times as large or small, a view weighs as much beside the other one (a power of two: no rounding)."""
    parts = KINDS[kind]
    task = Task(seed=3, classes=3, parts=parts)
    wanted = said(name, task, *rows(kind))
    scales = [(1024.0, 1.0), (1.0, 1 / 1024)]
    if parts[1].columns:  # which keep their scales as long as no deviation is above 1
        scales = [(1024.0, 1.0), (1 / 1024, 1.0)]
    for first, second in scales:
        assert (said(name, task, *rows(kind, first, second)) == wanted).all(), (first, second)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("kind", ["two dense views", "components beside columns"])
def test_the_scale_of_one_view_changes_no_verdict_of_a_map(name: str, kind: str) -> None:
    task = Task(seed=3, classes=3, parts=KINDS[kind])
    found = []
    for first in (1.0, 1024.0):
        X, label = rows(kind, first)
        found.append(MAPS[name](task).set_params(nystroem__n_components=50).fit(X[:120], label[:120]).predict(X[120:]))
    assert (found[0] == found[1]).all()


def test_a_table_column_that_nobody_scaled_drowns_no_other() -> None:
    """Columns with a deviation up to 1 keep it, as cleaning gave it; one in thousands comes down to 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) * [1.0, 0.3, 5000.0]
    made = ViewScaler(((3, False, True),)).fit(X)
    spread = made.transform(X).std(0)
    np.testing.assert_allclose(spread / spread[0], [1, X[:, 1].std() / min(X[:, 0].std(), 1), 1], rtol=0.06)
    label = (X[:, 0] > 0).astype(str)
    machine = MINERS["rbf_svm"](Task(parts=(Part(3, columns=True),)))
    assert (machine.fit(X[:300], label[:300]).predict(X[300:]) == label[300:]).mean() > 0.9


@pytest.mark.parametrize("name", ["linear_svm", "rbf_svm", "poly_svm", "logistic", "ridge", "nystroem_ridge", "kmeans",
                                  "nearest_neighbours", "local_outlier_factor", "one_class_svm"])  # fmt: skip
def test_a_feature_of_little_variance_gains_no_weight(name: str) -> None:
    """Noise a thousandth as wide as what tells the classes apart: with it all verdicts are as without it."""
    X, label = rows("two dense views")
    noise = np.random.default_rng(9).normal(size=(N, 40)).astype(np.float32) / 1000
    without = said(name, Task(seed=3, classes=3, parts=(Part(11),)), X, label)
    # its map draws the rows that it goes by, and not its features: the same ones
    with_it = said(name, Task(seed=3, classes=3, parts=(Part(51),)), np.hstack([X, noise]), label)
    assert (without == with_it).mean() > 0.97


def test_components_of_digits_are_told_apart_by_one_scale_as_by_scikit_learn() -> None:
    """And better than standardised, whichever columns of little variance there are."""
    X, y = load_digits(return_X_y=True)
    X = PCA(60, random_state=0).fit(X[:900]).transform(X).astype(np.float32)
    label = y.astype(str)
    right = [
        float((machine.fit(X[:900], label[:900]).predict(X[900:]) == label[900:]).mean())
        for machine in (MINERS["rbf_svm"](Task(parts=(Part(60),)), C=10.0), SVC(C=10.0))
    ]
    scaled = StandardScaler().fit(X[:900])
    white = SVC(C=10.0).fit(scaled.transform(X[:900]), label[:900]).predict(scaled.transform(X[900:]))
    assert abs(right[0] - right[1]) < 0.003
    assert right[0] > (white == label[900:]).mean() + 0.01


@pytest.mark.parametrize("name", ["linear_svm", "rbf_svm", "poly_svm", "nearest_neighbours", "nystroem_ridge"])
def test_a_good_view_beside_a_wide_bad_one_is_not_lost(name: str) -> None:
    """Five features that tell three classes apart, beside 200 that hardly do, a hundred times as large."""
    rng = np.random.default_rng(1)
    n = 600
    label = np.arange(n) % 3
    good = rng.normal(size=(n, 5))
    good[np.arange(n), label] += 5
    bad = rng.normal(size=(n, 200)) * np.geomspace(300, 1, 200)
    X, names = np.hstack([bad, good]).astype(np.float32), label.astype(str)
    alone, both = (
        (MINERS[name](Task(seed=3, classes=3, parts=parts), **SMALL.get(name, {})).fit(x[:450], names[:450]).predict(x[450:])
         == names[450:]).mean()
        for parts, x in (((Part(5),), X[:, 200:]), ((Part(200), Part(5)), X))
    )  # fmt: skip
    assert alone > 0.97
    assert both > alone - 0.05


def test_a_scale_is_an_estimator_like_any_other(tmp_path: Path) -> None:
    X, _ = rows("texts beside a dense view")
    made = ViewScaler(((6, True, False), (5, False, False))).fit(X)
    assert clone(made).get_params() == made.get_params()
    scaled = made.transform(X)
    assert (scaled.dtype, sparse.issparse(scaled)) == (np.float32, True)
    dense = scaled.toarray()
    np.testing.assert_allclose(np.square(dense[:, :6]).sum(1).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(np.square(dense[:, 6:]).sum(1).mean(), 1, rtol=1e-5)
    assert np.abs(dense[:, 6:].mean(0)).max() < 1e-6
    save_miner(tmp_path / "m", Fitted(made, "raw", "f" * 64))
    again = load_miner(tmp_path / "m").estimator
    assert (again.transform(X) != scaled).nnz == 0
    for wrong in (X[:, :9], np.full((4, 11), np.nan)):
        with pytest.raises(ValueError, match=r"features|NaN"):
            clone(made).fit(wrong)


def test_a_part_without_any_variance_stays_finite() -> None:
    X = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    X[:, :2] = [0.1, 7.3]
    made = ViewScaler(((2, False, False), (3, False, False))).fit(X)
    assert np.abs(made.transform(X)[:, :2]).max() < 1e-5
    assert np.isfinite(made.transform(X)).all()


def test_what_is_compared_outside_of_miners_is_scaled_like_in_them() -> None:
    X, label = rows("two dense views", 1024.0)
    ids = np.array([f"r{i:03d}" for i in range(N)])
    split = np.where(np.arange(N) < 120, "train", "test")
    made = View("raw+deep", ids, split, label, np.ones(N, bool), X, "f" * 64, KINDS["two dense views"])
    test = made.rows("test")
    wanted = ViewScaler(((6, False, False), (5, False, False))).fit(X[:120]).transform(X[120:])
    assert np.array_equal(comparable(made, test), wanted)


def test_a_miner_of_before_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "FORMAT", 2)
    save_miner(tmp_path / "m", Fitted(StandardScaler().fit(np.eye(3)), "raw", "f" * 64))
    monkeypatch.undo()
    with pytest.raises(DeepmineError, match=r"written by an older deepmine. Recreate it: deepmine run"):
        load_miner(tmp_path / "m")
