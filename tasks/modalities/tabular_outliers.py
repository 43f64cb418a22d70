"""Outlying values of numeric columns and outlying rows: found on train rows, marked in all."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import DeepmineError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from tasks.config.clean import Outliers

WHERE = "params.clean.tabular.outliers"
BY_COLUMN = ("z_score", "iqr")
#: Train rows that LOF compares each row with, at most: a million rows then take it seconds, not hours.
LOF_ROWS = 10_000
#: What `flag` adds.
FLAG = "outlier"


def find(frame: "pd.DataFrame", params: "Outliers", seed: int) -> tuple[dict[str, Any], "Pipeline | None"]:
    """What is outlying, as JSON-able settings and, for the methods that look at whole rows, a fitted detector.

    z_score: over ``threshold`` standard deviations from the mean. iqr: over ``threshold`` interquartile ranges
    outside the quartiles (Tukey's far fences at 3). isolation_forest (Liu et al. 2008) and lof (Breunig et al. 2000):
    rows whose score of anomaly lies over ``threshold`` of its standard deviations above its mean.

    Args:
        frame: the numeric columns of the train rows, NaN where missing.

    Raises:
        DeepmineError: a column that is not numeric, none at all, or rows that were to be clipped.
    """
    for column in params.columns:
        if column not in frame.columns:
            raise DeepmineError(f"{WHERE}.columns: '{column}' is not a numeric column.{nearest(column, frame.columns)}")
    columns = list(params.columns or frame.columns)
    if not columns:
        raise DeepmineError(f"{WHERE}: there is no numeric column to find outliers in. Set method: none.")
    state = {"action": params.action, "columns": columns}
    if params.method in BY_COLUMN:
        return {**state, "bounds": _bounds(frame[columns].to_numpy(), params)}, None
    if params.action == "clip":
        raise DeepmineError(
            f"{WHERE}: {params.method} detects rows, which cannot be clipped. Choose quarantine or flag, or another "
            f"method ({' or '.join(BY_COLUMN)})."
        )
    detector, scores = _detector(frame[columns].to_numpy(), params, seed)
    return {**state, "limit": float(scores.mean() + params.threshold * scores.std())}, detector


def _bounds(values: np.ndarray, params: "Outliers") -> list[list[float]]:
    """Lowest and highest value of each of the (N, K) columns that is no outlier."""
    if params.method == "z_score":
        middle, reach = np.nanmean(values, 0), params.threshold * np.nanstd(values, 0)
        low, high = middle - reach, middle + reach
    else:
        first, third = np.nanquantile(values, [0.25, 0.75], axis=0)
        reach = params.threshold * (third - first)
        low, high = first - reach, third + reach
    return [[float(a), float(b)] for a, b in zip(low, high, strict=True)]


def _detector(values: np.ndarray, params: "Outliers", seed: int) -> tuple["Pipeline", np.ndarray]:
    """A fitted detector and the train rows' scores of anomaly (N,), the higher the stranger."""
    from sklearn.ensemble import IsolationForest
    from sklearn.impute import SimpleImputer
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    prepared = [SimpleImputer(strategy="median"), StandardScaler()]
    if params.method == "isolation_forest":
        forest = make_pipeline(*prepared, IsolationForest(random_state=seed)).fit(values)
        return forest, -forest.score_samples(values)
    chosen = values[np.linspace(0, len(values) - 1, min(len(values), LOF_ROWS)).astype(int)]
    # brute force: a saved tree of neighbours could not be trusted
    factor = LocalOutlierFactor(n_neighbors=min(20, len(chosen) - 1), novelty=True, algorithm="brute")
    local = make_pipeline(*prepared, factor).fit(chosen)
    return local, -factor.negative_outlier_factor_


def outlying(frame: "pd.DataFrame", state: dict[str, Any], detector: Any) -> np.ndarray:
    """(N, K) bool by column of the state, or (N, 1) by row. A missing value is no outlier."""
    values = frame[state["columns"]].to_numpy()
    if "limit" in state:
        strange = -detector.score_samples(values) > state["limit"] if len(values) else np.zeros(0, bool)
        return np.asarray(strange)[:, None]
    low, high = np.array(state["bounds"]).T
    return np.asarray((values < low) | (values > high))


def clip(frame: "pd.DataFrame", state: dict[str, Any]) -> "pd.DataFrame":
    """``frame`` with the outlying values of each column moved to the nearest that is none."""
    low, high = np.array(state["bounds"]).T
    clipped = frame.copy(deep=False)
    clipped[state["columns"]] = np.clip(frame[state["columns"]].to_numpy(), low, high)
    return clipped


def reasons(found: np.ndarray, state: dict[str, Any]) -> list[str | None]:
    """Why each row is set aside: its first outlying column, or that it is strange as a whole."""
    names = [f"outlier: {column}" for column in state["columns"]] if "bounds" in state else ["outlier"]
    return [names[int(row.argmax())] if row.any() else None for row in found]
