"""Sounds inside the page: small, as a page of many would else be too large to send."""

import base64
from collections.abc import Sequence
from io import BytesIO

import numpy as np

#: Samples a second and seconds of a sound in the page at most; 16 bits each.
RATE, SECONDS = 8000, 10.0
#: Sounds in one page at most, and what they may come to in bytes before they are cut shorter, to `SHORTEST` seconds.
MOST, BYTES, SHORTEST = 120, 3_000_000, 2.0


def embed(wavs: Sequence[bytes]) -> tuple[list[str], float]:
    """The first `MOST` WAV files as data URIs, mono and small, and the seconds that a sound has at most."""
    read = [samples(wav) for wav in wavs[:MOST]]
    seconds = SECONDS
    if sum(2 * len(mono) for mono, _ in read) > BYTES:
        seconds = max(SHORTEST, BYTES / (2 * RATE * len(read)))
    return [_uri(mono[: int(rate * seconds)], rate) for mono, rate in read], seconds


def samples(wav: bytes) -> tuple[np.ndarray, int]:
    """(L,) float32 mono samples of at most `SECONDS` and of at most `RATE` a second, and their rate."""
    import soundfile
    from scipy.signal import resample_poly

    with soundfile.SoundFile(BytesIO(wav)) as file:
        rate = file.samplerate
        mono = file.read(int(rate * SECONDS), dtype="float32", always_2d=True).mean(1)  # (L,)
    if rate <= RATE:
        return mono, rate
    factor = np.gcd(rate, RATE)
    return resample_poly(mono, RATE // factor, rate // factor).astype(np.float32), RATE


def _uri(mono: np.ndarray, rate: int) -> str:
    import soundfile

    buffer = BytesIO()
    soundfile.write(buffer, np.clip(mono, -1, 1), rate, subtype="PCM_16", format="WAV")
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"
