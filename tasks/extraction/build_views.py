"""How views are made: shard by shard, by several threads, finished shards kept."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tasks.core.files import fingerprint, inside, read_json
from tasks.core.progress import Progress
from tasks.features.view import COLUMNS, vector_columns
from tasks.modalities import modality
from tasks.storage.names import STATE
from tasks.storage.scratch import Scratch
from tasks.storage.store import Shard, Writer, read_manifest, read_shard

Vectors = Any  # (N, D): an array or a scipy.sparse.csr_array
State = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """N rows.

    Attributes:
        items: of each input, (N, ...) as its modality has them.
        present: (N, I) which inputs each row has.
        columns: as they were cleaned, of each input whose raw view is made of these.
    """

    items: dict[str, np.ndarray]
    present: np.ndarray
    columns: dict[str, pa.ChunkedArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.present)


@dataclass(frozen=True)
class Group:
    """Views that are made together.

    Attributes:
        schemas: of the views' stores, by name.
        make: rows to one (N, D) float32 array for each schema; called from several threads.
        key: of all that decides the values, besides the shard.
    """

    schemas: dict[str, pa.Schema]
    make: Callable[[Rows], list[Vectors]]
    key: str


@dataclass(frozen=True)
class Made:
    """One shard of a group: where in the scratch its views are, and their tables unless they were kept from before."""

    files: list[tuple[Path, str]]
    tables: list[pa.Table] | None = None


def input_states(clean: Path) -> dict[str, State]:
    """What `clean` settled for each input."""
    states: dict[str, State] = read_json(clean / STATE)["inputs"]
    return states


def write_views(
    groups: list[Group], clean: Path, features: Path, scratch: Path, progress: Progress, workers: int
) -> list[int]:
    """Write the views of ``groups`` below ``features``, one shard for each of ``clean``; rows made for each group.

    ``workers`` shards are in work at a time, each in a thread of its own from reading to its file in ``scratch``.
    Hashes, compression, files and arithmetic let other threads run, so that no part waits for another.
    """
    manifest, states, cache = read_manifest(clean), input_states(clean), Scratch(scratch)
    writers = [
        [Writer(inside(features, view), schema, schema.metadata[b"fingerprint"].decode())
         for view, schema in group.schemas.items()]
        for group in groups
    ]  # fmt: skip
    done, fresh = 0, [0] * len(groups)
    progress.start()
    results = in_order(lambda shard: _make(groups, clean, shard, states, cache), manifest.shards, workers)
    for shard, made in zip(manifest.shards, results, strict=True):
        for i, part in enumerate(made):
            tables = part.tables or [None] * len(part.files)
            for writer, file, table in zip(writers[i], part.files, tables, strict=True):
                writer.link(file, table)
            fresh[i] += shard.rows if part.tables else 0
        done += shard.rows
        note = "" if any(part.tables for part in made) else "kept from before"
        progress(done, manifest.rows, "rows", note=note)
    for writer in (w for group in writers for w in group):
        writer.finish({"in": manifest.rows, "accepted": manifest.rows, "quarantined": {}})
    cache.prune()
    return fresh


def _make(groups: list[Group], clean: Path, shard: Shard, states: dict[str, State], cache: Scratch) -> list[Made]:
    """One shard of each group. It is read only where a group lacks it."""
    keys = [fingerprint(group.key, shard.sha256) for group in groups]
    found = [[cache.find(f"{key}.{view}") for view in group.schemas] for key, group in zip(keys, groups, strict=True)]
    kept = [Made([file for file in files if file]) for files in found]
    lacking = [i for i, files in enumerate(found) if not all(files)]
    if not lacking:
        return kept
    table = read_shard(clean, shard)
    rows, common = arrays(table, states), [table[c].combine_chunks() for c in COLUMNS]
    for i in lacking:
        schemas = groups[i].schemas
        tables = [
            pa.Table.from_arrays([*common, *vector_columns(values)], schema=schema)
            for values, schema in zip(groups[i].make(rows), schemas.values(), strict=True)
        ]
        files = [cache.put(f"{keys[i]}.{view}", made) for view, made in zip(schemas, tables, strict=True)]
        kept[i] = Made(files, tables)
    return kept


def arrays(table: pa.Table, states: dict[str, State]) -> Rows:
    """The items of a cleaned table, and which inputs each row has."""
    items = {name: modality(state["modality"]).array(table[name], state) for name, state in states.items()}
    present = [table[name].is_valid().to_numpy() for name in states]
    columns = {name: table[name] for name, state in states.items() if modality(state["modality"]).raw_kind == "sparse"}
    return Rows(items, np.stack(present, axis=1), columns)


def in_order(function: Callable[[Any], Any], values: Iterable[Any], workers: int) -> Iterator[Any]:
    """``function`` of each value, in order, made by ``workers`` threads; its errors are raised here.

    Operations of torch take one thread each: more would wait for each other, and for reading and writing, at the end
    of every layer.
    """
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    waiting: deque[Any] = deque()
    try:
        for value in values:
            if len(waiting) > workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(function, value))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
