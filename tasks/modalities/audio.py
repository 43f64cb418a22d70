"""Sounds: decoding with libsndfile, one rate and one channel, log-mel spectrograms, augmentation of whole batches."""

import hashlib
import io
import math
import wave
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError
from tasks.modalities import audio_mfcc
from tasks.modalities.audio_decode import FULL_SCALE, RATES, decode
from tasks.modalities.audio_mel import MIN_FRAMES, analysis, frames, log_mel, log_mels
from tasks.modalities.base import Modality, Shown
from tasks.modalities.drawing import spectrogram

if TYPE_CHECKING:
    import torch

    from tasks.config.clean import Clean
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input
    from tasks.config.train import AugmentAudio
    from tasks.config.validate import ValidAudio

#: Decibels of digital silence.
SILENCE = -200.0
#: `auto` seconds at most.
LONGEST = 10.0
#: Samples of a cleaned item at most: a gigabyte.
MAX_LENGTH = 1 << 29
#: Terms of the ratio of two rates at most: one in a million off the exact pitch, and short filters for odd rates.
MAX_RATIO = 1000
#: Seconds of the blocks whose level decides what is trimmed.
TRIM_BLOCK = 0.01
#: What `admit` tells of each item, as columns of the raw data: hertz, channels, seconds, samples of all channels,
#: share of them at full scale, decibels of full scale (root mean square of the mix).
FACTS = {
    "rate": pa.int64(), "channels": pa.int64(), "seconds": pa.float64(), "samples": pa.int64(),
    "clipped": pa.float64(), "level": pa.float64(),
}  # fmt: skip
DTYPE = np.int16
#: What a sample may take, in bytes, while it is decoded, mixed and resampled: a few copies in float32 and float64.
BYTES_PER_SAMPLE = 40
#: Whole numbers of statistics are of this part of a decibel.
UNIT = 1 / 1024


def raw_fields(spec: "Input") -> dict[str, pa.DataType]:
    """What the raw data keeps of each item, by suffix of the input's name; "" is the item itself, encoded."""
    return {**FACTS, "": pa.binary()}


def settled_by(spec: "Input") -> list[str]:
    """Those of them that `settle` and `memory` ask for."""
    return ["rate", "seconds", "samples"]


def checked(spec: "Input") -> list[str]:
    """Those of them that expectations may name."""
    return list(FACTS)


def checks(spec: "Input", params: "ValidAudio") -> list[tuple[str, dict[str, Any], str, str]]:
    """Expectations of the facts: name, arguments, action and reason."""
    between = "expect_column_values_to_be_between"
    return [
        (between, {"column": "seconds", "min_value": params.min_seconds}, "reject", "too short"),
        (between, {"column": "level", "min_value": params.min_level}, "reject", "silence"),
        (between, {"column": "clipped", "max_value": params.max_clipped}, "warn", "clipped"),
    ]


def item_memory(params: "Ingest") -> int:
    """Bytes that reading one item may take at most."""
    return BYTES_PER_SAMPLE * params.max_samples


def admit(data: bytes, params: "Ingest") -> tuple[dict[str, Any], bytes]:
    """The facts of one encoded item, `content` (sha256 of what it decodes to), and the bytes to keep: those given.

    Raises:
        Unreadable: as `decode`.
    """
    samples, rate, coding = decode(data, params.max_samples)
    count, channels = samples.shape
    digest = hashlib.sha256(f"{rate} {channels}".encode())
    digest.update(samples.astype("<f4", copy=False).tobytes())
    power = float(np.square(samples.mean(1), dtype=np.float64).mean())
    clipped = int(np.count_nonzero(np.abs(samples) >= FULL_SCALE[coding]))
    return {
        "content": digest.hexdigest(), "rate": rate, "channels": channels, "seconds": count / rate,
        "samples": samples.size, "clipped": clipped / samples.size,
        "level": max(10 * math.log10(power), SILENCE) if power else SILENCE,
    }, data  # fmt: skip


def settle(train: pa.Table, spec: "Input", params: "Clean") -> dict[str, Any]:
    """What `auto` comes to, from the facts of the train rows: hertz and seconds of every cleaned item, its frames.

    ``rate`` is the commonest of the train rows (of two the higher), ``seconds`` what 99 of 100 of them stay within,
    `LONGEST` at most.

    Raises:
        DeepmineError: no row to settle it by, or a rate or a length that no sound has.
    """
    wanted = params.audio
    if not train.num_rows:
        raise DeepmineError("clean.audio: no train row has a recording. Check the folder and the column of the input.")
    rates, counts = np.unique(train.column("rate").to_numpy(), return_counts=True)
    rate = int(rates[counts == counts.max()].max()) if wanted.rate == "auto" else wanted.rate
    if not RATES[0] <= rate <= RATES[1]:
        raise DeepmineError(f"clean.audio.rate: {rate:,} Hz; it is a number from {RATES[0]:,} to {RATES[1]:,}.")
    longest = min(float(np.percentile(train.column("seconds").to_numpy(), 99)), LONGEST)
    seconds = longest if wanted.seconds == "auto" else float(wanted.seconds)
    length = max(math.ceil(seconds * rate), MIN_FRAMES)
    if length > MAX_LENGTH:
        raise DeepmineError(f"clean.audio.seconds: {seconds:g} s are {length:,} samples, over {MAX_LENGTH:,}.")
    trim = None if wanted.trim == "off" else float(wanted.trim)
    return {
        "seconds": seconds, "trim": trim, **analysis(rate, length, wanted.bands, wanted.window, wanted.hop)
    }  # fmt: skip


def memory(facts: pa.Table, state: dict[str, Any]) -> int:
    """Bytes that repairing one sound may take at most, from the facts of all."""
    largest = pc.max(facts["samples"]).as_py() or 0
    return BYTES_PER_SAMPLE * (int(largest) + int(state["length"]))


def repair(data: bytes, state: dict[str, Any]) -> bytes:
    """One encoded sound as 16-bit samples, little-endian, of one channel at the settled rate, ``length`` at most.

    Channels are averaged, ends trimmed, and of a longer sound the middle is kept. What would go over full scale is
    made quieter as a whole.

    Raises:
        Unreadable: as `decode`.
    """
    samples, rate, _ = decode(data, 1 << 62)  # the cap was checked at ingest
    mono = _mono(samples)
    if state["trim"] is not None:
        mono = _trimmed(mono, rate, state["trim"])
    mono = _middle(mono, math.ceil(state["length"] * rate / state["rate"]))
    if rate != state["rate"]:
        from scipy.signal import resample_poly

        ratio = Fraction(state["rate"], rate).limit_denominator(MAX_RATIO)
        mono = resample_poly(mono, ratio.numerator, ratio.denominator)
    return _sixteen_bits(_middle(mono, state["length"])).tobytes()


def _mono(samples: np.ndarray) -> np.ndarray:
    return samples.mean(1, dtype=np.float64) if samples.shape[1] > 1 else samples[:, 0].astype(np.float64)


def _trimmed(mono: np.ndarray, rate: int, below: float) -> np.ndarray:
    """``mono`` from its first to its last block whose level is within ``below`` decibels of the loudest's."""
    size = max(round(TRIM_BLOCK * rate), 1)
    blocks = np.pad(mono, (0, -len(mono) % size)).reshape(-1, size)
    power = np.square(blocks).mean(1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-below / 10))
    return mono[loud[0] * size : (loud[-1] + 1) * size]


def _middle(mono: np.ndarray, length: int) -> np.ndarray:
    start = max(len(mono) - length, 0) // 2
    return mono[start : start + length]


def _sixteen_bits(mono: np.ndarray) -> np.ndarray:
    """Little-endian; samples that were 16-bit are the same bits again."""
    peak = np.abs(mono).max(initial=0)
    scaled = mono / peak if peak > 1 else mono
    return np.clip(np.rint(scaled * 32768), -32768, 32767).astype("<i2")


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned item: as many bytes as it is long."""
    return pa.binary()


def shape(state: dict[str, Any]) -> tuple[int]:
    """(samples,) of a row of `array`."""
    return (state["length"],)


def array(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as (N, L) int16, zeros after each item's end and for nulls."""
    items = np.zeros((len(column), *shape(state)), DTYPE)
    row = 0
    for chunk in column.chunks:
        for item in chunk:
            if item.is_valid:
                samples = np.frombuffer(item.as_buffer(), "<i2")
                items[row, : len(samples)] = samples
            row += 1
    return items


def form(state: dict[str, Any]) -> dict[str, Any]:
    """What `tensor` gives: maps whose columns are steps in time."""
    return {"kind": "maps", "shape": (1, state["bands"], frames(state)), "steps": "width"}


def statistics(items: np.ndarray, state: dict[str, Any]) -> dict[str, Any]:
    """Sums per band of the log-mel levels of (N, L) int16, in whole `UNIT`s: exact, in any order of the shards."""
    sums = np.zeros((2, state["bands"]), np.int64)
    for item in items:
        levels = np.rint(log_mel(item, state) / UNIT).astype(np.int64)  # (bands, frames)
        sums += levels.sum(1), np.square(levels).sum(1)
    return {"n": len(items) * frames(state), "sum": sums[0].tolist(), "sum2": sums[1].tolist()}


def normalisation(parts: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Mean and standard deviation of each band in decibels, from `statistics` of the train rows."""
    n = sum(p["n"] for p in parts)
    mean = [sum(band) / n * UNIT for band in zip(*(p["sum"] for p in parts), strict=True)]
    square = [sum(band) / n * UNIT**2 for band in zip(*(p["sum2"] for p in parts), strict=True)]
    return {"mean": mean, "std": [max(s - m * m, 1.0) ** 0.5 for m, s in zip(mean, square, strict=True)]}


def tensor(items: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, L) int16 to (N, 1, bands, frames) float32: log-mel levels, normalised band by band."""
    import torch

    mean, std = (torch.tensor(state[key], device=items.device)[:, None] for key in ("mean", "std"))
    return log_mels(items, state).sub_(mean).div_(std)[:, None]


def tensor_mask(x: "torch.Tensor", params: "AugmentAudio", generator: "torch.Generator") -> "torch.Tensor":
    """A run of frames and a run of bands of each (N, 1, bands, frames) at the mean, of random lengths and places.

    Park et al., "SpecAugment", Interspeech 2019, section 2. Random numbers come from a CPU ``generator``.
    """
    import torch

    for axis, share in ((3, params.time_mask), (2, params.band_mask)):
        size = x.shape[axis]
        most = round(share * size)
        if not most:
            continue
        length = torch.randint(0, most + 1, (len(x), 1), generator=generator)
        start = (torch.rand((len(x), 1), generator=generator) * (size - length + 1)).long()
        places = torch.arange(size)
        hidden = ((places >= start) & (places < start + length)).to(x.device)  # (N, size)
        x = x.masked_fill(hidden[:, None, None, :] if axis == 3 else hidden[:, None, :, None], 0.0)
    return x


def augment(
    items: "torch.Tensor", params: "AugmentAudio", mirrored: "torch.Tensor", generator: "torch.Generator"
) -> "torch.Tensor":
    """Each of (N, L) int16 earlier or later, by ``shift`` of the length at most, and with white noise.

    ``noise`` is its deviation as a share of the item's own. Random numbers come from a CPU ``generator``, so that every
    device sees the same augmentation. Sounds are not mirrored.
    """
    import torch
    from torch.nn import functional as F

    n, length = items.shape
    reach = min(round(params.shift * length), length - 1)
    if reach:
        starts = torch.randint(0, 2 * reach + 1, (n,), generator=generator).to(items.device)
        # windows of the padded items are a view: only the chosen ones are copied
        windows = F.pad(items, (reach, reach)).unfold(1, length, 1)  # (N, 2 * reach + 1, L)
        items = windows[torch.arange(n, device=items.device), starts]
    if params.noise:
        sounding = (items != 0).sum(1, keepdim=True).clamp(min=1)  # padding is no part of an item's level
        level = (items.float().square().sum(1, keepdim=True) / sounding).sqrt()
        noise = torch.randn((n, length), generator=generator).to(items.device)
        items = (items + params.noise * level * noise).round().clamp(-32768, 32767).to(torch.int16)
    return items


def flat(items: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """The raw view before it is standardised: (N, L) int16 to (N, F) float32 of `mfcc.statistics`."""
    return (
        np.stack([audio_mfcc.statistics(item, state) for item in items])
        if len(items)
        else np.empty((0, len(names(state))))
    )


def names(state: dict[str, Any]) -> list[str]:
    """What each feature of the raw view is."""
    return audio_mfcc.names(state)


def measured_by(spec: "Input") -> list[str]:
    """Those of `raw_fields` that `measure` asks for."""
    return ["seconds", "level", "clipped", "rate"]


def measure(facts: pa.Table, column: pa.ChunkedArray, spec: "Input", state: dict[str, Any]) -> dict[str, Any]:
    """What a person can say of N sounds."""
    return {
        "seconds": facts["seconds"], "loudness in dB": facts["level"], "rate in Hz": facts["rate"],
        "clipped in %": pc.multiply(facts["clipped"], 100.0),
    }  # fmt: skip


def show(item: bytes | None, row: dict[str, Any], state: dict[str, Any], side: int) -> Shown:
    """Spectrogram and sound of one cleaned item, or of the raw one (its middle) where it was not cleaned."""
    if item is None:
        samples, rate, _ = decode(row[""], 1 << 62)
        whole = _sixteen_bits(_middle(_mono(samples), round(LONGEST * rate)))
        state = analysis(rate, len(whole), 64, 0.025, 0.01)
    else:
        whole = np.frombuffer(item, "<i2")
    padded = np.pad(whole, (0, state["length"] - len(whole)))
    return Shown(picture=spectrogram(log_mel(padded, state), side), sound=_wav(whole, state["rate"]))


def _wav(samples: np.ndarray, rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def describe(facts: pa.Table) -> str:
    """The commonest rates and channels, and how long the sounds are."""
    kinds = Counter(zip(facts["rate"].to_pylist(), facts["channels"].to_pylist(), strict=True))
    mixes = {1: "mono", 2: "stereo"}
    told = [
        f"{rate:,} Hz {mixes.get(channels, f'{channels} channels')} ({n / facts.num_rows:.0%})"
        for (rate, channels), n in kinds.most_common(3)
    ]
    seconds = facts["seconds"].to_numpy()
    return f"{', '.join(told)}, {seconds.min():.3g} to {seconds.max():.3g} s (median {np.median(seconds):.3g})"


MODALITY = Modality(
    raw_kind="statistics",
    raw_words=(
        f"{audio_mfcc.COEFFICIENTS} mel-frequency cepstral coefficients: their means in {audio_mfcc.PARTS} parts, how far they spread "
        "and change; standardised. For speakers that no train row has, dividing each recording by its level first may be better "
        "(FSDD: by 2.8 points)"
    ),
    dtype=DTYPE,
    sandboxed=True,
    raw_fields=raw_fields, settled_by=settled_by, checked=checked, checks=checks, settle=settle,
    column_type=column_type, array=array, shape=shape, form=form, tensor=tensor, augment=augment, show=show,
    describe=describe, admit=admit, item_memory=item_memory, repair=repair, memory=memory, flat=flat, names=names,
    statistics=statistics, normalisation=normalisation, tensor_mask=tensor_mask, measured_by=measured_by,
    measure=measure,
)  # fmt: skip
