"""Rows set aside stand in a store of their own and are counted by reason."""

from pathlib import Path

import pyarrow as pa

from tasks.storage.quarantine import QUARANTINE, set_aside
from tasks.storage.store import read, read_manifest


def test_rows_are_kept_and_counted_by_reason(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"id": f"{i}", "reason": "copy" if i else "broken"} for i in range(3)], QUARANTINE)
    counts = set_aside(rows, tmp_path, "test")
    assert list(counts.items()) == [("broken", 1), ("copy", 2)]
    assert read(tmp_path).equals(rows)
    manifest = read_manifest(tmp_path)
    assert (manifest.made_by, manifest.counts) == ("test", {"in": 3, "accepted": 3, "quarantined": {}})
    assert set_aside(rows[:0], tmp_path, "test") == {}
    assert read(tmp_path).num_rows == 0
