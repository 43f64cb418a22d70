"""clean: every accepted row in one shape; the normalisation state fitted on the train rows."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.guard import SPARE, Guard, Limits, split
from tasks.modalities import modality
from tasks.progress import Progress
from tasks.sources import Unreadable
from tasks.store import STATE, Scratch, Writer, fingerprint, read, read_manifest, read_shards, write_json

if TYPE_CHECKING:
    from tasks.config import Clean

#: Wall time of one item, generous: ingest has read it within its own limit already.
SECONDS = 300.0
LOST = "could not be repaired"


def clean(
    *, params: "Clean", code: str, raw: Path, rejected: Path, clean: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Raw shards less the rejected rows to ``clean``: `id`, `content`, `split`, `label` and the unscaled item.

    The fitted state (size, mode, mean and deviation of the train rows) is saved beside the rows in `_state.json`;
    scaling itself is applied when tensors are made. Items are decoded in child processes, as in ingest; one that
    ends its child here all the same is left out and counted.

    Raises:
        DeepmineError: no child process can be started.
    """
    manifest = read_manifest(raw)
    name, kind = manifest.metadata["input"], manifest.metadata["modality"]
    made = modality(kind)
    gone = read(rejected, ["id"])["id"]
    facts = _without(read(raw, ["id", "split", *made.SETTLED_BY]), gone)
    settled = made.settle(facts.filter(pc.equal(facts["split"], "train")), params)
    schema = pa.schema(
        [("id", pa.string()), ("content", pa.string()), ("split", pa.string()), ("label", pa.string()),
         (name, made.column_type(settled))],
        metadata={"input": name, "modality": kind},
    )  # fmt: skip
    writer = Writer(clean, schema, fingerprint("clean", kind, settled))
    cache, sums, done = Scratch(scratch), [], 0
    width = schema.field(name).type.byte_width
    progress.start()

    def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
        return pa.table({name: pa.nulls(1, schema.field(name).type)})

    def jobs() -> Iterator[tuple[Any, list[pa.Table]]]:
        for shard, table in read_shards(raw, ["id", "content", "split", "label", name]):
            kept = _without(table, gone)
            key = fingerprint(code, settled, shard.sha256, kept["id"].to_pylist())
            sizes = pc.max_element_wise(pc.binary_length(kept[name]), width).to_pylist()
            found = cache.find(key)
            yield (table.num_rows, kept, key, found), [] if found else split(kept.select([name]), sizes)

    limits = Limits(made.memory(facts, settled) + SPARE, SECONDS)
    with Guard(partial(repair_items, kind=kind, settled=settled, name=name), fault, limits) as guard:
        for (rows, kept, key, found), results in guard.map(jobs()):
            found = found or cache.put(key, _shard(kept, results, schema, name))
            table = pq.read_table(found[0], page_checksum_verification=True)
            writer.link(found, table)
            done += rows
            lost = kept.num_rows - table.num_rows
            progress(done, manifest.rows, "rows", note=f"{lost} of this shard {LOST}" if lost else "")
            train = table.filter(pc.equal(table["split"], "train"))
            if train.num_rows:
                sums.append(made.statistics(made.pixels(train[name], settled)))
    state = {"input": name, "modality": kind, **settled, **made.normalisation(sums)}
    write_json(clean / STATE, state)
    accepted = sum(shard.rows for shard in writer.shards)
    quarantined = {"rejected by validate": len(gone)}
    if accepted < facts.num_rows:
        quarantined[LOST] = facts.num_rows - accepted
    writer.finish({"in": manifest.rows, "accepted": accepted, "quarantined": quarantined})
    cache.prune()
    return {"rows": accepted, "size": " x ".join(str(v) for v in settled.values())}


def _without(table: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["id"], ids.combine_chunks())))


def repair_items(rows: Iterator[dict[str, Any]], *, kind: str, settled: dict[str, Any], name: str) -> pa.Table:
    """Each row's item in the settled shape, null where that fails; runs in a child."""
    made = modality(kind)

    def one(row: dict[str, Any]) -> bytes | None:
        try:
            item: bytes = made.repair(row[name], settled, 1 << 62)  # the cap was checked at ingest
        except Unreadable:
            return None
        return item

    return pa.table({name: pa.array([one(row) for row in rows], made.column_type(settled))})


def _shard(kept: pa.Table, results: list[pa.Table], schema: pa.Schema, name: str) -> pa.Table:
    if not results:
        return schema.empty_table()
    items = pa.concat_tables(results).combine_chunks()[name]
    table = kept.select(schema.names[:-1]).append_column(schema.field(name), items)
    return table.filter(pc.is_valid(items)).combine_chunks().cast(schema)
