"""Views: named sets of features over the same rows. Above them code knows modalities, below nothing does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, inside
from tasks.features.label_values import parse_numbers
from tasks.storage.store import MANIFEST, Manifest, read, read_manifest, vector_column, vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = ("id", "content", "split", "label")


class Part(NamedTuple):
    """One of the blocks of features that lie side by side: a view of a concatenation, an input of the raw view.

    Attributes:
        width: features.
        sparse: TF-IDF or baskets.
        columns: those of a table, which have scales of their own.
    """

    width: int
    sparse: bool = False
    columns: bool = False


@dataclass(frozen=True)
class View:
    """Features of N rows, sorted by id.

    Attributes:
        name: say `deep`, or `raw+deep` for a concatenation.
        ids, split, label: (N,) arrays of text; the label is "" where it is not known.
        known: (N,) whether the row has a label.
        X: (N, D) float32, an array or a `scipy.sparse.csr_array`.
        fingerprint: of what made it; a miner fitted on another one refuses this view.
        parts: the blocks of features that lie side by side.
        names: of the features, where a person would know them (columns of a table); else empty.
    """

    name: str
    ids: np.ndarray
    split: np.ndarray
    label: np.ndarray
    known: np.ndarray
    X: Any
    fingerprint: str
    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()

    @property
    def sparse(self) -> bool:
        """Whether `X` is a `scipy.sparse.csr_array`."""
        return any(part.sparse for part in self.parts)

    @cached_property
    def ranks(self) -> np.ndarray:
        """(N,) numbers made of the ids, by which rows are drawn: the same on every view, however rows are sharded."""
        return np.array([int(fingerprint(i)[:16], 16) for i in self.ids.tolist()], np.uint64)

    def rows(self, *splits: str) -> np.ndarray:
        """(N,) mask of the rows in any of ``splits``."""
        return np.isin(self.split, splits)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """The labels of ``rows`` (positions or a mask) as (M, K) numbers.

        Raises:
            DeepmineError: a label is not the same count of numbers as the others.
        """
        texts = self.label[rows].tolist()
        try:
            return parse_numbers(texts)
        except ValueError:
            raise DeepmineError(
                f"view '{self.name}': its labels are not all {len(texts[0].split())} numbers, as regression and "
                "forecasting need. Set `objective: classification` for this dataset, or mend its labels."
            ) from None


def view_schema(name: str, width: int, fingerprint: str, *, sparse: bool = False, **more: str) -> pa.Schema:
    """The columns and metadata of a view's store; `vector_columns` makes those after `COLUMNS`.

    Where a sparse view has dense features side by side with sparse ones, ``parts`` in ``more`` says so: JSON of
    `[[width, sparse, columns], ...]`. Where its features have names, ``names`` is their JSON list.

    >>> view_schema("deep", 2, "f").names
    ['id', 'content', 'split', 'label', 'deep']
    """
    own = [(name, pa.list_(pa.float32())), (f"{name}.index", pa.list_(pa.int32()))]
    metadata = {"view": name, "fingerprint": fingerprint, **more}
    return pa.schema(
        [*((c, pa.string()) for c in COLUMNS), *(own if sparse else [(name, pa.list_(pa.float32(), width))])],
        metadata={**metadata, "width": str(width)} if sparse else metadata,
    )


def vector_columns(values: "np.ndarray | csr_array") -> list[pa.Array]:
    """(N, D) features as the columns of a view's store: one, or two if they are sparse.

    >>> [column.to_pylist() for column in vector_columns(np.array([[1, 2]], np.float32))]
    [[[1.0, 2.0]]]
    """
    return [vector_column(values)] if isinstance(values, np.ndarray) else [*sparse_columns(values)]


def sparse_columns(rows: "csr_array") -> tuple[pa.ListArray, pa.ListArray]:
    """(N, D) sparse rows as two columns: the values of each row, and the features that these are of.

    >>> from scipy.sparse import csr_array
    >>> [column.to_pylist() for column in sparse_columns(csr_array([[0.0, 2.0]]))]
    [[[2.0]], [[1]]]
    """
    rows = rows.copy()
    rows.sum_duplicates()  # which also sorts the features of each row, so that equal rows are equal bytes
    offsets = pa.array(rows.indptr.astype(np.int32))
    values, index = (pa.array(a) for a in (rows.data.astype(np.float32), rows.indices.astype(np.int32)))
    return pa.ListArray.from_arrays(offsets, values), pa.ListArray.from_arrays(offsets, index)


def load_view(features: Path, name: str) -> View:
    """A view, or several joined by id and laid side by side when ``name`` is like `raw+deep`.

    Raises:
        DeepmineError: a view is missing or damaged, or two of them are over different rows.
    """
    views = [load_store(inside(features, part), part) for part in name.split("+")]
    first = views[0]
    for view in views[1:]:
        if not np.array_equal(view.ids, first.ids):
            raise DeepmineError(
                f"{features}: the views {first.name} and {view.name} are of different rows. Run: deepmine run"
            )
    if len(views) == 1:
        return first
    parts = tuple(part for view in views for part in view.parts)
    X: Any
    if any(part.sparse for part in parts):
        from scipy.sparse import csr_array, hstack

        X = hstack([csr_array(view.X) for view in views], format="csr")  # (N, D1 + D2)
    else:
        X = np.concatenate([view.X for view in views], axis=1)  # (N, D1 + D2)
    mark = "+".join(view.fingerprint for view in views)
    names = tuple(own for view in views for own in feature_names(view))
    return View(name, first.ids, first.split, first.label, first.known, X, mark, parts, names)


def feature_names(view: View) -> tuple[str, ...]:
    """The name of each feature; `deep 17` where it has none.

    >>> ids = np.array(["a"])
    >>> view = View("deep", ids, ids, ids, np.ones(1, bool), np.ones((1, 2), np.float32), "f", (Part(2),))
    >>> feature_names(view)
    ('deep 0', 'deep 1')
    """
    return view.names or tuple(f"{view.name} {i}" for i in range(view.X.shape[1]))


def rows_of(view: View, ids: np.ndarray) -> np.ndarray:
    """(N,) positions of ``ids`` in the view, whose rows are sorted by id.

    >>> ids = np.array(["a", "b", "c"])
    >>> view = View("deep", ids, ids, ids, np.ones(3, bool), np.ones((3, 1), np.float32), "f", (Part(1),))
    >>> rows_of(view, np.array(["c", "a"])).tolist()
    [2, 0]
    """
    places: np.ndarray = np.searchsorted(view.ids, ids)
    if len(ids) and not np.array_equal(view.ids[np.minimum(places, len(view.ids) - 1)], ids):
        raise ValueError(f"rows that were asked for are not in the view {view.name}")
    return places


def columns_of(parts: tuple[Part, ...]) -> list[slice]:
    """Where each of the parts stands that were laid side by side.

    >>> columns_of((Part(2), Part(3)))
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = list(accumulate(part.width for part in parts))
    return [slice(end - part.width, end) for end, part in zip(ends, parts, strict=True)]


def has_view(features: Path, name: str) -> bool:
    """Whether the view was made for this dataset."""
    return (features / name / MANIFEST).is_file()


def trained_for(features: Path) -> str:
    """What the network was trained for: classification, regression, forecasting or autoencoder."""
    if not has_view(features, "network"):
        return "classification"
    return read_manifest(features / "network").metadata.get("objective", "classification")


def blocks(values: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """``values`` in blocks of exactly ``size`` rows, the last padded with zeros; each with its count of real rows.

    Matrix products of other shapes differ in their low bits, so every product is made in one shape. No rows at all
    (a shard that was wholly rejected) are one block of padding, so that what is made of it keeps its width.

    >>> [(block.tolist(), count) for block, count in blocks(np.array([1, 2, 3]), 2)]
    [([1, 2], 2), ([3, 0], 1)]
    """
    for start in range(0, max(len(values), 1), size):
        block = values[start : start + size]
        count = len(block)
        if count < size:
            block = np.concatenate([block, np.zeros((size - count, *values.shape[1:]), values.dtype)])
        yield block, count


def load_store(folder: Path, name: str) -> View:
    """The view ``name`` whose store is ``folder``.

    Raises:
        DeepmineError: it is missing or damaged.
    """
    manifest = read_manifest(folder)
    sparse = f"{name}.index" in [column for column, _ in manifest.schema]
    features = [name, f"{name}.index"] if sparse else [name]
    table = read(folder, ["id", "split", "label", *features]).combine_chunks()
    X = _sparse(table, name, manifest) if sparse else vectors(table[name])
    known = table["label"].is_valid().to_numpy()
    ids, split, label = (_text(table[c]) for c in ("id", "split", "label"))
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        ids, split, label, known, X = ids[order], split[order], label[order], known[order], X[order]
    parts = json.loads(manifest.metadata.get("parts", json.dumps([[X.shape[1], sparse]])))
    mark, names = manifest.metadata["fingerprint"], tuple(json.loads(manifest.metadata.get("names", "[]")))
    return View(name, ids, split, label, known, X, mark, tuple(Part(*part) for part in parts), names)


def _text(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.fill_null("").to_pylist(), dtype=object).astype(str)


def _sparse(table: pa.Table, name: str, manifest: Manifest) -> "csr_array":
    from scipy.sparse import csr_array

    lengths = [0, *table[name].combine_chunks().value_lengths().to_pylist()]
    values, index = (table[c].combine_chunks().flatten().to_numpy() for c in (name, f"{name}.index"))
    shape = (table.num_rows, int(manifest.metadata["width"]))
    starts = np.cumsum(lengths)
    # liblinear takes no 64-bit places
    narrow = np.int32 if len(values) < 2**31 else np.int64
    return csr_array((values, index.astype(narrow), starts.astype(narrow)), shape=shape)
