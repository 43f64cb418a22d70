"""Components of a view: planted directions are found, with their names, their ends, and the items that stand there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csr_array

from tasks.features.view import load_view
from tasks.miners.pca import components
from tasks.reporting import components as page
from tests.fixtures.itemstore import write_items
from tests.fixtures.views import write_view

N = 400
IDS = np.array([f"r{i:03d}" for i in range(N)])
SPLIT = np.where(np.arange(N) % 4 == 0, "test", "train")


def world(home: Path, seed: int = 0, *, names: str = "", noise: bool = False) -> np.ndarray:
    """Ten features: two that move together and far, one that moves less, the others hardly; (N,) how far the two go."""
    rng = np.random.default_rng(seed)
    far, side = rng.normal(size=N), rng.normal(size=N)
    X = rng.normal(0, 0.1, (N, 10))
    if noise:
        X = rng.normal(size=(N, 10))
    else:
        X[:, 3] += 5 * far
        X[:, 7] -= 5 * far
        X[:, 1] += 2 * side
    more = {"names": names} if names else {}
    write_view(home, "raw", X, ids=IDS, split=SPLIT, label=np.where(far > 0, "up", "down"), **more)
    return far


def found(home: Path, *, items: bool = False) -> dict[str, Any]:
    view = load_view(home, "raw")
    return components({"raw": view}, home / ("items" if items else "none"), 0)["raw"]


def test_planted_directions_are_found_with_their_names(tmp_path: Path) -> None:
    world(tmp_path, names='["a","age","c","price","e","f","g","size","i","j"]')
    told = found(tmp_path)
    assert (told["rows"], told["width"], told["ninety"]) == (300, 10, 1)
    assert told["ratio"][0] > 0.9 > 0.1 > told["ratio"][1] > 0.05 > told["ratio"][2]
    assert sum(told["ratio"]) == pytest.approx(1)
    first, second = (dict(d["loadings"]) for d in told["directions"][:2])
    assert list(first)[:2] == ["price", "size"] or list(first)[:2] == ["size", "price"]
    assert first["price"] * first["size"] < 0
    assert abs(first["price"]) == pytest.approx(0.71, abs=0.02)
    assert next(iter(second)) == "age"


def test_the_rows_at_the_ends_are_those_that_go_furthest_and_train_rows(tmp_path: Path) -> None:
    far = world(tmp_path)
    direction = found(tmp_path)["directions"][0]
    train = np.flatnonzero(SPLIT == "train")
    order = train[np.argsort(far[train])]
    ends = [set(direction[end]["ids"]) for end in ("low", "high")]
    wanted = [set(IDS[order[:6]]), set(IDS[order[-6:]])]
    assert all(max(len(end & one) for one in wanted) >= 5 for end in ends)
    assert direction["loadings"] == []  # its features have no names
    labels = {direction[end]["labels"][0][0] for end in ("low", "high")}
    assert labels == {"up", "down"}
    assert all(direction[end]["labels"][0][1] == 1.0 for end in ("low", "high"))


def test_items_that_stand_out_at_an_end_are_told_and_chance_is_not(tmp_path: Path) -> None:
    far = world(tmp_path)
    rng = np.random.default_rng(1)
    held = np.column_stack([far > 1.2, rng.random((N, 40)) < 0.2])
    names = ["far out", *(f"chance {i}" for i in range(40))]
    write_items(tmp_path / "items", IDS.tolist(), SPLIT.tolist(), ["x"] * N, names, names, held)
    told = found(tmp_path, items=True)
    items = [told["directions"][0][end]["items"] for end in ("low", "high")]
    [one] = [item for end in items for item in end]
    assert one["item"] == "far out"
    assert one["lift"] > 4
    assert one["share"] == 1.0
    assert all(d[end]["items"] == [] for d in told["directions"][1:] for end in ("low", "high"))


def test_noise_has_no_direction(tmp_path: Path) -> None:
    world(tmp_path, noise=True)
    told = found(tmp_path)
    assert told["ratio"][0] < 0.2
    assert told["ninety"] >= 8


def test_test_rows_change_nothing(tmp_path: Path) -> None:
    world(tmp_path)
    before = found(tmp_path)
    view = load_view(tmp_path, "raw")
    other = np.where(view.rows("test")[:, None], 100.0, view.X)
    write_view(tmp_path, "raw", other, ids=IDS, split=SPLIT, label=view.label)
    assert found(tmp_path) == before


def test_sparse_features_have_components_too(tmp_path: Path) -> None:
    X = sparse.csr_array(sparse.random_array((N, 60), density=0.1, rng=0, dtype=np.float32))
    X = sparse.csr_array(X + sparse.csr_array(np.outer(np.arange(N) % 2, np.arange(60) < 5) * 3.0))
    write_view(tmp_path, "raw", X, ids=IDS, split=SPLIT, label=np.array([f"{i % 2}" for i in range(N)]))
    told = found(tmp_path)
    assert told == found(tmp_path)
    assert told["ratio"][0] > 5 * told["ratio"][1]
    dense = np.linalg.svd((X.toarray() - X.toarray()[SPLIT == "train"].mean(0))[SPLIT == "train"], compute_uv=False)
    assert told["ratio"][0] == pytest.approx(dense[0] ** 2 / (dense**2).sum(), rel=1e-3)


@pytest.mark.parametrize("kind", ["equal rows", "equal rows of many columns", "two rows", "one column"])
def test_little_says_little(kind: str, tmp_path: Path) -> None:
    shapes = {"equal rows": (N, 3), "equal rows of many columns": (N, 2100)}
    X = np.ones(shapes[kind]) if kind in shapes else np.random.default_rng(0).normal(size=(N, 1))
    split = np.array(["train"] * 2 + ["test"] * (N - 2)) if kind == "two rows" else SPLIT
    write_view(tmp_path, "raw", X, ids=IDS, split=split, label=np.array([None] * N))
    told = components({"raw": load_view(tmp_path, "raw")}, tmp_path / "none", 0)
    assert (told == {}) == (kind != "one column")
    if told:
        assert told["raw"]["ratio"] == [1.0]
        [part] = page.components(told)
        assert len(part["bars"]) == 1
        assert "only component" in part["sentence"]


def test_the_picture_falls_and_its_line_rises(tmp_path: Path) -> None:
    world(tmp_path)
    [part] = page.components({"deep": found(tmp_path)})
    heights = [bar["h"] for bar in part["bars"]]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == page.HEIGHT
    line = [float(point.partition(",")[2]) for point in part["line"].split()]
    assert line == sorted(line, reverse=True)
    assert line[-1] == pytest.approx(0, abs=1)
    assert len(page.Components([part]).row_ids) == 4 * 2 * 6


def test_sparse_rows_that_are_all_equal_have_no_directions(tmp_path: Path) -> None:
    for value in (0.0, 1.0):
        X = csr_array(np.full((N, 5), value, np.float32))
        write_view(tmp_path / str(value), "raw", X, ids=IDS, split=SPLIT, label=np.array([None] * N))
        assert components({"raw": load_view(tmp_path / str(value), "raw")}, tmp_path / "none", 0) == {}
