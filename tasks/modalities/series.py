"""Series: numbers over time in one or more channels, repaired and cut, exact sums, augmentation and line pictures."""

import hashlib
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageDraw

from tasks.errors import DeepmineError
from tasks.modalities import Admitted, Shown

if TYPE_CHECKING:
    import torch

    from tasks.config import AugmentSeries, Clean, Ingest, Input, ValidSeries

#: Numbers of a table are read in place: there is no decoder that could crash or swell.
GUARDED = False
#: The raw view is made of principal components of `flat`.
RAW = "components"
DTYPE = np.float32
#: What every series tells of itself: steps, channels, share of missing values, and what the others lie between.
FACTS = {
    "length": pa.int64(), "channels": pa.int64(), "missing": pa.float64(), "minimum": pa.float64(),
    "maximum": pa.float64(),
}  # fmt: skip
#: Cells of text that say that there is no number, in lower case.
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
#: Bytes of all items of one Arrow array of type binary.
MAX_BYTES = 2**31 - 1
#: Values of a channel from which medians and quartiles are taken at most.
SAMPLE = 1_000_000
#: One colour a channel, told apart by colour-blind readers too (Okabe and Ito 2008), then again from the first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#595959")
#: Pictures are drawn so many times larger and scaled down, which smooths their lines.
OVERSAMPLE = 4


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
    columns = [_plain(table[name].combine_chunks()) for name in spec.columns]
    lists = [pa.types.is_list(column.type) for column in columns]
    if any(lists) and not all(lists):
        names = ", ".join(name for name, found in zip(spec.columns, lists, strict=True) if not found)
        raise DeepmineError(f"columns {names}: single numbers, where the others of this series hold lists. Name alike.")
    faults: dict[int, tuple[str, str]] = {}
    if all(lists):
        flat, lengths, there = _channels(columns, spec.columns, faults)
    else:
        flat, lengths, there = _steps(columns, spec.columns, faults)
    return _admitted(flat, lengths, there, faults, params.max_samples)


def _plain(column: pa.Array) -> pa.Array:
    """Dictionaries and the larger kinds of lists as the simple kind."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    return column


def _steps(
    columns: list[pa.Array], names: tuple[str, ...], faults: dict[int, tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that are time steps: values (total, 1), lengths (N,) and whether there is a series (N,)."""
    values = np.empty((len(columns[0]), len(columns)))  # (N, T)
    for t, (column, name) in enumerate(zip(columns, names, strict=True)):
        values[:, t], wrong = _numbers(column, name)
        for i in np.flatnonzero(wrong):
            faults.setdefault(int(i), ("not a number", f"column '{name}': {_quoted(column[int(i)])}"))
        for i in np.flatnonzero(np.isinf(values[:, t])):
            faults.setdefault(int(i), ("infinite value", f"column '{name}'"))
    known = ~np.isnan(values)
    lengths = np.where(known.any(1), len(columns) - known[:, ::-1].argmax(1), 0)
    return values[np.arange(len(columns)) < lengths[:, None]][:, None], lengths, lengths > 0


def _channels(
    columns: list[pa.Array], names: tuple[str, ...], faults: dict[int, tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that are channels: values (total, C), lengths (N,) and whether there is a series (N,).

    A channel that is null in a row where others are not is missing throughout.
    """
    sizes = np.stack([pc.fill_null(pc.list_value_length(column), -1).to_numpy() for column in columns])  # (C, N)
    lengths = sizes.max(0)
    there = lengths >= 0
    for i in np.flatnonzero(((sizes != lengths) & (sizes >= 0)).any(0)):
        told = ", ".join(f"{name} {size}" for name, size in zip(names, sizes[:, i], strict=True) if size >= 0)
        faults[int(i)] = ("channels of unequal length", told)
        lengths[i] = -1
    for i in np.flatnonzero(lengths == 0):
        faults.setdefault(int(i), ("empty series", "no steps"))
    lengths = np.maximum(lengths, 0)
    starts = np.cumsum(lengths) - lengths
    flat = np.full((int(lengths.sum()), len(columns)), np.nan)
    for c, (column, name) in enumerate(zip(columns, names, strict=True)):
        cells, counts = column.flatten(), np.maximum(sizes[c], 0)
        values, wrong = _numbers(cells, name)
        row, step = np.repeat(np.arange(len(column)), counts), _within(counts)
        for place in np.flatnonzero(wrong):
            cell = _quoted(cells[int(place)])
            faults.setdefault(int(row[place]), ("not a number", f"column '{name}', step {step[place] + 1}: {cell}"))
        for place in np.flatnonzero(np.isinf(values)):
            faults.setdefault(int(row[place]), ("infinite value", f"column '{name}', step {step[place] + 1}"))
        kept = lengths[row] > 0
        flat[(starts[row] + step)[kept], c] = values[kept]
    return flat, lengths, there


def _numbers(column: pa.Array, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as float64, NaN = missing and infinite beyond float32, and which of its cells are no numbers."""
    wrong = np.zeros(len(column), bool)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        # what is no UTF-8 is no number, which is found out below
        column = pc.cast(column, options=pc.CastOptions(pa.large_string(), allow_invalid_utf8=True))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.ascii_trim_whitespace(column)
        column = pc.if_else(pc.is_in(pc.ascii_lower(column), pa.array(MISSING, column.type)), None, column)
        try:
            values = column.cast(pa.float64())
        except pa.ArrowInvalid:
            numbers = [_number(cell) for cell in column.cast(pa.large_binary()).to_pylist()]
            wrong = np.array([number is None for number in numbers], bool)
            values = pa.array(numbers, pa.float64())
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = column.cast(pa.float64(), safe=False)  # whole numbers beyond 2^53 lose digits, as in float32 they do
    elif pa.types.is_null(column.type):
        values = column.cast(pa.float64())
    else:
        raise DeepmineError(
            f"column '{name}': holds {column.type}, not numbers. A series is made of columns of numbers (one for each "
            "time step) or of lists of numbers (one for each channel)."
        )
    result = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return np.where(np.abs(result) > np.finfo(np.float32).max, np.inf, result), wrong


def _number(cell: bytes | None) -> float | None:
    """What Arrow makes of a cell, one by one: NaN for none, None for what is no number."""
    if cell is None:
        return math.nan
    try:
        return None if b"_" in cell else float(cell)
    except ValueError:
        return None


def _quoted(cell: pa.Scalar) -> str:
    return repr(cell.cast(pa.large_binary()).as_py()[:40].decode(errors="replace"))


def _admitted(
    flat: np.ndarray, lengths: np.ndarray, there: np.ndarray, faults: dict[int, tuple[str, str]], max_samples: int
) -> Admitted:
    """Values (total, C) of N series one after another as items with their facts."""
    count, channels = len(lengths), flat.shape[1]
    for i in np.flatnonzero(lengths * channels > max_samples):
        faults.setdefault(int(i), ("too many samples", f"{lengths[i] * channels:,}, over {max_samples:,}"))
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


def _within(lengths: np.ndarray) -> np.ndarray:
    """Of every step of N series one after another its number in its own, from 0."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


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
        parts.append(flat[_within(sizes) % every == 0])
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
    step = _within(lengths)
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
        values, gaps, step: (total,), the last as `_within`.
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
    none = np.zeros(state["channels"]), np.ones(state["channels"])
    centre, spread = {
        "standard": lambda: (state["mean"], state["std"]),
        "min_max": lambda: (state["minimum"], np.subtract(state["maximum"], state["minimum"])),
        "robust": lambda: (state["median"], state["iqr"]),
        "none": lambda: none,
    }[state["scale"]]()
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
    return Shown(picture=_drawn(values, side), text=told)


def _own_scaling(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    least, most = np.fmin.reduce(values), np.fmax.reduce(values)
    return least, np.where(most > least, most - least, 1)


def _drawn(values: np.ndarray, side: int) -> Image.Image:
    """(T, C) values as lines on a light grid, ``side`` pixels wide and three fifths of that high."""
    width, height = side * OVERSAMPLE, max(round(side * 0.6), 8) * OVERSAMPLE
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for part in range(1, 4):
        pen.line([(0, height * part // 4), (width, height * part // 4)], "#e4e4e4", OVERSAMPLE)
        pen.line([(width * part // 4, 0), (width * part // 4, height)], "#e4e4e4", OVERSAMPLE)
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 2 * OVERSAMPLE + height // 20
    scale = (height - 2 * margin) / (most - least) if most > least else 0.0
    thick = round(OVERSAMPLE * max(1.0, side / 160))
    for c in reversed(range(values.shape[1])):  # the first on top
        x, y = _outline(values[:, c].astype(np.float64), side)
        x = margin + x * (width - 2 * margin)
        y = height - margin - (y - least) * scale if scale else np.where(np.isnan(y), np.nan, height / 2)
        colour = COLOURS[c % len(COLOURS)]
        breaks = np.flatnonzero(np.isnan(y))
        for run in np.split(np.stack([x, y], 1), breaks):
            points = [(float(a), float(b)) for a, b in run if not math.isnan(b)]
            if len(points) > 1:
                pen.line(points, colour, thick, joint="curve")
            elif points:
                pen.circle(points[0], thick, colour)
    return picture.reduce(OVERSAMPLE)


def _outline(values: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a line, x on 0..1; of more than two values a pixel the least and the largest of each pixel."""
    count = len(values)
    if count <= 2 * side:
        return np.arange(count) / max(count - 1, 1), values
    starts = np.arange(side) * count // side
    ends = np.stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)], 1)
    return np.repeat((np.arange(side) + 0.5) / side, 2), ends.reshape(-1)


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
