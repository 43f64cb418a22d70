"""ingest, after a real plan: every listed item stands in exactly one place."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks import config
from tasks.ingest import ingest, split_of
from tasks.plan import plan
from tasks.progress import Progress
from tasks.store import MANIFEST, read, read_manifest
from tests.images import class_folders, encode, noise, write_image

QUICK = {"shard_rows": 8, "val": 0.2, "test": 0.3}


def run(home: Path, source: config.Source, code: str = "code", **params: Any) -> dict[str, Any]:
    """plan and ingest of ``source`` into ``home``; what ingest says of it."""
    dataset = config.Dataset(source=source, ingest=config.Ingest(**{**QUICK, **params}))
    plan(dataset=dataset, listing=home / "listing", plan=home / "plan", warn=pytest.fail)
    return ingest(
        source=source, inputs=dataset.inputs, params=dataset.ingest, code=code, listing=home / "listing",
        raw=home / "raw", unreadable=home / "unreadable", scratch=home / "scratch", progress=Progress(quiet=True),
    )  # fmt: skip


def write_rows(home: Path, header: str, rows: list[str], **keys: str) -> config.Source:
    (home / "rows.csv").write_text("\n".join([header, *rows]) + "\n")
    return config.Source(path=str(home / "rows.csv"), **keys)


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
    facts = run(tmp_path, config.Source(path=str(root)), max_pixels=10_000)
    assert facts == {"rows": 18, "read": 25, "unreadable": 7}
    raw, bad = read(tmp_path / "raw"), read(tmp_path / "unreadable")
    reasons = {row["id"]: row["reason"] for row in bad.to_pylist()}
    assert reasons == {
        "a/cut.png": "broken image", "a/flipped.png": "broken image", "a/text.png": "not an image",
        "b/empty.png": "empty file", "b/away.png": "missing or unreadable file",
        "b/out.png": "outside the source folder", "b/huge.png": "too many pixels",
    }  # fmt: skip
    assert dict(zip(raw["id"].to_pylist(), raw["image"].to_pylist(), strict=True)) == sound
    counts = read_manifest(tmp_path / "raw").counts
    assert counts == {"in": 25, "accepted": 18, "quarantined": dict(sorted(Counter(reasons.values()).items()))}
    assert {(row["label"], row["source"]) for row in bad.to_pylist()} == {(name[0], name) for name in reasons}
    assert raw["bytes"].to_pylist() == [len(data) for data in raw["image"].to_pylist()]
    assert set(zip(raw["width"].to_pylist(), raw["height"].to_pylist(), raw["mode"].to_pylist(), strict=True)) == {
        (8, 8, "L")
    }


def test_nothing_readable_is_still_a_store(tmp_path: Path) -> None:
    (tmp_path / "source/a").mkdir(parents=True)
    (tmp_path / "source/a/1.png").write_text("x")
    assert run(tmp_path, config.Source(path=str(tmp_path / "source"))) == {"rows": 0, "read": 1, "unreadable": 1}
    assert read(tmp_path / "raw").num_rows == 0


def test_copies_share_a_split_under_any_name_and_form(tmp_path: Path) -> None:
    for i in range(30):
        write_image(tmp_path / "source/a" / f"{i}.png", noise(i))
        (tmp_path / "source/b").mkdir(exist_ok=True)
        (tmp_path / "source/b" / f"copy of {i}.bmp").write_bytes(encode(noise(i), "BMP"))
    run(tmp_path, config.Source(path=str(tmp_path / "source")))
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
    run(tmp_path, config.Source(path=str(tmp_path / "source")))
    raw = read(tmp_path / "raw", ["id", "split"]).to_pandas()
    official = raw["id"].str.partition("/")[0]
    assert set(raw.loc[official == "test", "split"]) == {"test"}
    carved = raw.loc[official == "train", "split"].value_counts().to_dict()
    assert set(carved) == {"train", "val"}
    assert 6 <= carved["val"] <= 26  # a fifth of 80


def test_a_test_folder_that_comes_later_takes_back_the_rows_carved_out(tmp_path: Path) -> None:
    source = config.Source(path=str(tmp_path / "source"))
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
    run(tmp_path, config.Source(path=str(tmp_path / "source")))
    raw = read(tmp_path / "raw", ["id", "split"]).to_pandas()
    assert (raw["id"].str.partition("/")[0] == raw["split"]).all()


def test_shares_are_about_what_was_asked() -> None:
    found = Counter(split_of(f"{i}", 0.1, 0.2) for i in range(5000))
    assert abs(found["val"] - 500) < 100
    assert abs(found["test"] - 1000) < 130
    assert {split_of(f"{i}", 0.0, 0.0) for i in range(100)} == {"train"}


def test_a_lost_shard_alone_is_read_again(tmp_path: Path) -> None:
    source = config.Source(path=str(class_folders(tmp_path / "source", each=10)))
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
    source = config.Source(path=str(class_folders(tmp_path / "source", each=10)))
    run(tmp_path, source)
    write_image(tmp_path / "source/a/new.png", noise(77))
    assert run(tmp_path, source)["read"] == 1
    write_image(tmp_path / "source/a/00.png", noise(78, 9))
    assert run(tmp_path, source)["read"] == 8
    assert run(tmp_path, source, code="other code")["read"] == 21
    assert run(tmp_path, source, code="other code", val=0.3)["read"] == 21
