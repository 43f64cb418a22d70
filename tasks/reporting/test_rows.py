"""N test rows and what the network says of them, for every objective."""

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
class Judged:
    """N test rows, each with the network's verdict.

    Attributes:
        objective: classification, regression, forecasting or autoencoder.
        ids, truth: (N,) arrays of text; the truth is "" where it is not known.
        said: (N, K) class probabilities, predicted numbers, or reconstruction errors (K = 1).
        X: (N, D) deep features.
        numbers: (N, K) the truth as numbers where the objective is to predict numbers, else None.
        classes: (K,) the class of each column of ``said``, empty where there are none.
    """

    objective: str
    ids: np.ndarray
    truth: np.ndarray
    said: np.ndarray
    X: np.ndarray
    numbers: np.ndarray | None
    classes: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """(N,) the likeliest class, "" where there are none."""
        if not len(self.classes):
            return np.full(len(self.ids), "")
        return np.asarray(self.classes[self.said.argmax(1)])

    @cached_property
    def score(self) -> np.ndarray:
        """(N,) the probability of the likeliest class, the error of the numbers (root mean square over K), or the
        reconstruction error."""
        if self.numbers is not None:
            return np.asarray(np.sqrt(((self.said - self.numbers) ** 2).mean(1)))
        return np.asarray(self.said.max(1))

    @cached_property
    def labelled(self) -> bool:
        """Whether there are labels to tell rows apart by: no numbers, and not as good as one a row."""
        known = self.truth[self.truth != ""]
        return self.numbers is None and 0 < len(set(known.tolist())) <= max(MOST_NAMES, len(known) // 2)

    def wrong(self) -> np.ndarray:
        """(N,) whether the likeliest class is another one; nowhere where there are no classes."""
        return np.asarray(self.predicted != self.truth) & bool(len(self.classes))

    def facts(self, i: int) -> list[tuple[str, str]]:
        """What is told of row ``i``."""
        truth, score = str(self.truth[i]), float(self.score[i])
        if len(self.classes):
            return [("true class", truth), ("predicted", str(self.predicted[i])), ("probability", percent(score))]
        if self.numbers is None:
            told = [("reconstruction error", significant(score))]
            return [("label", truth), *told] if truth else told
        off = self.said[i] - self.numbers[i]
        error = ("error", significant(off[0])) if len(off) == 1 else (RMS, significant(score))
        return [("true", values(self.numbers[i])), ("predicted", values(self.said[i])), error]

    def caption(self, i: int, *told: str, pair: bool = False) -> dict[str, Any]:
        """Row ``i`` as an example: its facts of the names ``told``; with ``pair`` also what it was taken for."""
        facts = dict(self.facts(i))
        return {
            "id": str(self.ids[i]), "of": str(self.truth[i]) if self.labelled else "",
            "pair": [str(self.truth[i]), str(self.predicted[i])] if pair else [],
            "told": [{"name": SHORT.get(n, n), "text": text} for n, text in facts.items() if n in told],
        }  # fmt: skip
