"""Sound files that nobody vouches for, decoded with libsndfile: a fixed list of formats, sizes checked beforehand."""

import io
import struct
from typing import Any

import numpy as np

from tasks.core.errors import Unreadable

#: A fixed list, by how a file begins: a decoder that nobody needs is only a way in for hostile files.
FORMATS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG"}
#: And of how samples are coded, each with the largest level that a sample of its kind can have.
FULL_SCALE = {
    "PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "PCM_16": 32767 / 32768, "PCM_24": 32767 / 32768, "PCM_32": 32767 / 32768,
    "FLOAT": 32767 / 32768, "DOUBLE": 32767 / 32768, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768,
    "VORBIS": 32767 / 32768, "OPUS": 32767 / 32768,
}  # fmt: skip
#: Samples a second that anything records in.
RATES = 1_000, 768_000
#: Sizes that a WAV has in its header while its writer cannot know how long it will be: it came through a pipe.
STREAMED = 0xFFFFFFFF
#: What libsndfile says of a FLAC whose header leaves the length open.
UNKNOWN = 1 << 62
#: Samples decoded at a time, so that a header alone can claim no memory.
BLOCK = 1 << 18


def decode(data: bytes, max_samples: int) -> tuple[np.ndarray, int, str]:
    """Samples (frames, channels) float32 with full scale at one, hertz, and the coding (one of `FULL_SCALE`).

    Raises:
        Unreadable: no sound of a known format, more samples than ``max_samples`` (of all channels together, by what
            the header says, before anything is decoded), cut short, broken, or samples that are not numbers.
    """
    import soundfile  # not on every machine that trains

    kind = FORMATS.get(data[:4])
    if kind is None or (kind == "WAV" and data[8:12] != b"WAVE"):
        raise Unreadable("not a sound", f"none of {', '.join(FORMATS.values())}")
    if kind == "WAV":
        _check_wav(data, max_samples)
    if kind == "OGG":
        _check_ogg(data)
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            file.seekable = lambda: False  # else it seeks after every read, which needs the length to be known
            samples = _samples(file, kind, max_samples)
            rate, coding = file.samplerate, file.subtype
    except (soundfile.SoundFileError, ValueError, OSError, ArithmeticError) as error:
        raise Unreadable("broken sound", _words(error)) from None
    if not samples.size:
        raise Unreadable("no samples", "the recording is empty")
    if not np.isfinite(samples).all():
        raise Unreadable("samples that are not numbers", f"{int((~np.isfinite(samples)).sum()):,} NaN or infinite")
    return samples, rate, coding


class _Bytes(io.BytesIO):
    """Bytes to be read by C code, which may seek to where nothing is: an exception could not pass through it."""

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self.tell(), self.getbuffer().nbytes)[whence]
        return super().seek(max(start + offset, 0))


def _check_wav(data: bytes, max_samples: int) -> None:
    """What the header claims against what is there; libsndfile takes in silence what it finds."""
    at, width = 12, 1
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt " and at + 16 <= len(data):
            channels, frame = struct.unpack_from("<2xH8xH", data, at)
            width = max(frame // max(channels, 1), 1)
        if name == b"data":
            if size != STREAMED:
                _check_size(size // width, max_samples)
                if size > len(data) - at:
                    raise Unreadable("cut short", f"{len(data) - at:,} of {size:,} bytes of samples")
            return
        at += size + size % 2


def _check_ogg(data: bytes) -> None:
    """Whether the last page is whole (RFC 3533): without one libsndfile finds no length, or a shorter one."""
    at = data.rfind(b"OggS")
    count = data[at + 26] if at + 26 < len(data) else 256  # more than a page may have
    sizes = data[at + 27 : at + 27 + count]
    if len(sizes) < count or at + 27 + count + sum(sizes) > len(data):
        raise Unreadable("cut short", "its last page is incomplete")


def _check_size(samples: int, max_samples: int) -> None:
    if samples > max_samples:
        raise Unreadable("too many samples", f"{samples:,}, over {max_samples:,}")


def _samples(file: Any, kind: str, max_samples: int) -> np.ndarray:
    """All samples of an opened file, after what its header says was checked."""
    if file.format not in (kind, f"{kind}EX") or file.subtype not in FULL_SCALE:
        raise Unreadable("not a sound", f"{file.format} with {file.subtype}, which is not decoded")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise Unreadable("sample rate out of bounds", f"{file.samplerate:,} Hz")
    if file.frames < UNKNOWN:
        _check_size(file.frames * file.channels, max_samples)
    parts, count = [np.empty((0, file.channels), np.float32)], 0
    while len(part := file.read(max(BLOCK // file.channels, 1), "float32", always_2d=True)):
        parts.append(part)
        count += part.size
        _check_size(count, max_samples)
    frames = count // file.channels
    if frames < file.frames < UNKNOWN:
        raise Unreadable("cut short", f"{frames:,} of {file.frames:,} samples")
    return np.concatenate(parts)


def _words(error: Exception) -> str:
    """What libsndfile says, without the object that it was reading from."""
    return str(getattr(error, "error_string", "") or error)
