"""Numbers and lists as a person reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


#: Coverage of intervals: the default of `evaluate.confidence`. Here, as no stage reads `config` when it runs.
CONFIDENCE = 0.95


def enumerated(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def many(n: int, one: str, more: str) -> str:
    """`1 row`, `2,000 rows`: a number with the word for one or for more."""
    return f"{n:,} {one if n == 1 else more}"


def percent(share: float) -> str:
    """0.98123 -> "98.1 %", 0.00193 -> "0.19 %"; never "100.0 %" for less than all, nor "0.0 %" for some."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if 0 < share < 0.00005:
        return "under 0.01 %"
    if 0.99995 <= share < 1:
        return "over 99.99 %"
    return f"{share * 100:.{2 if share < 0.01 or share >= 0.9995 else 1}f} %"


def plain(values: "np.ndarray") -> list[float]:
    """Numbers of six digits, for a page."""
    return [float(f"{v:.6g}") for v in values]
