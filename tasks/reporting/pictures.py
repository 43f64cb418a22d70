"""Small pictures inside the page itself."""

import base64
import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image

#: Longest side in pixels of a picture among the examples and on the map, where there are few enough of them.
EXAMPLE_SIDE, MAP_SIDE = 192, 96
#: Pixels that all pictures among the examples, or on the map, may come to before they are made smaller.
PIXELS = 14_000_000
SMALLEST = 24
#: Pictures with a longer side than this are drawn smoothly, smaller ones with their pixels showing.
COARSE = 40


def side(longest: int, count: int) -> int:
    """The longest side in pixels of each of ``count`` pictures: what keeps the page small enough to send."""
    return max(SMALLEST, min(longest, int((PIXELS / max(count, 1)) ** 0.5)))


def embed(image: Image.Image) -> dict[str, Any]:
    """The attributes of an `<img>`: data URI, size, and whether its pixels should show."""
    width, height = image.size
    return {"uri": _uri(image), "width": width, "height": height, "coarse": max(image.size) <= COARSE}


def sprite(images: Sequence[Image.Image | None], longest: int) -> dict[str, Any] | None:
    """All pictures of the map as one, each ``longest`` pixels at most, in equal cells, row by row; None where there
    is none."""
    small = [None if image is None else image.copy() for image in images]
    drawn = [image for image in small if image is not None]
    if not drawn:
        return None
    for image in drawn:  # those that are examples, too, were drawn larger
        image.thumbnail((longest, longest))
    width, height = max(image.width for image in drawn), max(image.height for image in drawn)
    columns = math.ceil(math.sqrt(len(small) * height / width))
    sheet = Image.new("RGB", (columns * width, math.ceil(len(small) / columns) * height), "white")
    for k, cell in enumerate(small):
        if cell is not None:
            left, top = k % columns * width, k // columns * height
            sheet.paste(cell, (left + (width - cell.width) // 2, top + (height - cell.height) // 2))
    return {
        "uri": _uri(sheet), "width": width, "height": height, "columns": columns,
        "coarse": max(width, height) <= COARSE,
    }  # fmt: skip


def _uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
