"""Small pictures of chosen items, inside the page itself."""

import base64
import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from tasks.store import read_shards

#: Longest side in pixels of an example and of a picture on the map.
EXAMPLE_SIDE, MAP_SIDE = 96, 48
#: Pictures with a longer side than this are drawn smoothly, smaller ones with their pixels showing.
COARSE = 40


def gather(
    folder: Path, column: str, sides: dict[str, int], draw: Callable[[bytes, int], Image.Image]
) -> dict[str, Image.Image]:
    """The picture of each id in ``sides``, no larger than its side, shard by shard.

    Raises:
        DeepmineError: a shard of the store is missing or damaged.
    """
    wanted = pa.array(list(sides), pa.string())
    found = {}
    for _, table in read_shards(folder, ["id", column]) if sides else ():
        table = table.filter(pc.is_in(table["id"], wanted))
        for name, item in zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True):
            if item is not None:
                found[name] = draw(item, sides[name])
    return found


def embed(image: Image.Image) -> dict[str, Any]:
    """The attributes of an `<img>`: data URI, size, and whether its pixels should show."""
    width, height = image.size
    return {"uri": _uri(image), "width": width, "height": height, "coarse": max(image.size) <= COARSE}


def sprite(images: list[Image.Image | None]) -> dict[str, Any] | None:
    """All pictures of the map as one, in square cells, row by row; None where there is none."""
    drawn = [image for image in images if image is not None]
    if not drawn:
        return None
    side = min(MAP_SIDE, max(max(image.size) for image in drawn))
    columns = math.ceil(math.sqrt(len(images)))
    sheet = Image.new("RGB", (columns * side, math.ceil(len(images) / columns) * side), "white")
    for k, image in enumerate(images):
        if image is not None:
            small = image.copy()
            small.thumbnail((side, side))
            left, top = k % columns * side, k // columns * side
            sheet.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
    return {"uri": _uri(sheet), "side": side, "columns": columns, "coarse": side <= COARSE}


def _uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
