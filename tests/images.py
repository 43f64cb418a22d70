"""Small images and the folders that hold them."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def noise(seed: int, side: int = 8, low: int = 0, high: int = 256) -> np.ndarray:
    """A grey (side, side) uint8 picture, the same for the same seed."""
    return np.random.default_rng(seed).integers(low, high, (side, side)).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """An image or an array of pixels as an image file's bytes."""
    buffer = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, form, **options)
    return buffer.getvalue()


def camera() -> Image.Exif:
    """What a telephone writes: how it was held, and where."""
    exif = Image.Exif()
    exif[0x0112] = 6
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 31.0, 12.0)
    return exif


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"") -> bytes:
    """A grey PNG as it says of itself, with whatever else is in it."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + png_chunk(b"IEND", b"")


def write_image(path: Path, image: Image.Image | np.ndarray) -> Path:
    """``image`` as a PNG at ``path``, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(image))
    return path


def class_folders(root: Path, labels: tuple[str, ...] = ("a", "b"), each: int = 10, seed: int = 0) -> Path:
    """``each`` different images of every class, in a folder of its own."""
    for k, label in enumerate(labels):
        for i in range(each):
            write_image(root / label / f"{i:02d}.png", noise(seed + k * each + i))
    return root
