"""ingest, after a real plan: every listed item stands in exactly one place."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.source import Input, Source
from tasks.core.progress import Progress
from tasks.ingest import ingest
from tasks.modalities.raw_schema import raw_schema
from tasks.plan import plan
from tasks.splitting.splits import split_of
from tasks.storage.store import MANIFEST, read, read_manifest
from tests.fixtures.images import class_folders, encode, noise, write_image

QUICK = {"shard_rows": 8, "val": 0.2, "test": 0.3}


IMAGE = {"image": Input()}
TABLE = {
    "table": Input(modality="tabular", columns=("age", "job", "day"), categorical=("job",), date=("day",)),
}
BOTH = {"scan": Input(columns=("file",)), "note": Input(modality="text", columns=("note",)), **TABLE}


def run(
    home: Path, source: Source, code: str = "code", inputs: dict[str, Input] = IMAGE, **params: Any
) -> dict[str, Any]:
    """plan and ingest of ``source`` into ``home``; what ingest says of it."""
    dataset = Dataset(source=source, inputs=inputs, ingest=Ingest(**{**QUICK, **params}))
    plan(dataset=dataset, listing=home / "listing", plan=home / "plan", warn=pytest.fail)
    return ingest(
        source=source, inputs=dataset.inputs, params=dataset.ingest, code=code, listing=home / "listing",
        raw=home / "raw", unreadable=home / "unreadable", scratch=home / "scratch", warn=pytest.fail,
        progress=Progress(quiet=True),
    )  # fmt: skip


def write_rows(home: Path, header: str, rows: list[str], **keys: str) -> Source:
    (home / "rows.csv").write_text("\n".join([header, *rows]) + "\n")
    return Source(path=str(home / "rows.csv"), **keys)


def test_the_ledger_is_exact_and_bytes_are_kept(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "source", each=9)
    sound = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in root.rglob("*.png")}
    whole = encode(noise(1000, 32))
    (root / "a/cut.png").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    (root / "a/flipped.png").write_bytes(flipped)
    (root / "a/text.png").write_text("no image")
    (root / "b/empty.png").touch()
    (root / "b/away.png").symlink_to(root / "nowhere.png")
    (root / "b/out.png").symlink_to(write_image(tmp_path / "outside.png", noise(1)))
    write_image(root / "b/huge.png", Image.new("1", (101, 100)))
    facts = run(tmp_path, Source(path=str(root)), max_pixels=10_000)
    assert facts == {"rows": 18, "read": 25, "unreadable": 7}
    raw, bad = read(tmp_path / "raw"), read(tmp_path / "unreadable")
    reasons = {row["id"]: row["reason"] for row in bad.to_pylist()}
    assert reasons == {
        "a/cut.png": "broken image", "a/flipped.png": "broken image", "a/text.png": "not an image",
        "b/empty.png": "empty file", "b/away.png": "missing file",
        "b/out.png": "outside the source folder", "b/huge.png": "too many pixels",
    }  # fmt: skip
    assert dict(zip(raw["id"].to_pylist(), raw["image"].to_pylist(), strict=True)) == sound
    counts = read_manifest(tmp_path / "raw").counts
    assert counts == {"in": 25, "accepted": 18, "quarantined": dict(sorted(Counter(reasons.values()).items()))}
    assert {(row["label"], row["source"]) for row in bad.to_pylist()} == {(name[0], name) for name in reasons}
    assert raw["bytes"].to_pylist() == [len(data) for data in raw["image"].to_pylist()]
    facts_of = [raw[f"image.{fact}"].to_pylist() for fact in ("width", "height", "mode")]
    assert set(zip(*facts_of, strict=True)) == {(8, 8, "L")}
    assert raw.schema.equals(raw_schema({"image": Input()}))


def test_nothing_readable_is_still_a_store(tmp_path: Path) -> None:
    (tmp_path / "source/a").mkdir(parents=True)
    (tmp_path / "source/a/1.png").write_text("x")
    assert run(tmp_path, Source(path=str(tmp_path / "source"))) == {"rows": 0, "read": 1, "unreadable": 1}
    assert read(tmp_path / "raw").num_rows == 0


def test_copies_share_a_split_under_any_name_and_form(tmp_path: Path) -> None:
    for i in range(30):
        write_image(tmp_path / "source/a" / f"{i}.png", noise(i))
        (tmp_path / "source/b").mkdir(exist_ok=True)
        (tmp_path / "source/b" / f"copy of {i}.bmp").write_bytes(encode(noise(i), "BMP"))
    run(tmp_path, Source(path=str(tmp_path / "source")))
    raw = read(tmp_path / "raw", ["content", "split"]).to_pandas()
    assert raw["content"].nunique() == 30
    assert (raw.groupby("content")["split"].nunique() == 1).all()
    assert set(raw["split"]) == {"train", "val", "test"}


def test_rows_of_a_group_share_a_split(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a",), each=60)
    rows = [f"a/{i:02d}.png,x,p{i // 3}" for i in range(57)] + [f"a/{i}.png,x," for i in (57, 58, 59)]
    run(tmp_path, write_rows(tmp_path, "path,label,who", rows, group="who"))
    raw = read(tmp_path / "raw", ["group", "split", "content"]).to_pandas()
    grouped = raw.dropna(subset="group")
    assert (grouped.groupby("group")["split"].nunique() == 1).all()
    assert set(raw["split"]) == {"train", "val", "test"}
    assert [split_of(g or c, 0.2, 0.3) for g, c in zip(raw["group"].fillna(""), raw["content"], strict=True)] == list(
        raw["split"]
    )


def test_an_official_split_is_kept_and_val_carved_from_train(tmp_path: Path) -> None:
    for split, first, each in (("train", 0, 40), ("test", 500, 6)):
        class_folders(tmp_path / "source" / split, each=each, seed=first)
    run(tmp_path, Source(path=str(tmp_path / "source")))
    raw = read(tmp_path / "raw", ["id", "split"]).to_pandas()
    official = raw["id"].str.partition("/")[0]
    assert set(raw.loc[official == "test", "split"]) == {"test"}
    carved = raw.loc[official == "train", "split"].value_counts().to_dict()
    assert set(carved) == {"train", "val"}
    assert 6 <= carved["val"] <= 26  # a fifth of 80


def test_a_test_folder_that_comes_later_takes_back_the_rows_carved_out(tmp_path: Path) -> None:
    source = Source(path=str(tmp_path / "source"))
    class_folders(tmp_path / "source/train", each=20)
    run(tmp_path, source)
    assert set(read(tmp_path / "raw")["split"].to_pylist()) == {"train", "val", "test"}
    class_folders(tmp_path / "source/test", each=4, seed=500)
    assert run(tmp_path, source)["read"] == 48
    raw = read(tmp_path / "raw", ["id", "split"]).to_pylist()
    assert {row["id"].partition("/")[0] for row in raw if row["split"] == "test"} == {"test"}


def test_a_complete_official_split_is_left_alone(tmp_path: Path) -> None:
    for k, split in enumerate(("train", "val", "test")):
        class_folders(tmp_path / "source" / split, each=10, seed=100 * k)
    run(tmp_path, Source(path=str(tmp_path / "source")))
    raw = read(tmp_path / "raw", ["id", "split"]).to_pandas()
    assert (raw["id"].str.partition("/")[0] == raw["split"]).all()


def test_a_lost_shard_alone_is_read_again(tmp_path: Path) -> None:
    source = Source(path=str(class_folders(tmp_path / "source", each=10)))
    (tmp_path / "source/a/00.png").write_text("no image")
    manifests = [tmp_path / name / MANIFEST for name in ("raw", "unreadable")]
    assert run(tmp_path, source)["read"] == 20
    first = [path.read_bytes() for path in manifests]
    assert run(tmp_path, source)["read"] == 0
    lost = sorted((tmp_path / "scratch").glob("*.rows-*.parquet"))
    assert len(lost) == 3
    rows = {path: pq.read_metadata(path).num_rows for path in lost}
    assert sorted(rows.values()) == [4, 7, 8]
    for path in lost:
        path.unlink()
        again = run(tmp_path, source)
        assert again["read"] == {4: 4, 7: 8, 8: 8}[rows[path]]
        assert [path.read_bytes() for path in manifests] == first
    damaged = lost[0].read_bytes()
    lost[0].unlink()  # a name of its own: the store's file is a hard link to it
    lost[0].write_bytes(damaged[:-1] + b"x")
    assert run(tmp_path, source)["read"] in (4, 8)
    assert [path.read_bytes() for path in manifests] == first


def test_changed_and_new_items_are_read_alone(tmp_path: Path) -> None:
    source = Source(path=str(class_folders(tmp_path / "source", each=10)))
    run(tmp_path, source)
    write_image(tmp_path / "source/a/new.png", noise(77))
    assert run(tmp_path, source)["read"] == 1
    write_image(tmp_path / "source/a/00.png", noise(78, 9))
    assert run(tmp_path, source)["read"] == 8
    assert run(tmp_path, source, code="other code")["read"] == 21
    assert run(tmp_path, source, code="other code", val=0.3)["read"] == 21


def cells(rows: int, **odd: str) -> list[str]:
    """Lines of a table of `age,job,day,label`; ``odd`` replaces some, by number."""
    lines = [f"{20 + i % 30},{'abc'[i % 3]},2020-01-{i % 28 + 1:02d},{'xy'[i % 2]}" for i in range(rows)]
    for place, line in odd.items():
        lines[int(place.removeprefix("row"))] = line
    return lines


def test_rows_of_a_table(tmp_path: Path) -> None:
    lines = cells(40, row3="old,a,2020-01-01,x", row9=",,,y", row20="1,a,someday,x", row30="1,2", row31="7,,,x")
    source = write_rows(tmp_path, "age,job,day,label", lines)
    assert run(tmp_path, source, inputs=TABLE) == {"rows": 36, "read": 39, "unreadable": 4}
    raw, bad = read(tmp_path / "raw"), read(tmp_path / "unreadable").to_pylist()
    assert raw.schema.equals(raw_schema(TABLE))
    assert raw.schema.names[-3:] == ["table.age", "table.job", "table.day"]
    assert {row["id"]: (row["reason"], row["source"]) for row in bad} == {
        "000000003": ("not a number", "rows.csv:5"), "000000009": ("nothing there", "rows.csv:11"),
        "000000020": ("not a date", "rows.csv:22"), "rows.csv:32": ("wrong number of cells", "rows.csv:32"),
    }  # fmt: skip
    assert read_manifest(tmp_path / "raw").counts == {
        "in": 40, "accepted": 36,
        "quarantined": {"not a date": 1, "not a number": 1, "nothing there": 1, "wrong number of cells": 1},
    }  # fmt: skip
    rows = {row["id"]: row for row in raw.to_pylist()}
    one = rows["000000004"]
    assert (one["table.age"], one["table.job"], one["table.day"].day, one["label"]) == (24.0, "b", 5, "x")
    assert (rows["000000031"]["table.age"], rows["000000031"]["table.job"]) == (7.0, None)
    assert one["source"] == "rows.csv:6"


def test_equal_rows_of_a_table_share_a_split_and_have_one_content(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "age,job,day,label", [*cells(60), *cells(90)])
    run(tmp_path, source, inputs=TABLE)
    raw = read(tmp_path / "raw").to_pandas()
    values = raw[["table.age", "table.job", "table.day"]].astype(str).agg("|".join, axis=1)
    assert values.nunique() == 90
    assert (raw.groupby(values)[["content", "split"]].nunique() == 1).all(axis=None)
    assert raw["content"].nunique() == values.nunique()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_of_a_table_only_changed_shards_are_read_again(tmp_path: Path, form: str) -> None:
    def write(lines: list[str]) -> Source:
        source = write_rows(tmp_path, "age,job,day,label", lines)
        if form == "csv":
            return source
        names = ("age", "job", "day", "label")
        columns = zip(*(line.split(",") for line in lines), strict=True)
        pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), tmp_path / "rows.parquet")
        return Source(path=str(tmp_path / "rows.parquet"))

    assert run(tmp_path, write(cells(40)), inputs=TABLE)["read"] == 40
    first = (tmp_path / "raw" / MANIFEST).read_bytes()
    assert run(tmp_path, write(cells(40)), inputs=TABLE)["read"] == 0
    assert (tmp_path / "raw" / MANIFEST).read_bytes() == first
    assert [s.rows for s in read_manifest(tmp_path / "raw").shards] == [8] * 5
    assert run(tmp_path, write(cells(40, row17="1,a,2020-01-01,x")), inputs=TABLE)["read"] == 8
    assert run(tmp_path, write(cells(43, row17="1,a,2020-01-01,x")), inputs=TABLE)["read"] == 3
    assert run(tmp_path, write(cells(43)), inputs=TABLE, code="other")["read"] == 43


def test_splits_of_a_table_are_kept_and_only_the_absent_one_is_drawn(tmp_path: Path) -> None:
    lines = [f"{line},{'test' if i % 4 == 0 else 'train'}" for i, line in enumerate(cells(100))]
    run(tmp_path, write_rows(tmp_path, "age,job,day,label,part", lines, split="part"), inputs=TABLE)
    raw = read(tmp_path / "raw", ["id", "split"]).to_pylist()
    assert {r["split"] for r in raw if int(r["id"]) % 4 == 0} == {"test"}
    assert {r["split"] for r in raw if int(r["id"]) % 4} == {"train", "val"}


def several(home: Path) -> list[str]:
    """`file,note,age,job,day,label` of 24 rows with images; every sixth row lacks one of the inputs, in turn."""
    lines = []
    for i in range(24):
        write_image(home / "images" / f"{i:02d}.png", noise(i))
        inputs = [f"images/{i:02d}.png", f"a note {i}", f"{20 + i},a,2020-01-02"]
        gap = i // 6 if i % 6 == 5 else None
        inputs = [(",," if k == 2 else "") if k == gap else text for k, text in enumerate(inputs)]
        lines.append(",".join([*inputs, "xy"[i % 2]]))
    return lines


HEADER = "file,note,age,job,day,label"


def test_several_inputs_of_one_row(tmp_path: Path) -> None:
    facts = run(tmp_path, write_rows(tmp_path, HEADER, several(tmp_path)), inputs=BOTH)
    assert facts == {"rows": 24, "read": 24, "unreadable": 0}
    rows = read(tmp_path / "raw").sort_by("source").to_pylist()
    assert read(tmp_path / "raw").schema.equals(raw_schema(BOTH))
    rows = sorted(rows, key=lambda row: row["note"] or "")
    gaps = {name: [row for row in rows if row[column] is None]
            for name, column in (("scan", "scan"), ("note", "note"), ("table", "table.age"))}  # fmt: skip
    assert {name: len(found) for name, found in gaps.items()} == {"scan": 1, "note": 1, "table": 1}
    for name, [row] in gaps.items():
        assert all(value is None for column, value in row.items() if column.partition(".")[0] == name)
        assert row["content"]
        assert row["source"]
    whole = next(row for row in rows if row["note"] == "a note 3")
    assert whole["scan"] == (tmp_path / "images/03.png").read_bytes()
    assert (whole["scan.width"], whole["table.age"], whole["note.words"]) == (8, 23.0, 3)
    assert whole["bytes"] == len(whole["scan"])
    assert len({row["content"] for row in rows}) == 24


def test_the_content_of_several_inputs_is_of_all_of_them(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(0))
    write_image(tmp_path / "b.png", noise(1))
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes())
    table = "20,x,2020-01-01,k"
    lines = [f"a.png,n,{table}", f"c.png,n,{table}", f"b.png,n,{table}", f"a.png,m,{table}", f"a.png,n,2{table}",
             f"a.png,,{table}", f",n,{table}", "a.png,n,,,,k"]  # fmt: skip
    lines = [f"r{i},{line}" for i, line in enumerate(lines)]
    run(tmp_path, write_rows(tmp_path, f"name,{HEADER}", lines, id="name"), inputs=BOTH)
    content = {row["id"]: row["content"] for row in read(tmp_path / "raw", ["id", "content"]).to_pylist()}
    assert content.pop("r1") == content["r0"]
    assert len(set(content.values())) == 7


def test_what_is_wrong_with_one_input_costs_the_row(tmp_path: Path) -> None:
    lines = several(tmp_path)
    (tmp_path / "images/01.png").write_text("no image")
    (tmp_path / "images/02.png").unlink()
    lines[3] = lines[3].replace("23,", "many,")
    lines[4] = ",,,,,x"
    lines[6] = "one cell"
    lines[7] = lines[7].replace("a note", "a " * 60)
    facts = run(tmp_path, write_rows(tmp_path, HEADER, lines), inputs=BOTH, max_characters=100)
    assert (facts["rows"], facts["unreadable"]) == (19, 5)
    bad = {row["reason"]: row for row in read(tmp_path / "unreadable").to_pylist()}
    assert set(bad) == {
        "not an image", "missing file", "not a number", "nothing there", "wrong number of cells",
    }  # fmt: skip
    assert bad["not a number"]["detail"] == "age: 'many'"
    cut = [row for row in read(tmp_path / "raw").to_pylist() if row["note.cut"]]
    assert [len(row["note"]) for row in cut] == [100]


def test_a_changed_cell_or_file_of_several_inputs_is_seen(tmp_path: Path) -> None:
    lines = several(tmp_path)
    source = write_rows(tmp_path, HEADER, lines)
    run(tmp_path, source, inputs=BOTH)
    assert run(tmp_path, source, inputs=BOTH)["read"] == 0
    write_image(tmp_path / "images/03.png", noise(99, 9))
    assert run(tmp_path, source, inputs=BOTH)["read"] == 8
    lines[0] = lines[0].replace("a note 0", "another")
    write_rows(tmp_path, HEADER, lines)
    assert run(tmp_path, source, inputs=BOTH)["read"] >= 8
    assert "another" in read(tmp_path / "raw", ["note"])["note"].to_pylist()


def test_texts_are_files_of_a_folder(tmp_path: Path) -> None:
    for label in "ab":
        for i in range(6):
            path = tmp_path / "source" / label / f"{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"a text {label} {i}", encoding="utf-16" if i == 3 else "utf-8")
    (tmp_path / "source/a/latin.txt").write_bytes("naïve".encode("latin-1"))
    note = {"note": Input(modality="text")}
    facts = run(tmp_path, Source(path=str(tmp_path / "source")), inputs=note)
    assert (facts["rows"], facts["unreadable"]) == (12, 1)
    rows = {row["id"]: row for row in read(tmp_path / "raw").to_pylist()}
    assert rows["a/3.txt"]["note"] == "a text a 3"
    [bad] = read(tmp_path / "unreadable").to_pylist()
    assert (bad["id"], bad["reason"]) == ("a/latin.txt", "invalid UTF-8")


def test_files_without_class_folders_have_no_label(tmp_path: Path) -> None:
    for i in range(10):
        write_image(tmp_path / "source" / f"{i}.png", noise(i))
    assert run(tmp_path, Source(path=str(tmp_path / "source")))["rows"] == 10
    assert set(read(tmp_path / "raw")["label"].to_pylist()) == {None}


def test_files_keep_the_times_that_their_table_tells(tmp_path: Path) -> None:
    for i in range(10):
        write_image(tmp_path / f"{i}.png", noise(i))
    text = (
        "path,label,day\n" + "".join(f"{i}.png,a,2024-01-{10 - i:02d}\n" for i in range(10)) + "gone.png,a,2024-01-20\n"
    )
    (tmp_path / "rows.csv").write_text(text)
    run(tmp_path, Source(path=str(tmp_path / "rows.csv"), label="label", time="day", split_by="time"))
    rows = {row["id"]: row["time"] for row in read(tmp_path / "raw").to_pylist()}
    assert sorted(rows, key=lambda name: rows[name]) == [f"{9 - i}.png" for i in range(10)]


def test_files_of_few_speakers_are_split_by_speaker(tmp_path: Path) -> None:
    for i in range(24):
        write_image(tmp_path / "source" / f"{i % 2}_{'abcdef'[i % 6]}_{i}.png", noise(i))
    run(tmp_path, Source(path=str(tmp_path / "source"), pattern=r"(?P<label>\d)_(?P<group>[a-f])_"))
    rows = read(tmp_path / "raw").to_pandas()
    assert rows.groupby("group")["split"].nunique().max() == 1
    assert set(rows["split"]) == {"train", "val", "test"}
