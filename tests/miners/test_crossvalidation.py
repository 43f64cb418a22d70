"""Few val rows: folds choose in their place, as splits are made, and the miner is then fitted on train and val rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.config.mine import Mine, Miner
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.evaluation.fusion import Choice
from tasks.evaluation.scorers import Classes, Said
from tasks.features.view import load_view
from tasks.mine import mine
from tasks.miners import Task
from tasks.miners.crossvalidation import TIMES, choose, folds_for, held_out, out_of_fold, refitted
from tasks.miners.fitting import Fit, Job, fit, fit_best
from tasks.miners.persistence import load_miner
from tasks.miners.probability_calibration import calibrate, response
from tasks.splitting.folds import ENOUGH, Cases, cases_of, rank
from tasks.stats.resampling import Resampling
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import Writer, read
from tests.fixtures.views import write_view

TRAIN, VAL, TEST = 120, 5, 60
N = TRAIN + VAL + TEST
IDS = np.array([f"r{i:03d}" for i in range(N)])
SPLIT = np.array(["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST)


def planted(home: Path, name: str = "raw", seed: int = 0, flip: int = VAL) -> np.ndarray:
    """Two classes on either side of a ring, which takes a deep tree; of the val rows the first ``flip`` say the contrary."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 2))
    inside = np.abs(X).max(1) < 0.9
    label = np.where(inside, "in", "out")
    val = np.flatnonzero(SPLIT == "val")[:flip]
    label[val] = np.where(inside[val], "out", "in")
    write_view(home / "features", name, X, ids=IDS, split=SPLIT, label=label)
    return label


def job(home: Path, miner: str = "decision_tree", view: str = "raw", **more: Any) -> Job:
    found = load_view(home / "features", view)
    return Job("m", miner, found, Task(names=("in", "out"), parts=found.parts), more.pop("params", {}), None, **more)


def of(made: Job, split: str) -> np.ndarray:
    return np.flatnonzero(made.view.rows(split))


def test_folds_choose_where_val_rows_are_few(tmp_path: Path) -> None:
    """Of five val rows with wrong labels the shallowest tree is right most often; out of fold a deep one is."""
    planted(tmp_path)
    made = job(tmp_path)
    found = choose(made, of(made, "train"))
    folds = folds_for(made, of(made, "train"))
    scores = {depth: out_of_fold(made, folds, {"max_depth": depth}).score for depth in (2, 4, 8, 16)}
    assert found["max_depth"] == max(scores, key=lambda depth: scores[depth])
    assert scores[found["max_depth"]] > scores[2] + 0.05
    on_val = {
        depth: (fit(made, of(made, "train"), {"max_depth": depth}).predict(made.view.X[of(made, "val")])
                == made.view.label[of(made, "val")]).mean()
        for depth in (2, 4, 8, 16)
    }  # fmt: skip
    assert max(on_val, key=lambda depth: on_val[depth]) != found["max_depth"], "val rows would have chosen another"


def test_the_figure_is_kept_and_the_miner_is_fitted_on_train_and_val_rows(tmp_path: Path) -> None:
    planted(tmp_path)
    miners = {"tree": Miner(miner="decision_tree", views=("raw",)),
              "near": Miner(miner="nearest_neighbours", views=("raw",)),
              "few": Miner(miner="rbf_svm", views=("raw",), max_rows=50)}  # fmt: skip
    at = {"items": tmp_path / "items", "features": tmp_path / "features", "miners": tmp_path / "miners"}
    facts = mine(params=Mine(miners=miners), progress=Progress(quiet=True), **at)
    told = read_json(tmp_path / "miners" / SUMMARY)
    assert set(told["folds"]) == {"tree@raw", "near@raw", "few@raw"}
    kept = told["folds"]["tree@raw"]
    assert (kept["rows"], kept["folds"]) == (TRAIN + VAL, 5 * TIMES)
    made = job(tmp_path)
    assert kept["score"] == out_of_fold(made, folds_for(made, of(made, "train")), told["chosen"]["tree@raw"]).score
    rows = {key: times["train_rows"] for key, times in facts["seconds_of"].items()}
    assert rows == {"tree@raw": TRAIN + VAL, "near@raw": TRAIN, "few@raw": 50}
    # the file knows val rows, what is kept of them was said by a tree that did not; test rows are told by the file's tree
    saved, table = (
        load_miner(tmp_path / "miners" / "tree@raw.skops"),
        read(tmp_path / "miners" / PREDICTIONS).to_pandas(),
    )
    for split in ("val", "test"):
        said = saved.predict(made.view, made.view.rows(split)).tolist()
        kept_said = table[table["split"] == split]["tree@raw"].tolist()
        assert (said == kept_said) == (split == "test")
    plain = fit(made, of(made, "train"), told["chosen"]["tree@raw"])
    assert plain.predict(made.view.X[of(made, "val")]).tolist() == table[table["split"] == "val"]["tree@raw"].tolist()


def test_val_rows_of_few_groups_are_few(tmp_path: Path) -> None:
    planted(tmp_path)
    groups = [f"g{i // 6}" for i in range(TRAIN)] + ["one"] * VAL + [f"t{i // 6}" for i in range(TEST)]
    for enough, folds in ((VAL, 15), (VAL + 1, 15)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.miners.crossvalidation.ENOUGH", enough)
            assert len(folds_for(job(tmp_path, cases=cases(groups)), of(job(tmp_path), "train"))) == folds
            assert bool(folds_for(job(tmp_path, cases=cases()), of(job(tmp_path), "train"))) == (enough > VAL)


def test_few_rows_are_in_other_folds_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path)
    made = job(tmp_path)
    judged = [test for _, test in folds_for(made, of(made, "train"))]
    times = [np.concatenate(judged[i : i + 5]) for i in range(0, len(judged), 5)]
    assert len(times) == TIMES
    assert all(np.array_equal(np.sort(time), np.sort(times[0])) for time in times)
    assert not np.array_equal(times[0], times[1])
    assert not np.array_equal(times[1], times[2])
    monkeypatch.setattr("tasks.miners.crossvalidation.FEW", TRAIN + VAL)
    assert len(folds_for(made, of(made, "train"))) == 5


def test_enough_val_rows_choose_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.miners.crossvalidation.ENOUGH", VAL)
    planted(tmp_path)
    made = job(tmp_path)
    assert folds_for(made, of(made, "train")) == []
    assert held_out(made, of(made, "train"))[1].tolist() == of(made, "val").tolist()


def cases(group: list[str] | None = None, time: Any = None, split: np.ndarray = SPLIT) -> Cases:
    ids = IDS.astype(object)
    label = np.array(["ab"[i % 2] for i in range(N)], dtype=object)
    groups = np.array(group if group else [""] * N, dtype=object)
    return Cases(ids, ids, label, groups, np.full(N, np.nan) if time is None else time)


def test_rows_of_a_group_and_copies_are_never_on_both_sides(tmp_path: Path) -> None:
    planted(tmp_path)
    group = [f"g{i // 6}" for i in range(N)]
    made = job(tmp_path, cases=cases(group))
    folds = folds_for(made, of(made, "train"))
    assert len(folds) == 5 * TIMES
    names = np.array(group)
    for train, test in folds:
        assert not set(names[train]) & set(names[test])
        assert not {"test"} & {*SPLIT[train], *SPLIT[test]}
    assert sorted(np.concatenate([test for _, test in folds])) == sorted([*range(TRAIN + VAL)] * TIMES)
    again = folds_for(job(tmp_path, cases=cases(group)), of(made, "train"))
    assert all(
        np.array_equal(a, b) for one, two in zip(folds, again, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_time_runs_forward_in_folds(tmp_path: Path) -> None:
    planted(tmp_path)
    made = job(tmp_path, cases=cases(time=np.arange(N, dtype=np.float64)))
    folds = folds_for(made, of(made, "train"))
    assert folds
    assert len({tuple(test) for _, test in folds}) == len(folds), "none is fitted twice"
    assert all(train.max() < test.min() for train, test in folds)


def test_what_folds_are_made_by_is_read_from_what_was_ingested(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string()), ("content", pa.string()), ("group", pa.string()), ("time", pa.float64())])
    writer = Writer(tmp_path / "raw", schema, "made by hand")
    order = np.random.default_rng(0).permutation(N)
    rows = {"id": IDS[order].tolist(), "content": [f"c{i // 2}" for i in order], "group": [f"g{i // 6}" for i in order],
            "time": order.astype(float) + 7.0 * (order >= TRAIN)}  # fmt: skip
    writer.add(pa.table(rows, schema=schema))
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    found = cases_of(tmp_path / "raw", IDS, np.full(N, "a"), SPLIT, False)
    assert found.ids.tolist() == IDS.tolist()
    assert found.content[:4].tolist() == ["c0", "c0", "c1", "c1"]
    assert found.group[6] == "g1"
    assert found.span == 8.0, "windows are as far apart as the splits are"


def test_deep_views_are_chosen_by_val_rows_first() -> None:
    assert rank("raw", 0.2, 0.9) > rank("raw", 0.8, 0.7)
    assert rank("deep", 0.2, 0.9) < rank("deep", 0.8, 0.7)
    assert rank("raw+deep", 0.8, 0.9) > rank("raw+deep", 0.8, 0.7)
    assert rank("raw", 0.8, None) == (0.8,)


def test_few_val_rows_of_the_raw_view_calibrate_nothing(tmp_path: Path) -> None:
    planted(tmp_path, flip=0)
    planted(tmp_path, "deep", flip=0)
    for view in ("raw", "deep"):
        made = job(tmp_path, "logistic", view, cases=cases([f"g{i // 6}" for i in range(N)]), params={"C": 1.0})
        done = Fit(made, of(made, "train"), fit(made, of(made, "train"), {}))
        found = calibrate(
            done, done.estimator, {}, of(made, "val"), response(done.estimator, made.view.X[of(made, "val")])
        )
        assert (found.on, found.rows) == ("train", TRAIN)


@pytest.mark.filterwarnings("ignore:n_components > n_samples")
def test_a_fold_holds_a_map_against_the_exact_machine_where_there_are_no_val_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.miners.fitting.KERNEL_ROWS", 60)
    monkeypatch.setattr("tasks.miners.fitting.cheap", lambda *_: False)
    planted(tmp_path)
    made = job(tmp_path, "rbf_svm")
    train = of(made, "train")
    learned, judged = held_out(made, train)
    assert len(learned) + len(judged) == TRAIN
    found = fit_best(made, train, {}, (learned, judged))
    assert found.weighed is not None
    assert found.weighed.map is not None
    assert found.weighed.exact is not None
    assert found.rows.tolist() == (train.tolist() if found.weighed.used == "map" else found.rows.tolist())


def test_what_is_fitted_again(tmp_path: Path) -> None:
    label = planted(tmp_path)
    made = job(tmp_path)
    train = of(made, "train")
    both = refitted(made, train, train)
    assert both is not None
    assert both.tolist() == list(range(TRAIN + VAL))
    assert refitted(made, train, train[:50]) is None
    assert refitted(job(tmp_path, "nearest_neighbours"), train, train) is None
    assert refitted(job(tmp_path, "kmeans"), train, train) is None
    assert refitted(made, train[:12], train[:12]) is None, "so many more rows would make another classifier of it"
    label[TRAIN] = "a class of its own"
    write_view(tmp_path / "features", "other", made.view.X, ids=IDS, split=SPLIT, label=label)
    rest = refitted(job(tmp_path, view="other"), train, train)
    assert rest is not None
    assert TRAIN not in rest.tolist()


def choice(rows: int, wrong: dict[str, int], folds: dict[str, float]) -> Choice:
    """``wrong``: how many of the val rows each verdict gets wrong, the last ones."""
    truth = np.array(["a", "b"] * rows)[:rows]
    other = np.where(truth == "a", "b", "a")
    by = {name: np.where(np.arange(rows) >= rows - n, other, truth) for name, n in wrong.items()}
    val = Said(np.arange(rows).astype(str), truth, by, {})
    return Choice(Classes(val, ["a", "b"], None, Resampling(0.95, 2000, 0)), val, folds)


def test_approaches_without_a_network_are_chosen_by_folds_and_a_network_must_be_better_than_chance() -> None:
    wrong = {"svm@raw": 2, "tree@raw": 0, "network": 1}
    few = choice(6, wrong, {"svm@raw": 0.9, "tree@raw": 0.7})
    assert few.best(["tree@raw", "svm@raw"]) == "svm@raw"
    assert few.simplest(["svm@raw", "network"]) == "svm@raw", "one row of six is within a standard error"
    assert choice(6, {"svm@raw": 5, "network": 0}, {}).simplest(["svm@raw", "network"]) == "network"
    many = choice(ENOUGH, wrong, {})
    assert many.best(["tree@raw", "svm@raw"]) == "tree@raw"
    assert many.simplest(["svm@raw", "network"]) == "svm@raw"
    assert choice(ENOUGH, {"svm@raw": 9, "network": 1}, {}).simplest(["svm@raw", "network"]) == "network"
    assert few.words("plain", "raw → SVM", False) == "Folds of train and val rows favour raw → SVM"
    assert many.words("plain", "raw → SVM", False) == "100 val rows favour raw → SVM"
    nothing = choice(0, {"svm@raw": 0, "network": 0}, {"svm@raw": 0.9})
    assert nothing.simplest(["svm@raw", "network"]) == "svm@raw"
