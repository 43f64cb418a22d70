"""Miners: scikit-learn estimators by name. A file stands here only for an algorithm that we wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_clusterer
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from threadpoolctl import threadpool_limits

from tasks.errors import DeepmineError, nearest
from tasks.views import columns_of


@dataclass(frozen=True)
class Task:
    """What a miner is made for.

    Attributes:
        aim: `classification`, `regression` (forecasting is one of several outputs), or `clusters` alone.
        classes: in the train rows; where there are none, the clusters to look for.
        outputs: numbers to predict for each row.
        parts: width of each view laid side by side, and whether it is sparse; () is as good as one dense view.
    """

    seed: int = 0
    aim: str = "classification"
    classes: int = 2
    outputs: int = 1
    parts: tuple[tuple[int, bool], ...] = ()


Made = Callable[..., BaseEstimator]

#: Miners that fit one estimator for each number of a row, at a cost that grows with the square of the rows.
ONE_BY_ONE, MOST_OUTPUTS = ("rbf_svm",), 4
#: name -> (task, the person's parameters) -> unfitted estimator
MINERS: dict[str, Made] = {
    "linear_svm": lambda task, **kw: _machine(
        task, LinearSVC, _linear_svr, {"random_state": task.seed, "max_iter": 5000, **kw}
    ),
    "rbf_svm": lambda task, **kw: _machine(task, SVC, SVR, {"cache_size": 1000, **kw}),
    "logistic": lambda task, **kw: _machine(task, LogisticRegression, None, {"max_iter": 1000, **kw}),
    "ridge": lambda task, **kw: _machine(task, RidgeClassifier, Ridge, kw),
    # trees do not mind the scale of a column
    "gradient_boosting": lambda task, **kw: _trees(
        task, HistGradientBoostingClassifier, HistGradientBoostingRegressor, {"random_state": task.seed, **kw}
    ),
    "kmeans": lambda task, **kw: KMeans(**{"n_clusters": task.classes, "n_init": 3, "random_state": task.seed, **kw}),
}


@dataclass(frozen=True)
class Grid:
    """A parameter that val rows choose where the person gives none (or null).

    Attributes:
        name: of the parameter; ``dense`` and ``sparse`` its values for such features, from the simplest model on.
        rows: train rows, and val rows, that are enough to choose by.
        quick: parameters that hold while choosing, to be quicker.
    """

    name: str
    dense: tuple[float, ...]
    sparse: tuple[float, ...]
    rows: int = 10_000
    quick: tuple[tuple[str, float], ...] = ()


GRIDS: dict[str, Grid] = {
    # exact to 1e-4, a fit at C = 1 takes ten times as long and ranks the values alike
    "linear_svm": Grid("C", (0.001, 0.01, 0.1, 1.0), (0.01, 0.1, 1.0, 10.0), quick=(("tol", 1e-2),)),
    "rbf_svm": Grid("C", (1.0, 10.0, 100.0), (1.0,), rows=2_000),
    "logistic": Grid("C", (0.01, 0.1, 1.0, 10.0), (0.1, 1.0, 10.0, 100.0)),
    "ridge": Grid("alpha", (1000.0, 100.0, 10.0, 1.0), (10.0, 1.0, 0.1)),
}
#: Miners that are not for sparse features, and those that only tell classes apart. A kernel machine could take them, but
#: on TF-IDF of AG News it needs 60 s where a linear one needs 0.2 s and is right more often (88.4 against 87.7 %).
DENSE, CLASSES_ONLY = ("gradient_boosting", "rbf_svm"), ("logistic",)
TREES = ("gradient_boosting",)


def clusters(miner: str) -> bool:
    """Whether a miner forms groups of rows, for which it needs no labels."""
    return bool(is_clusterer(MINERS[miner](Task())))


def unfit(miner: str, task: Task) -> str | None:
    """Why a miner has nothing to do in ``task``, in words; None where it has."""
    if clusters(miner):
        return None
    if task.aim == "clusters":
        return "there are no labels to learn"
    if miner in CLASSES_ONLY and task.aim != "classification":
        return "it tells classes apart, and here are numbers"
    if miner in ONE_BY_ONE and task.outputs > MOST_OUTPUTS:
        return f"{task.outputs} numbers a row would take a machine each, of squared cost"
    if miner in DENSE and any(sparse for _, sparse in task.parts):
        return "it is not made for sparse features"
    return None


def check(miner: str, params: dict[str, Any], where: str, objective: str = "auto") -> None:
    """Let scikit-learn itself judge the parameters, by a fit on twelve rows.

    Where ``objective`` leaves it to the labels (`auto`, `autoencoder`) they must do for classes or for numbers.

    Raises:
        DeepmineError: a parameter does not exist or has an impossible value.
    """
    numbers = Task(aim="regression")
    known = {"classification": [Task()], "regression": [numbers], "forecasting": [numbers]}
    tasks = known.get(objective, [Task(), numbers])
    refused = [_refused(miner, given(miner, params), task) for task in tasks if unfit(miner, task) is None]
    if refused and all(refused):
        raise DeepmineError(f"{where}: {refused[0]}")


def final(estimator: BaseEstimator) -> BaseEstimator:
    """The unfitted estimator that does the work: the last step, or the regressor inside what scales its targets."""
    last: BaseEstimator = estimator[-1] if hasattr(estimator, "steps") else estimator
    last = last.regressor if isinstance(last, TransformedTargetRegressor) else last
    return last.estimator if isinstance(last, MultiOutputRegressor) else last


def open_choice(miner: str, params: dict[str, Any]) -> Grid | None:
    """The entry of `GRIDS` that the person leaves to val rows: by no value or by null."""
    grid = GRIDS.get(miner)
    return grid if grid and params.get(grid.name) is None else None


def given(miner: str, params: dict[str, Any]) -> dict[str, Any]:
    """``params`` without what is null because val rows are to choose it."""
    grid = open_choice(miner, params)
    return {name: value for name, value in params.items() if grid is None or name != grid.name}


def _refused(miner: str, params: dict[str, Any], task: Task) -> str | None:
    try:
        estimator = MINERS[miner](task, **params)
    except TypeError as error:
        known = final(MINERS[miner](task)).get_params()
        unknown = next((name for name in params if name not in known), "")
        return f"unknown parameter '{unknown}'.{nearest(unknown, known)}" if unknown else str(error)
    X = np.random.default_rng(0).normal(size=(12, 3))
    if isinstance(params.get("n_clusters"), int) and params["n_clusters"] > len(X):
        estimator.set_params(n_clusters=len(X))  # more clusters than these rows is no mistake
    rounds = estimator.get_params().get("max_iter")
    if miner in TREES and isinstance(rounds, int) and rounds > 1:
        estimator.set_params(max_iter=1)  # one shows as much
    try:
        with threadpool_limits(1):
            estimator.fit(X, np.arange(len(X)) % 2)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _machine(task: Task, classifier: Any, regressor: Any, params: dict[str, Any]) -> BaseEstimator:
    """A classifier of scaled features, or a regressor of them whose targets are scaled too."""
    if task.aim == "classification":
        last = classifier(**params)
    else:
        made = regressor(**params)
        many = task.outputs > 1 and not isinstance(made, Ridge)
        last = TransformedTargetRegressor(MultiOutputRegressor(made) if many else made, transformer=StandardScaler())
    scaler = _scaler(task.parts)
    return make_pipeline(last) if scaler is None else make_pipeline(scaler, last)


def _trees(task: Task, classifier: Any, regressor: Any, params: dict[str, Any]) -> BaseEstimator:
    made: BaseEstimator = classifier(**params) if task.aim == "classification" else regressor(**params)
    return MultiOutputRegressor(made) if task.aim != "classification" and task.outputs > 1 else made


def _linear_svr(**params: Any) -> LinearSVR:
    # squared, as the other loss has no quick solver: at C = 1 on 10,000 x 128 rows 6.4 s, unconverged, against 0.03 s
    return LinearSVR(**{"loss": "squared_epsilon_insensitive", "dual": "auto", **params})


def _scaler(parts: tuple[tuple[int, bool], ...]) -> BaseEstimator | None:
    """What makes features comparable: dense ones standardised, sparse ones (TF-IDF, baskets) left as they are.

    On two sets of texts a linear machine on TF-IDF is best without any scaling (AG News 87.6 %, standardised 86.5 %).
    Beside sparse features the rows of a dense view get a length of about 1 too.
    """
    if not any(sparse for _, sparse in parts):
        return StandardScaler()
    dense = [
        (str(i), width, where)
        for i, ((width, sparse), where) in enumerate(zip(parts, columns_of(parts), strict=True)) if not sparse
    ]  # fmt: skip
    if not dense:
        return None
    return ColumnTransformer(
        [(name, StandardScaler(with_mean=False), where) for name, _, where in dense],
        remainder="passthrough",
        sparse_threshold=1.0,
        transformer_weights={name: width**-0.5 for name, width, _ in dense},
    )
