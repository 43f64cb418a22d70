"""Fitted scikit-learn objects as safe bytes: skops with a fixed allow-list, the same bytes for the same object."""

import io
import json
import sys
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tasks.core.errors import DeepmineError

#: What a file that is no skops archive, or a damaged one, makes skops raise.
BROKEN = (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError)


def dumps(value: Any, allowed: Collection[str], what: str) -> bytes:
    """``value`` as a canonical skops archive; ``what`` is named in errors.

    Raises:
        DeepmineError: it holds a type that `loads` would refuse.
    """
    data: bytes = skops().dumps(value)
    found = foreign(data, allowed)
    if found:
        raise DeepmineError(f"{what}: holds types that could not be loaded again ({', '.join(found)}); not saved.")
    return canonical(data)


def loads(data: bytes, allowed: Collection[str], what: str, kind: str) -> Any:
    """What `dumps` wrote; ``what`` (say a path) and ``kind`` (say "a miner") are named in errors.

    Raises:
        DeepmineError: no skops archive, or a type outside the allow-list; nothing of it is then executed.
    """
    try:
        found = foreign(data, allowed)
        if found and all(name.startswith("tasks.") for name in found):
            raise DeepmineError(f"{what}: written by another version of deepmine. Recreate it: deepmine run")
        if found:
            raise DeepmineError(f"{what}: holds types that deepmine never loads ({', '.join(found)}); refused.")
        return skops().loads(data, trusted=sorted(allowed))
    except BROKEN:
        raise DeepmineError(f"{what}: not {kind} saved by deepmine; refused.") from None


def foreign(data: bytes, allowed: Collection[str]) -> list[str]:
    """Types in an archive that neither skops nor ``allowed`` trusts."""
    return sorted(set(skops().get_untrusted_types(data=data)) - set(allowed))


class _NoTorch(MetaPathFinder):
    """Torch is not there to be imported; where it was imported before, nobody asks."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)


@contextmanager
def without_torch() -> Iterator[None]:
    """A stretch in which torch cannot be imported: listing all of scikit-learn imports its adapter for torch."""
    finder = _NoTorch()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def skops() -> ModuleType:
    """skops.io, which lists all of scikit-learn where it is imported."""
    with without_torch():
        return import_module("skops.io")


def canonical(archive: bytes) -> bytes:
    """The same skops archive with memory addresses renumbered by appearance, times fixed and unused bytes zeroed."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read("schema.json"))
        files = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    numbers: dict[object, int] = {}
    names: dict[str, str] = {}

    def renumber(node: Any) -> None:
        if isinstance(node, dict):
            if "__id__" in node:
                # whether two equal numbers or texts are one object is chance
                own = object() if node.get("__loader__") == "JsonNode" else node["__id__"]
                node["__id__"] = numbers.setdefault(own, len(numbers))
            if isinstance(node.get("file"), str):
                node["file"] = names.setdefault(node["file"], f"{len(names)}{Path(node['file']).suffix}")
            for key in sorted(node):
                renumber(node[key])
        elif isinstance(node, list):
            for child in node:
                renumber(child)

    renumber(schema)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for old, new in sorted(names.items(), key=lambda pair: pair[1]):
            target.writestr(zipfile.ZipInfo(new), _settled(files[old]) if new.endswith(".npy") else files[old])
        target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema, sort_keys=True))
    return buffer.getvalue()


def _settled(npy: bytes) -> bytes:
    """An array file without what chance left in memory: the gaps between fields, and what a tree's leaf never uses."""
    array = np.load(io.BytesIO(npy), allow_pickle=False)
    names = array.dtype.names
    if not names:
        return npy
    settled = np.zeros(array.shape, array.dtype)
    for name in names:
        settled[name] = array[name]
    if {"left_child", "missing_go_to_left"} <= set(names):
        settled["missing_go_to_left"][settled["left_child"] == -1] = 0
    buffer = io.BytesIO()
    np.save(buffer, settled, allow_pickle=False)
    return buffer.getvalue()
