"""Items of each row, from the raw and the cleaned data: groups, columns, measurements, words, what lies in a basket."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_array, hstack

from tasks.core.files import fingerprint
from tasks.features.item_encoding import GROUP, MISSING, expanded, fit, held, named, unique, whole
from tasks.features.items import items_schema, items_table
from tasks.features.view import COLUMNS
from tasks.modalities import modality
from tasks.modalities.raw_schema import column_name
from tasks.storage.scratch import Scratch
from tasks.storage.store import Writer, read_manifest, read_shard

if TYPE_CHECKING:
    from tasks.config.source import Input


def write_items(
    clean: Path, raw: Path, items: Path, inputs: "dict[str, Input]", states: dict[str, Any], chosen: pa.Array,
    cache: Scratch, code: str,
) -> int:  # fmt: skip
    """Write the store of the items of all rows of ``clean``, shard by shard; how many items there are.

    Args:
        states: what `settle` made of each input.
        chosen: ids of the train rows that levels and intervals are fitted on.
        cache: keeps what was measured of a shard, so that an unchanged one is not read again.
    """
    made_by, shards = read_manifest(clean), []
    for before, after in zip(read_manifest(raw).shards, made_by.shards, strict=True):
        key = f"{fingerprint('facts', code, made_by.made_by, before.sha256, after.sha256)}.facts"
        found = cache.find(key)
        if found is None:
            columns = [*COLUMNS, *inputs]
            table = facts(raw_of(raw, before, inputs), read_shard(clean, after, columns), inputs, states)
            found = cache.put(key, table)
        shards.append(found[0])
    fitted = fit(_chosen(shards, chosen))
    goods = {name: own for name, spec in inputs.items() if (own := modality(spec.modality).item_names(states[name]))}
    names, attributes = named(fitted, goods)
    schema = items_schema(names, attributes, fitted=json.dumps(fitted, ensure_ascii=False))
    writer = Writer(items, schema, schema.metadata[b"fingerprint"].decode())
    for path, shard in zip(shards, made_by.shards, strict=True):
        parts = [held(_kept(path), fitted)]
        rows = read_shard(clean, shard, [*COLUMNS, *goods])
        parts += [modality(inputs[n].modality).items(rows[n], states[n]) for n in goods]
        writer.add(items_table(rows, csr_array(hstack(parts, format="csr")), schema))
    writer.finish({"in": made_by.rows, "accepted": made_by.rows, "quarantined": {}})
    return len(names)


def raw_of(raw: Path, shard: Any, inputs: "dict[str, Input]") -> pa.Table:
    """What `facts` asks for of a shard of the raw data."""
    columns = [column_name(n, s) for n, spec in inputs.items() for s in modality(spec.modality).measured_by(spec)]
    return read_shard(raw, shard, ["id", GROUP, *dict.fromkeys(columns)])


def facts(raw: pa.Table, rows: pa.Table, inputs: "dict[str, Input]", states: dict[str, Any]) -> pa.Table:
    """What is known of the cleaned ``rows`` of a shard: their ids as column "", then numbers, texts and truth values.

    Column order and names are the same for every shard. Booleans, such as that an input is missing, become a single item.
    """
    raw = raw.take(pc.index_in(rows["id"], raw["id"].combine_chunks()))
    found: list[tuple[str, str, pa.Array]] = [("", GROUP, whole(raw[GROUP]))]
    for name, spec in inputs.items():
        made, there = modality(spec.modality), whole(rows[name].is_valid())
        found.append(("", f"{name}{MISSING}", pc.invert(there)))
        table = pa.table({suffix: raw[column_name(name, suffix)] for suffix in made.measured_by(spec)})
        for key, value in made.measure(table, rows[name], spec, states[name]).items():
            found += [(name, k, pc.if_else(there, v, pa.scalar(None, v.type))) for k, v in expanded(key, value)]
    times = Counter(key for _, key, _ in found)
    full = unique(f"{name} {key}" if name and times[key] > 1 else key for name, key, _ in found)
    # no column of a person is called ""
    return pa.table({"": whole(rows["id"]), **dict(zip(full, (value for *_, value in found), strict=True))})


def _chosen(shards: list[Path], chosen: pa.Array) -> pa.Table:
    wanted, parts = set(chosen.to_pylist()), []  # Arrow would hash all of them anew for every shard
    for path in shards:
        table = _kept(path)
        parts.append(table.filter(pa.array([name in wanted for name in table[""].to_pylist()], pa.bool_())))
    return pa.concat_tables(parts)


def _kept(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True, use_threads=False)
