"""ingest: read every listed item once, name it, give it a split, and set aside what cannot be read."""

from collections import Counter
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
from tasks.sources import Unreadable, read_bytes
from tasks.store import QUARANTINE, Scratch, Writer, fingerprint

if TYPE_CHECKING:
    from tasks.config import Ingest, Input, Source

#: What a child says of an item besides the modality's facts: either `reason` is null or all the others are.
RESULT = {
    "content": pa.string(), "split": pa.string(), "bytes": pa.int64(), "data": pa.binary(),
    "reason": pa.string(), "detail": pa.string(),
}  # fmt: skip


def ingest(
    *, source: "Source", inputs: "dict[str, Input]", params: "Ingest", code: str, listing: Path, raw: Path,
    unreadable: Path, scratch: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Listed items to Parquet shards of encoded bytes, one shard of output for each shard of the listing.

    Writes two stores: ``raw`` (`id`, `content`, `split`, `label`, `group`, `source`, the modality's facts and the
    encoded item) and ``unreadable`` (`id`, `reason`, `detail` and where it came from). Items stay encoded, less
    metadata: no pixel is lost, and they are a fraction of the decoded size. They are decoded in child processes
    only, so that a file which crashes, stalls or swells the decoder costs itself alone.

    Raises:
        DeepmineError: no child process can be started.
    """
    [(name, spec)] = inputs.items()
    made = modality(spec.modality)
    facts = made.FACTS
    schema = pa.schema(
        [("id", pa.string()), ("content", pa.string()), ("split", pa.string()), ("label", pa.string()),
         ("group", pa.string()), ("source", pa.string()), ("bytes", pa.int64()), *facts.items(), (name, pa.binary())],
        metadata={"input": name, "modality": spec.modality},
    )  # fmt: skip
    listed = pq.read_table(listing)
    official = {s for s in pc.unique(listed["split"]).to_pylist() if s}
    made_by = fingerprint("ingest", vars(params))
    rows, bad = Writer(raw, schema, made_by), Writer(unreadable, QUARANTINE, made_by)
    cache = Scratch(scratch)
    rejected: list[pa.Table] = []
    done = again = 0
    progress.start()
    # shares of the splits that the source does not bring
    val, test = (0.0 if s in official else share for s, share in (("val", params.val), ("test", params.test)))
    work = partial(read_items, source=source, kind=spec.modality, max_pixels=params.max_pixels, shares=(val, test))
    result = _result(made)

    def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
        return pa.Table.from_pylist([{"reason": reason, "detail": detail}], result)

    def jobs() -> Iterator[tuple[Any, list[pa.Table]]]:
        for number in sorted(pc.unique(listed["shard"]).to_pylist()):
            part = listed.filter(pc.equal(listed["shard"], number))
            key = fingerprint(code, vars(params), sorted(official), part.drop_columns(["shard"]).to_pydict())
            found = cache.find(f"{key}.rows"), cache.find(f"{key}.bad")
            chunks = split(part.select(["path", "split", "group"]), part["size"].to_pylist())
            yield (part, key, found), [] if all(found) else chunks

    limits = Limits(made.BYTES_PER_PIXEL * params.max_pixels + SPARE, params.max_seconds)
    with Guard(work, fault, limits) as guard:
        for (part, key, found), results in guard.map(jobs()):
            if results:
                good, faulty = _shard(part, results, schema, name)
                found = cache.put(f"{key}.rows", good), cache.put(f"{key}.bad", faulty)
                again += part.num_rows
            if (kept := pq.read_metadata(found[0][0]).num_rows) > 0:
                rows.link(found[0])
            rejected.append(pq.read_table(found[1][0], schema=QUARANTINE))
            done += part.num_rows
            progress(done, listed.num_rows, "items", note=f"{part.num_rows - kept} unreadable in this shard")
    faulty = pa.concat_tables(rejected)
    bad.add(faulty)
    reasons = dict(sorted(Counter(faulty["reason"].to_pylist()).items()))
    manifest = rows.finish(
        {"in": listed.num_rows, "accepted": sum(s.rows for s in rows.shards), "quarantined": reasons}
    )
    bad.finish({"in": faulty.num_rows, "accepted": faulty.num_rows, "quarantined": {}})
    cache.prune()
    return {"rows": manifest.rows, "read": again, "unreadable": faulty.num_rows}


def split_of(key: str, val: float, test: float) -> str:
    """The split of a row from a hash of its group or content: copies, and rows of one group, stay together."""
    place = int(fingerprint("split", key)[:16], 16) / 2**64
    return "test" if place < test else "val" if place < test + val else "train"


def read_items(
    rows: Iterator[dict[str, Any]], *, source: "Source", kind: str, max_pixels: int, shares: tuple[float, float]
) -> pa.Table:
    """What `RESULT` and the modality's facts say of each listed row, in their order; runs in a child.

    Args:
        shares: of val and of test, to carve from the rows that the source does not give to either.
    """
    made = modality(kind)
    results: list[dict[str, Any]] = []
    for row in rows:
        try:
            facts, data = made.admit(read_bytes(source, row["path"]), max_pixels)
        except Unreadable as error:
            results.append({"reason": error.reason, "detail": error.detail})
            continue
        split = row["split"]
        if split in (None, "train"):
            split = split_of(row["group"] or facts["content"], *shares)
        results.append({**facts, "split": split, "bytes": len(data), "data": data})
    schema = _result(made)
    return pa.table({name: [r.get(name) for r in results] for name in schema.names}, schema)


def _result(made: Any) -> pa.Schema:
    return pa.schema([*RESULT.items(), *made.FACTS.items()])


def _shard(part: pa.Table, results: list[pa.Table], schema: pa.Schema, name: str) -> tuple[pa.Table, pa.Table]:
    """The accepted and the unreadable rows of a shard of the listing and of what was read of them."""
    read = pa.concat_tables(results).combine_chunks()
    table = part.select(["id", "label", "group"]).append_column("source", part["path"])
    for column in read.column_names:
        table = table.append_column(name if column == "data" else column, read[column])
    bad = pc.is_valid(table["reason"])
    faulty = table.filter(bad)
    faulty = faulty.set_column(faulty.column_names.index("split"), "split", part["split"].filter(bad))
    good = table.filter(pc.invert(bad)).select(schema.names).combine_chunks().cast(schema)
    return good, faulty.select(QUARANTINE.names).combine_chunks().cast(QUARANTINE)
