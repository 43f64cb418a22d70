"""ingest: read every listed item once, name it, give it a split, and set aside what cannot be read."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks import sources
from tasks.core.files import fingerprint
from tasks.core.progress import Progress
from tasks.core.sandbox import SPARE, Guard, Limits, split
from tasks.core.sandbox_worker import clock_stopped
from tasks.modalities import drawn_by_id, modality
from tasks.modalities.raw_schema import column_name, input_fields, raw_schema
from tasks.sources import NotNow, Unreadable
from tasks.sources.base import TIME
from tasks.sources.listing_file import read_listing
from tasks.sources.watch import READ, STATUS, Watch, read_as_listed, status
from tasks.splitting.splits import Draw, draw
from tasks.storage.quarantine import QUARANTINE, set_aside
from tasks.storage.row_digest import row_digests
from tasks.storage.scratch import Scratch
from tasks.storage.store import Writer

if TYPE_CHECKING:
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input, Source

#: What a child says of a row besides the facts of its items: where `reason` is not null, these are.
#: A `hiccup` is no reason: the file was not read, and there is nothing to say of it.
RESULT = {"reason": pa.string(), "hiccup": pa.string(), "detail": pa.string(), "bytes": pa.int64()}
NOTHING = "nothing there"


#: A shard's accepted rows and its unusable ones in the scratch, each with its sha256.
Stored = tuple[tuple[Path, str], tuple[Path, str]]


@dataclass(frozen=True)
class Job:
    """One shard on its way: rows as the source has them, and those that it could not make sense of."""

    part: pa.Table
    bad: pa.Table
    key: str
    found: "Stored | None"
    done: int
    total: int


def ingest(
    *, source: "Source", inputs: "dict[str, Input]", params: "Ingest", code: str, listing: Path, raw: Path,
    unreadable: Path, scratch: Path, warn: Callable[[str], None], progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Listed items, or the rows of a table, to Parquet shards, each with all that was found out about it.

    Writes two stores: ``raw`` (see `tasks.modalities.raw_schema`) and ``unreadable`` (`id`, `reason`, `detail`
    and where it came from).
    Files stay encoded, less metadata: nothing of their content is lost, and they are a fraction of the decoded size.
    They are decoded in child processes only, so that a file which crashes, stalls or swells the decoder costs itself
    alone. Tables are streamed.

    What is read is what was listed: see `tasks.sources.watch`. A file that cannot be read at this moment has no verdict
    and is stored nowhere, nor is its shard; the shards that were read whole are not read again by the next run.

    Raises:
        DeepmineError: files cannot be read now, or are not those that were listed; no child process can be started;
            or the table cannot be read.
    """
    listed = read_listing(listing)
    schema = raw_schema(inputs)
    made_by = fingerprint("ingest", vars(params))
    rows, cache = Writer(raw, schema, made_by), Scratch(scratch)
    rejected = [QUARANTINE.empty_table()]
    again = total = 0
    progress.start()
    groups = [] if listed["group"].null_count else pc.unique(listed["group"]).to_pylist()
    drawn = draw(sources.official(source, inputs, listed), groups, params.val, params.test)
    whole = sources.by_item(source, inputs)
    files = {name: spec for name, spec in inputs.items() if sources.uses_files(source, spec)}
    result = _result(files)
    made_of = code, vars(params), {n: vars(s) for n, s in inputs.items()}, drawn.official, drawn.few
    watch = Watch(source, listing, tables=sources.is_table(source) and not (whole and len(inputs) == 1))

    def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
        return pa.Table.from_pylist([{"reason": reason, "detail": detail}], result)

    def jobs() -> Iterator[tuple[Job, list[pa.Table]]]:
        for part, faulty, mark, done, end in _parts(source, inputs, listed, params, warn):
            key = fingerprint(*made_of, mark)
            found = _stored(cache, key, watch if files else None)
            chunks = []
            if files and part.num_rows and found is None:
                sizes = part["size"].to_pylist() if "size" in part.column_names else [1] * part.num_rows
                chunks = split(_asked(part, files, watch), sizes)
            yield Job(part, faulty, key, found, done, end), chunks

    work = partial(read_items, source=source, inputs=files, params=params)
    memory = max([modality(s.modality).item_memory(params) for s in files.values()], default=0)
    with Guard(work, fault, Limits(memory + SPARE, params.max_seconds)) as guard:
        for job, results in guard.map(jobs()):
            good, stored = None, job.found
            if stored is None:
                read = pa.concat_tables(results).combine_chunks() if results else None
                if read is not None and watch.hiccups(read["hiccup"], read["detail"]):
                    continue
                good, faulty = _shard(job.part, read, inputs, schema, params, drawn)
                faulty = pa.concat_tables([job.bad, faulty])
                if read is not None:
                    asked = [job.part[_path_column(job.part, spec)] for spec in files.values()]
                    held = watch.read_of(asked, [read[f"{name}.read"] for name in files])
                    watch.note(held, again=True)
                    cache.put(f"{job.key}.read", held)
                stored = cache.put(f"{job.key}.rows", good), cache.put(f"{job.key}.bad", faulty)
                again += job.part.num_rows
            rows_at, bad_at = stored
            if (kept := pq.read_metadata(rows_at[0]).num_rows) > 0:
                rows.link(rows_at, good)
            rejected.append(pq.read_table(bad_at[0], schema=QUARANTINE))
            total += kept + rejected[-1].num_rows
            note = f"{rejected[-1].num_rows} unreadable in this shard" if rejected[-1].num_rows else ""
            if whole:
                progress(job.done, job.total, "items", note=note)
            else:
                progress(job.done >> 10, job.total >> 10, "KiB", note=note or f"{total:,} rows")
    watch.finish()
    faulty = pa.concat_tables(rejected)
    reasons = set_aside(faulty, unreadable, made_by)
    manifest = rows.finish({"in": total, "accepted": sum(s.rows for s in rows.shards), "quarantined": reasons})
    cache.prune()
    return {"rows": manifest.rows, "read": again, "unreadable": faulty.num_rows}


def read_items(
    rows: Iterator[dict[str, Any]], *, source: "Source", inputs: "dict[str, Input]", params: "Ingest"
) -> pa.Table:
    """What `RESULT` and the modalities' facts say of each row's files, in their order; runs in a child.

    Args:
        rows: the path of each input's file, null where a row has none, and what is known of the file (`Watch.expected`).
    """
    results: list[dict[str, Any]] = []
    for row in rows:
        found: dict[str, Any] = {"bytes": 0}
        read: dict[str, Any] = {}
        try:
            for name, spec in inputs.items():
                if row[name] is None:
                    continue
                with clock_stopped():
                    file = read_as_listed(source, row[name], row[f"{name}.listed"])
                read[f"{name}.read"] = status(file)
                facts, item = modality(spec.modality).admit(file.data, params)
                found |= {column_name(name, suffix): value for suffix, value in facts.items()}
                found[name] = item
                found["bytes"] += len(item)
        except NotNow as error:
            found = {"hiccup": error.reason, "detail": error.detail}
        except Unreadable as error:
            found = {"reason": error.reason, "detail": error.detail}
        results.append(found | read)
    schema = _result(inputs)
    return pa.table({name: [r.get(name) for r in results] for name in schema.names}, schema)


def _stored(cache: Scratch, key: str, watch: Watch | None) -> Stored | None:
    """The finished shard of ``key``, if there is one and its files (where it has any) are those that were read."""
    rows, bad = cache.find(f"{key}.rows"), cache.find(f"{key}.bad")
    if rows is None or bad is None:
        return None
    if watch is not None:
        read = cache.find(f"{key}.read")
        if read is None:
            return None
        held = pq.read_table(read[0], schema=READ)
        if not watch.holds(held):
            return None
        watch.note(held, again=False)
    return rows, bad


def _asked(part: pa.Table, files: "dict[str, Input]", watch: Watch) -> pa.Table:
    """The paths of a shard's files and what is known of them; null where the row is no good anyway."""
    columns: dict[str, Any] = {}
    for name, spec in files.items():
        paths = part[_path_column(part, spec)]
        if "reason" in part.column_names:
            paths = pc.if_else(pc.is_valid(part["reason"]), pa.scalar(None, pa.string()), paths)
        columns |= {name: paths, f"{name}.listed": watch.expected(paths)}
    return pa.table(columns)


def _parts(
    source: "Source", inputs: "dict[str, Input]", listed: pa.Table, params: "Ingest", warn: Callable[[str], None]
) -> Iterator[tuple[pa.Table, pa.Table, Any, int, int]]:
    """Shards as the source has them: rows, unusable rows, what names them, and how far along it is."""
    if not sources.by_item(source, inputs):
        for batch in sources.tables(source, inputs, params.shard_rows, (params.val, params.test), warn):
            marks = [f"{row_digests(t):x}" for t in (batch.table, batch.bad)]
            yield batch.table, batch.bad, marks, batch.done, batch.total
        return
    values = sources.values(source, inputs, warn)
    done = 0
    for number in sorted(pc.unique(listed["shard"]).to_pylist()):
        part = listed.filter(pc.equal(listed["shard"], number)).drop_columns(["shard"])
        if values is not None:
            places = pc.index_in(part["id"], values["id"].combine_chunks())
            for name in values.column_names:
                if name not in part.column_names:
                    part = part.append_column(name, values[name].take(places))
        done += part.num_rows
        mark = part.to_pydict() if values is None else f"{row_digests(part):x}"
        part = part.append_column("source", pc.coalesce(part["path"], part["id"]))
        yield part, QUARANTINE.empty_table(), mark, done, listed.num_rows


def _path_column(part: pa.Table, spec: "Input") -> str:
    return spec.columns[0] if spec.columns[0] in part.column_names else "path"


def _result(inputs: "dict[str, Input]") -> pa.Schema:
    """The columns of `read_items`."""
    fields = dict(RESULT)
    for name, spec in inputs.items():
        fields |= input_fields(name, spec)
        fields |= {f"{name}.content": pa.string(), f"{name}.read": STATUS}
    return pa.schema(list(fields.items()))


def _shard(
    part: pa.Table, read: pa.Table | None, inputs: "dict[str, Input]", schema: pa.Schema, params: "Ingest",
    drawn: Draw,
) -> tuple[pa.Table, pa.Table]:  # fmt: skip
    """The accepted and the unusable rows of a shard: ``part`` as the source has it, ``read`` what its files hold."""
    count = part.num_rows
    columns: dict[str, Any] = {name: part[name] for name in ("id", "label", "group", "source")}
    columns["time"] = part[TIME] if TIME in part.column_names else pa.nulls(count, pa.float64())
    columns["bytes"] = pa.array([0] * count, pa.int64()) if read is None else read["bytes"]
    reasons: list[str | None] = [None] * count if read is None else read["reason"].to_pylist()
    details: list[str | None] = [None] * count if read is None else read["detail"].to_pylist()
    if "reason" in part.column_names:  # what is wrong with a row of a table of paths
        told = zip(part["reason"].to_pylist(), part["detail"].to_pylist(), strict=True)
        for i, (reason, detail) in enumerate(told):
            if reason is not None:
                reasons[i], details[i] = reason, detail
    contents: list[list[str | None]] = []
    for name, spec in inputs.items():
        if read is not None and name in read.column_names:
            columns |= {column: read[column] for column in input_fields(name, spec)}
            contents.append(read[f"{name}.content"].to_pylist())
            continue
        admitted = modality(spec.modality).admit_columns(part.select(list(dict.fromkeys(spec.columns))), spec, params)
        columns |= {column_name(name, s): values for s, values in admitted.columns.items()}
        contents.append(admitted.content)
        for i, reason in enumerate(admitted.reasons):
            if reason is not None and reasons[i] is None:
                reasons[i], details[i] = reason, admitted.details[i]
    content = _contents(contents)
    for i, value in enumerate(content):
        if value is None and reasons[i] is None:
            reasons[i], details[i] = NOTHING, "every input of the row is empty"
    by_id = drawn_by_id(spec.modality for spec in inputs.values())
    keys = part["id"].to_pylist() if by_id else content
    splits = [
        drawn.split(own, group, key) if reason is None else own
        for own, group, key, reason in zip(
            part["split"].to_pylist(), part["group"].to_pylist(), keys, reasons, strict=True
        )
    ]
    columns |= {"content": pa.array(content, pa.string()), "split": pa.array(splits, pa.string())}
    if None in reasons:
        good = pa.array([r is None for r in reasons])
        table = pa.table({name: columns[name] for name in schema.names}).filter(good).combine_chunks().cast(schema)
    else:
        table = schema.empty_table()
    columns |= {"reason": pa.array(reasons, pa.string()), "detail": pa.array(details, pa.string())}
    lost = pa.table({name: columns[name] for name in QUARANTINE.names}).filter(pc.is_valid(columns["reason"]))
    return table, lost.combine_chunks().cast(QUARANTINE)


def _contents(of_inputs: list[list[str | None]]) -> list[str | None]:
    """The content of each row: its input's, or for several a hash of theirs; None where all are missing."""
    if len(of_inputs) == 1:
        return of_inputs[0]
    return [
        hashlib.sha256("\n".join(v or "" for v in row).encode()).hexdigest() if any(row) else None
        for row in zip(*of_inputs, strict=True)
    ]
