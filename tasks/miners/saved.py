"""Fitted miners as files: skops with a fixed allow-list, the same bytes for the same model, bound to a feature space."""

import io
import json
import sys
import zipfile
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tasks.errors import DeepmineError
from tasks.store import write_atomically
from tasks.views import View

FORMAT = 1
#: Types beyond those that skops trusts by itself; anything else in a file is refused unread.
ALLOWED: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator and the view that it belongs to."""

    estimator: Any
    view: str
    fingerprint: str

    def predict(self, view: View, mask: np.ndarray) -> np.ndarray:
        """Predictions (M,) for the rows of ``view`` under ``mask``.

        Raises:
            DeepmineError: the view is another than the one the miner was fitted on.
        """
        require(view, self.view, self.fingerprint)
        if not mask.any():
            return np.empty(0, dtype=object)
        return np.asarray(self.estimator.predict(view.X[mask]))


def require(view: View, name: str, fingerprint: str) -> None:
    """Refuse a view that is not the one named: equal width does not make two feature spaces one.

    Raises:
        DeepmineError: name or fingerprint differ.
    """
    if view.name != name or view.fingerprint != fingerprint:
        raise DeepmineError(
            f"this miner was fitted on the view '{name}' of encoder {fingerprint[:12]}, but was given '{view.name}' of "
            f"encoder {view.fingerprint[:12]}. Fit it again (deepmine run), or give it the features it was made for."
        )


def save_miner(path: Path, fitted: Fitted) -> None:
    """Write canonical skops bytes to ``path``.

    Raises:
        DeepmineError: the estimator holds a type that `load_miner` would refuse.
    """
    skops = _skops()

    data = skops.dumps({"format": FORMAT, **vars(fitted)})
    foreign = set(skops.get_untrusted_types(data=data)) - set(ALLOWED)
    if foreign:
        raise DeepmineError(
            f"{path.stem}: holds types that could not be loaded again ({', '.join(sorted(foreign))}). "
            "Add them to ALLOWED in tasks/miners/saved.py if you trust them."
        )
    write_atomically(path, canonical(data))


def load_miner(path: Path) -> Fitted:
    """Read a miner back.

    Raises:
        DeepmineError: no such file, no skops archive, a type outside the allow-list, or a newer format.
    """
    skops = _skops()

    try:
        data = path.read_bytes()
        foreign = set(skops.get_untrusted_types(data=data)) - set(ALLOWED)
        if foreign:
            raise DeepmineError(
                f"{path}: holds types that deepmine never loads ({', '.join(sorted(foreign))}); refused."
            )
        values = skops.loads(data, trusted=list(ALLOWED))
        if values.pop("format") > FORMAT:
            raise DeepmineError(f"{path}: written by a newer deepmine. Update this one.")
        return Fitted(**values)
    except FileNotFoundError:
        raise DeepmineError(f"{path}: no such miner. Run: deepmine run") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError):
        raise DeepmineError(f"{path}: not a miner saved by deepmine; refused.") from None


class _NoTorch(MetaPathFinder):
    """Torch is not there to be imported; where it was imported before, nobody asks."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)


def _skops() -> ModuleType:
    """skops.io, without torch: it imports all of scikit-learn to list its estimators, and so the adapter for torch."""
    finder = _NoTorch()
    sys.meta_path.insert(0, finder)
    try:
        return import_module("skops.io")
    finally:
        sys.meta_path.remove(finder)


def canonical(archive: bytes) -> bytes:
    """The same skops archive with memory addresses renumbered by appearance and times fixed."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read("schema.json"))
        files = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}

    def renumber(node: Any) -> None:
        if isinstance(node, dict):
            if "__id__" in node:
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
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
            target.writestr(zipfile.ZipInfo(new), files[old])
        target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema, sort_keys=True))
    return buffer.getvalue()
