"""Whatever may lie in a folder of sounds: the audio catalogue, and files mutated at random."""

import struct
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

from tasks.config.ingest import Ingest
from tasks.config.source import Input
from tasks.config.validate import ValidAudio
from tasks.modalities import audio
from tasks.sources import Unreadable
from tests.fixtures.hostile import mutated
from tests.fixtures.sounds import encode, noise, tone

SPEC = Input(modality="audio")
INGEST = Ingest(max_samples=1_000_000)
STATE = {"rate": 8000, "length": 4000, "trim": 30.0}
GOOD = [
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
]  # fmt: skip


def verdict(data: bytes) -> str:
    """What becomes of a file: why it is unreadable, what validate says of it, or `accepted`."""
    try:
        facts, kept = audio.admit(data, INGEST)
    except Unreadable as error:
        return error.reason
    for _, arguments, action, reason in audio.checks(SPEC, ValidAudio()):
        value = facts[arguments["column"]]
        if not arguments.get("min_value", -np.inf) <= value <= arguments.get("max_value", np.inf):
            return f"{action}: {reason}"
    assert len(audio.repair(kept, STATE)) <= 2 * STATE["length"]
    return "accepted"


def wav(data: bytes, size: int | None = None, rate: int = 8000, coding: int = 1, channels: int = 1) -> bytes:
    """A WAV as it says of itself: ``size`` bytes of samples of 16 bits."""
    head = struct.pack("<HHIIHH", coding, channels, rate, rate * 2 * channels, 2 * channels, 16)
    size = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flac(length: int) -> bytes:
    """A good FLAC whose header claims ``length`` samples."""
    data = bytearray(encode(noise(1), form="FLAC"))
    data[21] = data[21] & 0xF0 | length >> 32
    data[22:26] = (length & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


@cache
def catalogue() -> dict[str, tuple[bytes, str]]:
    good = encode(noise(0))
    samples = good[44:]
    loud = np.clip(noise(2, level=1.0), -1, 1)
    holes = noise(3)
    holes[7] = np.nan
    endless = noise(4)
    endless[9] = np.inf
    return {
        "zero length": (encode(np.zeros((0, 1))), "no samples"),
        "no bytes": (b"", "not a sound"),
        "one sample": (encode(noise(0, 1)), "reject: too short"),
        "10 ms": (encode(tone(seconds=0.01)), "reject: too short"),
        "silence": (encode(np.zeros(4000)), "reject: silence"),
        "silence as both channels cancel": (encode(noise(5) * [1, -1]), "reject: silence"),
        "faint": (encode(noise(5, level=1e-4), coding="PCM_24"), "reject: silence"),
        "clipped": (encode(loud), "warn: clipped"),
        "other rate": (encode(noise(6), 44_100), "accepted"),
        "odd rate": (encode(noise(6), 44_099), "accepted"),
        "stereo": (encode(noise(7, channels=2)), "accepted"),
        "eight channels": (encode(noise(8, channels=8)), "accepted"),
        "NaN": (encode(holes, coding="FLOAT"), "samples that are not numbers"),
        "infinite": (encode(endless, coding="DOUBLE"), "samples that are not numbers"),
        "beyond full scale": (encode(noise(9, level=2.0), coding="FLOAT"), "warn: clipped"),
        "a claim of 10^9 samples": (wav(samples, 2 * 10**9), "too many samples"),
        "a claim of 10^9 samples, FLAC": (flac(10**9), "too many samples"),
        "a claim of 2^36 samples": (flac(2**36 - 1), "too many samples"),
        "a claim just under the cap": (wav(samples, 2 * 999_999), "cut short"),
        "too many channels": (wav(samples, 2 * 1_000_001, channels=500), "too many samples"),
        "really too long": (encode(np.zeros(1_000_001, np.int16)), "too many samples"),
        "a small file of many samples": (encode(np.zeros(1_000_001, np.int16), form="FLAC"), "too many samples"),
        "length left open, FLAC": (flac(0), "accepted"),
        "length left open, WAV": (wav(samples, 0xFFFFFFFF), "accepted"),
        "cut": (good[: len(good) // 2], "cut short"),
        "cut, FLAC": (encode(noise(0), form="FLAC")[:3000], "broken sound"),
        "cut, OGG": (encode(noise(0), form="OGG", coding="VORBIS")[:-100], "cut short"),
        "header alone": (good[:30], "broken sound"),
        "corrupt header": (good[:12] + bytes(32) + samples, "broken sound"),
        "no rate": (wav(samples, rate=0), "broken sound"),
        "a rate of 2 GHz": (wav(samples, rate=2_000_000_000), "sample rate out of bounds"),
        "a rate of 1 Hz": (wav(samples, rate=1), "sample rate out of bounds"),
        "no channels": (wav(samples, channels=0), "broken sound"),
        "a page": (b"<!doctype html><title>404</title>", "not a sound"),
        "an AVI": (b"RIFF\0\0\0\0AVI LIST", "not a sound"),
        "AIFF": (encode(noise(0), form="AIFF"), "not a sound"),
        "ADPCM": (encode(noise(0), coding="IMA_ADPCM"), "not a sound"),
        "MATLAB": (encode(noise(0), form="MAT5"), "not a sound"),
        **{f"good {form} {coding}": (encode(noise(0), form=form, coding=coding), "accepted") for form, coding in GOOD},
    }  # fmt: skip


@pytest.mark.parametrize("name", catalogue())
def test_the_catalogue(name: str) -> None:
    data, expected = catalogue()[name]
    assert verdict(data) == expected


@pytest.mark.parametrize(("form", "coding"), GOOD)
def test_mutated_bytes_raise_nothing_but_unreadable(form: str, coding: str, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(GOOD.index((form, coding)))
    data = encode(noise(0, 1500, channels=2), form=form, coding=coding)
    seen: Counter[str] = Counter()
    for _ in range(120):
        seen[verdict(mutated(data, rng, 60))] += 1
    assert sum(n for reason, n in seen.items() if reason != "accepted") > 30, seen
    assert seen["broken sound"] + seen["cut short"], seen
    assert capfd.readouterr() == ("", "")  # no exception was swallowed on its way through C code


def test_a_damaged_flac_never_decodes_to_something_else() -> None:
    rng = np.random.default_rng(0)
    data = encode(noise(0), form="FLAC")
    whole = audio.admit(data, INGEST)[0]["content"]
    found: list[Any] = []
    for place in rng.integers(100, len(data), 100):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        try:
            found.append(audio.admit(bytes(flipped), INGEST)[0]["content"])
        except Unreadable:
            found.append(None)
    assert set(found) <= {None, whole}
    assert found.count(None) > 80
