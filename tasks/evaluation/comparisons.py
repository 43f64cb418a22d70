"""Every two verdicts compared on the same rows, and which of them are as good as the best."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tasks.stats.cluster_robust import t_test
from tasks.stats.intervals import Interval
from tasks.stats.multiple_testing import holm
from tasks.stats.paired_tests import mcnemar, signed_ranks
from tasks.stats.resampling import Resampling


@dataclass(frozen=True)
class Comparison:
    """The mean of prediction ``a`` minus that of ``b`` on the same rows.

    Attributes:
        p: that there is no difference; ``holm`` the same adjusted for all pairs.
    """

    a: str
    b: str
    difference: float
    interval: Interval
    p: float
    holm: float


@dataclass(frozen=True)
class AsGood:
    """A prediction that is not shown to be worse than the best one: its ``difference`` is the best's subtracted from its.

    Attributes:
        p: adjusted for all that were held against the best; ``better`` whether it is shown to be even better.
    """

    name: str
    difference: float
    interval: Interval
    p: float
    better: bool


@dataclass(frozen=True)
class Comparisons:
    """Every two predictions compared.

    Attributes:
        names: the best on these rows first, with their ``means``.
        best: the one that was chosen without a look at these rows; ``alike`` are as good as it.
    """

    names: list[str]
    means: dict[str, float]
    pairs: list[Comparison]
    best: str
    alike: list[AsGood]


def comparisons(
    values: dict[str, np.ndarray], best: str, higher: bool, sampling: Resampling, planned: Collection[str] = ()
) -> Comparisons:
    """Differences of every two of the ``values``, adjusted p-values, and those that are not worse than ``best``.

    Hits: McNemar's (1947) exact test and a bootstrap of pairs; errors: Wilcoxon's (1945) signed ranks and a bootstrap of
    rows; where rows come in groups: a t test and interval over groups, of either. p-values are adjusted by
    Holm (1979) for all pairs, and among those with the best for these alone, as these are another question. Pairs of
    ``planned`` verdicts, on which other sentences rest, are told apart where their interval says so, there as here.

    Args:
        values: name -> (N,) hits as booleans, or errors.
        best: the verdict that was chosen without a look at these rows.
        higher: whether a higher value is better.
    """
    names = sorted(values, key=lambda n: (-values[n].mean() if higher else values[n].mean(), n))
    pairs = list(combinations(names, 2))
    found = _differences(values, pairs, sampling)
    adjusted = holm(np.array([p for _, p in found]))
    compared = [
        Comparison(a, b, gap.value, gap, p, float(own))
        for (a, b), (gap, p), own in zip(pairs, found, adjusted, strict=True)
    ]
    with_best = [pair for pair in compared if best in (pair.a, pair.b)]
    searched = np.array([not {pair.a, pair.b} <= set(planned) for pair in with_best], bool)
    own = np.array([pair.p for pair in with_best])
    own[searched] = holm(own[searched])
    alike = []
    for pair, p, found_by_search in zip(with_best, own, searched, strict=True):
        gap = pair.interval if pair.b == best else -pair.interval
        worse = gap.value < 0 if higher else gap.value > 0
        apart = p <= 1 - sampling.confidence if found_by_search else not gap.crosses_zero
        if not apart or not worse:
            other = pair.a if pair.b == best else pair.b
            alike.append(AsGood(other, gap.value, gap, float(p), bool(apart)))
    means = {name: float(values[name].mean()) for name in names}
    return Comparisons(names, means, compared, best, alike)


def _differences(
    values: dict[str, np.ndarray], pairs: list[tuple[str, str]], sampling: Resampling
) -> list[tuple[Interval, float]]:
    """Of each pair the mean of the first minus the second, and the p-value that there is no difference."""
    if sampling.groups is not None:
        groups = sampling.groups
        return [
            (sampling.difference(values[a], values[b]), t_test(values[a].astype(np.float64) - values[b], groups))
            for a, b in pairs
        ]
    if next(iter(values.values())).dtype == bool:
        return [(sampling.difference(values[a], values[b]), mcnemar(values[a], values[b])) for a, b in pairs]
    # all from the same resamples
    drawn = dict(zip(values, sampling.bootstrap(np.stack(list(values.values()), axis=1)).T, strict=True))
    return [
        (
            sampling.percentiles(float(values[a].mean() - values[b].mean()), drawn[a] - drawn[b]),
            signed_ranks(values[a] - values[b]),
        )
        for a, b in pairs
    ]
