"""Where dots and whiskers stand in a cell of a table, in percent of its width."""

from collections.abc import Callable, Sequence

#: From a value to percent of the width.
Place = Callable[[float], float]
#: What a figure of a unit can be, and what the difference of two can.
LIMITS = {"share": (0.0, 1.0), "number": (0.0, float("inf"))}
EDGES = {"share": (-1.0, 1.0), "number": (float("-inf"), float("inf"))}


def scale(values: Sequence[float], limits: tuple[float, float]) -> tuple[Place, tuple[float, float]]:
    """A scale with a margin around ``values`` that stays within ``limits``, and the values at its two ends."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    margin = max((high - low) * 0.1, 0.001 if limits[1] == 1 else abs(high) * 1e-6 or 1e-9)
    low, high = max(low - margin, limits[0]), min(high + margin, limits[1])
    return lambda value: round((value - low) / (high - low) * 100, 2), (low, high)


def balanced(values: Sequence[float], unit: str) -> tuple[Place, tuple[float, float]]:
    """A scale for differences: zero in the middle, so that left and right are seen."""
    span = max(map(abs, values), default=0.0)
    return scale([-span, span], EDGES[unit])


def marks(interval: Sequence[float], middle: float, place: Place) -> dict[str, float]:
    """The ends of a whisker and its dot."""
    return {"low": place(interval[0]), "high": place(interval[1]), "middle": place(middle)}
