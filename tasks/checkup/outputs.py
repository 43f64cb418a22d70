"""Outputs of stages against the hashes that they carry themselves."""

from collections.abc import Iterator
from pathlib import Path

from tasks.checkup import Hashes
from tasks.core.errors import Damaged
from tasks.core.files import FILES, decode
from tasks.sources.listing_file import read_listing
from tasks.storage.store import CHANGED, MANIFEST


def faults(output: Path, hashes: Hashes) -> Iterator[tuple[Path, str]]:
    """Each file of a stage's output (a folder or a file) that is not what was written, and why.

    What has no hash inside and is named with its hash nowhere (pages, pictures) is not looked at.
    """
    files = [output] if output.is_file() else sorted(p for p in output.rglob("*") if p.is_file())
    for path in files:
        try:
            yield from _file(path, hashes)
        except Damaged as error:
            yield path, error.why
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}"


def _file(path: Path, hashes: Hashes) -> Iterator[tuple[Path, str]]:
    if path.name.endswith(".listing.parquet"):
        read_listing(path)
    elif path.suffix == ".json" and "quality" not in path.parts:
        value = decode(path.read_bytes(), path)
        if path.name != MANIFEST:
            yield from _compared(path.parent, value.get(FILES, {}), hashes)
            return
        try:
            shards = {shard["name"]: shard["sha256"] for shard in value["shards"]}
        except (KeyError, TypeError):
            raise Damaged(path, "no manifest") from None
        yield from _compared(path.parent, shards, hashes)
        for other in sorted(p for p in path.parent.glob("*.parquet") if p.name not in shards):
            yield other, "it is no shard of its store"


def _compared(folder: Path, named: dict[str, str], hashes: Hashes) -> Iterator[tuple[Path, str]]:
    for name, sha256 in named.items():
        path = folder / name
        if not path.is_file() or hashes.sha256(path) != sha256:
            yield path, CHANGED
