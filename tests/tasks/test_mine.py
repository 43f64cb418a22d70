"""Mining: the same train rows on every view, predictions by id for held-out rows, the same bytes each time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import config
from tasks.errors import DeepmineError
from tasks.mine import mine, train_rows
from tasks.miners.saved import load_miner
from tasks.progress import Progress
from tasks.store import PREDICTIONS, SUMMARY, fingerprint, read, read_manifest
from tasks.views import load_view
from tests.tasks.test_views import IDS, LABEL, SPLIT, N, write_view

MINERS = {
    "svm": config.Miner(miner="linear_svm", views=("raw", "deep", "raw+deep")),
    "few": config.Miner(miner="rbf_svm", views=("deep",), max_rows=9, params={"C": 2.0}),
    "groups": config.Miner(miner="kmeans", views=("deep", "raw")),
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


def run(features: Path, miners: Path, seed: int = 0, chosen: dict[str, config.Miner] = MINERS) -> dict[str, Any]:
    params = config.Mine(miners=chosen, seed=seed)
    return mine(params=params, features=features, miners=miners, progress=Progress(quiet=True))


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
    assert json.loads((tmp_path / "miners" / SUMMARY).read_text()) == {
        "svm": {"miner": "linear_svm", "clusterer": False},
        "few": {"miner": "rbf_svm", "clusterer": False},
        "groups": {"miner": "kmeans", "clusterer": True},
    }


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


def test_a_limit_takes_the_same_rows_of_every_view(features: Path, tmp_path: Path) -> None:
    views = [load_view(features, name) for name in ("raw", "deep", "raw+deep")]
    train = IDS[SPLIT == "train"].tolist()
    wanted = sorted(sorted(train, key=fingerprint)[:9])
    for view in views:
        rows = train_rows(view, 9)
        assert view.ids[rows].tolist() == wanted
        assert train_rows(view, None).tolist() == np.flatnonzero(SPLIT == "train").tolist()
        assert train_rows(view, len(train)).tolist() == train_rows(view, None).tolist()
        assert set(train_rows(view, 8)) < set(rows)
    assert wanted != train[:9]
    facts = run(features, tmp_path / "miners")
    rows_of = {key: times["train_rows"] for key, times in facts["seconds_of"].items()}
    assert rows_of == {key: 9 if key == "few@deep" else len(train) for key in KEYS}


def test_the_limited_fit_is_that_of_those_rows(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "miners")
    view = load_view(features, "deep")
    support = load_miner(tmp_path / "miners" / "few@deep.skops").estimator[-1]
    assert support.shape_fit_ == (9, 5)
    assert support.C == 2.0
    scaler = load_miner(tmp_path / "miners" / "few@deep.skops").estimator[0]
    np.testing.assert_allclose(scaler.mean_, view.X[train_rows(view, 9)].mean(0), rtol=1e-5)


def test_no_held_out_row_is_fitted_on(features: Path, tmp_path: Path) -> None:
    run(features, tmp_path / "one")
    for name in ("raw", "deep"):
        view = load_view(features, name)
        write_view(features, name, np.where(view.rows("train")[:, None], view.X, -view.X))
    run(features, tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {k: v for k, v in one.items() if k.endswith(".skops")} == {
        k: v for k, v in two.items() if k.endswith(".skops")
    }
    assert one["predictions/00000.parquet"] != two["predictions/00000.parquet"]


def test_clusters_are_as_many_as_classes_unless_said(features: Path, tmp_path: Path) -> None:
    chosen = {
        "own": config.Miner(miner="kmeans", views=("deep",)),
        "four": config.Miner(miner="kmeans", views=("deep",), params={"n_clusters": 4}),
    }
    run(features, tmp_path / "miners", chosen=chosen)
    found = [load_miner(tmp_path / "miners" / f"{k}@deep.skops").estimator.n_clusters for k in chosen]
    assert found == [3, 4]


def test_a_miner_that_stops_early_is_no_noise(features: Path, tmp_path: Path) -> None:
    hurried = {"svm": config.Miner(miner="linear_svm", views=("deep",), params={"max_iter": 1, "C": 1000.0})}
    assert run(features, tmp_path / "miners", chosen=hurried)["fits"] == 1


def test_a_view_that_is_not_there_is_refused(features: Path, tmp_path: Path) -> None:
    chosen = {"svm": config.Miner(miner="linear_svm", views=("deep", "wide"))}
    with pytest.raises(DeepmineError, match="wide: no finished data here"):
        run(features, tmp_path / "miners", chosen=chosen)
