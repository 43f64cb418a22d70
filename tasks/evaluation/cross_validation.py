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

from tasks.core.files import read_json
from tasks.evaluation.fusion import TITLES, WAYS, candidates
from tasks.evaluation.predictions import ways
from tasks.evaluation.scorers import Classes, Numbers
from tasks.evaluation.sentences import crossed_ways
from tasks.features.label_values import as_numbers, parse_numbers
from tasks.stats.intervals import methods
from tasks.stats.paired_tests import corrected_t
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import has_auc, influence
from tasks.storage.names import SUMMARY
from tasks.storage.store import read

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


def figures(crossvalidation: Path, sampling: Resampling) -> dict[str, Any]:
    """What the store of `crossvalidate` comes to; where it is empty, why."""
    summary = read_json(crossvalidation / SUMMARY)
    known = ("folds", "asked", "why", "scheme", "rows", "set_aside", "grouped", "sizes")
    result: dict[str, Any] = {key: summary[key] for key in known if key in summary}
    result |= {
        "confidence": sampling.confidence,
        "methods": {},
        "ways": {},
        "pairs": {},
        "clusters": {},
        "sentence": "",
    }
    if not summary["folds"]:
        return result
    table = read(crossvalidation).combine_chunks()
    table = table.filter(table["label"].is_valid())
    if summary["aim"] == "clusters" or not table.num_rows:
        return result | {"why": "no row has a label to judge by"}
    clusterers = [n for n in _judged_ways(table) if n in summary["clusterers"]]
    if summary["aim"] == "classification":
        result["clusters"] = {n: _agreement(table, n, summary, sampling.confidence) for n in clusterers}
    crossed, lacking = _crossed(table, summary)
    single = list(crossed.said[NESTED])
    _choose(crossed, summary)
    sampling = replace(sampling, groups=crossed.units)
    chosen = [way for way in WAYS if way in crossed.said[NESTED]]
    order = [*chosen, *(way for way in single if way not in chosen)]
    result |= {
        "measure": crossed.measure, "titles": {way: TITLES.get(way, way) for way in order}, "chosen": chosen,
        "judged_rows": len(crossed.fold), "lacking": lacking, "classes": crossed.classes,
        "ways": {way: _way(crossed, way, sampling) for way in order},
        "pairs": {
            f"{a} - {b}": _pair(crossed, a, b, sampling)
            for own in (chosen, single) for a, b in combinations(own, 2)
        },
    }  # fmt: skip
    result["methods"] = {kind: methods(result[kind].values()) for kind in ("ways", "pairs")}
    return result | {"sentence": crossed_ways(result)}


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


def _crossed(table: pa.Table, summary: dict[str, Any]) -> tuple[Crossed, int]:
    """The rows of which every way said something, and how many others there are."""
    names = [n for n in _judged_ways(table) if n not in summary["clusterers"]]
    whole = np.ones(table.num_rows, bool)
    columns = {how: _of(table, how) for how in (NESTED, NAIVE)}
    for part in columns.values():
        for name in (n for n in names if n in part.column_names):
            whole &= part[name].is_valid().to_numpy()
    lacking = int((~whole).sum())
    keep = pa.array(whole)
    table, columns = table.filter(keep), {how: part.filter(keep) for how, part in columns.items()}
    fold, unit, label = (table[name].to_pylist() for name in ("fold", "unit", "label"))
    numbers = summary["aim"] == "regression"
    ratio = float(np.mean([size["test"] / max(size["train"] + size["val"], 1) for size in summary["sizes"]]))
    made = Crossed(
        np.array(fold, np.int64), np.array(unit, dtype=str), parse_numbers(label) if numbers else np.array(label, str),
        [] if numbers else sorted(set(label)), ratio,
    )  # fmt: skip
    for how, part in columns.items():
        for name in (n for n in names if n in part.column_names):
            made.said[how][name] = as_numbers(part[name]) if numbers else np.array(part[name].to_pylist(), dtype=str)
            if f"{name}.score" in part.column_names and len(made.classes) == 2:
                made.scores[how][name] = part[f"{name}.score"].to_numpy()
    return made, lacking


def _choose(crossed: Crossed, summary: dict[str, Any]) -> None:
    """Add the ways of `WAYS`: in every fold the miner that does best on its val rows stands for its view.

    Naively judged the same miner stands, so that the difference is of what the features knew and not of a choice.
    """
    kinds, single = summary["kinds"], list(crossed.said[NESTED])
    for key, way in WAYS.items():
        if way.view is None:
            continue
        names = candidates(key, single, kinds)
        if not names:
            continue
        best = {k: max(names, key=lambda n: summary["merits"][k].get(n, [])) for k in np.unique(crossed.fold).tolist()}
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


def _way(crossed: Crossed, way: str, sampling: Resampling) -> dict[str, Any]:
    """Every figure of one way, and its optimism where it was judged naively too; rows of a unit count together."""
    merit, key = crossed.merit(NESTED, way), crossed.measure["key"]
    folds = [float(merit[rows].mean()) for rows in crossed.folds]
    whole = sampling.proportion(merit) if crossed.classes else sampling.mean(merit)
    found = {
        key: whole.value, "interval": whole, "folds": folds, "spread": float(np.std(folds, ddof=1)),
        **_by_fold(crossed, way, sampling),
    }  # fmt: skip
    if way in crossed.said[NAIVE]:
        seen = crossed.merit(NAIVE, way)
        gap = seen - merit if crossed.classes else merit - seen
        gains = np.array([gap[rows].mean() for rows in crossed.folds])
        found["naive"] = float(seen.mean())
        over_rows, (over_folds, _) = sampling.mean(gap), corrected_t(gains, crossed.ratio, sampling.confidence)
        found["optimism"] = {
            "difference": over_rows.value, "interval": over_rows, "folds": gains.tolist(), "over_folds": over_folds,
        }  # fmt: skip
    return found


def _by_fold(crossed: Crossed, way: str, sampling: Resampling) -> dict[str, Any]:
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
    result: dict[str, Any] = {}
    for name, values in found.items():
        if all(v is not None for v in values):
            result[name] = _over_folds(values, crossed.ratio, sampling.confidence)
    return result


def _over_folds(values: list[Any], ratio: float, confidence: float) -> dict[str, Any]:
    """What (K,) statistics of folds come to: their mean, its interval, and the p-value that it is zero."""
    mean, p = corrected_t(np.array(values, np.float64), ratio, confidence)
    return {"mean": mean.value, "interval": mean, "p": p, "folds": values}


def _auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    if not has_auc(positive) or not np.isfinite(scores).all():
        return None
    return influence(positive, scores)[0]


def _r2(truth: np.ndarray, said: np.ndarray) -> float | None:
    variance = ((truth - truth.mean(0)) ** 2).mean()
    return float(1 - ((said - truth) ** 2).mean() / variance) if np.ptp(truth, axis=0).any() else None


def _pair(crossed: Crossed, a: str, b: str, sampling: Resampling) -> dict[str, Any]:
    """Way ``a`` less way ``b``: over rows (units of them), and over folds by the corrected resampled t-test."""
    gap = crossed.merit(NESTED, a) - crossed.merit(NESTED, b)
    over_rows = sampling.mean(gap)
    over_folds, p = corrected_t(
        np.array([gap[rows].mean() for rows in crossed.folds]), crossed.ratio, sampling.confidence
    )
    return {
        "difference": over_rows.value, "interval": over_rows,
        "over_folds": {"mean": over_folds.value, "interval": over_folds, "p": p},
    }  # fmt: skip


def _agreement(table: pa.Table, way: str, summary: dict[str, Any], confidence: float) -> dict[str, Any]:
    """Adjusted Rand index of the clusters of each fold with the classes; clusters of different folds are not the same."""
    ratio = float(np.mean([size["test"] / max(size["train"] + size["val"], 1) for size in summary["sizes"]]))
    found: dict[str, Any] = {}
    for how in (NESTED, NAIVE):
        name, values = f"{how}.{way}", []
        if name not in table.column_names:
            continue
        some = table.filter(table[name].is_valid())
        fold = some["fold"].to_numpy()
        truth, said = (np.array(some[n].to_pylist(), dtype=str) for n in ("label", name))
        for k in np.unique(fold):
            values.append(float(sk.adjusted_rand_score(truth[fold == k], said[fold == k])))
        found[how] = _over_folds(values, ratio, confidence)
    if NAIVE in found and len(found[NAIVE]["folds"]) == len(found[NESTED]["folds"]):
        gaps = np.array(found[NAIVE]["folds"]) - np.array(found[NESTED]["folds"])
        gap, p = corrected_t(gaps, ratio, confidence)
        found["optimism"] = {"mean": gap.value, "interval": gap, "p": p}
    return found


def scalars(found: dict[str, Any]) -> dict[str, Any]:
    """What stands of it in metrics.json: of each way its figure and its optimism, with their intervals."""
    key = found.get("measure", {}).get("key", "")
    return {
        way: {
            key: values[key], "low": values["interval"].low, "high": values["interval"].high,
            **({"optimism": gap["difference"], "optimism_low": gap["interval"].low, "optimism_high": gap["interval"].high}
               if (gap := values.get("optimism")) else {}),
        }
        for way, values in found["ways"].items()
    }  # fmt: skip
