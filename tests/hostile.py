"""Files that went wrong on their way."""

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
