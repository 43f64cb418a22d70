"""What is read is what was listed: files and tables that go away, change, or come back with an old time."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks import sources
from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tasks.plan import plan
from tasks.sources import NotNow, snapshot
from tasks.sources.base import State
from tasks.storage.store import MANIFEST, read
from tests.fixtures.images import class_folders, encode, noise, write_image
from tests.verbs.test_ingest import BOTH, HEADER, IMAGE, QUICK, TABLE, cells, run, several, write_rows


def folder(home: Path) -> Source:
    return Source(path=str(class_folders(home / "source", each=10)))


def plan_alone(home: Path, source: Source, inputs: dict[str, Input] = IMAGE) -> dict[str, Any]:
    dataset = Dataset(source=source, inputs=inputs, ingest=Ingest(**QUICK))
    return plan(dataset=dataset, listing=home / "listing", plan=home / "plan", warn=pytest.fail)


def ingest_alone(home: Path, source: Source, inputs: dict[str, Input] = IMAGE) -> dict[str, Any]:
    from tasks.core.progress import Progress
    from tasks.ingest import ingest

    return ingest(
        source=source, inputs=inputs, params=Ingest(**QUICK), code="code", listing=home / "listing",
        raw=home / "raw", unreadable=home / "unreadable", scratch=home / "scratch", warn=pytest.fail,
        progress=Progress(quiet=True),
    )  # fmt: skip


def put(path: Path, data: bytes) -> None:
    """Other bytes at ``path``, by another file, with the time that the old one had."""
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(data)
    os.replace(other, path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def pixels(home: Path, name: str) -> bytes:
    rows = {row["id"]: row["image"] for row in read(home / "raw", ["id", "image"]).to_pylist()}
    return rows[name]


def test_files_that_go_away_and_come_back_are_all_there(tmp_path: Path) -> None:
    source = folder(tmp_path)
    plan_alone(tmp_path, source)
    shutil.move(tmp_path / "source/b", tmp_path / "away")
    with pytest.raises(DeepmineError) as caught:
        ingest_alone(tmp_path, source)
    said = str(caught.value)
    assert f"{source.path}: 10 files missing file: b/00.png (No such file or directory), b/01.png" in said
    assert "and 5 more. Nothing was stored of them. Run again when they can be read" in said
    assert not (tmp_path / "raw" / MANIFEST).exists()
    assert not (tmp_path / "unreadable").exists()
    kept = [read_bad(path) for path in (tmp_path / "scratch").glob("*.bad-*")]
    assert kept == [[]], "the one shard that was there is kept, and says nothing of those that were not"
    shutil.move(tmp_path / "away", tmp_path / "source/b")
    assert run(tmp_path, source) == {"rows": 20, "read": 12, "unreadable": 0}


def read_bad(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


@pytest.mark.skipif(sys.platform != "linux", reason="a file that cannot be read by anyone")
def test_what_the_disk_does_not_give_is_no_verdict() -> None:
    source = Source(path="/proc/self")  # reading the start of its `mem` is an error of input and output
    with pytest.raises(NotNow) as caught:
        sources.read_bytes(source, "mem")
    assert (caught.value.reason, caught.value.detail) == ("unreadable for now", "Input/output error")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    source = folder(tmp_path)
    (tmp_path / "source/a/03.png").chmod(0)
    with pytest.raises(DeepmineError, match=r"1 file unreadable for now: a/03.png \(Permission denied\).*permissions"):
        run(tmp_path, source)


def test_a_file_listed_as_absent_is_a_verdict_until_it_is_there(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a",), each=10)
    lines = [f"a/{i:02d}.png,x" for i in range(12)]
    source = write_rows(tmp_path, "path,label", lines)
    assert run(tmp_path, source) == {"rows": 10, "read": 12, "unreadable": 2}
    assert {row["reason"] for row in read(tmp_path / "unreadable").to_pylist()} == {"missing file"}
    for i in (10, 11):
        write_image(tmp_path / f"a/{i}.png", noise(i))
    assert run(tmp_path, source) == {"rows": 12, "read": 4, "unreadable": 0}
    plan_alone(tmp_path, source)
    (tmp_path / "a/12.png").write_bytes(encode(noise(12)))
    write_rows(tmp_path, "path,label", [*lines, "a/12.png,x", "a/13.png,x"])
    plan_alone(tmp_path, source)
    write_image(tmp_path / "a/13.png", noise(13))
    with pytest.raises(DeepmineError, match=r"1 file changed since it was listed: a/13.png"):
        ingest_alone(tmp_path, source)


def test_a_file_replaced_between_plan_and_ingest_stops_with_its_name(tmp_path: Path) -> None:
    source = folder(tmp_path)
    plan_alone(tmp_path, source)
    write_image(tmp_path / "source/a/03.png", noise(500, 9))
    with pytest.raises(
        DeepmineError, match=r"1 file changed since it was listed: a/03\.png\. Nothing was stored"
    ) as caught:
        ingest_alone(tmp_path, source)
    assert "Run again, and they are read as they are then" in str(caught.value)
    assert run(tmp_path, source)["rows"] == 20
    assert pixels(tmp_path, "a/03.png") == encode(noise(500, 9))


@pytest.mark.parametrize("when", ["before the plan", "after it"])
def test_a_file_put_back_with_its_old_time_is_noticed(tmp_path: Path, when: str) -> None:
    source = folder(tmp_path)
    first = run(tmp_path, source)
    digest = plan_alone(tmp_path, source)["listing"]["digest"]
    path = tmp_path / "source/a/03.png"
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF  # of the same size, and no picture any more
    if when == "before the plan":
        put(path, bytes(data))
        assert plan_alone(tmp_path, source)["listing"]["digest"] != digest
        assert ingest_alone(tmp_path, source) == {"rows": first["rows"] - 1, "read": 8, "unreadable": 1}
        put(path, encode(noise(3)))
        assert run(tmp_path, source) == {"rows": first["rows"], "read": 8, "unreadable": 0}
        assert plan_alone(tmp_path, source)["listing"]["digest"] != digest, "never taken for what it was by its time"
        return
    shutil.rmtree(tmp_path / "scratch")
    put(path, bytes(data))
    with pytest.raises(DeepmineError, match=r"1 file changed since it was listed: a/03\.png, its time put back"):
        ingest_alone(tmp_path, source)


def test_a_file_put_back_while_only_some_shards_were_read(tmp_path: Path) -> None:
    source = folder(tmp_path)
    plan_alone(tmp_path, source)
    shutil.move(tmp_path / "source/b", tmp_path / "away")
    with pytest.raises(DeepmineError, match="missing file"):
        ingest_alone(tmp_path, source)  # the first shard is in the scratch now, and nothing else knows of it
    shutil.move(tmp_path / "away", tmp_path / "source/b")
    put(tmp_path / "source/a/03.png", encode(noise(77)))
    assert len(encode(noise(77))) == len(encode(noise(3)))
    assert run(tmp_path, source)["rows"] == 20
    assert pixels(tmp_path, "a/03.png") == encode(noise(77))


@pytest.mark.parametrize("keep", [True, False])
def test_a_copied_source_is_not_read_again(tmp_path: Path, keep: bool) -> None:
    source = folder(tmp_path)
    run(tmp_path, source)
    before = plan_alone(tmp_path, source)
    shutil.copytree(source.path, tmp_path / "copy", copy_function=shutil.copy2 if keep else shutil.copyfile)
    shutil.rmtree(source.path)
    (tmp_path / "copy").rename(source.path)
    os.utime(tmp_path / "source/a/00.png", ns=(1, 2))
    assert plan_alone(tmp_path, source) == before
    assert ingest_alone(tmp_path, source)["read"] == 0
    assert run(tmp_path, source)["read"] == 0
    write_image(tmp_path / "source/a/00.png", noise(300))
    assert run(tmp_path, source)["read"] == 8


def test_an_unchanged_source_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path)
    run(tmp_path, source)
    at = snapshot.beside(tmp_path / "listing")
    before = at.stat().st_mtime_ns
    monkeypatch.setattr("tasks.sources.inventory.hashed", lambda *_: pytest.fail("hashed"))
    plan_alone(tmp_path, source)
    assert at.stat().st_mtime_ns == before
    at.write_bytes(b"PAR1 damaged")
    plan_alone(tmp_path, source)
    assert ingest_alone(tmp_path, source)["read"] == 0
    assert None not in snapshot.load(at)["sha256"].to_pylist(), "the scratch still knows what was read"


def test_a_table_that_changes_between_plan_and_ingest(tmp_path: Path) -> None:
    source = write_rows(tmp_path, "age,job,day,label", cells(40))
    plan_alone(tmp_path, source, TABLE)
    write_rows(tmp_path, "age,job,day,label", cells(41))
    with pytest.raises(DeepmineError, match=r"rows\.csv: changed since it was listed\. Nothing was stored\. Run again"):
        ingest_alone(tmp_path, source, TABLE)
    (tmp_path / "rows.csv").rename(tmp_path / "away.csv")
    with pytest.raises(DeepmineError, match=r"rows\.csv: is not there now\. Nothing was stored"):
        ingest_alone(tmp_path, source, TABLE)
    (tmp_path / "away.csv").rename(tmp_path / "rows.csv")
    assert run(tmp_path, source, inputs=TABLE)["rows"] == 41
    digest = plan_alone(tmp_path, source, TABLE)["listing"]["digest"]
    shutil.copyfile(tmp_path / "rows.csv", tmp_path / "copy.csv")
    os.replace(tmp_path / "copy.csv", tmp_path / "rows.csv")
    assert plan_alone(tmp_path, source, TABLE)["listing"]["digest"] == digest, "the same rows at another time"
    put(tmp_path / "rows.csv", (tmp_path / "rows.csv").read_bytes().replace(b"20,a,", b"21,a,"))
    assert plan_alone(tmp_path, source, TABLE)["listing"]["digest"] != digest
    assert ingest_alone(tmp_path, source, TABLE)["read"] > 0


def test_the_second_of_two_files_put_back_with_its_old_time(tmp_path: Path) -> None:
    source = write_rows(tmp_path, HEADER, several(tmp_path))
    run(tmp_path, source, inputs=BOTH)
    put(tmp_path / "images/03.png", encode(noise(77)))
    assert run(tmp_path, source, inputs=BOTH)["read"] == 8
    put(tmp_path / "rows.csv", (tmp_path / "rows.csv").read_bytes().replace(b"a note 3", b"a nose 3"))
    assert run(tmp_path, source, inputs=BOTH)["read"] >= 8
    assert "a nose 3" in read(tmp_path / "raw", ["note"])["note"].to_pylist()


def test_a_root_that_is_away_is_a_source_that_is_away(tmp_path: Path) -> None:
    class_folders(tmp_path / "share", ("a",), each=4)
    source = write_rows(tmp_path, "path,label", [f"a/{i:02d}.png,x" for i in range(4)], root=str(tmp_path / "share"))
    assert sources.exists(source)
    (tmp_path / "share").rename(tmp_path / "unmounted")
    assert not sources.exists(source)


def test_names_of_files_that_look_like_our_own_words(tmp_path: Path) -> None:
    names = ["rows.csv:3: duplicate id: x", "missing file", "unreadable: x"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, noise(i))
    source = write_rows(tmp_path, "path,label", [f"{name},a" for name in names] + ["missing file,a"])
    assert run(tmp_path, source) == {"rows": 3, "read": 4, "unreadable": 1}
    [bad] = read(tmp_path / "unreadable").to_pylist()
    assert (bad["id"], bad["source"], bad["reason"]) == ("rows.csv:5", "rows.csv:5", "duplicate id")
    assert sorted(read(tmp_path / "raw")["id"].to_pylist()) == sorted(names)


def test_names_that_differ_in_their_normalisation_alone(tmp_path: Path) -> None:
    composed, apart = "a/caf\u00e9.png", "a/cafe\u0301.png"
    class_folders(tmp_path / "source", each=8)
    source = Source(path=str(tmp_path / "source"))
    write_image(tmp_path / "source" / apart, noise(1000))
    assert run(tmp_path, source)["rows"] == 17
    assert pixels(tmp_path, composed) == encode(noise(1000)), "alone it is called by the composed name"
    write_image(tmp_path / "source" / composed, noise(1001))
    for _ in range(2):
        assert run(tmp_path, source)["rows"] == 18
        ids = [i for i in read(tmp_path / "raw")["id"].to_pylist() if i.startswith(composed[:5])]
        # numbered by the bytes of its own name, so that it is called so in every run
        assert sorted(ids) == [composed, f"{composed}~c2f5b7c8"]
        assert pixels(tmp_path, composed) == encode(noise(1001))
    rows = write_rows(tmp_path, "path,label", [f"{n},x" for n in (apart, composed, apart)], root=source.path)
    assert run(tmp_path / "of a table", rows)["rows"] == 2
    assert [row["reason"] for row in read(tmp_path / "of a table/unreadable").to_pylist()] == ["duplicate id"]


def test_what_a_snapshot_makes_of_a_file() -> None:
    def states(**files: State) -> pa.Table:
        rows = [{"path": path, **state._asdict()} for path, state in files.items()]
        return pa.Table.from_pylist(rows, pa.schema([snapshot.SNAPSHOT.field(n) for n in snapshot.STATE]))

    was = State(5, 100, 200, 7)
    known = snapshot.settle(states(a=was), snapshot.SNAPSHOT.empty_table(), pytest.fail)
    assert snapshot.versions(known) == {"a": (5, 100, None)}
    assert snapshot.settle(states(a=was), known, pytest.fail) is known
    read_ = pa.Table.from_pylist([{"path": "a", **was._asdict(), "sha256": "one"}])
    known = snapshot.with_read(known, read_, {"a"})
    moved = was._replace(mtime_ns=999, inode=8)
    same = snapshot.settle(states(a=moved), known, lambda path: "one")
    assert snapshot.versions(same) == {"a": (5, 100, None)}, "equal bytes: listed as before"
    other = snapshot.settle(states(a=moved), known, lambda path: "two")
    assert snapshot.versions(other) == {"a": (5, 999, "two")}
    away = snapshot.settle(states(a=State(-1, 0, 0, 0)), known, pytest.fail)
    assert snapshot.versions(away) == {"a": (-1, 0, None)}
    assert snapshot.versions(snapshot.settle(states(a=was), away, lambda path: "one")) == {"a": (5, 100, None)}
