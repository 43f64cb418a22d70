"""Fitting one miner on some of the train rows, exactly or by a kernel map."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from tasks.features.view import View
from tasks.miners import MINERS, UNLABELLED, Task, final, kind
from tasks.miners.hyperparameters import given
from tasks.miners.kernel_approximation import (
    CHEAP,
    KERNEL_ROWS,
    MAPS,
    PROBES,
    VAL,
    Weighed,
    better,
    exact_seconds,
    merit,
)
from tasks.splitting.folds import Cases

#: Rows of each class that stay where only part of the rows is taken.
OF_CLASS = 10


@dataclass(frozen=True)
class Job:
    """One miner of params.yaml on one view.

    Attributes:
        name: what the person calls it.
        miner: its entry in `MINERS`; ``params`` are the person's for it.
        task: what it is made for.
        limit: train rows that it is fitted on at most.
        mapped: whether a kernel map stands in for the exact machine (`kernels.MAPS`).
        cases: what folds of the rows of ``view`` are made by; None: nothing is known of them.
    """

    name: str
    miner: str
    view: View
    task: Task
    params: dict[str, Any]
    limit: int | None
    mapped: bool = False
    cases: Cases | None = None

    @property
    def key(self) -> str:
        """The name of its file and of its column."""
        return f"{self.name}@{self.view.name}"

    @property
    def kind(self) -> str:
        """Classifier, regressor, clusterer, outlier_detector or neighbours."""
        return kind(self.miner, self.task)

    @property
    def labelled(self) -> bool:
        """Whether it learns labels."""
        return self.kind not in UNLABELLED

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Classes (M,) or numbers (M,) or (M, K) of ``rows``."""
        if not self.labelled or self.task.aim == "classification":
            return self.view.label[rows]
        numbers = self.view.targets(rows)
        return numbers[:, 0] if self.task.outputs == 1 else numbers


def lowest(view: View, rows: np.ndarray, limit: int | None) -> np.ndarray:
    """(M,) of the positions ``rows``; over ``limit``, those whose id hashes lowest, the same on every view."""
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(rows[np.argsort(view.ranks[rows], kind="stable")[:limit]])


def part_of(job: Job, rows: np.ndarray, limit: int | None) -> np.ndarray:
    """As `lowest`, and where classes are learned up to `OF_CLASS` rows of each: a rare one would be lost."""
    chosen = lowest(job.view, rows, limit)
    if limit is None or len(chosen) == len(rows) or not job.labelled or job.task.aim != "classification":
        return chosen
    names, code = np.unique(job.view.label[rows], return_inverse=True)
    least = min(OF_CLASS, max(1, limit // (2 * len(names))))
    rare = np.flatnonzero(np.bincount(code[np.isin(rows, chosen)], minlength=len(names)) < least)
    return np.unique(np.concatenate([chosen, *(lowest(job.view, rows[code == k], least) for k in rare.tolist())]))


def fit(job: Job, rows: np.ndarray, more: Mapping[str, float], accelerate: Any = None) -> BaseEstimator:
    """The miner fitted on ``rows`` with ``more`` parameters; ``accelerate`` may put another estimator in its place."""
    make, params = MAPS[job.miner] if job.mapped else MINERS[job.miner], {**given(job.miner, job.params), **more}
    estimator = make(job.task, **params)
    most = max(1, len(rows) - (job.kind == "outlier_detector"))  # whose fitted rows are no neighbours of themselves
    if final(estimator).get_params().get("n_neighbors", 0) > most:
        final(estimator).set_params(n_neighbors=most)
    if accelerate is not None and not job.view.sparse:
        estimator = accelerate(estimator)
    fitted: BaseEstimator = estimator.fit(job.view.X[rows], job.labels(rows))
    return fitted


def cheap(job: Job, rows: np.ndarray, more: Mapping[str, float]) -> bool:
    """Whether an exact kernel machine on all ``rows`` costs no more than `CHEAP` seconds, held-out rows asked too."""
    probes = [fit(job, part_of(job, rows, size), more) for size in PROBES]
    asked = int(job.view.rows("val", "test").sum())
    return exact_seconds(probes, len(rows), asked, job.view.X.shape[1]) <= CHEAP


@dataclass(frozen=True)
class Fit:
    """A fitted estimator: by which job, on which train ``rows``, and what it was held against, if anything."""

    job: Job
    rows: np.ndarray
    estimator: BaseEstimator
    weighed: Weighed | None = None


def fit_best(
    job: Job, rows: np.ndarray, more: Mapping[str, float], held: tuple[np.ndarray, np.ndarray] | None = None,
    accelerate: Any = None,
) -> Fit:  # fmt: skip
    """As `fit`; where an exact kernel machine costs too much, a map on all rows or it on some, as ``held`` rows say.

    It is exact up to `KERNEL_ROWS` rows, and above as long as `exact_seconds` are few. A person who gives `max_rows`
    gets the exact machine on so many.

    Args:
        held: rows that both are fitted on for that, and rows that they are judged by.
    """
    if job.miner not in MAPS or job.limit or len(rows) <= KERNEL_ROWS or cheap(job, rows, more):
        return Fit(job, rows, fit(job, rows, more, accelerate))
    view, mapped, part = job.view, replace(job, mapped=True), part_of(job, rows, KERNEL_ROWS)
    learned, val = held or (rows, np.empty(0, np.int64))
    val = lowest(view, val, VAL)
    if not job.labelled or not len(val):
        return Fit(mapped, rows, fit(mapped, rows, more), Weighed(len(rows), len(part), None, None, "map"))
    map_, exact = fit(mapped, learned, more), fit(job, part_of(job, learned, KERNEL_ROWS), more, accelerate)
    truth = job.labels(val)
    one, two = (merit(estimator.predict(view.X[val]), truth, job.task.aim) for estimator in (map_, exact))
    found = Weighed(len(rows), len(part), one, two, better(two, one))
    if found.used == "map":
        return Fit(mapped, rows, map_ if learned is rows else fit(mapped, rows, more), found)
    return Fit(job, part, exact if learned is rows else fit(job, part, more, accelerate), found)
