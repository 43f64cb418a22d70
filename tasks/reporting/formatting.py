"""Numbers and names as a person reads them; the filters of the templates."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from tasks.core import text

#: What stands where nothing was recorded.
NONE = "–"
#: First strong isolate and its end: keep the direction of foreign text inside it, where `<bdi>` cannot stand.
ISOLATE, END = "\u2068", "\u2069"


def percent(share: float | None) -> str:
    """As `tasks.core.text.percent`; NONE where it is none."""
    return NONE if share is None else text.percent(share)


def confidence(share: float) -> str:
    """0.95 -> "95 %", 0.999 -> "99.9 %"."""
    return f"{share * 100:.4g} %"


def interval(bounds: Sequence[float]) -> str:
    """[0.983, 0.995] -> "98.3 to 99.5 %"."""
    return f"{bounds[0] * 100:.1f} to {bounds[1] * 100:.1f} %"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    if difference is None:
        return NONE
    text = f"{difference * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def count(n: int | None) -> str:
    """5000 -> "5,000"."""
    return NONE if n is None else f"{n:,}"


def rate(value: float | None) -> str:
    """2069.4 -> "2,069", 3.21 -> "3.2"."""
    return NONE if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def number(value: float | None) -> str:
    """Two decimals, which is what a score between -1 and 1 bears."""
    return NONE if value is None else f"{value:.2f}".replace("-", "−")


def figure(value: float | None, unit: str) -> str:
    """A share as `percent`; another number with four significant digits."""
    return percent(value) if unit == "share" else significant(value)


def bounds(ends: Sequence[float] | None, unit: str) -> str:
    """[low, high] as `interval` for shares, else two numbers."""
    if ends is None:
        return NONE
    return interval(ends) if unit == "share" else f"{significant(ends[0])} to {significant(ends[1])}"


def change(difference: float | None, unit: str) -> str:
    """A signed difference: points of shares, else a number."""
    if difference is None or unit == "share":
        return points(difference)
    text = significant(difference, 3)
    return f"+{text}" if difference > 0 else text


def significant(value: float | None, digits: int = 4) -> str:
    """1461.49 -> "1,461", 0.43174 -> "0.4317", 1.2e-07 -> "1.2e−07"; NONE where it is none."""
    if value is None or not math.isfinite(value):
        return NONE
    rounded = float(f"{value:.{digits}g}")
    whole = abs(rounded) >= 10 ** (digits - 1)
    text = f"{rounded:,.0f}" if whole and abs(rounded) < 1e12 else f"{rounded:.{digits}g}"
    return "0" if rounded == 0 else text.replace("-", "−")


def seconds(value: float | None) -> str:
    """3.42 -> "3.4 s", 400 -> "6 min 40 s"."""
    if value is None:
        return NONE
    if value < 100:
        return "< 0.1 s" if value < 0.05 else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bdi(text: Any) -> Markup:
    """What a person wrote, escaped and with its own direction of writing."""
    return Markup("<bdi>{}</bdi>").format(NONE if text is None or text == "" else text)


def isolated(text: Any) -> str:
    """The same for attributes, where no element can stand."""
    return f"{ISOLATE}{text}{END}"


def cut(text: Any, length: int) -> str:
    """At most ``length`` characters of ``text``, the last "…" where some are left out."""
    whole = str(text)
    return whole if len(whole) <= length else whole[: length - 1] + "…"


def flatten(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as (dotted key, text) pairs, in the order and the spelling of params.yaml."""
    pairs = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            pairs += flatten(inner, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", _plain(inner)))
    return pairs


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(_plain(v) for v in value)}]"
    return "{}" if value == {} else str(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": percent, "confidence": confidence, "interval": interval, "count": count, "number": number,
    "seconds": seconds, "rate": rate, "figure": figure, "bounds": bounds, "change": change,
    "significant": significant, "bdi": bdi, "isolated": isolated, "cut": cut, "flatten": flatten,
}  # fmt: skip
