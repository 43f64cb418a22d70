"""Fitting one miner: what it leaves open chosen on val rows, then the fit on train rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from tasks.miners import MINERS, UNLABELLED, Task, final, kind
from tasks.miners.choices import given, open_choice
from tasks.miners.kernels import CHEAP, KERNEL_ROWS, MAPS, PROBES, VAL, Weighed, better, exact_seconds, merit
from tasks.views import View

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
    """

    name: str
    miner: str
    view: View
    task: Task
    params: dict[str, Any]
    limit: int | None
    mapped: bool = False

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


def choose(job: Job, rows: np.ndarray) -> dict[str, float]:
    """The value of `GRIDS` that does best on val rows after a fit on at most so many of ``rows``, the first of equals.

    Empty where the person gave a value, or where there are no val rows with labels: then scikit-learn's own holds.
    """
    grid = open_choice(job.miner, job.params)
    if grid is None:
        return {}
    view, values = job.view, grid.sparse if job.view.sparse else grid.dense
    val = lowest(view, np.flatnonzero(view.rows("val") & view.known), grid.rows)
    if not len(val):
        return {}
    train = part_of(job, rows, grid.rows)
    truth = job.labels(val)
    merits = []
    for value in values:
        said = fit(job, train, {**dict(grid.quick), grid.name: value}).predict(view.X[val])
        merits.append(merit(said, truth, job.task.aim))
    return {grid.name: values[int(np.argmax(merits))]}


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


def fit_best(job: Job, rows: np.ndarray, more: Mapping[str, float], accelerate: Any = None) -> Fit:
    """As `fit`; where an exact kernel machine costs too much, a map on all rows or it on some, as val rows say.

    It is exact up to `KERNEL_ROWS` rows, and above as long as `exact_seconds` are few. A person who gives `max_rows`
    gets the exact machine on so many.
    """
    if job.miner not in MAPS or job.limit or len(rows) <= KERNEL_ROWS or cheap(job, rows, more):
        return Fit(job, rows, fit(job, rows, more, accelerate))
    view, part = job.view, part_of(job, rows, KERNEL_ROWS)
    mapped = replace(job, mapped=True)
    map_ = fit(mapped, rows, more)
    val = lowest(view, np.flatnonzero(view.rows("val") & view.known), VAL)
    if not job.labelled or not len(val):
        return Fit(mapped, rows, map_, Weighed(len(rows), len(part), None, None, "map"))
    exact, truth = fit(job, part, more, accelerate), job.labels(val)
    one, two = (merit(estimator.predict(view.X[val]), truth, job.task.aim) for estimator in (map_, exact))
    found = Weighed(len(rows), len(part), one, two, better(two, one))
    return Fit(mapped, rows, map_, found) if found.used == "map" else Fit(job, part, exact, found)
