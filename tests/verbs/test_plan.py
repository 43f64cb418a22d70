"""plan: which shard an item belongs to, what is refused before anything runs, and what stands in the file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import STAGES
from tasks.config.clean import Clean, CleanText
from tasks.config.dataset import Chain, Dataset
from tasks.config.encoders import CNN, Encoders
from tasks.config.evaluate import CrossValidate, Evaluate, Report
from tasks.config.ingest import Ingest
from tasks.config.mine import Mine, Miner
from tasks.config.parsing import parse, plain
from tasks.config.source import Input, Source, Window
from tasks.config.train import Augment, AugmentSeries, Extract, Train
from tasks.config.validate import Validate, ValidTabular
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.plan import assign_shards, check_miners, plan, stage_slice
from tests.fixtures.images import class_folders, noise, write_image


def items(*names: str, size: int = 1) -> pa.Table:
    return pa.table({"id": list(names), "size": [size] * len(names)})


def shards(table: pa.Table) -> dict[str, int]:
    return dict(zip(table["id"].to_pylist(), table["shard"].to_pylist(), strict=True))


def test_items_fill_shards_in_order() -> None:
    assert shards(assign_shards(items("a", "b", "c", "d", "e"), None, 2)) == {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2}


def test_known_items_keep_their_shard_and_new_ones_follow() -> None:
    old = assign_shards(items("b", "d", "f"), None, 2)
    new = assign_shards(items("a", "b", "c", "d", "e", "f"), old, 2)
    assert shards(new) == {"b": 0, "d": 0, "f": 1, "a": 2, "c": 2, "e": 3}
    assert new["id"].to_pylist() == ["b", "d", "f", "a", "c", "e"]
    assert shards(assign_shards(items("a", "b", "c", "d", "e", "f", "g"), new, 2)) == {**shards(new), "g": 4}


def test_removed_items_leave_the_others_where_they_are() -> None:
    old = assign_shards(items("a", "b", "c", "d"), None, 2)
    assert shards(assign_shards(items("b", "d", "e"), old, 2)) == {"b": 0, "d": 1, "e": 2}


def test_changed_items_are_known_by_their_id() -> None:
    old = assign_shards(items("a", "b", "c"), None, 2)
    new = assign_shards(items("a", "b", "c", size=9), old, 2)
    assert shards(new) == shards(old)
    assert new["size"].to_pylist() == [9, 9, 9]


def test_smaller_shards_begin_anew_and_larger_ones_hold_for_what_comes() -> None:
    old = assign_shards(items("a", "b", "c", "d"), None, 2)
    assert shards(assign_shards(items("a", "b", "c", "d"), old, 1)) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert shards(assign_shards(items("a", "b", "c", "d", "e", "f", "g"), old, 3)) == {
        "a": 0, "b": 0, "c": 1, "d": 1, "e": 2, "f": 2, "g": 2,
    }  # fmt: skip


def make(tmp_path: Path, **sections: Any) -> Dataset:
    sections = {"ingest": Ingest(shard_rows=4), **sections}
    return Dataset(source=Source(path=str(tmp_path / "source")), **sections)


def run(tmp_path: Path, dataset: Dataset) -> tuple[dict[str, Any], list[str]]:
    """The plan as it was returned, and what it warned of."""
    said: list[str] = []
    made = plan(dataset=dataset, listing=tmp_path / "l.parquet", plan=tmp_path / "p.json", warn=said.append)
    assert read_json(tmp_path / "p.json") == made
    return made, said


def test_the_plan_holds_what_each_stage_depends_on(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=3)
    dataset = make(tmp_path)
    made, said = run(tmp_path, dataset)
    assert said == []
    assert set(made) == {"dataset", "source", "listing", *STAGES}
    assert made["source"] == plain(dataset)["source"]
    assert made["listing"]["rows"] == 6
    assert made["ingest"]["listing"] == made["listing"]
    assert {s for s in STAGES if "inputs" in made[s]} == set(STAGES) - {"mine", "crossvalidate", "evaluate"}
    assert {s for s in STAGES if "objective" in made[s]} == {"validate", "train", "mine", "evaluate", "report"}
    for stage in STAGES:
        values = made[stage]["params"]
        assert parse(type(getattr(dataset, stage)), values, stage) == getattr(dataset, stage)
        assert len(made[stage]["code"]) == 64
    assert shards(pq.read_table(tmp_path / "l.parquet")) == {
        "a/00.png": 0, "a/01.png": 0, "a/02.png": 0, "b/00.png": 0, "b/01.png": 1, "b/02.png": 1,
    }  # fmt: skip


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=3)
    first, _ = run(tmp_path, make(tmp_path))
    files = [tmp_path / "l.parquet", tmp_path / "p.json"]
    before = [(f.stat().st_ino, f.stat().st_mtime_ns, f.read_bytes()) for f in files]
    assert run(tmp_path, make(tmp_path))[0] == first
    assert [(f.stat().st_ino, f.stat().st_mtime_ns, f.read_bytes()) for f in files] == before


def test_only_what_depends_on_it_changes(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=3)
    first, _ = run(tmp_path, make(tmp_path))
    objective, _ = run(tmp_path, make(tmp_path, objective="autoencoder"))
    assert {k for k in first if first[k] != objective[k]} == {"validate", "train", "mine", "evaluate", "report"}
    second, _ = run(tmp_path, make(tmp_path, train=Train(epochs=3)))
    assert {k for k in first if first[k] != second[k]} == {"train"}
    write_image(tmp_path / "source/a/new.png", noise(99))
    third, _ = run(tmp_path, make(tmp_path, train=Train(epochs=3)))
    assert {k for k in first if second[k] != third[k]} == {"ingest", "listing"}


@pytest.mark.parametrize(
    ("stage", "kind", "params"),
    [
        ("clean", "text", Clean(text=CleanText(lower=False))),
        ("validate", "tabular", Validate(tabular=ValidTabular(max_missing=0.5))),
        ("train", "audio", Train(encoders=Encoders(audio=CNN(dense=(3,))))),
        ("train", "series", Train(augment=Augment(series=AugmentSeries(noise=0.5)))),
    ],
)
def test_what_is_turned_for_another_modality_changes_nothing(
    tmp_path: Path, stage: str, kind: Any, params: Any
) -> None:
    class_folders(tmp_path / "source", each=3)
    first, _ = run(tmp_path, make(tmp_path))
    assert run(tmp_path, make(tmp_path, **{stage: params}))[0] == first
    inputs = {"x": Input(modality=kind)}
    before, after = (
        stage_slice(make(tmp_path, inputs=inputs, **more), stage, {})["params"] for more in ({}, {stage: params})
    )
    assert before != after


@pytest.mark.parametrize("rows", [3, 3000])
def test_of_a_table_the_listing_is_one_row(tmp_path: Path, rows: int) -> None:
    (tmp_path / "rows.csv").write_text("age,label\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(rows)))
    dataset = Dataset(
        source=Source(path=str(tmp_path / "rows.csv")),
        inputs={"table": Input(modality="tabular", columns=("age",))},
    )
    made, said = run(tmp_path, dataset)
    assert (made["listing"]["rows"], said) == (1, [])
    assert made["ingest"]["inputs"]["table"]["columns"] == ["age"]
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("7,a\n")
    again, _ = run(tmp_path, dataset)
    assert {k for k in made if made[k] != again[k]} == {"ingest", "listing"}


def test_where_rows_are_read_from_may_move(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=3)
    first, _ = run(tmp_path, make(tmp_path))
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    moved = Dataset(source=Source(path=str(tmp_path / "elsewhere")), ingest=Ingest(shard_rows=4))
    second, _ = run(tmp_path, moved)
    assert {k for k in first if first[k] != second[k]} == {"source"}


def test_the_listing_is_kept_while_the_source_is_away(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=3)
    first, _ = run(tmp_path, make(tmp_path))
    before = (tmp_path / "l.parquet").read_bytes()
    (tmp_path / "source").rename(tmp_path / "unmounted")
    second, said = run(tmp_path, make(tmp_path))
    assert second == first
    assert said == [f"{tmp_path / 'source'} does not exist; continuing with the 6 items recorded last time"]
    assert (tmp_path / "l.parquet").read_bytes() == before


def test_a_source_that_never_was_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match="no such file or folder"):
        run(tmp_path, make(tmp_path))
    assert not (tmp_path / "p.json").exists()


def miner(**changes: Any) -> Mine:
    return Mine(miners={"mine": replace(Miner(miner="linear_svm", views=("raw",)), **changes)})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"miner": "linear_svn"}, "mine.miner: unknown miner 'linear_svn'. Did you mean 'linear_svm'?"),
        ({"views": ("deep", "row")}, "mine.views: unknown view 'row'. Did you mean 'raw'?"),
        ({"views": ("raw+dep",)}, "mine.views: unknown view 'dep'. Did you mean 'deep'?"),
        ({"params": {"c": 1.0}}, "mine.params: unknown parameter 'c'. Did you mean 'C'?"),
        ({"params": {"C": -1.0}}, "mine.params: The 'C' parameter of LinearSVC must be a float"),
        ({"params": {"C": "big"}}, "mine.params: The 'C' parameter of LinearSVC must be a float"),
        ({"miner": "kmeans", "params": {"n_clusters": "ten"}}, "mine.params: 'n_clusters' of kmeans is a whole number"),
        ({"miner": "kmeans", "params": {"n_clusters": 0}}, "mine.params: The 'n_clusters' parameter of KMeans"),
        ({"miner": "kmeans", "params": {"n_cluster": 3}}, "Did you mean 'n_clusters'?"),
    ],
)
def test_miners_that_could_not_run_are_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    class_folders(tmp_path / "source", each=1)
    with pytest.raises(DeepmineError) as caught:
        run(tmp_path, make(tmp_path, mine=miner(**changes)))
    assert str(caught.value).startswith("params.yaml: mine.miners.mine.")
    assert says in str(caught.value)
    assert not (tmp_path / "p.json").exists()


def test_miners_that_can_run_pass(tmp_path: Path) -> None:
    for changes in ({}, {"views": ("raw+deep",)}, {"miner": "kmeans", "params": {"n_clusters": 40}}):
        check_miners(make(tmp_path, mine=miner(**changes)), {})


def test_miners_that_passed_are_tried_again_for_another_objective(tmp_path: Path) -> None:
    class_folders(tmp_path / "source", each=1)
    numbers = miner(miner="gradient_boosting", params={"loss": "squared_error"})
    run(tmp_path, make(tmp_path, mine=numbers))
    with pytest.raises(DeepmineError, match=r"mine\.params: .*loss"):
        run(tmp_path, make(tmp_path, mine=numbers, objective="classification"))


@pytest.mark.parametrize("folds", [0, 3])
@pytest.mark.parametrize(
    "change",
    [
        {"train": Train(epochs=3)},
        {"clean": Clean(seed=1)},
        {"extract": Extract(seed=1)},
        {"mine": Mine(seed=1)},
        {"ingest": Ingest(shard_rows=4, val=0.2)},
        {"inputs": {"other": Input()}},
        {"objective": "autoencoder"},
        {"source": Source(path=".", window=Window(length=3))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_folds_depend_on_all_that_they_repeat_and_without_folds_on_nothing(
    tmp_path: Path, change: dict[str, Any], folds: int
) -> None:
    first = replace(make(tmp_path), crossvalidate=CrossValidate(folds=folds))
    before, after = (stage_slice(dataset, "crossvalidate", {}) for dataset in (first, replace(first, **change)))
    assert (before == after) == (not folds)
    if folds:
        assert parse(Chain, json.loads(json.dumps(after["chain"])), "chain") == replace(first, **change).chain


def test_what_stands_above_or_beside_the_folds_changes_none(tmp_path: Path) -> None:
    first = replace(make(tmp_path), crossvalidate=CrossValidate(folds=3))
    for change in ({"report": Report(seed=1)}, {"evaluate": Evaluate(seed=1)}, {"validate": Validate(leak=0.9)},
                   {"clean": Clean(text=CleanText(lower=False))}):  # fmt: skip
        assert stage_slice(replace(first, **change), "crossvalidate", {}) == stage_slice(first, "crossvalidate", {}), (
            change
        )  # type: ignore[arg-type]
    off = [replace(first, crossvalidate=CrossValidate(seed=seed)) for seed in (0, 1)]
    assert stage_slice(off[0], "crossvalidate", {}) == stage_slice(off[1], "crossvalidate", {})
