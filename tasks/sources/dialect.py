"""How a CSV is written, found out from the file: encoding, delimiter, and whether it has a header."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasks.core.errors import DeepmineError, first_few
from tasks.sources.readers import format_of
from tasks.sources.table_file import checked_names, packed_stream, unique

DELIMITERS = {",": "','", ";": "';'", "\t": '"\\t" (a tab)', "|": "'|'"}
#: The start of the file that the delimiter and the header are told from.
SAMPLE_BYTES, SAMPLE_ROWS = 1 << 20, 500
MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
#: Bytes that are no character in cp1252, but are in latin-1.
UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
DATE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{2,4}|\d\d?:\d\d(:\d\d)?")
FILE = re.compile(r"[^\s]+\.[A-Za-z][A-Za-z0-9]{1,4}")
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*%?")


@dataclass(frozen=True)
class Dialect:
    """How to read a delimited file.

    Attributes:
        names: of its columns; of one without a header `c1`, `c2`, ... unless they were given.
        skip: rows (blank ones counted) before the first of data.
        line: on which that one stands, from 1.
        odd: there is an odd number of quotes, so that one may be unclosed.
        broken: the encoding is UTF-8, and some bytes are not.
        notes: what was detected that a person may not expect.
    """

    encoding: str
    delimiter: str
    names: tuple[str, ...]
    skip: int
    line: int
    odd: bool
    broken: bool
    notes: tuple[str, ...]


def detect(
    path: Path, delimiter: str | None, encoding: str | None, names: Sequence[str], wanted: Sequence[str]
) -> Dialect:
    """The dialect of a file; what is given wins.

    Raises:
        DeepmineError: header only, two columns of one name, rows of another width than the header, an unknown
            encoding, or a delimiter that does not part the rows where another would.
    """
    seen = _seen(path)
    settled, notes = _encoding(seen, encoding)
    rows, delimiter = _part(path, _start(seen, settled), delimiter)
    filled = [(i, row) for i, row in enumerate(rows) if row.cells]
    if not filled:
        raise DeepmineError(f"{path}: holds no rows, only blank lines.")
    first, rest = filled[0][1].cells, [row.cells for _, row in filled[1:]]
    own = [name.strip() or f"c{i + 1}" for i, name in enumerate(first)]
    header = list(names) == own if names else has_header(first, rest, wanted)
    found = tuple(names) or (unique(path, own) if header else tuple(f"c{i + 1}" for i in range(len(first))))
    checked_names(path, found)
    if header and not rest and not seen.more:
        raise DeepmineError(f"{path}: holds a header and no rows ({first_few(own)}).")
    if not header and not names:
        notes.append(f"no header: its columns are called {', '.join(found[:3])}" + (" ..." if len(found) > 3 else ""))
    _check_width(path, found, rest if header else [first, *rest], delimiter, bool(names))
    skip, line = (filled[0][0] + 1, filled[0][1].end + 1) if header else (0, 1)
    broken = settled == "utf-8" and seen.broken
    return Dialect(settled, delimiter, found, skip, line, seen.odd, broken, tuple(notes))


def beginning(path: Path, encoding: str | None) -> tuple[str, list[str], str]:
    """A text file's encoding (what is given wins), what to say of it, and its first lines.

    Raises:
        DeepmineError: an unknown encoding, or the file cannot be unpacked.
    """
    seen = _seen(path)
    settled, notes = _encoding(seen, encoding)
    return settled, notes, _start(seen, settled)


def _seen(path: Path) -> "_Seen":
    status = path.stat()
    return _scan(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class _Seen:
    """What all bytes of a file say.

    Attributes:
        head: the first of them; ``more`` follow.
        odd: the quotes are odd in number.
        foreign: of the characters beyond ASCII at least half are no UTF-8.
        undefined: some bytes are no cp1252.
        broken: some bytes are no UTF-8.
    """

    head: bytes
    more: bool
    odd: bool
    foreign: bool
    undefined: bool
    broken: bool


@lru_cache(8)
def _scan(path: Path, size: int, changed: int) -> _Seen:
    """Read once for each state of the file, however often it is opened.

    Raises:
        DeepmineError: it cannot be unpacked.
    """
    quotes = broken = whole = length = 0
    undefined = no_utf8 = False
    decoder, strict = (codecs.getincrementaldecoder("utf-8")(errors) for errors in ("replace", "strict"))
    raw, stream = packed_stream(path)
    try:
        with raw:
            head = chunk = stream.read(SAMPLE_BYTES)
            while chunk:
                length += len(chunk)
                quotes += chunk.count(b'"')
                text = decoder.decode(chunk)
                if not chunk.isascii():
                    bad = text.count("\ufffd") - chunk.count(b"\xef\xbf\xbd")
                    broken += bad
                    whole += len(text) - len(text.encode("ascii", "ignore")) - bad
                    undefined = undefined or UNDEFINED.search(chunk) is not None
                no_utf8 = no_utf8 or not _decodes(strict, chunk)
                chunk = stream.read(SAMPLE_BYTES)
    except (OSError, EOFError) as error:
        raise DeepmineError(f"{path}: cannot be unpacked: {error}.") from None
    no_utf8 = no_utf8 or not _decodes(strict, b"")
    return _Seen(head, length > len(head), bool(quotes % 2), broken > 0 and broken >= whole, undefined, no_utf8)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    """Whether the next bytes (none: the end) are text."""
    try:
        decoder.decode(chunk, not chunk)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(seen: _Seen, given: str | None) -> tuple[str, list[str]]:
    """Encoding and notes. A file is UTF-8 if most of its non-ASCII characters are; rows that are not go later.

    Raises:
        DeepmineError: ``given`` is no encoding.
    """
    try:
        found = codecs.lookup(given) if given else None
        if found is not None and not found._is_text_encoding:  # say base64
            raise LookupError
        given = found.name if found else None
    except LookupError:
        raise DeepmineError(f"source.encoding: '{given}' is no encoding. Known: utf-8, cp1252, utf-16, ...") from None
    encoding = given or _marked(seen.head)
    if encoding is None and seen.foreign:
        encoding = "latin-1" if seen.undefined else "cp1252"
        return encoding, [f"not UTF-8: read as {encoding} (source.encoding says otherwise)"]
    if encoding is None or encoding in ("utf-8", "utf-8-sig", "utf_8_sig"):
        return "utf-8", []
    return encoding, [] if given else [f"read as {encoding}"]


def _marked(head: bytes) -> str | None:
    """The encoding that a byte order mark, or the zeros of UTF-16 without one, tell."""
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    start = head[:4096]
    for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.4 * len(zeros):
            return name
    return None


@dataclass(frozen=True)
class _Row:
    cells: list[str]
    end: int  # the line that it ends on


def _start(seen: _Seen, encoding: str) -> str:
    """The first lines."""
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)("replace")
    text: str = decoder.decode(seen.head)
    # less the last line, which is cut somewhere
    return text[: text.rfind("\n") + 1] or text if seen.more else text


def _rows(text: str, delimiter: str) -> list[_Row]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found = []
    for cells in reader:
        found.append(_Row(cells, reader.line_num))
        if len(found) == SAMPLE_ROWS:
            break
    return found


def _fit(rows: list[_Row]) -> tuple[bool, float, int]:
    """How well a delimiter parts the rows: first row like the most, their share, their cells. Higher is better."""
    counts = [len(row.cells) for row in rows if row.cells]
    if not counts:
        return False, 0.0, 1
    usual, times = Counter(counts).most_common(1)[0]
    return usual > 1 and counts[0] == usual, times / len(counts) if usual > 1 else 0.0, usual


def usual_delimiter(path: Path) -> str:
    """What parts cells where the rows do not say it, by the name of the file."""
    return "\t" if format_of(path) in (".tsv", ".tab") else ","


def _part(path: Path, text: str, given: str | None) -> tuple[list[_Row], str]:
    if given is not None and (len(given) != 1 or not given.isascii() or given in '"\r\n'):
        raise DeepmineError(f"source.delimiter: {given!r} is not one ASCII character that could part cells.")
    tried = {d: _rows(text, d) for d in DELIMITERS}
    best = max(tried, key=lambda d: _fit(tried[d]))
    if _fit(tried[best])[2] == 1:
        best = usual_delimiter(path)
    if given is None:
        return tried[best], best
    rows = tried[given] if given in tried else _rows(text, given)
    right, share, usual = _fit(tried[best])
    if _fit(rows)[2] == 1 and right and share > 0.9:
        raise DeepmineError(
            f"{path}: with the delimiter {given!r} every row is one cell; with {DELIMITERS[best]} there are {usual}. "
            f"Set source.delimiter to {DELIMITERS[best]}, or leave it out."
        )
    return rows, given


def _check_width(path: Path, names: Sequence[str], rows: list[list[str]], delimiter: str, given: bool) -> None:
    """Refuse a header that fits none of the rows; single ones are set aside as they come."""
    counts = Counter(len(row) for row in rows)
    if rows and len(names) not in counts:
        usual = counts.most_common(1)[0][0]
        what = "source.names has" if given else "its header has"
        raise DeepmineError(
            f"{path}: {what} {len(names)} names ({first_few(names)}), but its rows have {usual} cells between "
            f"{DELIMITERS.get(delimiter, repr(delimiter))}. Add what is missing, or set source.delimiter."
        )


def has_header(first: list[str], rest: list[list[str]], wanted: Sequence[str] = ()) -> bool:
    """Whether a table's first row names its columns: it is unlike what stands below it."""
    names = {cell.strip() for cell in first}
    if names & set(wanted) or (not rest and not any(NUMBER.fullmatch(cell) for cell in first)):
        return True
    if {f"c{i + 1}" for i in range(len(first))} & set(wanted):
        return False
    votes = 0
    for i, cell in enumerate(first):
        below = [row[i] for row in rest if i < len(row) and row[i]]
        votes += _vote(cell, below)
    return votes >= 0


def _vote(cell: str, below: list[str]) -> int:
    """Above 0: ``cell`` looks like the name of what is ``below`` it; below 0: like one more of them."""
    if not cell or NUMBER.fullmatch(cell):
        return -1 if cell else 0
    if not below:
        return 0
    for form in (NUMBER, DATE, FILE):
        if sum(bool(form.fullmatch(text)) for text in below) > 0.9 * len(below):
            return -1 if form.fullmatch(cell) else 1
    if cell in below:
        return -2
    repeated = len(set(below)) <= 0.5 * len(below)
    longer = sum(map(len, below)) > 3 * len(cell) * len(below)
    return 1 if repeated or longer else 0
