"""Confidence intervals: a value, its two ends and the name of the method; those of proportions and of bootstrap draws."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

#: Names of the methods, as they are called in the field.
WILSON, NEWCOMBE, CLOPPER_PEARSON = "Wilson", "Newcombe", "Clopper-Pearson"
BOOTSTRAP, DELONG, WELCH = "percentile bootstrap", "DeLong", "Welch"
T, T_OVER_GROUPS = "t", "t over groups, cluster-robust"
WILSON_OVER_GROUPS = "Wilson, at the effective sample size of the groups"
NADEAU_BENGIO = "t over fold means, Nadeau-Bengio corrected"


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        value: the estimate itself.
        low, high: the ends.
        method: what made it, so that no text names another method.
    """

    value: float
    low: float
    high: float
    method: str

    @property
    def crosses_zero(self) -> bool:
        """Whether zero lies inside, so that the sign of the value is not known."""
        return self.low <= 0 <= self.high

    def __neg__(self) -> "Interval":
        return Interval(-self.value, -self.high, -self.low, self.method)

    def clipped(self, low: float, high: float) -> "Interval":
        """The same with no end outside of [``low``, ``high``]."""
        return Interval(self.value, max(self.low, low), min(self.high, high), self.method)

    def as_json(self) -> list[float]:
        """[low, high]: files hold the value and the method beside it."""
        return [self.low, self.high]


def methods(sections: Iterable[Any]) -> dict[str, str]:
    """Which method made the intervals of ``sections`` (dicts or dataclasses), by key; one inside `auc` is `auc_interval`.

    >>> methods([{"accuracy": 0.8, "interval": wilson(8, 10, 0.95)}])
    {'interval': 'Wilson'}
    """
    found: dict[str, dict[str, None]] = {}
    for section in sections:
        for key, value in _items(section):
            nested = ((f"{key}_{k}" if k == "interval" else k, v) for k, v in _items(value))
            for name, one in [(key, value), *nested]:
                if isinstance(one, Interval):
                    found.setdefault(name, {})[one.method] = None
    return {name: " or ".join(made) for name, made in found.items()}


def wilson(hits: int, n: int, confidence: float) -> Interval:
    """Wilson's (1927) score interval of the proportion ``hits`` / ``n``.

    >>> interval = wilson(8, 10, 0.95)
    >>> interval.value, round(interval.low, 3), round(interval.high, 3), interval.method
    (0.8, 0.49, 0.943, 'Wilson')
    """
    interval = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return Interval(hits / n, float(interval.low), float(interval.high), WILSON)


def newcombe(hits: int, n: int, other_hits: int, m: int, confidence: float) -> Interval:
    """A proportion minus that of other rows, with the interval that Wilson's two make (Newcombe 1998, method 10).

    >>> interval = newcombe(56, 70, 48, 80, 0.95)
    >>> round(interval.value, 3), round(interval.low, 4), round(interval.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    one, two = wilson(hits, n, confidence), wilson(other_hits, m, confidence)
    p, q = hits / n, other_hits / m
    down, up = float(np.hypot(p - one.low, two.high - q)), float(np.hypot(one.high - p, q - two.low))
    return Interval(p - q, p - q - down, p - q + up, NEWCOMBE).clipped(-1.0, 1.0)


def percentiles(value: float, draws: np.ndarray, confidence: float) -> Interval:
    """The percentile interval of ``value`` from (R,) bootstrap draws of it (Efron and Tibshirani 1993, chapter 13).

    >>> interval = percentiles(0.5, np.linspace(0, 1, 101), 0.9)
    >>> round(interval.low, 2), round(interval.high, 2), interval.method
    (0.05, 0.95, 'percentile bootstrap')
    """
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), BOOTSTRAP)


def _items(section: Any) -> Iterable[tuple[str, Any]]:
    if is_dataclass(section) and not isinstance(section, Interval):
        return ((field.name, getattr(section, field.name)) for field in fields(section))
    return section.items() if isinstance(section, dict) else ()
