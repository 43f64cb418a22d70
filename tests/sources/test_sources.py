"""Folders and tables of every shape a person may have, and the ways their files are unusable."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import sources
from tasks.config.source import Input, Join, Source
from tasks.core.errors import DeepmineError
from tasks.sources import LISTING, Unreadable, exists, read_bytes
from tests.fixtures.images import class_folders

IMAGE = {"image": Input()}


def listing(source: Source, inputs: dict[str, Input] = IMAGE) -> pa.Table:
    return sources.listing(source, inputs)


def fill(root: Path, *names: str) -> Source:
    """Files of a few bytes below ``root``, which is the source."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return Source(path=str(root))


def table(folder: Path, text: str | bytes, **keys: str) -> Source:
    path = folder / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(path=str(path), **keys)


def rows(source: Source, *columns: str) -> list[tuple[str | None, ...]]:
    return [tuple(row[c] for c in columns) for row in listing(source).to_pylist()]


def test_class_folders(tmp_path: Path) -> None:
    source = fill(tmp_path, "b/1.png", "a/2.png", "a/deep/er/1.png", ".git/x", "a/.hidden", "a/Thumbs.db", "README")
    found = listing(source)
    assert found.schema.equals(LISTING)
    assert rows(source, "id", "path", "label", "split", "group", "size") == [
        ("a/2.png", "a/2.png", "a", None, None, 7),
        ("a/deep/er/1.png", "a/deep/er/1.png", "a", None, None, 15),
        ("b/1.png", "b/1.png", "b", None, None, 7),
    ]
    assert found["mtime_ns"][0].as_py() == (tmp_path / "a/2.png").stat().st_mtime_ns


def test_split_folders_by_any_of_their_names(tmp_path: Path) -> None:
    source = fill(tmp_path, "Training/a/1", "validation/a/2", "testing/b/3")
    assert rows(source, "id", "label", "split") == [
        ("Training/a/1", "a", "train"),
        ("testing/b/3", "b", "test"),
        ("validation/a/2", "a", "val"),
    ]


@pytest.mark.parametrize("name", ["train", "val", "valid", "dev", "test", "TEST"])
def test_each_split_name(tmp_path: Path, name: str) -> None:
    expected = {"train": "train", "test": "test", "TEST": "test"}.get(name, "val")
    assert rows(fill(tmp_path, f"{name}/a/1"), "split") == [(expected,)]


def test_split_folders_beside_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"both split folders and others \(cats, dogs\)"):
        listing(fill(tmp_path, "train/a/1", "cats/2", "dogs/3"))


@pytest.mark.parametrize("extra", ["a", "a/only/folders", "a/.hidden-folder"])
def test_an_empty_class_folder(tmp_path: Path, extra: str) -> None:
    source = fill(tmp_path, "b/1.png")
    (tmp_path / extra).mkdir(parents=True)
    with pytest.raises(DeepmineError, match=r"a: an empty class folder\. Fill or remove it"):
        listing(source)


def test_nothing_to_list(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"holds no items. Expected one folder per class"):
        listing(Source(path=str(tmp_path)))
    with pytest.raises(DeepmineError, match="no such file or folder"):
        listing(Source(path=str(tmp_path / "away")))
    fill(tmp_path, "1.png")
    with pytest.raises(
        DeepmineError, match=r"neither a folder nor a table of a known format \(.csv, .*.json; compressed with .gz"
    ):
        listing(Source(path=str(tmp_path / "1.png")))
    assert exists(Source(path=str(tmp_path)))
    assert not exists(Source(path=str(tmp_path / "away")))
    assert not exists(Source(path=str(tmp_path), join=Join(path=str(tmp_path / "away.csv"), on="id")))


def test_files_without_class_folders_have_no_label(tmp_path: Path) -> None:
    source = fill(tmp_path, "1.png", "2.png", ".hidden")
    assert rows(source, "id", "label", "split") == [("1.png", None, None), ("2.png", None, None)]
    source = fill(tmp_path / "splits", "train/1.png", "test/deep/2.png", "test/deep/3.png")
    assert rows(source, "id", "label", "split") == [
        ("test/deep/2.png", "deep", "test"),
        ("test/deep/3.png", "deep", "test"),
        ("train/1.png", None, "train"),
    ]


def test_names_that_say_label_group_and_split(tmp_path: Path) -> None:
    fill(tmp_path, "3_theo_0.wav", "3_theo_12.wav", "7_anna_4.wav", "deep/7_anna_40.wav", "notes.txt")
    pattern = r"(?P<label>\d)_(?P<group>[a-z]+)_(?:(?P<test>[0-4])|\d+)\.wav"
    source = Source(path=str(tmp_path), pattern=pattern)
    assert rows(source, "id", "label", "group", "split") == [
        ("3_theo_0.wav", "3", "theo", "test"),
        ("3_theo_12.wav", "3", "theo", None),
        ("7_anna_4.wav", "7", "anna", "test"),
        ("deep/7_anna_40.wav", "7", "anna", None),
        ("notes.txt", None, None, None),
    ]
    assert unreadable(source, "notes.txt") == "name does not match the pattern"
    assert read_bytes(source, "7_anna_4.wav") == b"7_anna_4.wav"
    assert sources.official(source, IMAGE, listing(source)) == {"test"}


def test_a_pattern_beside_class_folders(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat/p1_1.png", "test/dog/p2_7.png")
    source = Source(path=str(tmp_path), pattern=r"/(?P<group>p\d)_")
    assert rows(source, "label", "group", "split") == [("dog", "p2", "test"), ("cat", "p1", "train")]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "is no regular expression"),
        ("(?P<lable>.)", "the group 'lable' says nothing. Did you mean 'label'"),
        (".*", "names nothing"),
    ],
)
def test_patterns_that_are_refused(tmp_path: Path, pattern: str, says: str) -> None:
    fill(tmp_path, "1.png")
    with pytest.raises(DeepmineError, match=re.escape(says)):
        listing(Source(path=str(tmp_path), pattern=pattern))


def test_a_pattern_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.folders.SECONDS", 0.2)
    fill(tmp_path, "a" * 60 + ".png")
    (tmp_path / "rows.csv").write_text(f"path\n{'a' * 60}.png\n")
    for path in (tmp_path, tmp_path / "rows.csv"):
        with pytest.raises(DeepmineError, match=r"source\.pattern: trying .* on the names takes more than 0.2"):
            listing(Source(path=str(path), pattern="(?P<label>(a+)+)$"))


def test_what_a_folder_cannot_be(tmp_path: Path) -> None:
    source = fill(tmp_path, "a/1.png")
    with pytest.raises(DeepmineError, match=r"a folder has files and no columns \(age, of input 'table'\)"):
        listing(source, IMAGE | {"table": Input(modality="tabular", columns=("age",))})
    with pytest.raises(DeepmineError, match="need a table"):
        listing(Source(path=str(tmp_path), join=Join(path=str(tmp_path), on="x")))


def test_unicode_and_newline_names(tmp_path: Path) -> None:
    decomposed = "u\u0308ber"  # as macOS writes it
    names = [f"{decomposed}/日本.png", "a\nb/new\nline.png", "c/ 'q\" $(x);.png"]
    source = fill(tmp_path, *names)
    assert {(i, p, label) for i, p, label in rows(source, "id", "path", "label")} == {
        ("über/日本.png", names[0], decomposed),
        (names[1], names[1], "a\nb"),
        (names[2], names[2], "c"),
    }
    for name in names:
        assert read_bytes(source, name) == name.encode()


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    source = fill(tmp_path, "a/1")
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    Path(os.fsdecode(folder + b"/\xff.png")).write_text("x")
    assert rows(source, "id", "label") == [("a/1", "a"), ("caf\\xe9/\\xff.png", "caf\\xe9")]


def test_embedded_names() -> None:
    with pytest.raises(DeepmineError, match="Did you mean 'embedded:mnist'"):
        listing(Source(path="embedded:mnst"))
    found = listing(Source(path="embedded:mnist"))
    assert found.num_rows == 5000
    assert found["label"].value_counts().field("counts").to_pylist() == [500] * 10


def test_csv_columns(tmp_path: Path) -> None:
    fill(tmp_path, "pics/1.png")
    text = "file,path,kind,fold,patient\nA,pics/1.png,cat,Validation,p1\nB,pics/2.png,dog,train,\nC,pics/3.png,,,p2\n"
    source = table(tmp_path, text, id="file", label="kind", split="fold", group="patient")
    assert rows(source, "id", "path", "size", "label", "split", "group") == [
        ("A", "pics/1.png", 10, "cat", "val", "p1"),
        ("B", "pics/2.png", -1, "dog", "train", None),
        ("C", "pics/3.png", -1, None, None, "p2"),
    ]
    assert read_bytes(source, "pics/1.png") == b"pics/1.png"


def test_root_of_a_table(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "1.png")
    text = "path,label\n1.png,a\n"
    assert rows(table(tmp_path, text), "size") == [(-1,)]
    moved = table(tmp_path, text, root=str(tmp_path / "elsewhere"))
    assert rows(moved, "size") == [(5,)]
    assert read_bytes(moved, "1.png") == b"1.png"
    everywhere = table(tmp_path, f"path,label\n{tmp_path}/elsewhere/1.png,a\n", root="/")
    assert read_bytes(everywhere, listing(everywhere)["path"][0].as_py()) == b"1.png"


def test_labels_stay_text(tmp_path: Path) -> None:
    labels = ["NA", "00123", "null", "nan", "1e5", "true", "2024-01-01"]
    text = "path,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels)) + "9.png,\n"
    assert [label for (label,) in rows(table(tmp_path, text), "label")] == [*labels, None]


def test_a_byte_order_mark_and_quoted_newlines(tmp_path: Path) -> None:
    source = table(tmp_path, '\ufeffpath,label\n"a\nb.png","x,y"\n')
    assert rows(source, "path", "label") == [("a\nb.png", "x,y")]


def test_parquet_tables_with_numbers_for_labels(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["1.png", "2.png"], "label": [3, None]}), tmp_path / "rows.parquet")
    assert rows(Source(path=str(tmp_path / "rows.parquet")), "path", "label") == [("1.png", "3"), ("2.png", None)]


@pytest.mark.parametrize(
    ("text", "keys", "says"),
    [
        ("path,lable\n1,a\n", {}, r"no column 'label' \(the label\)\. Did you mean 'lable'\?"),
        ("file,label\n1,a\n", {}, r"no column 'path' \(the input 'image'\)"),
        ("path,label,Patient\n1,a,b\n", {"group": "patient"}, r"\(the group\)\. Did you mean 'Patient'\?"),
        ("path,label\n1,a\n", {"label": "kind"}, r"no column 'kind' \(the label\)"),
        ("path,label,path\n1,a,2\n", {}, "two columns are named 'path'"),
        ("path,label,fold\n1,a,train\n2,b,third\n", {"split": "fold"}, "rows.csv:3: 'third' is no split"),
        ("path,label\n", {}, "a header and no rows"),
        ("", {}, "an empty file"),
        ("path,label\n1,a,b\n", {}, r"its header has 2 names \(path, label\), but its rows have 3 cells"),
        ('path,label\n1,"a\n2,b\n', {}, "rows.csv:2: a quote is opened in this row and not closed"),
        ("path,label\n1,a\n", {"split_by": "time"}, "needs source.time"),
        ("path,label,s\n1,a,train\n", {"split_by": "time", "time": "s", "split": "s"}, "exclude each other"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str | bytes, keys: dict[str, str], says: str) -> None:
    with pytest.raises(DeepmineError, match=says) as caught:
        listing(table(tmp_path, text, **keys))
    assert str(tmp_path / "rows.csv") in str(caught.value) or str(caught.value).startswith("rows.csv:")


@pytest.mark.parametrize(
    ("text", "keys", "faults"),
    [
        ("path,label\n1,a\n2,b\n1,a\n", {}, {"rows.csv:4": ("duplicate id", "'1' stands above too")}),
        ("path,label\nx/../1,a\n./1,a\n", {}, {"rows.csv:3": ("duplicate id", "'1' stands above too")}),
        ("path,label,key\n1,a,k\n2,b,k\n", {"id": "key"}, {"rows.csv:3": ("duplicate id", "'k' stands above too")}),
        ("path,label,key\n1,a,k\n2,b,\n", {"id": "key"}, {"rows.csv:3": ("id missing", "column 'key'")}),
        ("path,label\n1,a\n,b\n", {}, {"rows.csv:3": ("path missing", "column 'path'")}),
        ("path,label\n1,a\n2\n", {}, {"rows.csv:3": ("wrong number of cells", "1 instead of 2: '2'")}),
        ("path,label,fold\n1,a,\n", {"split": "fold"}, {}),
        ("path,label\n1,gr\u00f6\u00dfe\n".encode("latin-1"), {}, {}),
    ],
)
def test_rows_that_cannot_be_used_are_listed_and_set_aside(
    tmp_path: Path, text: str | bytes, keys: dict[str, str], faults: dict[str, tuple[str, str]]
) -> None:
    source = table(tmp_path, text, **keys)
    found = rows(source, "id", "path", "reason", "detail")
    assert len(found) == len(text.splitlines()) - 1
    assert {name: told for name, place, *told in found if told != [None, None]} == {k: [*v] for k, v in faults.items()}
    assert all(place == name for name, place, *_ in found if name in faults)


def test_several_inputs_of_a_table_of_paths(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "3.wav")
    source = table(
        tmp_path, "pic,sound,about,age,label\n1.png,3.wav,NA,007,x\n,3.wav,words,,y\n2.png,,,,x\n1.png,,,,x\n"
    )
    inputs = {
        "image": Input(columns=("pic",)),
        "audio": Input(modality="audio", columns=("sound",)),
        "text": Input(modality="text", columns=("about",)),
        "table": Input(modality="tabular", columns=("age",)),
    }
    found = listing(source, inputs).to_pylist()
    assert [(r["id"], r["path"], r["size"], r["label"]) for r in found] == [
        ("1.png", "1.png", 10, "x"),
        ("2.png", "2.png", -1, "x"),
        ("rows.csv:3", None, 5, "y"),
        ("rows.csv:5", "rows.csv:5", -1, "x"),
    ]
    values = sources.values(source, inputs)
    assert values is not None
    assert values.to_pylist() == [
        {"id": "1.png", "pic": "1.png", "sound": "3.wav", "about": "NA", "age": "007"},
        {"id": "rows.csv:3", "pic": None, "sound": "3.wav", "about": "words", "age": None},
        {"id": "2.png", "pic": "2.png", "sound": None, "about": None, "age": None},
    ]
    assert sources.values(source, {"image": Input(columns=("pic",))}) is None
    os.utime(source.path, ns=(1, 2**61))
    changed = listing(source, inputs)["mtime_ns"].to_pylist()
    assert changed[:3] == [2**61] * 3, "a changed value is seen, although no file has changed"


def test_what_is_listed_an_item_each(tmp_path: Path) -> None:
    folder, rows_ = fill(tmp_path, "a/1"), table(tmp_path, "path,label\n1,a\n")
    text, cells = Input(modality="text"), Input(modality="tabular")
    assert sources.by_item(folder, {"text": text})
    assert sources.by_item(rows_, {"text": text, "image": Input()})
    assert not sources.by_item(rows_, {"text": text, "table": cells})
    assert sources.uses_files(folder, text)
    assert not sources.uses_files(rows_, text)
    assert not sources.by_item(Source(path=str(tmp_path / "away.csv")), {"text": text}), "told by its name"


def test_splits_by_time_of_a_table_of_paths(tmp_path: Path) -> None:
    text = "path,label,day\n" + "".join(f"{i},a,{i}.1.2024\n" for i in (3, 1, 4, 2))
    source = table(tmp_path, text, time="day", split_by="time")
    found = sources.listing(source, IMAGE, (0.25, 0.25))
    assert dict(zip(found["id"].to_pylist(), found["split"].to_pylist(), strict=True)) == {
        "1": "train", "2": "train", "3": "val", "4": "test",
    }  # fmt: skip
    assert sources.official(source, IMAGE, found) == {"val", "test"}


def test_a_damaged_parquet_table(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DeepmineError, match=r"cannot be read as Parquet: .*footer"):
        listing(Source(path=str(tmp_path / "rows.parquet")))


def unreadable(source: Source, path: str) -> str:
    with pytest.raises(Unreadable) as caught:
        read_bytes(source, path)
    return caught.value.reason


def test_paths_out_of_the_source_folder(tmp_path: Path) -> None:
    fill(tmp_path, "secret", "root-too/secret", "root/a/1")
    source = Source(path=str(tmp_path / "root"))
    (tmp_path / "root/a/out").symlink_to(tmp_path / "secret")
    (tmp_path / "root/a/in").symlink_to(tmp_path / "root/a/1")
    (tmp_path / "root/folder").symlink_to(tmp_path / "root-too")
    for path in (
        "../secret",
        "a/../../secret",
        str(tmp_path / "secret"),
        "../root-too/secret",
        "a/out",
        "folder/secret",
    ):
        assert unreadable(source, path) == "outside the source folder", path
    assert read_bytes(source, "a/in") == b"root/a/1"
    assert {i for (i,) in rows(source, "id")} == {"a/1", "a/in", "a/out", "folder/secret"}


def test_files_that_give_nothing(tmp_path: Path) -> None:
    source = fill(tmp_path, "a/1")
    (tmp_path / "a/empty").touch()
    (tmp_path / "a/folder").mkdir()
    (tmp_path / "a/dangling").symlink_to(tmp_path / "a/nowhere")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a/loop")
    os.mkfifo(tmp_path / "a/pipe")
    assert unreadable(source, "a/empty") == "empty file"
    assert unreadable(source, "a/pipe") == "not a regular file"  # opening it would wait for ever
    assert unreadable(source, "a/folder") == "not a regular file"
    for path in ("a/away", "a/dangling", "a/loop", "a/nul\0", f"a/{'x' * 300}"):
        assert unreadable(source, path) == "missing file", path
    sizes = dict(rows(source, "id", "size"))
    assert (sizes["a/dangling"], sizes["a/empty"]) == (-1, 0)


def test_a_nul_in_a_table(tmp_path: Path) -> None:
    source = table(tmp_path, b"path,label\na\0b,c\n")
    assert rows(source, "size") == [(-1,)]


def test_a_file_whose_name_is_no_utf8_is_read(tmp_path: Path) -> None:
    home = os.fsencode(class_folders(tmp_path))
    data = (tmp_path / "a" / "00.png").read_bytes()
    for name in (b"a/\xff\xfe.png", b"b/\xe9t\xe9.png", b"b/\\xff.png"):
        with open(os.path.join(home, name), "wb") as file:
            file.write(data)
    source = Source(path=str(tmp_path))
    found = sources.listing(source, {"image": Input()})
    odd = [path for path in found["path"].to_pylist() if "\\x" in path]
    assert odd == ["a/\\xff\\xfe.png", "b/\\xe9t\\xe9.png", "b/\\xff.png"]
    assert [sources.read_bytes(source, path) for path in odd] == [data] * 3
