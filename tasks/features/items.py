"""Items: what is known of each row in words (its group, the levels and intervals of its columns), as a store of its own.

Rules are found in them, and slices of the test rows and profiles of clusters are told by them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from tasks.core.files import fingerprint
from tasks.features.view import COLUMNS, View, load_store, vector_columns, view_schema
from tasks.storage.store import read_manifest

NAME = "items"
#: Levels of a column that become items at most, the most frequent of the train rows.
MOST_LEVELS = 50


@dataclass(frozen=True)
class Items:
    """What is known of N rows, sorted by id.

    Attributes:
        view: their ids, splits and labels; its `X` is (N, M), 1 where a row has an item, else 0.
        names: of the M items, as a person reads them: `colour=red`, `27 <= age < 41`, `whole milk`.
        attributes: what each item is a value of, say `colour`; equal for the items of one column.
    """

    view: View
    names: tuple[str, ...]
    attributes: tuple[str, ...]


def load_items(items: Path) -> Items:
    """The items of all cleaned rows.

    Raises:
        DeepmineError: the store is missing or damaged.
    """
    metadata = read_manifest(items).metadata
    names, attributes = (tuple(json.loads(metadata[key])) for key in ("names", "attributes"))
    return Items(load_store(items, NAME), names, attributes)


def items_schema(names: Sequence[str], attributes: Sequence[str], **more: str) -> pa.Schema:
    """Columns and metadata of the store; ``more`` of them, say what was `fitted` to make the items.

    >>> items_schema(["colour=red"], ["colour"]).names
    ['id', 'content', 'split', 'label', 'items', 'items.index']
    """
    told = more | {"names": json.dumps(list(names)), "attributes": json.dumps(list(attributes))}
    return view_schema(NAME, len(names), fingerprint("items", told), sparse=True, **told)


def items_table(rows: pa.Table, held: csr_array, schema: pa.Schema) -> pa.Table:
    """The rows of a shard of the store.

    Args:
        rows: N rows with `id`, `content`, `split`, `label`.
        held: (N, M), not zero where a row has an item.

    >>> rows = pa.table({name: ["r1"] for name in COLUMNS})
    >>> made = items_table(rows, csr_array([[0.0, 1.0]]), items_schema(["a", "b"], ["a", "b"]))
    >>> made["items"].to_pylist(), made["items.index"].to_pylist()
    ([[1.0]], [[1]])
    """
    columns = [rows[name].combine_chunks() for name in COLUMNS]
    return pa.table([*columns, *vector_columns(held.astype(np.float32))], schema=schema)
