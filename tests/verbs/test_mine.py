"""Mining: the same train rows on every view, predictions by id for held-out rows, the same bytes each time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from tasks.config.mine import Mine, Miner
from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, read_json
from tasks.core.progress import Progress
from tasks.features.scaling import ViewScaler
from tasks.features.view import load_view
from tasks.mine import aim, mine
from tasks.miners import MINERS as REGISTRY
from tasks.miners import MOST_ROWS, fitting, kernel_approximation
from tasks.miners.fitting import lowest
from tasks.miners.hyperparameters import GRIDS
from tasks.miners.n_clusters import Curve
from tasks.miners.persistence import load_miner
from tasks.storage.names import NOISE, PREDICTIONS, SUMMARY
from tasks.storage.store import read, read_manifest
from tests.fixtures.views import IDS, LABEL, SPLIT, N, thin, write_view

MINERS = {
    "svm": Miner(miner="linear_svm", views=("raw", "deep", "raw+deep"), params={"C": 1.0}),
    "few": Miner(miner="rbf_svm", views=("deep",), max_rows=9, params={"C": 2.0}),
    "groups": Miner(miner="kmeans", views=("deep", "raw")),
}
KEYS = ["svm@raw", "svm@deep", "svm@raw+deep", "few@deep", "groups@deep", "groups@raw"]


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Two views in which the classes stand apart, their rows in different orders."""
    rng = np.random.default_rng(0)
    for name, width in {"raw": 4, "deep": 5}.items():
        X = rng.normal(size=(N, width))
        X[np.arange(N), np.arange(N) % 3] += 5
        write_view(tmp_path / "features", name, X, order=rng.permutation(N), shards=3)
    return tmp_path / "features"


def run(features: Path, miners: Path, seed: int = 0, chosen: dict[str, Miner] = MINERS) -> dict[str, Any]:
    params = Mine(miners=chosen, seed=seed)
    at = {"items": features.parent / "items", "features": features, "miners": miners}
    return mine(params=params, progress=Progress(quiet=True), **at)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_predictions_are_of_the_held_out_rows_by_id(features: Path, tmp_path: Path) -> None:
    facts = run(features, tmp_path / "miners")
    assert (facts["rows"], facts["fits"]) == (N, len(KEYS))
    table = read(tmp_path / "miners" / PREDICTIONS).to_pandas()
    held_out = SPLIT != "train"
    assert list(table.columns) == ["id", "split", "label", *KEYS]
    assert table["id"].tolist() == IDS[held_out].tolist()
    assert table["split"].tolist() == SPLIT[held_out].tolist()
    assert table["label"].tolist() == LABEL[held_out].tolist()
    for key in KEYS:
        name, _, view_name = key.partition("@")
        view, miner = load_view(features, view_name), load_miner(tmp_path / "miners" / f"{key}.skops")
        for row in table.itertuples(index=False):
            mask = view.ids == row.id
            assert str(miner.predict(view, mask)[0]) == row[3 + KEYS.index(key)]
        if name != "groups":
            assert (table[key] == table["label"]).mean() > 0.8
        else:
            assert set(table[key]) == {"0", "1", "2"}
    counts = read_manifest(tmp_path / "miners" / PREDICTIONS).counts
    assert counts == {"in": held_out.sum(), "accepted": held_out.sum(), "quarantined": {}}


def test_the_summary_tells_what_each_miner_is(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "miners")
    told = read_json(tmp_path / "miners" / SUMMARY)
    assert told["miners"] == {
        "svm": {"miner": "linear_svm", "clusterer": False, "kind": "classifier"},
        "few": {"miner": "rbf_svm", "clusterer": False, "kind": "classifier"},
        "groups": {"miner": "kmeans", "clusterer": True, "kind": "clusterer"},
    }
    assert (told["aim"], told["classes"]) == ("classification", ["a", "b", "c"])
    assert all(told[name] == {} for name in ("chosen", "curves", "skipped", "kernel_maps", "trees", "tree_nodes"))
    assert set(told["components"]) == {"raw", "deep"}
    assert set(told["stability"]) == {"groups@deep", "groups@raw"}
    assert set(told["calibrated"]) == {key for key in KEYS if not key.startswith("groups")}


def test_two_runs_give_the_same_bytes(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "one")
    run(features, tmp_path / "two")
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert {f"{key}.skops" for key in KEYS} < set(one)
    run(features, tmp_path / "three", seed=1)
    three = contents(tmp_path / "three")
    assert three["groups@deep.skops"] != one["groups@deep.skops"]
    assert three["few@deep.skops"] == one["few@deep.skops"]  # draws no random numbers


def test_every_miner_of_the_registry_writes_the_same_bytes_twice(features: Path, tmp_path: Path) -> None:
    few = {"random_forest": {"n_estimators": 10}, "gradient_boosting": {"max_iter": 10, "min_samples_leaf": 2}}
    chosen = {name: Miner(miner=name, views=("deep",), params=few.get(name, {})) for name in REGISTRY}
    for folder in ("one", "two"):
        assert run(features, tmp_path / folder, chosen=chosen)["skipped"] == {}
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) >= len(REGISTRY) + 2


def test_a_limit_takes_the_same_rows_of_every_view(features: Path, tmp_path: Path) -> None:
    views = [load_view(features, name) for name in ("raw", "deep", "raw+deep")]
    train = IDS[SPLIT == "train"].tolist()
    wanted = sorted(sorted(train, key=fingerprint)[:9])
    for view in views:
        rows = np.flatnonzero(view.rows("train"))
        some = lowest(view, rows, 9)
        assert view.ids[some].tolist() == wanted
        assert lowest(view, rows, None) is rows
        assert lowest(view, rows, len(train)) is rows
        assert set(lowest(view, rows, 8)) < set(some)
    assert wanted != train[:9]
    facts = run(features, tmp_path / "miners")
    rows_of = {key: times["train_rows"] for key, times in facts["seconds_of"].items()}
    # with labels they are fitted again on train and val rows, unless a person wants so many and no more
    both = len(train) + int((SPLIT == "val").sum())
    assert rows_of == {
        key: 9 if key == "few@deep" else len(train) if key.startswith("groups") else both for key in KEYS
    }  # fmt: skip


def test_the_limited_fit_is_that_of_those_rows(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "miners")
    view = load_view(features, "deep")
    support = load_miner(tmp_path / "miners" / "few@deep.skops").estimator[-1]
    assert support.shape_fit_ == (9, 5)
    assert support.C == 2.0
    scaler = load_miner(tmp_path / "miners" / "few@deep.skops").estimator[0]
    np.testing.assert_allclose(
        scaler.mean_, view.X[lowest(view, np.flatnonzero(view.rows("train")), 9)].mean(0), rtol=1e-5
    )


def test_no_test_row_is_fitted_on(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "one")
    for name in ("raw", "deep"):
        view = load_view(features, name)
        write_view(features, name, np.where(view.rows("test")[:, None], -view.X, view.X))
    run(features, tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {k: v for k, v in one.items() if k.endswith(".skops")} == {
        k: v for k, v in two.items() if k.endswith(".skops")
    }
    assert one["predictions/00000.parquet"] != two["predictions/00000.parquet"]


def test_clusters_are_as_many_as_classes_unless_said(features: Path, tmp_path: Path) -> None:
    chosen = {
        "own": Miner(miner="kmeans", views=("deep",)),
        "four": Miner(miner="kmeans", views=("deep",), params={"n_clusters": 4}),
    }
    run(features, tmp_path / "miners", chosen=chosen)
    found = [load_miner(tmp_path / "miners" / f"{k}@deep.skops").estimator.n_clusters for k in chosen]
    assert found == [3, 4]


def test_a_miner_that_stops_early_is_no_noise(features: Path, tmp_path: Path) -> None:
    hurried = {"svm": Miner(miner="linear_svm", views=("deep",), params={"max_iter": 1, "C": 1000.0})}
    assert run(features, tmp_path / "miners", chosen=hurried)["fits"] == 1


def test_a_view_that_is_not_there_is_refused(features: Path, tmp_path: Path) -> None:
    chosen = {"svm": Miner(miner="linear_svm", views=("deep", "wide"))}
    with pytest.raises(DeepmineError, match="wide: no finished data here"):
        run(features, tmp_path / "miners", chosen=chosen)


ALL = {
    "linear": Miner(miner="linear_svm", views=("raw", "deep", "raw+deep")),
    "rbf": Miner(miner="rbf_svm", views=("raw", "deep")),
    "ridge": Miner(miner="ridge", views=("raw", "raw+deep")),
    "logistic": Miner(miner="logistic", views=("raw",)),
    "trees": Miner(miner="gradient_boosting", views=("raw", "deep"), params={"min_samples_leaf": 2, "max_iter": 20}),
    "forest": Miner(miner="random_forest", views=("raw", "deep"), params={"n_estimators": 20}),
    "map": Miner(miner="nystroem_ridge", views=("deep",)),
    "groups": Miner(miner="kmeans", views=("raw", "deep")),
}


def world(tmp_path: Path, label: np.ndarray, objective: str, *, sparse: bool = False) -> Path:
    """Features that hold the (N, K) numbers ``label`` (or its classes) plainly, with some noise."""
    rng = np.random.default_rng(0)
    known = np.array([v is not None for v in label])
    numbers = np.zeros((N, 2))
    texts = [str(v).split() for v in label[known].tolist()]
    numbers[known, : len(texts[0]) if texts else 1] = [[float(v) for v in t] for t in texts] if texts else 0
    X = np.concatenate([numbers + rng.normal(0, 0.05, (N, 2)), rng.normal(size=(N, 2))], axis=1)
    raw = thin(30)
    write_view(tmp_path, "deep", X, label=label)
    write_view(tmp_path, "raw", raw if sparse else X[:, ::-1], label=label)
    write_view(tmp_path, "network", X[:, :1], label=label, objective=objective)
    return tmp_path


def predictions(miners: Path) -> Any:
    return read(miners / PREDICTIONS).to_pandas()


@pytest.mark.parametrize("outputs", [1, 2])
def test_numbers_are_predicted_as_numbers(outputs: int, tmp_path: Path) -> None:
    truth = np.random.default_rng(1).normal(5, 3, (N, outputs))
    label = np.array([" ".join(f"{v:.5f}" for v in row) for row in truth])
    facts = run(world(tmp_path, label, "regression" if outputs == 1 else "forecasting"), tmp_path / "m", chosen=ALL)
    table = predictions(tmp_path / "m")
    held_out = truth[SPLIT != "train"]
    assert read_json(tmp_path / "m" / SUMMARY)["aim"] == "regression"
    assert facts["skipped"] == {"logistic@raw": "it is a classifier, and the labels are numbers"}
    for key in ("linear@raw", "rbf@deep", "ridge@raw", "trees@deep", "forest@raw", "map@deep"):
        said = np.array(table[key].tolist()).reshape(len(held_out), -1)
        assert said.shape[1] == outputs
        assert np.abs(said - held_out).mean() < 0.6 * np.abs(held_out - held_out.mean(0)).mean(), key
        view, miner = load_view(tmp_path, key.partition("@")[2]), load_miner(tmp_path / "m" / f"{key}.skops")
        again = np.asarray(miner.predict(view, view.rows("test"))).reshape(-1, outputs)
        assert np.array_equal(again, said[table["split"] == "test"])
    assert set(table["groups@deep"]) <= {str(i) for i in range(10)}
    assert not any(c.endswith(".score") for c in table.columns)


def test_two_classes_have_scores_that_rank_the_second_higher(tmp_path: Path) -> None:
    label = np.array([str(i % 2) for i in range(N)])
    run(world(tmp_path, label, "classification"), tmp_path / "m", chosen=ALL)
    table = predictions(tmp_path / "m")
    second = table["label"] == "1"
    for key in ("linear@raw", "rbf@deep", "ridge@raw", "logistic@raw", "trees@deep", "forest@deep", "map@deep"):
        scores = table[f"{key}.score"]
        assert scores.dtype == np.float64
        assert scores[second].min() > scores[~second].max(), key
        assert ((scores > 0) == (table[key] == "1")).all(), key
    assert "groups@deep.score" not in table.columns


def test_three_classes_have_no_scores(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "m")
    assert not any(c.endswith(".score") for c in predictions(tmp_path / "m").columns)


def test_without_labels_only_clusterers_run_and_the_others_say_so(tmp_path: Path) -> None:
    lines: list[str] = []

    class Heard(Progress):
        def __call__(self, done: int, total: int, unit: str, note: str = "", always: bool = False) -> None:
            lines.append(note)

    world(tmp_path, np.array([None] * N), "autoencoder")
    params = Mine(miners=ALL)
    at = {"items": tmp_path / "items", "features": tmp_path, "miners": tmp_path / "m"}
    facts = mine(params=params, progress=Heard(quiet=True), **at)
    table = predictions(tmp_path / "m")
    assert list(table.columns) == ["id", "split", "label", "groups@raw", "groups@deep"]
    assert table["label"].isna().all()
    assert set(facts["skipped"]) == {f"{n}@{v}" for n, m in ALL.items() for v in m.views if n != "groups"}
    assert "there are no labels to learn" in lines[-1]
    summary = read_json(tmp_path / "m" / SUMMARY)
    assert summary["aim"] == "clusters"
    assert set(summary["curves"]) == {"groups@raw", "groups@deep"}
    assert sum(f", {c['chosen']} clusters by silhouette" in line for c in summary["curves"].values() for line in lines)


def test_rows_without_a_label_are_not_fitted_on_but_judged_all_the_same(tmp_path: Path) -> None:
    label = np.array([str(i % 2) for i in range(N)], dtype=object)
    label[::5] = None
    facts = run(world(tmp_path, label, "autoencoder"), tmp_path / "m", chosen=ALL)
    train = SPLIT == "train"
    fitted_on = train | (SPLIT == "val")  # once all is chosen
    assert facts["seconds_of"]["linear@deep"]["train_rows"] == (fitted_on & (np.arange(N) % 5 > 0)).sum()
    assert facts["seconds_of"]["groups@deep"]["train_rows"] == train.sum()
    table = predictions(tmp_path / "m")
    assert len(table) == (~train).sum()
    assert table["label"].isna().sum() == (~train & (np.arange(N) % 5 == 0)).sum()
    assert set(table["linear@deep"]) == {"0", "1"}


def test_sparse_features_are_for_linear_miners(tmp_path: Path) -> None:
    label = np.array([str(i % 2) for i in range(N)])
    facts = run(world(tmp_path, label, "classification", sparse=True), tmp_path / "m", chosen=ALL)
    assert set(facts["skipped"]) == {"rbf@raw", "trees@raw"}
    for key in ("linear@raw", "linear@raw+deep", "ridge@raw+deep", "forest@raw"):
        view, miner = load_view(tmp_path, key.partition("@")[2]), load_miner(tmp_path / "m" / f"{key}.skops")
        said = predictions(tmp_path / "m")
        assert np.array_equal(miner.predict(view, view.rows("test")), said[said["split"] == "test"][key])
    assert (predictions(tmp_path / "m")["linear@raw+deep"] == label[SPLIT != "train"]).mean() > 0.8


def test_what_is_left_open_is_chosen_on_val_rows(tmp_path: Path) -> None:
    """With one feature that tells and many that do not, strong regularisation is better; val rows see it."""
    rng = np.random.default_rng(0)
    n = 300
    ids, split = (
        np.array([f"r{i:03d}" for i in range(n)]),
        np.array((["train"] * 4 + ["val"] * 4 + ["test"] * 2) * (n // 10)),
    )
    label = np.array([str(i % 2) for i in range(n)])
    X = rng.normal(size=(n, 60))
    X[:, 0] += 2.0 * (np.arange(n) % 2)
    write_view(tmp_path, "deep", X, ids=ids, split=split, label=label)
    open_ = {
        "open": Miner(miner="linear_svm", views=("deep",)),
        "null": Miner(miner="linear_svm", views=("deep",), params={"C": None}),
        "given": Miner(miner="linear_svm", views=("deep",), params={"C": 1.0}),
    }
    train, val = split == "train", split == "val"
    right = [
        (make_pipeline(ViewScaler(), LinearSVC(C=c)).fit(X[train], label[train]).predict(X[val]) == label[val]).sum()
        for c in GRIDS["linear_svm"].dense
    ]
    best = GRIDS["linear_svm"].dense[int(np.argmax(right))]
    assert best < 100
    facts = run(tmp_path, tmp_path / "m", chosen=open_)
    assert facts["chosen"] == {"open@deep": {"C": best}, "null@deep": {"C": best}}
    machine = load_miner(tmp_path / "m" / "open@deep.skops").estimator[-1]
    assert (machine.C, machine.tol) == (best, 1e-4)
    write_view(tmp_path, "deep", X, ids=ids, split=np.where(split == "val", "test", split), label=label)
    facts = run(tmp_path, tmp_path / "m", chosen=open_)
    by_folds = facts["chosen"]["open@deep"]["C"]
    assert facts["chosen"] == {"open@deep": {"C": by_folds}, "null@deep": {"C": by_folds}}, (
        "without val rows folds choose"
    )
    assert by_folds < 100
    assert by_folds == load_miner(tmp_path / "m" / "open@deep.skops").estimator[-1].C


@pytest.mark.parametrize(
    ("objective", "label", "wanted"),
    [
        ("autoencoder", np.array([str(i % 3) for i in range(N)]), "classification"),
        ("autoencoder", np.array([f"{i / 7:.3f}" for i in range(N)]), "regression"),
        ("classification", np.array([f"{i / 7:.3f}" for i in range(N)]), "classification"),
        ("regression", np.array([str(i % 3) for i in range(N)]), "regression"),
        ("autoencoder", np.array([f"name {i}" for i in range(N)]), "classification"),
        ("autoencoder", np.array([f"{i} 2" if i % 2 else f"{i}" for i in range(N)]), "classification"),
        ("autoencoder", np.array(["same"] * N), "clusters"),
        ("autoencoder", np.array([None] * N), "clusters"),
    ],
)
def test_what_miners_learn_follows_from_objective_and_labels(
    objective: str, label: np.ndarray, wanted: str, tmp_path: Path
) -> None:
    write_view(tmp_path, "deep", np.zeros((N, 2)), label=label)
    assert aim(objective, load_view(tmp_path, "deep"), 0).aim == wanted


def test_labels_that_are_no_numbers_are_refused_for_regression(tmp_path: Path) -> None:
    write_view(tmp_path, "deep", np.zeros((N, 2)))
    write_view(tmp_path, "network", np.zeros((N, 1)), objective="regression")
    with pytest.raises(DeepmineError, match="its labels are not all 1 numbers"):
        run(tmp_path, tmp_path / "m", chosen={"groups": Miner(miner="kmeans", views=("deep",))})


GROUPERS = {"kmeans": "n_clusters", "mini_batch_kmeans": "n_clusters", "agglomerative": "n_clusters",
            "gaussian_mixture": "n_components"}  # fmt: skip


def blobs(tmp_path: Path, *, groups: int = 4, apart: int = 0, labels: bool = False) -> np.ndarray:
    """A view of ``groups`` tight groups and ``apart`` rows far from everything; the group of each row, or -1."""
    rng, n = np.random.default_rng(0), 200
    group = np.arange(n) % groups
    X = 20.0 * np.eye(groups)[group] + rng.normal(size=(n, groups))
    X[:apart] = rng.uniform(100, 1000, (apart, groups))
    group[:apart] = -1
    names = np.array([f"r{i:03d}" for i in range(n)])
    split = np.where(np.arange(n) % 5 == 0, "test", "train")
    label = np.array([f"class {g % 2}" for g in group]) if labels else np.array([None] * n)
    write_view(tmp_path, "deep", X, ids=names, split=split, label=label, order=rng.permutation(n))
    return group


def groupers(*clusters: int | str) -> dict[str, Miner]:
    """Each with the number of ``clusters``, if any."""
    return {
        name: Miner(miner=name, views=("deep",), params=dict(zip([parameter], clusters, strict=False)))
        for name, parameter in GROUPERS.items()
    }


def curves(miners: Path) -> dict[str, Any]:
    return read_json(miners / SUMMARY)["curves"]


def test_train_rows_say_how_many_clusters_where_nobody_does(tmp_path: Path) -> None:
    group = blobs(tmp_path)
    run(tmp_path, tmp_path / "m", chosen=groupers())
    found = curves(tmp_path / "m")
    assert found.keys() == {f"{name}@deep" for name in GROUPERS}
    for name, parameter in GROUPERS.items():
        curve = found[f"{name}@deep"]
        assert (curve["parameter"], curve["chosen"], curve["rows"]) == (parameter, 4, 160)
        assert curve["measure"] == ("bic" if name == "gaussian_mixture" else "silhouette")
        assert [k for k, _ in curve["values"]] == [2, 3, 4, 5, 6, 8, 10, 12, 15, 20]
        table = predictions(tmp_path / "m")
        pairs = set(zip(table[f"{name}@deep"], group[::5].tolist(), strict=True))
        assert len(pairs) == len(set(table[f"{name}@deep"])) == 4, name
    silhouettes = [v for _, v in found["kmeans@deep"]["values"]]
    assert max(silhouettes) > 0.8
    assert all(-1 <= v <= 1 for v in silhouettes)


def test_with_classes_there_are_as_many_clusters_but_for_auto(tmp_path: Path) -> None:
    blobs(tmp_path, labels=True)
    run(tmp_path, tmp_path / "m", chosen=groupers())
    assert curves(tmp_path / "m") == {}
    assert set(predictions(tmp_path / "m")["kmeans@deep"]) == {"0", "1"}
    run(tmp_path, tmp_path / "auto", chosen=groupers("auto"))
    assert {c["chosen"] for c in curves(tmp_path / "auto").values()} == {4}
    assert set(predictions(tmp_path / "auto")["kmeans@deep"]) == {"0", "1", "2", "3"}
    run(tmp_path, tmp_path / "three", chosen=groupers(3))
    assert curves(tmp_path / "three") == {}
    assert set(predictions(tmp_path / "three")["agglomerative@deep"]) == {"0", "1", "2"}


def test_the_most_is_best_by_silhouette_and_the_least_by_bic_the_fewest_of_equals() -> None:
    values = ((2, 0.1), (3, 0.4), (4, 0.4), (5, 0.1))
    assert Curve("n_clusters", "silhouette", 9, values).best == 3
    assert Curve("n_components", "bic", 9, values).best == 2


@pytest.mark.parametrize("rows", [2, 3])
def test_few_rows_leave_few_numbers_of_clusters(rows: int, tmp_path: Path) -> None:
    ids, split = np.array(["a", "b", "c", "d"][: rows + 1]), np.array(["train"] * rows + ["test"])
    X = np.arange(rows + 1, dtype=float)[:, None]
    write_view(tmp_path, "deep", X, ids=ids, split=split, label=np.array([None] * (rows + 1)))
    run(tmp_path, tmp_path / "m", chosen={k: v for k, v in groupers().items() if k != "gaussian_mixture"})
    assert {tuple(k for k, _ in c["values"]) for c in curves(tmp_path / "m").values()} == (
        {(2,)} if rows > 2 else set()
    )


def test_rows_that_are_all_alike_have_no_clusters_to_choose(tmp_path: Path) -> None:
    write_view(tmp_path, "deep", np.ones((N, 3)), label=np.array([None] * N))
    run(tmp_path, tmp_path / "m", chosen=groupers() | {"dense": Miner(miner="hdbscan", views=("deep",))})
    assert [v for _, v in curves(tmp_path / "m")["kmeans@deep"]["values"]] == [0.0] * 10
    assert curves(tmp_path / "m")["kmeans@deep"]["chosen"] == 2
    assert len(predictions(tmp_path / "m")) == (SPLIT != "train").sum()


def test_rows_of_no_cluster_are_noise(tmp_path: Path) -> None:
    group = blobs(tmp_path, apart=20)
    chosen = {"dense": Miner(miner="hdbscan", views=("deep",), params={"min_cluster_size": 15})}
    run(tmp_path, tmp_path / "m", chosen=chosen)
    said = predictions(tmp_path / "m")["dense@deep"].to_numpy()
    assert ((said == NOISE) == (group[::5] == -1)).all()
    assert set(said) == {"0", "1", "2", "3", NOISE}
    assert curves(tmp_path / "m") == {}


def test_what_keeps_all_distances_is_fitted_on_so_many_rows_unless_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs(tmp_path)
    for name in ("agglomerative", "hdbscan"):
        monkeypatch.setitem(MOST_ROWS, name, 50)
    chosen = {
        f"{name}{limit or ''}": Miner(miner=name, views=("deep",), max_rows=limit)
        for name in ("agglomerative", "hdbscan", "kmeans") for limit in (None, 90)
    }  # fmt: skip
    times = run(tmp_path, tmp_path / "m", chosen=chosen)["seconds_of"]
    assert {key.partition("@")[0]: t["train_rows"] for key, t in times.items()} == {
        "agglomerative": 50, "agglomerative90": 90, "hdbscan": 50, "hdbscan90": 90, "kmeans": 160, "kmeans90": 90,
    }  # fmt: skip


def test_a_rare_class_is_not_lost_where_a_part_of_the_rows_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, n = np.random.default_rng(0), 4000
    ids = np.array([f"r{i:04d}" for i in range(n)])
    split = np.array((["train"] * 8 + ["val", "test"]) * (n // 10))
    ranks = {i: fingerprint(i) for i in ids.tolist()}
    last = sorted(ids[split == "train"].tolist(), key=lambda i: ranks[i])[-3:]
    label = np.where(np.isin(ids, [*last, "r0008", "r0009"]), "fraud", "fine")
    X = rng.normal(size=(n, 4)) + 6 * (label == "fraud")[:, None]
    for name in ("raw", "deep"):
        write_view(tmp_path / "features", name, X, ids=ids, split=split, label=label)
    monkeypatch.setattr(fitting, "KERNEL_ROWS", 1000)
    monkeypatch.setattr(fitting, "CHEAP", 0.0)
    monkeypatch.setattr(kernel_approximation, "COMPONENTS", 50)
    chosen = {
        "svm": Miner(miner="linear_svm", views=("deep",)), "rbf": Miner(miner="rbf_svm", views=("deep",)),
        "some": Miner(miner="logistic", views=("deep",), max_rows=500),
    }  # fmt: skip
    run(tmp_path / "features", tmp_path / "miners", chosen=chosen)
    table = read(tmp_path / "miners" / PREDICTIONS).to_pandas()
    for key in ("svm@deep", "rbf@deep", "some@deep"):
        assert table.loc[table["label"] == "fraud", key].tolist() == ["fraud", "fraud"]


def test_boosting_is_fitted_to_the_measure_where_that_is_better(tmp_path: Path) -> None:
    """Numbers are judged by absolute error: with heavy tails that of squares chases what cannot be known."""
    rng = np.random.default_rng(0)
    n = 700
    X = rng.normal(size=(n, 3))
    truth = X[:, 0] * 2 + np.where(rng.random(n) < 0.15, 40 * rng.exponential(1, n), 0)
    write_view(
        tmp_path / "features", "raw", X, ids=np.array([f"r{i:03d}" for i in range(n)]), label=truth.astype(str),
        split=np.array(["train"] * 400 + ["val"] * 120 + ["test"] * 180),
    )  # fmt: skip
    nothing = np.zeros((n, 1))
    write_view(
        tmp_path / "features", "network", nothing, ids=np.array([f"r{i:03d}" for i in range(n)]),
        label=truth.astype(str), split=np.array(["train"] * 400 + ["val"] * 120 + ["test"] * 180), objective="regression",
    )  # fmt: skip
    squares = {"loss": "squared_error"}
    chosen = {
        "auto": Miner(miner="gradient_boosting", views=("raw",)),
        "squares": Miner(miner="gradient_boosting", views=("raw",), params=squares),
    }
    run(tmp_path / "features", tmp_path / "miners", chosen=chosen)
    told = read_json(tmp_path / "miners" / SUMMARY)
    assert told["chosen"] == {"auto@raw": {"loss": "absolute_error"}}
    table = read(tmp_path / "miners" / PREDICTIONS).to_pandas()
    test = table[table["split"] == "test"]
    error = {name: np.abs(test[f"{name}@raw"] - test["label"].astype(float)).mean() for name in chosen}
    assert error["auto"] < 0.9 * error["squares"]
