"""What a source holds: a row of the listing for each item, or for each table of values."""

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.core.files import file_sha256
from tasks.sources.base import (
    EMBEDDED,
    LISTING,
    SHARES,
    TIME,
    NotNow,
    State,
    Warn,
    by_item,
    paths_of,
    root_of,
    state_of,
    table_of,
    uses_files,
)  # fmt: skip
from tasks.sources.files import embedded, sha256_of
from tasks.sources.folders import compiled, folder, said
from tasks.sources.rows import layout, rows
from tasks.sources.snapshot import SNAPSHOT, STATE, TABLES, settle, versions

if TYPE_CHECKING:
    from tasks.config.source import Input, Source

#: Size, time and hash of a row that cannot be used.
NOTHING = (-1, 0, None)


def listing(
    source: "Source", inputs: "dict[str, Input]", shares: tuple[float, float] = SHARES, warn: Warn | None = None
) -> pa.Table:
    """What the source holds, sorted by id, with the columns of `LISTING`; reads names, sizes and (of items) labels.

    One row an item: `path` relative to the root (null where the row lacks this file), `size` in bytes (-1: absent),
    `mtime_ns`, the `sha256` of files that changed (see `snapshot`), the source's own `label`, `split`, `group` or
    null, `reason` and `detail` of a row that cannot be used (its `path` is then its place), and its time as `.time`
    where one is named. Or, of tables of values, one row a file.

    Args:
        shares: of val and test, for a split by time.

    Raises:
        DeepmineError: the source is absent, empty, or no form that is known; or the file system gives no answer.
    """
    return scan(source, inputs, shares, warn)[0]


def scan(
    source: "Source", inputs: "dict[str, Input]", shares: tuple[float, float] = SHARES, warn: Warn | None = None,
    known: pa.Table | None = None,
) -> tuple[pa.Table, pa.Table]:  # fmt: skip
    """The `listing`, and the snapshot of its files (`snapshot.SNAPSHOT`), by what is ``known`` from the last one.

    Raises:
        DeepmineError: as `listing`; or a file that may have changed cannot be read at this moment.
    """
    path, known = Path(source.path), SNAPSHOT.empty_table() if known is None else known
    if source.path.startswith(EMBEDDED):
        found, seen = embedded(source.path), None
    elif path.is_dir():
        _check_folder(source, inputs)
        found, seen = folder(source), partial(hashed, source)
    elif not path.is_file():
        raise DeepmineError(f"{path}: no such file or folder. Check the path (in params.yaml: source).")
    elif by_item(source, inputs):
        return _items(source, inputs, shares, warn, known)
    else:
        return _whole_tables(source, known)
    if not found:
        raise DeepmineError(f"{path}: holds no items. Expected one folder per class with files inside.")
    names = ("id", "path", "label", "split", "group")
    *columns, states = zip(*found, strict=True)
    rows = dict(zip(names, columns, strict=True))
    rows |= dict(zip(State._fields, zip(*states, strict=True), strict=True))
    kinds = [(name, pa.string()) for name in names] + [(name, pa.int64()) for name in State._fields]
    table = table_of(rows, pa.schema(kinds)).sort_by("id")
    files = settle(table.select(STATE), known, seen) if seen else SNAPSHOT.empty_table()
    made = {name: table[name] for name in (*names, "size")}
    if seen:
        absent = pc.less(files["size"], 0)
        made["mtime_ns"] = pc.if_else(absent, 0, files["listed_ns"])
        made["sha256"] = pc.if_else(absent, pa.scalar(None, pa.string()), files["listed_sha256"])
    else:
        made["mtime_ns"] = table["mtime_ns"]
    nothing = pa.nulls(table.num_rows, pa.string())
    return pa.Table.from_arrays([made.get(f.name, nothing) for f in LISTING], schema=LISTING), files


def hashed(source: "Source", path: str) -> str:
    """sha256 of what a file, or one of the source's tables, holds.

    Raises:
        DeepmineError: it cannot be read at this moment.
    """
    try:
        if path in TABLES:
            return file_sha256(paths_of(source)[TABLES.index(path)])
        return sha256_of(source, path)
    except (NotNow, OSError) as error:
        where = paths_of(source)[TABLES.index(path)] if path in TABLES else Path(root_of(source)) / path
        why = error.detail if isinstance(error, NotNow) else error.strerror
        raise DeepmineError(
            f"{where}: may have changed, and cannot be read now: {why}. Nothing was decided about it. Run again when "
            "it can, or mend its permissions, or take it out of the source."
        ) from None


def _whole_tables(source: "Source", known: pa.Table) -> tuple[pa.Table, pa.Table]:
    """A row of the listing for each table."""
    files = settle(_states(source), known, partial(hashed, source))
    found = versions(files)
    rows = [(p.name, p.name, *found[key]) for key, p in zip(TABLES, paths_of(source), strict=False)]
    columns = zip(*rows, strict=True)
    names = ("id", "path", "size", "mtime_ns", "sha256")
    return table_of(dict(zip(names, columns, strict=True)), LISTING).sort_by("id"), files


def _states(source: "Source", more: "dict[str, State] | None" = None) -> pa.Table:
    """What the tables of a source, and ``more`` files, look like at this moment."""
    states = dict(zip(TABLES, map(state_of, paths_of(source)), strict=False)) | (more or {})
    columns = [tuple(states), *zip(*states.values(), strict=True)]
    return table_of(dict(zip(STATE, columns, strict=True)), pa.schema([SNAPSHOT.field(name) for name in STATE]))


def _check_folder(source: "Source", inputs: "dict[str, Input]") -> None:
    for name, spec in inputs.items():
        if not uses_files(source, spec) or spec.columns != ("path",):
            raise DeepmineError(
                f"{source.path}: a folder has files and no columns ({', '.join(spec.columns)}, of input '{name}'). "
                "List its files in a table with a column of paths, and take that as the source."
            )
    if source.join or source.split_by == "time":
        raise DeepmineError(f"{source.path}: join and split_by: time need a table. List the files in one.")


def _items(
    source: "Source", inputs: "dict[str, Input]", shares: tuple[float, float], warn: Warn | None, known: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """The listing of a table of paths, and the snapshot of its files."""
    made = layout(source, inputs, warn)
    root = Path(root_of(source))
    pattern = compiled(source.pattern) if source.pattern else None
    files = [spec.columns[0] for spec in inputs.values() if uses_files(source, spec)]
    found: list[tuple[Any, ...]] = []
    uses: list[list[str] | None] = []
    times: list[float | None] = []
    states: dict[str, State] = {}
    for part in rows(made, shares, warn, alone=len(inputs) == 1):
        columns = ["id", "label", "split", "group", *files]
        listed = part.table.select(list(dict.fromkeys(columns))).to_pylist()
        named = said(pattern, [row[files[0]] or "" for row in listed]) if pattern else [{}] * len(listed)
        for row, told in zip(listed, named, strict=True):
            own = {key: row[key] for key in ("label", "split", "group")}
            if row[files[0]]:
                own |= {key: value for key, value in told.items() if value}
            own_files = [str(row[name]) for name in files if row[name]]
            states |= {name: state_of(root / name) for name in own_files if name not in states and name not in TABLES}
            uses.append(own_files)
            found.append((row["id"], row[files[0]] or None, own["label"], own["split"], own["group"], None, None))
        times += part.table[TIME].to_pylist() if TIME in part.table.column_names else []
        times += [None] * part.bad.num_rows
        for row in part.bad.to_pylist():
            found.append((row["id"], row["source"], row["label"], row["split"], None, row["reason"], row["detail"]))
            uses.append(None)
    if not found:
        raise DeepmineError(f"{source.path}: holds no items.")
    snapshot = settle(_states(source, states), known, partial(hashed, source))
    # a row is read anew when a value of its table may have changed
    always = TABLES[: len(paths_of(source))] if len(inputs) > 1 else ()
    known_as = versions(snapshot)
    versions_ = [
        NOTHING if own is None else _together([known_as[name] for name in own], [known_as[t] for t in always])
        for own in uses
    ]
    names = ("id", "path", "label", "split", "group", "reason", "detail")
    columns_ = dict(zip(names, zip(*found, strict=True), strict=True))
    columns_ |= dict(zip(("size", "mtime_ns", "sha256"), zip(*versions_, strict=True), strict=True))
    table = table_of(columns_, LISTING)
    if "time" in made.keys:
        table = table.append_column(TIME, pa.array(times, pa.float64()))
    return table.sort_by("id"), snapshot


def _together(
    files: list[tuple[int, int, str | None]], tables: list[tuple[int, int, str | None]]
) -> tuple[int, int, str | None]:
    """Size, time and hash of a row of several files: their sum, the latest, and of the hashes one hash."""
    size = -1 if any(size < 0 for size, *_ in files) else sum(size for size, *_ in files)
    time = max((time for _, time, _ in [*files, *tables]), default=0)
    hashes = [sha256 or "" for *_, sha256 in [*files, *tables]]
    if len(hashes) < 2 or not any(hashes):
        return size, time, (hashes or [""])[0] or None
    return size, time, hashlib.sha256("\n".join(hashes).encode()).hexdigest()
