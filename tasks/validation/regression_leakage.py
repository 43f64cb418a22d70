"""Columns that predict a label which is a number nearly exactly: one by itself, or a sum or product of few.

A predictor is judged as a column is for classes, by the share of pairs of rows that it puts in the right order
(`validate.leak`, 0.99: of two classes that is the area under the ROC curve). Of two normal variables 99 % of the pairs
are in order where R² is 0.999; honest relations, however linear, hold noise of measurement and stay below.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: Train rows that are looked at, at most, and that are needed: a sum is fitted to one half and judged on the other.
ROWS, LEAST = 5_000, 40
#: Columns of a sum or product, at most: of more a person would not say that they give the label away.
MOST = 5
#: Columns of a sum that are tried together, as a share of the rows: of more a fit says little of other rows.
WIDE = 0.1
#: Share of missing values above which a column takes no part in a sum.
MISSING = 0.2
#: Pieces of the broken line that a column is judged by: enough for any bend, too few to follow a series in time.
PIECES = 32


@dataclass(frozen=True)
class Predictor:
    """Columns that predict the label nearly exactly.

    Attributes:
        kind: `column`, `sum` or `product` (of powers).
        columns: their names.
        weights: of a sum or product, one for each column.
        measure, value: `R²` on rows that nothing was fitted to, or `AUC`, the share of pairs in the right order.
    """

    kind: str
    columns: tuple[str, ...]
    measure: str
    value: float
    weights: tuple[float, ...] = ()

    @property
    def score(self) -> str:
        """The measure in words."""
        return f"R² {self.value:.4f}" if self.measure == "R²" else f"{self.value:.1%} of the pairs of rows in its order"


def r2_of(above: float) -> float:
    """R² of two normal variables that put a share of ``above`` of all pairs in the same order (Greiner, 1909)."""
    return float(np.sin(np.pi / 2 * (2 * above - 1)) ** 2)


def predictors(frame: "pd.DataFrame", label: np.ndarray, categorical: Collection[str], above: float) -> list[Predictor]:
    """Single columns that predict the label, and a sum or product of up to `MOST` others.

    Args:
        frame: N rows; numbers, dates, truth values, and names in the ``categorical`` columns.
        label: (N,) numbers.
        above: share of pairs in the right order above which a column counts, as `validate.leak`.
    """
    draw = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(label)))[:ROWS]
    frame, y = frame.iloc[draw], label[draw].astype(float)
    if len(y) < LEAST or np.ptp(y) == 0:
        return []
    numbers = {n: numeric(frame[n]) for n in frame if n not in categorical}
    found = []
    for name in frame.columns:
        value = _by_levels(frame[name], y)
        if name in numbers:
            value = max(value, _by_line(numbers[name], y))
        if value > r2_of(above):
            found.append(Predictor("column", (name,), "R²", value))
        elif name in numbers and (order := _in_order(numbers[name], y)) > above:
            found.append(Predictor("column", (name,), "AUC", order))
    alone = {name for one in found for name in one.columns}
    rest = {n: x for n, x in numbers.items() if n not in alone and np.isnan(x).mean() <= MISSING}
    if combined := _sum(rest, y, r2_of(above), "sum"):
        return [*found, combined]
    positive = {n: np.log(x) for n, x in rest.items() if not np.nanmin(x, initial=np.inf) <= 0}
    if y.min() > 0 and (combined := _sum(positive, np.log(y), r2_of(above), "product")):
        found.append(combined)
    return found


def numeric(values: "pd.Series") -> np.ndarray:
    """(N,) a column of numbers, truth values or dates (in seconds) as float64, NaN where it is missing."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        seconds = values.to_numpy("datetime64[us]").astype(np.int64) / 1e6
        return np.where(values.isna().to_numpy(), np.nan, seconds)
    found = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _r2(y: np.ndarray, said: np.ndarray) -> float:
    """R² where the label is within its central 98 %: a single huge value would decide it otherwise."""
    low, high = np.quantile(y, (0.01, 0.99))
    inner = (y >= low) & (y <= high)
    spread = np.square(y[inner] - y[inner].mean()).sum()
    return float(1 - np.square(y[inner] - said[inner]).sum() / spread) if spread > 0 else 0.0


def _by_levels(values: "pd.Series", y: np.ndarray) -> float:
    """R² of the mean label of rows with the same value in the other half; of values of their own, the mean of all."""
    import pandas as pd

    level, levels = pd.factorize(values, use_na_sentinel=False)
    if len(levels) > len(y) / 2:
        return 0.0
    half, said = np.arange(len(y)) % 2, np.empty(len(y))
    for side in (0, 1):
        fit = half != side
        rows = np.bincount(level[fit], minlength=len(levels))
        total = np.bincount(level[fit], weights=y[fit], minlength=len(levels))
        mean = np.divide(total, rows, out=np.full(len(levels), y[fit].mean()), where=rows > 0)
        said[half == side] = mean[level[half == side]]
    return _r2(y, said)


def _by_line(x: np.ndarray, y: np.ndarray) -> float:
    """R² of a broken line through one column, fitted to every other row; missing values have a mean of their own."""
    pieces = min(PIECES, len(y) // 10)
    knots = np.unique(np.nanquantile(x, np.linspace(0, 1, pieces + 1))) if np.isfinite(x).any() else x[:0]
    if len(knots) < 2 or knots[0] == knots[-1]:
        return 0.0
    place = np.interp(np.nan_to_num(x, nan=knots[0]), knots, np.arange(len(knots)))
    left = np.minimum(place.astype(int), len(knots) - 2)
    basis = np.zeros((len(x), len(knots) + 1))
    rows, known = np.arange(len(x)), ~np.isnan(x)
    basis[rows, left], basis[rows, left + 1] = 1 - (place - left), place - left
    basis[~known] = 0
    basis[~known, -1] = 1
    half = np.arange(len(y)) % 2
    said = np.empty(len(y))
    for side in (0, 1):
        fit = half != side
        said[half == side] = basis[half == side] @ np.linalg.lstsq(basis[fit], y[fit])[0]
    return _r2(y, said)


def _in_order(x: np.ndarray, y: np.ndarray) -> float:
    """Share of pairs of rows that a column puts in the order of the label, or in the reverse; ties count half."""
    from scipy.stats import kendalltau

    known = ~np.isnan(x)
    if known.mean() < 1 - MISSING or np.ptp(x[known]) == 0:
        return 0.5
    tau = float(kendalltau(x[known], y[known]).statistic)
    return (1 + abs(tau)) / 2 if np.isfinite(tau) else 0.5


def _sum(columns: dict[str, np.ndarray], y: np.ndarray, above: float, kind: str) -> Predictor | None:
    """The fewest columns, 2 to `MOST`, whose weighted sum has an R² over ``above`` on rows that it was not fitted to.

    A difference of two columns may be like neither, so they are not searched one after the other: all together are
    fitted first. Where those do not predict the label, no few of them do; else the surest of them are tried alone.
    """
    names = [n for n, x in columns.items() if np.nanstd(x) > 0]
    if len(names) < 2:
        return None
    X = np.stack([columns[n] for n in names], axis=1)
    whole = ~np.isnan(X).any(axis=1)
    X, y = X[whole], y[whole]
    fit = np.arange(len(y)) % 2 == 0
    if len(y) < LEAST or not (X[fit].std(0) > 0).any() or np.ptp(y[fit]) == 0:
        return None
    spread = X[fit].std(0)
    X = np.divide(X - X[fit].mean(0), spread, out=np.zeros_like(X), where=spread > 0)
    order = _surest(X[fit], y[fit])
    if _judged(X[:, order], y, fit)[0] <= above:
        return None
    for count in range(2, MOST + 1):
        kept = order[:count]
        value, weights = _judged(X[:, kept], y, fit)
        if len(kept) == count and value > above:
            found = tuple(names[i] for i in kept)
            return Predictor(kind, found, "R²", value, tuple((weights / spread[kept]).tolist()))
    return None


def _judged(X: np.ndarray, y: np.ndarray, fit: np.ndarray) -> tuple[float, np.ndarray]:
    """R² of a weighted sum on the rows that are not in ``fit``, and its weights; the columns of ``fit`` are centred."""
    weights = np.linalg.lstsq(X[fit], y[fit] - y[fit].mean())[0]
    return _r2(y[~fit], X[~fit] @ weights + y[fit].mean()), weights


def _surest(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Columns by how sure it is that they take part in a sum, the surest first; those that others make up are left out."""
    from scipy.linalg import qr

    y = y - y.mean()
    most = max(2, int(WIDE * len(y)))
    chosen = np.argsort(-np.abs(y @ X), kind="stable")[:most]
    _, R, pivots = qr(X[:, chosen], mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(R)) > 1e-9 * abs(R[0, 0])).sum())
    chosen = np.sort(chosen[pivots[:rank]])
    Q, R = np.linalg.qr(X[:, chosen])
    weights = np.linalg.solve(R, Q.T @ y)
    # the variance of a weight is that of the noise times the squared length of a row of the inverse
    sureness = np.abs(weights) / np.linalg.norm(np.linalg.inv(R), axis=1)
    return np.asarray(chosen[np.argsort(-sureness, kind="stable")])
