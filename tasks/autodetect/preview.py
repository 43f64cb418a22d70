"""What some of the rows of a proposed data set hold, in sentences for the person who adds it."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from tasks import sources
from tasks.autodetect.column_types import ROWS
from tasks.autodetect.proposal import Proposal, some
from tasks.config.ingest import Ingest
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tasks.core.sandbox import CHUNK_BYTES, SPARE, Guard, Limits, split
from tasks.modalities import drawn_by_id, modality

#: Items that are opened to learn their sizes; a sample, as opening 60,000 files takes a while.
SAMPLE = 500
#: Of these so many go to a child at a time, as nobody knows how large they are.
TOGETHER = 16
#: Rows of a table that its labels are counted of.
COUNTED = 200_000


def findings(made: Proposal, held_out: tuple[float, float] = (Ingest().val, Ingest().test)) -> list[str]:
    """Read some of it as the pipeline will, and say what it is and what is wrong with it.

    Args:
        held_out: shares of val and test rows where the source brings no splits.

    Raises:
        DeepmineError: there is one class.
    """
    if sources.by_item(made.source, made.inputs):
        listed = sources.listing(made.source, made.inputs) if made.listed is None else made.listed
        count, size = listed.num_rows, sum(s for s in listed["size"].to_pylist() if s > 0)
        head = [f"{made.source.path}: {count:,} items" + (f", {size / 1e6:,.1f} MB" if size else "")]
        labels, splits = (Counter(listed[name].to_pylist()) for name in ("label", "split"))
        found, problems = _opened(made, listed)
    else:
        head, labels, splits, found, problems = _read(made)
    known = Counter({k: n for k, n in labels.items() if k is not None})
    lines = [*_label_lines(made, known), _split_line(made, splits, held_out), *found]
    if made.objective in ("auto", "classification"):
        if len(known) < 2:
            raise DeepmineError(
                f"{made.source.path}: {len(known)} class ({', '.join(known) or 'no labels'}); at least two are needed. "
                "Or say --unlabelled."
            )
        largest, smallest = known.most_common(1)[0], known.most_common()[-1]
        if largest[1] > 10 * smallest[1]:
            problems.append(
                f"largest class {largest[0]} has {largest[1] / smallest[1]:.0f} times the rows of {smallest[0]}"
            )
    if labels[None] and made.objective not in ("autoencoder", "forecasting"):
        problems.append(f"{labels[None]:,} rows have no label")
    return [*head, *lines, *made.lines, *(f"problem  {p}" for p in problems or ["none seen"])]


def _label_lines(made: Proposal, known: Counter[str]) -> list[str]:
    if made.objective == "autoencoder":
        return ["label    none: features are learned by an autoencoder"]
    if made.objective == "forecasting":
        return [f"label    the next {made.source.window.horizon} steps"] if made.source.window else []
    if made.objective == "regression":
        values = [float(k) for k, n in known.items() if _is_number(k) for _ in range(n)]
        if not values:
            return [f"label    {made.source.label}: no number among the rows looked at"]
        return [f"label    {made.source.label}: {min(values):g} to {max(values):g}, median {np.median(values):g}"]
    shown = ", ".join(f"{k} {n:,}" for k, n in known.most_common(12)) + (" ..." if len(known) > 12 else "")
    return [f"classes  {len(known)}: {shown}"]


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _split_line(made: Proposal, splits: Counter[Any], held_out: tuple[float, float]) -> str:
    if any(splits) and made.objective != "forecasting":
        return "splits   " + ", ".join(f"{k or 'none given'} {n:,}" for k, n in sorted(splits.items(), key=str))
    val, test = (f"{share * 100:.4g} %" for share in held_out)
    if made.source.window or made.source.split_by == "time":
        return f"splits   by time: the last {test} test, {val} before them val"
    own = drawn_by_id(spec.modality for spec in made.inputs.values())
    by = f"group ({made.source.group or 'from the pattern'})" if _grouped(made.source) else "id" if own else "content"
    return f"splits   none given: by hash of the {by}, {test} test, {val} val"


def _grouped(source: Source) -> bool:
    return source.group is not None or "(?P<group>" in (source.pattern or "")


def _opened(made: Proposal, listed: pa.Table) -> tuple[list[str], list[str]]:
    """What some of the items are, and what is wrong with them."""
    lines, problems = [], []
    path_of = next((n for n, s in made.inputs.items() if sources.uses_files(made.source, s)), "")
    table = sources.values(made.source, made.inputs)
    for name, spec in made.inputs.items():
        if not sources.uses_files(made.source, spec):
            lines += _described(name, spec, table)
            continue
        paths = listed["path"] if name == path_of or table is None else table[spec.columns[0]]
        facts, wrong = _facts(made.source, spec, [p for p in paths.to_pylist() if p])
        count = len(facts) + sum(wrong.values())
        if facts:
            told = modality(spec.modality).describe(pa.Table.from_pylist(facts))
            lines.append(f"{name:<8} {told}, of {count:,} opened")
        problems += [f"{n} of {count:,} opened: {why}" for why, n in wrong.items()]
        copies = len(facts) - len({f["content"] for f in facts})
        problems += [f"{copies} copies among those opened"] if copies else []
    return lines, problems


def _facts(source: Source, spec: Input, paths: list[str]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """What the modality says of some of the files, and how many of them are wrong for which reason.

    They are decoded in child processes, as `ingest` does: one that crashes or swells the decoder costs itself alone.
    """
    params = Ingest()
    fields = {name: kind for name, kind in modality(spec.modality).raw_fields(spec).items() if name}
    schema = pa.schema({"reason": pa.string(), "content": pa.string(), **fields})
    work = partial(admitted, source=source, name=spec.modality, params=params, schema=schema)

    def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
        return pa.Table.from_pylist([{"reason": reason}], schema)

    picked = pa.table({"path": pa.array(some(paths, SAMPLE), pa.string())})
    limits = Limits(modality(spec.modality).item_memory(params) + SPARE, params.max_seconds)
    with Guard(work, fault, limits) as guard:
        chunks = split(picked, [CHUNK_BYTES // TOGETHER] * picked.num_rows)
        parts = [part for _, found in guard.map([(None, chunks)]) for part in found]
    rows = pa.concat_tables(parts).to_pylist() if parts else []
    wrong = Counter(row["reason"] for row in rows if row["reason"])
    return [row for row in rows if not row["reason"]], wrong


def admitted(
    rows: Iterator[dict[str, Any]], *, source: Source, name: str, params: Ingest, schema: pa.Schema
) -> pa.Table:
    """Facts of the file of each row's `path`, or the `reason` why there are none; runs in a child."""
    found: list[dict[str, Any]] = []
    for row in rows:
        try:
            found.append(modality(name).admit(sources.read_bytes(source, row["path"]), params)[0])
        except sources.Unreadable as error:
            found.append({"reason": error.reason})
    return pa.table({name: [row.get(name) for row in found] for name in schema.names}, schema)


def _read(made: Proposal) -> tuple[list[str], Counter[Any], Counter[Any], list[str], list[str]]:
    """The first rows as the pipeline will have them: how many, their labels and splits, what they hold, what is wrong."""
    labels, splits, wrong = Counter[Any](), Counter[Any](), Counter[str]()
    problems: list[str] = []
    first, rows, ended = None, 0, True
    stream = sources.tables(made.source, made.inputs, ROWS, warn=problems.append)
    for batch in islice(stream, COUNTED // ROWS):
        first = batch.table if first is None else first
        labels.update(batch.table["label"].to_pylist())
        splits.update(batch.table["split"].to_pylist())
        wrong.update(batch.bad["reason"].to_pylist())
        rows += batch.table.num_rows + batch.bad.num_rows
        ended = batch.done >= batch.total and batch.table.num_rows < ROWS
    size = sources.listing(made.source, made.inputs)["size"].to_pylist()
    what = _unit(made)
    head = [f"{made.source.path}: {'' if ended else 'over '}{rows:,} {what}, {sum(size) / 1e6:,.1f} MB"]
    lines = [line for name, spec in made.inputs.items() for line in _described(name, spec, first)]
    problems = [p for p in problems if not any(p in line for line in made.lines)]
    return head, labels, splits, lines, [f"{n:,} of {rows:,} {what}: {why}" for why, n in wrong.items()] + problems


def _unit(made: Proposal) -> str:
    """What the rows of a table are."""
    if made.source.layout == "rows":
        return "windows" if made.source.window else "rows"
    return "baskets" if any(spec.modality == "basket" for spec in made.inputs.values()) else "series"


def _described(name: str, spec: Input, table: pa.Table | None) -> list[str]:
    if table is None or not table.num_rows:
        return []
    module = modality(spec.modality)
    admitted = module.admit_columns(table.select(list(dict.fromkeys(spec.columns))).slice(0, ROWS), spec, Ingest())
    wrong = Counter(r for r in admitted.reasons if r)
    shown = ", ".join(spec.columns[:6]) + (" ..." if len(spec.columns) > 6 else "")
    told = [f"{name:<8} {spec.modality} of {shown}: {module.describe(pa.table(admitted.columns))}"]
    return told + [f"{'':<8} {n:,} of {len(admitted.reasons):,} rows: {why}" for why, n in wrong.items()]
