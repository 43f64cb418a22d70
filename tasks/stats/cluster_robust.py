"""Intervals where rows come in groups (the recordings of one speaker): rows of one group do not count as independent."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

#: With fewer groups than this a page says that intervals rest on few.
FEW = 20


#: What the methods here are called.
T, T_OVER_GROUPS, WILSON_OVER_GROUPS = "t", "t over groups of rows", "Wilson's, of as many rows as the groups are worth"


class Interval(list[float]):
    """[low, high], which knows the name of the ``method`` that made it, so that no page names another."""

    def __init__(self, ends: Iterable[float], method: str = "") -> None:
        super().__init__(float(end) for end in ends)
        self.method = method


def methods(entries: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What the intervals of ``entries`` were made by, by their keys; one inside `auc` is called `auc_interval`."""
    made: dict[str, dict[str, None]] = {}
    for entry in entries:
        for key, value in entry.items():
            inner = value.items() if isinstance(value, dict) else ()
            for name, one in [(key, value), *((f"{key}_{k}" if k == "interval" else k, v) for k, v in inner)]:
                if isinstance(one, Interval):
                    made.setdefault(name, {})[one.method] = None
    return {name: " or ".join(told) for name, told in made.items()}


def codes(groups: np.ndarray) -> np.ndarray:
    """(N,) numbers of ``groups`` (text); each row with none ("") is a group of its own."""
    named = groups != ""
    found = np.empty(len(groups), np.int64)
    names, found[named] = np.unique(groups[named], return_inverse=True)
    found[~named] = len(names) + np.arange(int((~named).sum()))
    return found


def sums(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(G,) sums of (N,) ``values`` by group."""
    return np.bincount(groups, weights=values)


def error(values: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of the mean of (N,) ``values``, robust to what rows of one group share (Liang and Zeger 1986)."""
    spread = sums(values - values.mean(), groups)
    count = len(spread)
    return float(np.sqrt(count / (count - 1) * (spread**2).sum())) / len(values)


def mean(values: np.ndarray, groups: np.ndarray, confidence: float) -> tuple[Interval, float]:
    """[low, high] of the mean of (N,) ``values``, and the p-value that it is zero; G - 1 degrees of freedom.

    Few groups are few facts: the t distribution is what Cameron and Miller (2015) advise there. A bootstrap of the
    groups gives too short intervals with less than about 30.
    """
    middle, spread, free = float(values.mean()), error(values, groups), len(np.unique(groups)) - 1
    method = T if free + 1 == len(values) else T_OVER_GROUPS
    if spread <= 1e-12 * max(abs(middle), 1e-300):
        return Interval((middle, middle), method), 1.0 if middle == 0 else 0.0
    half = float(student.ppf((1 + confidence) / 2, free)) * spread
    return Interval((middle - half, middle + half), method), float(2 * student.sf(abs(middle) / spread, free))


def around(
    value: float, influence: np.ndarray, groups: np.ndarray, confidence: float,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:  # fmt: skip
    """[low, high] of what is no mean (F1, an area, a root), within ``limits``.

    Args:
        influence: (N,) of each row on ``value``, which changes like their mean (linearisation, Deville 1999).
    """
    half = float(student.ppf((1 + confidence) / 2, int(groups.max()))) * error(influence, groups)
    return Interval((max(value - half, limits[0]), min(value + half, limits[1])), T_OVER_GROUPS)


def share(hits: np.ndarray, groups: np.ndarray, confidence: float) -> Interval:
    """[low, high] of a share of (N,) hits: Wilson's interval at the effective number of rows.

    That number is how many independent rows would leave as much doubt, made smaller by what few groups add (Korn and
    Graubard 1998; Franco et al. 2019 find Wilson's form of it the best). Where all rows agree, a group counts as one.
    """
    p, count = float(hits.mean()), int(groups.max()) + 1
    spread = error(hits.astype(np.float64), groups)
    sure = (1 + confidence) / 2
    few = float(norm.ppf(sure) / student.ppf(sure, count - 1)) ** 2
    if spread <= 1e-12:  # all groups alike: in all rows, of which so many count as there are groups, or in their share
        return _wilson(p, count * few if p in (0.0, 1.0) else len(hits), float(norm.ppf(sure)))
    rows = p * (1 - p) / spread**2 * few
    return _wilson(p, min(rows, len(hits)), float(norm.ppf(sure)))


def _wilson(p: float, n: float, z: float) -> Interval:
    """Wilson's interval of a share of ``n`` rows, which need not be whole."""
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    return Interval((max(middle - half, 0.0), min(middle + half, 1.0)), WILSON_OVER_GROUPS)


def difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray, confidence: float) -> dict[str, Any]:
    """Mean of ``a`` - ``b`` (paired, (N,)) with its interval over groups and the p-value that there is none."""
    values = a.astype(np.float64) - b.astype(np.float64)
    interval, p = mean(values, groups, confidence)
    return {"difference": float(values.mean()), "interval": interval, "p": p}
