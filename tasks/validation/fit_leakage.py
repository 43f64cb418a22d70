"""Whether what is learned of the data stays as it is when held-out rows change: it may not know them."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.storage.store import Writer, read_shards

#: Rows that it is tried on, from the front, and train rows of them that are fitted on: some have to be chosen.
ROWS, FIT = 1000, 400

State = dict[str, Any]


def assert_no_fit_leakage(raw: Path, columns: dict[str, list[str]], fit: Callable[[str, Path, int], State]) -> None:
    """Fit each input on some raw rows, and again with other values in val and test.

    Args:
        columns: what is read of each input.
        fit: an input, a raw store and a limit of rows -> what is learned.

    Raises:
        DeepmineError: what is learned has moved.
    """
    rows = head(raw, ["id", "content", "split", *dict.fromkeys(c for own in columns.values() for c in own)])
    if not pc.any(pc.not_equal(rows["split"], "train")).as_py():
        return
    with TemporaryDirectory() as folder:
        stores = [_store(Path(folder) / name, table) for name, table in (("a", rows), ("b", moved(rows)))]
        for name in columns:
            try:
                first = digest(fit(name, stores[0], FIT))
            except DeepmineError:
                continue  # too little to learn from among so few rows
            try:
                second = digest(fit(name, stores[1], FIT))
            except Exception as error:  # it stumbles over values of val and test, and so has seen them
                raise DeepmineError(_message(name)) from error
            if first != second:
                raise DeepmineError(_message(name))


def _message(name: str) -> str:
    """What is wrong with an input whose state knows held-out rows."""
    return (
        f"clean: what is learned of the input '{name}' changes when rows of val and test change, so every figure on them "
        "would be too good. This is a fault of the code that cleans this modality (`settle` or `statistics` in "
        "tasks/modalities): it must see train rows alone."
    )


def head(store: Path, columns: list[str]) -> pa.Table:
    """Train rows from the front of a store, and others, half of `ROWS` of each at most."""
    parts: list[pa.Table] = []
    seen, lacking = 0, [ROWS // 2, ROWS // 2]
    for _, table in read_shards(store, columns):
        held_out = pc.not_equal(table["split"], "train").to_numpy()
        chosen = [np.flatnonzero(mask)[:n] for mask, n in zip((held_out, ~held_out), lacking, strict=True)]
        parts.append(table.take(np.sort(np.concatenate(chosen))))
        seen, lacking = seen + table.num_rows, [n - len(own) for n, own in zip(lacking, chosen, strict=True)]
        if seen >= ROWS and max(lacking) < ROWS // 2:
            break
    return pa.concat_tables(parts)


def moved(rows: pa.Table) -> pa.Table:
    """``rows`` with other values in val and test: numbers and dates larger, every other of what else there is missing."""
    held_out = pc.not_equal(rows["split"], "train")
    gone = pc.and_(held_out, pa.chunked_array([pa.array(np.arange(rows.num_rows) % 2 == 0)]))
    for place, field in enumerate(rows.schema):
        column, kind = rows.column(place), field.type
        if field.name in ("id", "split"):
            continue
        if field.name == "content":
            other = pc.binary_join_element_wise("0", column, "")
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            other = pc.add(pc.multiply(column, pa.scalar(2, kind)), pa.scalar(1, kind))
        elif pa.types.is_timestamp(kind):
            other = pc.add(column, pa.scalar(10**15, pa.duration("us")))
        else:
            other = pc.if_else(gone, pa.scalar(None, kind), column)
        rows = rows.set_column(place, field, pc.if_else(held_out, other, column))
    return rows


def digest(state: State) -> str:
    """One hash of what was learned; files count by their bytes."""
    files = {name: sha256(data).hexdigest() for name, data in state.get("files", {}).items()}
    rest = {key: value for key, value in state.items() if key != "files"}
    return sha256(json.dumps([rest, files], sort_keys=True).encode()).hexdigest()


def _store(folder: Path, rows: pa.Table) -> Path:
    writer = Writer(folder, rows.schema, "held-out rows tried")
    writer.add(rows)
    writer.finish({"in": rows.num_rows, "accepted": rows.num_rows, "quarantined": {}})
    return folder
