"""clean: every accepted row in one shape; all that is fitted is fitted on the train rows."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.core.errors import DeepmineError, Unreadable
from tasks.core.files import fingerprint, inside, named, write_atomically, write_json
from tasks.core.progress import Progress
from tasks.core.sandbox import SPARE, Guard, Limits, split
from tasks.extraction.row_items import write_items
from tasks.modalities import modality
from tasks.modalities.raw_schema import column_name, input_fields
from tasks.storage.names import STATE
from tasks.storage.quarantine import QUARANTINE, set_aside
from tasks.storage.scratch import Scratch
from tasks.storage.store import MANIFEST, Writer, read, read_manifest, read_shards
from tasks.validation.fit_leakage import assert_no_fit_leakage

if TYPE_CHECKING:
    from tasks.config.clean import Clean
    from tasks.config.source import Input

#: Wall time of one item, generous: ingest has read it within its own limit already.
SECONDS = 300.0
COMMON = ["id", "content", "split", "label"]
#: Bytes of a column of text that one Arrow array holds.
MOST_BYTES = 2**31 - 1
State = dict[str, Any]


def clean(
    *, params: "Clean", inputs: "dict[str, Input]", code: str, raw: Path, rejected: Path, clean: Path, cleaned: Path,
    items: Path, scratch: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Raw shards less the rejected rows to ``clean``: `id`, `content`, `split`, `label` and one column an input.

    What is fitted (sizes, vocabularies, transformers of columns, mean and deviation, all of train rows) is saved
    beside the rows, in `_state.json` and in files that it names; scaling of images, sounds and series is applied
    only when tensors are made. Files are decoded in child processes, as in ingest. Rows that are outliers, or end
    their child here all the same, stand in ``cleaned`` with the reason. What is known of the rows in words is written
    to ``items``.

    Raises:
        DeepmineError: no child process can be started, parameters do not suit the columns, or what is learned of an
            input knows held-out rows.
    """
    manifest = read_manifest(raw)
    gone = read(rejected, ["id"])["id"].combine_chunks()
    chosen = fit_rows(raw, gone, params.fit_rows)
    states = {name: settle(name, spec, raw, chosen, params) for name, spec in inputs.items()}
    _assert_fitted_on_train(raw, gone, inputs, params)
    kinds = {name: modality(spec.modality).column_type(states[name]) for name, spec in inputs.items()}
    schema = pa.schema(
        [*((c, pa.string()) for c in COMMON), *kinds.items()],
        metadata={"inputs": json.dumps({n: s.modality for n, s in inputs.items()})},
    )
    settled = {name: save_files(clean, name, state) for name, state in states.items()}
    writer = Writer(clean, schema, fingerprint("clean", settled), keep=_files(settled))
    cache, done, lost = Scratch(scratch), 0, [QUARANTINE.empty_table()]
    scaled = [name for name, spec in inputs.items() if modality(spec.modality).scaled]
    sums: list[dict[str, State]] = []
    guarded = {name: spec for name, spec in inputs.items() if modality(spec.modality).sandboxed}
    columns = [c for name, spec in inputs.items() for c in ([name] if name in guarded else input_fields(name, spec))]
    progress.start()

    def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
        return pa.table({f"{n}.why": pa.array([reason]) for n in guarded} | {n: pa.nulls(1, kinds[n]) for n in guarded})

    def jobs() -> Iterator[tuple[Any, list[pa.Table]]]:
        for shard, table in read_shards(raw, [*COMMON, "source", *columns]):
            kept = without(table, gone)
            key = fingerprint(code, settled, shard.sha256, kept["id"].to_pylist())
            found = cache.find(f"{key}.rows"), cache.find(f"{key}.bad")
            chunks = []
            if guarded and not all(found):
                chunks = split(kept.select(list(guarded)), _sizes(kept, guarded, kinds))
            yield (table.num_rows, kept, key, found), chunks

    memory = max((_memory(raw, name, states[name], guarded[name]) for name in guarded), default=0)
    work = partial(repair_items, kinds={n: s.modality for n, s in guarded.items()}, states=states)
    with Guard(work, fault, Limits(memory + SPARE, SECONDS)) as guard:
        for (rows, kept, key, found), results in guard.map(jobs()):
            rows_at, bad_at = found
            if rows_at is None or bad_at is None:
                table, bad = _shard(kept, results, inputs, states, schema)
                rows_at, bad_at = cache.put(f"{key}.rows", table), cache.put(f"{key}.bad", bad)
            else:
                table = pq.read_table(rows_at[0], page_checksum_verification=True)
                bad = pq.read_table(bad_at[0], schema=QUARANTINE)
            writer.link(rows_at, table)
            lost.append(bad)
            done += rows
            note = f"{bad.num_rows} of this shard set aside" if bad.num_rows else ""
            progress(done, manifest.rows, "rows", note=note)
            sums.append({name: part for name in scaled if (part := _sums(table, name, inputs[name], states[name]))})
    for name in scaled:
        settled[name] |= modality(inputs[name].modality).normalisation([part[name] for part in sums if name in part])
    out = pa.concat_tables(lost).combine_chunks()
    reasons = set_aside(out, cleaned, fingerprint("cleaned", settled))
    accepted = sum(shard.rows for shard in writer.shards)
    counts = {"rejected by validate": len(gone), **reasons}
    writer.finish({"in": manifest.rows, "accepted": accepted, "quarantined": counts})
    kept = {name: {"modality": spec.modality, **settled[name]} for name, spec in inputs.items()}
    write_json(clean / STATE, {"inputs": kept, "files": named(clean, MANIFEST, *_files(settled))})
    progress(done, manifest.rows, "rows", note="collecting facts of each row", always=True)
    write_items(clean, raw, items, inputs, states, chosen, cache, code)
    cache.prune()
    return {"rows": accepted, "set_aside": out.num_rows} | {name: _told(state) for name, state in settled.items()}


def without(table: pa.Table, ids: pa.Array) -> pa.Table:
    """The rows of ``table`` whose id is not among ``ids``."""
    return table.filter(pc.invert(pc.is_in(table["id"], ids)))


def fit_rows(raw: Path, gone: pa.Array, limit: int) -> pa.Array:
    """Ids of at most ``limit`` accepted train rows, those whose content hashes lowest: the same however sharded."""
    rows = pa.table({name: pa.array([], pa.string()) for name in ("id", "content")})

    def lowest(rows: pa.Table) -> pa.Table:
        return rows.sort_by([("content", "ascending"), ("id", "ascending")]).slice(0, limit).combine_chunks()

    for _, table in read_shards(raw, ["id", "content", "split"]):
        train = without(table, gone)
        train = train.filter(pc.equal(train["split"], "train")).select(["id", "content"])
        rows = pa.concat_tables([rows, train])
        if rows.num_rows > 4 * limit:  # now and then, so that memory stays flat
            rows = lowest(rows)
    return (lowest(rows) if rows.num_rows > limit else rows)["id"].combine_chunks()


def settle(name: str, spec: "Input", raw: Path, chosen: pa.Array, params: "Clean") -> State:
    """What the modality makes of the chosen train rows that have this input, in an order that no sharding changes.

    Raises:
        DeepmineError: no train row has this input, or parameters do not suit it.
    """
    made = modality(spec.modality)
    names = {suffix: column_name(name, suffix) for suffix in made.settled_by(spec)}
    parts = []
    for _, table in read_shards(raw, ["id", "content", *names.values()]):
        parts.append(table.filter(pc.is_in(table["id"], chosen)))
    rows = pa.concat_tables(parts)
    # sums of floats depend on the order of what is added; long texts, which Arrow could not sort, do not
    if all(column.nbytes < MOST_BYTES for column in rows.columns):
        rows = rows.sort_by([("content", "ascending"), ("id", "ascending")])
    train = rows.select(list(names.values()))
    present = np.zeros(train.num_rows, bool)
    for column in train.columns:
        present |= column.is_valid().to_numpy()
    if not present.any():
        raise DeepmineError(
            f"no train row has the input '{name}' ({', '.join(spec.columns)}), so that nothing can be learned of it. "
            "Take it out of 'inputs' in params.yaml, or mend the source or its splits."
        )
    state: State = made.settle(train.rename_columns(list(names)).filter(pa.array(present)), spec, params)
    return state


def _assert_fitted_on_train(raw: Path, gone: pa.Array, inputs: "dict[str, Input]", params: "Clean") -> None:
    columns = {n: [column_name(n, s) for s in modality(spec.modality).settled_by(spec)] for n, spec in inputs.items()}

    def fit(name: str, store: Path, limit: int) -> State:
        return settle(name, inputs[name], store, fit_rows(store, gone, min(limit, params.fit_rows)), params)

    assert_no_fit_leakage(raw, columns, fit)


def save_files(folder: Path, name: str, state: State) -> State:
    """Write what of ``state`` is no JSON beside the rows; the state with the hashes of these files."""
    files = {
        f"_{name}.{file}": (data, hashlib.sha256(data).hexdigest()) for file, data in state.get("files", {}).items()
    }
    for file, (data, _) in files.items():
        write_atomically(inside(folder, file), data)
    rest = {key: value for key, value in state.items() if key != "files"}
    return rest | ({"files": {file: sha for file, (_, sha) in files.items()}} if files else {})


def repair_items(rows: Iterator[dict[str, Any]], *, kinds: dict[str, str], states: dict[str, State]) -> pa.Table:
    """Each row's items in the settled shape, null where one is missing; runs in a child.

    Of an item that cannot be repaired the column `NAME.why` says the reason.
    """
    items: dict[str, list[Any]] = {name: [] for name in kinds}
    why: dict[str, list[str | None]] = {name: [] for name in kinds}
    for row in rows:
        for name, kind in kinds.items():
            item, reason = None, None
            if row[name] is not None:
                try:
                    item = modality(kind).repair(row[name], states[name])
                except Unreadable as error:
                    reason = error.reason
            items[name].append(item)
            why[name].append(reason)
    columns = {n: pa.array(v, modality(kinds[n]).column_type(states[n])) for n, v in items.items()}
    return pa.table(columns | {f"{n}.why": pa.array(v, pa.string()) for n, v in why.items()})


def _files(settled: dict[str, State]) -> list[str]:
    return [file for state in settled.values() for file in state.get("files", {})]


def _sizes(kept: pa.Table, guarded: "dict[str, Input]", kinds: dict[str, pa.DataType]) -> list[int]:
    """Bytes of each row's items, coming in or going out, whichever is more."""
    total = np.zeros(kept.num_rows, np.int64)
    for name in guarded:
        sizes = pc.fill_null(pc.binary_length(kept[name]), 0).to_numpy()
        width = kinds[name].byte_width if pa.types.is_fixed_size_binary(kinds[name]) else 0
        total += np.maximum(sizes, width)
    return total.tolist()


def _memory(raw: Path, name: str, state: State, spec: "Input") -> int:
    made = modality(spec.modality)
    suffixes = made.settled_by(spec)
    facts = read(raw, [column_name(name, s) for s in suffixes]).rename_columns(suffixes)
    memory: int = made.memory(facts, state)
    return memory


def _shard(
    kept: pa.Table, results: list[pa.Table], inputs: "dict[str, Input]", states: dict[str, State], schema: pa.Schema
) -> tuple[pa.Table, pa.Table]:
    """The cleaned rows of a shard, and those set aside with their reasons."""
    if not kept.num_rows:
        return schema.empty_table(), QUARANTINE.empty_table()
    repaired = pa.concat_tables(results, promote_options="default").combine_chunks() if results else None
    columns = {name: kept[name] for name in COMMON}
    reasons: list[str | None] = [None] * kept.num_rows
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if repaired is not None and name in repaired.column_names:
            columns[name], why = repaired[name], repaired[f"{name}.why"].to_pylist()
        else:
            suffixes = list(made.raw_fields(spec))
            table = kept.select([column_name(name, s) for s in suffixes]).rename_columns(suffixes)
            columns[name], why = made.repair_columns(table, spec, states[name])
        reasons = [old or new for old, new in zip(reasons, why, strict=True)]
    whole = pa.table({name: columns[name] for name in schema.names})
    if not any(reasons):
        return whole.combine_chunks().cast(schema), QUARANTINE.empty_table()
    good = pa.array([reason is None for reason in reasons])
    lost = kept.select(["id", "source", "label", "split"]).append_column("reason", pa.array(reasons, pa.string()))
    lost = lost.append_column("detail", pa.nulls(kept.num_rows, pa.string())).filter(pc.invert(good))
    bad = lost.select(QUARANTINE.names).combine_chunks().cast(QUARANTINE)
    return whole.filter(good).combine_chunks().cast(schema), bad


def _sums(table: pa.Table, name: str, spec: "Input", state: State) -> State:
    """What an input's scaling is made of, of the train rows of a shard that have it; nothing where none has."""
    made, column = modality(spec.modality), table[name].filter(pc.equal(table["split"], "train")).drop_null()
    sums: State = made.statistics(made.array(column, state), state) if len(column) else {}
    return sums


def _told(state: State) -> str:
    """The settled values that are short enough for one line."""
    short = {k: v for k, v in state.items() if isinstance(v, int | float | str) and len(str(v)) < 20}
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in short.items()
    )
