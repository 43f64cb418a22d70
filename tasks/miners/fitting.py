"""Fitting one miner: what it leaves open chosen on val rows, then the fit on train rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from tasks.miners import MINERS, Task, clusters
from tasks.miners.choices import given, open_choice
from tasks.store import fingerprint
from tasks.views import View


@dataclass(frozen=True)
class Job:
    """One miner of params.yaml on one view.

    Attributes:
        name: what the person calls it.
        miner: its entry in `MINERS`; ``params`` are the person's for it.
        task: what it is made for.
        limit: train rows that it is fitted on at most.
    """

    name: str
    miner: str
    view: View
    task: Task
    params: dict[str, Any]
    limit: int | None

    @property
    def key(self) -> str:
        """The name of its file and of its column."""
        return f"{self.name}@{self.view.name}"

    @property
    def clusterer(self) -> bool:
        """Whether it uses no labels."""
        return clusters(self.miner)

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Classes (M,) or numbers (M,) or (M, K) of ``rows``."""
        if self.clusterer or self.task.aim == "classification":
            return self.view.label[rows]
        numbers = self.view.targets(rows)
        return numbers[:, 0] if self.task.outputs == 1 else numbers


def lowest(view: View, rows: np.ndarray, limit: int | None) -> np.ndarray:
    """(M,) of the positions ``rows``; over ``limit``, those whose id hashes lowest, the same on every view."""
    if limit is None or len(rows) <= limit:
        return rows
    ranks = np.array([fingerprint(i) for i in view.ids[rows].tolist()])
    return np.sort(rows[np.argsort(ranks)[:limit]])


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
    train = lowest(view, rows, grid.rows)
    truth = job.labels(val)
    merits = []
    for value in values:
        said = fit(job, train, {**dict(grid.quick), grid.name: value}).predict(view.X[val])
        merits.append(
            float((said == truth).mean() if job.task.aim == "classification" else -np.abs(said - truth).mean())
        )
    return {grid.name: values[int(np.argmax(merits))]}


def fit(job: Job, rows: np.ndarray, more: Mapping[str, float], accelerate: Any = None) -> BaseEstimator:
    """The miner fitted on ``rows`` with ``more`` parameters; ``accelerate`` may put another estimator in its place."""
    estimator = MINERS[job.miner](job.task, **{**given(job.miner, job.params), **more})
    if accelerate is not None and not job.view.sparse:
        estimator = accelerate(estimator)
    fitted: BaseEstimator = estimator.fit(job.view.X[rows], job.labels(rows))
    return fitted
