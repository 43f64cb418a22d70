"""Baskets from files of one a line and from long tables: what is read, what is set aside, and what stops with advice."""

import gzip
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import sources
from tasks.config.source import Input, Join, Source
from tasks.core.errors import DeepmineError
from tasks.sources import Batch, baskets
from tasks.sources.baskets import looks_like_baskets
from tasks.sources.open_table import open_table

ITEMS = {"basket": Input(modality="basket", columns=("items",))}
GOODS = {"basket": Input(modality="basket", columns=("good",))}
ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", ROOT / "../shared/data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"public data sets are not at {DATA} (DEEPMINE_TEST_DATA)")


def lines(folder: Path, text: str | bytes, name: str = "baskets.csv", **keys: Any) -> Source:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(path=str(path), layout="baskets", **keys)


def long(folder: Path, text: str, **keys: Any) -> Source:
    (folder / "long.csv").write_text(text)
    return Source(path=str(folder / "long.csv"), layout="long", **{"id": "id", **keys})


def tables(source: Source, inputs: dict[str, Input] = ITEMS, rows: int = 100) -> list[Batch]:
    return list(sources.tables(source, inputs, rows))


def read(source: Source, inputs: dict[str, Input] = ITEMS, rows: int = 100) -> dict[str, list[str]]:
    """id -> goods."""
    [column] = [c for spec in inputs.values() for c in spec.columns]
    return {row["id"]: row[column] for b in tables(source, inputs, rows) for row in b.table.to_pylist()}


def bad(batches: list[Batch]) -> list[tuple[str, str, str]]:
    return [(row["id"], row["reason"], row["detail"]) for b in batches for row in b.bad.to_pylist()]


# one basket a line


def test_a_basket_a_line(tmp_path: Path) -> None:
    text = '\ufeffmilk,bread \n\n"cheese, hard",bread,"12"" pan"\n,\n=cmd()|x\r\nmilk\n   \nlast'
    source = lines(tmp_path, text)
    assert read(source) == {
        "000000001": ["milk", "bread "], "000000003": ["cheese, hard", "bread", '12" pan'], "000000004": ["", ""],
        "000000005": ["=cmd()|x"], "000000006": ["milk"], "000000008": ["last"],
    }  # fmt: skip
    [batch] = tables(source)
    assert batch.table["source"].to_pylist()[:2] == ["baskets.csv:1", "baskets.csv:3"]
    assert batch.table["label"].null_count == batch.table["split"].null_count == 6
    assert sources.listing(source, ITEMS).num_rows == 1, "the listing costs nothing however long the file"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_and_one_that_is_given(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (["a"], ["b", "c x"], ["c x", "a", "b"], ["b"]))
    assert list(read(lines(tmp_path, text)).values())[2] == ["c x", "a", "b"]
    assert read(lines(tmp_path, "1 2 3\n4 5", delimiter=" "))["000000001"] == ["1", "2", "3"]
    with pytest.raises(DeepmineError, match="is not one character"):
        read(lines(tmp_path, text, delimiter=", "))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_each_encoding(tmp_path: Path, encoding: str) -> None:
    source = lines(tmp_path, "Käse,Öl\nBrot\nÄpfel,Käse,Öl\n".encode(encoding))
    assert list(read(source).values()) == [["Käse", "Öl"], ["Brot"], ["Äpfel", "Käse", "Öl"]]
    settled = dict(open_table(source.path, source).settled)
    assert settled.get("encoding") == (None if encoding.startswith("utf-8") else encoding)


def test_a_packed_file(tmp_path: Path) -> None:
    source = lines(tmp_path, gzip.compress(b"a,b\nc\n"), "baskets.csv.gz")
    assert list(read(source).values()) == [["a", "b"], ["c"]]
    with pytest.raises(DeepmineError, match=r"cannot be (unpacked|read)"):
        read(lines(tmp_path, gzip.compress(b"a,b\nc\n" * 999)[:-20], "cut.csv.gz"))


def test_a_line_that_is_none_costs_itself_alone(tmp_path: Path) -> None:
    source = lines(tmp_path, b"milk\nK\xe4se,bread\n" + b"x," * 5_000_000 + "\nÖl,Käse\n".encode())
    batches = tables(source)
    assert bad(batches) == [
        ("baskets.csv:2", "invalid UTF-8", "byte 1"), ("baskets.csv:3", "line too long", "over 1,048,576 characters"),
    ]  # fmt: skip
    assert read(source) == {"000000001": ["milk"], "000000004": ["Öl", "Käse"]}


@pytest.mark.parametrize(
    ("data", "keys", "said"),
    [
        ('milk,bread\nbeer,"eggs\nmilk\n', {}, r"baskets.csv:2: a quote is opened and not closed in this line"),
        ('milk\n"24" pan,x\n', {}, r"baskets.csv:2: a quote is out of place .*double it"),
        ("", {}, "an empty file"),
        ("\n \n", {}, "only blank lines"),
        ("a,b\nc\n", {"names": ("x",)}, "baskets have one column, 'items'"),
        ("a,b\nc\n", {"encoding": "klingon"}, "is no encoding"),
        (b"a,b\n\xff\xff\n", {"encoding": "ascii"}, "not ascii from here on"),
        ("a,b\nc\n", {"id": "customer"}, "no column 'customer'"),
        ("a,b\nc\n", {"split_by": "time"}, "needs source.time"),
    ],
)
def test_what_stops_with_advice(tmp_path: Path, data: str | bytes, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(DeepmineError, match=said):
        tables(lines(tmp_path, data, **keys))


def test_another_column_or_form_of_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"no column 'item' .*Did you mean 'items'"):
        tables(lines(tmp_path, "a,b\nc\n"), {"basket": Input(modality="basket", columns=("item",))})
    with pytest.raises(DeepmineError, match="reads text, one basket a line"):
        tables(lines(tmp_path, '{"a": 1}', "rows.jsonl"))
    with pytest.raises(DeepmineError, match="no such file"):
        sources.listing(Source(path=str(tmp_path / "none.csv"), layout="baskets"), ITEMS)


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "LINES", 500)
    draw = np.random.default_rng(0)
    names = [f"good {i}" for i in range(50)]
    text = "".join(",".join(draw.choice(names, 3)) + "\n" for _ in range(20_000))
    source = lines(tmp_path, text)
    open_table(source.path, source)
    tracemalloc.start()
    seen = sum(batch.table.num_rows for batch in sources.tables(source, ITEMS, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 20_000
    assert peak < 4_000_000, "the start of the file and 500 lines at a time: all 20,000 lists at once take 7 MB"


# a row a good


def test_a_row_a_good_gives_the_same_baskets(tmp_path: Path) -> None:
    wanted = {"b2": ["milk", "beer"], "b1": ["bread", "milk", "eggs"], "b3": ["milk"]}
    pairs = [(key, good) for key, goods in wanted.items() for good in goods]
    order = np.random.default_rng(3).permutation(len(pairs))
    source = long(tmp_path, "id,good\n" + "".join(f"{pairs[i][0]},{pairs[i][1]}\n" for i in order))
    found = read(source, GOODS, rows=2)
    assert {key: sorted(goods) for key, goods in found.items()} == {k: sorted(g) for k, g in wanted.items()}
    assert list(found) == list(dict.fromkeys(pairs[i][0] for i in order)), "in the order in which they first appear"


def test_what_all_rows_of_a_basket_must_agree_on(tmp_path: Path) -> None:
    text = (
        "id,good,label,split,shop\nb,milk,x,train,n\na,bread,y,test,n\nb,beer,,train,n\nc,,x,val,s\n"
        "a,milk,z,test,n\n,milk,x,test,n\nd\n"
    )
    batches = tables(long(tmp_path, text, split="split", group="shop"), GOODS)
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    assert [(r["id"], r["source"], r["label"], r["split"], r["group"], r["good"]) for r in rows] == [
        ("b", "long.csv:2", "x", "train", "n", ["milk", "beer"]),
        ("c", "long.csv:5", "x", "val", "s", [None]),
    ]
    assert bad(batches) == [
        ("a", "several labels", "label changes within the basket"),
        ("long.csv:7", "id missing", "column 'id'"),
        ("long.csv:8", "wrong number of cells", "1 instead of 5: 'd'"),
    ]


def test_a_basket_belongs_where_its_last_row_does(tmp_path: Path) -> None:
    text = "id,good,day\n" + "".join(
        f"{i},milk,2024-01-{i + 1:02d}\n0,beer,2024-01-{i + 1:02d}\n" for i in range(1, 11)
    )
    source = long(tmp_path, text + "11,eggs,\n", time="day", split_by="time")
    batches = tables(source, GOODS)
    split = {row["id"]: row["split"] for batch in batches for row in batch.table.to_pylist()}
    assert split == {**{str(i): "train" for i in range(1, 9)}, "9": "val", "10": "test", "0": "test"}
    assert [reason for _, reason, _ in bad(batches)] == ["no time"]


def test_a_second_table_and_several_columns(tmp_path: Path) -> None:
    (tmp_path / "goods.csv").write_text("good,kind\nmilk,dairy\nbeer,drink\n")
    both = {"basket": Input(modality="basket", columns=("good", "kind"))}
    source = long(
        tmp_path, "id,good\n1,milk\n1,beer\n2,milk\n3,tar\n", join=Join(path=str(tmp_path / "goods.csv"), on="good")
    )
    batches = tables(source, both)
    rows = [(r["id"], r["good"], r["kind"]) for b in batches for r in b.table.to_pylist()]
    assert rows == [("1", ["milk", "beer"], ["dairy", "drink"]), ("2", ["milk"], ["dairy"])]
    assert bad(batches) == [("3", "no match in the joined table", "long.csv:5: good = 'tar'")]


@pytest.mark.parametrize(
    ("inputs", "keys", "said"),
    [
        ({**GOODS, "x": Input(modality="text", columns=("id",))}, {}, r"makes baskets here, but input 'x' is text"),
        (GOODS, {"id": None}, "needs source.id"),
    ],
)
def test_what_a_long_table_cannot_be(tmp_path: Path, inputs: Any, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(DeepmineError, match=said):
        tables(long(tmp_path, "id,good\n1,milk\n", **keys), inputs)
    with pytest.raises(DeepmineError, match="no row has an id"):
        tables(long(tmp_path, "id,good\n,milk\n"), GOODS)


# lists in tables


def test_lists_of_names_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"id": "a", "items": []}\n{"id": "b", "items": ["milk", null, "bread \\ud800"]}\n'
        '{"id": "c", "items": "milk"}\n{"id": "d", "items": null}\n{"id": "e", "items": ["1", 2]}\n'
        '{"id": "f", "items": [["x"]]}\n'
    )
    batches = tables(Source(path=str(path), id="id"))
    rows = {row["id"]: row["items"] for batch in batches for row in batch.table.to_pylist()}
    assert rows == {"a": [], "b": ["milk", None, "bread ?"], "d": None, "e": ["1", "2"]}
    assert [(reason, detail[:35]) for _, reason, detail in bad(batches)] == [
        ("mixed types", "'items' holds a list of texts elsew"), ("mixed types", "'items' holds a list of texts elsew"),
    ]  # fmt: skip


# what is taken for baskets


@needs_data
def test_groceries_are_baskets_and_the_other_public_tables_are_none() -> None:
    found = {path.name: looks_like_baskets(path) for path in DATA.glob("*.csv")}
    assert found == {name: name == "groceries.csv" for name in found}
    [batch] = tables(Source(path=str(DATA / "groceries.csv"), layout="baskets"), rows=10_000)
    assert batch.table.num_rows == 9835
    assert sum(map(len, batch.table["items"].to_pylist())) == 43367


def ragged(seed: int = 0, goods: int = 30) -> str:
    draw = np.random.default_rng(seed)
    return "".join(",".join(f"g{i}" for i in draw.permutation(goods)[: draw.integers(1, 7)]) + "\n" for _ in range(60))


def test_what_is_taken_for_baskets(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    words = [f"word{i}" for i in range(900)]
    cases = {
        "baskets": (ragged(), True),
        "semicolons": (ragged().replace(",", ";"), True),
        "codes": (ragged().replace("g", ""), True),
        "filled up": ("".join(line + "," * (7 - line.count(",")) + "\n" for line in ragged().splitlines()), True),
        "under a header": ("i1,i2,i3,i4\n" + ragged(), False),
        "a table": ("".join(f"{i},{i % 3},x{i % 5}\n" for i in range(60)), False),
        "a table with broken rows": ("a,b,c\n" + "1,2,3\n" * 57 + "1,2\n3\n4,1,2,2\n", False),
        "a text with commas": (
            "".join(f"ham,{','.join(draw.choice(words, draw.integers(1, 6)))}\n" for _ in range(60)), False,
        ),
        "trailing columns left out": ("".join(",".join(f"{c}{i % 4}" for c in "abcd"[: 1 + i % 4]) + "\n" for i in range(60)), False),
        "numbers over time": ("".join(",".join(map(str, draw.integers(0, 3, draw.integers(4, 9)))) + "\n" for _ in range(60)), False),
        "single goods": ("".join(f"g{i % 7}\n" for i in range(60)), False),
        "too few": ("a,b\nb\n", False),
    }  # fmt: skip
    for name, (text, wanted) in cases.items():
        path = tmp_path / "x.csv"
        path.write_text(text)
        assert looks_like_baskets(path) == wanted, name
    assert not looks_like_baskets(tmp_path / "none.csv")
