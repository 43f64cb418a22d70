"""Metrics: how good predictions are.

`METRICS` lists them by what they score: predicted classes, the detection of one of two classes, numbers, clusters. To add one,
write a function with an example in this room and add its line here; evaluation and report do the rest. A function takes what
it needs by name, of what the module of its kind gives to `scores`: `classification.py` is the one to read first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any, Literal


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        function: "module:name"; returns an `Interval`, or a number, or None where the metric is undefined.
        title: what a person calls it.
        better: whether `higher` or `lower` is better; ``best`` is the value of perfect predictions.
        unit: `share`, between 0 and 1 and shown in percent, or `number`.
    """

    function: str
    title: str
    better: Literal["higher", "lower"]
    unit: Literal["share", "number"]
    best: float

    def load(self) -> Callable[..., Any]:
        """The function."""
        module, _, name = self.function.partition(":")
        made: Callable[..., Any] = getattr(import_module(module), name)
        return made


#: What is scored -> name -> metric, in the order of the report. The first is the one that predictions are compared by.
METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "accuracy": Metric("tasks.metrics.classification:accuracy", "accuracy", "higher", "share", 1.0),
        "precision": Metric("tasks.metrics.classification:precision", "precision (macro)", "higher", "share", 1.0),
        "recall": Metric("tasks.metrics.classification:recall", "recall (macro)", "higher", "share", 1.0),
        "f1": Metric("tasks.metrics.classification:f1", "F1 (macro)", "higher", "share", 1.0),
    },
    "detection": {
        "auc": Metric("tasks.metrics.detection:roc_auc", "AUC", "higher", "number", 1.0),
        "average_precision": Metric("tasks.metrics.detection:average_precision", "AP", "higher", "number", 1.0),
        "precision": Metric("tasks.metrics.classification:precision", "precision", "higher", "share", 1.0),
        "recall": Metric("tasks.metrics.classification:recall", "recall", "higher", "share", 1.0),
        "f1": Metric("tasks.metrics.detection:f1", "F1", "higher", "share", 1.0),
    },
    "regression": {
        "mae": Metric("tasks.metrics.regression:mae", "mean absolute error", "lower", "number", 0.0),
        "rmse": Metric("tasks.metrics.regression:rmse", "RMSE", "lower", "number", 0.0),
        "r2": Metric("tasks.metrics.regression:r2", "R²", "higher", "number", 1.0),
        "mase": Metric("tasks.metrics.regression:mase", "MASE", "lower", "number", 0.0),
    },
    "clustering": {
        "ari": Metric("tasks.metrics.clustering:ari", "ARI", "higher", "number", 1.0),
        "nmi": Metric("tasks.metrics.clustering:nmi", "NMI", "higher", "number", 1.0),
        "purity": Metric("tasks.metrics.clustering:purity", "purity", "higher", "share", 1.0),
        "accuracy": Metric("tasks.metrics.clustering:accuracy", "accuracy", "higher", "share", 1.0),
        "silhouette": Metric("tasks.metrics.clustering:silhouette", "silhouette", "higher", "number", 1.0),
        "homogeneity": Metric("tasks.metrics.clustering:homogeneity", "homogeneity", "higher", "number", 1.0),
        "completeness": Metric("tasks.metrics.clustering:completeness", "completeness", "higher", "number", 1.0),
        "davies_bouldin": Metric("tasks.metrics.clustering:davies_bouldin", "Davies-Bouldin", "lower", "number", 0.0),
        "calinski_harabasz": Metric(
            "tasks.metrics.clustering:calinski_harabasz", "Calinski-Harabasz", "higher", "number", float("inf")
        ),
    },
}


def measure(kind: str) -> dict[str, str]:
    """Key, title, direction and unit of the metric that predictions of a ``kind`` are compared by.

    >>> measure("regression")
    {'key': 'mae', 'title': 'mean absolute error', 'better': 'lower', 'unit': 'number'}
    """
    key, metric = next(iter(METRICS[kind].items()))
    return {"key": key, "title": metric.title, "better": metric.better, "unit": metric.unit}


def secondary(kind: str, positive: bool = False) -> dict[str, Metric]:
    """The other metrics of predictions of a ``kind``, in the order that they are shown.

    Where one of two classes is ``positive`` those of its detection come first, as `positive.NAME`, and replace those of the
    same name that are means over classes.

    >>> list(secondary("regression")), list(secondary("classification", positive=True))[:2]
    (['rmse', 'r2', 'mase'], ['positive.auc', 'positive.average_precision'])
    """
    detection = METRICS["detection"] if positive else {}
    _, *others = METRICS[kind]
    shown = {f"positive.{name}": metric for name, metric in detection.items()}
    return shown | {name: METRICS[kind][name] for name in others if name not in detection}


def scores(kind: str, **known: Any) -> dict[str, Any]:
    """Every metric of a ``kind`` by name, None where it is undefined, and `NAME_interval` of those that have one.

    Args:
        known: what functions may ask for; where one that a function asks for is None, its metric is undefined.

    >>> import numpy as np
    >>> from tasks.metrics.classification import by_class
    >>> from tasks.stats.resampling import Resampling
    >>> y_true, y_pred, sampling = np.array(list("aabb")), np.array(list("abbb")), Resampling(0.95, 200, 0)
    >>> per = by_class(y_true, y_pred, ["a", "b"])
    >>> list(scores("classification", y_true=y_true, y_pred=y_pred, labels=["a", "b"], by_class=per, sampling=sampling))
    ['accuracy', 'accuracy_interval', 'precision', 'recall', 'f1']
    """
    from tasks.stats.intervals import Interval  # scipy, which whoever reads titles alone need not wait for

    found: dict[str, Any] = {}
    for name, metric in METRICS[kind].items():
        function = metric.load()
        asked = {parameter: known[parameter] for parameter in signature(function).parameters}
        value = None if any(value is None for value in asked.values()) else function(**asked)
        if isinstance(value, Interval):
            found |= {name: value.value, f"{name}_interval": value}
        else:
            found[name] = value
    return found
