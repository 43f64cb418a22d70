"""Miners: scikit-learn estimators by name. A file stands here only for an algorithm that we wrote."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from tasks.errors import DeepmineError, nearest

#: name -> (seed, number of classes, the person's parameters) -> unfitted estimator
MINERS: dict[str, Callable[..., BaseEstimator]] = {
    "linear_svm": lambda seed, classes, **kw: make_pipeline(
        StandardScaler(), LinearSVC(**{"random_state": seed, "max_iter": 5000, **kw})
    ),
    "rbf_svm": lambda seed, classes, **kw: make_pipeline(StandardScaler(), SVC(**{"cache_size": 1000, **kw})),
    "kmeans": lambda seed, classes, **kw: KMeans(**{"n_clusters": classes, "n_init": 3, "random_state": seed, **kw}),
}


def check(miner: str, params: dict[str, Any], where: str) -> None:
    """Let scikit-learn itself judge the parameters, by a fit on twelve rows.

    Raises:
        DeepmineError: a parameter does not exist or has an impossible value.
    """
    try:
        estimator = MINERS[miner](0, 2, **params)
    except TypeError as error:
        known = final(MINERS[miner](0, 2)).get_params()
        unknown = next((name for name in params if name not in known), "")
        raise DeepmineError(
            f"{where}: unknown parameter '{unknown}'.{nearest(unknown, known) if unknown else error}"
        ) from None
    X = np.random.default_rng(0).normal(size=(12, 3))
    if isinstance(params.get("n_clusters"), int) and params["n_clusters"] > len(X):
        estimator.set_params(n_clusters=len(X))  # more clusters than these rows is no mistake
    try:
        estimator.fit(X, np.arange(len(X)) % 2)
    except (ValueError, TypeError) as error:
        raise DeepmineError(f"{where}: {error}") from None


def final(estimator: BaseEstimator) -> BaseEstimator:
    """The last step of a pipeline, or the estimator itself."""
    last: BaseEstimator = estimator[-1] if hasattr(estimator, "steps") else estimator
    return last
