"""What an input is: how it is decoded, checked, repaired, made a tensor and shown.

Each entry is a module with the same functions; `image.py` is the one to read first.
"""

from importlib import import_module
from types import ModuleType

MODALITIES = {"image": "tasks.modalities.image"}


def modality(name: str) -> ModuleType:
    """The module of a modality.

    Raises:
        KeyError: it is not registered.
    """
    return import_module(MODALITIES[name])
