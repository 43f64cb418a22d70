"""Digests of rows: the same however rows are ordered and sharded, another for any other value."""

import numpy as np
import pyarrow as pa
import pytest

from tasks.digests import LONG, row_digests
from tasks.store import vector_column


def table(rows: int = 50) -> pa.Table:
    rng = np.random.default_rng(0)
    # lengths on both sides of where an item counts by its sha256, so that shards differ in how they are laid out
    items = [rng.bytes(int(n)) for n in rng.choice([0, 3, LONG, LONG + 1, 5000], rows)]
    return pa.table(
        {
            "id": [f"row {i}" * (i % 7 + 1) for i in range(rows)],
            "label": [None if i % 5 == 0 else "é" * (i % 3) for i in range(rows)],
            "n": pa.array(rng.integers(-9, 9, rows)),
            "x": pa.array(rng.random(rows)),
            "item": pa.array(items, pa.binary()),
            "fixed": pa.array([rng.bytes(13) for _ in range(rows)], pa.binary(13)),
            "v": vector_column(rng.standard_normal((rows, 5)).astype(np.float32)),
        }
    )


def test_parts_in_any_order_add_up() -> None:
    whole = table()
    order = np.random.default_rng(1).permutation(len(whole))
    for size in (1, 7, 50):
        parts = [whole.take(order[i : i + size]) for i in range(0, len(order), size)]
        assert sum(map(row_digests, parts)) % 2**256 == row_digests(whole)
    slices = [whole.slice(i, 9) for i in range(0, len(whole), 9)]
    assert sum(map(row_digests, slices)) % 2**256 == row_digests(whole)


@pytest.mark.parametrize("name", table(1).column_names)
def test_two_rows_that_exchange_a_value_are_others(name: str) -> None:
    before = table(20)
    place = before.column_names.index(name)
    order = [1, 0, *range(2, 20)]
    after = before.set_column(place, name, before[name].take(order))
    assert row_digests(after) != row_digests(before)


@pytest.mark.parametrize("length", [8, LONG, LONG + 1])
def test_every_bit_of_an_item_counts(length: int) -> None:
    data = bytearray(np.random.default_rng(2).bytes(length))
    seen = set()
    for place in (0, length // 2, length - 1):
        for bit in range(8):
            data[place] ^= 1 << bit
            seen.add(row_digests(pa.table({"item": pa.array([bytes(data)], pa.binary())})))
            data[place] ^= 1 << bit
    seen.add(row_digests(pa.table({"item": pa.array([bytes(data)], pa.binary())})))
    assert len(seen) == 25


def test_known_values() -> None:
    """The keys come out the same on every machine: a digest is kept in manifests that travel."""
    found = row_digests(pa.table({"id": ["a", "b"], "n": [1, 2]}))
    assert f"{found:064x}" == "e4fb713a5bdf21e2a202ac0e89a8c9f1229cb9caa4799e9d2594a1677cb68671"
