"""Small images and the folders that hold them."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, side: int = 8, low: int = 0, high: int = 256) -> np.ndarray:
    """A grey (side, side) uint8 picture, the same for the same seed."""
    return np.random.default_rng(seed).integers(low, high, (side, side)).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, form: str = "PNG") -> bytes:
    """An image or an array of pixels as an image file's bytes."""
    buffer = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, form)
    return buffer.getvalue()


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
