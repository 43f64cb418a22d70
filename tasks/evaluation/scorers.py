"""Who is right, and by how much: verdicts of miners and networks on the same held-out rows, as classes or as numbers."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.text import plain
from tasks.features.label_values import as_numbers, parse_numbers
from tasks.metrics import measure
from tasks.metrics.classification import classification, confusion
from tasks.metrics.detection import detection
from tasks.metrics.regression import regression
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc_difference, has_auc
from tasks.storage.store import vectors

#: Rows of the picture of true and predicted numbers at most, and bands of the truth in which errors are told.
DRAWN, BANDS = 400, 5


@dataclass(frozen=True)
class Said:
    """What is said of the N labelled rows of one split.

    Attributes:
        ids: (N,) text.
        truth: (N,) text, or (N, K) numbers.
        by: `NAME@VIEW`, `network` or `naive` -> verdicts of the form of ``truth``.
        scores: of two classes, (N,) numbers that grow with how much a row looks like the second.
        probabilities: (N, K) of the classes in their order, of those verdicts that have them.
        groups: (N,) the number of each row's group, or None where rows are independent.
    """

    ids: np.ndarray
    truth: np.ndarray
    by: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None


def of_split(predictions: pa.Table, split: str, names: list[str], numbers: bool) -> Said:
    """What the miners ``names`` say of the rows of ``split`` that have a label; probabilities as they are kept."""
    table = predictions.filter(pc.and_(predictions["label"].is_valid(), pc.equal(predictions["split"], split)))
    texts = table["label"].to_pylist()
    truth = parse_numbers(texts) if numbers else _text(texts)
    by = {name: as_numbers(table[name]) if numbers else _text(table[name].to_pylist()) for name in names}
    scores = {n: table[f"{n}.score"].to_numpy() for n in names if f"{n}.score" in table.column_names}
    shares = {
        n: vectors(table[f"{n}.probability"], np.float64) for n in names if f"{n}.probability" in table.column_names
    }
    return Said(_text(table["id"].to_pylist()), truth, by, scores, shares)


def aligned(probabilities: np.ndarray, own: list[str], classes: list[str]) -> np.ndarray:
    """(N, K) probabilities of ``own`` classes in the order of ``classes``; zeros for one that they do not know."""
    columns = [probabilities[:, own.index(c)] if c in own else np.zeros(len(probabilities)) for c in classes]
    return np.stack(columns, axis=1).astype(np.float64)


@dataclass(frozen=True)
class Difference:
    """The metric of one prediction minus that of another on the same rows.

    Attributes:
        auc: the same of the areas under their ROC curves, where both rank the rows.
    """

    difference: float
    interval: Interval
    auc: "Difference | None" = None

    @classmethod
    def of(cls, interval: Interval, auc: Interval | None = None) -> "Difference":
        """The one that ``interval`` has as its value."""
        return cls(interval.value, interval, None if auc is None else cls.of(auc))


class Classes:
    """Judges classes by accuracy; of two classes also by how well the one named ``positive`` is found."""

    measure: ClassVar = measure("classification")

    def __init__(self, test: Said, classes: list[str], positive: str | None, sampling: Resampling) -> None:
        self.test, self.positive, self.classes = test, positive, classes
        self.sampling = replace(sampling, groups=test.groups)
        self.labels = sorted(set(test.truth.tolist()))
        # scores grow with the second class
        self.sign = 1.0 if positive is None or positive == classes[-1] else -1.0

    def score(self, name: str) -> dict[str, Any]:
        """Every figure of one verdict on test rows."""
        test = self.test
        found = classification(test.truth, test.by[name], self.labels, self.sampling)
        if self.positive is not None:
            true, said = test.truth == self.positive, test.by[name] == self.positive
            found["positive"] = detection(true, said, self.rank(name), self.sampling)
        return found

    def values(self, name: str, rows: Said | None = None) -> np.ndarray:
        """(N,) whether a verdict is right, of test rows or of ``rows``."""
        rows = rows or self.test
        return np.asarray(rows.by[name] == rows.truth)

    def merit(self, name: str, val: Said) -> float:
        """What choices on val rows go by; higher is better."""
        return float(self.values(name, val).mean())

    def pair(self, a: str, b: str) -> Difference:
        """The difference of two verdicts on the same test rows."""
        gap = self.sampling.difference(self.values(a), self.values(b))
        one, two = self.rank(a), self.rank(b)
        positive = self.test.truth == self.positive
        if one is None or two is None or not has_auc(positive):
            return Difference.of(gap)
        return Difference.of(gap, auc_difference(positive, one, two, self.sampling))

    def details(self, chosen: dict[str, str], best: str) -> dict[str, Any]:
        """What the report shows besides the figures."""
        test = self.test
        return {"confusion": {way: confusion(test.truth, test.by[n], self.labels) for way, n in chosen.items()}}

    def rank(self, name: str) -> np.ndarray | None:
        """(N,) what grows with how much a row looks positive: a score, else a probability; None without either."""
        if self.positive is None:
            return None
        if name in self.test.scores:
            return np.asarray(self.sign * self.test.scores[name])
        shares = self.test.probabilities.get(name)
        return None if shares is None else shares[:, self.classes.index(self.positive)]


class Numbers:
    """Judges numbers by their mean absolute error.

    Args:
        scale: mean absolute error of the naive forecast on train rows, for MASE (Hyndman and Koehler 2006), or None.
    """

    measure: ClassVar = measure("regression")

    def __init__(self, test: Said, scale: float | None, sampling: Resampling) -> None:
        self.test, self.scale = test, scale
        self.sampling = replace(sampling, groups=test.groups)
        self.labels: list[str] = []
        #: rows that are drawn
        self.some = np.sort(np.random.default_rng(sampling.seed).permutation(len(test.truth))[:DRAWN])

    def score(self, name: str) -> dict[str, Any]:
        """Every figure of one verdict on test rows."""
        return regression(self.test.truth, self.test.by[name], self.sampling, self.scale)

    def values(self, name: str, rows: Said | None = None) -> np.ndarray:
        """(N,) absolute errors of a verdict, of several outputs their mean, of test rows or of ``rows``."""
        rows = rows or self.test
        return np.asarray(np.abs(rows.by[name] - rows.truth).mean(1))

    def merit(self, name: str, val: Said) -> float:
        """What choices on val rows go by; higher is better."""
        return -float(self.values(name, val).mean())

    def pair(self, a: str, b: str) -> Difference:
        """The difference of two verdicts' absolute errors on the same test rows."""
        return Difference.of(self.sampling.difference(self.values(a), self.values(b)))

    def details(self, chosen: dict[str, str], best: str) -> dict[str, Any]:
        """True and predicted numbers of some rows under the best way, its errors in bands, each way's for each output."""
        truth, said = self.test.truth, self.test.by[chosen[best]]
        scatter = {"truth": plain(truth[self.some, 0]), "predicted": plain(said[self.some, 0])}
        steps = {way: plain(np.abs(self.test.by[name] - truth).mean(0)) for way, name in chosen.items()}
        return {"scatter": scatter, "bands": _bands(truth[:, 0], said[:, 0]), "steps": steps, "outputs": truth.shape[1]}


def _bands(truth: np.ndarray, said: np.ndarray) -> list[dict[str, Any]]:
    """Rows in bands of the true value of about equal size: mean absolute error, and how much too high on average."""
    edges = np.unique(np.quantile(truth, np.linspace(0, 1, BANDS + 1)))
    band = np.searchsorted(edges[1:-1], truth, side="right")
    found = []
    for i in range(max(len(edges) - 1, 1)):
        rows = band == i
        error = said[rows] - truth[rows]
        if rows.any():
            found.append(
                {"low": float(truth[rows].min()), "high": float(truth[rows].max()), "rows": int(rows.sum()),
                 "mae": float(np.abs(error).mean()), "bias": float(error.mean())}
            )  # fmt: skip
    return found


def _text(values: list[Any]) -> np.ndarray:
    return np.array(values, dtype=str)  # also where there are none
