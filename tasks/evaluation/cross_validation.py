"""Cross-validation in figures: how good each way is, which differ, and how much too good the naive way looks."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn import metrics as sk

from tasks.evaluation.fusion import TITLES, WAYS, candidates
from tasks.evaluation.predictions import ways
from tasks.evaluation.scorers import Classes, Numbers
from tasks.evaluation.sentences import crossed_ways
from tasks.features.label_values import as_numbers, parse_numbers
from tasks.stats.intervals import Interval, methods
from tasks.stats.paired_tests import corrected_t
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import has_auc, influence
from tasks.storage.store import read
from tasks.storage.summaries import CrossValidationSummary, read_cross_validation_summary

NESTED, NAIVE = "nested", "naive"


@dataclass
class Crossed:
    """N rows that were judged, each in one fold.

    Attributes:
        fold, unit, truth: (N,) numbers and text; ``truth`` (N, K) where labels are numbers.
        said: `nested` or `naive` -> way -> (N,) or (N, K) verdicts; ``scores`` the same, of two classes.
        classes: empty where labels are numbers.
        ratio: rows tested over rows learned from, the mean of the folds.
    """

    fold: np.ndarray
    unit: np.ndarray
    truth: np.ndarray
    classes: list[str]
    ratio: float
    said: dict[str, dict[str, np.ndarray]] = field(default_factory=lambda: {NESTED: {}, NAIVE: {}})
    scores: dict[str, dict[str, np.ndarray]] = field(default_factory=lambda: {NESTED: {}, NAIVE: {}})

    @property
    def measure(self) -> dict[str, str]:
        """What ways are compared by."""
        return dict(Classes.measure if self.classes else Numbers.measure)

    @cached_property
    def units(self) -> np.ndarray:
        """(N,) numbers of the units, from 0; where all rows are of one, which could not be told apart, each its own."""
        found = np.unique(self.unit, return_inverse=True)[1]
        return found if found.max(initial=0) else np.arange(len(found))

    @property
    def folds(self) -> list[np.ndarray]:
        """(N,) mask of each fold."""
        return [self.fold == k for k in np.unique(self.fold)]

    def merit(self, how: str, way: str) -> np.ndarray:
        """(N,) of each row: whether its class was said, or how far the number was off."""
        said = self.said[how][way]
        if self.classes:
            return (said == self.truth).astype(np.float64)
        return np.asarray(np.abs(said - self.truth).mean(1))


@dataclass(frozen=True)
class OverFolds:
    """The mean of a statistic over folds, its interval, and the p-value that it is zero; ``folds`` are its values."""

    mean: float
    interval: Interval
    p: float
    folds: list[float] | None = None


@dataclass(frozen=True)
class Optimism:
    """How much better an approach looks in non-nested cross-validation: ``difference`` is its mean over rows."""

    difference: float
    interval: Interval
    folds: list[float]
    over_folds: Interval


@dataclass(frozen=True)
class CrossValidatedWay:
    """Every metric of one approach.

    Attributes:
        accuracy, mae: over all rows, the one that the task has; with its ``interval``, the values of the ``folds`` and
            their standard deviation, the ``spread``.
        naive: the same in non-nested cross-validation.
    """

    interval: Interval
    folds: list[float]
    spread: float
    accuracy: float | None = None
    mae: float | None = None
    f1: OverFolds | None = None
    auc: OverFolds | None = None
    rmse: OverFolds | None = None
    r2: OverFolds | None = None
    naive: float | None = None
    optimism: Optimism | None = None


@dataclass(frozen=True)
class CrossValidatedPair:
    """The metric of one approach minus that of another: over rows (units of them) and over folds."""

    difference: float
    interval: Interval
    over_folds: OverFolds


@dataclass(frozen=True)
class CrossValidatedClusters:
    """Adjusted Rand index of the clusters of each fold with the classes; clusters of different folds are not the same."""

    nested: OverFolds
    naive: OverFolds | None = None
    optimism: OverFolds | None = None


@dataclass(frozen=True)
class CrossValidation:
    """What the store of `crossvalidate` comes to; without folds, ``why`` there are none.

    Attributes:
        ways: approach, or single prediction, -> its metrics; ``chosen`` are the approaches among them.
        judged_rows: those of which every prediction said something; ``lacking`` the others.
        methods: of the intervals in ``ways`` and ``pairs``.
    """

    folds: int
    asked: int
    why: str
    rows: int
    scheme: str
    set_aside: int
    grouped: bool
    sizes: list[dict[str, int]]
    confidence: float
    sentence: str = ""
    measure: dict[str, str] | None = None
    titles: dict[str, str] = field(default_factory=dict)
    chosen: list[str] = field(default_factory=list)
    judged_rows: int = 0
    lacking: int = 0
    classes: list[str] = field(default_factory=list)
    ways: dict[str, CrossValidatedWay] = field(default_factory=dict)
    pairs: dict[str, CrossValidatedPair] = field(default_factory=dict)
    clusters: dict[str, CrossValidatedClusters] = field(default_factory=dict)
    methods: dict[str, dict[str, str]] = field(default_factory=dict)


def figures(crossvalidation: Path, sampling: Resampling) -> CrossValidation:
    """What the store of `crossvalidate` comes to; where it is empty, why."""
    summary = read_cross_validation_summary(crossvalidation)
    result = CrossValidation(
        summary.folds, summary.asked, summary.why, summary.rows, summary.scheme, summary.set_aside, summary.grouped,
        summary.sizes, sampling.confidence,
    )  # fmt: skip
    if not summary.folds:
        return result
    table = read(crossvalidation).combine_chunks()
    table = table.filter(table["label"].is_valid())
    if summary.aim == "clusters" or not table.num_rows:
        return replace(result, why="no row has a label to judge by")
    clusterers = [n for n in _judged_ways(table) if n in summary.clusterers]
    clusters = {}
    if summary.aim == "classification":
        clusters = {n: _agreement(table, n, summary, sampling.confidence) for n in clusterers}
    crossed, lacking = _crossed(table, summary)
    single = list(crossed.said[NESTED])
    _choose(crossed, summary)
    sampling = replace(sampling, groups=crossed.units)
    chosen = [way for way in WAYS if way in crossed.said[NESTED]]
    order = [*chosen, *(way for way in single if way not in chosen)]
    ways = {way: _way(crossed, way, sampling) for way in order}
    pairs = {f"{a} - {b}": _pair(crossed, a, b, sampling) for own in (chosen, single) for a, b in combinations(own, 2)}
    result = replace(
        result, measure=crossed.measure, titles={way: TITLES.get(way, way) for way in order}, chosen=chosen,
        judged_rows=len(crossed.fold), lacking=lacking, classes=crossed.classes, ways=ways, pairs=pairs, clusters=clusters,
        methods={"ways": methods(ways.values()), "pairs": methods(pairs.values())},
    )  # fmt: skip
    return replace(result, sentence=crossed_ways(result))


def _judged_ways(table: pa.Table) -> list[str]:
    """Ways that judged rows of every fold, nested."""
    names = [n.removeprefix(f"{NESTED}.") for n in ways(_of(table, NESTED))]
    count = len(pc.unique(table["fold"]))
    return [
        n for n in names
        if len(pc.unique(table["fold"].filter(table[f"{NESTED}.{n}"].is_valid()))) == count
    ]  # fmt: skip


def _of(table: pa.Table, how: str) -> pa.Table:
    """The columns of one manner of judging, without its name before them."""
    names = [n for n in table.column_names if n.startswith(f"{how}.")]
    return table.select(names).rename_columns([n.removeprefix(f"{how}.") for n in names])


def _crossed(table: pa.Table, summary: CrossValidationSummary) -> tuple[Crossed, int]:
    """The rows of which every way said something, and how many others there are."""
    names = [n for n in _judged_ways(table) if n not in summary.clusterers]
    whole = np.ones(table.num_rows, bool)
    columns = {how: _of(table, how) for how in (NESTED, NAIVE)}
    for part in columns.values():
        for name in (n for n in names if n in part.column_names):
            whole &= part[name].is_valid().to_numpy()
    lacking = int((~whole).sum())
    keep = pa.array(whole)
    table, columns = table.filter(keep), {how: part.filter(keep) for how, part in columns.items()}
    fold, unit, label = (table[name].to_pylist() for name in ("fold", "unit", "label"))
    numbers = summary.aim == "regression"
    made = Crossed(
        np.array(fold, np.int64), np.array(unit, dtype=str), parse_numbers(label) if numbers else np.array(label, str),
        [] if numbers else sorted(set(label)), _ratio(summary),
    )  # fmt: skip
    for how, part in columns.items():
        for name in (n for n in names if n in part.column_names):
            made.said[how][name] = as_numbers(part[name]) if numbers else np.array(part[name].to_pylist(), dtype=str)
            if f"{name}.score" in part.column_names and len(made.classes) == 2:
                made.scores[how][name] = part[f"{name}.score"].to_numpy()
    return made, lacking


def _choose(crossed: Crossed, summary: CrossValidationSummary) -> None:
    """Add the ways of `WAYS`: in every fold the miner that does best on its val rows stands for its view.

    Naively judged the same miner stands, so that the difference is of what the features knew and not of a choice.
    """
    kinds, single = summary.kinds, list(crossed.said[NESTED])
    for key, way in WAYS.items():
        if way.view is None:
            continue
        names = candidates(key, single, kinds)
        if not names:
            continue
        best = {k: max(names, key=lambda n: summary.merits[k].get(n, [])) for k in np.unique(crossed.fold).tolist()}
        for how in (NESTED, NAIVE):
            said, scores = crossed.said[how], crossed.scores[how]
            if not all(n in said for n in names):
                continue
            widest = np.result_type(*(said[n] for n in names))
            chosen = np.empty(said[names[0]].shape, widest)
            for k, n in best.items():
                chosen[crossed.fold == k] = said[n][crossed.fold == k]
            said[key] = chosen
            if all(n in scores for n in best.values()):
                scores[key] = np.empty(len(crossed.fold))
                for k, n in best.items():
                    scores[key][crossed.fold == k] = scores[n][crossed.fold == k]


def _way(crossed: Crossed, way: str, sampling: Resampling) -> CrossValidatedWay:
    """Every metric of one approach, and its optimism where it was judged naively too; rows of a unit count together."""
    merit = crossed.merit(NESTED, way)
    folds = [float(merit[rows].mean()) for rows in crossed.folds]
    whole = sampling.proportion(merit) if crossed.classes else sampling.mean(merit)
    metrics: dict[str, Any] = {crossed.measure["key"]: whole.value, **_by_fold(crossed, way, sampling)}
    if way in crossed.said[NAIVE]:
        seen = crossed.merit(NAIVE, way)
        gap = seen - merit if crossed.classes else merit - seen
        gains = np.array([gap[rows].mean() for rows in crossed.folds])
        over_rows, (over_folds, _) = sampling.mean(gap), corrected_t(gains, crossed.ratio, sampling.confidence)
        metrics["naive"] = float(seen.mean())
        metrics["optimism"] = Optimism(over_rows.value, over_rows, gains.tolist(), over_folds)
    return CrossValidatedWay(whole, folds, float(np.std(folds, ddof=1)), **metrics)


def _by_fold(crossed: Crossed, way: str, sampling: Resampling) -> dict[str, OverFolds]:
    """What is no mean over rows, so that only its mean over folds tells something: F1 and AUC, or RMSE and R2."""
    said, truth, found = crossed.said[NESTED][way], crossed.truth, dict[str, list[float | None]]()
    if crossed.classes:
        found["f1"] = [
            float(
                sk.f1_score(truth[rows], said[rows], labels=np.unique(truth[rows]), average="macro", zero_division=0.0)
            )
            for rows in crossed.folds
        ]
        if way in crossed.scores[NESTED]:
            scores, positive = crossed.scores[NESTED][way], truth == crossed.classes[-1]
            found["auc"] = [_auc(positive[rows], scores[rows]) for rows in crossed.folds]
    else:
        found["rmse"] = [float(np.sqrt(((said - truth)[rows] ** 2).mean())) for rows in crossed.folds]
        found["r2"] = [_r2(truth[rows], said[rows]) for rows in crossed.folds]
    defined = {name: [v for v in values if v is not None] for name, values in found.items()}
    return {
        name: _over_folds(values, crossed.ratio, sampling.confidence)
        for name, values in defined.items() if len(values) == len(found[name])
    }  # fmt: skip


def _over_folds(values: list[float], ratio: float, confidence: float) -> OverFolds:
    """What the (K,) values of folds come to."""
    mean, p = corrected_t(np.array(values), ratio, confidence)
    return OverFolds(mean.value, mean, p, values)


def _auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    if not has_auc(positive) or not np.isfinite(scores).all():
        return None
    return influence(positive, scores)[0]


def _r2(truth: np.ndarray, said: np.ndarray) -> float | None:
    variance = ((truth - truth.mean(0)) ** 2).mean()
    return float(1 - ((said - truth) ** 2).mean() / variance) if np.ptp(truth, axis=0).any() else None


def _pair(crossed: Crossed, a: str, b: str, sampling: Resampling) -> CrossValidatedPair:
    """Approach ``a`` minus ``b``: over rows (units of them), and over folds by the corrected resampled t-test."""
    gap = crossed.merit(NESTED, a) - crossed.merit(NESTED, b)
    over_rows, gaps = sampling.mean(gap), np.array([gap[rows].mean() for rows in crossed.folds])
    over_folds, p = corrected_t(gaps, crossed.ratio, sampling.confidence)
    return CrossValidatedPair(over_rows.value, over_rows, OverFolds(over_folds.value, over_folds, p))


def _agreement(table: pa.Table, way: str, summary: CrossValidationSummary, confidence: float) -> CrossValidatedClusters:
    """Adjusted Rand index of the clusters of each fold with the classes."""
    ratio = _ratio(summary)
    nested = _over_folds(_rand_index(table, f"{NESTED}.{way}"), ratio, confidence)
    if f"{NAIVE}.{way}" not in table.column_names:
        return CrossValidatedClusters(nested)
    naive = _over_folds(_rand_index(table, f"{NAIVE}.{way}"), ratio, confidence)
    seen, own = naive.folds or [], nested.folds or []
    if len(seen) != len(own):
        return CrossValidatedClusters(nested, naive)
    gap, p = corrected_t(np.array(seen) - np.array(own), ratio, confidence)
    return CrossValidatedClusters(nested, naive, OverFolds(gap.value, gap, p))


def _rand_index(table: pa.Table, column: str) -> list[float]:
    """Of each fold."""
    some = table.filter(table[column].is_valid())
    fold = some["fold"].to_numpy()
    truth, said = (np.array(some[n].to_pylist(), dtype=str) for n in ("label", column))
    return [float(sk.adjusted_rand_score(truth[fold == k], said[fold == k])) for k in np.unique(fold)]


def _ratio(summary: CrossValidationSummary) -> float:
    """Rows tested over rows learned from, the mean of the folds."""
    return float(np.mean([size["test"] / max(size["train"] + size["val"], 1) for size in summary.sizes]))


def scalars(found: CrossValidation) -> dict[str, Any]:
    """What stands of it in metrics.json: of each way its figure and its optimism, with their intervals."""
    key = (found.measure or {}).get("key", "")
    return {
        way: {
            key: values.interval.value, "low": values.interval.low, "high": values.interval.high,
            **({"optimism": gap.difference, "optimism_low": gap.interval.low, "optimism_high": gap.interval.high}
               if (gap := values.optimism) else {}),
        }
        for way, values in found.ways.items()
    }  # fmt: skip
