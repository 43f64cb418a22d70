"""Fitted miners as files: skops with a fixed allow-list, the same bytes for the same model, bound to a feature space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.neighbors._base import KNeighborsMixin

from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_atomically
from tasks.core.safe_skops import dumps, loads
from tasks.features.view import View
from tasks.miners.pipelines import steps_of
from tasks.miners.probability_calibration import Response, probabilities, response
from tasks.miners.tree_integrity import sound
from tasks.storage.names import SUMMARY

#: 3: one scale a view (`features.scaling`). 4: types stand in other modules.
FORMAT = 4
#: Types beyond those that skops trusts by itself; anything else in a file is refused unread.
ALLOWED: tuple[str, ...] = (
    "sklearn.tree._tree.Tree",  # of decision trees and forests; `bounds` judges what a file makes of it
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # the trees of gradient boosting, as arrays
    "scipy.sparse._csr.csr_array",  # rows of texts that neighbours are looked for among; `bounds` judges these too
    "sklearn.calibration._CalibratedClassifier",  # two or three numbers each
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "tasks.miners.probability_calibration.Scores",
    "tasks.miners.pipelines.double",
    "tasks.miners.inductive.InductiveClusterer",
    "tasks.features.scaling.ViewScaler",
)


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, the view that it belongs to, and what makes probabilities of its scores, if anything."""

    estimator: Any
    view: str
    fingerprint: str
    calibrator: Any = None

    def predict(self, view: View, mask: np.ndarray) -> np.ndarray:
        """Predictions (M,) for the rows of ``view`` under ``mask``.

        Raises:
            DeepmineError: the view is another than the one the miner was fitted on.
        """
        require(view, self.view, self.fingerprint)
        if not mask.any():
            return np.empty(0, dtype=object)
        return np.asarray(self.estimator.predict(view.X[mask]))

    def response(self, view: View, mask: np.ndarray) -> Response | None:
        """What a classifier says of the rows under ``mask`` before it is calibrated; None where it only names a class.

        Raises:
            DeepmineError: as `predict`.
        """
        require(view, self.view, self.fingerprint)
        return response(self.estimator, view.X[mask]) if mask.any() and is_classifier(self.estimator) else None

    def scores(self, view: View, mask: np.ndarray) -> np.ndarray | None:
        """(M,) how much each row under ``mask`` looks like the second of two classes, or of a detector how unlike the
        fitted rows it is, above 0 where it is called so; None with more classes, or with numbers.

        Raises:
            DeepmineError: as `predict`.
        """
        require(view, self.view, self.fingerprint)
        if is_outlier_detector(self.estimator):
            return (
                -np.asarray(self.estimator.decision_function(view.X[mask]), np.float64) if mask.any() else np.empty(0)
            )
        if len(getattr(self.estimator, "classes_", ())) != 2:
            return None
        said = self.response(view, mask)
        return said.margin if said else None if mask.any() else np.empty(0)

    def probabilities(self, view: View, mask: np.ndarray) -> np.ndarray | None:
        """(M, K) probabilities of the estimator's classes; None where it only names one.

        Raises:
            DeepmineError: as `predict`.
        """
        said = self.response(view, mask)
        return probabilities(self.calibrator, said) if said else None

    def nearest(self, view: View, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """(M, k) distances of the nearest fitted rows and their places among these; None where none are kept to ask.

        Raises:
            DeepmineError: as `predict`.
        """
        require(view, self.view, self.fingerprint)
        *before, last = steps_of(self.estimator)
        if not isinstance(last, KNeighborsMixin) or is_outlier_detector(last) or not mask.any():
            return None
        X = view.X[mask]
        for step in before:
            X = step.transform(X)
        distances, places = last.kneighbors(X)
        return np.asarray(distances, np.float64), places


def require(view: View, name: str, fingerprint: str) -> None:
    """Refuse a view that is not the one named: equal width does not make two feature spaces one.

    Raises:
        DeepmineError: name or fingerprint differ.
    """
    if view.name != name or view.fingerprint != fingerprint:
        raise DeepmineError(
            f"this miner was fitted on the view '{name}' of encoder {fingerprint[:12]}, but was given '{view.name}' of "
            f"encoder {view.fingerprint[:12]}. Fit it again (deepmine run), or give it the features it was made for."
        )


def save_miner(path: Path, fitted: Fitted) -> None:
    """Write canonical skops bytes to ``path``.

    Raises:
        DeepmineError: the estimator holds a type that `load_miner` would refuse.
    """
    write_atomically(path, dumps({"format": FORMAT, **vars(fitted)}, ALLOWED, path.stem))


def load_miner(path: Path) -> Fitted:
    """Read a miner back.

    Raises:
        DeepmineError: no such file, no skops archive, a type outside the allow-list, another format, or a broken tree.
    """
    if (path.parent / SUMMARY).is_file():
        read_json(path.parent / SUMMARY)  # it names every miner with its hash, so that none stands for another
    try:
        values = loads(path.read_bytes(), ALLOWED, str(path), "a miner")
        found = values.pop("format")
        if found > FORMAT:
            raise DeepmineError(f"{path}: written by a newer deepmine. Update this one.")
        if found < FORMAT:
            raise DeepmineError(f"{path}: written by an older deepmine. Recreate it: deepmine run")
        if not sound([values["estimator"], values.get("calibrator")]):
            raise DeepmineError(f"{path}: holds a tree with invalid branches; refused.")
        return Fitted(**values)
    except FileNotFoundError:
        raise DeepmineError(f"{path}: no such miner. Run: deepmine run") from None
    except (KeyError, TypeError, AttributeError):
        raise DeepmineError(f"{path}: not a miner saved by deepmine; refused.") from None
