"""Rows unlike the train rows: how many test rows a detector flags, of which classes, and whether errors gather there."""

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from tasks.evaluation.scorers import Said
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, has_auc
from tasks.storage.names import UNLIKE

#: The most unlike rows that are named.
NAMED = 24


def detectors(
    predictions: pa.Table, names: list[str], best: tuple[Said, str] | None, sampling: Resampling
) -> dict[str, dict[str, Any]]:
    """What each detector says of the test rows.

    Args:
        names: `NAME@VIEW` of the detectors; they have a column of marks and one of scores.
        best: the verdicts on test rows and the name of the best way among them, None where nothing could be judged.

    Returns:
        For each: `rows`, `flagged`, `share` with its `interval`; `classes`, label -> flagged and rows, where the best
        way tells classes; `errors` of the best way on flagged rows less those on the others; ids of the `most` unlike.
    """
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    ids = np.array(table["id"].to_pylist(), dtype=str)
    found = {}
    for name in names if len(ids) else []:
        flagged = np.array([mark == UNLIKE for mark in table[name].to_pylist()])
        scores = table[f"{name}.score"].to_numpy()
        order = np.lexsort((ids, -scores))[:NAMED]
        found[name] = {
            "rows": len(ids), "flagged": int(flagged.sum()), "share": float(flagged.mean()),
            "interval": sampling.proportion(flagged), "classes": {}, "errors": None,
            "most": [{"id": str(ids[i]), "score": float(f"{scores[i]:.6g}")} for i in order],
        }  # fmt: skip
        if best is not None:
            found[name] |= _judged(ids, flagged, scores, best, sampling)
    return found


def agreement(predictions: pa.Table, names: list[str]) -> dict[str, dict[str, Any]]:
    """For each two detectors: test rows that both flag and that either does, and how alike they rank all of them."""
    table = predictions.filter(pc.equal(predictions["split"], "test"))
    found = {}
    for a, b in combinations(names, 2) if table.num_rows else ():
        one, two = (np.array([mark == UNLIKE for mark in table[name].to_pylist()]) for name in (a, b))
        scores = [table[f"{name}.score"].to_numpy() for name in (a, b)]
        flat = any(np.ptp(score) == 0 for score in scores)
        rank = None if flat else float(spearmanr(*scores).statistic)
        found[f"{a} - {b}"] = {"both": int((one & two).sum()), "either": int((one | two).sum()), "rank": rank}
    return found


def _judged(
    ids: np.ndarray, flagged: np.ndarray, scores: np.ndarray, best: tuple[Said, str], sampling: Resampling
) -> dict[str, Any]:
    """Flags of each class, and the errors of the best way on flagged rows and on the others."""
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
        return {"classes": classes}
    on, off = wrong[flags], wrong[~flags]
    gap = sampling.unpaired_difference(on, off)
    errors: dict[str, Any] = {
        "by": name, "flagged": float(on.mean()), "others": float(off.mean()), "rows": len(on), "difference": gap.value,
        "interval": gap,
    }  # fmt: skip
    if not numbers and has_auc(wrong):
        # how well the score alone would tell the rows on which the best way errs
        area = auc(wrong, far, sampling)
        errors |= {"auc": area.value, "auc_interval": area}
    return {"classes": classes, "errors": errors}
