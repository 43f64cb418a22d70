"""Images: what is decoded and what is not, and the arrays and tensors that come of it."""

import warnings
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image, ImageOps, PngImagePlugin

from tasks.config.clean import Clean, CleanImage
from tasks.config.ingest import Ingest
from tasks.config.source import Input
from tasks.modalities import image
from tasks.sources import Unreadable
from tests.fixtures.hostile import mutated
from tests.fixtures.images import camera, encode, noise, png

PLENTY = 1 << 30
LIMITS = Ingest(max_pixels=PLENTY)
TURNED = 0x0112


def photo(form: str = "JPEG", side: int = 16, **options: Any) -> bytes:
    """A coloured picture as a camera would leave it: turned, and with the place where it was taken."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side - 4, 3), dtype=np.uint8)
    return encode(pixels, form, **{"exif": camera(), **options})


def reason(data: bytes, max_pixels: int = PLENTY) -> str:
    with pytest.raises(Unreadable) as caught:
        image.inspect(data, max_pixels)
    return caught.value.reason


def test_the_cap_is_checked_before_decoding() -> None:
    assert reason(png(30_000, 30_000), 50_000_000) == "too many pixels"
    assert reason(png(30, 30, rows=bytes(64))) == "broken image"  # decoding it finds too few bytes
    assert reason(encode(noise(0, 10)), 99) == "too many pixels"
    assert image.inspect(encode(noise(0, 10)), 100)["width"] == 10


@pytest.mark.parametrize("form", ["ICO", "TGA", "PCX", "SGI", "PDF", "EPS", "JPEG2000"])
def test_other_formats_are_not_even_opened(form: str) -> None:
    assert reason(encode(Image.fromarray(noise(0, 16)).convert("RGB"), form)) == "not an image"


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\xff\xd8", b"GIF89a", b"\0" * 100])
def test_what_is_no_image(data: bytes) -> None:
    assert reason(data) in ("not an image", "broken image")


@pytest.mark.parametrize("form", image.FORMATS)
def test_spoiled_bytes_never_stop_a_stage(form: str) -> None:
    rng = np.random.default_rng(image.FORMATS.index(form))
    data = photo(form)
    state = {"height": 8, "width": 8, "mode": "RGB"}
    seen = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of tags that it passes over
        for _ in range(150):
            broken = mutated(data, rng, 300)
            try:
                image.inspect(broken, 1_000_000)
                assert len(image.repair(broken, state)) == 8 * 8 * 3
                image.show(None, {"": broken}, {}, 48)
                seen.add("decoded")
            except Unreadable as error:
                seen.add(error.reason)
    assert {"decoded", "broken image"} <= seen


def test_odd_exif_does_not_cost_the_picture() -> None:
    data = photo()
    place = data.index(b"\x00\x01\x00\x02\x00\x00\x00\x02N")  # a tag of one letter, in the block of the place
    odd = data[:place] + b"\x00\x00" + data[place + 2 :]
    with pytest.raises(TypeError):
        ImageOps.exif_transpose(Image.open(BytesIO(odd)))  # else this test is of nothing
    assert image.inspect(odd, PLENTY) == image.inspect(data, PLENTY)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(10))
def test_photos_are_set_upright_as_viewers_show_them(turn: int, form: str) -> None:
    exif = Image.Exif()
    exif[TURNED] = turn
    data = photo(form, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    found = image.decode(data, PLENTY)
    assert found.size == expected.size == ((16, 12) if turn in (5, 6, 7, 8) else (12, 16))
    assert found.tobytes() == expected.tobytes()


def test_content_is_of_the_pixels_alone() -> None:
    pixels = Image.fromarray(noise(0)).convert("RGB")
    contents = [image.inspect(encode(pixels, form), PLENTY)["content"] for form in ("PNG", "BMP", "TIFF", "PPM")]
    assert len(set(contents)) == 1
    others = [noise(1), noise(0)[:, :4].copy(), noise(0)[:4].copy(), noise(0)]
    assert len({contents[0], *(image.inspect(encode(other), PLENTY)["content"] for other in others)}) == 5
    wide, high = (np.zeros(shape, np.uint8) for shape in ((2, 8), (8, 2)))
    assert image.inspect(encode(wide), PLENTY)["content"] != image.inspect(encode(high), PLENTY)["content"]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_many_frames_the_first_counts(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:])
    flat = image.repair(data, {"height": 1, "width": 1, "mode": "RGB"})
    assert np.abs(np.frombuffer(flat, np.uint8).astype(int) - [255, 0, 0]).max() < 8


def test_one_pixel() -> None:
    facts = image.inspect(encode(noise(0, 1)), PLENTY)
    assert (facts["width"], facts["height"]) == (1, 1)
    assert len(image.repair(encode(noise(0, 1)), {"height": 3, "width": 4, "mode": "RGB"})) == 36


PLACE = b"\0\x01\0\x02\0\0\0\x02N"  # GPS latitude, north, big-endian
XMP = b"<x:xmpmeta><exif:GPSLatitude>52,31N</exif:GPSLatitude></x:xmpmeta>"


@pytest.mark.parametrize("turn", [1, 6])
def test_a_jpeg_loses_its_metadata_and_no_bit_of_its_picture(turn: int) -> None:
    exif = Image.Exif()
    exif[TURNED] = turn
    exif.get_ifd(0x8825)[1] = "N"
    profile = b"a profile " * 20
    plain = photo(exif=b"", icc_profile=profile)
    tagged = photo(exif=exif, icc_profile=profile, xmp=XMP, comment=b"at home") + photo()  # another one after its end
    facts, kept = image.admit(tagged, LIMITS)
    assert facts == image.inspect(tagged, PLENTY) == image.inspect(kept, PLENTY)
    assert (facts["width"], facts["height"]) == ((16, 12) if turn == 6 else (12, 16))
    assert b"GPS" not in kept
    assert PLACE not in kept
    assert b"home" not in kept
    assert Image.open(BytesIO(kept)).info["icc_profile"] == profile
    head = kept.index(b"\xff\xdb")  # from the quantisation tables on
    assert kept[head:] == plain[plain.index(b"\xff\xdb") :]


def test_without_metadata_bytes_stay_as_they_are() -> None:
    for form in image.FORMATS:
        data = encode(Image.fromarray(noise(0)).convert("RGB"), form)
        assert image.admit(data, LIMITS)[1] is data


def test_a_jpeg_in_disorder_is_written_anew() -> None:
    data = photo()
    place = data.index(b"\xff\xdb")
    odd = data[:place] + b"\0\0" + data[place:]  # which Pillow passes over
    facts, kept = image.admit(odd, LIMITS)
    assert facts["content"] == image.inspect(data, PLENTY)["content"]
    assert kept.startswith(b"\x89PNG")
    assert PLACE not in kept


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA", "1", "I;16"])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats_lose_the_place_and_no_pixel(form: str, mode: str) -> None:
    exif = Image.Exif()
    exif[TURNED] = 6
    exif.get_ifd(0x8825)[1] = "N"
    pixels = noise(0, 8)[:, :6]
    picture = (
        Image.fromarray(pixels.astype(np.uint16) * 99) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    )
    tagged = encode(picture, form, exif=exif)
    facts, kept = image.admit(tagged, LIMITS)
    assert facts == image.inspect(tagged, PLENTY) == image.inspect(kept, PLENTY)
    assert (facts["width"], facts["height"]) == (8, 6)
    assert 0x8825 not in Image.open(BytesIO(kept)).getexif()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats_lose_xmp(form: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options = {"PNG": {"pnginfo": text}, "WEBP": {"xmp": XMP}, "TIFF": {"tiffinfo": {700: XMP}}}
    tagged = photo(form, exif=b"", **options[form])
    assert b"GPSLatitude" in tagged
    facts, kept = image.admit(tagged, LIMITS)
    assert b"GPSLatitude" not in kept
    assert facts == image.inspect(kept, PLENTY) == image.inspect(tagged, PLENTY)


def sketch(picture: Image.Image, form: str = "PNG") -> np.ndarray:
    """The sketch of a picture, (16, 16) uint8."""
    return np.frombuffer(image.inspect(encode(picture, form), PLENTY)["sketch"], np.uint8).reshape(16, 16)


@pytest.mark.parametrize("side", [1, 5, 16, 32, 300])
def test_the_sketch_is_the_picture_small_and_grey(side: int) -> None:
    ramp = np.linspace(0, 255, side).astype(np.uint8)[:, None].repeat(2 * side, 1)
    assert (np.diff(sketch(Image.fromarray(ramp))[:, 0].astype(int)) >= 0).all()
    assert np.abs(sketch(Image.new("RGB", (side, 2 * side), (255, 0, 0))).astype(int) - 76).max() <= 1


def test_sketches_are_alike_whatever_the_mode() -> None:
    grey = noise(0, 32)
    expected = sketch(Image.fromarray(grey)).astype(int)
    for mode in ("RGB", "RGBA", "P", "LA"):
        assert np.abs(sketch(Image.fromarray(grey).convert(mode)) - expected).max() <= 2
    assert np.abs(sketch(Image.fromarray(grey.astype(np.uint16) * 257)) - expected).max() <= 2
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert sketch(clear).min() == 255  # on white, as cleaning has it


STATE = {"height": 3, "width": 4, "mode": "RGB"}


def column(*sizes: int) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Random cleaned items in chunks of ``sizes``, and the same as one (N, 3, 4, 3) array."""
    items = np.random.default_rng(0).integers(0, 256, (sum(sizes), 3, 4, 3), dtype=np.uint8)
    kind = image.column_type(STATE)
    parts = np.split(items, np.cumsum(sizes)[:-1])
    return pa.chunked_array([pa.array([i.tobytes() for i in part], kind) for part in parts], kind), items


def test_pixels_come_back_from_every_layout() -> None:
    for sizes in ((5,), (2, 3), (1, 0, 4)):
        chunked, items = column(*sizes)
        np.testing.assert_array_equal(image.array(chunked, STATE), items)
        np.testing.assert_array_equal(image.array(chunked.slice(1, 3), STATE), items[1:4])
    assert image.shape(STATE) == (3, 4, 3)
    assert image.shape({**STATE, "mode": "L"}) == (3, 4, 1)


def test_statistics_add_up_to_those_of_the_whole() -> None:
    _, items = column(7)
    parts = [image.statistics(part, STATE) for part in np.split(items, [1, 4])]
    fitted = image.normalisation(parts)
    assert fitted == image.normalisation(parts[::-1]) == image.normalisation([image.statistics(items, STATE)])
    flat = items.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(fitted["mean"], flat.mean(0))
    np.testing.assert_allclose(fitted["std"], flat.std(0))


def test_tensors_are_normalised_by_the_state() -> None:
    _, items = column(7)
    state = STATE | image.normalisation([image.statistics(items, STATE)])
    made = image.tensor(torch.from_numpy(items), state)
    assert made.shape == (7, 3, 3, 4)  # (N, C, H, W)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    expected = (items[2, 1, 3] - np.array(state["mean"])) / state["std"]
    np.testing.assert_allclose(made[2, :, 1, 3].numpy(), expected, rtol=1e-5)


def test_the_raw_view_is_the_pixels_from_0_to_1() -> None:
    _, items = column(7)
    flat = image.flat(items, STATE)
    assert (flat.shape, flat.dtype) == ((7, 36), np.float32)
    np.testing.assert_allclose(flat[3], items[3].reshape(-1) / 255, rtol=1e-6)


def facts(*rows: tuple[int, int, str]) -> pa.Table:
    names = ("width", "height", "mode")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def settled(rows: pa.Table, **params: Any) -> dict[str, Any]:
    return image.settle(rows, Input(), Clean(image=CleanImage(**params)))


def test_what_auto_settles() -> None:
    rows = facts((10, 20, "L"), (30, 500, "I;16"), (50, 900, "1"))
    assert settled(rows) == {"height": 224, "width": 30, "mode": "L"}
    assert settled(rows, max_auto_side=600) == {"height": 500, "width": 30, "mode": "L"}
    assert settled(rows, height=7, mode="RGB") == {"height": 7, "width": 30, "mode": "RGB"}
    for mode in ("RGB", "P", "RGBA", "CMYK"):
        assert settled(facts((8, 8, "L"), (8, 8, mode)))["mode"] == "RGB"


def test_the_memory_of_a_repair_is_that_of_the_largest() -> None:
    state = {"height": 10, "width": 10, "mode": "L"}
    assert image.memory(facts((100, 20, "L"), (30, 50, "L")), state) == image.BYTES_PER_PIXEL * 2100
    assert image.memory(facts(), state) == image.BYTES_PER_PIXEL * 100
    missing = pa.table({name: pa.nulls(2, kind) for name, kind in image.FACTS.items()})
    assert image.memory(missing, state) == image.BYTES_PER_PIXEL * 100


def shown(item: bytes | None, row: dict[str, Any], state: dict[str, Any], side: int) -> Image.Image:
    found = image.show(item, row, state, side)
    assert found.picture is not None
    assert (found.text, found.cells, found.sound) == (None, None, None)
    return found.picture


def test_what_is_shown() -> None:
    chunked, items = column(1)
    [item] = chunked.to_pylist()
    assert np.array_equal(np.asarray(shown(item, {}, STATE, 48)), items[0])
    grey = shown(item, {}, {"height": 6, "width": 6, "mode": "L"}, 3)
    assert (grey.size, grey.mode) == ((3, 3), "RGB")
    assert shown(None, {"": photo(side=96)}, {}, 48).size == (48, 46)  # turned: 96 x 92


def test_what_is_missing_is_black() -> None:
    chunked, items = column(2, 3)
    with_gaps = pa.chunked_array(
        [pa.array([None, *chunked.to_pylist()[:2]], chunked.type), pa.array([None], chunked.type), chunked.chunk(1)]
    )
    found = image.array(with_gaps, STATE)
    assert found.shape == (7, 3, 4, 3)
    assert not found[[0, 3]].any()
    np.testing.assert_array_equal(found[[1, 2, 4, 5, 6]], items)
    assert image.array(with_gaps.slice(0, 0), STATE).shape == (0, 3, 4, 3)


def test_the_form_says_what_tensors_are() -> None:
    _, items = column(7)
    state = STATE | image.normalisation([image.statistics(items, STATE)])
    made = image.tensor(torch.from_numpy(items), state)
    assert image.form(state) == {"kind": "maps", "shape": tuple(made.shape[1:])}


def test_one_line_says_what_images_are_there() -> None:
    rows = facts(*[(32, 24, "RGB")] * 3, (8, 8, "L"))
    assert image.describe(rows) == "32 x 24 RGB (75%), 8 x 8 L (25%)"
