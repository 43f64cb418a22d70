"""Folders and tables of every shape a person may have, and the ways their files are unusable."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.config import Source
from tasks.errors import DeepmineError
from tasks.sources import LISTING, Unreadable, exists, listing, read_bytes


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
    with pytest.raises(DeepmineError, match="holds files but no class folders"):
        listing(fill(tmp_path, "1.png"))
    with pytest.raises(DeepmineError, match="no such file or folder"):
        listing(Source(path=str(tmp_path / "away")))
    with pytest.raises(DeepmineError, match=r"neither a folder nor a .csv or .parquet file"):
        listing(Source(path=str(tmp_path / "1.png")))
    assert exists(Source(path=str(tmp_path)))
    assert not exists(Source(path=str(tmp_path / "away")))


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
        ("file,label\n1,a\n", {}, r"no column 'path' \(the path\)"),
        ("path,label,Patient\n1,a,b\n", {"group": "patient"}, r"\(the group\)\. Did you mean 'Patient'\?"),
        ("path,label,path\n1,a,2\n", {}, "two columns are named 'path'"),
        ("path,label\n1,a\n2,b\n1,a\n", {}, "rows 2 and 4 have the same id '1'"),
        ("path,label\nx/../1,a\n./1,a\n", {}, "rows 2 and 3 have the same id '1'"),
        ("path,label,key\n1,a,k\n2,b,k\n", {"id": "key"}, "rows 2 and 3 have the same id 'k'"),
        ("path,label,key\n1,a,k\n2,b,\n", {"id": "key"}, "row 3: the id is empty"),
        ("path,label\n1,a\n,b\n", {}, "row 3: the path is empty"),
        ("path,label,fold\n1,a,train\n2,b,third\n", {"split": "fold"}, "row 3: 'third' is no split"),
        ("path,label\n", {}, "holds no items"),
        ("", {}, "cannot be read"),
        ("path,label\n1,a,b\n", {}, "cannot be read"),
        ("path,label\n1,größe\n".encode("latin-1"), {}, "cannot be read"),
        ("path,label,größe\n1,a,3\n".encode("latin-1"), {}, "cannot be read"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str | bytes, keys: dict[str, str], says: str) -> None:
    with pytest.raises(DeepmineError, match=says) as caught:
        listing(table(tmp_path, text, **keys))
    assert str(caught.value).startswith(str(tmp_path / "rows.csv"))


def test_a_damaged_parquet_table(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DeepmineError, match="cannot be read"):
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
        assert unreadable(source, path) == "missing or unreadable file", path
    sizes = dict(rows(source, "id", "size"))
    assert (sizes["a/dangling"], sizes["a/empty"]) == (-1, 0)


def test_a_nul_in_a_table(tmp_path: Path) -> None:
    source = table(tmp_path, b"path,label\na\0b,c\n")
    assert rows(source, "size") == [(-1,)]
