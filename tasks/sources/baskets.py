"""Files of market baskets: one a line, its goods between delimiters, as many as there are."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.dialect import DELIMITERS, SAMPLE_ROWS, beginning, usual_delimiter
from tasks.sources.readers import is_delimited
from tasks.sources.table_file import BadRow, Block, ReadOptions, TableFile, line_of, packed_stream, places

#: The one column that such a file has.
ITEMS = "items"
#: Lines of a block, and characters of them together above which a block ends.
LINES, CHARACTERS = 1 << 16, 1 << 22
#: Characters of a line; a longer one is no basket, and is not held in memory.
LONGEST = 1 << 20
#: What a sample must look like to be taken for baskets: lines of several cells, share of them with as many cells as
#: most have, share without a name twice, and share of cells whose name stands at another place of another line.
FEWEST, USUAL, SETS, WANDER = 5, 0.9, 0.95, 0.5


def open_baskets(path: Path, options: ReadOptions) -> TableFile:
    """A file of baskets as a table of one column of lists; rows are numbered by their lines, from 1.

    A blank line is no basket; one of delimiters alone is a basket without goods.

    Raises:
        DeepmineError: no text file, only blank lines, an unknown encoding, a delimiter of several characters, or
            names for columns that it has not.
    """
    delimiter = options.delimiter
    if not is_delimited(path):
        raise DeepmineError(f"{path}: source.layout: baskets reads text, one basket a line. Rename it .csv or .txt.")
    if options.names:
        raise DeepmineError(f"{path}: source.names: baskets have one column, '{ITEMS}'. Take source.names out.")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise DeepmineError(f"source.delimiter: {delimiter!r} is not one character that could part goods.")
    encoding, notes, start = beginning(path, options.encoding)
    if not start.strip():
        raise DeepmineError(
            f"{path}: holds no baskets, only blank lines. Write one a line, its goods parted by commas."
        )
    chosen = delimiter or parted_by(path, start)
    settled = {"delimiter": chosen} if chosen != "," else {}
    settled |= {"encoding": encoding} if encoding != "utf-8" else {}

    def read(columns: Sequence[str]) -> Iterator[Block]:
        return _blocks(path, chosen, encoding, columns)

    return TableFile(path, (ITEMS,), read, tuple(notes), tuple(settled.items()))


def parted_by(path: Path, start: str) -> str:
    """The delimiter that the most lines have; of equals the one that makes more cells."""
    lines = start.splitlines()[:SAMPLE_ROWS]

    def fit(mark: str) -> tuple[int, int]:
        cells = [_lenient(line, mark) for line in lines]
        return sum(len(c) > 1 for c in cells), sum(map(len, cells))

    best = max(DELIMITERS, key=fit)
    return best if fit(best)[0] else usual_delimiter(path)


def looks_like_baskets(path: Path) -> bool:
    """Whether the first lines are ragged sets of names that stand now here, now there, as columns' values never do."""
    if not is_delimited(path) or not path.is_file() or not path.stat().st_size:
        return False
    _, _, start = beginning(path, None)
    mark = parted_by(path, start)
    rows = [_unpadded(_lenient(line, mark)) for line in start.splitlines()[:SAMPLE_ROWS] if line.strip()]
    several = [row for row in rows if len(row) > 1]
    if len(several) < FEWEST:
        return False
    usual = Counter(map(len, rows)).most_common(1)[0][1] / len(rows)
    sets = sum(len(set(row)) == len(row) for row in several) / len(several)
    stands: dict[str, set[int]] = {}
    for row in rows:
        for place, name in enumerate(row):
            stands.setdefault(name, set()).add(place)
    wander = [len(stands[name]) > 1 for row in rows for name in row]
    below = {name for row in rows[1:] for name in row}
    header = len(rows[0]) > 1 and not below.intersection(rows[0])
    return usual < USUAL and sets >= SETS and sum(wander) >= WANDER * len(wander) and not header


def _lenient(line: str, mark: str) -> list[str]:
    """The cells of a line whose quotes may be broken, as it may be the last of a sample."""
    csv.field_size_limit(1 << 30)
    return next(csv.reader([line], delimiter=mark), [])


def _unpadded(cells: list[str]) -> list[str]:
    """Names of a basket, less the empty cells that some programs fill its line up with."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _blocks(path: Path, delimiter: str, encoding: str, columns: Sequence[str]) -> Iterator[Block]:
    """Each block as large as its lines allow: memory does not grow with the file.

    Raises:
        DeepmineError: a quote that its line does not close, or bytes that are no text in the file's encoding.
    """
    raw, stream = packed_stream(path)
    total, line = path.stat().st_size, 0
    coding = "utf-8-sig" if encoding == "utf-8" else encoding
    # bytes that are no UTF-8 are told line by line; of other encodings nobody knows where a line would end
    text = io.TextIOWrapper(stream, coding, "surrogateescape" if encoding == "utf-8" else "strict")
    with raw:
        try:
            while True:
                rows: list[list[str]] = []
                at: list[int] = []
                bad: list[BadRow] = []
                held = 0
                while len(rows) < LINES and held < CHARACTERS and (found := line_of(text, LONGEST)) is not None:
                    line, held = line + 1, held + len(found)
                    fault = _fault(found)
                    if fault:
                        bad.append(BadRow(line, f"{path.name}:{line}", *fault))
                    elif found.strip(" \r\n"):
                        rows.append(_cells(path, line, found, delimiter))
                        at.append(line)
                if not held:
                    return
                yield _block(path, columns, rows, at, bad, min(raw.tell(), total), total)
        except (UnicodeError, OSError) as error:
            what = f"not {encoding}" if isinstance(error, UnicodeError) else "cannot be read"
            raise DeepmineError(f"{path}:{line + 1}: {what} from here on: {error}.") from None


def _fault(line: str) -> tuple[str, str] | None:
    """Reason and detail of a line that is no basket."""
    if len(line) > LONGEST:
        return "line too long", f"over {LONGEST:,} characters"
    try:
        line.encode()
    except UnicodeEncodeError as error:
        return "invalid UTF-8", f"byte {len(line[: error.start].encode())}"
    return None


def _cells(path: Path, line: int, found: str, delimiter: str) -> list[str]:
    csv.field_size_limit(1 << 30)
    try:
        return next(csv.reader([found], delimiter=delimiter, strict=True))
    except csv.Error as error:
        open_ = "unexpected end" in str(error)
        what = "a quote is opened and not closed in this line" if open_ else f"a quote is out of place ({error})"
        raise DeepmineError(
            f'{path}:{line}: {what}. Close the quote, or double it ("") where it is meant as a character.'
        ) from None


def _block(
    path: Path, columns: Sequence[str], rows: list[list[str]], at: list[int], bad: list[BadRow], done: int, total: int
) -> Block:
    numbers = np.array(at, np.int64)
    lists = pa.array(rows, pa.list_(pa.string()))
    return Block(pa.table(dict.fromkeys(columns, lists)), numbers, places(f"{path.name}:", numbers), bad, done, total)
