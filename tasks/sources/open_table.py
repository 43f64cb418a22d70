"""Open a table on disk, whatever its format."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import DeepmineError
from tasks.sources.base import Warn
from tasks.sources.readers import CODECS, READERS, format_of
from tasks.sources.table_file import ReadOptions, TableFile

if TYPE_CHECKING:
    from tasks.config.source import Source


def open_table(
    path: str | Path, source: "Source | None" = None, wanted: Sequence[str] = (), warn: Warn | None = None
) -> TableFile:
    """Look at a table without reading it whole (a text file is scanned once for its encoding).

    Args:
        source: its `delimiter`, `encoding` and `names` win over what is detected.
        wanted: columns it is expected to have, which helps to tell a header.
        warn: told what was found out that a person may not expect.

    Raises:
        DeepmineError: no file, no form that is known, empty, or broken at its start.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise DeepmineError(f"{path}: {error.strerror}. Check 'source' in params.yaml.") from None
    given = (source.delimiter, source.encoding, source.names) if source else (None, None, ())
    of_baskets = source is not None and source.layout == "baskets"
    found = _open(path, status.st_size, status.st_mtime_ns, ReadOptions(*given, tuple(wanted)), of_baskets)
    if warn:
        for note in found.notes:
            warn(f"{path}: {note}")
    return found


@lru_cache(8)
def _open(path: Path, size: int, changed: int, options: ReadOptions, of_baskets: bool) -> TableFile:
    reader = READERS.get(format_of(path))
    if reader is None or not path.is_file():
        raise DeepmineError(
            f"{path}: neither a folder nor a table of a known format ({', '.join(READERS)}; compressed with "
            f"{', '.join(CODECS)} after it). Rename it by what it holds, or convert it."
        )
    if size == 0:
        raise DeepmineError(f"{path}: an empty file.")
    if of_baskets:
        reader = "tasks.sources.baskets:open_baskets"
    module, _, function = reader.partition(":")
    made: Callable[[Path, ReadOptions], TableFile] = getattr(import_module(module), function)
    return made(path, options)
