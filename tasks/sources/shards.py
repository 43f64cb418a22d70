"""Rows cut into shards of one size, whatever the pieces that they come in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.rows import BAD, Part

#: Bytes that the rows of a shard may hold as they are read, as they are in memory together.
LARGEST = 512 << 20


@dataclass(frozen=True)
class Batch:
    """One shard of a table.

    Attributes:
        table: `id`, `source`, `label`, `split`, `group` (texts or null), then the columns that the inputs name:
            text from CSV, typed from others, lists for series and baskets that were put together here; `.time`, where rows
            are split by it.
        bad: rows from the same stretch that cannot be used: `id`, `source`, `label`, `split`, `reason`, `detail`.
        done, total: bytes of the source up to here, and in all.
    """

    table: pa.Table
    bad: pa.Table
    done: int
    total: int


def shards(parts: Iterable[Part], rows: int) -> Iterator[Batch]:
    """``parts`` as shards of exactly ``rows`` good rows, the last one shorter; bad rows go with those around them.

    Raises:
        DeepmineError: the rows of one shard hold more than `LARGEST` bytes.
    """
    held: Part | None = None
    for part in parts:
        held = part if held is None else _joined(held, part)
        _check_size(held, rows)
        while held.table.num_rows >= rows:
            ready, held = _cut(held, rows)
            yield ready
    if held is not None and (held.table.num_rows or held.bad.num_rows):
        yield Batch(held.table.combine_chunks(), held.bad.combine_chunks(), held.total, held.total)


def _check_size(held: Part, rows: int) -> None:
    table = held.table.slice(0, rows)
    if held.table.nbytes > LARGEST and table.nbytes > LARGEST:
        sizes = {name: table[name].nbytes for name in table.column_names}
        name = max(sizes, key=lambda key: sizes[key])
        raise DeepmineError(
            f"{table['source'][0].as_py()} to {table['source'][-1].as_py()}: {table.num_rows:,} rows hold "
            f"{table.nbytes >> 20:,} MB, {sizes[name] >> 20:,} of it in the column '{name}', where those of a shard may "
            f"hold {LARGEST >> 20:,}. Lower ingest.shard_rows, shorten what they hold, or take the column out."
        )


def _joined(first: Part, then: Part) -> Part:
    return Part(
        pa.concat_tables([first.table, then.table]), np.concatenate([first.numbers, then.numbers]),
        pa.concat_tables([first.bad, then.bad]), np.concatenate([first.bad_numbers, then.bad_numbers]),
        then.done, then.total,
    )  # fmt: skip


def _cut(part: Part, rows: int) -> tuple[Batch, Part]:
    bad = int(np.searchsorted(part.bad_numbers, part.numbers[rows - 1])) if len(part.bad_numbers) else 0
    faulty = part.bad.slice(0, bad) if bad else BAD.empty_table()
    batch = Batch(part.table.slice(0, rows).combine_chunks(), faulty, part.done, part.total)
    rest = Part(
        part.table.slice(rows), part.numbers[rows:], part.bad.slice(bad), part.bad_numbers[bad:], part.done, part.total
    )
    return batch, rest
