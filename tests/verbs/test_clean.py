"""clean: one shape for every row, a state that knows the train rows alone, and pixels that mean what they meant."""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tasks.clean import clean, fit_rows
from tasks.config.clean import Clean, CleanImage, CleanTabular, Outliers
from tasks.config.ingest import Ingest
from tasks.config.source import Input
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.modalities import MODALITIES, image, modality
from tasks.modalities.raw_schema import raw_schema
from tasks.storage.names import STATE
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.store import MANIFEST, Writer, read, read_manifest
from tests.fixtures.images import encode, noise
from tests.verbs.test_validate import IMAGE, RAW, TABLE

SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 4


def run(
    home: Path, images: list[Image.Image | np.ndarray], gone: tuple[str, ...] = (), **params: Any
) -> dict[str, Any]:
    """clean of two raw shards of images; the facts it returns. Row ``i`` has the split ``SPLITS[i]``."""
    rows = [
        {"id": f"{i:02d}", "split": SPLITS[i], "label": "a", "image": encode(item), "source": "s", "bytes": 1,
         **named(image.inspect(encode(item), 1 << 30))}
        for i, item in enumerate(images)
    ]  # fmt: skip
    write_raw(home, pa.Table.from_pylist(rows, RAW), [5, len(rows)])
    return again(home, IMAGE, Clean(image=CleanImage(**params)), gone)


def named(facts: dict[str, Any]) -> dict[str, Any]:
    return {"content": facts["content"]} | {f"image.{k}": v for k, v in facts.items() if k != "content"}


def write_raw(home: Path, rows: pa.Table, ends: Sequence[int]) -> None:
    """A raw store of ``rows`` whose shards end at the given places."""
    writer = Writer(home / "raw", rows.schema, "test")
    for start, end in zip([0, *ends], ends, strict=False):
        writer.add(rows.slice(start, end - start))
    writer.finish({"in": rows.num_rows, "accepted": rows.num_rows, "quarantined": {}})


def again(
    home: Path, inputs: dict[str, Input], params: Clean, gone: tuple[str, ...] = (), code: str = "code"
) -> dict[str, Any]:
    """clean of the raw store that stands in ``home``."""
    bad = Writer(home / "rejected", QUARANTINE, "test")
    bad.add(pa.Table.from_pylist([{"id": name, "reason": "copy"} for name in gone], QUARANTINE))
    bad.finish({"in": len(gone), "accepted": len(gone), "quarantined": {}})
    return clean(
        params=params, inputs=inputs, code=code, raw=home / "raw", rejected=home / "rejected", clean=home / "clean",
        cleaned=home / "cleaned", items=home / "items", scratch=home / "scratch", progress=Progress(quiet=True),
    )  # fmt: skip


def state(home: Path, name: str = "image") -> dict[str, Any]:
    found: dict[str, Any] = read_json(home / "clean" / STATE)["inputs"][name]
    return found


def greys(side: int = 8) -> list[Image.Image | np.ndarray]:
    return [noise(i, side) for i in range(12)]


def test_rows_ledger_and_state(tmp_path: Path) -> None:
    images = greys()
    facts = run(tmp_path, images, gone=("01", "11"))
    assert facts == {"rows": 10, "set_aside": 0, "image": "height 8, width 8, mode L"}
    table = read(tmp_path / "clean")
    assert table.column_names == ["id", "content", "split", "label", "image"]
    assert table["id"].to_pylist() == [f"{i:02d}" for i in range(12) if i not in (1, 11)]
    assert table["image"].to_pylist()[1] == np.asarray(images[2]).tobytes()
    assert read_manifest(tmp_path / "clean").counts == {
        "in": 12, "accepted": 10, "quarantined": {"rejected by validate": 2},
    }  # fmt: skip
    assert json.loads(read_manifest(tmp_path / "clean").metadata["inputs"]) == {"image": "image"}
    assert read(tmp_path / "cleaned").schema.equals(QUARANTINE)
    assert read(tmp_path / "cleaned").num_rows == 0
    train = np.stack([np.asarray(images[i]) for i in (0, 2, 3, 4, 5)]).astype(float)
    found = state(tmp_path)
    assert found["mean"] == pytest.approx([train.mean()])
    assert found["std"] == pytest.approx([train.std()])
    assert (found["height"], found["width"], found["mode"]) == (8, 8, "L")
    assert found["modality"] == "image"


def test_the_state_knows_train_rows_alone(tmp_path: Path) -> None:
    run(tmp_path, greys())
    first = state(tmp_path)
    others: list[Image.Image | np.ndarray] = [np.full((31, 17, 3), i, np.uint8) for i in range(6)]
    run(tmp_path, greys()[:6] + others)  # other pixels, size and mode in val and test
    assert state(tmp_path) == first
    changed = greys()
    changed[0] = noise(99)
    run(tmp_path, changed)
    assert state(tmp_path)["mean"] != first["mean"]
    assert state(tmp_path)["std"] != first["std"]


def test_constant_images_do_not_divide_by_zero(tmp_path: Path) -> None:
    run(tmp_path, [np.full((4, 4), 7, np.uint8)] * 12)
    assert (state(tmp_path)["mean"], state(tmp_path)["std"]) == ([7.0], [1.0])


def test_automatic_size_is_the_median_of_train(tmp_path: Path) -> None:
    sides = [4, 6, 6, 10, 20, 6] + [50] * 6
    run(tmp_path, [np.zeros((side, 2 * side), np.uint8) for side in sides])
    assert (state(tmp_path)["height"], state(tmp_path)["width"]) == (6, 12)
    assert {len(item) for item in read(tmp_path / "clean")["image"].to_pylist()} == {72}
    run(tmp_path, [np.zeros((side, 2 * side), np.uint8) for side in sides], max_auto_side=9)
    assert (state(tmp_path)["height"], state(tmp_path)["width"]) == (6, 9)
    run(tmp_path, [np.zeros((side, 2 * side), np.uint8) for side in sides], max_auto_side=9, width=11, height=3)
    assert (state(tmp_path)["height"], state(tmp_path)["width"]) == (3, 11)


def test_automatic_mode_is_grey_where_every_train_image_is(tmp_path: Path) -> None:
    images = greys()
    images[0] = Image.fromarray(noise(0) > 99)
    images[1] = Image.fromarray(noise(0).astype(np.uint16) * 257)
    run(tmp_path, images)
    assert state(tmp_path)["mode"] == "L"
    images[2] = Image.new("RGB", (8, 8), "red")
    run(tmp_path, images)
    assert state(tmp_path)["mode"] == "RGB"
    assert len(state(tmp_path)["mean"]) == 3
    run(tmp_path, images, mode="L")
    assert state(tmp_path)["mode"] == "L"


def test_again_gives_the_same_bytes_and_damage_is_mended(tmp_path: Path) -> None:
    run(tmp_path, greys())
    first = (tmp_path / "clean" / MANIFEST).read_bytes()
    shards = sorted((tmp_path / "scratch").iterdir())
    assert len(shards) == 6  # rows, what was set aside, and what is known of them
    shards[0].unlink()
    for shard in shards[3:]:
        damaged = shard.read_bytes()
        shard.unlink()
        shard.write_bytes(damaged[:-1] + b"x")
    run(tmp_path, greys())
    assert (tmp_path / "clean" / MANIFEST).read_bytes() == first
    assert sorted((tmp_path / "scratch").iterdir()) == shards


def test_a_shard_without_accepted_rows(tmp_path: Path) -> None:
    assert run(tmp_path, greys(), gone=("05", "06", "07", "08", "09", "10", "11"))["rows"] == 5


def test_an_item_that_cannot_be_repaired_is_left_out_and_counted(tmp_path: Path) -> None:
    whole = run(tmp_path, greys(64))
    before = read(tmp_path / "clean")
    table = read(tmp_path / "raw")
    items = table["image"].to_pylist()
    items[3] = items[3][:100]  # as if the decoder were another since ingest
    table = table.set_column(table.column_names.index("image"), RAW.field("image"), pa.array(items, pa.binary()))
    write_raw(tmp_path, table, [12])
    assert again(tmp_path, IMAGE, Clean()) == {**whole, "rows": 11, "set_aside": 1}
    assert read_manifest(tmp_path / "clean").counts == {
        "in": 12, "accepted": 11, "quarantined": {"rejected by validate": 0, "broken image": 1},
    }  # fmt: skip
    [aside] = read(tmp_path / "cleaned").to_pylist()
    assert aside == {
        "id": "03",
        "source": "s",
        "label": "a",
        "split": "train",
        "reason": "broken image",
        "detail": None,
    }
    expected = before.filter([i != "03" for i in before["id"].to_pylist()])
    assert read(tmp_path / "clean").equals(expected)


def repair(data: bytes, mode: str = "L") -> np.ndarray:
    opened = Image.open(BytesIO(data))
    flat = image.repair(data, {"height": opened.height, "width": opened.width, "mode": mode})
    return np.frombuffer(flat, np.uint8).reshape(opened.height, opened.width, -1).squeeze()  # (H, W) or (H, W, 3)


DEEP = np.array([[0, 255, 256, 1000], [20_000, 32_768, 50_000, 65_535]], np.uint16)


def big_endian_tiff(values: np.ndarray) -> bytes:
    """A 16-bit grey TIFF as ImageJ writes it."""
    height, width = values.shape
    data = values.astype(">u2").tobytes()
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + struct.pack(">H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "data", [encode(DEEP), encode(DEEP, "TIFF"), big_endian_tiff(DEEP)], ids=["png", "tiff", "big"]
)
def test_16_bits_are_scaled_not_clipped(data: bytes, mode: str) -> None:
    expected = DEEP.astype(float) / 65_535 * 255
    found = repair(data, mode)
    assert np.abs(found.reshape(2, 4, -1) - expected[..., None]).max() <= 1


def test_floats_are_scaled() -> None:
    small = np.linspace(0, 200, 8, dtype=np.float32).reshape(2, 4)
    for values in (small, small * 100):
        found = repair(encode(Image.fromarray(values), "TIFF"))
        assert found[0, 0] == 0
        assert (np.diff(found.reshape(-1).astype(int)) > 0).all()
        assert found.max() < 256


def test_palettes() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    assert repair(encode(picture), "RGB").tolist() == [[255, 0, 0], [0, 0, 255]]
    clear = encode_transparent(picture)
    assert repair(clear, "RGB").tolist() == [[255, 255, 255], [0, 0, 255]]


def encode_transparent(picture: Image.Image) -> bytes:
    """A palette PNG whose colour 0 is transparent."""

    buffer = BytesIO()
    picture.save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    picture = Image.new(mode, (2, 1), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255) if mode == "RGBA" else (0, 255))
    assert repair(encode(picture)).tolist() == [255, 0]
    assert repair(encode(picture), "RGB").tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk(form: str) -> None:
    cyan = repair(encode(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), form), "RGB")
    assert np.abs(cyan[3, 3].astype(int) - [0, 255, 255]).max() <= 3
    grey = repair(encode(Image.new("CMYK", (8, 8), (0, 0, 0, 128)), form))
    assert abs(int(grey[3, 3]) - 127) <= 3


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lab(mode: str) -> None:
    assert repair(encode(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"), mode).min() > 240


def test_1_bit_is_black_and_white() -> None:
    assert repair(encode(Image.fromarray(np.array([[True, False]])))).tolist() == [255, 0]


def test_a_turned_photo_is_set_upright() -> None:
    picture = Image.fromarray(np.array([[10, 20]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise

    buffer = BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    facts = image.inspect(buffer.getvalue(), 99)
    assert (facts["width"], facts["height"]) == (1, 2)
    flat = image.repair(buffer.getvalue(), {"height": 2, "width": 1, "mode": "L"})
    assert list(flat) == [10, 20]


BOTH = {**IMAGE, "note": Input(modality="text", columns=("note",)), **TABLE}
WORDS = ["red", "green", "blue", "small", "large", "round", "square", "old", "new", "soft"]
N = 120


def several(seed: int = 0, perturbed: str = "") -> pa.Table:
    """(N rows) of an image, a text and a table, each missing in every seventh row; of one split, other values."""
    rng = np.random.default_rng(seed)
    splits = [("train", "train", "train", "val", "test")[i % 5] for i in range(N)]
    other = [s == perturbed for s in splits]
    notes = [" ".join(rng.choice(WORDS, 6)) for _ in range(N)]
    cells = {
        "note": ["strange word here" if o else n for o, n in zip(other, notes, strict=True)],
        "age": [str(round(float(v) + 1000 * o, 3)) for v, o in zip(rng.normal(40, 9, N), other, strict=True)],
        "job": ["zzz" if o else "abc"[i % 3] for i, o in enumerate(other)],
    }
    missing = {name: [i % 7 == k for i in range(N)] for k, name in enumerate(("image", "note", "table"))}
    for column, name in (("note", "note"), ("age", "table"), ("job", "table")):
        cells[column] = [None if gone else v for v, gone in zip(cells[column], missing[name], strict=True)]  # type: ignore[misc]
    pictures = [encode(noise(i + 999 * o, 8)) for i, o in enumerate(other)]
    facts = [
        {} if gone else {"image": data} | named(image.inspect(data, 1 << 30))
        for data, gone in zip(pictures, missing["image"], strict=True)
    ]
    columns: dict[str, Any] = {
        "id": [f"{i:03d}" for i in range(N)], "split": splits, "label": ["ab"[i % 2] for i in range(N)],
        "content": [hashlib.sha256(f"{i}".encode()).hexdigest() for i in range(N)], "group": [None] * N,
        "source": ["s"] * N, "bytes": [1] * N, "time": [None] * N,
        **{name: [row.get(name) for row in facts] for name in RAW.names if name.startswith("image")},
    }  # fmt: skip
    for name in ("note", "table"):
        admitted = modality(BOTH[name].modality).admit_columns(pa.table(cells), BOTH[name], Ingest())
        columns |= {f"{name}.{k}" if k else name: v for k, v in admitted.columns.items()}
        assert [c is None for c in admitted.content] == missing[name]
    schema = raw_schema(BOTH)
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema}, schema=schema)


def test_several_inputs_of_which_one_may_be_missing(tmp_path: Path) -> None:
    write_raw(tmp_path, several(), [50, N])
    facts = again(tmp_path, BOTH, Clean())
    assert (facts["rows"], facts["set_aside"]) == (N, 0)
    table = read(tmp_path / "clean")
    assert table.column_names == ["id", "content", "split", "label", *BOTH]
    assert json.loads(read_manifest(tmp_path / "clean").metadata["inputs"]) == {
        "image": "image", "note": "text", "table": "tabular",
    }  # fmt: skip
    for k, name in enumerate(BOTH):
        assert table[name].is_null().to_pylist() == [i % 7 == k for i in range(N)]
        made, settled = modality(BOTH[name].modality), state(tmp_path, name)
        items = made.array(table[name], settled)
        assert items.shape == (N, *made.shape(settled))
        assert items.dtype == made.dtype
        assert not items[k::7].any()
        assert items.any(axis=tuple(range(1, items.ndim))).sum() == N - len(range(k, N, 7))
    train = [i for i in range(N) if i % 5 < 3 and i % 7 != 0]
    pixels = np.stack([noise(i, 8) for i in train]).astype(float)
    assert state(tmp_path)["mean"] == pytest.approx([pixels.mean()])  # the missing ones are no black images


@pytest.mark.parametrize(("split", "same"), [("val", True), ("test", True), ("train", False)])
def test_all_that_is_fitted_is_fitted_on_train_rows(tmp_path: Path, split: str, same: bool) -> None:
    params = Clean(tabular=CleanTabular(outliers=Outliers(method="z_score", action="clip")))
    for home, perturbed in ((tmp_path / "one", ""), (tmp_path / "two", split)):
        write_raw(home, several(perturbed=perturbed), [50, N])
        again(home, BOTH, params)
    for name in BOTH:
        assert (state(tmp_path / "one", name) == state(tmp_path / "two", name)) is same, name
    assert set(state(tmp_path / "one", "note")["vocabulary"]) == set(WORDS)
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / home / "clean").glob("_table.*")} for home in ("one", "two")
    )
    assert (one == two) is same
    assert one


def test_fitted_files_stand_beside_the_rows_and_stale_ones_go(tmp_path: Path) -> None:
    write_raw(tmp_path, several(), [N])
    outliers = Outliers(method="isolation_forest", action="flag")
    again(tmp_path, BOTH, Clean(tabular=CleanTabular(outliers=outliers)))
    files = state(tmp_path, "table")["files"]
    assert len(files) == 2
    for file, sha256 in files.items():
        assert hashlib.sha256((tmp_path / "clean" / file).read_bytes()).hexdigest() == sha256
    again(tmp_path, BOTH, Clean())
    left = set(state(tmp_path, "table")["files"])
    assert len(left) == 1
    kept = {p.name for p in (tmp_path / "clean").iterdir()}
    assert kept == {"00000.parquet", MANIFEST, STATE, *left}
    first = {p.name: p.read_bytes() for p in (tmp_path / "clean").iterdir()}
    again(tmp_path, BOTH, Clean())
    assert {p.name: p.read_bytes() for p in (tmp_path / "clean").iterdir()} == first


def test_outliers_are_set_aside_and_the_ledger_adds_up(tmp_path: Path) -> None:
    rows = several()
    ages = rows["table.age"].to_pylist()
    ages[3], ages[8], ages[10] = 9000.0, -7000.0, 8000.0  # val, val, train
    rows = rows.set_column(rows.column_names.index("table.age"), rows.schema.field("table.age"), pa.array(ages))
    write_raw(tmp_path, rows, [9, 60, N])
    outliers = Outliers(method="iqr")
    facts = again(tmp_path, BOTH, Clean(tabular=CleanTabular(outliers=outliers)), gone=("005", "119"))
    aside = read(tmp_path / "cleaned").to_pylist()
    assert [(row["id"], row["split"], row["reason"]) for row in aside] == [
        ("003", "val", "outlier: age"), ("008", "val", "outlier: age"), ("010", "train", "outlier: age"),
    ]  # fmt: skip
    assert [(row["source"], row["label"]) for row in aside] == [("s", "b"), ("s", "a"), ("s", "a")]
    assert (facts["rows"], facts["set_aside"]) == (N - 5, 3)
    assert read_manifest(tmp_path / "clean").counts == {
        "in": N, "accepted": N - 5, "quarantined": {"rejected by validate": 2, "outlier: age": 3},
    }  # fmt: skip
    ids = [*read(tmp_path / "clean", ["id"])["id"].to_pylist(), *(row["id"] for row in aside), "005", "119"]
    assert sorted(ids) == rows["id"].to_pylist()
    assert abs(state(tmp_path, "table")["outliers"]["bounds"][0][1]) < 200  # fitted without being moved by them
    first = (tmp_path / "cleaned" / MANIFEST).read_bytes()
    again(tmp_path, BOTH, Clean(tabular=CleanTabular(outliers=outliers)), gone=("005", "119"))
    assert (tmp_path / "cleaned" / MANIFEST).read_bytes() == first


def lowest(rows: pa.Table, limit: int) -> list[str]:
    """Ids of the train rows whose content comes first."""
    train = [(c, i) for c, i, s in zip(*(rows[k].to_pylist() for k in ("content", "id", "split")), strict=True)
             if s == "train"]  # fmt: skip
    return [i for _, i in sorted(train)[:limit]]


def test_the_rows_of_a_fit_are_the_same_however_sharded(tmp_path: Path) -> None:
    rows, states = several(), []
    order = np.random.default_rng(3).permutation(N)
    for name, table, ends in (("one", rows, [N]), ("two", rows.take(order), [1, 1, 50, 80, N])):
        home = tmp_path / name
        write_raw(home, table, ends)
        again(home, BOTH, Clean(fit_rows=20))
        states.append(read_json(home / "clean" / STATE)["inputs"])
        assert sorted(fit_rows(home / "raw", pa.array([], pa.string()), 20).to_pylist()) == sorted(lowest(rows, 20))
    assert states[0] == states[1]
    again(tmp_path / "one", BOTH, Clean(fit_rows=N))
    assert state(tmp_path / "one", "table")["files"] != states[0]["table"]["files"]
    # sums over all train rows have no limit
    assert state(tmp_path / "one")["mean"] == states[0]["image"]["mean"]


def test_a_fit_on_fewer_rows_than_there_are_sees_these_alone(tmp_path: Path) -> None:
    rows = several()
    chosen = set(lowest(rows, 20))
    ids = rows["id"].to_pylist()
    home = tmp_path / "all"
    write_raw(home, rows, [50, N])
    again(home, BOTH, Clean(fit_rows=20))
    alone = rows.filter(pa.array([i in chosen for i in ids]))
    write_raw(tmp_path / "few", alone, [20])
    again(tmp_path / "few", BOTH, Clean())
    few, whole = state(tmp_path / "few", "note"), state(home, "note")
    assert few == whole
    assert len(few["vocabulary"]) > 5
    assert state(tmp_path / "few", "table") == state(home, "table")


def test_rejected_rows_are_not_fitted_on(tmp_path: Path) -> None:
    rows = several()
    gone = tuple(i for k, i in enumerate(rows["id"].to_pylist()) if k % 5 == 0)  # a third of the train rows
    kept = rows.filter(pa.array([i not in gone for i in rows["id"].to_pylist()]))
    for name, table, left_out in (("all", rows, gone), ("without", kept, ())):
        write_raw(tmp_path / name, table, [table.num_rows])
        again(tmp_path / name, BOTH, Clean(), left_out)
    assert all(state(tmp_path / "all", name) == state(tmp_path / "without", name) for name in BOTH)


@pytest.mark.parametrize("name", BOTH)
def test_an_input_that_no_train_row_has_is_named(tmp_path: Path, name: str) -> None:
    rows = several()
    train = np.array(rows["split"].to_pylist()) == "train"
    for i, field in enumerate(rows.schema):
        if field.name.partition(".")[0] == name:
            values = [None if t else v for t, v in zip(train, rows[field.name].to_pylist(), strict=True)]
            rows = rows.set_column(i, field, pa.array(values, field.type))
    write_raw(tmp_path, rows, [N])
    with pytest.raises(DeepmineError, match=f"input '{name}'"):
        again(tmp_path, BOTH, Clean())


def test_tables_alone_need_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    rows = several().select(raw_schema(TABLE).names)
    there = rows.filter(rows["table.age"].is_valid())
    write_raw(tmp_path, pa.table(there.columns, schema=raw_schema(TABLE)), [30, there.num_rows])
    assert again(tmp_path, TABLE, Clean())["rows"] == there.num_rows


def test_what_has_nothing_to_scale_is_not_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = several()
    write_raw(tmp_path, rows, [N])
    unscaled = [spec.modality for spec in BOTH.values() if not modality(spec.modality).scaled]
    assert "tabular" in unscaled
    for name in unscaled:
        unread = replace(modality(name), array=lambda *_: pytest.fail("made an array for nothing"))
        monkeypatch.setattr(import_module(MODALITIES[name]), "MODALITY", unread)
    again(tmp_path, BOTH, Clean())
    assert "mean" in state(tmp_path)
