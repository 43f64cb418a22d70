"""A store of items made by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from tasks.features.items import items_schema, items_table
from tasks.storage.store import Writer


def write_items(
    folder: Path, ids: Sequence[str], split: Sequence[str], label: Sequence[str | None], names: Sequence[str],
    attributes: Sequence[str], held: np.ndarray,
) -> None:  # fmt: skip
    """The store that `clean` would write of N rows; ``held`` (N, M) says which row has which of the M items."""
    schema = items_schema(names, attributes)
    columns = {"id": ids, "content": ids, "split": split, "label": label}
    rows = pa.table({name: pa.array(list(values), pa.string()) for name, values in columns.items()})
    writer = Writer(folder, schema, "made by hand")
    writer.add(items_table(rows, csr_array(np.asarray(held, np.float32)), schema))
    writer.finish({"in": len(ids), "accepted": len(ids), "quarantined": {}})
