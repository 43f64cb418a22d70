"""An image file less what may tell where and by whom it was taken; its pixels stay as they are."""

import re
import struct
from io import BytesIO
from typing import Any

from PIL import Image

#: The EXIF tag that says how a camera was held.
ORIENTATION = 0x0112
#: Where else than in Exif's own block the place may stand: XMP, IPTC and Photoshop's resources, as Pillow names them.
GPS, OTHERS = 0x8825, {"xmp", "XML:com.adobe.xmp", "photoshop", "Raw profile type exif", 700, 33723, 34377}
#: How each kind of metadata begins in a JPEG.
JPEG_METADATA = (b"Exif\0", b"http://ns.adobe.com/x", b"Photoshop 3.0\0")
#: The next marker in entropy-coded data: neither a stuffed byte nor a restart.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
SOS, EOI, APP0, APP2, APP14, APP15, COM = 0xDA, 0xD9, 0xE0, 0xE2, 0xEE, 0xEF, 0xFE


def without_metadata(data: bytes, opened: Image.Image, upright: Image.Image) -> bytes:
    """``data`` if it holds no such metadata, else the same picture without; the orientation stays or is applied.

    A JPEG keeps all segments that decoding needs, bit for bit. Another format, or a JPEG with a segment out of
    place, is written anew from its pixels, without loss.

    Args:
        opened: what Pillow made of ``data``.
        upright: the same turned upright.
    """
    turn = opened.getexif().get(ORIENTATION, 1)
    if data.startswith(b"\xff\xd8"):
        if not any(kind in data for kind in JPEG_METADATA):
            return data
        return _strip_jpeg(data, turn) or _written_anew(upright, "PNG" if upright.mode in ("L", "RGB") else "TIFF")
    if GPS in opened.getexif() or OTHERS & {*opened.info, *opened.getexif()}:
        return _written_anew(upright, str(opened.format))
    return data


def _strip_jpeg(data: bytes, turn: int) -> bytes | None:
    """Only the segments that decoding needs, up to the end of the first image; None where they are not in order."""
    kept = [b"\xff\xd8"]
    if turn in range(2, 9):
        exif = struct.pack(">6s2sHIHHHIHHI", b"Exif\0\0", b"MM", 42, 8, 1, ORIENTATION, 3, 1, turn, 0, 0)
        kept.append(struct.pack(">HH", 0xFFE1, len(exif) + 2) + exif)
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4]) + 2
        if kind == EOI:
            return b"".join([*kept, b"\xff\xd9"])
        application = APP0 <= kind <= APP15 or kind == COM
        if not application or kind in (APP0, APP14) or (kind == APP2 and data[at + 4 :].startswith(b"ICC_PROFILE\0")):
            kept.append(data[at : at + size])
        at += size
        if kind == SOS:
            following = MARKER.search(data, at)
            if following is None:
                return None
            kept.append(data[at : following.start()])
            at = following.start()
    return b"".join([*kept, b"\xff\xd9"]) if data[at : at + 2] == b"\xff\xd9" else None


def _written_anew(image: Image.Image, form: str) -> bytes:
    bare = image.copy()
    bare.info = {key: value for key, value in image.info.items() if key == "transparency"}
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "exact": True}, "TIFF": {"compression": "tiff_adobe_deflate"},
    }  # fmt: skip
    buffer = BytesIO()
    bare.save(buffer, form, **options.get(form, {}))
    return buffer.getvalue()
