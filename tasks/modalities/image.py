"""Images: decoding with Pillow, one size and mode, whole-batch tensors and augmentation."""

import hashlib
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from tasks.sources import Unreadable

if TYPE_CHECKING:
    import torch

    from tasks.config import Augment, Clean

#: A fixed list: a decoder that nobody needs is only a way in for hostile files.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
#: What Pillow raises on damaged bytes, by a fuzz over every format; anything else is a fault of ours.
BROKEN = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, struct.error,
)  # fmt: skip
#: The EXIF tag that says how a camera was held, and what undoes each of its values.
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
GREY_MODES = ("1", "L", *DEEP_MODES)
#: What `inspect` tells of each item, as columns of the raw data.
FACTS = {"width": pa.int64(), "height": pa.int64(), "mode": pa.string()}

Image.MAX_IMAGE_PIXELS = None  # our own cap is checked before decoding


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, turned upright, in its own mode.

    Raises:
        Unreadable: no image of a known format, larger than ``max_pixels``, or broken.
    """
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
    image = decode(data, max_pixels)
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes())
    return {"content": digest.hexdigest(), "width": image.width, "height": image.height, "mode": image.mode}


def settle(train: pa.Table, params: "Clean") -> dict[str, Any]:
    """What `auto` comes to: height, width and mode of every cleaned image, from the facts of the train rows."""
    side = {
        name: min(int(np.median(train.column(name).to_numpy())), params.max_auto_side)
        if getattr(params, name) == "auto" else getattr(params, name)
        for name in ("height", "width")
    }  # fmt: skip
    grey = set(train.column("mode").to_pylist()) <= set(GREY_MODES)
    return {**side, "mode": params.mode if params.mode != "auto" else "L" if grey else "RGB"}


def repair(data: bytes, state: dict[str, Any], max_pixels: int) -> bytes:
    """One encoded image as H * W * C unscaled bytes of the settled size and mode."""
    image = _to_mode(decode(data, max_pixels), state["mode"])
    size = (state["width"], state["height"])
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return image.tobytes()


def shape(state: dict[str, Any]) -> tuple[int, int, int]:
    """(height, width, channels) of a cleaned image."""
    return state["height"], state["width"], len(state["mode"])


def pixels(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as an (N, H, W, C) uint8 array, without a copy where it has one chunk."""
    height, width, channels = shape(state)
    parts = []
    for chunk in column.chunks:
        item = height * width * channels
        flat = np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * item, chunk.offset * item)
        parts.append(flat.reshape(-1, height, width, channels))  # (N, H, W, C)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned item: flat bytes, which read three times faster than nested lists."""
    return pa.binary(int(np.prod(shape(state))))


def statistics(images: np.ndarray) -> dict[str, Any]:
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

    mean = torch.tensor(state["mean"], device=images.device)
    std = torch.tensor(state["std"], device=images.device)
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def flat(images: np.ndarray) -> np.ndarray:
    """The raw view before PCA: (N, H, W, C) uint8 to (N, H * W * C) float32 on the scale 0..1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255  # (N, H * W * C)


def augment(batch: "torch.Tensor", params: "Augment", generator: "torch.Generator") -> "torch.Tensor":
    """Flip, random shift and cutout of a whole normalised (N, C, H, W) batch at once.

    Random numbers come from a CPU ``generator``, so that every device sees the same augmentation.
    """
    import torch

    n, _, height, width = batch.shape

    def draw(low: int, high: int) -> "torch.Tensor":
        return torch.randint(low, high, (n,), generator=generator).to(batch.device)

    if params.flip:
        mirrored = (draw(0, 2) == 1).view(-1, 1, 1, 1)
        batch = torch.where(mirrored, batch.flip(3), batch)
    rows = torch.arange(height, device=batch.device)
    columns = torch.arange(width, device=batch.device)
    if params.crop:
        pad = params.crop
        padded = torch.nn.functional.pad(
            batch, (pad, pad, pad, pad), mode="reflect" if pad < min(height, width) else "constant"
        )
        y = draw(0, 2 * pad + 1)[:, None] + rows  # (N, H)
        x = draw(0, 2 * pad + 1)[:, None] + columns  # (N, W)
        index = torch.arange(n, device=batch.device)[:, None, None]
        batch = padded.permute(0, 2, 3, 1)[index, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)  # (N, C, H, W)
    if params.cutout:
        y, x = draw(0, height), draw(0, width)
        from_y = rows - y[:, None] + params.cutout // 2  # (N, H)
        from_x = columns - x[:, None] + params.cutout // 2  # (N, W)
        near_y = (from_y >= 0) & (from_y < params.cutout)
        near_x = (from_x >= 0) & (from_x < params.cutout)
        batch = batch.masked_fill((near_y[:, :, None] & near_x[:, None, :])[:, None], 0.0)
    return batch


def thumbnail(item: bytes, state: dict[str, Any], side: int) -> Image.Image:
    """One cleaned item as a small picture for the report."""
    height, width, _ = shape(state)
    image = Image.frombytes(state["mode"], (width, height), item).convert("RGB")
    if max(image.size) > side:
        image.thumbnail((side, side))
    return image


def thumbnail_raw(data: bytes, side: int) -> Image.Image:
    """One encoded, readable item as a small picture for the report."""
    image = _to_mode(decode(data, 1 << 31), "RGB")
    image.thumbnail((side, side))
    return image


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode in DEEP_MODES:  # scaled to 8 bits; Pillow's own conversion would clip
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode != "F" or values.max(initial=0) > 255 else max(values.max(initial=0), 1.0)
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode == "LAB":  # which Pillow converts to RGB alone
        image = image.convert("RGB")
    return image.convert(mode)
