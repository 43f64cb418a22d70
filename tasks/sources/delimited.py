"""CSV, TSV and their kin in blocks: every cell as text, every row with its line, broken rows set aside."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.sources.dialect import Dialect, detect
from tasks.sources.table_file import (
    BLOCK,
    LONGEST_ROW,
    BadRow,
    Block,
    ReadOptions,
    TableFile,
    line_of,
    packed_stream,
    places,
)  # fmt: skip

#: What to say of a row that no block holds.
TOO_LONG = f"a row is longer than {LONGEST_ROW >> 20} MB"


def open_delimited(path: Path, options: ReadOptions) -> TableFile:
    """A delimited file whose dialect is settled and whose quotes are closed.

    Raises:
        DeepmineError: see `detect`, or a quote that nothing closes.
    """
    dialect = detect(path, options.delimiter, options.encoding, options.names, options.wanted)
    if dialect.odd:
        check_quotes(path, dialect)
    settled: dict[str, Any] = {"delimiter": dialect.delimiter} if dialect.delimiter != "," else {}
    settled |= {"encoding": dialect.encoding} if dialect.encoding != "utf-8" else {}
    settled |= {"names": dialect.names} if not dialect.skip else {}

    def read(columns: Sequence[str]) -> Iterator[Block]:
        return _Reader(path, dialect).read(columns)

    return TableFile(path, dialect.names, read, dialect.notes, tuple(settled.items()))


def check_quotes(path: Path, dialect: Dialect) -> None:
    """Follow the quotes through the whole file.

    Raises:
        DeepmineError: a quoted cell takes in other lines and then goes on after its closing quote, or never closes:
            its quote was left open.
    """
    raw, stream = packed_stream(path)
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    csv.field_size_limit(LONGEST_ROW)
    with raw:
        text = io.TextIOWrapper(stream, encoding, "replace", newline="")
        reader = csv.reader(_lines(path, text), delimiter=dialect.delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                if next(reader, None) is None:
                    return
            except csv.Error as error:
                if reader.line_num > line or "end of data" in str(error):
                    raise DeepmineError(
                        f'{path}:{line}: a quote is opened in this row and not closed. Close it, or double it ("") '
                        "where it is meant as a character."
                    ) from None


def _lines(path: Path, text: IO[str]) -> Iterator[str]:
    """Lines of text.

    Raises:
        DeepmineError: one is longer than a row may be, or the file cannot be unpacked.
    """
    number = 0
    try:
        while (line := line_of(text)) is not None:
            number += 1
            if len(line) > LONGEST_ROW:
                raise DeepmineError(f"{path}:{number}: {TOO_LONG}.")
            yield line
    except (OSError, EOFError) as error:
        raise DeepmineError(f"{path}:{number + 1}: cannot be read from here on: {error}.") from None


class _ReadAhead:
    """A stream that Arrow reads ahead in a thread of its own, which must be done with it before Python ends.

    A read that is still on when the interpreter ends kills the process.
    """

    closed = False  # for Arrow, which asks

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.lock, self.ended = stream, Lock(), False

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none any more after `close`."""
        with self.lock:
            return b"" if self.ended else self.stream.read(size)

    def close(self) -> None:
        """Wait for the read that is on, and let no other begin."""
        with self.lock:
            self.ended = True


class _Reader:
    """One pass over a file. Arrow parses; this keeps count of rows and lines, which Arrow does for bad ones alone."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path, self.dialect = path, dialect
        self.row, self.line = dialect.skip, dialect.line  # rows before, and the line that the next one stands on
        self.waiting: list[Any] = []  # bad rows, which come before the block that they stand in
        self.spans = False  # the last row takes in more than one line

    def read(self, columns: Sequence[str]) -> Iterator[Block]:
        raw, stream = packed_stream(self.path)
        total = self.path.stat().st_size
        with raw, closing(_ReadAhead(self._begun(stream))) as ahead:
            try:
                for batch in self._open(ahead):
                    yield self._block(batch, columns, raw.tell(), total)
            except pa.ArrowInvalid as error:
                check_quotes(self.path, self.dialect)
                far = "straddl" in str(error)
                raise DeepmineError(
                    f"{self.path}:{self.line}: {f'from here on {TOO_LONG}' if far else f'cannot be read: {error}'}."
                ) from None
            except (UnicodeDecodeError, OSError) as error:
                what = f"not {self.dialect.encoding}" if isinstance(error, UnicodeDecodeError) else "cannot be read"
                raise DeepmineError(f"{self.path}:{self.line}: {what} from here on: {error}.") from None
            if self.waiting:
                yield self._block(None, columns, total, total)
        if self.spans:
            check_quotes(self.path, self.dialect)

    def _begun(self, stream: Any) -> Any:
        if self.dialect.broken and stream.peek(3).startswith(codecs.BOM_UTF8):
            stream.read(3)
        return stream

    def _open(self, stream: Any) -> Any:
        from pyarrow import csv as arrow

        if self.dialect.broken:  # byte by byte, as Arrow loses bad rows that are no UTF-8
            stream = pa.transcoding_input_stream(pa.PythonFile(stream, mode="r"), "latin-1", "utf-8")
        elif self.dialect.encoding != "utf-8":
            stream = pa.transcoding_input_stream(pa.PythonFile(stream, mode="r"), self.dialect.encoding, "utf-8")
        names = list(self.dialect.names)
        return arrow.open_csv(
            stream,
            # rows are counted on one thread alone; more are no faster here
            arrow.ReadOptions(
                use_threads=False, block_size=BLOCK, column_names=names, skip_rows_after_names=self.dialect.skip
            ),
            arrow.ParseOptions(
                delimiter=self.dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False,
                invalid_row_handler=self._keep,
            ),
            arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), null_values=[""], strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip

    def _keep(self, row: Any) -> str:
        self.waiting.append(row)
        return "skip"

    def _block(self, batch: pa.RecordBatch | None, columns: Sequence[str], done: int, total: int) -> Block:
        table = pa.Table.from_batches([batch]) if batch is not None else None
        count = table.num_rows if table else 0
        # of the bad rows those that stand before the last good one; at the end all
        offsets = np.array([row.number - 1 - self.row for row in self.waiting], np.int64)
        inside = offsets - np.arange(len(offsets)) < count if table else np.ones(len(offsets), bool)
        bad, offsets, self.waiting = self.waiting[: inside.sum()], offsets[inside], self.waiting[inside.sum() :]
        good = np.delete(np.arange(count + len(bad)), offsets)
        extra = np.zeros(count + len(bad), np.int64)  # lines that a row takes beyond its first
        texts = [
            row.text.encode("latin-1").decode("utf-8", "replace") if self.dialect.broken else row.text for row in bad
        ]
        extra[offsets] = [_breaks(text) for text in texts]
        if table:
            extra[good] = _inner_lines(table)
        lines = self.line + np.arange(len(extra)) + np.cumsum(extra) - extra
        numbers = self.row - self.dialect.skip + np.arange(len(extra))
        self.row += len(extra)
        self.line += len(extra) + int(extra.sum())
        self.spans = bool(len(extra) and extra[-1])
        faulty = [
            BadRow(int(numbers[o]), f"{self.path.name}:{lines[o]}", "wrong number of cells",
                   f"{row.actual_columns} instead of {row.expected_columns}: {text[:100]!r}")
            for o, row, text in zip(offsets, bad, texts, strict=True)
        ]  # fmt: skip
        if table is None:
            table = pa.table({name: pa.array([], pa.string()) for name in columns})
        else:
            table, keep, invalid = self._texts(table, columns, numbers[good], lines[good])
            good = good[keep]
            faulty = sorted([*faulty, *invalid], key=lambda row: row.number)
        where = places(f"{self.path.name}:", lines[good])
        return Block(table, numbers[good], where, faulty, min(done, total), total)

    @cached_property
    def blank(self) -> set[int]:
        """Numbers of the lines that hold nothing, from a pass of its own."""
        raw, stream = packed_stream(self.path)
        with raw:
            text = io.TextIOWrapper(stream, self.dialect.encoding, "replace")
            return {i + 1 for i, line in enumerate(_lines(self.path, text)) if line in ("", "\n")}

    def _texts(
        self, table: pa.Table, columns: Sequence[str], numbers: np.ndarray, lines: np.ndarray
    ) -> tuple[pa.Table, np.ndarray, list[BadRow]]:
        """The columns asked for as text, less blank rows and those that are no UTF-8: which rows stay, which not."""
        keep = np.ones(table.num_rows, bool)
        if all(c.null_count for c in table.columns):
            empty = np.flatnonzero(np.logical_and.reduce([c.is_null().to_numpy() for c in table.columns]))
            for row in empty:  # a row of delimiters alone is one all the same
                keep[row] = lines[row] not in self.blank
        invalid: list[BadRow] = []
        texts = []
        for name in columns:
            if not self.dialect.broken:
                texts.append(table[name].cast(pa.string()))
                continue
            found, text = _decoded(table[name])
            texts.append(text)
            for i in (i for i in found if keep[i]):
                place = f"{self.path.name}:{lines[i]}"
                invalid.append(BadRow(int(numbers[i]), place, "invalid UTF-8", f"column '{name}', byte {found[i]}"))
                keep[i] = False
        result = pa.table(texts, names=list(columns)) if columns else table.select([])
        return result if keep.all() else result.filter(pa.array(keep)), keep, invalid


def _breaks(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _inner_lines(table: pa.Table) -> np.ndarray:
    """Line breaks within the cells of each row, (N,)."""
    total = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        for mark in (b"\n", b"\r"):
            if any(_holds(chunk, mark) for chunk in column.chunks):
                total += pc.fill_null(pc.count_substring(column, mark), 0).to_numpy()
                break
    return total


def _holds(chunk: pa.Array, mark: bytes) -> bool:
    data = chunk.buffers()[2]
    return data is not None and bool((np.frombuffer(data, np.uint8) == mark[0]).any())


def _decoded(column: pa.ChunkedArray) -> tuple[dict[int, int], pa.Array]:
    """The offset of the first byte that is no UTF-8, by row; and the column (each byte a character) with null there."""
    found: dict[int, int] = {}
    texts: list[str | None] = []
    for i, cell in enumerate(column.cast(pa.string()).to_pylist()):
        try:
            texts.append(cell.encode("latin-1").decode() if cell is not None else None)
        except UnicodeDecodeError as error:
            found[i] = error.start
            texts.append(None)
    return found, pa.array(texts, pa.string())
