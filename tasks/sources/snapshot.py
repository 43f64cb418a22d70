"""What a source's files looked like when they were last listed and read, so that a change is seen and a touch is none.

Size and time alone do not tell: a file can be replaced and its time put back, and a copied folder has new times over
equal contents. So each file that was read is remembered with its change time, inode and the sha256 of its bytes. As
long as these are as they were, nothing is read (60,000 files in a fraction of a second). Where one differs the file
is hashed, and only other bytes make it another one:

    equal bytes    it keeps the size, time and hash that it was listed with, and nothing runs again
    other bytes    it is listed with its new time and the hash of its bytes, and is read again

The snapshot lies beside the listing and is a cache of this machine: without it files are known by size and time, as
the listing has them, until they are read again. What it cannot see: bytes that change on the disk while no time does,
and a file that was replaced with its old time before it was ever read here (its results came from DVC's cache).
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.files import write_atomically
from tasks.sources.base import ABSENT, State, table_of
from tasks.sources.files import Listed

#: One row a file: its state, the sha256 of its bytes if they were ever read, and the time and hash that it is listed
#: with. `\0table` and `\0join` stand for the source's tables, as no file can be called so.
SNAPSHOT = pa.schema(
    [
        ("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()), ("ctime_ns", pa.int64()),
        ("inode", pa.int64()), ("sha256", pa.string()), ("listed_ns", pa.int64()), ("listed_sha256", pa.string()),
    ]
)  # fmt: skip
STATE = ("path", *State._fields)
TABLES = ("\0table", "\0join")

Hash = Callable[[str], str]


def beside(listing: Path) -> Path:
    """Where the snapshot of a listing lies."""
    return listing.with_suffix(".files.parquet")


def load(path: Path) -> pa.Table:
    """The snapshot at ``path``; empty where there is none, or a damaged one."""
    try:
        # not read_table: that imports half a second of machinery, at each run
        found = pq.ParquetFile(path, page_checksum_verification=True).read()
    except (OSError, ValueError, pa.ArrowException):
        return SNAPSHOT.empty_table()
    return found if found.schema.equals(SNAPSHOT) else SNAPSHOT.empty_table()


def save(path: Path, snapshot: pa.Table) -> None:
    """Write ``snapshot`` atomically."""
    buffer = pa.BufferOutputStream()
    pq.write_table(snapshot, buffer, compression="zstd", write_page_checksum=True)
    write_atomically(path, buffer.getvalue().to_pybytes())


def settle(now: pa.Table, known: pa.Table, sha256_of: Hash) -> pa.Table:
    """The snapshot of files as they are ``now`` (`STATE`), by what is ``known`` of them.

    Args:
        sha256_of: hash of a file's bytes; asked for those that were read before and are not as they were.

    Returns:
        ``known`` itself where nothing changed.
    """
    if now.equals(known.select(STATE)):
        return known
    before = {row[0]: row for row in zip(*(c.to_pylist() for c in known.columns), strict=True)}
    rows = []
    for path, *numbers in zip(*(c.to_pylist() for c in now.columns), strict=True):
        is_now, old = State(*numbers), before.get(path)
        if old is None:
            rows.append((path, *is_now, None, is_now.mtime_ns, None))
            continue
        was, sha256, listed = State(*old[1:5]), old[5], old[6:]
        if is_now != was and sha256 is None:
            listed = (is_now.mtime_ns, None)
        elif is_now not in (was, ABSENT):
            found = sha256_of(path)
            listed = listed if found == sha256 else (is_now.mtime_ns, found)
            sha256 = found
        rows.append((path, *is_now, sha256, *listed))
    return table_of(dict(zip(SNAPSHOT.names, zip(*rows, strict=True) if rows else [()] * 8, strict=True)), SNAPSHOT)


def versions(snapshot: pa.Table) -> dict[str, tuple[int, int, str | None]]:
    """By path: the size, time and hash that a file is listed with; -1, 0 and None where it is absent."""
    names = ("path", "size", "listed_ns", "listed_sha256")
    rows = zip(*(snapshot[name].to_pylist() for name in names), strict=True)
    return {path: (size, time, sha256) if size >= 0 else (-1, 0, None) for path, size, time, sha256 in rows}


def listed(snapshot: pa.Table) -> dict[str, Listed]:
    """By path: what `files.read_listed` compares with."""
    rows = zip(*(snapshot[name].to_pylist() for name in (*STATE, "sha256")), strict=True)
    return {path: Listed(State(*numbers), sha256) for path, *numbers, sha256 in rows}


def with_read(snapshot: pa.Table, read: pa.Table, again: set[str]) -> pa.Table:
    """``snapshot`` with the sha256 of files that were ``read`` (`STATE` and `sha256`).

    Args:
        again: the paths among them that were read in this run: their state as well.
    """
    found = {row[0]: row for row in zip(*(read[c].to_pylist() for c in (*STATE, "sha256")), strict=True)}
    rows = []
    for row in zip(*(c.to_pylist() for c in snapshot.columns), strict=True):
        new = found.get(row[0])
        if new is not None:
            row = (*(new[:5] if row[0] in again else row[:5]), new[5], *row[6:])
        rows.append(row)
    columns = zip(*rows, strict=True) if rows else [()] * len(SNAPSHOT)
    made = table_of(dict(zip(SNAPSHOT.names, columns, strict=True)), SNAPSHOT)
    return snapshot if made.equals(snapshot) else made


def are_as_read(read: pa.Table, now: dict[str, Listed], sha256_of: Hash) -> bool:
    """Whether files hold at this moment what was ``read`` of them once (`STATE` and `sha256`); hashes the doubtful."""
    for path, *numbers, sha256 in zip(*(read[c].to_pylist() for c in (*STATE, "sha256")), strict=True):
        entry = now.get(path)
        if entry is None or entry.state == State(*numbers):
            continue
        if (entry.sha256 or sha256_of(path)) != sha256:
            return False
    return True
