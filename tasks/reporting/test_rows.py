"""N test rows with the network's predictions, for every objective."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tasks.reporting.captions import values
from tasks.reporting.formatting import percent, significant

RMS = "error (RMS)"
#: Names of facts below an example, where those of the map would be too long.
SHORT = {"probability": "", "reconstruction error": "error", RMS: "RMSE", "true class": "true"}
#: Labels that are always few enough to tell rows apart by.
MOST_NAMES = 30


@dataclass(frozen=True)
class PredictedRows:
    """N test rows, each with the network's prediction.

    Attributes:
        objective: classification, regression, forecasting or autoencoder.
        ids, y_true: (N,) arrays of text; the label is "" where it is not known.
        prediction: (N, K) class probabilities, predicted numbers, or reconstruction errors (K = 1).
        X: (N, D) deep features.
        numbers: (N, K) the labels as numbers where the objective is to predict numbers, else None.
        classes: (K,) the class of each column of ``prediction``, empty where there are none.
    """

    objective: str
    ids: np.ndarray
    y_true: np.ndarray
    prediction: np.ndarray
    X: np.ndarray
    numbers: np.ndarray | None
    classes: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) the likeliest class, "" where there are none."""
        if not len(self.classes):
            return np.full(len(self.ids), "")
        return np.asarray(self.classes[self.prediction.argmax(1)])

    @cached_property
    def score(self) -> np.ndarray:
        """(N,) the probability of the likeliest class, the error of the numbers (root mean square over K), or the
        reconstruction error."""
        if self.numbers is not None:
            return np.asarray(np.sqrt(((self.prediction - self.numbers) ** 2).mean(1)))
        return np.asarray(self.prediction.max(1))

    @cached_property
    def labelled(self) -> bool:
        """Whether there are labels to tell rows apart by: no numbers, and not as good as one a row."""
        known = self.y_true[self.y_true != ""]
        return self.numbers is None and 0 < len(set(known.tolist())) <= max(MOST_NAMES, len(known) // 2)

    def wrong(self) -> np.ndarray:
        """(N,) whether the likeliest class is another one; nowhere where there are no classes."""
        return np.asarray(self.predicted != self.y_true) & bool(len(self.classes))

    def facts(self, i: int) -> list[tuple[str, str]]:
        """(name, value) of what is known of row ``i``."""
        label, score = str(self.y_true[i]), float(self.score[i])
        if len(self.classes):
            return [("true class", label), ("predicted", str(self.predicted[i])), ("probability", percent(score))]
        if self.numbers is None:
            error = ("reconstruction error", significant(score))
            return [("label", label), error] if label else [error]
        off = self.prediction[i] - self.numbers[i]
        error = ("error", significant(off[0])) if len(off) == 1 else (RMS, significant(score))
        return [("true", values(self.numbers[i])), ("predicted", values(self.prediction[i])), error]

    def caption(self, i: int, *names: str, pair: bool = False) -> dict[str, Any]:
        """Row ``i`` as an example: its facts of those ``names``; with ``pair`` also its true and its predicted class."""
        facts = dict(self.facts(i))
        return {
            "id": str(self.ids[i]), "of": str(self.y_true[i]) if self.labelled else "",
            "pair": [str(self.y_true[i]), str(self.predicted[i])] if pair else [],
            "facts": [{"name": SHORT.get(n, n), "text": text} for n, text in facts.items() if n in names],
        }  # fmt: skip
