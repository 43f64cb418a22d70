"""The forms that a scikit-learn estimator takes as a miner: scaled, of one number or several, of a fixed kind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import TruncatedSVD
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVR
from sklearn.utils import get_tags

from tasks.views import columns_of


@dataclass(frozen=True)
class Task:
    """What a miner is made for.

    Attributes:
        aim: `classification`, `regression` (forecasting is one of several outputs), or `clusters` alone.
        classes: in the train rows; where there are none, the clusters to look for.
        outputs: numbers to predict for each row.
        parts: width of each view laid side by side, and whether it is sparse; () is as good as one dense view.
        names: of the classes, sorted.
    """

    seed: int = 0
    aim: str = "classification"
    classes: int = 2
    outputs: int = 1
    parts: tuple[tuple[int, bool], ...] = ()
    names: tuple[str, ...] = ()


Made = Callable[..., BaseEstimator]
COMPONENTS = 32
#: Share of the train rows that a detector holds to be unlike the others where the person says nothing.
OUTLYING = 0.01


def machine(
    task: Task, classifier: Made, regressor: Made | None, params: dict[str, Any], *kernel: Any
) -> BaseEstimator:
    """A classifier of scaled features, or a regressor of them whose targets are scaled too.

    Args:
        regressor: None if there is none; then the classifier, whatever the task.
        kernel: steps between the scaler and it.
    """
    if task.aim == "classification" or regressor is None:
        last = classifier(**params)
    else:
        made = regressor(**params)
        many = task.outputs > 1 and not isinstance(made, Ridge)
        last = TransformedTargetRegressor(MultiOutputRegressor(made) if many else made, transformer=StandardScaler())
    return scaled(task, *kernel, last)


def trees(task: Task, classifier: Made, regressor: Made, params: dict[str, Any]) -> BaseEstimator:
    """Trees, which do not mind the scale of a column."""
    made = (classifier if task.aim == "classification" else regressor)(random_state=task.seed, **params)
    several = task.aim != "classification" and task.outputs > 1
    return MultiOutputRegressor(made) if several and not get_tags(made).target_tags.multi_output else made


def nystroem(task: Task, classifier: Made, regressor: Made, params: dict[str, Any]) -> BaseEstimator:
    """A linear machine on an approximate kernel map (Williams and Seeger 2001), whose cost grows with the rows.

    Args:
        params: of either; what both would take is the map's.
    """
    # 128 features, 10 classes, 20,000 rows, one core of a busy machine: with 1,000 components ridge needs 3 s and
    # LinearSVC 69 s for 71.0 and 70.1 %; an exact RBF machine 40 s for 81.5 %, and on 10,000 of the rows 9 s for 75.4 %
    own = {name: params[name] for name in params if name in Nystroem().get_params() and name != "random_state"}
    kernel = Nystroem(**{"n_components": 1000, **own}, random_state=task.seed)
    rest = {name: value for name, value in params.items() if name not in own}
    # in float32 the smallest eigenvalues of the kernel are noise, by whose root it would divide
    return machine(task, classifier, regressor, rest, in_double(), kernel)


def mixture(task: Task, params: dict[str, Any]) -> BaseEstimator:
    """A mixture of Gaussians over the first `COMPONENTS` singular components of wide features."""
    # the covariance of each cluster has 528 numbers of 32 columns, 8,256 of 128: on 4,000 digits, raw or deep (3 seeds),
    # BIC says 10 to 12 clusters of 32 components, and 3 or 4 of all 128
    wide = sum(width for width, _ in task.parts) > COMPONENTS
    fewer = [TruncatedSVD(COMPONENTS, random_state=task.seed)] if wide else []
    made = GaussianMixture(**{"n_components": task.classes, "random_state": task.seed, **params})
    return make_pipeline(*fewer, in_double(), made)  # in float32 a small variance may come out negative


def neighbours(task: Task, params: dict[str, Any]) -> BaseEstimator:
    """The nearest fitted rows, which vote where there is something to vote on (Cover and Hart 1967)."""
    made = {"classification": KNeighborsClassifier, "regression": KNeighborsRegressor}.get(task.aim, NearestNeighbors)
    # by brute force: a search tree is no quicker at 128 columns, and its type is none that a file may hold
    return unscaled(task, made(**{"n_neighbors": 8, "algorithm": "brute", **params}))


def scaled(task: Task, *steps: BaseEstimator) -> BaseEstimator:
    """``steps`` behind what makes features comparable."""
    before = scaler(task.parts)
    return make_pipeline(*([] if before is None else [before]), *steps)


def unscaled(task: Task, last: BaseEstimator) -> BaseEstimator:
    """``last`` on features as they are, but for dense ones beside sparse ones, which would drown these."""
    # standardised, 128 principal components of digits count alike: their 8 nearest neighbours are then right on 73 %
    # of the rows, as they are on 94 %; a one-class machine tells an unseen digit with an AUC of 0.50, else of 0.79.
    # Deep features do not mind either way, columns of tables are scaled already
    return scaled(task, last) if any(sparse for _, sparse in task.parts) else last


def steps_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    """The steps of a pipeline in their order; of another estimator itself alone."""
    return [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]


def linear_svr(**params: Any) -> LinearSVR:
    """`LinearSVR` with the loss that has a quick solver."""
    # at C = 1 on 10,000 x 128 rows the other needs 6.4 s, unconverged, where this needs 0.03 s
    return LinearSVR(**{"loss": "squared_epsilon_insensitive", "dual": "auto", **params})


def scaler(parts: tuple[tuple[int, bool], ...]) -> BaseEstimator | None:
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


def in_double() -> FunctionTransformer:
    """A step that hands features on in float64."""
    return FunctionTransformer(double)


def double(X: np.ndarray) -> np.ndarray:
    """``X`` in float64."""
    return X.astype(np.float64)
