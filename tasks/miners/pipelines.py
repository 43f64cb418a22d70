"""The forms that a scikit-learn estimator takes as a miner: on one scale a view, of one number or several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
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

from tasks.features.scaling import ViewScaler, plain, weighs_parts
from tasks.features.view import Part


@dataclass(frozen=True)
class Task:
    """What a miner is made for.

    Attributes:
        aim: `classification`, `regression` (forecasting is one of several outputs), or `clusters` alone.
        classes: in the train rows; where there are none, the clusters to look for.
        outputs: numbers to predict for each row.
        parts: the blocks of features laid side by side; () is as good as one dense view.
        names: of the classes, sorted.
    """

    seed: int = 0
    aim: str = "classification"
    classes: int = 2
    outputs: int = 1
    parts: tuple[Part, ...] = ()
    names: tuple[str, ...] = ()


Made = Callable[..., BaseEstimator]
COMPONENTS = 32
#: Share of the train rows that a detector holds to be unlike the others where the person says nothing.
OUTLYING = 0.01


def machine(
    task: Task, classifier: Made, regressor: Made | None, params: dict[str, Any], *kernel: Any
) -> BaseEstimator:
    """A classifier of features on one scale a view, or a regressor of them whose targets are scaled too.

    Args:
        regressor: None if there is none; then the classifier, whatever the task.
        kernel: steps between the scale of the view and it.
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
    own = {"n_components": 1000, **own, "gamma": gamma(task, own.get("gamma"))}
    kernel = Nystroem(**own, random_state=task.seed)
    rest = {name: value for name, value in params.items() if name not in own}
    # in float32 the smallest eigenvalues of the kernel are noise, by whose root it would divide
    return machine(task, classifier, regressor, rest, in_double(), kernel)


def mixture(task: Task, params: dict[str, Any]) -> BaseEstimator:
    """A mixture of Gaussians over the first `COMPONENTS` singular components of wide features."""
    # the covariance of each cluster has 528 numbers of 32 columns, 8,256 of 128: on 4,000 digits, raw or deep (3 seeds),
    # BIC says 10 to 12 clusters of 32 components, and 3 or 4 of all 128
    wide = sum(part.width for part in task.parts) > COMPONENTS
    fewer = [TruncatedSVD(COMPONENTS, random_state=task.seed)] if wide else []
    made = GaussianMixture(**{"n_components": task.classes, "random_state": task.seed, **params})
    # in float32 a small variance may come out negative
    return compared(task, *fewer, in_double(), made)


def neighbours(task: Task, params: dict[str, Any]) -> BaseEstimator:
    """The nearest fitted rows, which vote where there is something to vote on (Cover and Hart 1967)."""
    made = {"classification": KNeighborsClassifier, "regression": KNeighborsRegressor}.get(task.aim, NearestNeighbors)
    # by brute force: a search tree is no quicker at 128 columns, and its type is none that a file may hold
    return compared(task, made(**{"n_neighbors": 8, "algorithm": "brute", **params}))


def scaled(task: Task, *steps: BaseEstimator) -> BaseEstimator:
    """``steps`` behind one scale for each part of the features; features that are all sparse stay as they are.

    On two sets of texts a linear machine on TF-IDF is best without any scaling (AG News 87.6 %, standardised 86.5 %).
    """
    alone = len(task.parts) == 1 and task.parts[0].sparse
    return make_pipeline(*([] if alone else [ViewScaler(plain(task.parts))]), *steps)


def compared(task: Task, *steps: BaseEstimator) -> BaseEstimator:
    """``steps`` that compare rows by their distance: as `scaled` where that makes a difference."""
    if weighs_parts(task.parts):
        return scaled(task, *steps)
    return steps[0] if len(steps) == 1 else make_pipeline(*steps)


def gamma(task: Task, asked: Any) -> float:
    """`gamma` of a kernel map, as its exact machine would take it of features that are `scaled`."""
    if isinstance(asked, int | float):
        return asked
    # rows have a mean squared length of 1 in each part; `auto` is one over the features
    return 1 / max(sum(part.width for part in task.parts) if asked == "auto" else len(task.parts), 1)


def steps_of(estimator: BaseEstimator) -> list[BaseEstimator]:
    """The steps of a pipeline in their order; of another estimator itself alone."""
    return [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]


def linear_svr(**params: Any) -> LinearSVR:
    """`LinearSVR` with the loss that has a quick solver."""
    # at C = 1 on 10,000 x 128 rows the other needs 6.4 s, unconverged, where this needs 0.03 s
    return LinearSVR(**{"loss": "squared_epsilon_insensitive", "dual": "auto", **params})


def in_double() -> FunctionTransformer:
    """A step that hands features on in float64."""
    return FunctionTransformer(double)


def double(X: np.ndarray) -> np.ndarray:
    """``X`` in float64."""
    return X.astype(np.float64)
