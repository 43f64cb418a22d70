"""How sure a metric is: `Resampling` holds the settings once, and each of its methods returns an `Interval`."""

from dataclasses import dataclass

import numpy as np

from tasks.stats import cluster_robust
from tasks.stats.intervals import Interval, newcombe, percentiles, wilson


@dataclass(frozen=True, eq=False)
class Resampling:
    """How intervals of statistics of N rows are made.

    Attributes:
        confidence: coverage of the intervals, such as 0.95.
        resamples: of a bootstrap; the same ``seed`` draws the same rows.
        groups: (N,) numbers, from 0, of the groups of rows; intervals are then cluster-robust and no bootstrap is drawn.
            None where rows are independent.
    """

    confidence: float
    resamples: int
    seed: int
    groups: np.ndarray | None = None

    def mean(self, values: np.ndarray) -> Interval:
        """The mean of (N,) ``values``."""
        if self.groups is not None:
            return cluster_robust.mean(values, self.groups, self.confidence)
        return self.percentiles(float(values.mean()), self.bootstrap(values[:, None])[:, 0])

    def difference(self, a: np.ndarray, b: np.ndarray) -> Interval:
        """The mean of ``a`` - ``b``, paired: (N,) numbers each, or hits as booleans.

        Of hits a resample is a draw of how many pairs are won, lost and tied, so that it costs one multinomial number.
        """
        if self.groups is not None:
            return cluster_robust.mean(a.astype(np.float64) - b, self.groups, self.confidence)
        if a.dtype != bool:
            return self.percentiles(float(a.mean() - b.mean()), self.bootstrap((a - b)[:, None])[:, 0])
        gap = a.astype(int) - b.astype(int)
        won, lost, _ = self.multinomial(np.array([(gap == v).mean() for v in (1, -1, 0)]), len(gap)).T
        return self.percentiles(float(gap.mean()), (won - lost) / len(gap))

    def unpaired_difference(self, a: np.ndarray, b: np.ndarray) -> Interval:
        """The mean of ``a`` (N,) minus that of other rows ``b`` (M,), numbers or hits as booleans, rows independent.

        Hits: Newcombe's interval. Numbers: a bootstrap of each.
        """
        if a.dtype == bool:
            return newcombe(int(a.sum()), len(a), int(b.sum()), len(b), self.confidence)
        other = Resampling(self.confidence, self.resamples, self.seed + 1)
        draws = self.bootstrap(a[:, None])[:, 0] - other.bootstrap(b[:, None])[:, 0]
        return self.percentiles(float(a.mean() - b.mean()), draws)

    def proportion(self, hits: np.ndarray) -> Interval:
        """The proportion of (N,) ``hits`` that are true."""
        if self.groups is None or self.groups.max() + 1 == len(hits):
            return wilson(int(hits.sum()), len(hits), self.confidence)
        return cluster_robust.proportion(hits, self.groups, self.confidence)

    def f1(self, positive: np.ndarray, predicted: np.ndarray) -> Interval:
        """F1 of (N,) predictions of a class, both as booleans; 0 where no row has the class or is predicted to.

        A resample is a draw of how many true positives, false negatives and false positives there are. Over groups F1
        is a ratio of means.
        """
        hits, both = 2.0 * (positive & predicted), positive.astype(np.float64) + predicted
        f1 = float(hits.sum() / max(both.sum(), 1.0))
        if self.groups is not None and both.any():
            return self.linearised(f1, (hits - f1 * both) / both.mean()).clipped(0.0, 1.0)
        shares = [float(m.mean()) for m in (positive & predicted, positive & ~predicted, ~positive & predicted)]
        cells = self.multinomial(np.array([*shares, max(1 - sum(shares), 0.0)]), len(predicted))
        true, missed, false = cells[:, 0], cells[:, 1], cells[:, 2]
        return self.percentiles(f1, 2 * true / np.maximum(2 * true + missed + false, 1))

    def linearised(self, value: float, influence: np.ndarray) -> Interval:
        """The interval over groups of a ``value`` that is no mean, by the (N,) ``influence`` of each row on it."""
        assert self.groups is not None
        return cluster_robust.linearised(value, influence, self.groups, self.confidence)

    def percentiles(self, value: float, draws: np.ndarray) -> Interval:
        """The interval of ``value`` from (R,) bootstrap draws of it."""
        return percentiles(value, draws, self.confidence)

    def bootstrap(self, values: np.ndarray) -> np.ndarray:
        """(R, M) column means of R resamples of the rows of ``values`` (N, M); the same rows for the same seed and N."""
        rng, n = np.random.default_rng(self.seed), len(values)
        means = np.empty((self.resamples, values.shape[1]))
        for i in range(self.resamples):
            counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
            means[i] = counts @ values / n
        return means

    def multinomial(self, shares: np.ndarray, n: int) -> np.ndarray:
        """(R, C) counts of R resamples of ``n`` rows, of which the (C,) ``shares`` fall into each of C cells."""
        return np.random.default_rng(self.seed).multinomial(n, shares, size=self.resamples)
