"""JSON Lines: one object a line, its values as text (or as lists of numbers or of texts), broken lines set aside."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.table_file import (
    BLOCK,
    LONGEST_ROW,
    BadRow,
    Block,
    ReadOptions,
    TableFile,
    checked_names,
    line_of,
    packed_stream,
    places,
)  # fmt: skip

#: Lines at the start of the file that its columns are told from.
SAMPLE = 1000
#: What a column holds; of two that its values say the later.
PLAIN, NUMBERS, TEXTS = "", "numbers", "texts"
#: Numbers stay as they are written: 2**63 and 0.1 alike.
DECODE = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).decode


class _Broken(Exception):
    """A line that is no row; ``args`` are reason and detail."""


def open_lines(path: Path, options: ReadOptions) -> TableFile:
    """Columns as the first lines have them; a column whose value is a list there holds lists of numbers or texts.

    Raises:
        DeepmineError: none of the first lines is an object.
    """
    raw, stream = packed_stream(path)
    names: dict[str, str] = {}
    first = ""
    try:
        with raw:
            for line in islice(iter(partial(line_of, stream), None), SAMPLE):
                first = first or line[:100].strip().decode("utf-8", "replace")
                try:
                    found = _object(line)
                except _Broken:
                    continue
                for name, value in (found or {}).items():
                    names[name] = max(names.get(name, PLAIN), _kind(value))
    except (OSError, ValueError, EOFError) as error:
        raise DeepmineError(f"{path}: cannot be unpacked: {error}.") from None
    checked_names(path, list(names))
    if not names:
        what = "one JSON array" if first.startswith("[") else f"{first[:60]!r}"
        raise DeepmineError(f"{path}: no JSON Lines: it begins with {what}. Write one object a line.")

    def read(columns: Sequence[str]) -> Iterator[Block]:
        return _blocks(path, {name: names[name] for name in columns})

    return TableFile(path, tuple(names), read)


def _kind(value: Any) -> str:
    """What a column is of that holds ``value``."""
    if not isinstance(value, list):
        return PLAIN
    try:
        _numbers(value)
    except (TypeError, ValueError):
        return TEXTS
    return NUMBERS


def _numbers(value: list[Any]) -> list[float]:
    return [float("nan") if v is None else float(v) for v in value]


def _blocks(path: Path, columns: dict[str, str]) -> Iterator[Block]:
    total = path.stat().st_size
    raw, stream = packed_stream(path)
    of_lists = {name: kind for name, kind in columns.items() if kind != PLAIN}
    line = number = 0
    with raw:
        while lines := _some(path, line, stream):
            found: list[tuple[int, int, dict[str, Any]]] = []
            bad = []
            for text in lines:
                line += 1
                try:
                    row = _object(text)
                    if row is None:
                        continue
                    _check_lists(row, of_lists)
                    found.append((number, line, row))
                except _Broken as error:
                    bad.append(BadRow(number, f"{path.name}:{line}", *error.args))
                number += 1
            arrays = [_column([row.get(name) for _, _, row in found], kind) for name, kind in columns.items()]
            where = places(f"{path.name}:", np.array([at for _, at, _ in found], np.int64))
            numbers = np.array([n for n, _, _ in found], np.int64)
            yield Block(pa.table(arrays, names=list(columns)), numbers, where, bad, raw.tell(), total)


def _some(path: Path, before: int, stream: Any) -> list[bytes]:
    """The next lines, after ``before`` others; as many as half a block holds.

    Raises:
        DeepmineError: the file cannot be read on.
    """
    lines: list[bytes] = []
    size = 0
    try:
        while size <= BLOCK // 2 and (text := line_of(stream)) is not None:
            lines.append(text)
            size += len(text)
    except (OSError, ValueError, EOFError) as error:
        place = f"{path}:{before + len(lines) + 1}"
        raise DeepmineError(f"{place}: cannot be read from here on: {error}.") from None
    return lines


def _object(line: bytes) -> dict[str, Any] | None:
    """The object of a line, None for a blank one."""
    if len(line) > LONGEST_ROW:
        raise _Broken("line too long", f"over {LONGEST_ROW >> 20} MB")
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _Broken("invalid UTF-8", f"byte {error.start}") from None
    if not text:
        return None
    try:
        found = DECODE(text)
    except RecursionError:
        raise _Broken("broken JSON", f"nested too deep: {text[:60]!r}") from None
    except ValueError as error:
        raise _Broken("broken JSON", f"{error}: {text[:60]!r}") from None
    if not isinstance(found, dict):
        raise _Broken("broken JSON", f"no object: {text[:60]!r}")
    return found


def _check_lists(row: dict[str, Any], kinds: dict[str, str]) -> None:
    for name, kind in ((n, k) for n, k in kinds.items() if row.get(n) is not None):
        value = row[name]
        try:
            if not isinstance(value, list):
                raise TypeError
            row[name] = _numbers(value) if kind == NUMBERS else [None if v is None else _text(v) for v in value]
        except (TypeError, ValueError):
            raise _Broken("mixed types", f"'{name}' holds a list of {kind} elsewhere, here {value!r:.60}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text


def _column(values: list[Any], kind: str) -> pa.Array:
    if kind != PLAIN:
        return pa.array(values, pa.list_(pa.float64() if kind == NUMBERS else pa.string()))
    texts = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return pa.array([t and t.encode("utf-8", "replace").decode() for t in texts], pa.string())
