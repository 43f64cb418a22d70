"""Cost-sensitive decisions: at which probability to say yes, where one mistake costs more than the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.splitting.folds import ENOUGH
from tasks.stats.resampling import Resampling

#: Places of the drawn curve.
PLACES = 101
#: Standard errors that a threshold of val rows must save, as it was picked among many; and val rows of each class under
#: which they say too little of what one of the two mistakes costs.
SURE, LEAST = 3, 5


@dataclass(frozen=True)
class Prices:
    """What each mistake costs, in any unit; what is right costs nothing."""

    false_positive: float
    false_negative: float

    @property
    def threshold(self) -> float:
        """The probability from which on yes is the cheaper answer, if probabilities are true (Elkan 2001, equation 2)."""
        return self.false_positive / (self.false_positive + self.false_negative)

    def of(self, positive: np.ndarray, said: np.ndarray) -> np.ndarray:
        """(N,) costs of saying ``said`` where ``positive`` is true."""
        return np.where(positive, ~said * self.false_negative, said * self.false_positive).astype(np.float64)


def chosen(positive: np.ndarray, p: np.ndarray, prices: Prices) -> tuple[float, str]:
    """The threshold of yes, by N val rows; and what it comes from, `probability` or `val rows`.

    Elkan's, unless the threshold that would have been the cheapest on the val rows (Sheng and Ling 2006) saves more
    than `SURE` standard errors there: the cheapest of all thresholds always saves something, by chance. Such a saving
    says that the probabilities are off. Fewer val rows than `folds.ENOUGH` choose no threshold.

    >>> threshold, by = chosen(np.array([True, False]), np.array([0.9, 0.1]), Prices(1, 5))
    >>> round(threshold, 3), by
    (0.167, 'probability')
    """
    theory = prices.threshold
    if len(p) < ENOUGH or min(positive.sum(), (~positive).sum()) < LEAST:
        return theory, "probability"
    own = prices.of(positive, p >= theory)
    order = np.argsort(-p, kind="stable")
    true, false = np.cumsum(positive[order]), np.cumsum(~positive[order])
    last = np.append(np.diff(p[order]) != 0, True)  # equal probabilities are answered alike
    costs = (positive.sum() - true) * prices.false_negative + false * prices.false_positive
    places = np.flatnonzero(last)
    cuts = (p[order][places] + np.append(p[order][places[1:]], 0.0)) / 2  # midway to the next
    found = np.append(costs[places], positive.sum() * prices.false_negative)  # the last: never
    cuts = np.append(cuts, (1 + p.max()) / 2 if p.max() < 1 else 1.0 + 1e-9)
    # of equals the nearest to Elkan's
    best = min(range(len(found)), key=lambda i: (found[i], abs(cuts[i] - theory)))
    saved = own - prices.of(positive, p >= cuts[best])
    error = float(saved.std(ddof=1) / np.sqrt(len(saved))) if len(saved) > 1 else np.inf
    return (float(cuts[best]), "val rows") if saved.mean() > SURE * error else (theory, "probability")


def costs(
    val: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], prices: Prices, sampling: Resampling
) -> dict[str, Any]:
    """Mean cost of a test row at the threshold that val rows chose, against one half and against always one answer.

    Args:
        val, test: of the rows of each, (N,) whether they are positive and with what probability that was said.

    >>> rows = np.array([True, True, False, False]), np.array([0.9, 0.1, 0.2, 0.3])
    >>> found = costs(rows, rows, Prices(1, 5), Resampling(0.95, 200, 0))
    >>> round(found["threshold"], 3), found["cost"], found["cost_half"]
    (0.167, 1.75, 1.25)
    """
    threshold, by = chosen(*val, prices)
    positive, p = test
    # the cheaper of the two, by val rows
    always = bool(val[0].mean() * prices.false_negative >= (~val[0]).mean() * prices.false_positive if len(val[0])
                  else prices.false_negative >= prices.false_positive)  # fmt: skip
    own = prices.of(positive, p >= threshold)
    others = {"half": prices.of(positive, p >= 0.5), "always": prices.of(positive, np.full(len(p), always))}
    places = np.linspace(0, 1, PLACES)
    found: dict[str, Any] = {
        "threshold": threshold, "by": by, "elkan": prices.threshold, "cost": float(own.mean()), "cost_interval": sampling.mean(own),
        "val_cost": float(prices.of(val[0], val[1] >= threshold).mean()) if len(val[0]) else None,
        "said": float((p >= threshold).mean()), "always_positive": always,
        "curve": [[round(float(t), 4), float(prices.of(positive, p >= t).mean())] for t in places],
    }  # fmt: skip
    for name, other in others.items():
        found[f"cost_{name}"] = float(other.mean())
        saved = sampling.difference(own, other)
        found[f"less_{name}"] = {"difference": saved.value, "interval": saved}
    return found
