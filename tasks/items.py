"""Items: what is known of each row in words (its group, the levels and intervals of its columns), as a store of its own.

Rules are found in them, and slices of the test rows and profiles of clusters are told by them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from tasks.store import Writer, fingerprint, read, read_manifest
from tasks.views import COLUMNS, View, load_store, vector_columns, view_schema

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


def items_schema(names: Sequence[str], attributes: Sequence[str]) -> pa.Schema:
    """Columns and metadata of the store."""
    told = {"names": json.dumps(list(names)), "attributes": json.dumps(list(attributes))}
    return view_schema(NAME, len(names), fingerprint("items", told), sparse=True, **told)


def items_table(rows: pa.Table, held: csr_array, schema: pa.Schema) -> pa.Table:
    """The rows of a shard of the store.

    Args:
        rows: N rows with `id`, `content`, `split`, `label`.
        held: (N, M), not zero where a row has an item.
    """
    columns = [rows[name].combine_chunks() for name in COLUMNS]
    return pa.table([*columns, *vector_columns(held.astype(np.float32))], schema=schema)


def write_items(clean: Path, raw: Path, items: Path) -> int:
    """The store of the items of all rows of ``clean``; how many items there are."""
    rows = read(clean, COLUMNS).combine_chunks()
    facts = read(raw, ["id", "group"])
    facts = facts.take(pc.index_in(rows["id"], facts["id"].combine_chunks()))
    groups = facts["group"].to_pylist()
    train = [
        g for g, split in zip(groups, rows["split"].to_pylist(), strict=True) if g is not None and split == "train"
    ]
    levels = sorted(set(train)) if 1 < len(set(train)) <= MOST_LEVELS else []
    place = {level: i for i, level in enumerate(levels)}
    pairs = [(row, place[g]) for row, g in enumerate(groups) if g in place]
    at = np.array(pairs, np.int64).reshape(-1, 2)
    held = csr_array((np.ones(len(at), np.float32), (at[:, 0], at[:, 1])), shape=(len(groups), len(levels)))
    schema = items_schema([f"group={level}" for level in levels], ["group"] * len(levels))
    writer = Writer(items, schema, schema.metadata[b"fingerprint"].decode())
    writer.add(items_table(rows, held, schema))
    writer.finish({"in": rows.num_rows, "accepted": rows.num_rows, "quarantined": {}})
    return len(levels)
