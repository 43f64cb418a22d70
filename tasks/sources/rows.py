"""The rows of a table as the pipeline needs them: an id, a place, a split, a label, a group, the inputs' columns."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError, nearest
from tasks.sources.base import TIME, Warn, named_splits, uses_files
from tasks.sources.folders import compiled, own_id
from tasks.sources.joins import Faults, Joined, open_join, text
from tasks.sources.open_table import open_table
from tasks.sources.table_file import Block, TableFile
from tasks.sources.timestamps import Clock, cuts, splits

if TYPE_CHECKING:
    from tasks.config.source import Input, Source

COMMON = ("id", "source", "label", "split", "group")
BAD = pa.schema([(name, pa.string()) for name in ("id", "source", "label", "split", "reason", "detail")])


@dataclass(frozen=True)
class Layout:
    """Where everything stands: ``keys`` names the columns of id, label, split, group and time, where there are any."""

    source: "Source"
    file: TableFile
    joined: Joined | None
    keys: dict[str, str]
    columns: tuple[str, ...]
    path: str | None  # the column of paths, where rows are files

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Block, Faults]]:
        """Blocks of the named columns, whichever table they are in, and the rows that the join leaves out."""
        own = [name for name in columns if name in self.file.names]
        if self.joined is None:
            yield from ((block, {}) for block in self.file.read(own))
            return
        on = self.joined.join.on
        self.joined.used[:] = False
        other = [name for name in columns if name not in own]
        for block in self.file.read(own if on in own else [*own, on]):
            table, faults = self.joined.add(block.table, other)
            yield Block(table, block.numbers, block.places, block.bad, block.done, block.total), faults


@dataclass(frozen=True)
class Part:
    """Rows that can be used (`COMMON` and the inputs' columns) and those that cannot (`BAD`), each with its number."""

    table: pa.Table
    numbers: np.ndarray
    bad: pa.Table
    bad_numbers: np.ndarray
    done: int
    total: int


def layout(source: "Source", inputs: "dict[str, Input]", warn: Warn | None = None) -> Layout:
    """Open the table (and the one that is joined) and find every column that is asked for.

    Raises:
        DeepmineError: a column is not there, stands in both tables, or would collide with one of ours.
    """
    keys = {key: name for key in ("id", "split", "group") if (name := getattr(source, key))}
    keys |= {"time": source.time} if source.time else {}
    columns = tuple(dict.fromkeys(name for spec in inputs.values() for name in spec.columns))
    wanted = tuple(dict.fromkeys([*keys.values(), source.label, *columns]))
    file = open_table(source.path, source, wanted, warn)
    joined = open_join(source.join, warn) if source.join else None
    names = [*file.names, *(joined.table.column_names if joined else ())]
    said = compiled(source.pattern).groupindex if source.pattern else {}
    forecast = source.window is not None and source.window.horizon > 0
    if source.label and "label" not in said and not forecast:
        # unlabelled data has no such column; a misspelt one would be unlabelled by mistake
        close = "Did you mean" in nearest(source.label, names)
        if source.label in names or source.label != "label" or close:
            keys["label"] = source.label
    paths = [spec.columns[0] for spec in inputs.values() if uses_files(source, spec)]
    made = Layout(source, file, joined, keys, columns, paths[0] if paths else None)
    _check(made, inputs)
    return made


def _check(made: Layout, inputs: "dict[str, Input]") -> None:
    path, known = made.file.path, set(made.file.names)
    other = set(made.joined.table.column_names) if made.joined else set()
    asked = {name: key for key, name in made.keys.items()}
    asked |= {name: f"input '{key}'" for key, spec in inputs.items() for name in spec.columns}
    if made.joined:
        asked[made.joined.join.on] = "key to join on"
    for name, what in asked.items():
        if name not in known | other or (what == "key to join on" and name not in known):
            key = what if " " not in what else "columns"
            raise DeepmineError(
                f"{path}: no column '{name}' (the {what}).{nearest(name, known | other)} "
                f"Name it in params.yaml: source: {{path: ..., {key}: COLUMN}}"
            )
        if name in known & other and what != "key to join on":
            raise DeepmineError(f"{path}: the column '{name}' stands in the joined table too. Rename one of them.")
    if made.keys.get("label") in made.columns:
        raise DeepmineError(f"{path}: the label '{made.keys['label']}' is among the columns of an input. Take it out.")
    ours = {*COMMON, *(("size", "mtime_ns", "path") if made.path else ())} - {made.path}
    for name in made.columns:
        if name in ours and made.keys.get(name) != name:
            raise DeepmineError(f"{path}: deepmine has a column '{name}' of its own. Rename the one in the table.")
    if made.source.split and made.source.split_by == "time":
        raise DeepmineError(f"{path}: source.split and source.split_by: time exclude each other. Take one out.")
    if made.source.split_by == "time" and "time" not in made.keys:
        raise DeepmineError(f"{path}: split_by: time needs source.time, the column that holds it.")
    if made.source.pattern and not made.path:
        raise DeepmineError(f"{path}: source.pattern is for the names of files; this table lists none.")


def rows(made: Layout, shares: tuple[float, float], warn: Warn | None = None, alone: bool = False) -> Iterator[Part]:
    """The table's rows in order, some thousand at a time.

    Args:
        shares: of val and test, for a split by time.
        alone: a row without a path is no row.

    Raises:
        DeepmineError: a split that is none, or a time that cannot be told.
    """
    source, keys = made.source, made.keys
    by_time = source.split_by == "time"
    cut, clock = (np.inf, np.inf), Clock(keys["time"]) if "time" in keys else None
    if by_time:
        cut, clock = _cut(made, shares)
    needed = set(keys.values())
    seen, names = Seen(), _Names()
    for block, faults in made.read([*made.columns, *sorted(needed - set(made.columns))]):
        table, count = block.table, block.table.num_rows
        none = pa.nulls(count, pa.string())
        own = {key: text(table[name], name) for key, name in keys.items() if key in ("id", "label", "split", "group")}
        ids = _ids(made, block, own, alone, faults, names)
        again = {int(i) for i in seen.again(ids)} if made.path is not None or "id" in own else set()
        for i in again:
            faults.setdefault(i, ("duplicate id", f"{ids[i].as_py()!r} stands above too"))
        split = named_splits(own["split"], block.places) if "split" in own else none
        if clock is not None:
            times = clock(table[keys["time"]]) if count else np.zeros(0)
        if clock is not None and by_time:
            for row in np.flatnonzero(np.isnan(times)).tolist():
                faults.setdefault(row, ("no time", f"column '{keys['time']}'"))
            split = pa.array(splits(times, cut), pa.string())
        common = [ids, block.places, own.get("label", none), split, own.get("group", none)]
        # a column that is both (say the group, and an input's) stands once
        rest = [name for name in made.columns if name not in COMMON]
        full = pa.table([*common, *(table[name] for name in rest)], names=[*COMMON, *rest])
        if clock is not None:
            full = full.append_column(TIME, pa.array(times, pa.float64(), from_pandas=True))
        yield _part(full, block, faults, again)


class _Names:
    """Ids of paths: composed (NFC), so that a file has one id on every system."""

    def __init__(self) -> None:
        self.written: dict[str, str] = {}  # by composed name: the first path that is written so, of those beyond ASCII

    def __call__(self, path: str) -> str:
        """The id of ``path``; where it differs from one above in its normalisation alone, with a hash of its own."""
        name = unicodedata.normalize("NFC", path)
        if name.isascii() or self.written.setdefault(name, path) == path:
            return name
        return own_id(name, path)


def _ids(
    made: Layout, block: Block, own: dict[str, pa.ChunkedArray], alone: bool, faults: Faults, names: _Names
) -> pa.ChunkedArray | pa.Array:
    """Each row's id: its own, else its path, else its number; null where it has none."""
    if made.path is not None:
        paths = text(block.table[made.path], made.path)
        if alone:
            for i in np.flatnonzero(_empty(paths)):
                faults[int(i)] = ("path missing", f"column '{made.path}'")
        if "id" not in own:
            written = [os.path.normpath(p) if p else None for p in paths.to_pylist()]
            return pc.coalesce(pa.array([p and names(p) for p in written], pa.string()), block.places)
    if "id" in own:
        for i in np.flatnonzero(_empty(own["id"])):
            faults[int(i)] = ("id missing", f"column '{made.keys['id']}'")
        return own["id"]
    return numbered(block.numbers)


def numbered(numbers: np.ndarray) -> pa.Array:
    """Ids that sort as the numbers do."""
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 9, "0")


def _empty(texts: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.equal(texts, ""), True).to_numpy(zero_copy_only=False)


def _cut(made: Layout, shares: tuple[float, float]) -> tuple[tuple[float, float], Clock]:
    """The times that part train, val and test, from one pass over that column alone."""
    name = made.keys["time"]
    clock = Clock(name)
    times = [clock(block.table[name]) for block, _ in made.read([name]) if block.table.num_rows]
    return cuts(np.concatenate(times) if times else np.zeros(0), shares), clock


def _part(full: pa.Table, block: Block, faults: Faults, again: set[int]) -> Part:
    """Good and bad rows apart. A bad one without an id, or with one that is taken (``again``), is called by its place."""
    bad = [(row.number, (row.place, row.place, None, None, row.reason, row.detail)) for row in block.bad]
    numbers = block.numbers
    if faults:
        where = sorted(faults)
        lost = full.take(where).select(COMMON).to_pylist()
        for i, row in zip(where, lost, strict=True):
            reason, detail = faults[i]
            name = row["source"] if i in again or not row["id"] else row["id"]
            bad.append((int(numbers[i]), (name, row["source"], row["label"], row["split"], reason, detail)))
        keep = np.ones(len(numbers), bool)
        keep[where] = False
        full, numbers = full.filter(pa.array(keep)), numbers[keep]
    bad.sort(key=lambda entry: entry[0])
    return Part(full, numbers, bad_rows([row for _, row in bad]), np.array([n for n, _ in bad], np.int64),
                block.done, block.total)  # fmt: skip


def bad_rows(found: Sequence[tuple[str | None, ...]]) -> pa.Table:
    """Rows with the fields of `BAD` as a table."""
    columns = list(zip(*found, strict=True)) if found else [()] * len(BAD)
    return pa.table([pa.array(list(values), pa.string()) for values in columns], schema=BAD)


class Seen:
    """Which texts have come before: 64-bit hashes in a few sorted arrays, 8 bytes each.

    At 5 million texts one in a million such tables has two that share a hash.
    """

    def __init__(self) -> None:
        self.runs: list[np.ndarray] = []

    def again(self, texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """The places of those (not null) that have come before or stand above among them; notes the others."""
        from pandas.util import hash_array

        there = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
        values = texts.drop_null().to_numpy(zero_copy_only=False)
        if not len(values):
            return there
        hashes = hash_array(values.astype(object), categorize=False)
        order = np.argsort(hashes, kind="stable")
        ranked = hashes[order]
        same = np.concatenate([[False], ranked[1:] == ranked[:-1]])
        again = same.copy()
        for run in self.runs:
            again |= run[np.minimum(np.searchsorted(run, ranked), len(run) - 1)] == ranked
        self.runs.append(ranked[~same])
        while len(self.runs) > 1 and len(self.runs[-2]) <= 2 * len(self.runs[-1]):
            last = self.runs.pop()
            self.runs[-1] = np.sort(np.concatenate([self.runs[-1], last]), kind="stable")
        return there[np.sort(order[again])]
