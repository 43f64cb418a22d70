"""One long series, cut into windows that never hold steps of two splits."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.sources.base import TIME, Warn, named_splits
from tasks.sources.rows import COMMON, Layout, Part, numbered
from tasks.sources.time_steps import PIECE, Steps, gather, in_order, lists, parts_of, with_lists


def windows(made: Layout, shares: tuple[float, float], warn: Warn | None = None) -> Iterator[Part]:
    """Windows of one long series, called by the position that each starts at.

    The splits are blocks in order of time, and windows begin anew in each: none holds steps of two. With a horizon
    the label is the values that follow (time by time, all channels); else the commonest label in the window.

    Raises:
        DeepmineError: a split has fewer steps than one window.
    """
    window = made.source.window
    assert window is not None
    steps = _with_lost(gather(made))
    n = len(steps.numbers)
    spoilt = np.zeros(n, bool)
    spoilt[list(steps.spoilt)] = True
    # a row without a time stays behind the one above it
    known = np.maximum.accumulate(np.where(np.isnan(steps.times), 0, np.arange(n)))
    order = in_order(made, steps.times[known], np.zeros(n, np.int64), spoilt, warn)
    values, spoilt = steps.values[order], spoilt[order]
    block, names = _blocks(made, steps, order, shares)
    span = window.length + window.horizon
    begins = _begins(made, block, names, span, window.stride)
    labels = steps.texts["label"].take(pa.array(order)).dictionary_encode() if "label" in steps.texts else None
    before = np.concatenate([[0], np.cumsum(spoilt)])
    faults = {}
    for i in np.flatnonzero(before[begins + span] > before[begins]):
        step = begins[i] + int(np.argmax(spoilt[begins[i] : begins[i] + span]))
        faults[int(i)] = steps.spoilt[int(order[step])]

    def pieces() -> Iterator[tuple[pa.Table, np.ndarray]]:
        size = max(1, PIECE // (window.length * values.shape[1]))
        for at in (begins[a : a + size] for a in range(0, len(begins), size)):
            inside = at[:, None] + np.arange(window.length)  # (W, L)
            if window.horizon:
                ahead = values[at[:, None] + np.arange(window.length, span)]  # (W, H, C)
                label = pa.array([_written(v) for v in ahead.reshape(len(at), -1)], pa.string())
            else:
                label = _commonest(labels, inside)
            split = pa.array(names).take(pa.array(block[at]))
            common = [
                numbered(at),
                steps.places.take(pa.array(order[at])),
                label,
                split,
                pa.nulls(len(at), pa.string()),
            ]
            offsets = np.arange(len(at) + 1) * window.length
            columns = [lists(offsets, values[inside, c].ravel()) for c in range(values.shape[1])]
            table = pa.table(common, names=list(COMMON)).append_column(TIME, pa.array(at, pa.float64()))
            yield with_lists(table, made.columns, columns), at

    yield from parts_of(made, pieces(), len(begins), faults, [])


def _with_lost(steps: Steps) -> Steps:
    """``steps`` with those in place that could not be read, as spoilt ones: the series has no gap."""
    if not steps.lost:
        return steps
    n, more = len(steps.numbers), len(steps.lost)
    numbers = np.concatenate([steps.numbers, [row.number for row in steps.lost]])
    order = np.argsort(numbers, kind="stable")
    spoilt = steps.spoilt | {n + i: (r.reason, f"{r.place}: {r.detail}") for i, r in enumerate(steps.lost)}
    back = np.argsort(order)
    return replace(
        steps,
        values=np.concatenate([steps.values, np.full((more, steps.values.shape[1]), np.nan)])[order],
        times=np.concatenate([steps.times, np.full(more, np.nan)])[order], numbers=numbers[order],
        places=pa.concat_arrays([steps.places, pa.array([r.place for r in steps.lost])]).take(pa.array(order)),
        texts={k: pa.concat_arrays([v, pa.nulls(more, pa.string())]).take(pa.array(order))
               for k, v in steps.texts.items()},
        spoilt={int(back[i]): why for i, why in spoilt.items()}, lost=[],
    )  # fmt: skip


def _blocks(made: Layout, steps: Steps, order: np.ndarray, shares: tuple[float, float]) -> tuple[np.ndarray, list[str]]:
    """The stretch of one split that each step is in, (N,), and the split of each stretch."""
    n = len(order)
    if "split" in steps.texts:
        splits = named_splits(steps.texts["split"].take(pa.array(order)), str(made.file.path))
        named = pc.fill_null(pc.fill_null_forward(splits), "train").to_numpy(zero_copy_only=False)
    else:
        test, val = round(n * shares[1]), round(n * shares[0])
        named = np.array(["train"] * (n - val - test) + ["val"] * val + ["test"] * test, object)
    block = np.concatenate([[0], np.cumsum(named[1:] != named[:-1])]).astype(np.int64)
    return block, [str(named[i]) for i in np.flatnonzero(np.diff(block, prepend=-1))]


def _begins(made: Layout, block: np.ndarray, names: list[str], span: int, stride: int) -> np.ndarray:
    """Where windows begin, ascending."""
    edges = [*np.flatnonzero(np.diff(block, prepend=-1)).tolist(), len(block)]
    begins = [np.arange(a, b - span + 1, stride) for a, b in pairwise(edges)]
    for split in dict.fromkeys(names):
        of_split = [i for i, name in enumerate(names) if name == split]
        if not any(len(begins[i]) for i in of_split):
            most = max(edges[i + 1] - edges[i] for i in of_split)
            raise DeepmineError(
                f"{made.file.path}: {split} has {most:,} steps in one piece, fewer than the {span:,} of a window and "
                "its horizon. Take shorter windows, or another share (ingest.val, ingest.test)."
            )
    return np.concatenate(begins)


def _commonest(labels: pa.Array | None, inside: np.ndarray) -> pa.Array:
    """Of each window (W, L) the label that most of its steps have; of equals the one that came first in the series."""
    if labels is None:
        return pa.nulls(len(inside), pa.string())
    codes = labels.indices.fill_null(-1).to_numpy()[inside]
    found = np.full(len(inside), -1)
    for i, row in enumerate(codes):
        counts = np.bincount(row[row >= 0])
        found[i] = counts.argmax() if len(counts) else -1
    return labels.dictionary.take(pa.array(found, mask=found < 0)).cast(pa.string())


def _written(values: np.ndarray) -> str | None:
    return None if np.isnan(values).any() else " ".join(map(repr, values.tolist()))
