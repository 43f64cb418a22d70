"""Images: decoding with Pillow, one size and mode, whole-batch tensors and augmentation."""

import hashlib
import struct
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, UnidentifiedImageError

from tasks.core.errors import Unreadable
from tasks.modalities.base import Modality, Shown
from tasks.modalities.image_metadata import ORIENTATION, without_metadata
from tasks.modalities.measurements import light

if TYPE_CHECKING:
    import torch

    from tasks.config.clean import Clean
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input
    from tasks.config.train import AugmentImage
    from tasks.config.validate import ValidImage

#: A fixed list: a decoder that nobody needs is only a way in for hostile files.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
#: What Pillow raises on damaged bytes, by a fuzz over every format; anything else is a fault of ours.
BROKEN = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, struct.error,
)  # fmt: skip
#: What undoes each value of the EXIF tag that says how a camera was held.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
GREY_MODES = ("1", "L", *DEEP_MODES)
#: Pixels a side of the sketch, by which near-duplicates are found.
SKETCH = 16
#: What `inspect` tells of each item, as columns of the raw data.
FACTS = {"width": pa.int64(), "height": pa.int64(), "mode": pa.string(), "sketch": pa.binary(SKETCH * SKETCH)}
DTYPE = np.uint8
#: What a pixel may take, in bytes, while it is decoded, turned and scaled: three copies as 64-bit floats, and some.
BYTES_PER_PIXEL = 32

Image.MAX_IMAGE_PIXELS = None  # our own cap is checked before decoding


def raw_fields(spec: "Input") -> dict[str, pa.DataType]:
    """What the raw data keeps of each item, by suffix of the input's name; "" is the item itself, encoded."""
    return {**FACTS, "": pa.binary()}


def settled_by(spec: "Input") -> list[str]:
    """Those of them that `settle` and `memory` ask for."""
    return ["width", "height", "mode"]


def checked(spec: "Input") -> list[str]:
    """Those of them that expectations may name."""
    return ["width", "height", "mode"]


def checks(spec: "Input", params: "ValidImage") -> list[tuple[str, dict[str, Any], str, str]]:
    """Expectations of the facts: name, arguments, action and reason."""
    between = {"min_value": params.min_side, "max_value": params.max_side}
    return [
        ("expect_column_values_to_be_between", {"column": side, **between}, "reject", f"{side} out of bounds")
        for side in ("width", "height")
    ]


def item_memory(params: "Ingest") -> int:
    """Bytes that reading one item may take at most."""
    return BYTES_PER_PIXEL * params.max_pixels


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, turned upright, in its own mode.

    Raises:
        Unreadable: no image of a known format, larger than ``max_pixels``, or broken.
    """
    return _upright(_load(data, max_pixels))


def _load(data: bytes, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise Unreadable("not an image", f"none of {', '.join(FORMATS)}") from None
    except BROKEN as error:
        raise Unreadable("broken image", str(error)) from None
    if image.width * image.height > max_pixels:
        raise Unreadable("too many pixels", f"{image.width} x {image.height}, over {max_pixels:,}")
    try:
        image.load()
    except BROKEN as error:
        raise Unreadable("broken image", str(error)) from None
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        # not ImageOps.exif_transpose: that writes the EXIF anew, and fails on what many cameras put there
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        return image if turn is None else image.transpose(turn)
    except BROKEN as error:
        raise Unreadable("broken image", str(error)) from None


def inspect(data: bytes, max_pixels: int) -> dict[str, Any]:
    """The facts of one encoded item and `content`, the sha256 of what it decodes to.

    Raises:
        Unreadable: as `decode`.
    """
    return _facts(decode(data, max_pixels))


def admit(data: bytes, params: "Ingest") -> tuple[dict[str, Any], bytes]:
    """`inspect`, and the bytes to keep: those given, less what may tell where the picture was taken.

    Raises:
        Unreadable: as `decode`.
    """
    opened = _load(data, params.max_pixels)
    image = _upright(opened)
    try:
        kept = without_metadata(data, opened, image)
    except BROKEN as error:
        raise Unreadable("broken image", str(error)) from None
    return _facts(image) if kept is data else inspect(kept, params.max_pixels), kept


def _facts(image: Image.Image) -> dict[str, Any]:
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
    digest.update(image.tobytes())
    return {
        "content": digest.hexdigest(), "width": image.width, "height": image.height, "mode": image.mode,
        "sketch": _sketch(image),
    }  # fmt: skip


def _sketch(image: Image.Image) -> bytes:
    """The image as 16 x 16 grey, row by row."""
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        image = _to_mode(image, "L")
    # made small first: cheaper than converting every pixel
    small = image.resize((SKETCH, SKETCH), Image.Resampling.BOX, reducing_gap=2.0)
    return small.convert("L").tobytes()


def settle(train: pa.Table, spec: "Input", params: "Clean") -> dict[str, Any]:
    """What `auto` comes to: height, width and mode of every cleaned image, from the facts of the train rows."""
    wanted = params.image
    side = {
        name: min(int(np.median(train.column(name).to_numpy())), wanted.max_auto_side)
        if getattr(wanted, name) == "auto" else getattr(wanted, name)
        for name in ("height", "width")
    }  # fmt: skip
    grey = set(train.column("mode").to_pylist()) <= set(GREY_MODES)
    return {**side, "mode": wanted.mode if wanted.mode != "auto" else "L" if grey else "RGB"}


def memory(facts: pa.Table, state: dict[str, Any]) -> int:
    """Bytes that repairing one image may take at most, from the facts of all."""
    largest = pc.max(pc.multiply(facts["width"], facts["height"])).as_py() or 0
    return BYTES_PER_PIXEL * (int(largest) + state["height"] * state["width"])


def repair(data: bytes, state: dict[str, Any]) -> bytes:
    """One encoded image as H * W * C unscaled bytes of the settled size and mode."""
    image = _to_mode(decode(data, 1 << 62), state["mode"])  # the cap was checked at ingest
    size = (state["width"], state["height"])
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return image.tobytes()


def shape(state: dict[str, Any]) -> tuple[int, int, int]:
    """(height, width, channels) of a cleaned image."""
    return state["height"], state["width"], len(state["mode"])


def array(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as an (N, H, W, C) uint8 array, without a copy where it has one chunk; nulls are black."""
    item = int(np.prod(shape(state)))
    parts = []
    for chunk in column.chunks:
        if chunk.null_count:
            chunk = chunk.fill_null(bytes(item))
        flat = np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * item, chunk.offset * item)
        parts.append(flat.reshape(-1, *shape(state)))  # (N, H, W, C)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, *shape(state)), np.uint8), *parts])


def form(state: dict[str, Any]) -> dict[str, Any]:
    """What `tensor` gives."""
    height, width, channels = shape(state)
    return {"kind": "maps", "shape": (channels, height, width)}


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned item: flat bytes, which read three times faster than nested lists."""
    return pa.binary(int(np.prod(shape(state))))


def statistics(images: np.ndarray, state: dict[str, Any]) -> dict[str, Any]:
    """Exact integer sums per channel of (N, H, W, C) uint8, which add up over shards in any order."""
    counts = np.stack([np.bincount(images[..., c].reshape(-1), minlength=256) for c in range(images.shape[-1])])
    levels = np.arange(256)
    return {
        "n": int(counts[0].sum()),
        "sum": (counts @ levels).tolist(),
        "sum2": (counts @ levels**2).tolist(),
    }


def normalisation(parts: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Mean and standard deviation per channel, on the scale 0..255, from `statistics` of the train rows."""
    n = sum(p["n"] for p in parts)
    mean = [sum(c) / n for c in zip(*(p["sum"] for p in parts), strict=True)]
    square = [sum(c) / n for c in zip(*(p["sum2"] for p in parts), strict=True)]
    return {"mean": mean, "std": [max(s - m * m, 1.0) ** 0.5 for m, s in zip(mean, square, strict=True)]}


def tensor(images: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, H, W, C) uint8 to (N, C, H, W) float32, normalised; channels_last in memory without a copy of layout."""
    import torch

    # on whole rows of an image, as broadcasting over an inner axis of three is slow
    times = images.shape[1] * images.shape[2]
    mean, std = (torch.tensor(state[key], device=images.device).repeat(times) for key in ("mean", "std"))
    return images.flatten(1).float().sub_(mean).div_(std).view(images.shape).permute(0, 3, 1, 2)


def flat(images: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """The raw view before PCA: (N, H, W, C) uint8 to (N, H * W * C) float32 on the scale 0..1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255  # (N, H * W * C)


def augment(
    images: "torch.Tensor", params: "AugmentImage", mirrored: "torch.Tensor", generator: "torch.Generator"
) -> "torch.Tensor":
    """Mirror, random shift and cutout of a whole (N, H, W, C) uint8 batch at once, by one gather.

    ``mirrored`` (N,) says which images it is the turn of, where ``params.flip`` is on. Beyond its borders an image
    goes on as its own reflection; what is cut out takes the batch's mean colour. Random numbers come from a CPU
    ``generator``, so that every device sees the same augmentation.
    """
    import torch

    n, height, width, _ = images.shape

    def draw(low: int, high: int) -> "torch.Tensor":
        return torch.randint(low, high, (n, 1), generator=generator).to(images.device)

    def shifted(side: int, reach: int) -> "torch.Tensor":
        places = torch.arange(side, device=images.device) + draw(-reach, reach + 1)
        return (side - 1) - ((side - 1) - places.abs()).abs()  # (N, side)

    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    if params.flip or params.crop:
        reach = min(round(params.crop * min(height, width)), height - 1, width - 1)
        y, x = shifted(height, reach), shifted(width, reach)
        if params.flip:
            x = torch.where(mirrored[:, None], width - 1 - x, x)
        images = images[torch.arange(n, device=images.device)[:, None, None], y[:, :, None], x[:, None, :]]
    if params.cutout:
        side = round(params.cutout * min(height, width))
        from_y, from_x = rows - draw(0, height) + side // 2, columns - draw(0, width) + side // 2  # (N, H), (N, W)
        near_y, near_x = (from_y >= 0) & (from_y < side), (from_x >= 0) & (from_x < side)
        blank = images.float().mean((0, 1, 2)).round().to(torch.uint8)
        images = torch.where((near_y[:, :, None] & near_x[:, None, :])[..., None], blank, images)
    return images


def mirrors(images: "torch.Tensor", classes: np.ndarray) -> bool:
    """Whether mirrored images still look like their class, so that training may mirror them.

    A ridge classifier of 8 x 8 pixels is fitted on every other of (N, H, W, C) uint8 images and asked for the rest
    of them as they are and mirrored. No, if it is wrong on clearly more of the mirrored ones (McNemar's test, two
    standard deviations): digits, text, signs, things that all face one way.
    """
    import torch
    from sklearn.linear_model import RidgeClassifier

    # in parts, as whole batches of large images in float32 would take gigabytes
    parts = [torch.nn.functional.adaptive_avg_pool2d(p.permute(0, 3, 1, 2).float(), 8) for p in images.split(256)]
    small = torch.cat(parts)  # (N, C, 8, 8)
    fitted = RidgeClassifier(alpha=100.0).fit(small[::2].flatten(1).numpy() / 255, classes[::2])
    asked, wanted = small[1::2], classes[1::2]
    right, turned = (fitted.predict(x.flatten(1).numpy() / 255) == wanted for x in (asked, asked.flip(3)))
    lost, won = int((right & ~turned).sum()), int((turned & ~right).sum())
    return lost - won <= 2 * (lost + won) ** 0.5


def measured_by(spec: "Input") -> list[str]:
    """Those of `raw_fields` that `measure` asks for."""
    return ["width", "height"]


def measure(facts: pa.Table, column: pa.ChunkedArray, spec: "Input", state: dict[str, Any]) -> dict[str, Any]:
    """What a person can say of N pictures: raw ``facts`` and cleaned ``column`` -> a column of N numbers or texts each."""
    brightness, contrast = light(array(column, state))
    sides = {f"{side} in pixels": facts[side] for side in ("width", "height")}
    return {"brightness in %": brightness, "contrast in %": contrast, **sides}


def show(item: bytes | None, row: dict[str, Any], state: dict[str, Any], side: int) -> Shown:
    """A small picture of one cleaned item, or of the raw one where it was not cleaned."""
    if item is None:
        image = _to_mode(decode(row[""], 1 << 31), "RGB")
    else:
        height, width, _ = shape(state)
        image = Image.frombytes(state["mode"], (width, height), item).convert("RGB")
    if max(image.size) > side:
        image.thumbnail((side, side))
    return Shown(picture=image)


def describe(facts: pa.Table) -> str:
    """The commonest sizes and modes."""
    rows = zip(*(facts[name].to_pylist() for name in ("width", "height", "mode")), strict=True)
    sizes = Counter(f"{w} x {h} {m}" for w, h, m in rows)
    return ", ".join(f"{size} ({n / facts.num_rows:.0%})" for size, n in sizes.most_common(4))


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode in DEEP_MODES:  # scaled to 8 bits; Pillow's own conversion would clip
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
        top = 65535.0 if image.mode != "F" or values.max(initial=0) > 255 else max(values.max(initial=0), 1.0)
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode == "LAB":  # which Pillow converts to RGB alone
        image = image.convert("RGB")
    return image.convert(mode)


MODALITY = Modality(
    raw_kind="components",
    raw_words="principal components of the pixels (`extract.components`), all on one scale",
    dtype=DTYPE,
    sandboxed=True,
    raw_fields=raw_fields, settled_by=settled_by, checked=checked, checks=checks, settle=settle,
    column_type=column_type, array=array, shape=shape, form=form, tensor=tensor, augment=augment, show=show,
    describe=describe, admit=admit, item_memory=item_memory, repair=repair, memory=memory, flat=flat,
    statistics=statistics, normalisation=normalisation, mirrors=mirrors, measured_by=measured_by, measure=measure,
)  # fmt: skip
