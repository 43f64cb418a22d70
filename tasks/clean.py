"""clean: every accepted row in one shape; the normalisation state fitted on the train rows."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.modalities import modality
from tasks.progress import Progress
from tasks.store import STATE, Scratch, Writer, fingerprint, read, read_manifest, read_shards, write_json

if TYPE_CHECKING:
    from tasks.config import Clean


def clean(
    *, params: "Clean", code: str, raw: Path, rejected: Path, clean: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Raw shards less the rejected rows to ``clean``: `id`, `content`, `split`, `label` and the unscaled item.

    The fitted state (size, mode, mean and deviation of the train rows) is saved beside the rows in `_state.json`;
    scaling itself is applied when tensors are made.
    """
    manifest = read_manifest(raw)
    name, kind = manifest.metadata["input"], manifest.metadata["modality"]
    made = modality(kind)
    gone = read(rejected, ["id"])["id"]
    facts = _without(read(raw, ["id", "split", *made.FACTS]), gone)
    settled = made.settle(facts.filter(pc.equal(facts["split"], "train")), params)
    schema = pa.schema(
        [("id", pa.string()), ("content", pa.string()), ("split", pa.string()), ("label", pa.string()),
         (name, made.column_type(settled))],
        metadata={"input": name, "modality": kind},
    )  # fmt: skip
    writer = Writer(clean, schema, fingerprint("clean", kind, settled))
    cache, sums, done = Scratch(scratch), [], 0
    progress.start()
    for shard, table in read_shards(raw):
        kept = _without(table, gone)
        key = fingerprint(code, settled, shard.sha256, kept["id"].to_pylist())
        found = cache.find(key) or cache.put(key, _repair(kept, name, made, settled, schema))
        writer.link(found)
        done += table.num_rows
        progress(done, manifest.rows, "rows")
        train = pq.read_table(found[0], filters=[("split", "=", "train")])
        if train.num_rows:
            sums.append(made.statistics(made.pixels(train[name], settled)))
    state = {"input": name, "modality": kind, **settled, **made.normalisation(sums)}
    write_json(clean / STATE, state)
    writer.finish({"in": manifest.rows, "accepted": facts.num_rows, "quarantined": {"rejected by validate": len(gone)}})
    cache.prune()
    return {"rows": facts.num_rows, "size": " x ".join(str(v) for v in settled.values())}


def _without(table: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["id"], ids.combine_chunks())))


def _repair(table: pa.Table, name: str, made: Any, settled: dict[str, Any], schema: pa.Schema) -> pa.Table:
    def one(data: bytes) -> bytes:
        item: bytes = made.repair(data, settled, 1 << 62)  # the cap was checked at ingest
        return item

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        items = list(pool.map(one, table[name].to_pylist()))
    return (
        table.select(schema.names[:-1])
        .append_column(schema.field(name), pa.array(items, schema.field(name).type))
        .cast(schema)
    )
