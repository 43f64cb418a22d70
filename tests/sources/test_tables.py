"""Tables of values, streamed: what is wrong with a row costs the row alone, and none is lost or counted twice."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import sources
from tasks.config.source import Input, Join, Source
from tasks.core.errors import DeepmineError
from tasks.sources import Batch, delimited
from tasks.sources.rows import Seen

CELLS = {"table": Input(modality="tabular", columns=("x",))}


def table(folder: Path, text: str | bytes, name: str = "rows.csv", **keys: object) -> Source:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(path=str(path), **keys)  # type: ignore[arg-type]


def read(source: Source, inputs: dict[str, Input] = CELLS, rows: int = 1000, **more: object) -> list[Batch]:
    return list(sources.tables(source, inputs, rows, **more))  # type: ignore[arg-type]


def good(batches: list[Batch], *columns: str) -> list[tuple[object, ...]]:
    return [tuple(row[c] for c in columns) for b in batches for row in b.table.to_pylist()]


def bad(batches: list[Batch]) -> list[tuple[object, ...]]:
    return [(row["id"], row["reason"], row["detail"]) for b in batches for row in b.bad.to_pylist()]


def test_the_listing_of_a_table_is_a_row_a_file(tmp_path: Path) -> None:
    other = table(tmp_path, "k,y\n1,2\n", "other.csv")
    source = table(tmp_path, "x,k\n" + "1,2\n" * 50, join=Join(path=other.path, on="k"))
    found = sources.listing(source, CELLS)
    assert found.schema.equals(sources.LISTING)
    assert found["id"].to_pylist() == ["other.csv", "rows.csv"]
    assert found["size"].to_pylist() == [8, 204]
    assert found["label"].to_pylist() == [None, None]
    (tmp_path / "other.csv").unlink()
    assert not sources.exists(source)


def test_splits_of_another_kind_than_text(tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0], "fold": [0, 1], "of": [{"a": 1}, {"a": 2}]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    for split, says in (("fold", "'0' is no split"), ("of", "'of' holds struct")):
        source = Source(path=str(tmp_path / "rows.parquet"), split=split)
        with pytest.raises(DeepmineError, match=says):
            read(source)
    listing = sources.listing(source, CELLS)
    with pytest.raises(DeepmineError, match="'of' holds struct"):
        sources.official(source, CELLS, listing)
    assert sources.official(Source(path=source.path, split="fold"), CELLS, listing) == set()


def test_columns_and_places(tmp_path: Path) -> None:
    text = 'key,x,kind,fold,who\nA,1,NA,Validation,p1\n\nB,"two\nlines",00123,train,\n,3,,,p2\nC,"",nan,,p3\n'
    source = table(tmp_path, text, id="key", label="kind", split="fold", group="who")
    batches = read(source)
    assert good(batches, "id", "source", "label", "split", "group", "x") == [
        ("A", "rows.csv:2", "NA", "val", "p1", "1"),
        ("B", "rows.csv:4", "00123", "train", None, "two\nlines"),
        ("C", "rows.csv:7", "nan", None, "p3", ""),
    ]
    assert bad(batches) == [("rows.csv:6", "id missing", "column 'key'")]
    assert batches[0].table.column_names == ["id", "source", "label", "split", "group", "x"]
    assert sources.official(source, CELLS, sources.listing(source, CELLS)) == {"train", "val"}


def test_ragged_and_shifted_rows(tmp_path: Path) -> None:
    batches = read(table(tmp_path, 'x,y,label\n1,2,a\n1,"2\n2",3,b\n,,\n\n4,5\n6,7,c\n'))
    assert good(batches, "id", "source", "label") == [
        ("000000000", "rows.csv:2", "a"),
        ("000000002", "rows.csv:5", None),
        ("000000005", "rows.csv:8", "c"),
    ]
    assert bad(batches) == [
        ("rows.csv:3", "wrong number of cells", "4 instead of 3: '1,\"2\\n2\",3,b'"),
        ("rows.csv:7", "wrong number of cells", "2 instead of 3: '4,5'"),
    ]


def test_invalid_utf_8_is_told_with_its_place(tmp_path: Path) -> None:
    text = "x,label\n" + "ümläut,a\n" * 3
    batches = read(table(tmp_path, text.encode() + b"ab\xff,b\nfine,c\n"))
    assert bad(batches) == [("rows.csv:5", "invalid UTF-8", "column 'x', byte 2")]
    assert [x for (x,) in good(batches, "x")] == ["ümläut"] * 3 + ["fine"]


def test_ids_and_large_numbers_stay_text(tmp_path: Path) -> None:
    ids = ["00123", "9007199254740993", "9007199254740992", "-1", "1e5", "=cmd()"]
    text = "key,x\n" + "".join(f"{name},18446744073709551616\n" for name in ids)
    batches = read(table(tmp_path, text, id="key"))
    assert good(batches, "id", "x") == [(name, "18446744073709551616") for name in ids]


def test_duplicate_ids_in_blocks_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 4096)
    names = [f"k{i}" for i in range(3000)]
    names[2999], names[1500] = "k7", "k1499"
    text = "key,x\n" + "".join(f"{name},{i}\n" for i, name in enumerate(names))
    batches = read(table(tmp_path, text, id="key"), rows=64)
    assert bad(batches) == [
        ("rows.csv:1502", "duplicate id", "'k1499' stands above too"),
        ("rows.csv:3001", "duplicate id", "'k7' stands above too"),
    ]
    assert [b.table.num_rows for b in batches] == [64] * 46 + [54]
    assert [name for (name,) in good(batches, "id")] == [n for i, n in enumerate(names) if i not in (1500, 2999)]


def test_seen_is_exact_over_many_blocks() -> None:
    rng = np.random.default_rng(0)
    seen, before = Seen(), set[str]()
    for _ in range(20):
        names = [str(i) for i in rng.integers(0, 3000, 400)]
        expected = []
        for i, name in enumerate(names):
            if name in before:
                expected.append(i)
            before.add(name)
        assert seen.again(pa.array(names)).tolist() == expected


@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
def test_shards_are_the_same_however_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    lines = [f"{i},{'x' * (i % 40)}" if i % 13 else f"{i}" for i in range(500)]
    source = table(tmp_path, "x,label\n" + "\n".join(lines))
    whole = read(source, rows=rows)
    monkeypatch.setattr(delimited, "BLOCK", 300)
    parts = read(source, rows=rows)
    assert [b.table.to_pylist() for b in whole] == [b.table.to_pylist() for b in parts]
    assert [b.table.num_rows for b in whole][:-1] == [rows] * (461 // rows if 461 % rows else 461 // rows - 1)
    assert sorted(bad(whole)) == sorted(bad(parts))
    assert len(bad(whole)) + len(good(whole, "id")) == 500
    ids = [row[0] for row in good(whole, "id")]
    assert ids == sorted(ids)
    assert whole[-1].done == whole[-1].total


def test_a_table_of_bad_rows_alone_and_one_of_none(tmp_path: Path) -> None:
    batches = read(table(tmp_path, "key,x\n,1\n,2\n", id="key"))
    assert [b.table.num_rows for b in batches] == [0]
    assert len(bad(batches)) == 2
    pq.write_table(pa.table({"x": pa.array([], pa.string())}), tmp_path / "none.parquet")
    with pytest.raises(DeepmineError, match="holds no rows"):
        read(Source(path=str(tmp_path / "none.parquet")))


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 1 << 16)

    def peak(rows: int) -> int:
        source = table(tmp_path, "x,y\n" + "some text,1\n" * rows, f"{rows}.csv")
        before = most = pa.total_allocated_bytes()
        for batch in sources.tables(source, CELLS, 256):
            most = max(most, pa.total_allocated_bytes())
            assert batch.table.num_rows <= 256
        return most - before

    assert peak(200_000) < 1.5 * peak(20_000)


def test_a_cell_of_ten_megabytes(tmp_path: Path) -> None:
    batches = read(table(tmp_path, f'x,label\n1,a\n"{"long text " * 1_000_000}",b\n3,c\n'))
    assert [len(x) for (x,) in good(batches, "x")] == [1, 10_000_000, 1]
    with pytest.raises(DeepmineError, match=r"rows.csv:2: (from here on )?a row is longer than 16 MB"):
        read(table(tmp_path, f'x,label\n"{"long text " * 3_500_000}",b\n3,c\n'))


def test_parquet_is_typed(tmp_path: Path) -> None:
    data = pa.table({
        "x": [1.5, None, 3.0], "when": [date(2024, 1, 1)] * 3, "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "label": [3, None, 2**53 + 1], "key": [7, 8, 8], "lists": [[1.0, 2.0], None, []],
    })  # fmt: skip
    pq.write_table(data, tmp_path / "rows.parquet", row_group_size=2)
    source = Source(path=str(tmp_path / "rows.parquet"), id="key")
    inputs = {
        "table": Input(modality="tabular", columns=("x", "when", "kind")),
        "series": Input(modality="series", columns=("lists",)),
    }
    batches = read(source, inputs)
    assert good(batches, "id", "source", "label", "x", "kind", "lists") == [
        ("7", "rows.parquet:row 0", "3", 1.5, "a", [1.0, 2.0]),
        ("8", "rows.parquet:row 1", None, None, "b", None),
    ]
    assert bad(batches) == [("rows.parquet:row 2", "duplicate id", "'8' stands above too")]
    assert batches[0].table.schema.field("when").type == pa.date32()
    assert batches[0].table.schema.field("kind").type == pa.string()
    with pytest.raises(DeepmineError, match=r"the column 'lists' holds list<.*>, where texts or numbers are needed"):
        read(Source(path=source.path, label="lists"))


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"x": 1, "label": "a", "v": [1, 2]}', "", '{"x": 18446744073709551616, "label": true, "v": [null, 0.5]}',
        "{", "[1]", '{"x": 0.10, "label": null}', '{"x": {"q": 1}, "v": "none"}', '{"x": "\\ud800 NA", "label": "b"}',
    ]  # fmt: skip
    text = "\n".join(lines).encode() + b'\n{"x": "\xff"}\n'
    inputs = CELLS | {"series": Input(modality="series", columns=("v",))}
    batches = read(table(tmp_path, text, "rows.jsonl"), inputs)
    found = good(batches, "id", "source", "label", "x")
    assert found == [
        ("000000000", "rows.jsonl:1", "a", "1"),
        ("000000001", "rows.jsonl:3", "true", "18446744073709551616"),
        ("000000004", "rows.jsonl:6", None, "0.10"),
        ("000000006", "rows.jsonl:8", "b", "? NA"),
    ]
    assert [(name, reason) for name, reason, _ in bad(batches)] == [
        ("rows.jsonl:4", "broken JSON"),
        ("rows.jsonl:5", "broken JSON"),
        ("rows.jsonl:7", "mixed types"),
        ("rows.jsonl:9", "invalid UTF-8"),
    ]
    assert np.isnan(good(batches, "v")[1][0][0])  # type: ignore[index]
    with pytest.raises(DeepmineError, match="it begins with one JSON array"):
        read(table(tmp_path, json.dumps([{"x": 1}]), "rows.json"))


def test_json_lines_in_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.json_lines.BLOCK", 200)
    text = "".join(f'{{"x": "{i}"}}\n' for i in range(300))
    batches = read(table(tmp_path, text, "rows.jsonl"), rows=128)
    assert good(batches, "id", "source", "x") == [(f"{i:09d}", f"rows.jsonl:{i + 1}", str(i)) for i in range(300)]
    assert [b.table.num_rows for b in batches] == [128, 128, 44]


def test_an_unlabelled_table(tmp_path: Path) -> None:
    assert good(read(table(tmp_path, "x,y\n1,2\n")), "label") == [(None,)]
    assert good(read(table(tmp_path, "x,label\n1,2\n", label="")), "label") == [(None,)]


@pytest.mark.parametrize(
    ("text", "keys", "says"),
    [
        ("x,y\n1,2\n", {"label": "z"}, r"no column 'z' \(the label\)"),
        ("x,lable\n1,2\n", {}, r"no column 'label' \(the label\). Did you mean 'lable'"),
        ("y,label\n1,2\n", {}, r"no column 'x' \(the input 'table'\)"),
        ("x,label\n1,2\n", {"label": "x"}, "the label 'x' is among the columns of an input"),
        ("x,s\n1,train\n2,hold\n", {"split": "s"}, "rows.csv:3: 'hold' is no split"),
        ("x,s\n1,2\n", {"pattern": "(?P<label>.)"}, "pattern is for the names of files"),
        ("x,s\n1,2\n", {"split_by": "time", "time": "t"}, r"no column 't' \(the time\)"),
        ("x,s\n1,a\n", {"split_by": "time", "time": "s"}, r"the time\) holds 'a', which is no time that is known"),
        ("x,s\n1,1/2/2024\n2,3/4/2024\n", {"split_by": "time", "time": "s"}, "day/month or as month/day"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, keys: dict[str, object], says: str) -> None:
    with pytest.raises(DeepmineError, match=says):
        read(table(tmp_path, text, **keys))


def test_names_that_the_pipeline_has_itself(tmp_path: Path) -> None:
    inputs = {"table": Input(modality="tabular", columns=("x", "source"))}
    with pytest.raises(DeepmineError, match="deepmine has a column 'source' of its own"):
        read(table(tmp_path, "x,source\n1,web\n"), inputs)
    both = {"table": Input(modality="tabular", columns=("x", "group"))}
    batches = read(table(tmp_path, "x,group\n1,g\n", group="group"), both)
    assert good(batches, "x", "group") == [("1", "g")]


@pytest.mark.parametrize(
    "times",
    [
        [f"2024-01-{i:02d}" for i in range(1, 11)],
        [f"2024-01-01T00:{i:02d}:00Z" for i in range(1, 11)],
        [f"{i}.03.2024 10:00" for i in range(1, 11)],
        [f"{i}/13/2024" for i in range(1, 11)],
        [f"{i}/{i}/2024" for i in range(1, 11)],
        [str(i) for i in range(1, 11)],
        [f"{i}e-3" for i in range(1, 11)],
    ],
)
def test_splits_by_time(tmp_path: Path, times: list[str]) -> None:
    order = np.random.default_rng(1).permutation(10)
    text = "x,when\n" + "".join(f"{i},{times[i]}\n" for i in order) + "10,\n"
    source = table(tmp_path, text, split_by="time", time="when")
    batches = read(source, shares=(0.2, 0.3))
    expected = {str(i): "train" if i < 5 else "val" if i < 7 else "test" for i in range(10)}
    assert dict(good(batches, "x", "split")) == expected  # type: ignore[arg-type]
    assert bad(batches) == [("000000010", "no time", "column 'when'")]
    assert sources.official(source, CELLS, sources.listing(source, CELLS)) == {"val", "test"}
    assert {s for (s,) in good(read(source, shares=(0.0, 0.0)), "split")} == {"train"}


def test_times_are_kept_where_the_split_does_not_go_by_them(tmp_path: Path) -> None:
    source = table(tmp_path, "x,when\n1,2024-01-02\n2,\n3,2024-01-01\n", time="when")
    batches = read(source)
    assert good(batches, "x", ".time") == [("1", 1704153600.0), ("2", None), ("3", 1704067200.0)]
    assert bad(batches) == []


def test_rows_of_one_time_share_a_split(tmp_path: Path) -> None:
    text = "x,when\n" + "".join(f"{i},{i // 4}\n" for i in range(20))
    batches = read(table(tmp_path, text, split_by="time", time="when"), shares=(0.1, 0.1))
    of_time: dict[int, set[object]] = {}
    for x, split in good(batches, "x", "split"):
        of_time.setdefault(int(str(x)) // 4, set()).add(split)
    assert of_time == {0: {"train"}, 1: {"train"}, 2: {"train"}, 3: {"train"}, 4: {"test"}}


def join(folder: Path, text: str, how: str = "many_to_one") -> Join:
    (folder / "other.csv").write_text(text)
    return Join(path=str(folder / "other.csv"), on="k", how=how)  # type: ignore[arg-type]


BOTH = {"table": Input(modality="tabular", columns=("x", "y"))}


def test_a_join_of_many_rows_to_one(tmp_path: Path) -> None:
    added = join(tmp_path, "k,y,kind,who\n007,NA,cat,p1\nb,2,dog,p2\nunused,3,,\n")
    source = table(tmp_path, "k,x\nb,1\n007,2\n7,3\n,4\nb,5\n", join=added, label="kind", group="who")
    batches = read(source, BOTH)
    assert good(batches, "id", "x", "y", "label", "group") == [
        ("000000000", "1", "2", "dog", "p2"),
        ("000000001", "2", "NA", "cat", "p1"),
        ("000000004", "5", "2", "dog", "p2"),
    ]
    assert bad(batches) == [
        ("000000002", "no match in the joined table", "k = '7'"),
        ("000000003", "no match in the joined table", "k = None"),
    ]


def test_a_join_of_one_row_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    added = join(tmp_path, "k,y,t\n" + "".join(f"{i},{i},{i}\n" for i in range(40)), "one_to_one")
    text = "k,x\n" + "".join(f"{i},{i}\n" for i in range(40)) + "3,1\n41,1\n"
    source = table(tmp_path, text, join=added, split_by="time", time="t")
    batches = read(source, BOTH, shares=(0.0, 0.1))
    assert len(good(batches, "x")) == 40, "the pass that finds the cut uses no key up"
    assert bad(batches) == [
        ("000000040", "key of the joined table used twice", "k = '3'"),
        ("000000041", "no match in the joined table", "k = '41'"),
    ]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("k,y\na,1\nb,2\na,3\n", r"other.csv: k = 'a' stands in 2 rows"),
        ("q,y\na,1\n", "other.csv: no column 'k' to join on"),
        ("k,y\na,1\nb,1,2\n", r"other.csv:3: wrong number of cells"),
        ("k,y,x\na,1,2\n", "the column 'x' stands in the joined table too"),
    ],
)
def test_joins_that_are_refused(tmp_path: Path, other: str, says: str) -> None:
    with pytest.raises(DeepmineError, match=says):
        read(table(tmp_path, "k,x\na,1\n", join=join(tmp_path, other)), BOTH)


def test_a_key_that_only_the_other_table_has(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"no column 'k' \(the key to join on\)"):
        read(table(tmp_path, "q,x\na,1\n", join=join(tmp_path, "k,y\na,1\n")), BOTH)


def test_a_join_beside_files(tmp_path: Path) -> None:
    added = join(tmp_path, "k,y\na,1\nb,2\n")
    source = table(tmp_path, "path,k,label\n1.png,b,x\n2.png,c,y\n", join=added)
    inputs = {"image": Input(), "table": Input(modality="tabular", columns=("y",))}
    found = sources.listing(source, inputs).to_pylist()
    assert [(r["id"], r["path"], r["reason"], r["detail"]) for r in found] == [
        ("1.png", "1.png", None, None),
        ("2.png", "rows.csv:3", "no match in the joined table", "k = 'c'"),
    ]
    values = sources.values(source, inputs)
    assert values is not None
    assert values.to_pylist() == [{"id": "1.png", "path": "1.png", "y": "2"}]


def test_an_empty_label_or_group_is_none_also_in_quotes(tmp_path: Path) -> None:
    source = table(tmp_path, '"x","label","who"\n"1","",""\n"2","a","b"\n', label="label", group="who")
    assert good(read(source), "label", "group") == [(None, None), ("a", "b")]
    pq.write_table(pa.table({"x": [1, 2], "label": ["", "a"], "who": ["", "b"]}), tmp_path / "rows.parquet")
    source = Source(path=str(tmp_path / "rows.parquet"), label="label", group="who")
    assert good(read(source), "label", "group") == [(None, None), ("a", "b")]
