"""Digests of rows: the same however rows are ordered and sharded, another for any other value."""

import datetime
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.storage.row_digest import LONG, ROWS, row_digests
from tasks.storage.store import vector_column


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
    assert f"{found:064x}" == "69456efedd3623046ae31996f70589677685f568ff749a21dc2620973dc45018"


DAY = datetime.datetime(2020, 2, 29, 12)
#: Columns as tables and features bring them: four values each, no two alike, the second missing.
KINDS: dict[str, pa.Array] = {
    "float": pa.array([0.0, None, -1.5, float("nan")], pa.float32()),
    "integer": pa.array([0, None, -1, 7], pa.int16()),
    "unsigned": pa.array([2**64 - 1, None, 0, 7], pa.uint64()),
    "moment": pa.array([DAY, None, datetime.datetime(1, 1, 1), datetime.datetime.max], pa.timestamp("us")),
    "moment, zone": pa.array([DAY, None, DAY.replace(year=1904), DAY.replace(year=2096)], pa.timestamp("s", "UTC")),
    "day": pa.array([DAY.date(), None, datetime.date.min, datetime.date.max]),
    "dictionary": pa.array(["a", None, "b", ""]).dictionary_encode(),
    "large text": pa.array(["a", None, "b", ""], pa.large_string()),
    "floats": pa.array([[1.0, 2.0], None, [], [None, 3.0]], pa.list_(pa.float32())),
    "integers": pa.array([[1, 2], None, [], [None, 3]], pa.list_(pa.int32())),
    "vector": pa.array([[1.0, 2.0], None, [0.0, 0.0], [2.0, 1.0]], pa.list_(pa.float32(), 2)),
    "texts": pa.array([["a", "b"], None, [], ["ab"]]),
    "steps": pa.array([[[1.0, 2.0], [3.0]], None, [], [[1.0], [2.0, 3.0]]]),
    "record": pa.array([{"a": 1}, None, {"a": 2}, {"a": None}]),
}


@pytest.mark.parametrize("name", KINDS)
def test_columns_of_every_kind(name: str) -> None:
    whole = pa.table({"id": ["a", "b", "c", "d"], "x": KINDS[name]})
    single = [row_digests(whole.slice(i, 1)) for i in range(4)]
    assert len(set(single)) == 4
    assert sum(single) % 2**256 == row_digests(whole) == row_digests(whole.take([2, 0, 3, 1]))
    # what is missing from a part may not change how the rest of it counts
    parts = row_digests(whole.slice(0, 1)) + row_digests(whole.slice(2))
    assert parts % 2**256 == row_digests(whole.take([0, 2, 3]))
    values = whole["x"].combine_chunks()
    swapped = whole.set_column(1, "x", values.take(pa.array([2, 1, 0, 3])))
    assert row_digests(swapped) != row_digests(whole)
    alone = pa.table({"x": whole["x"]})
    assert len({row_digests(alone.slice(i, 1)) for i in range(4)}) == 4


def test_a_column_of_nothing() -> None:
    whole = pa.table({"id": ["a", "b", "c"], "x": pa.nulls(3)})
    assert sum(row_digests(whole.slice(i, 1)) for i in range(3)) % 2**256 == row_digests(whole)
    assert row_digests(whole.take([2, 0, 1])) == row_digests(whole)


def test_more_rows_than_are_hashed_at_a_time() -> None:
    whole = pa.table({"n": np.arange(2 * ROWS + 5), "text": ["x" * (i % 50) for i in range(2 * ROWS + 5)]})
    parts = [row_digests(whole.slice(i, 1000)) for i in range(0, len(whole), 1000)]
    assert sum(parts) % 2**256 == row_digests(whole)
    assert row_digests(whole.slice(0, 0)) == 0


def test_another_process_comes_to_the_same() -> None:
    """Lists of texts once counted by where they lay in memory."""
    code = """
from tests.storage.test_row_digest import KINDS, row_digests
import pyarrow as pa
print(*(row_digests(pa.table({"x": column})) for column in KINDS.values()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    assert [int(n) for n in done.stdout.split()] == [row_digests(pa.table({"x": c})) for c in KINDS.values()]
