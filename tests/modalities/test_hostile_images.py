"""Whatever lies in a folder: the image catalogue, and files mutated at random, among 500 good images."""

import os
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tasks.clean import clean
from tasks.config.clean import Clean, CleanImage
from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.source import Source
from tasks.config.validate import Validate
from tasks.core.progress import Progress
from tasks.ingest import ingest
from tasks.modalities.image import FORMATS
from tasks.plan import plan
from tasks.storage.store import read, read_manifest
from tasks.validate import validate
from tests.fixtures.hostile import mutated
from tests.fixtures.images import camera, encode, noise, png, png_chunk

GOOD = 500
MUTATED = 2000
CAP = 1_000_000


def colours(seed: int, side: int = 12) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def tiff(width: int, height: int) -> bytes:
    """The head of a grey TIFF of that size with a strip of four bytes."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 4}
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"MM\0*" + struct.pack(">I", 12) + bytes(4) + struct.pack(">H", len(tags)) + entries + bytes(4)


BOMB = zlib.compress(bytes(200 << 20), 9)  # 200 MB in 200 kB


def catalogue() -> dict[str, tuple[bytes, str | None]]:
    """name -> bytes, and the reason why it cannot be used, None where it can."""
    whole = encode(colours(9000), "PNG")
    deep = np.random.default_rng(1).integers(0, 65_536, (12, 12)).astype(np.uint16)
    frames = [colours(9010 + i) for i in range(3)]
    return {
        "cut.png": (whole[: len(whole) // 2], "broken image"),
        "cut.jpg": (encode(colours(9001, 64), "JPEG")[:900], "broken image"),
        "zero.jpg": (b"", "empty file"),
        "page.jpg": (b"<!doctype html><title>404</title>", "not an image"),
        "icon.ico": (encode(colours(9002, 16), "ICO"), "not an image"),
        "huge.png": (png(30_000, 30_000), "too many pixels"),
        "huge.tif": (tiff(30_000, 30_000), "too many pixels"),
        "huge.bmp": (b"BM" + struct.pack("<IIIIiiHHIIIIII", 60, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 4, 1, 1, 0, 0),
                     "too many pixels"),
        "huge.ppm": (b"P6 30000 30000 255\n\0\0\0", "too many pixels"),
        "text-bomb.png": (png(8, 8, png_chunk(b"zTXt", b"a\0\0" + BOMB), rows=bytes(72)), "broken image"),
        "itxt-bomb.png": (png(8, 8, png_chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), rows=bytes(72)), "broken image"),
        "profile-bomb.png": (png(8, 8, png_chunk(b"iCCP", b"a\0\0" + BOMB), rows=bytes(72)), "broken image"),
        "short-rows.png": (png(900, 900, rows=bytes(64)), "broken image"),
        "dot.png": (encode(noise(9003, 1)), "width out of bounds"),
        "really-a-png.jpg": (encode(colours(9004), "PNG"), None),
        "cmyk.jpg": (encode(colours(9005).convert("CMYK"), "JPEG"), None),
        "palette.gif": (encode(colours(9006).convert("P"), "GIF"), None),
        "alpha.png": (encode(colours(9007).convert("RGBA"), "PNG"), None),
        "deep.png": (encode(deep), None),
        "turned.jpg": (encode(colours(9008), "JPEG", exif=camera()), None),
        "moving.gif": (encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), None),
        "moving.webp": (encode(frames[1], "WEBP", save_all=True, append_images=frames[2:]), None),
        "zażółć-猫-\u202efdp.png": (encode(colours(9020), "PNG"), None),
        "two\nlines.png": (encode(colours(9021), "PNG"), None),
        "<b>&amp;.png": (encode(colours(9022), "PNG"), None),
    }  # fmt: skip


def good_images(root: Path) -> None:
    forms = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif", "WEBP": "webp", "TIFF": "tif", "PPM": "ppm"}
    for i in range(GOOD):
        form = FORMATS[i % len(FORMATS)]
        path = root / "ab"[i % 2] / f"good-{i:03d}.{forms[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(colours(i), form))


def run(home: Path) -> dict[str, Any]:
    """plan to clean of `home/source`, in eight shards; the ledger of each stage, checked."""
    dataset = Dataset(
        source=Source(path=str(home / "source")),
        ingest=Ingest(shard_rows=350, max_pixels=CAP, max_seconds=20),
        validate=Validate(max_rejected=1.0),
        # settled by hand, so that what a hostile file may look like cannot move it
        clean=Clean(image=CleanImage(height=12, width=12, mode="RGB")),
    )
    quiet = {"progress": Progress(quiet=True)}
    plan(dataset=dataset, listing=home / "listing", plan=home / "plan", warn=pytest.fail)
    ingest(source=dataset.source, inputs=dataset.inputs, params=dataset.ingest, code="code", listing=home / "listing",
           raw=home / "raw", unreadable=home / "unreadable", scratch=home / "scratch/1", warn=pytest.fail, **quiet)  # fmt: skip
    validate(params=dataset.validate, inputs=dataset.inputs, objective=dataset.objective, raw=home / "raw",
             unreadable=home / "unreadable", rejected=home / "rejected", quality=home / "quality",
             warn=lambda text: None, **quiet)  # fmt: skip
    clean(params=dataset.clean, inputs=dataset.inputs, code="code", raw=home / "raw", rejected=home / "rejected",
          clean=home / "clean", cleaned=home / "cleaned", items=home / "items", scratch=home / "scratch/2", **quiet)  # fmt: skip
    found = sum(len(names) for _, _, names in os.walk(home / "source"))
    raw, lost, rejected, kept = (read_manifest(home / name) for name in ("raw", "unreadable", "rejected", "clean"))
    assert raw.counts["in"] == found == raw.rows + lost.rows
    assert read_manifest(home / "cleaned").rows == 0
    assert raw.rows == kept.rows + rejected.rows
    assert kept.counts == {
        "in": raw.rows,
        "accepted": kept.rows,
        "quarantined": {"rejected by validate": rejected.rows},
    }
    ids = [i for name in ("unreadable", "rejected", "clean") for i in read(home / name, ["id"])["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == found
    return {row["id"]: row for row in read(home / "clean").to_pylist()}


def reasons(home: Path) -> dict[str, str]:
    rows = read(home / "unreadable").to_pylist() + read(home / "rejected").to_pylist()
    return {row["id"]: row["reason"] for row in rows}


def good_rows(home: Path, rows: dict[str, Any]) -> dict[str, Any]:
    """The good images' cleaned rows, and their raw ones."""
    raw = {row["id"]: row for row in read(home / "raw").to_pylist()}
    return {name: (row, raw[name]) for name, row in rows.items() if "/good-" in name}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("alone")
    good_images(home / "source")
    found = good_rows(home, run(home))
    assert len(found) == GOOD
    return found


def test_the_catalogue_among_good_images(tmp_path: Path, alone: dict[str, Any]) -> None:
    source = tmp_path / "source"
    good_images(source)
    expected: dict[str, str] = {}
    for name, (data, reason) in catalogue().items():
        (source / "a" / name).write_bytes(data)
        expected |= {f"a/{name}": reason} if reason else {}
    (tmp_path / "outside.png").write_bytes(encode(colours(9030), "PNG"))
    (source / "b/outside.png").symlink_to(tmp_path / "outside.png")
    (source / "b/gone.png").symlink_to(source / "nowhere")
    (source / "b/null.png").symlink_to("/dev/null")
    (source / "b/loop.png").symlink_to(source / "b/loop.png")
    os.mkfifo(source / "b/pipe.png")
    twin = next(path for path in sorted((source / "a").iterdir()) if path.name.startswith("good-"))
    (source / "a/zz-twin.png").write_bytes(twin.read_bytes())
    rows = run(tmp_path)
    found = reasons(tmp_path)
    twins = {found.pop(name, None) for name in ("a/zz-twin.png", f"a/{twin.name}")}
    assert twins - {None} <= {"copy", "copy across splits"}
    assert len(twins) == 2  # one of them stays
    assert found == expected | {
        "b/outside.png": "outside the source folder", "b/gone.png": "missing file",
        "b/null.png": "outside the source folder", "b/pipe.png": "not a regular file",
        "b/loop.png": found["b/loop.png"],
    }  # fmt: skip
    assert found["b/loop.png"] in ("outside the source folder", "missing file")
    with_twin = {"a/zz-twin.png", f"a/{twin.name}"}
    good = good_rows(tmp_path, rows)
    assert {k: v for k, v in good.items() if k not in with_twin} == {
        k: v for k, v in alone.items() if k not in with_twin
    }
    assert set(rows) - set(alone) >= {f"a/{name}" for name, (_, reason) in catalogue().items() if reason is None}
    raw = {row["id"]: row["image"] for row in read(tmp_path / "raw").to_pylist()}
    assert not any(b"\x88\x25" in data and b"Exif" in data for data in raw.values())


def seeds() -> list[bytes]:
    """Files of every format, with what their parsers have to read besides pixels."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a" * 300, zip=True)
    frames = [colours(8000 + i, 20) for i in range(3)]
    pictures = [encode(frames[0], form) for form in FORMATS]
    pictures += [encode(frames[0], form, exif=camera()) for form in ("JPEG", "PNG", "WEBP", "TIFF")]
    pictures += [
        encode(frames[0], form, save_all=True, append_images=frames[1:]) for form in ("GIF", "WEBP", "PNG", "TIFF")
    ]
    pictures += [encode(frames[0], "JPEG", progressive=True), encode(frames[0].convert("CMYK"), "JPEG")]
    pictures += [
        encode(frames[0], "TIFF", compression=kind) for kind in ("tiff_lzw", "jpeg", "packbits", "tiff_deflate")
    ]
    pictures += [encode(frames[0].convert("1"), "TIFF", compression="group4"), encode(frames[0], "PNG", pnginfo=text)]
    pictures += [encode(frames[0].convert("P"), form) for form in ("PNG", "GIF", "BMP", "TIFF")]
    return pictures


def test_files_mutated_at_random(tmp_path: Path, alone: dict[str, Any]) -> None:
    good_images(tmp_path / "source")
    rng = np.random.default_rng(0)
    pictures = seeds()
    for i in range(MUTATED):
        data = mutated(pictures[i % len(pictures)], rng, 160)
        (tmp_path / "source" / "ab"[i % 2] / f"mutated-{i:04d}").write_bytes(data)
    rows = run(tmp_path)
    found = Counter(reasons(tmp_path).values())
    assert good_rows(tmp_path, rows) == alone
    assert found["broken image"] > 300
    assert found["not an image"] > 50
    assert len(rows) > GOOD + 300
