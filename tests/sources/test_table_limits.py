"""Tables that unpack to far more than they are: refused, or their row set aside, in bounded memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import sources
from tasks.config.source import Input, Join, Source
from tasks.core.errors import DeepmineError, first_few, nearest
from tasks.sources import parquet
from tasks.sources.open_table import open_table

MB = 1 << 20
#: What a child that reads a table holds at most beyond what its imports hold, in MB.
MOST = 420
CHILD = """
import resource, sys
from tasks import sources
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tasks.autodetect.preview import findings
from tasks.autodetect.proposal import propose
import pandas, pyarrow.csv, pyarrow.parquet
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
path, kind, add = sys.argv[1:]
before = peak()
column = {"basket": "items"}.get(kind, "text")
more = {"layout": "baskets", "label": ""} if kind == "basket" else {}
said = ""
try:
    if add == "add":
        said = " ".join(findings(propose(Source(path=path, label="label"), ["label"])))
    else:
        spec = Input(modality=kind, columns=(column,))
        for batch in sources.tables(Source(path=path, **more), {"x": spec}, 2048):
            said += f"{batch.table.num_rows} rows; "
            said += "; ".join(f"{r['source']}: {r['reason']}" for r in batch.bad.to_pylist())
except DeepmineError as error:
    said = f"refused: {error}"
print(peak() - before)
print(said)
"""


def packed(path: Path, head: bytes, filler: bytes, size: int, tail: bytes) -> None:
    """``head``, ``size`` MB of ``filler`` and ``tail``, as members of one .gz."""
    piece = gzip.compress(filler * (8 * MB // len(filler)), 6)
    path.write_bytes(gzip.compress(head) + piece * (size // 8) + gzip.compress(tail))


def bomb(folder: Path, name: str, size: int) -> Path:
    """A table of a few KB or MB that unpacks to ``size`` MB."""
    path = folder / name
    if name == "line.jsonl.gz":
        packed(path, b'{"text": "a", "label": "a"}\n{"text": "', b"a", size, b'"}\n{"text": "b", "label": "b"}\n')
    elif name == "deep.jsonl.gz":
        packed(path, b'{"text": "a", "label": "a"}\n{"text": ', b"[", 8, b'\n{"text": "b", "label": "b"}\n')
    elif name == "array.json.gz":
        packed(path, b'[{"text": "', b"a", size, b'", "label": "b"}]')
    elif name == "line.csv.gz":
        packed(path, b"text,label\ngood,a\n", b"a", size, b",b\nmore,b\n")
    elif name == "quoted.csv.gz":
        packed(path, b'text,label\ngood,a\n"', b"abcd\n", size, b'",b\nmore,b\n')
    elif name == "header.csv.gz":
        packed(path, b"text", b"a", size, b",label\ngood,a\nmore,b\n")
    elif name == "baskets.csv.gz":
        packed(path, b"a,b,c\nb,c\nc,a\na,b\nc,b,d\n", b"aa,", size, b"\na,b\n")
    elif name == "dictionary.parquet":
        index = pa.array([0] * (2 * size), pa.int32())
        texts = pa.DictionaryArray.from_arrays(index, pa.array(["x" * (MB // 2)]))
        write(path, text=texts, label=["a", "b"] * size)
    elif name == "cell.parquet":
        index = pa.array([0] * size + [1], pa.int32())
        write(
            path, text=pa.DictionaryArray.from_arrays(index, pa.array(["x", "y" * (17 * MB)])), label=["a"] * (size + 1)
        )
    elif name == "page.parquet":
        write(path, use_dictionary=False, text=["x" * (size * MB)], label=["a"])
    else:
        write(path, text=[np.zeros(size * MB // 16)] * 2, label=["a", "b"])
    return path


def write(path: Path, use_dictionary: bool = True, **columns: object) -> None:
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd", store_schema=False, use_dictionary=use_dictionary)


BOMBS = {
    ("line.jsonl.gz", "text"): "2 rows; line.jsonl.gz:2: line too long",
    ("deep.jsonl.gz", "text"): "2 rows; deep.jsonl.gz:2: broken JSON",
    ("array.json.gz", "text"): "no JSON Lines: it begins with one JSON array",
    ("line.csv.gz", "text"): "line.csv.gz:3: a row is longer than 16 MB",
    ("quoted.csv.gz", "text"): "quoted.csv.gz:3: a quote is opened in this row and not closed",
    ("header.csv.gz", "text"): "the name of its 1. column has",
    ("baskets.csv.gz", "basket"): "6 rows; baskets.csv.gz:6: line too long",
    ("dictionary.parquet", "text"): "rows hold",
    ("cell.parquet", "text"): "row too long",
    ("page.parquet", "text"): "row group 1, column 'text'",
    ("numbers.parquet", "series"): "row group 1, column 'text.list.element'",
}


def read_in_child(path: Path, kind: str, add: str = "") -> tuple[int, str]:
    """Megabytes that reading took at its peak, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), kind, add], capture_output=True, text=True, check=True
    )
    peak, _, said = done.stdout.partition("\n")
    return int(peak), said


@pytest.mark.parametrize("name", ["line.jsonl.gz", "dictionary.parquet"])
def test_a_bomb_is_read_in_bounded_memory(tmp_path: Path, name: str) -> None:
    path = bomb(tmp_path, name, 600)
    assert path.stat().st_size < MB
    peak, said = read_in_child(path, "text")
    assert BOMBS[name, "text"] in said
    assert peak < (2 * MOST if name.startswith("dictionary") else MOST)


@pytest.mark.slow
@pytest.mark.parametrize("add", ["", "add"])
@pytest.mark.parametrize(("name", "kind"), list(BOMBS))
def test_every_bomb(tmp_path: Path, name: str, kind: str, add: str) -> None:
    size = 1504 if name == "dictionary.parquet" else 800
    path = bomb(tmp_path, name, size)
    assert path.stat().st_size < 2 * MB
    peak, said = read_in_child(path, kind, add)
    print(f"{name}: {path.stat().st_size:,} bytes, {size} MB unpacked, peak {peak} MB: {said.strip()[:150]}")
    assert peak < (3 * MOST if name.startswith("dictionary") else MOST)
    assert add or BOMBS[name, kind] in said
    assert "Traceback" not in said


def read(path: Path, **keys: object) -> list[sources.Batch]:
    source = Source(path=str(path), **keys)  # type: ignore[arg-type]
    return list(sources.tables(source, {"x": Input(modality="text", columns=("text",))}, 100))


def test_rows_and_lines_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("json_lines", "parquet", "table_file"):
        monkeypatch.setattr(f"tasks.sources.{module}.LONGEST_ROW", 100)
    monkeypatch.setattr(parquet, "BLOCK", 150)
    sizes = [10, 70, 101, 99, 3, 98]
    write(tmp_path / "rows.parquet", text=["x" * n for n in sizes], label=list("aababb"))
    [batch] = read(tmp_path / "rows.parquet")
    assert [len(t) for t in batch.table["text"].to_pylist()] == [10, 70, 99, 3, 98]
    assert batch.bad.to_pylist()[0]["source"] == "rows.parquet:row 2"
    assert batch.table["source"].to_pylist()[2] == "rows.parquet:row 3"
    assert [b.table.num_rows for b in open_table(tmp_path / "rows.parquet").read(["text"])] == [2, 2, 1]
    lines = [f'{{"text": "{"x" * n}"}}\n' for n in (10, 88, 89, 5)]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    assert [len(line) for line in lines] == [23, 101, 102, 18]
    [batch] = read(tmp_path / "rows.jsonl")
    assert batch.table["text"].to_pylist() == ["x" * 10, "x" * 5]
    assert {(r["source"], r["reason"]) for r in batch.bad.to_pylist()} == {
        ("rows.jsonl:2", "line too long"), ("rows.jsonl:3", "line too long"),
    }  # fmt: skip


def test_what_a_shard_holds_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tasks.sources.shards"], "LARGEST", 20_000)  # the package has a function so called
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{'x' * 300},a\n" for _ in range(200)))
    with pytest.raises(
        DeepmineError, match=r"rows\.csv:2 to rows\.csv:101: 100 rows hold .* in the column 'text'.*shard_rows"
    ):
        read(tmp_path / "rows.csv")
    source = Source(path=str(tmp_path / "rows.csv"))
    inputs = {"x": Input(modality="text", columns=("text",))}
    assert sum(batch.table.num_rows for batch in sources.tables(source, inputs, 50)) == 200


def test_names_and_keys_are_short(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",".join(f"c{i}" for i in range(100_001)) + "\n" + ",".join("1" * 100_001) + "\n")
    with pytest.raises(DeepmineError, match="has 100,001 columns, where 100,000 may be"):
        read(path)
    path.write_text(f"text,label\na,{'b' * 70_000}\n")
    with pytest.raises(DeepmineError, match="the column 'label' holds a text of 70,000 bytes"):
        read(path)
    assert first_few(["a", "b"]) == "a, b"
    assert nearest("zzz", [f"c{i:03d}" for i in range(50)]).endswith("c039 and 10 more.")


def test_a_joined_table_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.joins.LARGEST", 1000)
    (tmp_path / "rows.csv").write_text("key,label\n1,a\n2,b\n")
    (tmp_path / "more.csv").write_text(f"key,text\n1,{'x' * 2000}\n2,b\n")
    with pytest.raises(DeepmineError, match=r"more\.csv: holds more than 0 MB, and a joined table is held in memory"):
        read(tmp_path / "rows.csv", join=Join(path=str(tmp_path / "more.csv"), on="key"))


def test_parquet_text_that_is_no_utf_8_is_set_aside(tmp_path: Path) -> None:
    texts = pa.array([b"one", b"\xff\xfe", None, "z\u00fcrich".encode(), b"ab\xc3"], pa.binary())
    raw, each = pa.Array.from_buffers(pa.string(), 5, texts.buffers()), pa.array(range(6), pa.int32())
    for name, column in (
        ("plain", raw),
        ("coded", raw.dictionary_encode()),
        ("lists", pa.ListArray.from_arrays(each, raw)),
        ("records", pa.StructArray.from_arrays([raw], ["inner"])),
        ("maps", pa.MapArray.from_arrays(each, pa.array(list("abcde")), raw)),
    ):
        write(tmp_path / f"{name}.parquet", text=column, label=list("ababa"))
        found = next(iter(open_table(tmp_path / f"{name}.parquet").read(["text", "label"])))
        assert found.numbers.tolist() == [0, 2, 3]
        assert found.table["label"].to_pylist() == ["a", "a", "b"]
        assert [(row.number, row.reason, row.detail) for row in found.bad] == [
            (1, "invalid UTF-8", "column 'text', byte 0"), (4, "invalid UTF-8", "column 'text', byte 2"),
        ]  # fmt: skip
    [batch] = read(tmp_path / "plain.parquet")
    assert batch.table["text"].to_pylist() == ["one", None, "z\u00fcrich"]


def test_texts_of_every_kind_are_measured_and_written_out() -> None:
    lists = pa.array([["ab", None, "c"], [], None, ["d"]])
    columns = [
        (pa.array(["a", None, "bcd", "e"]), [1, 0, 3, 1]),
        (pa.array(["a", None, "bcd", "e"], pa.large_string()), [1, 0, 3, 1]),
        (pa.array(["a", None, "bcd", "a"]).dictionary_encode(), [1, 0, 3, 1]),
        (pa.array([1, 2, None, 4]), [0, 0, 0, 0]),
        (lists, [3, 0, 0, 1]),
        (pa.array([{"x": "abc"}, None, {"x": None}, {"x": "d"}]), [3, 0, 0, 1]),
        (pa.ListArray.from_arrays(lists.offsets, lists.flatten().dictionary_encode()), [3, 0, 0, 1]),
    ]
    for column, sizes in columns:
        assert parquet.text_bytes(column).tolist() == sizes, column.type
        assert parquet.text_bytes(column.slice(1)).tolist() == sizes[1:], column.type
        made, wrong = parquet._plain(column.slice(1))
        assert (made.to_pylist(), wrong) == (column.slice(1).to_pylist(), {}), column.type


def test_maps_are_lists_of_records() -> None:
    column = pa.array([[("x", "y")], [("a", "b")], None, [], [("cd", None)]], pa.map_(pa.string(), pa.string())).slice(
        1
    )
    assert parquet.text_bytes(column).tolist() == [2, 0, 0, 2]
    made, wrong = parquet._plain(column)
    assert made.to_pylist() == [[{"key": "a", "value": "b"}], None, [], [{"key": "cd", "value": None}]]
    assert not wrong


def test_an_entry_that_no_dictionary_has_is_damage() -> None:
    for at in (2, -1):
        column = pa.DictionaryArray.from_arrays(pa.array([0, None, at], pa.int32()), pa.array(["a", "b"]), safe=False)
        with pytest.raises(ValueError, match="an entry that its dictionary does not have"):
            parquet.text_bytes(column)
