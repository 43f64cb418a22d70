"""Files that went wrong on their way."""

from collections.abc import Sequence

import numpy as np


def mutated(data: bytes, rng: np.random.Generator, head: int) -> bytes:
    """``data`` with bits flipped, cut short, a piece of it twice or elsewhere, or its first ``head`` bytes rewritten."""
    found = bytearray(data)
    a, b = sorted(int(i) for i in rng.integers(0, len(data), 2))
    match int(rng.integers(6)):
        case 0:
            for place in rng.integers(0, len(data), int(rng.integers(1, 30))):
                found[place] ^= 1 << int(rng.integers(8))
        case 1:
            del found[a:]
        case 2:
            found[b:b] = found[a:b]
        case 3:
            found[a:a] = rng.bytes(int(rng.integers(1, 64)))
        case 4:
            for place in rng.integers(0, min(len(data), head), int(rng.integers(1, 6))):
                found[place] = int(rng.integers(256))
        case _:  # a number in the head becomes as large or small as it can be
            place = int(rng.integers(min(len(data), head)))
            found[place : place + 4] = [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"][
                int(rng.integers(4))
            ]
    return bytes(found)


def damaged(data: bytes, rng: np.random.Generator, others: Sequence[bytes], head: int = 160) -> bytes:
    """``data`` as `mutated` has it, or with a stretch zeroed or gone, or with the head of one of ``others``."""
    kind = int(rng.integers(5))
    a, b = sorted(int(i) for i in rng.integers(0, len(data) + 1, 2))
    if kind == 0:
        return data[:a] + bytes(b - a) + data[b:]
    if kind == 1:
        return data[:a] + data[b:]
    if kind == 2:
        size = int(rng.integers(1, 64))
        return others[int(rng.integers(len(others)))][:size] + data[size:]
    return mutated(data, rng, head)
