"""Views: joined by id, refused when they are over different rows; blocks of one size."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import DeepmineError
from tasks.store import Writer, vector_column
from tasks.views import COLUMNS, blocks, load_view, view_schema

N = 30
IDS = np.array([f"r{i:02d}" for i in range(N)])
SPLIT = np.array((["train"] * 6 + ["val", "test", "test", "train"]) * 3)
LABEL = np.array(["a", "b", "c"] * 10)


def write_view(
    features: Path, name: str, X: np.ndarray, *, ids: np.ndarray = IDS, split: np.ndarray = SPLIT,
    label: np.ndarray = LABEL, order: np.ndarray | None = None, shards: int = 2, mark: str = "", **more: str,
) -> None:  # fmt: skip
    """A view's store as `extract` leaves it, its rows in ``order``."""
    order = np.arange(len(ids)) if order is None else order
    mark = mark or f"mark of {name}"
    writer = Writer(features / name, view_schema(name, X.shape[1], mark, **more), mark)
    for part in np.array_split(order, shards):
        columns = [ids[part], np.char.add("content of ", ids[part]), split[part], label[part]]
        text = [pa.array(c.tolist(), pa.string()) for c in columns]
        assert len(text) == len(COLUMNS)
        values = vector_column(X[part].astype(np.float32))
        writer.add(pa.Table.from_arrays([*text, values], schema=writer.schema))
    writer.finish({"in": len(ids), "accepted": len(ids), "quarantined": {}})


def numbers(width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, width)).astype(np.float32)


def test_a_view_is_what_was_written(tmp_path: Path) -> None:
    X = numbers(3)
    write_view(tmp_path, "deep", X)
    view = load_view(tmp_path, "deep")
    assert (view.name, view.fingerprint) == ("deep", "mark of deep")
    assert view.ids.tolist() == IDS.tolist()
    assert view.split.tolist() == SPLIT.tolist()
    assert view.label.tolist() == LABEL.tolist()
    assert np.array_equal(view.X, X)
    assert view.X.dtype == np.float32
    assert view.rows("val").tolist() == (SPLIT == "val").tolist()
    assert view.rows("val", "test").sum() == 9


def test_views_are_joined_by_id_not_by_place(tmp_path: Path) -> None:
    raw, deep = numbers(2, 0), numbers(3, 1)
    write_view(tmp_path, "raw", raw, shards=3)
    write_view(tmp_path, "deep", deep, order=np.random.default_rng(2).permutation(N))
    for name, wanted in {"raw+deep": (raw, deep), "deep+raw": (deep, raw)}.items():
        view = load_view(tmp_path, name)
        assert view.name == name
        assert view.ids.tolist() == IDS.tolist()
        assert view.label.tolist() == LABEL.tolist()
        assert view.split.tolist() == SPLIT.tolist()
        assert np.array_equal(view.X, np.concatenate(wanted, axis=1))
        assert view.fingerprint == "+".join(f"mark of {part}" for part in name.split("+"))


@pytest.mark.parametrize("fault", ["one less", "another id"])
def test_views_over_different_rows_are_refused(fault: str, tmp_path: Path) -> None:
    write_view(tmp_path, "raw", numbers(2))
    keep = slice(None, -1) if fault == "one less" else slice(None)
    ids = IDS[keep].copy()
    if fault == "another id":
        ids[4] = "x04"
    write_view(tmp_path, "deep", numbers(3)[keep], ids=ids, split=SPLIT[keep], label=LABEL[keep])
    with pytest.raises(DeepmineError, match="raw and deep are over different rows"):
        load_view(tmp_path, "raw+deep")
    load_view(tmp_path, "deep")


def test_a_view_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    write_view(tmp_path, "raw", numbers(2))
    with pytest.raises(DeepmineError, match="no finished data here"):
        load_view(tmp_path, "raw+deep")
    shard = tmp_path / "raw" / "00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DeepmineError, match="damaged or missing"):
        load_view(tmp_path, "raw")


@pytest.mark.parametrize("size", [1, 4, 5, 10, 16])
def test_blocks_have_one_size_and_lose_nothing(size: int) -> None:
    values = np.arange(1, 31, dtype=np.uint8).reshape(10, 3)
    made = list(blocks(values, size))
    assert [b.shape for b, _ in made] == [(size, 3)] * -(-10 // size)
    assert all(b.dtype == np.uint8 for b, _ in made)
    assert np.array_equal(np.concatenate([b[:n] for b, n in made]), values)
    assert all((b[n:] == 0).all() for b, n in made)
    assert sum(n for _, n in made) == 10


def test_no_rows_are_one_block_of_padding() -> None:
    [(block, count)] = blocks(np.empty((0, 3), np.float32), 4)
    assert count == 0
    assert block.shape == (4, 3)
    assert block.dtype == np.float32
    assert not block.any()
