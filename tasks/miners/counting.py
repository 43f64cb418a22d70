"""How many clusters: a small grid of numbers tried on train rows, where no class or person says it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import silhouette_score

from tasks.miners.choices import open_count
from tasks.miners.fitting import Job, fit, lowest

TRIED = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)


@dataclass(frozen=True)
class Curve:
    """What each number of clusters is worth.

    Attributes:
        parameter, measure: as `choices.Count` has them.
        rows: train rows that were clustered.
        values: numbers of clusters, each with its measure.
    """

    parameter: str
    measure: str
    rows: int
    values: tuple[tuple[int, float], ...]

    @property
    def best(self) -> int:
        """The number of clusters with the largest silhouette or the smallest BIC, the fewest of equals."""
        sign = 1 if self.measure == "bic" else -1
        return min(self.values, key=lambda pair: sign * pair[1])[0]


def count(job: Job, rows: np.ndarray) -> Curve | None:
    """The curve of a clusterer whose number of clusters is open, from so many of ``rows``; None where it is not.

    None too where the rows are too few for two clusters.
    """
    wanted = open_count(job.miner, job.params, job.task)
    if wanted is None:
        return None
    train = lowest(job.view, rows, wanted.rows)
    X = job.view.X[train]
    worth = bic if wanted.measure == "bic" else silhouette
    values = tuple((k, worth(fit(job, train, {wanted.name: k}), X)) for k in TRIED if k < len(train))
    return Curve(wanted.name, wanted.measure, len(train), values) if values else None


def silhouette(estimator: BaseEstimator, X: Any) -> float:
    """How well the clusters of the (M, D) rows of ``X`` stand apart, -1 to 1; 0 where all rows are in one."""
    said = estimator.predict(X)
    return float(silhouette_score(X, said)) if 2 <= len(set(said.tolist())) < len(said) else 0.0


def bic(estimator: BaseEstimator, X: Any) -> float:
    """Bayesian information criterion of a fitted mixture on the (M, D) rows of ``X``."""
    return float(estimator[-1].bic(estimator[:-1].transform(X)))
