"""A store again, with other splits."""

from pathlib import Path

import pyarrow as pa

from tasks.storage.store import Writer, read_manifest, read_shards


def resplit(store: Path, into: Path, split: dict[str, str]) -> None:
    """A copy of ``store`` with the rows that ``split`` names, in the splits that it gives them."""
    manifest = read_manifest(store)
    writer: Writer | None = None
    for _, table in read_shards(store):
        if writer is None:
            writer = Writer(into, table.schema, manifest.made_by)
        own = pa.array([split.get(name) for name in table["id"].to_pylist()], pa.string())
        table, own = table.filter(own.is_valid()), own.drop_null()
        if table.num_rows:
            writer.add(table.set_column(table.schema.get_field_index("split"), table.schema.field("split"), own))
    if writer is not None:
        rows = sum(shard.rows for shard in writer.shards)
        writer.finish({"in": rows, "accepted": rows, "quarantined": {}})
