"""What is read is what was listed: files and tables compared, and hiccups collected, while a source is ingested."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.core.text import many
from tasks.sources import snapshot
from tasks.sources.base import NotNow, State, paths_of, root_of, state_of
from tasks.sources.files import CHANGED, Listed, Read, read_listed
from tasks.sources.inventory import hashed

if TYPE_CHECKING:
    from tasks.config.source import Source

#: A file's state and sha256, as they travel to a child and back.
STATUS = pa.struct([(name, pa.int64()) for name in State._fields] + [("sha256", pa.string())])
#: What of a shard's files lies in the scratch beside its rows.
READ = pa.schema([(name, snapshot.SNAPSHOT.field(name).type) for name in (*snapshot.STATE, "sha256")])
#: Names in a message, and files that could not be read after which no more are tried.
SHOWN, ENOUGH = 5, 100


def read_as_listed(source: "Source", path: str, listed: dict[str, Any] | None) -> Read:
    """`read_listed` of what `Watch.expected` sent to a child."""
    known = None
    if listed is not None:
        *numbers, sha256 = (listed[field.name] for field in STATUS)
        known = Listed(State(*numbers), sha256)
    try:
        return read_listed(source, path, known)
    except NotNow as error:
        raise NotNow(error.reason, f"{path} ({error.detail})" if error.reason != CHANGED else error.detail) from None


def status(read: Read) -> dict[str, Any]:
    """What a child says of a file that it has read."""
    return {**read.state._asdict(), "sha256": read.sha256}


class Watch:
    """The files of one source as they were listed, and what was read of them.

    Args:
        tables: the rows come from the source's tables as they are read now, so these are compared too.
    """

    def __init__(self, source: "Source", listing: Path, tables: bool) -> None:
        self.source, self.path = source, snapshot.beside(listing)
        self.seen = snapshot.load(self.path)
        self.known = snapshot.listed(self.seen)
        self.reads: list[pa.Table] = []
        self.again: set[str] = set()
        self.away: dict[str, list[str]] = {}
        self.tables = dict(zip(snapshot.TABLES, paths_of(source), strict=False)) if tables else {}
        self.states = {key: self._table(key) for key in self.tables}

    def expected(self, paths: pa.ChunkedArray) -> pa.Array:
        """`STATUS` of each path, null where nothing is known."""
        found = (self.known.get(path) if path is not None else None for path in paths.to_pylist())
        return pa.array([k and {**k.state._asdict(), "sha256": k.sha256} for k in found], STATUS)

    def holds(self, read: pa.Table) -> bool:
        """Whether what was ``read`` (`READ`) for a shard once is what its files hold now."""
        return snapshot.are_as_read(read, self.known, lambda path: hashed(self.source, path))

    def read_of(self, paths: Sequence[pa.ChunkedArray], found: Sequence[pa.ChunkedArray]) -> pa.Table:
        """`READ` of a shard: the ``found`` `STATUS` of its ``paths``."""
        rows = {
            path: status
            for names, states in zip(paths, found, strict=True)
            for path, status in zip(names.to_pylist(), states.to_pylist(), strict=True)
            if status is not None
        }
        return pa.Table.from_pylist([{"path": path, **status} for path, status in rows.items()], READ)

    def hiccups(self, reasons: pa.ChunkedArray, details: pa.ChunkedArray) -> bool:
        """Note which files could not be read; whether there was any.

        Raises:
            DeepmineError: by now there are enough of them.
        """
        rows = zip(reasons.to_pylist(), details.to_pylist(), strict=True)
        found = [(reason, detail) for reason, detail in rows if reason is not None]
        for reason, detail in found:
            self.away.setdefault(reason, []).append(detail)
        if sum(map(len, self.away.values())) >= ENOUGH:
            self._stop()
        return bool(found)

    def note(self, read: pa.Table, again: bool) -> None:
        """Files whose rows go into the result: ``read`` (`READ`), in this run (``again``) or an earlier one."""
        self.reads.append(read)
        if again:
            self.again.update(read["path"].to_pylist())

    def finish(self) -> None:
        """Remember what was read.

        Raises:
            DeepmineError: a file could not be read, or is not what was listed; or a table has changed meanwhile.
        """
        if self.away:
            self._stop()
        for key, before in self.states.items():
            if state_of(self.tables[key]) != before:
                raise self._changed(self.tables[key], "while it was read")
            entry = self.known.get(key)
            if entry is not None:
                sha256 = entry.sha256 or hashed(self.source, key)
                self.note(pa.Table.from_pylist([{"path": key, **before._asdict(), "sha256": sha256}], READ), True)
        made = snapshot.with_read(self.seen, pa.concat_tables([READ.empty_table(), *self.reads]), self.again)
        if made is not self.seen:
            snapshot.save(self.path, made)

    def _table(self, key: str) -> State:
        path = self.tables[key]
        found, entry = state_of(path), self.known.get(key)
        if found.size < 0:
            raise DeepmineError(f"{path}: is not there now. Nothing was stored. Run again when it can be reached.")
        if entry is not None and entry.state != found:
            same = entry.state[:2] == found[:2] and (not entry.sha256 or hashed(self.source, key) == entry.sha256)
            if not same:
                raise self._changed(path, "since it was listed")
        return found

    def _changed(self, path: Path, when: str) -> DeepmineError:
        return DeepmineError(f"{path}: changed {when}. Nothing was stored. Run again, and it is read as it is then.")

    def _stop(self) -> None:
        home = root_of(self.source)
        said = []
        for reason, files in self.away.items():
            names = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")
            said.append(f"{home}: {many(len(files), 'file', 'files')} {reason}: {names}.")
        changed = set(self.away) == {CHANGED}
        said.append(
            "Nothing was stored of them. Run again, and they are read as they are then." if changed else
            "Nothing was stored of them. Run again when they can be read; a file that stays so has to be mended (its "
            "permissions, say) or taken out of the source."
        )  # fmt: skip
        raise DeepmineError(" ".join(said))
