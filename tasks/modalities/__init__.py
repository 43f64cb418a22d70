"""What an input is: how it is decoded, checked, repaired, made a tensor and shown.

Each entry is a module with the same functions; `image.py` is the one to read first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

MODALITIES = {
    "image": "tasks.modalities.image",
    "audio": "tasks.modalities.audio",
    "text": "tasks.modalities.text",
    "series": "tasks.modalities.series",
    "tabular": "tasks.modalities.tabular",
    "basket": "tasks.modalities.basket",
}


@dataclass(frozen=True)
class Admitted:
    """N rows of a table as one input has them.

    Attributes:
        columns: what the raw data keeps, by suffix (`raw_fields`), N values each.
        content: sha256 of each row's decoded content; None where the input is missing.
        reasons, details: why a row cannot be used, None for the others.
    """

    columns: "dict[str, pa.Array]"
    content: list[str | None]
    reasons: list[str | None]
    details: list[str | None]


@dataclass(frozen=True)
class Shown:
    """One item as a person looks at it: whatever of these its modality has."""

    picture: "Image.Image | None" = None
    text: str | None = None
    cells: list[tuple[str, str]] | None = None
    sound: bytes | None = None  # a WAV file


def modality(name: str) -> ModuleType:
    """The module of a modality.

    Raises:
        KeyError: it is not registered.
    """
    return import_module(MODALITIES[name])


def repeats(names: Iterable[str]) -> bool:
    """Whether rows of all these modalities repeat by nature, as they have few values (`REPEATS`)."""
    return all(getattr(modality(name), "REPEATS", False) for name in names)


def drawn_by_id(names: Iterable[str]) -> bool:
    """Whether splits of rows of all these modalities are drawn by id, not by content (`DRAWN_BY`)."""
    return all(getattr(modality(name), "DRAWN_BY", "content") == "id" for name in names)
