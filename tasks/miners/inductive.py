"""Clusterers that only label the rows they were fitted on, made to label any row."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils.validation import check_is_fitted


class InductiveClusterer(ClusterMixin, BaseEstimator):
    """A clusterer after which a new row gets the cluster of its nearest fitted row.

    After scikit-learn's example of the same name, with the nearest neighbour (Cover and Hart 1967) for its classifier.
    Noise (-1, of HDBSCAN) is handed on likewise.

    Attributes:
        labels_: (N,) cluster of each fitted row.
        rows_: (N, D) those rows.
    """

    def __init__(self, clusterer: BaseEstimator) -> None:
        self.clusterer = clusterer

    def fit(self, X: np.ndarray, y: Any = None) -> "InductiveClusterer":
        """Cluster the (N, D) rows of ``X``; ``y`` is not looked at."""
        self.labels_ = np.asarray(clone(self.clusterer).fit_predict(X))  # (N,)
        self.rows_, self.n_features_in_ = X, X.shape[1]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(M,) clusters of the (M, D) rows of ``X``."""
        check_is_fitted(self)
        # by brute force: a search tree is no quicker at 128 columns
        return self.labels_[pairwise_distances_argmin(X, self.rows_)]
