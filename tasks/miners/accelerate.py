"""Kernel machines through scikit-learn-intelex: fitted and asked by it, saved as scikit-learn's own.

Its class is imported by name; nothing of scikit-learn is patched. LinearSVC has no counterpart there, and KMeans gains
a second at most.
"""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from tasks.core.errors import DeepmineError
from tasks.miners.pipelines import in_double

#: Fitted state by name, with the type that scikit-learn's own code reads it as (None: as it is).
STATE = {
    "n_features_in_": None, "class_weight_": None, "classes_": None, "shape_fit_": None, "fit_status_": None,
    "_sparse": None, "_gamma": np.float64, "support_": np.int32, "support_vectors_": np.float64,
    "_n_support": np.int32, "dual_coef_": np.float64, "_dual_coef_": np.float64, "intercept_": np.float64,
    "_intercept_": np.float64, "n_iter_": np.int32,
}  # fmt: skip


def require() -> None:
    """Refuse `mine.accelerate` on a machine that cannot.

    Raises:
        DeepmineError: scikit-learn-intelex is not installed.
    """
    if find_spec("sklearnex") is None:
        raise DeepmineError(
            "mine.accelerate is true, but scikit-learn-intelex is not installed. Install it "
            "(pip install -e '.[accelerate]'), or set mine.accelerate to false in params.yaml."
        )


def accelerated(estimator: BaseEstimator) -> BaseEstimator:
    """The unfitted ``estimator`` itself, or with its faster counterpart in place of a last step `SVC`."""
    if not (isinstance(estimator, Pipeline) and type(estimator[-1]) is SVC):
        return estimator
    name, last = estimator.steps[-1]
    counterpart = import_module("sklearnex.svm").SVC(**last.get_params(deep=False))
    # in float32 its kernel is coarse: on CIFAR-10 0.3 % of the predictions were others than the saved machine's
    return Pipeline([*estimator.steps[:-1], ("double", in_double()), (name, counterpart)])


def plain(estimator: BaseEstimator) -> BaseEstimator:
    """A fitted `accelerated` estimator as scikit-learn's own, which loads and predicts where the other is absent."""
    if not (isinstance(estimator, Pipeline) and "double" in estimator.named_steps):
        return estimator
    name, last = estimator.steps[-1]
    params = last.get_params(deep=False)
    made = SVC(**{name: params[name] for name in SVC().get_params()})
    for attribute, dtype in STATE.items():
        value = getattr(last, attribute)
        setattr(made, attribute, value if dtype is None else np.array(value, dtype, order="C")[()])
    # libsvm asks for these too, though nobody wants probabilities here
    made._effective_probability, made._num_iter = False, made.n_iter_
    made._probA = made._probB = np.empty(0)
    return Pipeline([*estimator.steps[:-2], (name, made)])
