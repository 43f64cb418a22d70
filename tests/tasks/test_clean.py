"""clean: one shape for every row, a state that knows the train rows alone, and pixels that mean what they meant."""

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tasks import config
from tasks.clean import clean
from tasks.modalities import image
from tasks.progress import Progress
from tasks.store import MANIFEST, QUARANTINE, STATE, Writer, read, read_manifest
from tests.images import encode, noise
from tests.tasks.test_validate import RAW

SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 4


def run(
    home: Path, images: list[Image.Image | np.ndarray], gone: tuple[str, ...] = (), **params: Any
) -> dict[str, Any]:
    """clean of two raw shards; the facts it returns. Row ``i`` has the split ``SPLITS[i]``."""
    writer = Writer(home / "raw", RAW, "test")
    rows = [
        {"id": f"{i:02d}", "split": SPLITS[i], "label": "a", "image": encode(item), "source": "s", "bytes": 1,
         **image.inspect(encode(item), 1 << 30)}
        for i, item in enumerate(images)
    ]  # fmt: skip
    for part in (rows[:5], rows[5:]):
        writer.add(pa.Table.from_pylist(part, RAW))
    writer.finish({"in": len(rows), "accepted": len(rows), "quarantined": {}})
    bad = Writer(home / "rejected", QUARANTINE, "test")
    bad.add(pa.Table.from_pylist([{"id": name, "reason": "copy"} for name in gone], QUARANTINE))
    bad.finish({"in": len(gone), "accepted": len(gone), "quarantined": {}})
    return clean(
        params=config.Clean(**params), code="code", raw=home / "raw", rejected=home / "rejected",
        clean=home / "clean", scratch=home / "scratch", progress=Progress(quiet=True),
    )  # fmt: skip


def state(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "clean" / STATE).read_text())
    return found


def greys(side: int = 8) -> list[Image.Image | np.ndarray]:
    return [noise(i, side) for i in range(12)]


def test_rows_ledger_and_state(tmp_path: Path) -> None:
    images = greys()
    assert run(tmp_path, images, gone=("01", "11")) == {"rows": 10, "size": "8 x 8 x L"}
    table = read(tmp_path / "clean")
    assert table.column_names == ["id", "content", "split", "label", "image"]
    assert table["id"].to_pylist() == [f"{i:02d}" for i in range(12) if i not in (1, 11)]
    assert table["image"].to_pylist()[1] == np.asarray(images[2]).tobytes()
    assert read_manifest(tmp_path / "clean").counts == {
        "in": 12, "accepted": 10, "quarantined": {"rejected by validate": 2},
    }  # fmt: skip
    train = np.stack([np.asarray(images[i]) for i in (0, 2, 3, 4, 5)]).astype(float)
    found = state(tmp_path)
    assert found["mean"] == pytest.approx([train.mean()])
    assert found["std"] == pytest.approx([train.std()])
    assert (found["height"], found["width"], found["mode"]) == (8, 8, "L")


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
    assert len(shards) == 2
    shards[0].unlink()
    damaged = shards[1].read_bytes()
    shards[1].unlink()
    shards[1].write_bytes(damaged[:-1] + b"x")
    run(tmp_path, greys())
    assert (tmp_path / "clean" / MANIFEST).read_bytes() == first
    assert sorted((tmp_path / "scratch").iterdir()) == shards


def test_a_shard_without_accepted_rows(tmp_path: Path) -> None:
    assert run(tmp_path, greys(), gone=("05", "06", "07", "08", "09", "10", "11"))["rows"] == 5


def test_an_item_that_cannot_be_repaired_is_left_out_and_counted(tmp_path: Path) -> None:
    whole = run(tmp_path, greys(64))
    before = read(tmp_path / "clean")
    store = tmp_path / "raw"
    table = read(store)
    items = table["image"].to_pylist()
    items[3] = items[3][:100]  # as if the decoder were another since ingest
    writer = Writer(store, RAW, "test")
    writer.add(table.set_column(table.column_names.index("image"), RAW.field("image"), pa.array(items, pa.binary())))
    writer.finish({"in": 12, "accepted": 12, "quarantined": {}})
    facts = clean(
        params=config.Clean(), code="code", raw=store, rejected=tmp_path / "rejected", clean=tmp_path / "clean",
        scratch=tmp_path / "scratch", progress=Progress(quiet=True),
    )  # fmt: skip
    assert facts == {**whole, "rows": 11}
    assert read_manifest(tmp_path / "clean").counts == {
        "in": 12, "accepted": 11, "quarantined": {"rejected by validate": 0, "could not be repaired": 1},
    }  # fmt: skip
    expected = before.filter([i != "03" for i in before["id"].to_pylist()])
    assert read(tmp_path / "clean").equals(expected)


def repair(data: bytes, mode: str = "L") -> np.ndarray:
    opened = Image.open(BytesIO(data))
    flat = image.repair(data, {"height": opened.height, "width": opened.width, "mode": mode}, 1 << 30)
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
    flat = image.repair(buffer.getvalue(), {"height": 2, "width": 1, "mode": "L"}, 99)
    assert list(flat) == [10, 20]
