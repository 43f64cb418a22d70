"""Long tables of baskets: a row for each good of a basket, put together to one list for each id."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.joins import text
from tasks.sources.long_rows import by_id, codes_of
from tasks.sources.rows import Layout, Part
from tasks.sources.table_file import BadRow
from tasks.sources.time_steps import PIECE, parts_of, with_lists
from tasks.sources.timestamps import Clock

if TYPE_CHECKING:
    from tasks.config.source import Input, Source


def check_pairs(source: "Source", inputs: "dict[str, Input]") -> None:
    """Refuse what this layout cannot do.

    Raises:
        DeepmineError: an input beside the baskets, no id, or a window.
    """
    for name, spec in inputs.items():
        if spec.modality != "basket":
            raise DeepmineError(
                f"source.layout: long makes baskets here, but input '{name}' is {spec.modality}. Give it a table of "
                "its own."
            )
    if not source.id:
        raise DeepmineError("source.layout: long needs source.id, the column that says which basket a row belongs to.")
    if source.window:
        raise DeepmineError("source.window cuts a series; baskets have none. Take it out.")


@dataclass(frozen=True)
class Pairs:
    """N rows of a table, each a good of a basket.

    Attributes:
        texts: id, label, split and group of each row where there are such columns, and those of the inputs.
        times: (N,) float64, where a split by time asks for it.
        numbers, places: where each row stands.
        spoilt: by row: reason and detail why its basket cannot be used.
        lost: rows that could not be read.
    """

    texts: dict[str, pa.DictionaryArray]
    times: np.ndarray
    numbers: np.ndarray
    places: pa.Array
    spoilt: dict[int, tuple[str, str]]
    lost: list[BadRow]


def pairs(made: Layout, shares: tuple[float, float]) -> Iterator[Part]:
    """One row for each id, in the order in which they first appear, with lists of what its rows hold in each column.

    A row without a name adds nothing to its basket, which is there all the same. As rows of one id may stand anywhere,
    memory grows with the rows, by about 50 bytes each, however long ids and names are.
    """
    read = gather(made)
    codes, ids = codes_of(read)
    items = by_id(made, read, codes, ids, np.argsort(codes, kind="stable"), shares, "basket")
    starts, ends = items.starts, items.ends

    def pieces() -> Iterator[tuple[pa.Table, np.ndarray]]:
        size = max(1, PIECE * len(starts) // max(1, len(items.order)))
        for a in range(0, len(starts), size):
            b = min(a + size, len(starts))
            rows = pa.array(items.order[starts[a] : ends[b - 1]])
            offsets = pa.array(np.append(starts[a:b], ends[b - 1]) - starts[a], pa.int32())
            columns = []
            for name in made.columns:
                goods = read.texts[held(name)]
                columns.append(pa.ListArray.from_arrays(offsets, goods.dictionary.take(goods.indices.take(rows))))
            yield with_lists(items.common.slice(a, b - a), made.columns, columns), read.numbers[items.first[a:b]]

    yield from parts_of(made, pieces(), len(starts), items.faults, items.lost)


def gather(made: Layout) -> Pairs:
    """All rows of the table, every text once for each block and a number for each row.

    Raises:
        DeepmineError: no row can be read.
    """
    by_time = made.source.split_by == "time"
    wanted = {key: name for key, name in made.keys.items() if key != "time"}
    wanted |= {held(name): name for name in made.columns}
    clock = Clock(made.keys["time"]) if by_time else None
    encoded: dict[str, list[pa.Array]] = {key: [] for key in wanted}
    times, numbers, places = [], [], []
    spoilt: dict[int, tuple[str, str]] = {}
    lost: list[BadRow] = []
    n = 0
    for block, faults in made.read(list(dict.fromkeys([*wanted.values(), *([made.keys["time"]] if clock else [])]))):
        lost += block.bad
        if not block.table.num_rows:
            continue
        for key, name in wanted.items():
            texts = text(block.table[name], name)
            encoded[key] += [chunk.dictionary_encode() for chunk in texts.chunks]
        if clock:
            times.append(clock(block.table[made.keys["time"]]))
            for i in np.flatnonzero(np.isnan(times[-1])).tolist():
                spoilt.setdefault(n + i, ("no time", f"{block.places[i]}: column '{made.keys['time']}'"))
        for i, (reason, detail) in faults.items():
            spoilt.setdefault(n + i, (reason, f"{block.places[i]}: {detail}"))
        numbers.append(block.numbers)
        places.append(block.places)
        n += block.table.num_rows
    if not n:
        raise DeepmineError(f"{made.file.path}: holds no row that can be read.")
    whole = {key: _whole(parts) for key, parts in encoded.items()}
    known = np.concatenate(times) if times else np.zeros(n)
    chunks = [c for part in places for c in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    return Pairs(whole, known, np.concatenate(numbers), pa.concat_arrays(chunks), spoilt, lost)


def held(name: str) -> str:
    """What `Pairs.texts` calls a column of an input: one that is none of ours."""
    return f"input {name}"


def _whole(parts: list[pa.Array]) -> pa.DictionaryArray:
    made = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    return made if isinstance(made, pa.DictionaryArray) else made.chunk(0)
