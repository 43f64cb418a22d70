"""Sharded Parquet with a manifest: the only code that writes or reads a stage's data.

A store is a folder of Parquet shards and a `_manifest.json` that is written last, so a folder without one is
unfinished work. Page checksums are on: without them a flipped bit is read back in silence.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import file_sha256, inside, read_json, sync, write_json
from tasks.storage.row_digest import row_digests

#: With an underscore, so that pandas, Spark and DuckDB pass over it when they are given the folder.
MANIFEST = "_manifest.json"
FORMAT = 1
CHANGED = "missing, or its content is not what was written"
#: The name of a shard.
SHARD = re.compile(r"[0-9]{5,}\.parquet")


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a store."""

    name: str
    rows: int
    sha256: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a finished store says of itself; equal manifests mean equal bytes."""

    made_by: str
    schema: list[list[str]]
    metadata: dict[str, str]
    shards: list[Shard]
    rows: int
    row_digest: str
    counts: dict[str, Any]
    format: int = FORMAT


def vectors(column: pa.ChunkedArray, dtype: Any = np.float32) -> np.ndarray:
    """A fixed-size-list column as an (N, D) array."""
    width = column.type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate(parts) if parts else np.empty(0)
    return flat.astype(dtype, copy=False).reshape(-1, width)  # (N, D)


def vector_column(values: np.ndarray) -> pa.FixedSizeListArray:
    """An (N, D) array as a fixed-size-list column, the form that pandas, Polars and DuckDB read as lists."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def write_shard(path: Path, table: pa.Table) -> None:
    """One Parquet file: checksummed pages, zstd, no dictionary on binary or floats (larger, slower).

    Floats are written byte plane by byte plane: a quarter smaller and quicker, as their first bytes are much alike.
    """
    dictionary = [f.name for f in table.schema if pa.types.is_string(f.type)]
    floats = [f"{f.name}.list.element" for f in table.schema if pa.types.is_fixed_size_list(f.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        write_page_checksum=True,
        use_dictionary=dictionary,
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    )


@dataclass
class Writer:
    """Collects shards into a store folder; `finish` makes it one."""

    folder: Path
    schema: pa.Schema
    made_by: str
    shards: list[Shard] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)  # files that stand in the folder already and stay
    _digest: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.iterdir():
            if stale.is_file() and stale.name not in self.keep:
                stale.unlink()

    def add(self, table: pa.Table) -> None:
        """Append ``table`` as the next shard.

        Raises:
            ValueError: its columns or types are not the store's.
        """
        self._check(table.schema)
        path = self.folder / self._next()
        write_shard(path, table.replace_schema_metadata(self.schema.metadata))
        self._note(path.name, table, file_sha256(path))

    def link(self, scratch: tuple[Path, str], table: pa.Table | None = None) -> None:
        """Append a scratch shard as the next shard, by hard link where the file system allows."""
        source, sha256 = scratch
        path = self.folder / self._next()
        try:
            os.link(source, path)
        except OSError:
            path.write_bytes(source.read_bytes())
        table = pq.read_table(path, page_checksum_verification=True) if table is None else table
        self._check(table.schema)
        self._note(path.name, table, sha256)

    def finish(self, counts: dict[str, Any]) -> Manifest:
        """Write the manifest. ``counts`` has at least `in`, `accepted` and `quarantined` (reason -> rows).

        Raises:
            ValueError: rows are unaccounted for.
        """
        if counts["in"] != counts["accepted"] + sum(counts["quarantined"].values()):
            raise ValueError(f"rows unaccounted for in {self.folder}: {counts}")
        if not self.shards:
            self.add(self.schema.empty_table())  # so that a reader always finds the columns
        # the shards only now, as a scratch shard that the machine's death has cut short is known by its hash
        for shard in self.shards:
            sync(self.folder / shard.name)
        sync(self.folder)
        manifest = Manifest(
            made_by=self.made_by,
            schema=[[f.name, str(f.type)] for f in self.schema],
            metadata=_text(self.schema.metadata),
            shards=self.shards,
            rows=sum(s.rows for s in self.shards),
            row_digest=f"{self._digest:064x}",
            counts=counts,
        )
        write_json(self.folder / MANIFEST, {**vars(manifest), "shards": [vars(s) for s in self.shards]})
        return manifest

    def _next(self) -> str:
        return f"{len(self.shards):05d}.parquet"

    def _check(self, schema: pa.Schema) -> None:
        if not schema.equals(self.schema):
            raise ValueError(
                f"columns of the next shard of {self.folder} are not the store's:\n{schema}\n{self.schema}"
            )

    def _note(self, name: str, table: pa.Table, sha256: str) -> None:
        digest = row_digests(table)
        self._digest = (self._digest + digest) % 2**256
        size = (self.folder / name).stat().st_size
        self.shards.append(Shard(name, table.num_rows, sha256, f"{digest:064x}", size))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished store.

    Raises:
        DeepmineError: it is absent, damaged, or of a newer format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DeepmineError(f"{folder}: no finished data here. Run the stage that makes it: deepmine run")
    data = read_json(path)
    try:
        if data["format"] > FORMAT:
            raise DeepmineError(f"{path}: written by a newer deepmine (format {data['format']}). Update this one.")
        manifest = Manifest(**{**data, "shards": [Shard(**s) for s in data["shards"]]})
    except (KeyError, TypeError):
        raise Damaged(path, "no manifest") from None
    if not manifest.shards or any(not SHARD.fullmatch(shard.name) for shard in manifest.shards):
        raise Damaged(path, "it has no shards, or one with an invalid name")
    for shard in manifest.shards:  # of the manifest of another store they have other sizes
        if not (folder / shard.name).is_file() or (folder / shard.name).stat().st_size != shard.bytes:
            raise Damaged(folder / shard.name, CHANGED)
    return manifest


def read_shards(folder: Path, columns: Iterable[str] | None = None) -> Iterator[tuple[Shard, pa.Table]]:
    """Each shard of a store and its table, verified against the manifest.

    Raises:
        DeepmineError: a shard is missing or its content is not what was written.
    """
    names = None if columns is None else list(columns)
    for shard in read_manifest(folder).shards:
        yield shard, read_shard(folder, shard, names)


def read_shard(folder: Path, shard: Shard, columns: list[str] | None = None) -> pa.Table:
    """One shard of a store, verified.

    Raises:
        DeepmineError: as `read_shards`.
    """
    path = inside(folder, shard.name)
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise Damaged(path, CHANGED)
    # the bytes that were hashed: no page needs it again; on one core, as stages read several shards at a time
    return pq.read_table(pa.BufferReader(data), columns=columns, use_threads=False)


def read(folder: Path, columns: Iterable[str] | None = None) -> pa.Table:
    """A whole store as one table, verified.

    Raises:
        DeepmineError: as `read_shards`.
    """
    return pa.concat_tables(table for _, table in read_shards(folder, columns))


def _text(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in (metadata or {}).items()}
