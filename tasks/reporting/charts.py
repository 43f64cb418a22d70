"""Small charts as inline SVG: curves, dots and bars in a frame with ticks, which print and need no script."""

import math
from collections.abc import Sequence
from typing import Any

from tasks.reporting.formatting import significant

WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 8, 40
#: Colours that the style sheet has.
COLOURS = 8

Point = Sequence[float]
Ends = tuple[float, float]


def chart(
    x: Ends, y: Ends, across: str, up: str, *, lines: Sequence[dict[str, Any]] = (), dots: Sequence[Point] = (),
    bars: Sequence[tuple[float, float, float]] = (), guide: tuple[Point, Point] | None = None, shares: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Positions in a picture of `WIDTH` by `HEIGHT`.

    Args:
        x, y: values at the ends of the axes; ``across`` and ``up`` say what they are.
        lines: `points` in values, a `colour` from 0, and perhaps `ends` (low and high of each point), `strong`, `marks`.
        bars: from, to and height.
        guide: the ends of a thin line, as a diagonal.
        shares: which axes are percentages, of the letters x and y.
    """

    def place(point: Point) -> tuple[float, float]:
        a, b = ((min(max(v, low), high) - low) / (high - low) for v, (low, high) in zip(point, (x, y), strict=True))
        return round(LEFT + a * (WIDTH - LEFT - RIGHT), 1), round(HEIGHT - BOTTOM - b * (HEIGHT - TOP - BOTTOM), 1)

    drawn = [
        {
            "path": " ".join(f"{a},{b}" for a, b in map(place, line["points"])), "colour": line["colour"] % COLOURS,
            "strong": line.get("strong", False), "marks": list(map(place, line["points"])) if line.get("marks") else [],
            "whiskers": [
                (*place((p[0], low)), place((p[0], high))[1])
                for p, (low, high) in zip(line["points"], line.get("ends", ()), strict=False)
            ],
        }
        for line in lines
    ]  # fmt: skip
    ground = place((x[0], y[0]))[1]
    boxes = []
    for low, high, tall in bars:
        (left, top), (right, _) = place((low, tall)), place((high, tall))
        boxes.append({"x": left, "y": top, "width": round(right - left, 1), "height": round(ground - top, 1)})
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM,
        "across": across, "up": up, "lines": drawn, "dots": list(map(place, dots)), "bars": boxes,
        "guide": [place(p) for p in guide] if guide else [],
        "x_ticks": [(place((v, y[0]))[0], _tick(v, "x" in shares)) for v in ticks(*x)],
        "y_ticks": [(place((x[0], v))[1], _tick(v, "y" in shares)) for v in ticks(*y)],
    }  # fmt: skip


def ticks(low: float, high: float) -> list[float]:
    """Three to six round values between ``low`` and ``high``."""
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(step * k for k in (1, 2, 2.5, 5, 10) if (high - low) / (step * k) <= 5.5)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def spanned(values: Sequence[float], share: float = 0.05) -> Ends:
    """The ends of an axis that holds ``values`` with some room."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


def _tick(value: float, share: bool) -> str:
    return f"{value * 100:.3g} %" if share else significant(value, 3)
