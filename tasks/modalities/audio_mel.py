"""Log-mel spectrograms: a filter bank, and the same frames in numpy (float64, one item at a time) and in torch.

A state holds ``rate`` in hertz and, in samples, ``length``, ``window``, ``hop`` and ``fft``; and ``bands``. Frame t is
centred on sample t * hop, with zeros beyond the ends; levels are decibels of full scale, `FLOOR` at least.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from scipy import sparse

#: Decibels that stand for silence: about the rounding noise of 16 bits in one band.
FLOOR = -100.0
#: Of Slaney's mel scale: hertz a mel below the break, the break, and the ratio from one mel to the next above it.
LINEAR, BREAK, RATIO = 200 / 3, 1000.0, 6.4 ** (1 / 27)
#: Frames of a spectrogram at least, however short its items.
MIN_FRAMES = 8
MAX_FFT = 1 << 16
#: Numbers of a spectrum that are made at a time, by torch.
VALUES = 1 << 26


def analysis(rate: int, length: int, bands: int, window: float, hop: float) -> dict[str, int]:
    """The part of a state that says how frames are cut, for items of ``length`` samples.

    Args:
        window, hop: seconds of a frame, and from one frame to the next; less where items are short.
    """
    samples = max(round(window * rate), 8)
    fft = 1 << (samples - 1).bit_length()
    # a filter narrower than the distance of two lines of the spectrum could fall between them
    while fft < MAX_FFT and not (filters(rate, fft, bands) > 0).any(1).all():
        fft *= 2
    step = max(min(round(hop * rate), length // MIN_FRAMES), 1)
    return {"rate": rate, "length": length, "bands": bands, "window": samples, "hop": step, "fft": fft}


def frames(state: dict[str, Any]) -> int:
    """Frames of one item."""
    return 1 + int(state["length"]) // int(state["hop"])


@lru_cache(maxsize=64)
def filters(rate: int, fft: int, bands: int) -> np.ndarray:
    """(bands, fft // 2 + 1) float64 triangles of area one, evenly spaced in mels from 0 Hz to half the rate.

    Mel scale and areas as in M. Slaney, "Auditory Toolbox", Interval Research TR 1998-010.
    """
    ends = _hertz(np.linspace(0, _mels(rate / 2), bands + 2))
    lines = np.arange(fft // 2 + 1) * rate / fft
    up = (lines - ends[:-2, None]) / np.diff(ends)[:-1, None]
    down = (ends[2:, None] - lines) / np.diff(ends)[1:, None]
    triangles = np.maximum(np.minimum(up, down), 0)
    # per line of the spectrum: noise of one power comes to one level in every band
    return triangles * (2 / (ends[2:] - ends[:-2]) * rate / fft)[:, None]


def _mels(hertz: float) -> float:
    return hertz / LINEAR if hertz < BREAK else float(BREAK / LINEAR + np.log(hertz / BREAK) / np.log(RATIO))


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < BREAK / LINEAR, mels * LINEAR, BREAK * RATIO ** (mels - BREAK / LINEAR))


@lru_cache(maxsize=64)
def _window(window: int, fft: int) -> np.ndarray:
    """A periodic Hann window of sum one, in the middle of ``fft`` zeros (Harris, Proceedings of the IEEE 66, 1978)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    before = (fft - window) // 2
    return np.pad(hann / hann.sum(), (before, fft - window - before))


def log_mel(item: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """One item (L,) int16 as (bands, frames) float64 decibels."""
    padded = np.pad(item.astype(np.float64) / 32768, state["fft"] // 2)
    cut = np.lib.stride_tricks.sliding_window_view(padded, state["fft"])[:: state["hop"]]
    spectrum = np.fft.rfft(cut * _window(state["window"], state["fft"]))  # (frames, fft // 2 + 1)
    power = spectrum.real**2 + spectrum.imag**2
    bank = _sparse(state["rate"], state["fft"], state["bands"])
    return 10 * np.log10(np.maximum(bank @ power.T, 10 ** (FLOOR / 10)))


@lru_cache(maxsize=64)
def _sparse(rate: int, fft: int, bands: int) -> "sparse.csr_array":
    """`filters`, of which a line of the spectrum is in two at most; and no threads are started for so little."""
    from scipy import sparse

    return sparse.csr_array(filters(rate, fft, bands))


def log_mels(items: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, L) int16 on any device to (N, bands, frames) float32 decibels; each item's values depend on it alone."""
    import torch

    bank, window = _on(state["rate"], state["fft"], state["bands"], state["window"], items.device)
    rows = max(1, VALUES // (frames(state) * (state["fft"] // 2 + 1)))
    parts = []
    # in full precision, also where training is in half of it: powers span ten orders of magnitude
    with torch.autocast(items.device.type, enabled=False):
        for part in items.split(rows):
            spectrum = torch.stft(
                part.float() / 32768,
                state["fft"],
                state["hop"],
                window=window,
                pad_mode="constant",
                return_complex=True,
            )
            power = torch.view_as_real(spectrum).square().sum(-1)  # (n, fft // 2 + 1, frames)
            mels = torch.bmm(bank.expand(len(part), -1, -1), power)
            parts.append(mels.clamp_(min=10 ** (FLOOR / 10)).log10_().mul_(10))
    return torch.cat(parts) if len(parts) != 1 else parts[0]


@lru_cache(maxsize=64)
def _on(rate: int, fft: int, bands: int, window: int, device: "torch.device") -> "tuple[torch.Tensor, torch.Tensor]":
    """Filters (bands, fft // 2 + 1) and window (fft,) as float32 on ``device``."""
    import torch

    with torch.inference_mode(False):  # they outlive the caller, who may be in it
        bank, hann = (torch.from_numpy(x).float().to(device) for x in (filters(rate, fft, bands), _window(window, fft)))
    return bank, hann
