"""Intervals where rows come in groups (the recordings of one speaker): rows of one group do not count as independent."""

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from tasks.stats.intervals import T_OVER_GROUPS, WILSON_OVER_GROUPS, Interval, T

#: With fewer groups than this a page says that intervals rest on few.
FEW = 20


def codes(groups: np.ndarray) -> np.ndarray:
    """(N,) numbers, from 0, of ``groups`` (text); each row with none ("") is a group of its own.

    >>> codes(np.array(["b", "", "a", "b"])).tolist()
    [1, 2, 0, 1]
    """
    named = groups != ""
    found = np.empty(len(groups), np.int64)
    names, found[named] = np.unique(groups[named], return_inverse=True)
    found[~named] = len(names) + np.arange(int((~named).sum()))
    return found


def standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of the mean of (N,) ``values``, robust to what rows of one group share (Liang and Zeger 1986).

    >>> standard_error(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    spread = np.bincount(groups, weights=values - values.mean())  # (G,) sums by group
    count = len(spread)
    return float(np.sqrt(count / (count - 1) * (spread**2).sum())) / len(values)


def mean(values: np.ndarray, groups: np.ndarray, confidence: float) -> Interval:
    """The mean of (N,) ``values`` with its t interval of G - 1 degrees of freedom.

    The t distribution is what Cameron and Miller (2015) advise where groups are few. A bootstrap of the groups gives too
    short intervals with less than about 30.

    >>> mean(np.array([1.0, 1.2, 3.0, 3.4]), np.array([0, 0, 1, 1]), 0.95).value
    2.15
    """
    middle, error, free = float(values.mean()), standard_error(values, groups), len(np.unique(groups)) - 1
    method = T if free + 1 == len(values) else T_OVER_GROUPS
    if _exact(error, middle):
        return Interval(middle, middle, middle, method)
    half = float(student.ppf((1 + confidence) / 2, free)) * error
    return Interval(middle, middle - half, middle + half, method)


def t_test(values: np.ndarray, groups: np.ndarray) -> float:
    """p-value that the mean of (N,) ``values`` is zero, by the t test that belongs to the interval of `mean`.

    >>> round(t_test(np.array([1.0, 1.2, 3.0, 3.4]), np.array([0, 0, 1, 1])), 3)
    0.289
    """
    middle, error = float(values.mean()), standard_error(values, groups)
    if _exact(error, middle):
        return 1.0 if middle == 0 else 0.0
    return float(2 * student.sf(abs(middle) / error, len(np.unique(groups)) - 1))


def linearised(value: float, influence: np.ndarray, groups: np.ndarray, confidence: float) -> Interval:
    """The interval of a ``value`` that is no mean (F1, an area, a root), by linearisation (Deville 1999).

    Args:
        influence: (N,) of each row on ``value``, which changes like their mean.

    >>> rows, groups = np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4)
    >>> interval = linearised(rows.mean(), rows - rows.mean(), groups, 0.95)
    >>> round(float(interval.low), 3), round(float(interval.high), 3)
    (0.446, 4.554)
    """
    half = float(student.ppf((1 + confidence) / 2, int(groups.max()))) * standard_error(influence, groups)
    return Interval(value, value - half, value + half, T_OVER_GROUPS)


def proportion(hits: np.ndarray, groups: np.ndarray, confidence: float) -> Interval:
    """The proportion of (N,) hits with Wilson's interval at the effective sample size.

    That is how many independent rows would leave as much doubt, made smaller by what few groups add (Korn and Graubard
    1998; Franco et al. 2019 find Wilson's form of it the best). Where all rows agree, a group counts as one row.

    >>> interval = proportion(np.arange(40) % 4 > 0, np.arange(40) // 10, 0.95)
    >>> interval.value, round(interval.low, 2), round(interval.high, 2)
    (0.75, 0.6, 0.86)
    """
    p, count = float(hits.mean()), int(groups.max()) + 1
    error = standard_error(hits.astype(np.float64), groups)
    z = float(norm.ppf((1 + confidence) / 2))
    few = (z / float(student.ppf((1 + confidence) / 2, count - 1))) ** 2
    if (
        error <= 1e-12
    ):  # all groups alike: in all rows, of which so many count as there are groups, or in their proportion
        return _wilson(p, count * few if p in (0.0, 1.0) else len(hits), z)
    return _wilson(p, min(p * (1 - p) / error**2 * few, len(hits)), z)


def _wilson(p: float, n: float, z: float) -> Interval:
    """Wilson's interval of a proportion of ``n`` rows, which need not be whole."""
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    return Interval(p, middle - half, middle + half, WILSON_OVER_GROUPS).clipped(0.0, 1.0)


def _exact(error: float, middle: float) -> bool:
    """Whether a standard error is zero up to rounding."""
    return error <= 1e-12 * max(abs(middle), 1e-300)
