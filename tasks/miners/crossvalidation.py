"""Choices where val rows are few: out-of-fold figures of train and val rows in their place, or beside them.

A handful of val rows ranks values of C, miners and approaches by chance. Below `folds.ENOUGH` labelled val rows, or
`GROUPS` groups of them, such choices go by folds of the train and val rows, made as splits are: copies and rows of a
group stay together, and where time splits the rows what is fitted on comes before what is judged. More val rows than
that choose alone.

A network was trained on the labels of the train rows, so that miners on its features look better on these rows than they
are. There val rows choose first, and folds among those that val rows hold for equal; such a figure is never held against
that of another view or of the network.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.miners.fitting import Job, fit, lowest, part_of
from tasks.miners.hyperparameters import open_choice
from tasks.miners.kernel_approximation import merit
from tasks.splitting.folds import ENOUGH, Cases, make_folds, rank, trained_on
from tasks.storage.summaries import OutOfFold

#: Folds, and rows that are enough for them.
FOLDS, MOST = 5, 2_000
#: Below so many rows folds are made this often, each time in other ways, as one time leaves much to chance. Of machines on
#: one scale a view (C of 1, 10, 100, linear and RBF) one time favours RBF with C = 10 or linear with C = 100 on GunPoint
#: (test rows: 95.3, 90.0 %), three times RBF with C = 100 (96.0 %); three and ten times agree there and on ArrowHead and
#: Italian power demand.
FEW, TIMES = 200, 3
#: Groups of val rows that are enough to choose by, where all of them are in groups.
GROUPS = 5
#: Train rows up to which a miner is fitted again on train and val rows once all is chosen. The val rows are a seventh
#: more, which many rows do not feel, while the fit costs as much as the first.
REFIT = 10_000
#: Val rows over train rows up to which a calibration holds for the miner that is fitted again. With three times as many (300
#: and 900 rows of two classes that overlap) an RBF machine was 7 points too sure, without that under 5.
PART = 1 / 3
#: Miners that are not fitted again: what they say names the train rows next to a row.
NAMING = ("nearest_neighbours",)

Parts = list[tuple[np.ndarray, np.ndarray]]


def val_rows(job: Job) -> np.ndarray:
    """Positions of the val rows with a label."""
    return np.flatnonzero(job.view.rows("val") & job.view.known)


def few_val(job: Job) -> bool:
    """Whether these are too few to choose by, or of too few groups: rows of one speaker say little of another."""
    if not job.labelled:
        return False
    val = val_rows(job)
    groups = job.cases.group[val] if job.cases else np.empty(0, dtype=object)
    grouped = len(groups) > 0 and bool((groups != "").all())
    return len(val) < ENOUGH or (grouped and len(np.unique(groups)) < GROUPS)


def folds_of(job: Job, rows: np.ndarray, count: int = FOLDS, time: int = 0) -> Parts:
    """(rows to fit on, rows to judge) for each fold of the positions ``rows``; empty where no two can be made.

    Each ``time`` makes others, but for rows that time splits.
    """
    if len(rows) < 2:
        return []
    made = make_folds((job.cases or _alone(job)).part(rows), count, "auto", 0.0, job.task.seed + time)
    return [(rows[split == "train"], rows[split == "test"]) for split in made.split]


def _alone(job: Job) -> Cases:
    """Rows of which nothing is known to belong together."""
    view, ids = job.view, job.view.ids.astype(object)
    nothing, numbers = np.full(len(ids), "", dtype=object), job.task.aim == "regression"
    return Cases(ids, ids, view.label.astype(object), nothing, np.full(len(ids), np.nan), numbers)


def folds_for(job: Job, train: np.ndarray, limit: int = MOST) -> Parts:
    """Folds of the train and val rows, where val rows are few: of at most ``limit`` of them."""
    if not few_val(job):
        return []
    rows = np.sort(np.concatenate([part_of(job, train, limit), val_rows(job)]))
    drawn = (job.cases or _alone(job)).part(rows).scheme != "time"  # which always makes the same
    times = TIMES if drawn and len(rows) < FEW else 1
    return [part for time in range(times) for part in folds_of(job, rows, time=time)]


def out_of_fold(job: Job, folds: Parts, more: Mapping[str, Any]) -> OutOfFold:
    """How good ``job`` with ``more`` parameters is on each row that ``folds`` judge."""
    said = [fit(job, train, more).predict(job.view.X[test]) for train, test in folds]
    judged = np.concatenate([test for _, test in folds])
    return OutOfFold(merit(np.concatenate(said), job.labels(judged), job.task.aim), len(np.unique(judged)), len(folds))


def choose(job: Job, rows: np.ndarray) -> dict[str, Any]:
    """The value of `GRIDS` that does best after a fit on at most so many of the train ``rows``, the first of equals.

    On val rows; where these are few, by folds (see above). Empty where the person gave a value, or where there are
    neither val rows nor folds: then scikit-learn's own holds.
    """
    grid = open_choice(job.miner, job.params, job.task.aim)
    if grid is None:
        return {}
    values = grid.sparse if job.view.sparse else grid.dense
    folds, val = folds_for(job, rows, min(grid.rows, MOST)), lowest(job.view, val_rows(job), grid.rows)
    if not folds and not len(val):
        return {}
    train = part_of(job, rows, grid.rows)
    ranks = []
    for value in values:
        more: dict[str, Any] = {**dict(grid.quick), grid.name: value}
        held = merit(fit(job, train, more).predict(job.view.X[val]), job.labels(val), job.task.aim) if len(val) else 0.0
        ranks.append(rank(job.view.name, held, out_of_fold(job, folds, more).score if folds else None))
    return {grid.name: values[max(range(len(values)), key=lambda i: ranks[i])]}


def held_out(job: Job, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows to fit on, rows to judge) where two machines are held against each other: val rows, or if few one fold."""
    folds = folds_of(job, train) if few_val(job) and not trained_on(job.view.name) else []
    return folds[0] if folds else (train, val_rows(job))


def refitted(job: Job, train: np.ndarray, fitted: np.ndarray) -> np.ndarray | None:
    """The train and val rows that a miner is fitted on once all is chosen; None where it stays as it is.

    Val rows of classes that no train row has are left out. A classifier stays as it is where val rows are more than
    `PART` of the train rows: how sure it is would change so much that its calibration no longer held.
    """
    val = val_rows(job)
    if job.task.aim == "classification":
        val = val[np.isin(job.view.label[val], np.unique(job.view.label[train]))]
    if job.kind == "classifier" and len(val) > PART * len(train):
        return None
    whole = len(fitted) == len(train) <= REFIT and job.limit is None
    if not job.labelled or job.mapped or not whole or not len(val) or job.miner in NAMING:
        return None
    return np.sort(np.concatenate([train, val]))
