"""Folds: each row is judged once by machines that saw neither it nor its like. By content and group, not by order."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from tasks.core.text import many
from tasks.splitting.splits import draw
from tasks.stats.quantile_bins import quantile_edges
from tasks.storage.store import read, read_manifest

#: A row that no fold has: of a split by time the first rows, which are only learned from.
NONE = -1
#: Labelled val rows from which on they choose by themselves; below, folds of train and val rows choose. The accuracy of
#: so many rows has a standard error of 5 points at most.
ENOUGH = 100
FILTERS = Lock()
#: Classes that numbers are cut into, at most, so that each fold has small and large ones alike.
BANDS = 10


def trained_on(view: str) -> bool:
    """Whether features of a view come from a network that has seen the labels of the train rows."""
    return "deep" in view.split("+")


def rank(view: str, val: float, folds: float | None) -> tuple[float, ...]:
    """What miners of one ``view`` are ordered by, from their figures on val rows and in ``folds``, if these are asked.

    Seven tables cut to 120 train and 10 val rows (4 seeds, 7 miners), mean points of accuracy lost against the best miner
    on test rows: raw view 3.8 by val rows, 1.1 by folds; deep view (64 units, dropout 0.8) 1.8 by val rows, 1.8 by folds,
    1.4 by val rows and folds among equals. Folds said 11 points too much of deep features, 1 of raw ones.
    """
    if folds is None:
        return (val,)
    return (val, folds) if trained_on(view) else (folds, val)


@dataclass(frozen=True)
class Cases:
    """What folds are made by, of N rows.

    Attributes:
        ids, content, label: (N,) text, the label "" where it is not known.
        group: (N,) text, "" where a row has none.
        time: (N,) numbers that order the rows, NaN where nothing does.
        numbers: whether labels are numbers.
        span: time that one row covers (a window and what it forecasts), 0 where it is a moment.
    """

    ids: np.ndarray
    content: np.ndarray
    label: np.ndarray
    group: np.ndarray
    time: np.ndarray
    numbers: bool = False
    span: float = 0.0

    @cached_property
    def contents(self) -> np.ndarray:
        """(N,) `content` as numbers: numpy compares objects one by one."""
        return np.unique(self.content.astype(str), return_inverse=True)[1]

    def part(self, rows: np.ndarray) -> "Cases":
        """Those at the positions ``rows``."""
        ids, content, label = self.ids[rows], self.content[rows], self.label[rows]
        return Cases(ids, content, label, self.group[rows], self.time[rows], self.numbers, self.span)

    @property
    def scheme(self) -> str:
        """What `auto` comes to."""
        if (self.group != "").any():
            return "group"
        return "time" if len(self.time) and np.isfinite(self.time).all() else "stratified"


def cases_of(raw: Path, ids: np.ndarray, label: np.ndarray, split: np.ndarray, numbers: bool) -> Cases:
    """What folds of the rows ``ids`` are made by, as ingest read it; where rows go by time, as far apart as splits are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read(raw, [name for name, _ in read_manifest(raw).schema if name in ("id", "content", "group", "time")])
    table = table.take(pc.index_in(pa.array(ids.tolist(), pa.string()), table["id"].combine_chunks()))

    def text(name: str) -> np.ndarray:
        known = table[name].to_pylist() if name in table.column_names else [None] * len(ids)
        return np.array([value or "" for value in known], dtype=object)

    content = text("content")
    content[content == ""] = ids.astype(object)[content == ""]
    time = table["time"].to_numpy().astype(np.float64) if "time" in table.column_names else np.full(len(ids), np.nan)
    held, train = time[np.isin(split, ("val", "test"))], time[split == "train"]
    span = float(max(held.min() - train.max(), 0)) if len(held) and len(train) and np.isfinite(time).all() else 0.0
    return Cases(ids.astype(object), content, label.astype(object), text("group"), time, numbers, span)


@dataclass(frozen=True)
class Folds:
    """The fold of each of N rows.

    Attributes:
        scheme: stratified, group or time.
        fold: (N,) from 0 on, `NONE` for a row that is only learned from.
        units: (N,) text; rows of one unit are copies or of one group, and share a fold.
        count: of folds; below two there are none, and ``why`` says the reason.
        split: (K, N) of every fold: test, val, train, or "" where a row has no part in it.
        why: also where there are fewer folds than were asked for.
    """

    scheme: str
    fold: np.ndarray
    units: np.ndarray
    count: int
    split: np.ndarray
    why: str = ""


def make_folds(cases: Cases, asked: int, scheme: str, val: float, seed: int) -> Folds:
    """At most ``asked`` folds, fewer where rows, groups or classes do not go so far.

    Args:
        val: share of what is left that choices are made on.
    """
    scheme = cases.scheme if scheme == "auto" else scheme
    units = units_of(cases, grouped=scheme != "stratified")
    if scheme == "time" and not np.isfinite(cases.time).all():
        return nothing(cases, scheme, units, "no time of the rows is kept: set source.time and source.split_by: time")
    if scheme == "group" and not (cases.group != "").any():
        return nothing(cases, scheme, units, "no row has a group: name its column in source.group")
    most, what = _most(cases, units, scheme)
    for count in range(min(asked, most), 1, -1):
        fold = _by_time(cases, count) if scheme == "time" else _by_class(cases, units, count, seed, scheme == "group")
        split = np.stack([_split(cases, fold, units, k, scheme, val, seed) for k in range(count)])
        if all(_learnable(cases, row) for row in split):
            why = "" if count == asked else f"{count} folds in place of {asked}: more do not go into {what}"
            return Folds(scheme, fold, units, count, split, why)
    return nothing(cases, scheme, units, f"{what} do not make two folds that can each be learned from and judged")


def nothing(cases: Cases, scheme: str, units: np.ndarray, why: str) -> Folds:
    """No folds, and ``why``."""
    n = len(cases.ids)
    return Folds(scheme, np.full(n, NONE), units, 0, np.empty((0, n), dtype=object), why)


def units_of(cases: Cases, grouped: bool) -> np.ndarray:
    """(N,) what each row belongs to: rows of equal content, and if ``grouped`` of one group, and chains of both.

    A unit is called by the lowest name among its groups and contents.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    named = (cases.group != "") & grouped
    names = np.where(named, np.char.add("group ", cases.group.astype(str)), cases.content.astype(str))
    own, name = np.unique(names, return_inverse=True)
    n = len(names)
    size = n + len(own)
    # a group and a content that some row has are linked
    edges = (np.ones(n, bool), (name, len(own) + cases.contents))
    _, part = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    lowest: dict[int, str] = {}
    for place, text in enumerate(own.tolist()):  # ascending, so that the first is the lowest
        lowest.setdefault(int(part[place]), text)
    return np.array([lowest[int(part[place])] for place in name], dtype=object)


def _most(cases: Cases, units: np.ndarray, scheme: str) -> tuple[int, str]:
    """The most folds there can be, and what they are made of."""
    if scheme == "time":
        times = len(set(cases.time.tolist()))
        return times - 1, many(times, "moment in time", "moments in time")
    distinct = len(set(units.tolist()))
    found = (
        many(distinct, "group", "groups") if scheme == "group" else many(distinct, "different row", "different rows")
    )
    if cases.numbers or not (cases.label != "").any():
        return distinct, found
    # in every fold two classes must be left to learn, also where all rows of one stand in it
    holding = Counter(label for label, _ in set(zip(cases.label.tolist(), units.tolist(), strict=True)) if label)
    second = sorted(holding.values(), reverse=True)[1:2] or [0]
    named = f"{found} of {many(len(holding), 'class', 'classes')}, the smallest in {min(holding.values()):,}"
    return min(distinct, second[0]), named


def _by_class(cases: Cases, units: np.ndarray, count: int, seed: int, grouped: bool) -> np.ndarray:
    """(N,) folds of about equal shares of each class (of numbers: of each band); units stay whole.

    By scikit-learn's StratifiedGroupKFold, or where units are rows and their copies, which needs no search for each, by
    StratifiedKFold of the first of each. In the order of a hash of their unit, so that theirs does not decide.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    keys = [_hash(seed, u, c, i) for u, c, i in zip(units, cases.content, cases.ids, strict=True)]
    order = np.argsort(np.array(keys), kind="stable")
    classes = _bands(cases.label) if cases.numbers else np.unique(cases.label, return_inverse=True)[1]
    if Counter(classes.tolist()).most_common(1)[0][1] < count:  # no class would go round
        classes = np.zeros(len(classes), np.int64)
    fold = np.full(len(units), NONE)
    # several miners make folds at a time, and filters of warnings are those of the whole process
    with FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        _, first, unit = np.unique(units[order].astype(str), return_index=True, return_inverse=True)
        if grouped:
            for k, (_, test) in enumerate(StratifiedGroupKFold(count).split(order, classes[order], unit)):
                fold[order[test]] = k
            return fold
        ranks = np.sort(first)  # one row of each unit, in the order of the hash
        of_unit = np.full(len(first), NONE)
        for k, (_, test) in enumerate(StratifiedKFold(count).split(ranks, classes[order][ranks])):
            of_unit[unit[ranks[test]]] = k
        fold[order] = of_unit[unit]
    return fold


def _bands(label: np.ndarray) -> np.ndarray:
    """(N,) the band of the first number of each label, 0 where there is none."""
    numbers = np.array([float(text.split()[0]) if text else np.nan for text in label.tolist()])
    known = np.isfinite(numbers)
    if not known.any():
        return np.zeros(len(label), np.int64)
    edges = quantile_edges(numbers[known], BANDS)
    return np.where(known, 1 + np.searchsorted(edges, numbers, side="right"), 0)


def _by_time(cases: Cases, count: int) -> np.ndarray:
    """(N,) folds that follow each other (scikit-learn's TimeSeriesSplit), rows of one time in one of them."""
    from sklearn.model_selection import TimeSeriesSplit

    times = np.sort(cases.time)
    starts = [times[test[0]] for _, test in TimeSeriesSplit(count).split(times)]
    return np.searchsorted(starts, cases.time, side="right") - 1


def _split(cases: Cases, fold: np.ndarray, units: np.ndarray, k: int, scheme: str, val: float, seed: int) -> np.ndarray:
    """(N,) the split of each row where fold ``k`` is tested."""
    test = fold == k
    split = np.full(len(fold), "", dtype=object)
    split[test] = "test"
    if scheme == "time":
        # what is learned ends before what is chosen by begins, and that before what is tested; copies of this are left out
        first, end = cases.time[test].min(initial=np.inf), cases.time + cases.span
        rest = (fold < k) & (end <= first) & ~np.isin(cases.contents, cases.contents[test])
        known = np.sort(cases.time[rest])
        count = round(len(known) * val)
        start = known[len(known) - count] if count else first
        start = start if count and start > known[0] else first  # where all are of one time, none can be chosen by
        split[rest & (end <= start)] = "train"
        split[rest & (cases.time >= start)] = "val"
        return split
    left = sorted(set(units[~test].tolist()))
    drawn = draw(set(), [_hash(seed, unit) for unit in left], val if len(left) > 1 else 0.0, 0.0)
    place = {unit: drawn.split(None, _hash(seed, unit), None) for unit in left}
    split[~test] = [place[unit] for unit in units[~test].tolist()]
    return split


def _learnable(cases: Cases, split: np.ndarray) -> bool:
    """Whether a fold leaves two train rows to learn from, of two classes where there are any, and a row to judge."""
    labelled = (cases.label != "").any()
    train = (split == "train") & ((cases.label != "") if labelled else True)
    if train.sum() < 2 or not (split == "test").any():
        return False
    return bool(cases.numbers or not labelled or len(set(cases.label[train].tolist())) > 1)


def _hash(seed: int, *parts: str) -> str:
    return hashlib.sha256("\n".join([str(seed), *parts]).encode()).hexdigest()


def told(folds: Folds) -> Iterator[dict[str, int]]:
    """How many rows each fold learns from, chooses by and judges."""
    for k in range(folds.count):
        counts = Counter(folds.split[k].tolist())
        yield {"fold": k, **{name: counts[name] for name in ("train", "val", "test")}}
