"""ingest: read every listed item once, name it, give it a split, and set aside what cannot be read."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.modalities import modality
from tasks.progress import Progress
from tasks.sources import Unreadable, read_bytes
from tasks.store import QUARANTINE, Scratch, Writer, fingerprint

if TYPE_CHECKING:
    from tasks.config import Ingest, Input, Source


def ingest(
    *, source: "Source", inputs: "dict[str, Input]", params: "Ingest", code: str, listing: Path, raw: Path,
    unreadable: Path, scratch: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Listed items to Parquet shards of encoded bytes, one shard of output for each shard of the listing.

    Writes two stores: ``raw`` (`id`, `content`, `split`, `label`, `group`, `source`, the modality's facts and the
    encoded item) and ``unreadable`` (`id`, `reason`, `detail` and where it came from). Encoded bytes are kept as
    they came: nothing is lost, and they are a fraction of the decoded size.
    """
    [(name, spec)] = inputs.items()
    facts = modality(spec.modality).FACTS
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
    for number in sorted(pc.unique(listed["shard"]).to_pylist()):
        part = listed.filter(pc.equal(listed["shard"], number))
        key = fingerprint(code, vars(params), sorted(official), part.drop_columns(["shard"]).to_pydict())
        found = cache.find(f"{key}.rows"), cache.find(f"{key}.bad")
        if not all(found):
            good, faulty = _read_shard(part, name, source, params, schema, official)
            found = cache.put(f"{key}.rows", good), cache.put(f"{key}.bad", faulty)
            again += part.num_rows
        if found[0] and found[1]:
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


def _read_shard(
    part: pa.Table, name: str, source: "Source", params: "Ingest", schema: pa.Schema, official: set[str]
) -> tuple[pa.Table, pa.Table]:
    inspect = modality(schema.metadata[b"modality"].decode()).inspect
    # shares of the splits that the source does not bring
    val, test = (0.0 if s in official else share for s, share in (("val", params.val), ("test", params.test)))

    def one(row: dict[str, Any]) -> dict[str, Any]:
        place = {"id": row["id"], "source": row["path"], "label": row["label"], "split": row["split"]}
        try:
            data = read_bytes(source, row["path"])
            facts = inspect(data, params.max_pixels)
        except Unreadable as error:
            return {**place, "reason": error.reason, "detail": error.detail}
        split = row["split"]
        if split in (None, "train"):
            split = split_of(row["group"] or facts["content"], val, test)
        return {**place, **facts, "split": split, "group": row["group"], "bytes": len(data), name: data}

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside Python's lock
        results = list(pool.map(one, part.to_pylist()))
    good = [r for r in results if "reason" not in r]
    faulty = [r for r in results if "reason" in r]
    return pa.Table.from_pylist(good, schema), pa.Table.from_pylist(faulty, QUARANTINE)
