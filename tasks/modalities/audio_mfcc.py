"""Statistics of mel-frequency cepstral coefficients: what a recording sounds like, part by part, in about 140 numbers."""

from itertools import pairwise
from typing import Any

import numpy as np

from tasks.modalities.audio_mel import log_mel

#: Coefficients of each frame, and parts of equal length that a recording is cut into. On 1,500 spoken digits, with two
#: of six speakers held out, a kernel machine is right on 86.0 % by these, on 68.4 % by statistics of the whole alone,
#: and on 28.0 % by principal components of the spectrogram; with the same speakers on 99.3, 99.0 and 97.0 %.
COEFFICIENTS, PARTS = 20, 5


def statistics(item: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """(F,) of one item (L,) int16, silence after its end left out: see `names`."""
    from scipy.fft import dct

    sounding = np.flatnonzero(item)
    size = int(sounding[-1]) + 1 if len(sounding) else 0
    frames = max(-(-size // state["hop"]), PARTS)
    found = dct(log_mel(item, state), axis=0, norm="ortho")[: _count(state), :frames]  # (C, frames)
    edges = np.linspace(0, found.shape[1], PARTS + 1).astype(int)
    means = [found[:, a : max(b, a + 1)].mean(1) for a, b in pairwise(edges.tolist())]
    change = np.diff(found, axis=1) if found.shape[1] > 1 else np.zeros_like(found)
    return np.concatenate([*means, found.std(1), change.std(1), [size / state["rate"]]]).astype(np.float32)


def names(state: dict[str, Any]) -> list[str]:
    """What each of `statistics` is: means of each part, deviations of the values and of their changes, seconds."""
    count = range(_count(state))
    means = [f"mfcc {c} in part {part} of {PARTS}" for part in range(1, PARTS + 1) for c in count]
    return [*means, *(f"mfcc {c} spread" for c in count), *(f"mfcc {c} change" for c in count), "seconds"]


def _count(state: dict[str, Any]) -> int:
    return min(COEFFICIENTS, int(state["bands"]))
