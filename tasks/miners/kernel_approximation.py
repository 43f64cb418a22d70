"""Kernel machines for many rows: where the exact one costs too much, a kernel map and a linear machine stand in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge, RidgeClassifier, SGDOneClassSVM

from tasks.miners.pipelines import OUTLYING, Made, Task, gamma, in_double, nystroem, scaled, steps_of

#: Train rows up to which an exact machine is fitted without asking what it costs, and rows of it where it costs too
#: much on all: it is held against a map of all then.
KERNEL_ROWS = 10_000
#: Train rows of two small fits, whose support vectors and iterations say how both grow.
PROBES = (1000, 2000)
#: Nanoseconds of one core for one value of a kernel, and more for each feature; for one step of the solver over one
#: row. By CPU time (scikit-learn 1.9, a Xeon with AVX-512): fits on 8,000 rows that were estimated from `PROBES` took
#: 0.5 times of it (26 classes, 16 features), 0.9 and 1.1 (10, 128), 1.0 (2, 32), 0.8 (2, 30, polynomial), 1.3 times
#: (numbers, 30); predictions of 1,000 rows 39 to 75 ns a value.
VALUE, FEATURE, STEP = 35.0, 0.3, 4.0
#: Estimated seconds of one core up to which the exact machine is fitted on all rows: about what a map of 45,000 rows
#: and the exact machine on 10,000 take together (63 s on raw CIFAR-10, where the exact one on all took 274 s).
CHEAP = 60.0
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


def exact_seconds(fitted: list[BaseEstimator], rows: int, asked: int, features: int) -> float:
    """What it would take one core to fit an exact machine on ``rows`` and to ask it of ``asked`` rows.

    It is counted and not timed, as a clock decides differently in two runs, and equal runs have equal results. Support
    vectors and solver's steps are those of two fits on `PROBES` rows, continued as powers of the rows.

    Args:
        fitted: pipelines that end in the exact machine, on so many rows.
    """
    counts = np.array([_counts(one) for one in fitted])  # (2, 3)
    power = np.log(counts[1] / counts[0]) / np.log(PROBES[1] / PROBES[0])
    held, weights, steps = counts[1] * (rows / PROBES[1]) ** np.clip(power, [0, 0, 0], [1, 1, 2])
    classes = len(getattr(fitted[1], "classes_", ()))
    seen = 2 * rows / max(classes, 1)  # rows of one of many machines of two classes; of numbers each counts twice
    values = (min(seen, rows) * weights + asked * held) * (VALUE + FEATURE * features)
    return float(values + steps * seen * STEP) / 1e9


def _counts(fitted: Any) -> tuple[float, float, float]:
    """Support vectors of the machine in a pipeline, their weights, and solver's steps; of several machines together."""
    last = steps_of(fitted)[-1]
    last = getattr(last, "regressor_", last)
    machines = getattr(last, "estimators_", [last])
    held = sum(len(m.support_) for m in machines)
    weights = sum(int(np.count_nonzero(m.dual_coef_)) for m in machines)
    return max(held, 1), max(weights, 1), max(float(sum(np.sum(m.n_iter_) for m in machines)), 1.0)


def better(exact: float | None, mapped: float | None) -> str:
    """Which of the two is taken: the better on val rows, the map of equals or where there are none."""
    return "exact" if exact is not None and mapped is not None and exact > mapped else "map"


def merit(said: np.ndarray, truth: np.ndarray, aim: str) -> float:
    """Accuracy, or minus the mean absolute error; higher is better."""
    return float((said == truth).mean() if aim == "classification" else -np.abs(said - truth).mean())
