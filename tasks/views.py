"""Views: named sets of features over the same rows. Above them code knows modalities, below nothing does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.errors import DeepmineError
from tasks.store import read, read_manifest, vectors

COLUMNS = ("id", "content", "split", "label")


@dataclass(frozen=True)
class View:
    """Features of N rows, sorted by id.

    Attributes:
        name: say `deep`, or `raw+deep` for a concatenation.
        ids, split, label: (N,) arrays of text.
        X: (N, D) float32.
        fingerprint: of what made it; a miner fitted on another one refuses this view.
    """

    name: str
    ids: np.ndarray
    split: np.ndarray
    label: np.ndarray
    X: np.ndarray
    fingerprint: str

    def rows(self, *splits: str) -> np.ndarray:
        """(N,) mask of the rows in any of ``splits``."""
        return np.isin(self.split, splits)


def view_schema(name: str, width: int, fingerprint: str, **more: str) -> pa.Schema:
    """The columns and metadata of a view's store."""
    return pa.schema(
        [*((c, pa.string()) for c in COLUMNS), (name, pa.list_(pa.float32(), width))],
        metadata={"view": name, "fingerprint": fingerprint, **more},
    )


def load_view(features: Path, name: str) -> View:
    """A view, or several joined by id and laid side by side when ``name`` is like `raw+deep`.

    Raises:
        DeepmineError: a view is missing or damaged, or two of them are over different rows.
    """
    parts = [_load(features / part, part) for part in name.split("+")]
    first = parts[0]
    for part in parts[1:]:
        if not np.array_equal(part.ids, first.ids):
            raise DeepmineError(
                f"{features}: the views {first.name} and {part.name} are over different rows. Run: deepmine run"
            )
    if len(parts) == 1:
        return first
    X = np.concatenate([p.X for p in parts], axis=1)  # (N, D1 + D2)
    return View(name, first.ids, first.split, first.label, X, "+".join(p.fingerprint for p in parts))


def blocks(values: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """``values`` in blocks of exactly ``size`` rows, the last padded with zeros; each with its count of real rows.

    Matrix products of other shapes differ in their low bits, so every product is made in one shape. No rows at all
    (a shard that was wholly rejected) are one block of padding, so that what is made of it keeps its width.
    """
    for start in range(0, max(len(values), 1), size):
        block = values[start : start + size]
        count = len(block)
        if count < size:
            block = np.concatenate([block, np.zeros((size - count, *values.shape[1:]), values.dtype)])
        yield block, count


def _load(folder: Path, name: str) -> View:
    table = read(folder, ["id", "split", "label", name]).combine_chunks()
    X = vectors(table[name])
    ids, split, label = (np.array(table[c].to_pylist(), dtype=object).astype(str) for c in ("id", "split", "label"))
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        ids, split, label, X = ids[order], split[order], label[order], X[order]
    return View(name, ids, split, label, X, read_manifest(folder).metadata["fingerprint"])
