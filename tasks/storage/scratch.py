"""Finished shards outside the outputs: what a killed or repeated stage need not do again."""

import os
from pathlib import Path
from threading import get_ident

import pyarrow as pa

from tasks.core.files import file_sha256, no_half
from tasks.storage.store import write_shard


class Scratch:
    """Content-addressed shards outside the outputs: what a killed or repeated stage need not do again.

    A shard's key is the hash of all it was made from. Each file carries its own sha256 in its name and is
    checked before use; what a finished stage did not use is removed by `prune`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.used: set[str] = set()

    def find(self, key: str) -> tuple[Path, str] | None:
        """The finished shard of ``key`` and its sha256, if there is one and it is undamaged."""
        for path in sorted(self.folder.glob(f"{key}-*.parquet")):
            sha256 = path.stem.rpartition("-")[2]
            if file_sha256(path) == sha256:
                self.used.add(path.name)
                return path, sha256
            path.unlink(missing_ok=True)
        return None

    def put(self, key: str, table: pa.Table) -> tuple[Path, str]:
        """Write ``table`` as the shard of ``key``, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # two shards of equal content may be made by two threads at a time
        temporary = self.folder / f".{key}.{os.getpid()}.{get_ident()}"
        with no_half(temporary, self.folder):
            write_shard(temporary, table)
        sha256 = file_sha256(temporary)
        path = self.folder / f"{key}-{sha256}.parquet"
        os.replace(temporary, path)
        self.used.add(path.name)
        return path, sha256

    def prune(self) -> None:
        """Remove every shard that was neither found nor put since this object was made."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name not in self.used:
                    path.unlink()
