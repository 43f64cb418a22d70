"""The listing of a source as a file that carries its own digest: the items found, and the shard of each."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import fingerprint, write_atomically


def digest(table: pa.Table) -> str:
    """sha256 over the columns' names and values."""
    return fingerprint(table.column_names, [column.to_pylist() for column in table.columns])


def write_listing(path: Path, table: pa.Table) -> None:
    """Write ``table`` atomically, its digest in the schema's metadata."""
    buffer = pa.BufferOutputStream()
    named = table.replace_schema_metadata({"digest": digest(table)})
    pq.write_table(named, buffer, compression="zstd", write_page_checksum=True)
    write_atomically(path, buffer.getvalue().to_pybytes())


def read_listing(path: Path, expected: str | None = None) -> pa.Table:
    """The listing that `write_listing` wrote.

    Args:
        expected: digest of the listing that a plan was made of.

    Raises:
        Damaged: its rows are not those that were written, or not the ``expected`` ones.
        DeepmineError: it is not there.
    """
    if not path.is_file():
        raise DeepmineError(f"{path}: not there. Run the stage that makes it: deepmine run")
    try:
        # not read_table: that imports half a second of machinery, at each run
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        told = (table.schema.metadata or {})[b"digest"].decode()
        found = digest(table)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise Damaged(path, f"it cannot be read ({_first(error)})") from None
    if found != told:
        raise Damaged(path)
    if expected not in (None, found):
        raise Damaged(path, "it is another than its plan was made of")
    return table.replace_schema_metadata(None)


def _first(error: Any) -> str:
    return (str(error).splitlines() or [""])[0][:200]
