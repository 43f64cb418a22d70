"""Parameters of miners: judged before a run, and those that rows choose in place of the person."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from tasks.core.errors import DeepmineError, nearest
from tasks.miners import MINERS, Task, clusters, final, unfit


@dataclass(frozen=True)
class Grid:
    """A parameter that val rows choose where the person gives none (or null).

    Attributes:
        name: of the parameter; ``dense`` and ``sparse`` its values for such features, from the simplest model on.
        rows: train rows, and val rows, that are enough to choose by.
        quick: parameters that hold while choosing, to be quicker.
        aim: the only one that the parameter is for; None: all.
    """

    name: str
    dense: tuple[float | str, ...]
    sparse: tuple[float | str, ...]
    rows: int = 10_000
    quick: tuple[tuple[str, float], ...] = ()
    aim: str | None = None


GRIDS: dict[str, Grid] = {
    # exact to 1e-4, a fit takes ten times as long and ranks the values alike. Rows of dense views have a length of 1
    # (`scaling`), so that the values suit any width: of 0.1 to 1,000 the best was 1 on MNIST, wine, credit and two sets of series, 10
    # on digits and Italian power demand, 100 on GunPoint and OSULeaf
    # TF-IDF needs finer steps than decades: on AG News 745 val rows prefer 0.1 (test 88.1 %) to 1 (89.8 %) by two rows,
    # and 0.3 (89.9 %) to both
    "linear_svm": Grid("C", (0.1, 1.0, 10.0, 100.0), (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), quick=(("tol", 1e-2),)),
    # 2,000 rows and whole decades choose 10 on CIFAR-10 (4,522 train rows), where 3 is better: 42.9 and 45.0 % of the test rows
    # (raw view, fitted on train and val rows)
    "rbf_svm": Grid("C", (1.0, 3.0, 10.0, 100.0), (1.0, 10.0), rows=5_000),
    "poly_svm": Grid("C", (0.1, 1.0, 10.0), (1.0,), rows=2_000),
    "nystroem_svm": Grid("C", (0.1, 1.0, 10.0), (1.0,), rows=2_000, quick=(("tol", 1e-2),)),
    "nystroem_ridge": Grid("alpha", (1.0, 0.1, 0.01), (1.0,)),
    "logistic": Grid("C", (1.0, 10.0, 100.0, 1000.0), (0.1, 1.0, 10.0, 100.0)),
    "ridge": Grid("alpha", (10.0, 1.0, 0.1, 0.01), (10.0, 1.0, 0.1)),
    "decision_tree": Grid("max_depth", (2, 4, 8, 16), (4, 16, 64)),
    # numbers are judged by their absolute error. Of seven tables (3 seeds) boosting that was fitted to it had the smaller one on
    # four (insurance 2,084 in place of 3,037, diabetes 46.0 / 47.4, abalone 1.52 / 1.57, housing 2.29 / 2.34), that of squares on
    # three (concrete 3.22 in place of 3.43, white wine .481 / .521, Friedman 1.144 / 1.150)
    "gradient_boosting": Grid("loss", ("squared_error", "absolute_error"), ("squared_error",), aim="regression"),
}


@dataclass(frozen=True)
class Count:
    """How many clusters: a parameter that train rows choose where there are no classes to count, or where asked to.

    Attributes:
        name: of the parameter.
        measure: what `auto` goes by, an entry of `MEASURES`.
    """

    name: str
    measure: str

    @property
    def rows(self) -> int:
        """Train rows that are enough to choose by."""
        return MEASURES[self.measure]


#: By what a number of clusters may be chosen, `silhouette` (Rousseeuw 1987), `stability` (prediction strength:
#: Tibshirani and Walther 2005) or `bic` (of mixtures; Schwarz 1978), and on how many train rows; by `bic` more rows
#: allow more clusters.
MEASURES = {"silhouette": 2_000, "stability": 2_000, "bic": 10_000}
#: What `auto` goes by. On seven kinds of planted clusters (600 rows, 2 to 50 columns, 18 seeds each) k-means has the
#: right number by silhouette in 112 of 126 cases, by stability in 116, which is no difference; a mixture by BIC in 66.
#: Where there are none (five kinds, 90 cases) `counting` says so by silhouette in 77, by stability in 90, by BIC in 54;
#: but of the right ones in two columns stability could not tell 28 of 53 from chance, and the silhouette could all.
COUNTS = (Count("n_clusters", "silhouette"), Count("n_components", "bic"))
#: What twelve rows allow: more clusters or neighbours than these is no mistake, and one tree shows as much as many.
SMALL = dict.fromkeys(("n_clusters", "n_components", "min_cluster_size", "min_samples"), 12)
SMALL |= {"n_neighbors": 11, "n_estimators": 1}
#: Miners whose `max_iter` counts trees.
TREES = ("gradient_boosting",)


def check(miner: str, params: dict[str, Any], where: str, objective: str = "auto") -> None:
    """Let scikit-learn itself judge the parameters, by a fit on twelve rows.

    Where ``objective`` leaves it to the labels (`auto`, `autoencoder`) they must do for classes or for numbers.

    Raises:
        DeepmineError: a parameter does not exist or has an impossible value.
    """
    count = count_of(miner)
    asked = params.get(count.name) if count else None
    if count and isinstance(asked, str) and asked not in words(miner):
        raise DeepmineError(
            f"{where}: '{count.name}' of {miner} is a whole number, or one of {', '.join(words(miner))}, by which train "
            f"rows choose it; '{asked}' is neither.{nearest(asked, words(miner))}"
        )
    numbers = Task(aim="regression")
    known = {"classification": [Task()], "regression": [numbers], "forecasting": [numbers]}
    tasks = known.get(objective, [Task(), numbers])
    refused = [_refused(miner, given(miner, params), task) for task in tasks if unfit(miner, task) is None]
    if refused and all(refused):
        raise DeepmineError(f"{where}: {refused[0]}")


def open_choice(miner: str, params: dict[str, Any], aim: str | None = None) -> Grid | None:
    """The entry of `GRIDS` that the person leaves to val rows: by no value or by null; None where it is not for ``aim``."""
    grid = GRIDS.get(miner)
    if grid is None or (aim and grid.aim not in (None, aim)):
        return None
    return grid if params.get(grid.name) is None else None


def count_of(miner: str) -> Count | None:
    """The entry of `COUNTS` that says how many clusters the miner forms; None where it finds that by itself."""
    last = final(MINERS[miner](Task()))
    found = (count for count in COUNTS if clusters(miner) and count.name in last.get_params())
    return next((count for count in found if count.measure != "bic" or hasattr(last, "bic")), None)


def words(miner: str) -> list[str]:
    """What may be written in place of a number of clusters: `auto`, or by what the miner's is to be chosen."""
    by_bic = hasattr(final(MINERS[miner](Task())), "bic")
    return ["auto", *(measure for measure in MEASURES if measure != "bic" or by_bic)]


def open_count(miner: str, params: dict[str, Any], task: Task) -> Count | None:
    """The entry of `COUNTS` left to train rows, by the measure asked for: by a word, or by no value without classes."""
    count = count_of(miner)
    unsaid = "auto" if task.aim != "classification" else None
    asked = params.get(count.name, unsaid) if count else None
    if count is None or not isinstance(asked, str):
        return None
    return count if asked == "auto" else replace(count, measure=asked)


def given(miner: str, params: dict[str, Any]) -> dict[str, Any]:
    """``params`` without what rows are to choose, being null or a word for a number of clusters."""
    grid, count = open_choice(miner, params), count_of(miner)
    left = {grid.name} if grid else set()
    left |= {count.name} if count and isinstance(params.get(count.name), str) else set()
    return {name: value for name, value in params.items() if name not in left}


def _refused(miner: str, params: dict[str, Any], task: Task) -> str | None:
    try:
        estimator = MINERS[miner](task, **params)
    except TypeError as error:
        made = MINERS[miner](task)
        known = {name for step in _steps(made) for name in step.get_params()}
        unknown = next((name for name in params if name not in known), "")
        return f"unknown parameter '{unknown}'.{nearest(unknown, known)}" if unknown else str(error)
    X = np.random.default_rng(0).normal(size=(12, 3))
    for step in _steps(estimator):
        for name, most in (SMALL | ({"max_iter": 1} if miner in TREES else {})).items():
            value = step.get_params().get(name)
            if isinstance(value, int) and value > most:
                step.set_params(**{name: most})
    try:
        with threadpool_limits(1):
            estimator.fit(X, np.arange(len(X)) % 2)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _steps(estimator: BaseEstimator) -> list[BaseEstimator]:
    return [*(step for _, step in getattr(estimator, "steps", [])[:-1]), final(estimator)]
