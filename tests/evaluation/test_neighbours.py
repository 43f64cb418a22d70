"""Nearest train rows: they are the nearest, they doubt the labels that were planted wrong, and few others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.config.mine import Mine, Miner
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.evaluation.neighbours import neighbours
from tasks.features.view import load_view
from tasks.mine import mine
from tasks.reporting import neighbours as page
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read
from tests.fixtures.views import write_view
from tests.fixtures.written import written

N = 600
IDS = np.array([f"r{i:03d}" for i in range(N)])
SPLIT = np.array((["train"] * 7 + ["val"] + ["test"] * 2) * (N // 10))
KEY = "near@deep"


def world(home: Path, *, wrong: float = 0.0, label: np.ndarray | None = None, objective: str = "") -> np.ndarray:
    """Three groups of rows; (N,) which held-out rows have a label of another group."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, N)
    X = 6 * np.eye(3, 4)[group] + rng.normal(size=(N, 4))
    planted = (rng.random(N) < wrong) & (SPLIT != "train")
    said = np.where(planted, (group + 1) % 3, group)
    known = np.array([f"group {g}" for g in said]) if label is None else label
    write_view(home, "deep", X, ids=IDS, split=SPLIT, label=known, order=rng.permutation(N))
    if objective:
        write_view(home, "network", X[:, :1], ids=IDS, split=SPLIT, label=known, objective=objective)
    return planted


def run(home: Path, **more: Any) -> tuple[Any, dict[str, Any]]:
    chosen = {"near": Miner(miner="nearest_neighbours", views=("deep",), **more)}
    at = {"items": home / "items", "features": home, "miners": home / "m"}
    mine(params=Mine(miners=chosen), progress=Progress(quiet=True), **at)
    return read(home / "m" / PREDICTIONS), read_json(home / "m" / SUMMARY)


@pytest.mark.parametrize("limit", [None, 50])
def test_the_nearest_are_the_nearest_train_rows_by_id(limit: int | None, tmp_path: Path) -> None:
    world(tmp_path)
    table, _ = run(tmp_path, max_rows=limit)
    view = load_view(tmp_path, "deep")
    seen = {i for ids in table[f"{KEY}.like"].to_pylist() for i in ids}
    assert len(seen) <= (limit or N)
    assert seen <= set(IDS[SPLIT == "train"].tolist())
    for row in table.to_pylist()[:40]:
        x = view.X[view.ids == row["id"]]
        distance = np.linalg.norm(view.X - x, axis=1)
        own = [float(distance[view.ids == i][0]) for i in row[f"{KEY}.like"]]
        assert row[f"{KEY}.distance"] == pytest.approx(own, abs=1e-3)
        assert own == sorted(own)
        assert len(own) == 8
        if limit is None:
            assert own == pytest.approx(np.sort(distance[view.rows("train")])[:8].tolist(), abs=1e-3)


def test_they_vote_where_there_are_classes_or_numbers_and_only_stand_there_where_nothing_is_known(
    tmp_path: Path,
) -> None:
    world(tmp_path / "classes")
    table, told = run(tmp_path / "classes")
    assert told["miners"]["near"]["kind"] == "classifier"
    right = [row[KEY] == row["label"] for row in table.to_pylist()]
    assert np.mean(right) > 0.98
    assert f"{KEY}.probability" in table.column_names
    world(tmp_path / "numbers", label=np.array([f"{i % 7}.5" for i in range(N)]), objective="regression")
    table, told = run(tmp_path / "numbers")
    assert told["miners"]["near"]["kind"] == "regressor"
    assert table[KEY].to_numpy().dtype == np.float64
    world(tmp_path / "nothing", label=np.array([None] * N))
    table, told = run(tmp_path / "nothing")
    assert told["miners"]["near"]["kind"] == "neighbours"
    assert table.column_names == ["id", "split", "label", f"{KEY}.like", f"{KEY}.distance"]
    assert written(neighbours(table, KEY, load_view(tmp_path / "nothing", "deep")))["agree"] is None


def test_planted_labels_are_doubted(tmp_path: Path) -> None:
    planted = world(tmp_path, wrong=0.1)
    table, _ = run(tmp_path)
    found = written(neighbours(table, KEY, load_view(tmp_path, "deep")))
    ids = {row["id"] for row in found["doubtful"]}
    wrong = set(IDS[planted].tolist())
    assert 10 < len(wrong) == len(ids & wrong)
    assert found["doubted"] - len(ids & wrong) <= 2
    assert found["rows"] == (SPLIT != "train").sum()
    assert all(row["label"] != row["other"] and row["share"] >= 0.75 for row in found["doubtful"])
    told = page.sentence(found)
    assert f"{found['doubted']} rows have neighbours" in told
    rows = page.wanted([], [], found["doubtful"])
    lines = page.lines(rows, table, KEY, load_view(tmp_path, "deep"))
    assert len(lines) == page.SUSPICIOUS
    assert lines[0]["agree"].startswith("0 of 8 neighbours have its label, 8 have “group")
    assert lines[0]["items"][0]["id"] == found["doubtful"][0]["id"]
    assert len(lines[0]["items"]) == 1 + page.NEAR


def test_clean_labels_are_left_alone(tmp_path: Path) -> None:
    world(tmp_path)
    table, _ = run(tmp_path)
    found = written(neighbours(table, KEY, load_view(tmp_path, "deep")))
    assert found["doubted"] == 0
    assert found["agree"] > 0.99
    assert "No row has neighbours that agree on another label" in page.sentence(found)


def test_fewer_train_rows_than_neighbours_are_all_that_is_near(tmp_path: Path) -> None:
    ids, split = np.array(list("abcdef")), np.array(["train"] * 4 + ["test"] * 2)
    write_view(tmp_path, "deep", np.arange(6.0)[:, None], ids=ids, split=split, label=np.array(list("xyxyxy")))
    table, _ = run(tmp_path)
    assert table[f"{KEY}.like"].to_pylist() == [["d", "c", "b", "a"]] * 2
    assert table[f"{KEY}.distance"].to_pylist() == [[1, 2, 3, 4], [2, 3, 4, 5]]


def test_each_row_is_shown_once_for_its_first_reason() -> None:
    galleries = [
        {"title": "Typical: right", "groups": [{"items": [{"id": i}, {"id": f"{i}2"}]} for i in "abcd"]},
        {"title": "Confused: wrong", "groups": [{"items": [{"id": i} for i in "dxyz"]}]},
        {"title": "Empty", "groups": []},
    ]
    found = page.wanted(galleries, ["x", "u"], [{"id": "b"}])
    assert found == [
        ("b", "Likely wrong label?"), ("a", "Typical"), ("c", "Typical"), ("d", "Confused"), ("x", "Confused"),
        ("y", "Confused"), ("u", "Outlier"),
    ]  # fmt: skip
