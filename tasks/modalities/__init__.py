"""What an input is: how it is decoded, checked, repaired, made a tensor and shown.

Each entry is a module that defines a `MODALITY`; `image.py` is the one to read first.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.modalities.base import Modality

MODALITIES = {
    "image": "tasks.modalities.image",
    "audio": "tasks.modalities.audio",
    "text": "tasks.modalities.text",
    "series": "tasks.modalities.series",
    "tabular": "tasks.modalities.tabular",
    "basket": "tasks.modalities.basket",
}


def modality(name: str) -> "Modality":
    """The modality of that name.

    Raises:
        KeyError: it is not registered.
    """
    made: Modality = import_module(MODALITIES[name]).MODALITY
    return made


def repeats(names: Iterable[str]) -> bool:
    """Whether rows of all these modalities repeat by nature, as they have few values."""
    return all(modality(name).repeats for name in names)


def drawn_by_id(names: Iterable[str]) -> bool:
    """Whether splits of rows of all these modalities are drawn by id, not by content."""
    return all(modality(name).drawn_by_id for name in names)
