"""Rows unlike the train rows: how many test rows a detector flags, of which classes, and whether errors gather there."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from tasks.evaluation.scorers import Said
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, has_auc
from tasks.storage.names import UNLIKE

#: The most unlike rows that are named.
NAMED = 24


@dataclass(frozen=True)
class ErrorsOnFlagged:
    """Errors of the best approach on the rows that a detector flags, minus those on the others.

    Attributes:
        by: the prediction whose errors they are.
        flagged, others: mean error on either; ``rows`` are the flagged ones.
        auc: how well the detector's score ranks the rows that are predicted wrongly; of classes alone.
    """

    by: str
    flagged: float
    others: float
    rows: int
    difference: float
    interval: Interval
    auc: float | None = None
    auc_interval: Interval | None = None


@dataclass(frozen=True)
class Detector:
    """What a detector says of the test rows.

    Attributes:
        share: the fraction of rows that are ``flagged``, with its interval.
        classes: label -> flagged rows and rows, where the best approach tells classes.
        errors: None where all rows are flagged, or none, or nothing was predicted.
        most: ids and scores of the most unlike rows.
    """

    rows: int
    flagged: int
    share: float
    interval: Interval
    most: list[dict[str, Any]]
    errors: ErrorsOnFlagged | None
    classes: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectorAgreement:
    """Test rows that both of two detectors flag, that either does, and Spearman's correlation of their scores."""

    both: int
    either: int
    rank: float | None


def detectors(
    predictions: pa.Table, names: list[str], best: tuple[Said, str] | None, sampling: Resampling
) -> dict[str, Detector]:
    """What each detector says of the test rows.

    Args:
        names: `NAME@VIEW` of the detectors; they have a column of marks and one of scores.
        best: the predictions of test rows and the name of the best approach's, None where nothing could be judged.
    """
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    ids = np.array(table["id"].to_pylist(), dtype=str)
    found = {}
    for name in names if len(ids) else []:
        flagged = np.array([mark == UNLIKE for mark in table[name].to_pylist()])
        scores = table[f"{name}.score"].to_numpy()
        order = np.lexsort((ids, -scores))[:NAMED]
        share, most = (
            sampling.proportion(flagged),
            [{"id": str(ids[i]), "score": float(f"{scores[i]:.6g}")} for i in order],
        )
        classes, errors = _judged(ids, flagged, scores, best, sampling) if best is not None else ({}, None)
        found[name] = Detector(len(ids), int(flagged.sum()), share.value, share, most, errors, classes)
    return found


def agreement(predictions: pa.Table, names: list[str]) -> dict[str, DetectorAgreement]:
    """For each two detectors: test rows that both flag and that either does, and how alike they rank all of them."""
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    found = {}
    for a, b in combinations(names, 2) if table.num_rows else ():
        one, two = (np.array([mark == UNLIKE for mark in table[name].to_pylist()]) for name in (a, b))
        scores = [table[f"{name}.score"].to_numpy() for name in (a, b)]
        flat = any(np.ptp(score) == 0 for score in scores)
        rank = None if flat else float(spearmanr(*scores).statistic)
        found[f"{a} - {b}"] = DetectorAgreement(int((one & two).sum()), int((one | two).sum()), rank)
    return found


def _judged(
    ids: np.ndarray, flagged: np.ndarray, scores: np.ndarray, best: tuple[Said, str], sampling: Resampling
) -> tuple[dict[str, list[int]], ErrorsOnFlagged | None]:
    """Flags and rows of each class, and the errors of the best approach on flagged rows and on the others."""
    said, name = best
    place = {i: k for k, i in enumerate(ids.tolist())}
    rows = np.array([place[i] for i in said.ids.tolist()])
    flags, far = flagged[rows], scores[rows]
    numbers = said.truth.ndim == 2
    wrong = np.abs(said.by[name] - said.truth).mean(1) if numbers else said.by[name] != said.truth
    classes = {} if numbers else {
        str(label): [int((flags & (said.truth == label)).sum()), int((said.truth == label).sum())]
        for label in sorted(set(said.truth.tolist()))
    }  # fmt: skip
    if not 0 < flags.sum() < len(flags):
        return classes, None
    on, off = wrong[flags], wrong[~flags]
    gap = sampling.unpaired_difference(on, off)
    # how well the score alone would tell the rows on which the best approach errs
    area = None if numbers or not has_auc(wrong) else auc(wrong, far, sampling)
    errors = ErrorsOnFlagged(
        name, float(on.mean()), float(off.mean()), len(on), gap.value, gap, area.value if area else None, area
    )
    return classes, errors
