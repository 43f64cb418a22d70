"""Views: joined by id, refused when they are over different rows; sparse ones; labels not known; blocks of one size."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from tasks.core.errors import DeepmineError
from tasks.features.view import (
    Part,
    blocks,
    columns_of,
    has_view,
    load_view,
    trained_for,
    vector_columns,
)
from tasks.storage.store import read_manifest
from tests.fixtures.views import IDS, LABEL, SPLIT, N, thin, write_view


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
    with pytest.raises(DeepmineError, match="raw and deep are of different rows"):
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
    with pytest.raises(DeepmineError, match="damaged: missing"):
        load_view(tmp_path, "raw")


def test_a_sparse_view_is_what_was_written(tmp_path: Path) -> None:
    X = sparse.csr_array(thin(40).toarray() * (np.arange(N) % 7 > 0)[:, None])  # some rows without any feature
    write_view(tmp_path, "raw", X, order=np.random.default_rng(1).permutation(N), shards=3)
    view = load_view(tmp_path, "raw")
    assert isinstance(view.X, sparse.csr_array)
    assert (view.sparse, view.parts, view.X.dtype, view.X.indices.dtype) == (
        True,
        (Part(40, sparse=True),),
        np.float32,
        np.int32,
    )
    assert np.array_equal(view.X.toarray(), X.toarray())
    assert view.ids.tolist() == IDS.tolist()


def test_equal_sparse_rows_are_equal_bytes() -> None:
    one = sparse.csr_array((np.array([1, 2, 3], np.float32), np.array([0, 4, 2]), np.array([0, 3])), shape=(1, 5))
    two = sparse.csr_array((np.array([3, 2, 1], np.float32), np.array([2, 4, 0]), np.array([0, 3])), shape=(1, 5))
    assert [c.to_pylist() for c in vector_columns(one)] == [c.to_pylist() for c in vector_columns(two)]
    assert two.indices.tolist() == [2, 4, 0]  # what was given is left alone


def test_sparse_and_dense_views_lie_side_by_side(tmp_path: Path) -> None:
    raw, deep = thin(40), numbers(3)
    write_view(tmp_path, "raw", raw, shards=3)
    write_view(tmp_path, "deep", deep, order=np.arange(N)[::-1])
    view = load_view(tmp_path, "raw+deep")
    assert isinstance(view.X, sparse.csr_array)
    assert np.array_equal(view.X.toarray(), np.concatenate([raw.toarray(), deep], axis=1))
    assert (view.parts, columns_of(view.parts)) == ((Part(40, sparse=True), Part(3)), [slice(0, 40), slice(40, 43)])
    assert view.X.indices.dtype == np.int32


def test_a_sparse_view_says_which_of_its_features_are_dense(tmp_path: Path) -> None:
    write_view(tmp_path, "raw", thin(40), parts="[[38, true, false], [2, false, true]]")
    assert load_view(tmp_path, "raw").parts == (Part(38, sparse=True), Part(2, columns=True))
    write_view(tmp_path, "deep", numbers(3))
    assert load_view(tmp_path, "deep+raw").parts == (Part(3), Part(38, sparse=True), Part(2, columns=True))


def test_a_label_that_is_not_known_is_told(tmp_path: Path) -> None:
    label = LABEL.astype(object)
    label[[1, 5]] = None
    write_view(tmp_path, "deep", numbers(2), label=label, order=np.arange(N)[::-1])
    view = load_view(tmp_path, "deep")
    assert view.known.tolist() == [i not in (1, 5) for i in range(N)]
    assert view.label[1] == ""
    assert view.label[view.known].tolist() == label[view.known].tolist()


def test_labels_are_read_as_numbers(tmp_path: Path) -> None:
    write_view(tmp_path, "deep", numbers(2), label=np.array([f"{i} {-i / 4}" for i in range(N)]))
    view = load_view(tmp_path, "deep")
    assert view.targets(np.array([0, 8])).tolist() == [[0, 0], [8, -2]]
    assert view.targets(np.zeros(N, bool)).shape[0] == 0
    for label in ("1 2 3", "1", "a b"):
        write_view(tmp_path, "deep", numbers(2), label=np.array(["1 2"] * (N - 1) + [label]))
        with pytest.raises(DeepmineError, match="not all 2 numbers"):
            load_view(tmp_path, "deep").targets(np.ones(N, bool))


def test_the_network_says_what_it_was_trained_for(tmp_path: Path) -> None:
    assert not has_view(tmp_path, "network")
    assert trained_for(tmp_path) == "classification"
    write_view(tmp_path, "network", numbers(1), objective="regression")
    assert has_view(tmp_path, "network")
    assert trained_for(tmp_path) == "regression"
    assert "width" not in read_manifest(tmp_path / "network").metadata


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
