"""Small sounds and the files that hold them."""

from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile


def tone(hertz: float = 440.0, seconds: float = 0.5, rate: int = 8000, level: float = 0.5) -> np.ndarray:
    """A sine (frames,) float64."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def noise(seed: int, frames: int = 4000, channels: int = 1, level: float = 0.1) -> np.ndarray:
    """White noise (frames, channels) float64, the same for the same seed."""
    return level * np.random.default_rng(seed).standard_normal((frames, channels))


def encode(samples: np.ndarray, rate: int = 8000, form: str = "WAV", coding: str = "PCM_16") -> bytes:
    """Samples (frames,) or (frames, channels) as a sound file's bytes."""
    buffer = BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=coding)
    return buffer.getvalue()


def write_sound(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    """``samples`` as a WAV at ``path``, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(samples, rate))
    return path


def class_folders(root: Path, hertz: dict[str, float], each: int = 10, seed: int = 0) -> Path:
    """``each`` different tones in noise of every class, in a folder of its own."""
    rng = np.random.default_rng(seed)
    for label, pitch in hertz.items():
        for i in range(each):
            samples = tone(pitch * rng.uniform(0.95, 1.05), rng.uniform(0.3, 0.5), level=rng.uniform(0.2, 0.6))
            write_sound(root / label / f"{i:02d}.wav", samples + 0.02 * rng.standard_normal(len(samples)))
    return root
