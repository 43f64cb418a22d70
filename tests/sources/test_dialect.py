"""How a CSV is written: delimiter, encoding and header are told from the file, and what is given wins."""

import gzip
from pathlib import Path

import pytest

from tasks.config.source import Source
from tasks.core.errors import DeepmineError
from tasks.sources import delimited, dialect
from tasks.sources.dialect import has_header
from tasks.sources.open_table import open_table
from tasks.sources.table_file import TableFile


def opened(folder: Path, text: str | bytes, name: str = "rows.csv", **keys: object) -> TableFile:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_table(path, Source(path=str(path), **keys))  # type: ignore[arg-type]


def cells(file: TableFile) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for block in file.read(file.names) for row in block.table.to_pylist()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter(tmp_path: Path, delimiter: str) -> None:
    rows = [["name", "note"], ["a", "x" + ("," if delimiter != "," else ";") + "y"], ["b", "z"]]
    file = opened(tmp_path, "\n".join(delimiter.join(row) for row in rows))
    assert file.names == ("name", "note")
    assert cells(file) == [tuple(row) for row in rows[1:]]
    assert dict(file.settled).get("delimiter") == (delimiter if delimiter != "," else None)


def test_one_column(tmp_path: Path) -> None:
    assert cells(opened(tmp_path, "text\nhello\nwell; yes\n")) == [("hello",), ("well; yes",)]
    assert cells(opened(tmp_path, "a b\tc\n", "rows.tsv", names=("x", "y"))) == [("a b", "c")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_each_encoding(tmp_path: Path, encoding: str) -> None:
    file = opened(tmp_path, "größe;Straße\n1;„ä“ €\n".encode(encoding))
    assert file.names == ("größe", "Straße")
    assert cells(file) == [("1", "„ä“ €")]
    assert bool(file.notes) == (encoding not in ("utf-8", "utf-8-sig"))


def test_what_is_no_cp1252_is_latin_1(tmp_path: Path) -> None:
    assert dict(opened(tmp_path, b"a,b\n1,\x81\xe9\n").settled) == {"encoding": "latin-1"}


def test_an_encoding_that_is_given_wins(tmp_path: Path) -> None:
    assert cells(opened(tmp_path, "a,b\n1,ж\n".encode("koi8-r"), encoding="koi8-r")) == [("1", "ж")]
    with pytest.raises(DeepmineError, match="'klingon' is no encoding"):
        opened(tmp_path, "a,b\n1,2\n", encoding="klingon")
    broken = opened(tmp_path, b"a,b\n1,2\n3,\xff\xff\n", encoding="ascii")
    with pytest.raises(DeepmineError, match=r"rows.csv:2: not ascii from here on"):
        cells(broken)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"3","Fears","of it"\n"4","The race","x"\n', ("c1", "c2", "c3")),
        ("type,text\nham,how are you today my friend\nspam,win a prize now and call us\nham,ok\n", ("type", "text")),
        ("cat,happy\ndog,sad\ncat,sad\n", ("c1", "c2")),
        ("a.png,x\nb.png,y\n", ("c1", "c2")),
        ("path,label\na.png,x\n", ("path", "label")),
        ("2024-01-01,x\n2024-01-02,y\n", ("c1", "c2")),
        ("day,what\n2024-01-01,x\n2024-01-02,y\n", ("day", "what")),
        ("5,3\n", ("c1", "c2")),
        (",a\n0,x\n1,y\n", ("c1", "a")),
        ("\n\n a , b \n1,2\n", ("a", "b")),
    ],
)
def test_headers(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    assert opened(tmp_path, text).names == names


def test_names_that_are_asked_for_tell_a_header() -> None:
    rows = [["label", "text"], ["label", "other"]]
    assert not has_header(rows[0], rows[1:])
    assert has_header(rows[0], rows[1:], ("label",))
    assert not has_header(["path", "kind"], [["1", "2"]], ("c2",))


def test_names_that_are_given_win(tmp_path: Path) -> None:
    assert cells(opened(tmp_path, "1,2\n3,4\n", names=("a", "b"))) == [("1", "2"), ("3", "4")]
    assert cells(opened(tmp_path, "a,b\n3,4\n", names=("a", "b"))) == [("3", "4")], "a header all the same"


@pytest.mark.parametrize(
    ("text", "keys", "says"),
    [
        ("", {}, "an empty file"),
        ("\n\n", {}, "only blank lines"),
        ("a,b\n", {}, r"a header and no rows \(a, b\)"),
        ("a,b", {}, "a header and no rows"),
        ("a,b,a\n1,2,3\n", {}, r"two columns are named 'a' \(the 1. and the 3.\)"),
        ("a,b\n1,2,3\n4,5,6\n", {}, r"its header has 2 names \(a, b\), but its rows have 3 cells between ','"),
        ("1,2\n3,4\n", {"names": ("a",)}, r"source.names has 1 names \(a\), but its rows have 2 cells"),
        ("a;b\n1;2\n", {"delimiter": ","}, r"with the delimiter ',' every row is one cell; with ';' there are 2"),
        ("a\tb\n1\t2\n", {"delimiter": ";"}, r'with "\\t" \(a tab\) there are 2'),
        ("a,b\n1,2\n", {"delimiter": "::"}, "'::' is not one ASCII character"),
        ('a,b\n1,2\n3,"4\n5,6\n', {}, "rows.csv:3: a quote is opened in this row and not closed"),
        ('a,b\n1,2\n3,"4\n5,"6"\n7,8\n', {}, "rows.csv:3: a quote is opened"),
        ('a,b\n1,2\n3,4\n5,"', {}, "rows.csv:4: a quote is opened"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, keys: dict[str, object], says: str) -> None:
    with pytest.raises(DeepmineError, match=says):
        opened(tmp_path, text, **keys)


def test_an_unclosed_quote_beside_an_even_number_of_them(tmp_path: Path) -> None:
    file = opened(tmp_path, 'a,b\n1,5" pipe\n3,"4\n5,6\n')
    with pytest.raises(DeepmineError, match=r"rows.csv:3: a quote is opened"):
        cells(file)


def test_a_file_is_scanned_once_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    for module in (dialect, delimited):
        original = module.packed_stream
        monkeypatch.setattr(
            module, "packed_stream", lambda path, of=module, then=original: passes.append(of) or then(path)
        )
    file = opened(tmp_path, "a,b\n1,\n,2\n")
    assert open_table(file.path, wanted=("a", "b")).names == file.names
    assert passes == [dialect], "whatever else is asked for"
    assert cells(file) == [("1", None), (None, "2")]
    assert passes == [dialect, delimited], "no row is empty, so that none may be a blank line"


def test_quotes_that_are_no_fault(tmp_path: Path) -> None:
    assert cells(opened(tmp_path, 'a,b\n1,5" pipe\n2,"say ""so"""\n')) == [("1", '5" pipe'), ("2", 'say "so"')]


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.tsv.gz", "rows.jsonl.gz"])
def test_packed_files(tmp_path: Path, name: str) -> None:
    text = {"csv": "a,b\n1,2\n", "tsv": "a\tb\n1\t2\n", "jsonl": '{"a": 1, "b": 2}\n'}[name.split(".")[1]]
    assert cells(opened(tmp_path, gzip.compress(text.encode()), name)) == [("1", "2")]
    cut = gzip.compress(text.encode() * 50)[:-12]
    with pytest.raises(DeepmineError, match="cannot be unpacked"):
        opened(tmp_path, cut, name)
