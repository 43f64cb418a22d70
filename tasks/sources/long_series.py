"""Long tables: a row for each id and time, put together to one series for each id."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.base import Warn
from tasks.sources.long_rows import by_id, codes_of
from tasks.sources.rows import Layout, Part
from tasks.sources.time_steps import PIECE, gather, in_order, lists, parts_of, with_lists

if TYPE_CHECKING:
    from tasks.config.source import Input, Source


def check_series(source: "Source", inputs: "dict[str, Input]") -> None:
    """Refuse what these layouts cannot do.

    Raises:
        DeepmineError: an input that is no series, or keys that exclude each other.
    """
    which = "source.window" if source.window else "source.layout: long"
    for name, spec in inputs.items():
        if spec.modality != "series":
            raise DeepmineError(
                f"{which} makes series, but input '{name}' is {spec.modality}. Give it a table of its own."
            )
    if source.window and (source.layout == "long" or source.id or source.group):
        raise DeepmineError(
            "source.window cuts one series. Take out id, group and layout: long, or the window (layout: long makes "
            "one item of each id)."
        )
    if source.layout == "long" and not source.id:
        raise DeepmineError("source.layout: long needs source.id, the column that says which series a row belongs to.")


def long(made: Layout, shares: tuple[float, float], warn: Warn | None = None) -> Iterator[Part]:
    """One item for each id, in the order in which they first appear, its rows sorted by time.

    Of rows of one id and time the first is kept.
    """
    steps = gather(made)
    codes, ids = codes_of(steps)
    order = in_order(made, steps.times, codes, np.zeros(len(codes), bool), warn)
    items = by_id(made, steps, codes, ids, order, shares, "series")
    starts, ends = items.starts, items.ends

    def pieces() -> Iterator[tuple[pa.Table, np.ndarray]]:
        size = max(1, PIECE * max(1, len(starts)) // max(1, steps.values.size))
        for a in range(0, len(starts), size):
            b = min(a + size, len(starts))
            rows = items.order[starts[a] : ends[b - 1]]
            offsets = np.append(starts[a:b], ends[b - 1]) - starts[a]
            columns = [lists(offsets, steps.values[rows, c]) for c in range(steps.values.shape[1])]
            yield with_lists(items.common.slice(a, b - a), made.columns, columns), steps.numbers[items.first[a:b]]

    yield from parts_of(made, pieces(), len(starts), items.faults, items.lost)
