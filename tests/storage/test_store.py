"""The store gives back what was written, or says what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.errors import DeepmineError
from tasks.core.files import file_sha256, fingerprint, inside, read_json, write_json
from tasks.storage import store
from tasks.storage.names import STATE
from tasks.storage.scratch import Scratch

SCHEMA = pa.schema(
    [("id", pa.string()), ("label", pa.string()), ("n", pa.int64()), ("data", pa.binary()),
     ("v", pa.list_(pa.float32(), 3))]
)  # fmt: skip


def table(first: int = 0, rows: int = 6, **cells: Any) -> pa.Table:
    """``rows`` rows from number ``first`` on; ``cells`` replaces columns."""
    rng = np.random.default_rng(first)
    columns: dict[str, Any] = {
        "id": [f"{i:03d}" for i in range(first, first + rows)],
        "label": [None if i % 4 == 3 else "ab"[i % 2] for i in range(rows)],
        "n": list(range(rows)),
        "data": [rng.bytes(20) for _ in range(rows)],
        "v": [rng.normal(size=3).astype(np.float32).tolist() for _ in range(rows)],
    }
    return pa.Table.from_pydict({**columns, **cells}, schema=SCHEMA)


def write(folder: Path, *tables: pa.Table, made_by: str = "me", **quarantined: int) -> store.Manifest:
    writer = store.Writer(folder, SCHEMA, made_by)
    for part in tables:
        writer.add(part)
    rows = sum(t.num_rows for t in tables)
    return writer.finish({"in": rows + sum(quarantined.values()), "accepted": rows, "quarantined": quarantined})


def test_round_trip(tmp_path: Path) -> None:
    parts = [table(0), table(6, 4)]
    written = write(tmp_path / "s", *parts, broken=2)
    assert store.read_manifest(tmp_path / "s") == written
    assert store.read(tmp_path / "s").equals(pa.concat_tables(parts))
    assert store.read(tmp_path / "s", ["n", "id"]).column_names == ["n", "id"]
    assert [s.rows for s, _ in store.read_shards(tmp_path / "s")] == [6, 4]
    assert written.rows == 10
    assert written.counts == {"in": 12, "accepted": 10, "quarantined": {"broken": 2}}


def test_pandas_reads_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "s", table(0), table(6))
    write_json(tmp_path / "s" / STATE, {"mean": 1})
    frame = pd.read_parquet(tmp_path / "s")
    assert frame["id"].tolist() == [f"{i:03d}" for i in range(12)]
    assert list(frame.columns) == SCHEMA.names


def test_an_empty_store_still_has_its_columns(tmp_path: Path) -> None:
    write(tmp_path / "s")
    assert store.read(tmp_path / "s").schema.equals(SCHEMA)
    assert store.read(tmp_path / "s").num_rows == 0


@pytest.mark.parametrize(
    "wrong",
    [
        table().drop_columns(["n"]),
        table().append_column("more", pa.array([1] * 6)),
        table().rename_columns(["id", "lable", "n", "data", "v"]),
        table().set_column(2, "n", pa.array(range(6), pa.int32())),
    ],
    ids=["missing", "extra", "renamed", "type"],
)
def test_other_columns_are_refused(tmp_path: Path, wrong: pa.Table) -> None:
    writer = store.Writer(tmp_path / "s", SCHEMA, "me")
    with pytest.raises(ValueError, match="are not the store's"):
        writer.add(wrong)
    with pytest.raises(ValueError, match="are not the store's"):
        writer.link(Scratch(tmp_path / "scratch").put("key", wrong))


def test_without_a_manifest_it_is_unfinished(tmp_path: Path) -> None:
    write(tmp_path / "s", table())
    (tmp_path / "s" / store.MANIFEST).unlink()
    with pytest.raises(DeepmineError, match="no finished data here"):
        store.read(tmp_path / "s")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": "one", "shards": []}'])
def test_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    write(tmp_path / "s", table())
    (tmp_path / "s" / store.MANIFEST).write_text(text)
    with pytest.raises(DeepmineError, match=f"{store.MANIFEST}: damaged: .*deepmine doctor --mend"):
        store.read_manifest(tmp_path / "s")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s", table())
    path = tmp_path / "s" / store.MANIFEST
    write_json(path, {**read_json(path), "format": store.FORMAT + 1, "novel": True})
    with pytest.raises(DeepmineError, match=f"newer deepmine \\(format {store.FORMAT + 1}\\)"):
        store.read_manifest(tmp_path / "s")


def test_a_flipped_bit_is_named_and_never_consumed(tmp_path: Path) -> None:
    write(tmp_path / "s", table(0), table(6))
    path = tmp_path / "s" / "00001.parquet"
    sound = path.read_bytes()
    rng = np.random.default_rng(5)
    places = [0, len(sound) - 1, *rng.integers(0, len(sound), 20).tolist()]
    for place in places:
        broken = bytearray(sound)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        got = []
        with pytest.raises(DeepmineError, match=r"00001.parquet: damaged: missing, or its content"):
            got += [shard.name for shard, _ in store.read_shards(tmp_path / "s")]
        assert got == [], f"byte {place}"  # the comprehension never came to its end
        read = store.read_shards(tmp_path / "s")
        assert next(read)[0].name == "00000.parquet"  # the sound shard is given, the broken one is not
        with pytest.raises(DeepmineError, match="00001"):
            next(read)
        with pytest.raises(DeepmineError, match="00001"):
            store.read(tmp_path / "s", ["id"])
    path.write_bytes(sound)
    assert store.read(tmp_path / "s").num_rows == 12


def test_pages_carry_checksums_for_readers_without_the_manifest(tmp_path: Path) -> None:
    store.write_shard(tmp_path / "s", table(rows=1000).select(["data"]))
    data = bytearray((tmp_path / "s").read_bytes())
    data[len(data) // 2] ^= 1  # random bytes, which do not compress: the middle is in a page
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(tmp_path / "s", page_checksum_verification=True)


@pytest.mark.parametrize("change", ["missing", "shorter", "longer", "exchanged"])
def test_a_shard_that_is_not_the_one_written(tmp_path: Path, change: str) -> None:
    write(tmp_path / "s", table(0), table(6))
    path, other = tmp_path / "s" / "00001.parquet", tmp_path / "s" / "00000.parquet"
    data = path.read_bytes()
    path.unlink()
    if change != "missing":
        path.write_bytes({"shorter": data[:-1], "longer": data + b"\0", "exchanged": other.read_bytes()}[change])
    with pytest.raises(DeepmineError, match=r"00001.parquet"):
        store.read(tmp_path / "s")


def test_row_digest_ignores_order_and_sharding(tmp_path: Path) -> None:
    whole = table(0, 12)
    order = np.random.default_rng(0).permutation(12)
    one = write(tmp_path / "one", whole)
    many = write(tmp_path / "many", *(whole.take(order).slice(i, 5) for i in (0, 5, 10)))
    assert one.row_digest == many.row_digest
    assert len(many.shards) == 3
    assert store.row_digests(whole.select(["v", "n", "id", "data", "label"])) == store.row_digests(whole)


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", "x"), ("label", "z"), ("label", None), ("label", ""), ("n", 7), ("n", None), ("data", b""),
     ("data", b"\0"), ("v", [0.0, 0.0, 1e-30])],
)  # fmt: skip
def test_row_digest_changes_with_any_cell(column: str, value: Any) -> None:
    before = table(0)
    seen = {store.row_digests(before)}
    for i in (0, 2, 5):
        cells = before[column].to_pylist()
        assert cells[i] != value
        cells[i] = value
        seen.add(store.row_digests(table(0, **{column: cells})))
    assert len(seen) == 4


@pytest.mark.parametrize(("kind", "empty"), [(pa.string(), ""), (pa.binary(), b"")])
def test_row_digest_tells_nothing_from_empty(kind: pa.DataType, empty: Any) -> None:
    nothing, something = (pa.table({"a": pa.array([value], kind)}) for value in (None, empty))
    assert store.row_digests(nothing) != store.row_digests(something)


def test_row_digest_knows_where_a_cell_ends_and_how_often_a_row_stands() -> None:
    def pair(a: str, b: str) -> pa.Table:
        return pa.table({"a": [a], "b": [b]})

    assert store.row_digests(pair("ab", "c")) != store.row_digests(pair("a", "bc"))
    assert store.row_digests(pair("a", "b")) != store.row_digests(pair("b", "a"))
    twice = pa.concat_tables([pair("a", "b")] * 2)
    assert store.row_digests(twice) not in (0, store.row_digests(pair("a", "b")))
    assert store.row_digests(table(0).slice(2, 3)) == store.row_digests(table(0).take([2, 3, 4]))


@pytest.mark.parametrize(
    "counts",
    [
        {"in": 7, "accepted": 6, "quarantined": {}},
        {"in": 6, "accepted": 6, "quarantined": {"lost": 1}},
        {"in": 5, "accepted": 6, "quarantined": {}},
    ],
)
def test_unaccounted_rows_are_refused(tmp_path: Path, counts: dict[str, Any]) -> None:
    writer = store.Writer(tmp_path / "s", SCHEMA, "me")
    writer.add(table())
    with pytest.raises(ValueError, match="unaccounted"):
        writer.finish(counts)
    with pytest.raises(DeepmineError, match="no finished data"):
        store.read_manifest(tmp_path / "s")


def test_equal_content_gives_equal_manifest_bytes(tmp_path: Path) -> None:
    def manifest(name: str, *tables: pa.Table, made_by: str = "me") -> bytes:
        write(tmp_path / name, *tables, made_by=made_by)
        return (tmp_path / name / store.MANIFEST).read_bytes()

    first = manifest("a", table(0), table(6))
    assert manifest("b", table(0), table(6)) == first
    assert manifest("a", table(0), table(6)) == first  # over what stood there
    assert manifest("c", table(0), table(7)) != first
    assert manifest("d", table(0), table(6), made_by="you") != first


def test_equal_values_give_equal_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "same.json", {"x": 1, "y": {"b": 2, "a": 3}})
    write_json(tmp_path / "b" / "same.json", {"y": {"a": 3, "b": 2}, "x": 1})
    assert (tmp_path / "a" / "same.json").read_bytes() == (tmp_path / "b" / "same.json").read_bytes()
    assert fingerprint({"x": 1, "y": 2}) == fingerprint({"y": 2, "x": 1}) != fingerprint({"x": 1})


def test_a_writer_clears_what_an_unfinished_one_left(tmp_path: Path) -> None:
    write(tmp_path / "s", table(0), table(6), table(12))
    write(tmp_path / "s", table(0))
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["00000.parquet", store.MANIFEST]


def test_a_writer_keeps_the_files_that_it_is_told_of(tmp_path: Path) -> None:
    write(tmp_path / "s", table(0), table(6))
    (tmp_path / "s" / "_fitted.skops").write_bytes(b"fitted")
    (tmp_path / "s" / "_old.skops").write_bytes(b"stale")
    writer = store.Writer(tmp_path / "s", SCHEMA, "me", keep=["_fitted.skops"])
    writer.add(table(0))
    found = writer.finish({"in": 6, "accepted": 6, "quarantined": {}})
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["00000.parquet", "_fitted.skops", store.MANIFEST]
    assert found == write(tmp_path / "other", table(0))


def test_vectors_come_back_as_they_went() -> None:
    values = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    column = pa.chunked_array([store.vector_column(values[:2]), store.vector_column(values[2:])])
    np.testing.assert_array_equal(store.vectors(column), values)
    np.testing.assert_array_equal(store.vectors(column.slice(1, 3)), values[1:4])
    assert store.vectors(column.slice(0, 0)).shape == (0, 4)


def test_scratch_finds_what_was_put(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    assert scratch.find("key") is None
    path, sha256 = scratch.put("key", table(0))
    assert Scratch(tmp_path / "scratch").find("key") == (path, sha256)
    assert scratch.find("ke") is None
    assert file_sha256(path) == sha256
    assert pq.read_table(path).equals(table(0))


def test_damaged_scratch_is_not_found_and_goes(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    path, _ = scratch.put("key", table(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert scratch.find("key") is None
    assert not path.exists()


def test_prune_keeps_what_was_found_or_put(tmp_path: Path) -> None:
    before = Scratch(tmp_path)
    found, unused = (before.put(key, table(0))[0] for key in ("found", "unused"))
    (tmp_path / ".half.123").write_bytes(b"a killed stage's")
    scratch = Scratch(tmp_path)
    scratch.find("found")
    put, _ = scratch.put("put", table(6))
    scratch.prune()
    assert set(tmp_path.iterdir()) == {found, put}
    assert not unused.exists()
    Scratch(tmp_path / "nowhere").prune()


def test_linked_shards_equal_written_ones(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    writer = store.Writer(tmp_path / "linked", SCHEMA, "me")
    writer.link(scratch.put("key", table(0)))
    linked = writer.finish({"in": 6, "accepted": 6, "quarantined": {}})
    assert linked == write(tmp_path / "added", table(0))


def test_atomic_writes_leave_nothing_beside(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"ü": 1})
    write_json(tmp_path / "deep" / "a.json", {"ü": 2})
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.json"]
    assert read_json(tmp_path / "deep" / "a.json") == {"ü": 2}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "..", "a\0b", "link/x", "link"])
def test_no_name_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out").mkdir()
    (folder / "link").symlink_to(tmp_path / "out")
    with pytest.raises(DeepmineError, match="leads out of"):
        inside(folder, name)


def test_names_below_a_folder_that_is_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    for name in ("svm@raw+deep.skops", "a/b", "..a"):
        assert inside(tmp_path / "data", name) == tmp_path / "data" / name


def test_a_shard_whose_name_leads_elsewhere_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a", table())
    write(tmp_path / "b", table(9))
    manifest = read_json(tmp_path / "a" / store.MANIFEST)
    manifest["shards"][0]["name"] = "../b/00000.parquet"
    write_json(tmp_path / "a" / store.MANIFEST, manifest)
    with pytest.raises(DeepmineError, match="invalid name"):
        store.read(tmp_path / "a")
