"""Whether test rows are like train rows: each item's share in the one against that in the other."""

from dataclasses import dataclass

import numpy as np

#: Rows that either side must have: of fewer, no share is known well.
LEAST = 100
#: Share of false alarms among what is told, at most (Benjamini and Hochberg, 1995).
FALSE = 0.01
#: Cohen's h below which a difference is of no consequence, however sure: 20 % against 29 %, 50 % against 60 %.
SMALL = 0.2


@dataclass(frozen=True)
class Shifted:
    """An item that is more, or less, frequent in test: its place, and its share of train and of test rows."""

    item: int
    train: float
    test: float
    h: float


def shifted(train: np.ndarray, test: np.ndarray, rows: tuple[int, int]) -> list[Shifted]:
    """Items whose share of train rows is not that of test rows, the largest difference first.

    Pearson's chi-square of each two by two table, false discoveries controlled over all of them, and of those that
    are sure the ones that are not small (Cohen 1988, h = 2 asin sqrt p - 2 asin sqrt q).

    Args:
        train, test: (M,) rows that have each item.
        rows: of train and of test.
    """
    from scipy.stats import chi2

    if min(rows) < LEAST or not len(train):
        return []
    p, q = train / rows[0], test / rows[1]
    both = (train + test) / sum(rows)
    spread = both * (1 - both) * (1 / rows[0] + 1 / rows[1])
    fit = (both * min(rows) >= 5) & ((1 - both) * min(rows) >= 5)  # where chi-square holds
    statistic = np.divide((p - q) ** 2, spread, out=np.zeros(len(p)), where=fit)
    h = 2 * np.abs(np.arcsin(np.sqrt(p)) - np.arcsin(np.sqrt(q)))
    chance = np.where(fit, chi2.sf(statistic, 1), 1.0)
    order = np.argsort(chance, kind="stable")
    below = np.flatnonzero(chance[order] <= FALSE * np.arange(1, len(order) + 1) / len(order))
    sure = order[: below[-1] + 1] if len(below) else order[:0]
    found = [Shifted(int(i), float(p[i]), float(q[i]), float(h[i])) for i in sure if fit[i] and h[i] >= SMALL]
    return sorted(found, key=lambda one: (-one.h, one.item))
