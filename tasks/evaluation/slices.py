"""Slices: parts of the test rows, told in words, in which a verdict is better or worse than in the rest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import t as student

from tasks.features.item_matrix import ItemMatrix
from tasks.stats.fisher import fisher_two_sided
from tasks.stats.intervals import T_OVER_GROUPS, WELCH, Interval, methods, newcombe
from tasks.stats.multiple_testing import benjamini_hochberg
from tasks.stats.resampling import Resampling
from tasks.stats.two_sample_tests import rank_sum, welch

#: Items whose pairs are tried at most (the most frequent): there are half their square of pairs.
MOST_PAIRED = 200
#: Slices of each end that are kept beside those which stand.
KEPT = 15
#: Groups times items that are looked at in one piece: 48 bytes each.
CELLS = 10_000_000
#: The attribute of the items that name groups of rows.
GROUP = "group"


@dataclass(frozen=True)
class Slice:
    """Test rows that have an item, or a pair of items, compared with the rows outside.

    Attributes:
        kind: item, class or pair.
        value, outside: mean of the metric on either side; ``difference`` is the first minus the second.
        p: that there is no difference; ``q`` the same adjusted for all slices of its kind.
        stands: whether q is small enough and zero lies outside of the interval.
    """

    items: list[str]
    attributes: list[str]
    kind: str
    rows: int
    value: float
    outside: float
    difference: float
    rows_outside: int
    p: float
    q: float
    interval: Interval
    stands: bool


@dataclass(frozen=True)
class Slices:
    """The slices worth a look.

    Attributes:
        tried, pairs_tried: how many were compared.
        slices: those that stand, and the first and last of the others.
        worst: the item on whose rows the metric is worst.
        min_rows, q: the bounds that were asked for.
        stand: how many stand; ``rows`` is of how many rows.
        methods: of their intervals.
    """

    tried: int
    pairs_tried: int
    slices: list[Slice]
    worst: Slice | None
    min_rows: int
    q: float
    stand: int
    rows: int
    methods: dict[str, str]


def slices(
    values: np.ndarray,
    items: ItemMatrix,
    min_rows: int,
    q: float,
    sampling: Resampling,
    y_true: np.ndarray | None = None,
) -> Slices:
    """Which items, and pairs of items, go with better or worse ``values`` (N,): hits as booleans, or sizes of errors.

    Each slice of at least ``min_rows`` rows, with as many outside, is compared with the rows outside it. Hits: Fisher's
    exact test and Newcombe's (1998) interval; errors: the rank-sum test of Mann and Whitney and Welch's interval, which
    must agree. A slice *stands* where Benjamini and Hochberg's (1995) q-value over all slices that were tried is at
    most ``q``. A pair stands where it differs the same way from the rest of either item's rows too, so that it says more
    than both. Where rows come in groups, a difference between rows must also be one between groups.

    Args:
        items: of the same rows.
        y_true: (N,) classes, each of which is a slice too; but no pair is made with one.
    """
    whole = items if y_true is None else items.beside(_classes(y_true))
    kinds = ["item"] * len(items.names) + ["class"] * (len(whole.names) - len(items.names))
    size = np.asarray(whole.matrix.sum(0)).ravel()
    enough = (size >= min_rows) & (len(values) - size >= min_rows)
    held = csr_array(whole.matrix[:, np.flatnonzero(enough)])
    picked = np.flatnonzero(enough)
    score = values.astype(np.float64)
    if not len(picked):
        return Slices(0, 0, [], None, min_rows, q, 0, len(values), {})
    hits, groups = values.dtype == bool, sampling.groups
    single = _compare(score, held, hits)
    if groups is not None:
        rows = np.array([whole.attributes[i] != GROUP for i in picked], bool)
        between, half = _between_groups(score, held, groups, sampling.confidence)
        single["p"] = np.where(rows, np.maximum(single["p"], between), single["p"])
        single["half"] = np.where(rows, half, np.nan)
    single["q"] = benjamini_hochberg(single["p"])
    found = [
        _slice([whole.names[i]], [whole.attributes[i]], kinds[i], _row(single, k), hits, q, sampling.confidence)
        for k, i in enumerate(picked)
    ]
    places = [k for k, i in enumerate(picked) if kinds[i] == "item"]
    pairs, tried = ([], 0) if groups is not None else _pairs(score, held, places, picked, items, min_rows, hits)
    deep = [_slice(*pair, hits, q, sampling.confidence) for pair in pairs]
    kept = _kept(found) + [pair for pair in deep if pair.stands]
    plain = [s for s in found if s.kind == "item"]
    worst = min(plain, key=lambda s: (s.value if hits else -s.value, s.items), default=None)
    stand = sum(s.stands for s in kept)
    return Slices(len(found), tried, kept, worst, min_rows, q, stand, len(values), methods(kept))


def _classes(y_true: np.ndarray) -> ItemMatrix:
    """Each class of (N,) ``y_true`` as an item."""
    labels = sorted(set(y_true.tolist()))
    matrix = csr_array((y_true[:, None] == np.array(labels)[None]).astype(np.float64))
    return ItemMatrix(matrix, tuple(labels), ("class",) * len(labels))


def _slice(
    items: list[str], attributes: list[str], kind: str, found: dict[str, Any], hits: bool, q: float, confidence: float
) -> Slice:
    """A slice from what `_row` says of it; where that knows half of the width of its interval, over groups."""
    half = found.pop("half", np.nan)
    limits = (-1.0, 1.0) if hits else (-np.inf, np.inf)
    interval = (
        _bounds(found, hits, confidence) if np.isnan(half)
        else _around(found["difference"], half, T_OVER_GROUPS).clipped(*limits)
    )  # fmt: skip
    figures = {name: value for name, value in found.items() if name not in ("spread", "spread_outside")}
    stands = bool(found["q"] <= q and not interval.crosses_zero)
    return Slice(items, attributes, kind, **figures, interval=interval, stands=stands)


def _kept(found: list[Slice]) -> list[Slice]:
    """Those that stand, and the `KEPT` first and last of the others by difference."""
    order = sorted(found, key=lambda s: (s.difference, s.items))
    ends = {id(s) for s in [*order[:KEPT], *order[-KEPT:]]}
    return [s for s in order if s.stands or id(s) in ends]


def _compare(score: np.ndarray, held: csr_array, hits: bool) -> dict[str, np.ndarray]:
    """Of M slices (N, M): rows, means and spreads inside and outside, and the p-value of their difference, all (M,)."""
    inside, total = np.asarray(held.sum(0)).ravel(), len(score)
    first, second = held.T @ score, held.T @ score**2
    return _against(inside, first, second, total - inside, score.sum() - first, (score**2).sum() - second, hits) | (
        {} if hits else {"p": rank_sum(score, held, inside)}
    )


def _against(
    n: np.ndarray, first: np.ndarray, second: np.ndarray, m: np.ndarray, first_m: np.ndarray, second_m: np.ndarray,
    hits: bool,
) -> dict[str, np.ndarray]:  # fmt: skip
    """From counts, sums and sums of squares of two parts of the rows; of hits with the p-value of Fisher's exact test."""
    inner, outer = first / n, first_m / m
    found = {
        "rows": n, "value": inner, "outside": outer, "difference": inner - outer, "rows_outside": m,
        "spread": np.maximum(second / n - inner**2, 0) / np.maximum(n - 1, 1),
        "spread_outside": np.maximum(second_m / m - outer**2, 0) / np.maximum(m - 1, 1),
    }  # fmt: skip
    if hits:
        found["p"] = fisher_two_sided(*(np.rint(part).astype(np.int64) for part in (first, n, first + first_m, n + m)))
    return found


def _between_groups(
    score: np.ndarray, held: csr_array, groups: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """(M,) p-values of the differences with errors robust to what groups share, 1 where a side has under two groups; and
    (M,) half of their intervals' width, NaN there."""
    block = max(1, CELLS // (int(groups.max()) + 1))
    parts = [_block_between(score, csr_array(held[:, s : s + block]), groups) for s in range(0, held.shape[1], block)]
    off, spread, least = (np.concatenate(part) for part in zip(*parts, strict=True))
    free = np.maximum(least - 1, 1)
    p = 2 * student.sf(np.abs(off) / np.maximum(spread, 1e-12), free)
    half = student.ppf((1 + confidence) / 2, free) * spread
    return np.where(least < 2, 1.0, p), np.where(least < 2, np.nan, half)


def _block_between(score: np.ndarray, held: csr_array, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(M,) differences of means, their standard errors, and of the side that has fewer groups how many it has."""
    count = int(groups.max()) + 1
    member = csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(count, len(groups)))
    n = np.asarray(held.sum(0)).ravel()
    rest = len(score) - n
    inner = held.T @ score / n
    outer = (score.sum() - held.T @ score) / rest
    # (G, M) sums within groups of the rows' influences on the difference
    sizes, totals = (member @ held).toarray(), (member @ csr_array(held.multiply(score[:, None]))).toarray()
    all_sizes, all_totals = member @ np.ones(len(score)), member @ score
    own = (totals - sizes * inner) / n - ((all_totals[:, None] - totals) - (all_sizes[:, None] - sizes) * outer) / rest
    spread = np.sqrt(count / (count - 1) * (own**2).sum(0))
    # sides with few groups: as many degrees of freedom as the smaller has
    least = np.minimum((sizes > 0).sum(0), ((all_sizes[:, None] - sizes) > 0).sum(0))
    return inner - outer, spread, least


def _pairs(
    score: np.ndarray,
    held: csr_array,
    places: list[int],
    picked: np.ndarray,
    items: ItemMatrix,
    min_rows: int,
    hits: bool,
) -> tuple[list[tuple[list[str], list[str], str, dict[str, Any]]], int]:
    """Items, attributes, kind and figures of pairs of items of two attributes; and how many pairs there were.

    The p-value is the largest of three: against the rows outside, and against the rest of either item's rows. Only pairs
    that differ the same way from all three can be small. For errors the three are tests of means (Welch's), as ranks of
    each rest would cost too much.
    """
    size = np.asarray(held.sum(0)).ravel()
    places = sorted(places, key=lambda i: (-int(size[i]), i))[:MOST_PAIRED]
    if len(places) < 2:
        return [], 0
    X = csr_array(held[:, places])
    n, first, second = ((X.T @ X.multiply(w[:, None])).toarray() for w in (np.ones(len(score)), score, score**2))
    a, b = np.triu_indices(len(places), 1)
    attribute = np.array([items.attributes[picked[i]] for i in places])
    inside = n[a, b]
    rests = [n[a, a] - inside, n[b, b] - inside, len(score) - inside]
    keep = (attribute[a] != attribute[b]) & (np.minimum.reduce([inside, *rests]) >= min_rows)
    a, b = a[keep], b[keep]
    if not len(a):
        return [], 0
    own_n, own_first, own_second = (part[a, b] for part in (n, first, second))
    whole = [np.full(len(a), total) for total in (len(score), score.sum(), (score**2).sum())]
    wider = [whole, [part[a, a] for part in (n, first, second)], [part[b, b] for part in (n, first, second)]]
    against = [
        _against(own_n, own_first, own_second, w - own_n, w_first - own_first, w_second - own_second, hits)
        for w, w_first, w_second in wider
    ]
    same = np.abs(sum(np.sign(part["difference"]) for part in against)) == len(against)
    p = np.maximum.reduce([part["p"] if hits else _welch(part) for part in against])
    found = {**against[0], "p": np.where(same, p, 1.0)}
    found["q"] = benjamini_hochberg(found["p"])
    told = [
        ([items.names[picked[places[i]]] for i in pair], [str(attribute[i]) for i in pair], "pair", _row(found, k))
        for k, pair in enumerate(zip(a.tolist(), b.tolist(), strict=True)) if found["q"][k] < 0.5
    ]  # fmt: skip
    return told, len(a)


def _row(found: dict[str, np.ndarray], k: int) -> dict[str, Any]:
    whole = {"rows", "rows_outside"}
    return {key: int(values[k]) if key in whole else float(values[k]) for key, values in found.items()}


def _bounds(one: dict[str, Any], hits: bool, confidence: float) -> Interval:
    """[low, high] of the difference of a slice and the rows outside."""
    n, m, difference = one["rows"], one["rows_outside"], one["difference"]
    if hits:
        return newcombe(round(one["value"] * n), n, round(one["outside"] * m), m, confidence)
    half = float(student.ppf((1 + confidence) / 2, min(n, m) - 1)) * (one["spread"] + one["spread_outside"]) ** 0.5
    return _around(difference, half, WELCH)


def _around(value: float, half: float, method: str) -> Interval:
    return Interval(value, value - half, value + half, method)


def _welch(found: dict[str, np.ndarray]) -> np.ndarray:
    variances, rows = (found["spread"], found["spread_outside"]), (found["rows"], found["rows_outside"])
    return welch(found["difference"], variances, rows)
