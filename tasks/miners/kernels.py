"""Kernel machines for many rows: above a number of rows a kernel map and a linear machine stand in for the exact one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge, RidgeClassifier, SGDOneClassSVM

from tasks.miners.forms import OUTLYING, Made, Task, gamma, in_double, nystroem, scaled

#: Train rows above which an exact machine is fitted on so many of them alone, and held against a map of all. Its cost
#: grows with their square; on 45,105 raw rows of CIFAR-10 it took (fit, and all 60,000 predicted) 37 s on 10,000 of them,
#: 93 s on 20,000 and 274 s on all, the map 26 s for what 20,000 rows gave.
KERNEL_ROWS = 10_000
#: Val rows that say which is better.
VAL = 10_000
#: Components of the map. The cost grows with the rows times their square.
COMPONENTS = 2000


@dataclass(frozen=True)
class Weighed:
    """What a kernel map over all rows is worth beside the exact machine on some of them.

    Attributes:
        rows: train rows that the map was fitted on, ``part`` those of the exact machine.
        map, exact: their accuracy (or minus their mean absolute error) on val rows, None where there are none.
        used: `map` or `exact`, the better of the two.
    """

    rows: int
    part: int
    map: float | None
    exact: float | None
    used: str


#: Exact miner -> what stands in for it, given the same parameters.
MAPS: dict[str, Made] = {
    "rbf_svm": lambda task, **kw: least_squares(task, kw),
    "poly_svm": lambda task, **kw: least_squares(task, {"kernel": "poly", "coef0": 1.0, **kw}),
    "one_class_svm": lambda task, **kw: one_class(task, kw),
}


def least_squares(task: Task, params: dict[str, Any]) -> Any:
    """A least-squares support vector machine (Suykens and Vandewalle 1999) on a Nystroem map."""
    # LinearSVC on such a map takes twenty times as long for no better accuracy (`forms.nystroem`)
    ridge = {"alpha": 1 / (2 * float(params.get("C", 1.0))), "copy_X": False}
    known = {name: params[name] for name in ("class_weight",) if name in params and task.aim == "classification"}
    return nystroem(task, RidgeClassifier, Ridge, {**_kernel(params), **known, **ridge})


def one_class(task: Task, params: dict[str, Any]) -> Any:
    """A one-class machine by stochastic gradient descent on a Nystroem map, as scikit-learn's guide has it."""
    own = _kernel(params)
    kernel = Nystroem(**{**own, "gamma": gamma(task, own.get("gamma"))}, random_state=task.seed)
    last = SGDOneClassSVM(nu=params.get("nu", OUTLYING), random_state=task.seed)
    return scaled(task, in_double(), kernel, last)


def _kernel(params: dict[str, Any]) -> dict[str, Any]:
    """What a map is told of the parameters of an exact machine."""
    own: dict[str, Any] = {name: params[name] for name in ("kernel", "degree", "coef0", "gamma") if name in params}
    return {"n_components": COMPONENTS, **own}


def better(exact: float | None, mapped: float | None) -> str:
    """Which of the two is taken: the better on val rows, the map of equals or where there are none."""
    return "exact" if exact is not None and mapped is not None and exact > mapped else "map"


def merit(said: np.ndarray, truth: np.ndarray, aim: str) -> float:
    """Accuracy, or minus the mean absolute error; higher is better."""
    return float((said == truth).mean() if aim == "classification" else -np.abs(said - truth).mean())
