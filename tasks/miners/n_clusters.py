"""How many clusters: a small grid of numbers tried on train rows, where no class or person says it.

And whether there are any: rows spread evenly over the same space can be cut into pieces too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import t
from sklearn.base import BaseEstimator
from sklearn.metrics import silhouette_samples
from sklearn.metrics.cluster import contingency_matrix

from tasks.miners.fitting import Job, fit, lowest
from tasks.miners.hyperparameters import Count, open_count
from tasks.miners.pipelines import steps_of

TRIED = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
#: Prediction strength from which on clusters count as found again (Tibshirani and Walther 2005 say .8 to .9).
STRONG = 0.8
#: Times that the rows are halved at random for it; each half predicts the other.
HALVINGS = 5
#: Sets of structureless rows that the best value is held against, and the confidence of what another would give.
REFERENCES, CONFIDENCE = 5, 0.95


@dataclass(frozen=True)
class Curve:
    """What each number of clusters is worth.

    Attributes:
        parameter, measure: as `choices.Count` has them.
        rows: train rows that were clustered.
        values: numbers of clusters, each with its measure; ``errors`` with the standard error of that.
        reference: the same of rows without clusters; for BIC that of a single cluster.
        high: what hardly any rows without clusters would reach; None for BIC.
    """

    parameter: str
    measure: str
    rows: int
    values: tuple[tuple[int, float], ...]
    errors: tuple[tuple[int, float], ...] = ()
    reference: tuple[tuple[int, float], ...] = ()
    high: float | None = None

    @property
    def best(self) -> int:
        """The number of clusters with the largest silhouette or the smallest BIC, the fewest of equals.

        By stability the most that are found again, as far as one standard error can tell; where none are, those that
        come nearest to it.
        """
        errors, sign = dict(self.errors), 1 if self.measure == "bic" else -1
        if self.measure == "stability":
            again = [k for k, value in self.values if value + errors.get(k, 0.0) >= STRONG]
            if again:
                return max(again)
        return min(self.values, key=lambda pair: sign * pair[1])[0]

    @property
    def structure(self) -> bool | None:
        """Whether the best is better than rows without clusters can be expected to give; None where nothing says so."""
        if not self.reference:
            return None
        value = dict(self.values)[self.best]
        if self.high is None:
            return value < dict(self.reference)[1]
        found = self.measure != "stability" or value + dict(self.errors).get(self.best, 0.0) >= STRONG
        return found and value > self.high


Worth = Callable[[Job, np.ndarray, str, int], tuple[float, float]]


def count(job: Job, rows: np.ndarray) -> Curve | None:
    """The curve of a clusterer whose number of clusters is open, from so many of ``rows``; None where it is not.

    None too where the rows are too few for two clusters.
    """
    wanted = open_count(job.miner, job.params, job.task)
    if wanted is None:
        return None
    train = lowest(job.view, rows, wanted.rows)
    # a half of the rows has to hold them all
    tried = [k for k in TRIED if k < len(train) / (2 if wanted.measure == "stability" else 1)]
    if not tried:
        return None
    found = {k: WORTH[wanted.measure](job, train, wanted.name, k) for k in tried}
    curve = Curve(
        wanted.name, wanted.measure, len(train),
        tuple((k, value) for k, (value, _) in found.items()), tuple((k, error) for k, (_, error) in found.items()),
    )  # fmt: skip
    return against_none(curve, job, train, wanted)


def against_none(curve: Curve, job: Job, train: np.ndarray, wanted: Count) -> Curve:
    """``curve`` with what rows without clusters give: the idea of the gap statistic (Tibshirani et al. 2001).

    The best silhouette is the largest of many by choice, so it is held against the largest of each reference; a
    strength is not, and is held against those of as many clusters. Of a mixture, one component is the alternative.
    """
    worth = WORTH[curve.measure]
    if curve.measure == "bic":
        return replace(curve, reference=((1, worth(job, train, wanted.name, 1)[0]),))
    tried = [curve.best] if curve.measure == "stability" else [k for k, _ in curve.values]
    drawn = np.empty((REFERENCES, len(tried)))
    for i in range(REFERENCES):
        rng = np.random.default_rng([job.task.seed, i])
        X = structureless(job.view.X[train], rng)
        empty = replace(job, view=replace(job.view, X=X, label=job.view.label[train]))
        drawn[i] = [worth(empty, np.arange(len(train)), wanted.name, k)[0] for k in tried]
    most = drawn.max(1)  # (REFERENCES,)
    # the upper end of a prediction interval for one more reference
    wide = float(t.ppf((1 + CONFIDENCE) / 2, REFERENCES - 1)) * (1 + 1 / REFERENCES) ** 0.5
    means = tuple(zip(tried, drawn.mean(0).tolist(), strict=True))
    return replace(curve, reference=means, high=float(most.mean() + wide * most.std(ddof=1)))


def structureless(X: Any, rng: np.random.Generator) -> Any:
    """(M, D) rows without clusters: spread evenly over the box that ``X`` fills along its principal axes.

    Of sparse features each is dealt out to the rows anew, whatever the others are.
    """
    if not isinstance(X, np.ndarray):
        columns = X.tocsc(copy=True)
        for start, end in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
            columns.indices[start:end] = np.sort(rng.permutation(X.shape[0])[: end - start])
        return csr_array(columns)
    middle = X.mean(0)
    left, sizes, axes = np.linalg.svd(X - middle, full_matrices=False)
    scores = left * sizes  # (M, min(M, D))
    drawn = rng.uniform(scores.min(0), scores.max(0), scores.shape)
    return (drawn @ axes + middle).astype(X.dtype)


def silhouette(job: Job, rows: np.ndarray, name: str, k: int) -> tuple[float, float]:
    """How well ``k`` clusters of ``rows`` stand apart, -1 to 1, with its standard error; 0 where all are in one."""
    estimator = fit(job, rows, {name: k})
    X = job.view.X[rows]
    said = estimator.predict(X)
    if not 2 <= len(set(said.tolist())) < len(said):
        return 0.0, 0.0
    for step in steps_of(estimator)[:-1]:  # the space that the clusters are of
        X = step.transform(X)
    each = silhouette_samples(X, said)
    return float(each.mean()), float(each.std() / len(each) ** 0.5)


def bic(job: Job, rows: np.ndarray, name: str, k: int) -> tuple[float, float]:
    """Bayesian information criterion of a mixture of ``k``, with its standard error over rows."""
    estimator = fit(job, rows, {name: k})
    inner: BaseEstimator = estimator[-1]
    X = estimator[:-1].transform(job.view.X[rows])
    return float(inner.bic(X)), float(2 * inner.score_samples(X).std() * len(X) ** 0.5)


def strength(job: Job, rows: np.ndarray, name: str, k: int) -> tuple[float, float]:
    """Prediction strength of ``k`` clusters of ``rows`` (Tibshirani and Walther 2005), 0 to 1, with its standard error.

    Both halves of the rows are clustered. Of the pairs of rows that share a cluster of their own half, so many share
    one of the other half's too: the share in the worst cluster, its mean over halvings.
    """
    X, worst = job.view.X, []
    for i in range(HALVINGS):
        mixed = np.random.default_rng([job.task.seed, i]).permutation(rows)
        halves = [np.sort(mixed[: len(rows) // 2]), np.sort(mixed[len(rows) // 2 :])]
        fitted = [fit(job, half, {name: k}) for half in halves]
        for own, other in ((0, 1), (1, 0)):
            here = X[halves[own]]
            worst.append(kept(fitted[own].predict(here), fitted[other].predict(here)))
    return float(np.mean(worst)), float(np.std(worst, ddof=1) / len(worst) ** 0.5)


def kept(own: np.ndarray, other: np.ndarray) -> float:
    """The least share, over clusters of ``own`` (N,), of their pairs of rows that are a pair in ``other`` (N,) too.

    A cluster of one row has no pairs, and nothing speaks for it.
    """
    table = contingency_matrix(own, other).astype(np.float64)  # (clusters of own, of other)
    sizes = table.sum(1)
    pairs = (table * (table - 1)).sum(1)
    return float(np.where(sizes > 1, pairs / np.maximum(sizes * (sizes - 1), 1), 0.0).min())


WORTH: dict[str, Worth] = {"silhouette": silhouette, "bic": bic, "stability": strength}
