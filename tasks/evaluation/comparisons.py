"""Every two verdicts compared on the same rows, and which of them are as good as the best."""

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np

from tasks.stats.cluster_robust import t_test
from tasks.stats.multiple_testing import holm
from tasks.stats.paired_tests import mcnemar, signed_ranks
from tasks.stats.resampling import Resampling


def comparisons(
    values: dict[str, np.ndarray], best: str, higher: bool, sampling: Resampling, planned: Collection[str] = ()
) -> dict[str, Any]:
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
    adjusted = holm(np.array([pair["p"] for pair in found]))
    told = [{"a": a, "b": b, **pair, "holm": float(p)} for (a, b), pair, p in zip(pairs, found, adjusted, strict=True)]
    with_best = [pair for pair in told if best in (pair["a"], pair["b"])]
    searched = np.array([not {pair["a"], pair["b"]} <= set(planned) for pair in with_best], bool)
    own = np.array([pair["p"] for pair in with_best])
    own[searched] = holm(own[searched])
    alike = []
    for pair, p, found_by_search in zip(with_best, own, searched, strict=True):
        gap = pair["interval"] if pair["b"] == best else -pair["interval"]
        worse = gap.value < 0 if higher else gap.value > 0
        apart = p <= 1 - sampling.confidence if found_by_search else not gap.crosses_zero
        if not apart or not worse:
            other = pair["a"] if pair["b"] == best else pair["b"]
            alike.append(
                {"name": other, "difference": gap.value, "interval": gap, "p": float(p), "better": bool(apart)}
            )
    means = {name: float(values[name].mean()) for name in names}
    return {"names": names, "means": means, "pairs": told, "best": best, "alike": alike}


def _differences(
    values: dict[str, np.ndarray], pairs: list[tuple[str, str]], sampling: Resampling
) -> list[dict[str, Any]]:
    """Of each pair the mean of the first minus the second, its interval, and the p-value that there is none."""
    hits = next(iter(values.values())).dtype == bool
    if sampling.groups is not None:
        found = [(sampling.difference(values[a], values[b]), _t_test(values[a], values[b], sampling)) for a, b in pairs]
    elif hits:
        found = [(sampling.difference(values[a], values[b]), mcnemar(values[a], values[b])) for a, b in pairs]
    else:  # all from the same resamples
        drawn = dict(zip(values, sampling.bootstrap(np.stack(list(values.values()), axis=1)).T, strict=True))
        found = [
            (sampling.percentiles(float(values[a].mean() - values[b].mean()), drawn[a] - drawn[b]),
             signed_ranks(values[a] - values[b]))
            for a, b in pairs
        ]  # fmt: skip
    return [{"difference": gap.value, "interval": gap, "p": p} for gap, p in found]


def _t_test(a: np.ndarray, b: np.ndarray, sampling: Resampling) -> float:
    assert sampling.groups is not None
    return t_test(a.astype(np.float64) - b, sampling.groups)
