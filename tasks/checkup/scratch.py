"""Scratch: finished shards that later runs would take, against the hash in their names."""

import re
from collections.abc import Iterator
from pathlib import Path

from tasks.checkup import Hashes
from tasks.checkup.outputs import faults
from tasks.storage.store import CHANGED

#: A finished shard: its key, and the sha256 of its bytes.
SHARD = re.compile(r".+-([0-9a-f]{64})\.parquet")


def scratch_faults(scratch: Path, hashes: Hashes) -> Iterator[tuple[Path, str]]:
    """What of ``scratch`` (`DATASET/STAGE/...`) is damaged: a shard, or a folder of unfinished work that holds some."""
    works = sorted(scratch.glob("*/crossvalidate/work/*"))
    for path in sorted(p for p in scratch.rglob("*.parquet") if not p.name.startswith(".")):
        named = SHARD.fullmatch(path.name)
        if named and hashes.sha256(path) != named[1]:
            yield path, CHANGED
    for work in works:
        for path, why in faults(work, hashes):
            yield work, f"{path.relative_to(work)}: {why}"
            break
