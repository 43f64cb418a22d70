"""Series: numbers over time in one or more channels, repaired and cut, exact sums, augmentation and line pictures."""

import hashlib
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.modalities.base import Admitted, Modality, Shown
from tasks.modalities.drawing import lines
from tasks.modalities.measurements import levels
from tasks.modalities.series_channels import read, within

if TYPE_CHECKING:
    import torch

    from tasks.config.clean import Clean
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input
    from tasks.config.train import AugmentSeries
    from tasks.config.validate import ValidSeries

DTYPE = np.float32
#: What every series tells of itself: steps, channels, share of missing values, and what the others lie between.
FACTS = {
    "length": pa.int64(), "channels": pa.int64(), "missing": pa.float64(), "minimum": pa.float64(),
    "maximum": pa.float64(),
}  # fmt: skip
#: Channels of which something is measured, at most.
MEASURED = 8
#: Bytes of all items of one Arrow array of type binary.
MAX_BYTES = 2**31 - 1
#: Values of a channel from which medians and quartiles are taken at most.
SAMPLE = 1_000_000


def raw_fields(spec: "Input") -> dict[str, pa.DataType]:
    """What the raw data keeps of each series; "" is the series, L * C little-endian float32, step by step, NaN =
    missing."""
    return {**FACTS, "": pa.binary()}


def settled_by(spec: "Input") -> list[str]:
    """Those of them that `settle` asks for."""
    return ["length", "channels", ""]


def checked(spec: "Input") -> list[str]:
    """Those of them that expectations may name."""
    return list(FACTS)


def checks(spec: "Input", params: "ValidSeries") -> list[tuple[str, dict[str, Any], str, str]]:
    """Expectations of the facts: name, arguments, action and reason."""
    least = {"column": "length", "min_value": params.min_length}
    return [("expect_column_values_to_be_between", least, "reject", "series too short")]


def admit_columns(table: pa.Table, spec: "Input", params: "Ingest") -> Admitted:
    """N rows' series from `spec.columns`: each a time step of one channel, or each a channel with lists of numbers.

    Of columns that are time steps, nulls at the end of a row say that its series is shorter. A row is missing where
    no value is there.

    Raises:
        DeepmineError: columns hold no numbers, or only some of them lists; too many bytes for one shard.
    """
    flat, lengths, there, faults = read(table, spec.columns)
    count, channels = len(lengths), flat.shape[1]
    for i in np.flatnonzero(lengths * channels > params.max_samples):
        faults.setdefault(int(i), ("too many samples", f"{lengths[i] * channels:,}, over {params.max_samples:,}"))
    steps = (~np.isnan(flat)).sum(1)  # known values at each step
    known, least, most = np.zeros(count), np.full(count, np.nan), np.full(count, np.nan)
    full = np.flatnonzero(lengths)
    starts = (np.cumsum(lengths) - lengths)[full]
    known[full] = np.add.reduceat(steps, starts)
    least[full] = np.fmin.reduceat(np.fmin.reduce(flat, axis=1), starts)
    most[full] = np.fmax.reduceat(np.fmax.reduce(flat, axis=1), starts)
    there = there & ((known > 0) | (lengths == 0))
    flat, lengths = flat[np.repeat(there, lengths)], np.where(there, lengths, 0)
    items = _items(flat, lengths, there)
    share = 1 - known / np.maximum(lengths * channels, 1)
    facts = {"length": lengths, "channels": np.full(count, channels), "missing": share, "minimum": least,
             "maximum": most}  # fmt: skip
    columns = {name: pa.array(values, FACTS[name], mask=~there) for name, values in facts.items()}
    head = b"%d " % channels
    content = [None if item is None else hashlib.sha256(head + item).hexdigest() for item in items.to_pylist()]
    reasons, details = ([faults[i][k] if i in faults else None for i in range(count)] for k in (0, 1))
    return Admitted({**columns, "": items}, content, reasons, details)


def _items(flat: np.ndarray, lengths: np.ndarray, there: np.ndarray) -> pa.Array:
    """Values (total, C) of N series one after another as binary items, null where not ``there``."""
    size = flat.shape[1] * np.dtype(DTYPE).itemsize
    if len(flat) * size > MAX_BYTES:
        raise DeepmineError(
            f"{len(lengths):,} series of one shard take {len(flat) * size / 2**30:.1f} GiB, more than the 2 GiB that a "
            "column holds. Lower ingest.shard_rows, or cut the series into windows."
        )
    values = flat.astype("<f4")
    values[np.isnan(values)] = np.nan  # one of the many, as digests are of bytes
    offsets = np.concatenate([[0], np.cumsum(lengths) * size]).astype(np.int32)
    valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), len(lengths), buffers)


def _values(items: pa.Array, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The opposite of `_items`: values (total, C) float32 and lengths (N,), 0 for a null."""
    if items.null_count:
        items = items.fill_null(b"")
    _, places, data = items.buffers()
    offsets = np.frombuffer(places, np.int32)[items.offset : items.offset + len(items) + 1]
    if not len(items) or offsets[-1] == offsets[0]:
        return np.empty((0, channels), DTYPE), np.zeros(len(items), np.int64)
    flat = np.frombuffer(data, "<f4", (offsets[-1] - offsets[0]) // 4, offsets[0]).reshape(-1, channels)
    return flat, np.diff(offsets.astype(np.int64)) // (4 * channels)


def settle(train: pa.Table, spec: "Input", params: "Clean") -> dict[str, Any]:
    """The length of every series, and of each channel median and interquartile range, from the train rows.

    The length of ``auto`` is that of the longest. Of many values, every k-th step of each series is looked at.

    Raises:
        DeepmineError: no train row has a series.
    """
    wanted = params.series
    lengths = train["length"].drop_null().to_numpy()
    if not len(lengths):
        raise DeepmineError(f"columns {', '.join(spec.columns)}: no train row has a series. Check source and split.")
    channels = int(pc.max(train["channels"]).as_py())
    every = -(-int(lengths.sum()) // SAMPLE)
    parts = []
    for chunk in train[""].chunks:
        flat, sizes = _values(chunk, channels)
        parts.append(flat[within(sizes) % every == 0])
    sample = np.concatenate(parts)
    known = [column[~np.isnan(column)] for column in sample.T]
    quartiles = [np.percentile(k.astype(np.float64), (25, 50, 75)) if len(k) else np.zeros(3) for k in known]
    return {
        "length": min(int(lengths.max()), wanted.max_auto_length) if wanted.length == "auto" else wanted.length,
        "channels": channels, "missing": wanted.missing, "scale": wanted.scale,
        "median": [float(q[1]) for q in quartiles], "iqr": [float(q[2] - q[0]) for q in quartiles],
    }  # fmt: skip


def repair_columns(table: pa.Table, spec: "Input", state: dict[str, Any]) -> tuple[pa.Array, list[str | None]]:
    """Raw series without gaps, each at most of the settled length; unscaled.

    Missing values are zero, or lie on the line between the known ones before and after (beyond the first and last
    known one: equal to it; in a channel without any: its median). Of a longer series the last steps stay, as what
    comes next, or what it has come to, depends on these most.
    """
    raw = table[""].combine_chunks()
    flat, lengths = _values(raw, state["channels"])
    step = within(lengths)
    if np.isnan(flat).any():
        flat = flat.copy()
        for c, median in enumerate(state["median"]):
            gaps = np.isnan(flat[:, c])
            if state["missing"] == "zero":
                flat[gaps, c] = 0
            elif gaps.any():
                flat[gaps, c] = _between(flat[:, c].astype(np.float64), gaps, step, lengths, median)
    kept = np.minimum(lengths, state["length"])
    flat = flat[step >= np.repeat(lengths - kept, lengths)]
    return _items(flat, kept, raw.is_valid().to_numpy(zero_copy_only=False)), [None] * len(raw)


def _between(values: np.ndarray, gaps: np.ndarray, step: np.ndarray, lengths: np.ndarray, fill: float) -> np.ndarray:
    """What stands in the gaps of one channel of series one after another, by linear interpolation in each.

    Args:
        values, gaps, step: (total,), the last as `within`.
    """
    places = np.arange(len(values))
    first = places - step
    last = first + np.repeat(lengths, lengths) - 1
    before = np.maximum.accumulate(np.where(gaps, -1, places))[gaps]
    after = np.minimum.accumulate(np.where(gaps, len(values), places)[::-1])[::-1][gaps]
    places, has_before, has_after = places[gaps], before >= first[gaps], after <= last[gaps]
    before, after = np.where(has_before, before, after), np.where(has_after, after, before)  # nearest at the ends
    known = has_before | has_after
    before, after = np.where(known, before, 0), np.where(known, after, 0)
    share = (places - before) / np.maximum(after - before, 1)
    # where both are the same value, share does not matter
    line = values[before] + (values[after] - values[before]) * share
    return np.where(known, line, fill)


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned item: as the raw one."""
    return pa.binary()


def shape(state: dict[str, Any]) -> tuple[int, int]:
    """(length, channels) of a row of `array`."""
    return state["length"], state["channels"]


def array(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as (N, L, C) float32, NaN after the end of a series; nulls are zero."""
    length, channels = shape(state)
    parts = [np.empty((0, length, channels), DTYPE)]
    for chunk in column.chunks:
        flat, lengths = _values(chunk, channels)
        items = np.full((len(chunk), length, channels), np.nan, DTYPE)
        items[np.arange(length) < lengths[:, None]] = flat
        items[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
        parts.append(items)
    return parts[1] if len(parts) == 2 else np.concatenate(parts)


def statistics(items: np.ndarray, state: dict[str, Any]) -> dict[str, Any]:
    """Count, least, largest, and exact sums per channel of (N, L, C) float32, which add up over shards in any order.

    A float32 is a whole number of 24 bits times a power of two. The whole numbers are added up for each power,
    without an error in float64, and these sums are put together as integers: of 2^-172, of their squares 2^-344.
    """
    result: dict[str, Any] = {key: [] for key in ("n", "sum", "sum2", "minimum", "maximum")}
    for c in range(items.shape[-1]):
        values = items[..., c].reshape(-1)
        values = values[~np.isnan(values)]
        fraction, power = np.frexp(values)
        whole, power = (fraction * 2.0**24).astype(np.int64), power + 148  # 148: none is negative then
        high, low = np.divmod(whole * whole, 2**24)
        sums = [np.bincount(power, part, 1).tolist() for part in (whole, high, low)]
        result["n"].append(len(values))
        result["sum"].append(sum(int(s) << p for p, s in enumerate(sums[0])))
        squares = zip(sums[1], sums[2], strict=True)
        result["sum2"].append(sum(((int(h) << 24) + int(v)) << 2 * p for p, (h, v) in enumerate(squares)))
        result["minimum"].append(float(values.min(initial=np.inf)))
        result["maximum"].append(float(values.max(initial=-np.inf)))
    return result


def normalisation(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation, least and largest value per channel, from `statistics` of the train rows."""
    result: dict[str, Any] = {"mean": [], "std": [], "minimum": [], "maximum": []}
    for c in range(len(parts[0]["n"]) if parts else 0):
        n = sum(p["n"][c] for p in parts)
        mean = Fraction(sum(p["sum"][c] for p in parts), max(n, 1) << 172)
        square = Fraction(sum(p["sum2"][c] for p in parts), max(n, 1) << 344)
        result["mean"].append(float(mean))
        result["std"].append(math.sqrt(square - mean * mean))
        result["minimum"].append(min(p["minimum"][c] for p in parts) if n else 0.0)
        result["maximum"].append(max(p["maximum"][c] for p in parts) if n else 0.0)
    return result


def _scaling(state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from each channel and what it is divided by then, (C,) float32 each."""
    match state["scale"]:
        case "standard":
            centre, spread = state["mean"], state["std"]
        case "min_max":
            centre, spread = state["minimum"], np.subtract(state["maximum"], state["minimum"])
        case "robust":
            centre, spread = state["median"], state["iqr"]
        case _:
            centre, spread = np.zeros(state["channels"]), np.ones(state["channels"])
    spread = np.asarray(spread, np.float32)
    return np.asarray(centre, np.float32), np.where(spread > 0, spread, np.float32(1))


def form(state: dict[str, Any]) -> dict[str, Any]:
    """What `tensor` gives."""
    return {"kind": "sequence", "shape": shape(state)}


def tensor(items: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, L, C) float32, scaled; NaN after the end of a series."""
    import torch

    centre, spread = (torch.from_numpy(part).to(items.device) for part in _scaling(state))
    return (items - centre) / spread


def flat(items: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """The raw view before PCA: (N, L * C + 1) float32, the scaled values, zero after the end, and the share of L."""
    centre, spread = _scaling(state)
    steps = 1 - np.isnan(items).all(2).mean(1, dtype=DTYPE)  # (N,)
    values = np.nan_to_num((items - centre) / spread, copy=False)
    return np.concatenate([values.reshape(len(items), -1), steps[:, None]], axis=1)


def augment(
    items: "torch.Tensor", params: "AugmentSeries", mirrored: "torch.Tensor", generator: "torch.Generator"
) -> "torch.Tensor":
    """Noise, shift in time and a mask over time for a whole (N, L, C) batch at once.

    A shifted series goes on at its end as its outermost value; a masked stretch, the same in all channels, takes the
    channel's mean over the batch. Lengths stay. Random numbers come from a CPU ``generator``, so that every device
    sees the same augmentation.
    """
    import torch

    step = torch.arange(items.shape[1], device=items.device)
    length = (~items.isnan().all(2)).sum(1, keepdim=True)  # (N, 1)

    def draw() -> "torch.Tensor":
        return torch.rand(len(items), 1, generator=generator).to(items.device)

    if params.shift:
        by = ((2 * draw() - 1) * params.shift * length).round().long()
        source = torch.minimum((step + by).clamp(min=0), (length - 1).clamp(min=0))
        moved = items.gather(1, source[..., None].expand_as(items))
        items = torch.where((step < length)[..., None], moved, items)
    if params.noise or params.time_mask:
        mean = items.nanmean((0, 1))
        deviation = (items - mean).square().nanmean((0, 1)).sqrt()
    if params.noise:
        noise = torch.randn(items.shape, generator=generator).to(items.device)
        items = items + params.noise * deviation * noise
    if params.time_mask:
        width = (draw() * params.time_mask * length).round()
        start = (draw() * (length - width + 1)).floor()
        covered = (step >= start) & (step < start + width) & (step < length)
        items = torch.where(covered[..., None], mean, items)
    return items


def measured_by(spec: "Input") -> list[str]:
    """Those of `raw_fields` that `measure` asks for."""
    return ["length", "missing"]


def measure(facts: pa.Table, column: pa.ChunkedArray, spec: "Input", state: dict[str, Any]) -> dict[str, Any]:
    """What a person can say of N series, and of each of their first `MEASURED` channels."""
    mean, spread = levels(array(column, state)[..., :MEASURED])  # (N, C)
    named = spec.columns if len(spec.columns) == state["channels"] else range(1, state["channels"] + 1)
    channels = [f"of {name} " if state["channels"] > 1 else "" for name in named]
    found: dict[str, Any] = {}
    for c, name in enumerate(channels[:MEASURED]):
        found |= {f"mean level {name}".strip(): mean[:, c], f"spread {name}".strip(): spread[:, c]}
    return {"length in steps": facts["length"], "missing in %": pc.multiply(facts["missing"], 100.0), **found}


def show(item: bytes | None, row: dict[str, Any], state: dict[str, Any], side: int) -> Shown:
    """Lines over time, one colour a channel, and what they lie between; a gap is where values are missing.

    Channels are scaled as networks see them, so that all can be made out in one picture.
    """
    channels = row.get("channels") or state["channels"]
    values = np.frombuffer(row.get("") or b"" if item is None else item, "<f4").reshape(-1, channels)
    if not len(values) or np.isnan(values).all():
        return Shown(text="no values")
    told = f"{len(values)} steps, {np.nanmin(values):.4g} to {np.nanmax(values):.4g}"
    if channels > 1:
        told = f"{channels} channels, {told}"
        centre, spread = _scaling(state) if "mean" in state else _own_scaling(values)
        values = (values - centre) / spread
    return Shown(picture=lines(values, side), text=told)


def _own_scaling(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    least, most = np.fmin.reduce(values), np.fmax.reduce(values)
    return least, np.where(most > least, most - least, 1)


def describe(facts: pa.Table) -> str:
    """Channels, lengths and missing values, for a person who adds a data set."""
    lengths = facts["length"].drop_null().to_numpy()
    if not len(lengths):
        return "no series"
    channels = pc.max(facts["channels"]).as_py()
    least, most = lengths.min(), lengths.max()
    missing = pc.mean(facts["missing"]).as_py()
    told = f"{channels} channel{'s' if channels > 1 else ''} of {least}{f' to {most}' if most > least else ''} steps"
    return told + (f", {missing:.1%} missing" if missing else "")


MODALITY = Modality(
    raw_kind="components",
    raw_words=(
        "principal components of the values, step by step, all on one scale. Random convolutions (MiniRocket, Hydra) are "
        "stronger, and are not here yet"
    ),
    dtype=DTYPE,
    raw_fields=raw_fields, settled_by=settled_by, checked=checked, checks=checks, settle=settle,
    column_type=column_type, array=array, shape=shape, form=form, tensor=tensor, augment=augment, show=show,
    describe=describe, admit_columns=admit_columns, repair_columns=repair_columns, flat=flat,
    statistics=statistics, normalisation=normalisation, measured_by=measured_by, measure=measure,
)  # fmt: skip
