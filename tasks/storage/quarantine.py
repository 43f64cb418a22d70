"""Rows set aside, each with its reason, as a store of their own."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from tasks.storage.store import Writer

#: Rows that cannot be used, each with its reason and where it came from.
QUARANTINE = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("label", pa.string()), ("split", pa.string()),
     ("reason", pa.string()), ("detail", pa.string())]
)  # fmt: skip


def set_aside(rows: pa.Table, folder: Path, made_by: str) -> dict[str, int]:
    """Write ``rows`` (`QUARANTINE`) to ``folder``; how many there are for each reason."""
    writer = Writer(folder, QUARANTINE, made_by)
    writer.add(rows)
    writer.finish({"in": rows.num_rows, "accepted": rows.num_rows, "quarantined": {}})
    return dict(sorted(Counter(rows["reason"].to_pylist()).items()))
