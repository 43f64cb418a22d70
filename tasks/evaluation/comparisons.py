"""Every two verdicts compared on the same rows, and which of them are as good as the best."""

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np

from tasks.stats import cluster_robust
from tasks.stats.intervals import bootstrap, paired_difference, percentiles
from tasks.stats.multiple_testing import holm
from tasks.stats.paired_tests import mcnemar, signed_ranks


def comparisons(
    values: dict[str, np.ndarray], best: str, higher: bool, confidence: float, resamples: int, seed: int,
    groups: np.ndarray | None = None, planned: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Differences of every two of the ``values``, adjusted p-values, and those that are not worse than ``best``.

    Hits: McNemar's (1947) exact test and a bootstrap of pairs; errors: Wilcoxon's (1945) signed ranks and a bootstrap of
    rows; where rows come in ``groups`` (N,): a t test and interval over groups, of either. p-values are adjusted by
    Holm (1979) for all pairs, and among those with the best for these alone, as these are another question. Pairs of
    ``planned`` verdicts, on which other sentences rest, are told apart where their interval says so, there as here.

    Args:
        values: name -> (N,) hits as booleans, or errors.
        best: the verdict that was chosen without a look at these rows.
        higher: whether a higher value is better.
    """
    names = sorted(values, key=lambda n: (-values[n].mean() if higher else values[n].mean(), n))
    pairs = list(combinations(names, 2))
    found = _differences(values, pairs, confidence, resamples, seed) if groups is None else [
        cluster_robust.difference(values[a], values[b], groups, confidence) for a, b in pairs
    ]  # fmt: skip
    adjusted = holm(np.array([pair["p"] for pair in found]))
    told = [{"a": a, "b": b, **pair, "holm": float(p)} for (a, b), pair, p in zip(pairs, found, adjusted, strict=True)]
    with_best = [pair for pair in told if best in (pair["a"], pair["b"])]
    searched = np.array([not {pair["a"], pair["b"]} <= set(planned) for pair in with_best], bool)
    own = np.array([pair["p"] for pair in with_best])
    own[searched] = holm(own[searched])
    alike = []
    for pair, p, found_by_search in zip(with_best, own, searched, strict=True):
        sign = 1.0 if pair["b"] == best else -1.0
        worse = sign * pair["difference"] * (1 if higher else -1) < 0
        low, high = pair["interval"]
        apart = p <= 1 - confidence if found_by_search else low > 0 or high < 0
        if not apart or not worse:
            ends = sorted(sign * end for end in pair["interval"])
            other = pair["a"] if pair["b"] == best else pair["b"]
            found_there = {
                "difference": sign * pair["difference"],
                "interval": ends,
                "p": float(p),
                "better": bool(apart),
            }
            alike.append({"name": other, **found_there})
    means = {name: float(values[name].mean()) for name in names}
    return {"names": names, "means": means, "pairs": told, "best": best, "alike": alike}


def _differences(
    values: dict[str, np.ndarray], pairs: list[tuple[str, str]], confidence: float, resamples: int, seed: int
) -> list[dict[str, Any]]:
    names = list(values)
    if values[names[0]].dtype == bool:
        return [
            {**paired_difference(values[a], values[b], confidence, resamples, seed), "p": mcnemar(values[a], values[b])}
            for a, b in pairs
        ]
    # all from the same resamples
    drawn = dict(zip(names, bootstrap(np.stack([values[n] for n in names], axis=1), resamples, seed).T, strict=True))
    return [
        {"difference": float(values[a].mean() - values[b].mean()),
         "interval": percentiles(drawn[a] - drawn[b], confidence), "p": signed_ranks(values[a] - values[b])}
        for a, b in pairs
    ]  # fmt: skip
