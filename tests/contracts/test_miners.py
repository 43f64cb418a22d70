"""What every miner of the registry promises, and what is refused in its place."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import adjusted_rand_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tasks.core.errors import DeepmineError
from tasks.features.view import Part, View
from tasks.miners import KERNELS, MINERS, UNLABELLED, Task, accelerate, clusters, final, kind, unfit
from tasks.miners.fitting import Fit, Job
from tasks.miners.hyperparameters import GRIDS, check, count_of, given, open_count
from tasks.miners.inductive import InductiveClusterer
from tasks.miners.persistence import FORMAT, Fitted, load_miner, save_miner
from tasks.miners.pipelines import trees
from tasks.miners.probability_calibration import calibrate, response

ROOT = Path(__file__).parents[2]
N, MARK = 90, "f" * 64


def view(name: str = "deep", mark: str = MARK, seed: int = 0) -> View:
    """Three groups of rows that stand apart, 20 of each to be fitted on."""
    label = np.array(["a", "b", "é c"] * (N // 3))
    X = np.random.default_rng(seed).normal(size=(N, 4)).astype(np.float32)
    X[np.arange(N), np.arange(N) % 3] += 4
    split = np.array(["train"] * 60 + ["test"] * 30)
    return View(name, np.array([f"r{i:02d}" for i in range(N)]), split, label, np.ones(N, bool), X, mark, (Part(4),))


TASK = Task(seed=3, classes=3)
#: Every form in which a miner is asked for; trees small, as the rows are few.
NUMBERS = {"one number": Task(seed=3, aim="regression", classes=3), "two numbers": Task(3, "regression", 3, 2)}
FORMS = {"classes": TASK, **NUMBERS, "sparse": Task(3, "classification", 3, 1, (Part(2, sparse=True), Part(2)))}
CASES = [(name, form) for name in MINERS for form, task in FORMS.items() if unfit(name, task) is None]
SMALL = {
    "gradient_boosting": {"min_samples_leaf": 5, "max_iter": 20, "learning_rate": 0.1},
    "random_forest": {"n_estimators": 20},
    "nystroem_svm": {"n_components": 40},
    "nystroem_ridge": {"n_components": 40},
    "isolation_forest": {"n_estimators": 20},
}
DETECTORS = [n for n in MINERS if kind(n, TASK) == "outlier_detector"]
#: Miners that tell the three groups of rows apart.
TELLING = [n for n in MINERS if n not in DETECTORS]


def numbers(rows: np.ndarray, outputs: int) -> np.ndarray:
    """What two features say, in (M,) or (M, 2) numbers."""
    made = np.stack([rows[:, 0] * 2, rows[:, 1] - rows[:, 0]], axis=1).astype(float)
    return made[:, 0] if outputs == 1 else made


def fitted(name: str, form: str = "classes", **params: Any) -> Fitted:
    made, task = features(form), FORMS[form]
    rows = np.flatnonzero(made.rows("train"))
    y = made.label[rows] if task.aim == "classification" else numbers(view().X[rows], task.outputs)
    with threadpool_limits(1):  # as `mine` does
        estimator = MINERS[name](task, **SMALL.get(name, {}), **params).fit(made.X[rows], y)
    return Fitted(estimator, made.name, made.fingerprint)


def features(form: str) -> View:
    """`view` as the form has it."""
    made = view()
    if form != "sparse":
        return made
    return replace(made, X=sparse.csr_array(made.X), parts=FORMS[form].parts)


def saved(path: Path, name: str, form: str = "classes") -> Path:
    save_miner(path, fitted(name, form))
    return path


@pytest.mark.parametrize("name", TELLING)
def test_it_fits_and_tells_the_groups_apart(name: str) -> None:
    made = view()
    test = made.rows("test")
    said = fitted(name).predict(made, test)
    assert said.shape == (30,)
    pairs = set(zip(said.tolist(), made.label[test].tolist(), strict=True))
    common = [max(((said == s) & (made.label[test] == t)).sum() for s in set(said.tolist())) for t in set(made.label)]
    assert len(set(said.tolist())) == 3
    assert sum(common) >= 28, pairs
    assert fitted(name).predict(made, np.zeros(N, bool)).shape == (0,)


@pytest.mark.parametrize(
    ("name", "form"), [(n, f) for n, f in CASES if f in NUMBERS and kind(n, TASK) not in UNLABELLED]
)
def test_it_fits_numbers(name: str, form: str) -> None:
    made = view()
    test = made.rows("test")
    truth = numbers(made.X[test], FORMS[form].outputs)
    said = fitted(name, form).predict(made, test)
    assert said.shape == truth.shape
    assert np.abs(said - truth).mean() < 0.35 * np.abs(truth - truth.mean(0)).mean()
    assert fitted(name, form).scores(made, test) is None


@pytest.mark.parametrize("name", [n for n, f in CASES if f == "sparse"])
def test_sparse_features_say_what_dense_ones_say(name: str) -> None:
    said = fitted(name, "sparse").predict(features("sparse"), features("sparse").rows("test"))
    wanted = fitted(name).predict(view(), view().rows("test"))
    if clusters(name):  # which have no names of their own
        assert adjusted_rand_score(wanted, said) > 0.85
    else:
        assert (said == wanted).mean() > 0.9


def test_what_has_nothing_to_do_is_told_by_scikit_learn_itself() -> None:
    """But for kernel machines, which could take sparse features."""
    dense = {"gradient_boosting", "gaussian_mixture", "agglomerative", "hdbscan"}
    assert {n for n in MINERS if unfit(n, FORMS["sparse"])} == {*KERNELS, *dense}
    assert {n for n in MINERS if unfit(n, replace(FORMS["sparse"], parts=(Part(4, sparse=True),)))} == {
        *KERNELS,
        *dense,
    }
    assert {n for n in MINERS if unfit(n, Task(aim="regression"))} == {"logistic"}
    assert {n for n in MINERS if unfit(n, Task(aim="regression", outputs=9))} == {"logistic", "rbf_svm", "poly_svm"}
    groups = {"kmeans", "mini_batch_kmeans", "gaussian_mixture", "agglomerative", "hdbscan"}
    groups |= {"nearest_neighbours", "isolation_forest", "local_outlier_factor", "one_class_svm"}
    assert {n for n in MINERS if unfit(n, Task(aim="clusters")) is None} == groups
    assert all(unfit(n, TASK) is None for n in MINERS)


#: Lines that are not in the registry: another forest, a classifier and a regressor alone, a clusterer that only labels.
LINES = {
    "extra_trees": lambda task, **kw: trees(
        task, ExtraTreesClassifier, ExtraTreesRegressor, {"n_estimators": 20, **kw}
    ),
    "bayes": lambda task, **kw: make_pipeline(StandardScaler(), GaussianNB(**kw)),
    "neighbours": lambda task, **kw: KNeighborsRegressor(**{"algorithm": "brute", **kw}),
    "dbscan": lambda task, **kw: InductiveClusterer(DBSCAN(**{"eps": 2.0, **kw})),
    "elliptic": lambda task, **kw: EllipticEnvelope(**{"contamination": 0.02, "random_state": task.seed, **kw}),
}


@pytest.mark.parametrize("name", LINES)
def test_another_estimator_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dict is all that changes: the other tests of this file hold for it, or it says where it has nothing to do."""
    monkeypatch.setitem(MINERS, name, LINES[name])
    cases = [form for form, task in FORMS.items() if unfit(name, task) is None]
    assert cases == {
        "extra_trees": list(FORMS), "bayes": ["classes"], "neighbours": list(NUMBERS),
        "dbscan": ["classes", *NUMBERS], "elliptic": ["classes", *NUMBERS],
    }[name]  # fmt: skip
    check(name, {}, "here")
    with pytest.raises(DeepmineError, match="unknown parameter 'nonesuch'"):
        check(name, {"nonesuch": 1}, "here")
    for form in cases:
        if form in NUMBERS and kind(name, TASK) not in UNLABELLED:
            test_it_fits_numbers(name, form)
        (tmp_path / form).mkdir()
        test_a_saved_miner_says_the_same(name, form, tmp_path / form)
    if kind(name, TASK) == "outlier_detector":
        (tmp_path / "far").mkdir()
        test_a_detector_tells_far_rows_and_scores_say_so(name, tmp_path / "far")
    elif "classes" in cases:
        test_it_fits_and_tells_the_groups_apart(name)
    if "classes" in cases:
        test_it_is_an_estimator_like_any_other(name)
        test_another_feature_space_is_refused(name, tmp_path)
    if "sparse" in cases:
        test_sparse_features_say_what_dense_ones_say(name)


@pytest.mark.parametrize("name", MINERS)
def test_it_is_an_estimator_like_any_other(name: str) -> None:
    estimator = MINERS[name](TASK, **SMALL.get(name, {}))
    copy = clone(estimator)
    assert isinstance(estimator, BaseEstimator)
    assert repr(copy.get_params()) == repr(estimator.get_params())
    made = view()
    with threadpool_limits(1):
        one, two = (e.fit(made.X, made.label).predict(made.X) for e in (estimator, copy))
    assert np.array_equal(one, two)


#: Miners that draw no random numbers, or not in the step that does the work.
DRAW_NONE = ("rbf_svm", "poly_svm", "nystroem_ridge", "logistic", "ridge", "agglomerative", "hdbscan",
             "nearest_neighbours", "local_outlier_factor", "one_class_svm")  # fmt: skip


@pytest.mark.parametrize("name", MINERS)
def test_the_seed_and_the_parameters_reach_it(name: str) -> None:
    other = {
        "linear_svm": {"C": 0.01}, "rbf_svm": {"gamma": 0.5}, "poly_svm": {"degree": 2, "coef0": 0.5},
        "nystroem_svm": {"C": 0.01}, "nystroem_ridge": {"alpha": 3.0}, "logistic": {"C": 0.3}, "ridge": {"alpha": 3.0},
        "decision_tree": {"max_depth": 3}, "random_forest": {"n_estimators": 7}, "gradient_boosting": {"max_iter": 7},
        "kmeans": {"n_clusters": 5}, "mini_batch_kmeans": {"n_clusters": 5}, "agglomerative": {"linkage": "average"},
        "gaussian_mixture": {"n_components": 5, "covariance_type": "diag"}, "hdbscan": {"min_cluster_size": 7},
        "nearest_neighbours": {"n_neighbors": 3}, "isolation_forest": {"contamination": 0.1},
        "local_outlier_factor": {"n_neighbors": 7}, "one_class_svm": {"nu": 0.2},
    }[name]  # fmt: skip
    for task in (Task(seed=7), Task(7, "regression"), Task(7, "regression", outputs=2)):
        if unfit(name, task):
            continue
        found = final(MINERS[name](task, **other)).get_params()
        assert {k: found[k] for k in other} == other
        if name not in DRAW_NONE:
            assert found["random_state"] == 7


def test_a_kernel_map_and_its_machine_share_the_parameters_out() -> None:
    for name, own in {"nystroem_svm": "C", "nystroem_ridge": "alpha"}.items():
        made = MINERS[name](Task(seed=7), **{"n_components": 9, "gamma": 0.1, own: 3.0})
        [kernel] = [step for _, step in made.steps if isinstance(step, Nystroem)]
        assert (kernel.n_components, kernel.gamma, kernel.random_state) == (9, 0.1, 7)
        assert made[-1].get_params()[own] == 3.0


def test_more_rows_bring_a_kernel_map_nearer_to_the_kernel() -> None:
    """Rings that no linear machine can tell apart."""
    rng = np.random.default_rng(0)
    angle, ring = rng.uniform(0, 2 * np.pi, 400), np.arange(400) % 2
    X = ((1 + ring) * np.stack([np.cos(angle), np.sin(angle)])).T + rng.normal(0, 0.1, (400, 2))
    X, y = X.astype(np.float32), ring.astype(str)
    right = [
        (MINERS[name](TASK, **kw).fit(X[:200], y[:200]).predict(X[200:]) == y[200:]).mean()
        for name, kw in (
            ("linear_svm", {}),
            ("nystroem_svm", {"n_components": 2}),
            ("nystroem_svm", {"n_components": 60}),
        )
    ]
    assert right[0] < 0.7
    assert right[1] < right[2]
    assert right[2] > 0.98


@pytest.mark.parametrize("name", GRIDS)
def test_what_val_rows_choose_is_a_parameter(name: str) -> None:
    grid = GRIDS[name]
    for value in (*grid.dense, *grid.sparse):
        check(name, {grid.name: value, **dict(grid.quick)}, "here")
    check(name, {grid.name: None}, "here")


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_saved_miner_says_the_same(name: str, form: str, tmp_path: Path) -> None:
    made, rows = fitted(name, form), features(form)
    save_miner(tmp_path / "m.skops", made)
    again = load_miner(tmp_path / "m.skops")
    assert (again.view, again.fingerprint) == (made.view, made.fingerprint)
    everything = np.ones(N, bool)
    assert np.array_equal(again.predict(rows, everything), made.predict(rows, everything))
    save_miner(tmp_path / "again.skops", again)
    assert (tmp_path / "again.skops").read_bytes() == (tmp_path / "m.skops").read_bytes()


SCRIPT = """
import sys
from pathlib import Path
from tests.contracts.test_miners import CASES, saved
junk = [object() for _ in range(int(sys.argv[2]))]  # other addresses
for name, form in CASES:
    saved(Path(sys.argv[1]) / f"{name} {form}", name, form)
"""


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_tells_far_rows_and_scores_say_so(name: str, tmp_path: Path) -> None:
    made = view()
    miner = load_miner(saved(tmp_path / "m", name))
    far = replace(made, X=np.where(made.rows("test")[:, None], made.X + 30, made.X))
    test = made.rows("test")
    assert set(miner.predict(far, test).tolist()) == {-1}
    scores = miner.scores(far, test)
    assert scores is not None
    assert scores.min() > 0
    assert scores.min() > np.max(miner.scores(made, test))
    assert miner.probabilities(far, test) is None
    assert miner.nearest(far, test) is None
    none = miner.scores(made, np.zeros(N, bool))
    assert none is not None
    assert none.shape == miner.predict(made, np.zeros(N, bool)).shape == (0,)


CLASSIFIERS = [n for n in MINERS if kind(n, TASK) == "classifier"]
#: Classifiers that refuse a single class.
TWO_AT_LEAST = ("linear_svm", "rbf_svm", "poly_svm", "nystroem_svm", "logistic")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_calibration_is_saved_with_its_classifier(name: str, tmp_path: Path) -> None:
    """The same bytes twice, and the same probabilities after loading; of two classes and of three."""
    for classes in (2, 3):
        made = view()
        label = made.label if classes == 3 else np.where(made.label == "a", "a", "b")
        made = replace(made, label=label)
        rows = made.rows("train")
        task = Task(seed=3, classes=classes)
        with threadpool_limits(1):
            estimator = MINERS[name](task, **SMALL.get(name, {})).fit(made.X[rows], label[rows])
        job = Job("m", name, made, task, SMALL.get(name, {}), None)
        fit = Fit(job, np.flatnonzero(rows), estimator)
        val = np.flatnonzero(made.rows("test"))
        done = calibrate(fit, estimator, {}, val, response(estimator, made.X[val]))
        assert (done.method, done.rows) == ("sigmoid" if classes == 2 else "temperature", 30)
        miner = Fitted(estimator, made.name, made.fingerprint, done.calibrator)
        save_miner(tmp_path / "m", miner)
        again = load_miner(tmp_path / "m")
        save_miner(tmp_path / "again", again)
        assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()
        everything = np.ones(N, bool)
        said, wanted = again.probabilities(made, everything), miner.probabilities(made, everything)
        assert said is not None
        assert np.array_equal(said, wanted)
        assert said.shape == (N, classes)
        assert np.allclose(said.sum(1), 1)
        assert (estimator.classes_[said.argmax(1)] == label).mean() > 0.9
        assert again.probabilities(made, np.zeros(N, bool)) is None


@pytest.mark.parametrize("name", MINERS)
def test_a_constant_column_and_a_single_row_are_no_fault(name: str) -> None:
    made = view()
    flat = made.X.copy()
    flat[:, 1] = 7.0
    made = replace(made, X=flat)
    rows = made.rows("train")
    with threadpool_limits(1):
        estimator = MINERS[name](TASK, **SMALL.get(name, {})).fit(made.X[rows], made.label[rows])
    miner = Fitted(estimator, made.name, made.fingerprint)
    one = made.ids == "r77"
    assert miner.predict(made, one).shape == (1,)
    everything = miner.predict(made, np.ones(N, bool))
    assert everything[77] == miner.predict(made, one)[0]
    if kind(name, TASK) == "outlier_detector":
        assert np.isfinite(miner.scores(made, np.ones(N, bool))).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_single_class_is_told_or_refused_as_scikit_learn_does(name: str) -> None:
    """`mine` never asks for it: with one class there is nothing to tell apart."""
    made = view()
    estimator, label = MINERS[name](TASK, **SMALL.get(name, {})), np.full(N, "same")
    if name in TWO_AT_LEAST:
        with pytest.raises(ValueError, match="class"):
            estimator.fit(made.X, label)
    else:
        assert set(estimator.fit(made.X, label).predict(made.X).tolist()) == {"same"}


@pytest.mark.parametrize("name", MINERS)
def test_features_of_another_width_are_refused(name: str) -> None:
    miner = fitted(name)
    wide = replace(view(), X=np.zeros((N, 5), np.float32))
    if name not in ("agglomerative", "hdbscan"):
        with pytest.raises(ValueError, match="features"):
            miner.predict(wide, np.ones(N, bool))


@pytest.mark.parametrize("kind", ["beyond", "negative", "not rising"])
def test_sparse_rows_that_lead_nowhere_are_refused(kind: str, tmp_path: Path) -> None:
    thin = view()
    X = sparse.csr_array(thin.X * (thin.X > 1))
    estimator = MINERS["nearest_neighbours"](Task(parts=(Part(4, sparse=True),))).fit(X, thin.label)
    made, rows = Fitted(estimator, "deep", MARK), estimator._fit_X
    save_miner(tmp_path / "m", made)
    assert np.array_equal(load_miner(tmp_path / "m").estimator.predict(X), estimator.predict(X))
    if kind == "not rising":
        rows.indptr[3] = rows.indptr[-1] + 9
    else:
        rows.indices[0] = 999 if kind == "beyond" else -9
    save_miner(tmp_path / "m", made)
    with pytest.raises(DeepmineError, match="refused"):
        load_miner(tmp_path / "m")


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    here.mkdir()
    command = [sys.executable, "-c", SCRIPT, str(there), "10007"]
    # another kernel of OpenBLAS would round in another way: a machine may be told which one to take
    kernel = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    environment = {"PYTHONHASHSEED": "7", "PATH": "", **kernel}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)
    for name, form in CASES:
        one, two = saved(here / f"{name} {form}", name, form).read_bytes(), (there / f"{name} {form}").read_bytes()
        assert one == two, (name, form)
        assert len(one) > 500


def test_a_mixture_of_wide_features_is_one_of_their_first_components(tmp_path: Path) -> None:
    """Whose many numbers few rows could not tell; fewer rows than components are no matter."""
    X = np.random.default_rng(0).normal(size=(25, 60)).astype(np.float32)
    X[::2, :5] += 9
    made = MINERS["gaussian_mixture"](Task(classes=2, parts=(Part(40), Part(20)))).fit(X)
    assert made[-1].covariances_.shape[1:] == (25, 25)
    said = made.predict(X)
    assert len(set(said[::2].tolist())) == len(set(said[1::2].tolist())) == 1
    narrow = MINERS["gaussian_mixture"](Task(classes=2, parts=(Part(32),))).fit(X[:, :32])
    assert narrow[-1].covariances_.shape[1:] == (32, 32)
    save_miner(tmp_path / "m", Fitted(made, "deep", MARK))
    assert np.array_equal(load_miner(tmp_path / "m").estimator.predict(X), said)


def test_a_new_row_gets_the_cluster_of_its_nearest_fitted_row() -> None:
    X = np.array([[0.0], [1], [2], [10], [11], [12], [50]], np.float32)
    made = InductiveClusterer(DBSCAN(eps=1.5, min_samples=2)).fit(X)
    assert made.labels_.tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert made.predict(X).tolist() == made.labels_.tolist()
    assert made.predict(np.array([[-9.0], [5], [7], [30], [32]], np.float32)).tolist() == [0, 0, 1, 1, -1]
    assert made.clusterer.get_params()["eps"] == 1.5
    assert clone(made).set_params(clusterer__eps=9.0).fit(X).labels_.tolist() == [0, 0, 0, 0, 0, 0, -1]


def test_how_many_clusters_is_left_to_rows_by_auto_or_where_there_are_no_classes() -> None:
    none, classes = Task(aim="clusters"), Task()
    for name, parameter in {
        "kmeans": "n_clusters", "mini_batch_kmeans": "n_clusters", "agglomerative": "n_clusters",
        "gaussian_mixture": "n_components",
    }.items():  # fmt: skip
        assert count_of(name) == open_count(name, {}, none) == open_count(name, {parameter: "auto"}, classes)
        assert open_count(name, {}, classes) is None
        assert open_count(name, {parameter: 4}, none) is None
        assert given(name, {parameter: "auto", "verbose": 1}) == {"verbose": 1}
        assert given(name, {parameter: 4}) == {parameter: 4}
    assert all(count_of(n) is None for n in MINERS if not clusters(n) or n == "hdbscan")


@pytest.mark.parametrize("name", MINERS)
def test_another_feature_space_is_refused(name: str, tmp_path: Path) -> None:
    miner = load_miner(saved(tmp_path / "m.skops", name))
    rows = view().rows("test")
    miner.predict(view(), rows)
    with pytest.raises(DeepmineError, match=r"encoder f{12}, but was given 'deep' of encoder e{12}"):
        miner.predict(view(mark="e" * 64), rows)  # the same width
    with pytest.raises(DeepmineError, match=r"fitted on the view 'deep' .* but was given 'raw'"):
        miner.predict(view(name="raw"), rows)


class Foreign(BaseEstimator):
    """A type that no allow-list names; reading a file with it must not make one."""

    made = 0

    def __new__(cls) -> "Foreign":
        cls.made += 1
        return super().__new__(cls)

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Foreign":
        self.seen_ = len(X)
        return self


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("the pickle was executed",)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DeepmineError, match="not a miner saved by deepmine; refused"):
        load_miner(path)


def test_a_file_with_a_foreign_type_is_refused_unmade(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    values = {"format": FORMAT, **vars(Fitted(Foreign().fit(np.ones((2, 1)), np.ones(2)), "deep", MARK))}
    path.write_bytes(skops.io.dumps(values))
    before = Foreign.made
    with pytest.raises(DeepmineError, match=r"types that deepmine never loads \(.*Foreign\); refused"):
        load_miner(path)
    assert Foreign.made == before


def with_format(path: Path, number: int) -> None:
    path.write_bytes(skops.io.dumps({"format": number, **vars(fitted("kmeans"))}))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    with_format(path, FORMAT)
    load_miner(path)
    with_format(path, FORMAT + 1)
    with pytest.raises(DeepmineError, match="newer deepmine"):
        load_miner(path)


def other_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps({"no": "schema"}))
    return buffer.getvalue()


STRANGERS = {
    "empty": b"",
    "text": b"a miner",
    "another archive": other_archive(),
    "a bare estimator": skops.io.dumps(MINERS["kmeans"](TASK)),
    "a list": skops.io.dumps([1, 2]),
    "a text": skops.io.dumps("text"),
    "no format": skops.io.dumps({"estimator": 1, "view": "deep", "fingerprint": MARK}),
    "too little": skops.io.dumps({"format": FORMAT, "view": "deep"}),
    "a format in words": skops.io.dumps({"format": "one", "estimator": 1, "view": "deep", "fingerprint": MARK}),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_no_miner_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    path.write_bytes(STRANGERS[kind])
    with pytest.raises(DeepmineError, match="not a miner saved by deepmine"):
        load_miner(path)


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"no such miner\. Run: deepmine run"):
        load_miner(tmp_path / "m.skops")


def test_damage_never_shows_as_anything_else(tmp_path: Path) -> None:
    """A flipped bit is refused, or lies where nothing reads it and changes no prediction."""
    path = saved(tmp_path / "m.skops", "linear_svm")
    whole, rows = path.read_bytes(), np.ones(N, bool)
    wanted = fitted("linear_svm").predict(view(), rows)
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 60).tolist():
        data = bytearray(whole)
        data[place] ^= 0x10
        path.write_bytes(data)
        try:
            assert np.array_equal(load_miner(path).predict(view(), rows), wanted)
        except DeepmineError:
            refused += 1
    assert refused > 20
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DeepmineError, match="refused"):
        load_miner(path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    made = view()
    for estimator in (KNeighborsClassifier(algorithm="kd_tree"), Foreign()):
        path = tmp_path / "m.skops"
        with pytest.raises(DeepmineError, match="types that could not be loaded again"):
            save_miner(path, Fitted(estimator.fit(made.X, made.label), "deep", MARK))
        assert not path.exists()


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("linear_svm", {"c": 1.0}, "unknown parameter 'c'. Did you mean 'C'?"),
        ("linear_svm", {"C": 1.0, "max_itr": 9}, "unknown parameter 'max_itr'. Did you mean 'max_iter'?"),
        ("rbf_svm", {"gama": 1.0}, "unknown parameter 'gama'. Did you mean 'gamma'?"),
        ("kmeans", {"clusters": 3}, "unknown parameter 'clusters'. Did you mean 'n_clusters'?"),
        ("kmeans", {"seed": 3}, "unknown parameter 'seed'."),
        ("linear_svm", {"C": -1.0}, "'C'"),
        ("linear_svm", {"loss": "nonesuch"}, "'loss'"),
        ("linear_svm", {"C": "much"}, "'C'"),
        ("rbf_svm", {"kernel": "nonesuch"}, "'kernel'"),
        ("kmeans", {"n_clusters": 0}, "'n_clusters'"),
        ("kmeans", {"n_clusters": -4}, "'n_clusters'"),
        ("kmeans", {"n_clusters": 2.5}, "'n_clusters'"),
        ("kmeans", {"n_clusters": "many"}, "'n_clusters'"),
        ("kmeans", {"n_init": -1}, "'n_init'"),
        ("gradient_boosting", {"depth": 3}, "unknown parameter 'depth'."),
        ("ridge", {"alpha": -1.0}, "'alpha'"),
        ("poly_svm", {"degree": -1}, "'degree'"),
        ("nystroem_svm", {"n_componets": 9}, "Did you mean 'n_components'?"),
        ("nystroem_svm", {"n_components": 0}, "'n_components'"),
        ("nystroem_svm", {"C": -1.0}, "'C'"),
        ("decision_tree", {"max_deph": 3}, "Did you mean 'max_depth'?"),
        ("random_forest", {"n_estimators": 0}, "'n_estimators'"),
        ("mini_batch_kmeans", {"n_clusters": "autos"}, "'n_clusters'"),
        ("gaussian_mixture", {"covariance_type": "round"}, "'covariance_type'"),
        ("gaussian_mixture", {"n_clusters": 3}, "unknown parameter 'n_clusters'."),
        ("agglomerative", {"linkage": "nonesuch"}, "'linkage'"),
        ("hdbscan", {"min_cluster_size": 1}, "'min_cluster_size'"),
        ("hdbscan", {"n_clusters": "auto"}, "unknown parameter 'n_clusters'."),
        ("nearest_neighbours", {"n_neighbours": 3}, "Did you mean 'n_neighbors'?"),
        ("nearest_neighbours", {"n_neighbors": 0}, "'n_neighbors'"),
        ("isolation_forest", {"contamination": 0.9}, "'contamination'"),
        ("local_outlier_factor", {"contaminaton": 0.1}, "Did you mean 'contamination'?"),
        ("one_class_svm", {"nu": 2.0}, "'nu'"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(DeepmineError) as caught:
        check(name, params, "params.yaml: mine.miners.m.params")
    assert str(caught.value).startswith("params.yaml: mine.miners.m.params: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *((name, {}) for name in MINERS),
        ("linear_svm", {"C": 0.1}),
        ("rbf_svm", {"gamma": "auto", "cache_size": 10}),
        ("kmeans", {"n_clusters": 30, "n_init": "auto"}),
        ("kmeans", {"n_clusters": "auto"}),
        ("agglomerative", {"n_clusters": 30}),
        ("agglomerative", {"n_clusters": None, "distance_threshold": 3.0}),
        ("gaussian_mixture", {"n_components": 30}),
        ("gaussian_mixture", {"n_components": "auto"}),
        ("hdbscan", {"min_cluster_size": 50, "min_samples": 20}),
        ("nystroem_svm", {"n_components": 2000, "kernel": "poly", "degree": 2}),
        ("decision_tree", {"max_depth": None}),
        ("nearest_neighbours", {"n_neighbors": 50, "weights": "distance"}),
        ("local_outlier_factor", {"n_neighbors": 40, "contamination": "auto"}),
        ("one_class_svm", {"nu": 0.2, "gamma": "auto"}),
    ],
)
def test_a_right_parameter_passes(name: str, params: dict[str, Any]) -> None:
    check(name, params, "here")


def test_a_parameter_is_judged_by_the_objective_where_it_is_known() -> None:
    check("linear_svm", {"loss": "hinge"}, "here")
    check("linear_svm", {"loss": "epsilon_insensitive"}, "here")
    check("linear_svm", {"loss": "epsilon_insensitive"}, "here", "forecasting")
    check("linear_svm", {"loss": "epsilon_insensitive"}, "here", "autoencoder")  # whose labels say what is learned
    with pytest.raises(DeepmineError, match="'loss'"):
        check("linear_svm", {"loss": "hinge"}, "here", "regression")
    with pytest.raises(DeepmineError, match="'loss'"):
        check("linear_svm", {"loss": "epsilon_insensitive"}, "here", "classification")
    check("logistic", {}, "here", "regression")  # it will be skipped


def test_the_accelerator_is_asked_for_by_its_name_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate, "find_spec", lambda name: None)
    with pytest.raises(DeepmineError, match=r"not installed\. Install it \(pip install -e '\.\[accelerate\]'\)"):
        accelerate.require()


@pytest.mark.parametrize("name", MINERS)
def test_an_accelerated_miner_is_saved_as_a_plain_one(name: str, tmp_path: Path) -> None:
    pytest.importorskip("sklearnex", reason="scikit-learn-intelex is not installed (pip install -e '.[accelerate]')")
    made = view()
    rows, everything = made.rows("train"), np.ones(N, bool)
    files = []
    for i in range(2):
        with threadpool_limits(1):
            estimator = accelerate.accelerated(MINERS[name](TASK, **SMALL.get(name, {}))).fit(
                made.X[rows], made.label[rows]
            )
        save_miner(tmp_path / f"{i}", Fitted(accelerate.plain(estimator), made.name, made.fingerprint))
        files.append((tmp_path / f"{i}").read_bytes())
    assert files[0] == files[1]
    assert type(final(estimator)).__module__.startswith("sklearnex") == (name in ("rbf_svm", "poly_svm"))
    again = load_miner(tmp_path / "0")
    assert type(final(again.estimator)).__module__.startswith("sklearn.")
    assert np.array_equal(again.predict(made, everything), estimator.predict(made.X))
    assert np.array_equal(again.predict(made, everything), fitted(name).predict(made, everything))
