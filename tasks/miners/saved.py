"""Fitted miners as files: skops with a fixed allow-list, the same bytes for the same model, bound to a feature space."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import DeepmineError
from tasks.miners.bounds import sound
from tasks.safe import dumps, loads
from tasks.store import write_atomically
from tasks.views import View

FORMAT = 1
#: Types beyond those that skops trusts by itself; anything else in a file is refused unread.
ALLOWED: tuple[str, ...] = (
    "sklearn.tree._tree.Tree",  # of decision trees and forests; `bounds` judges what a file makes of it
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # the trees of gradient boosting, as arrays
    "tasks.miners.forms.double",
    "tasks.miners.inductive.InductiveClusterer",
)


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator and the view that it belongs to."""

    estimator: Any
    view: str
    fingerprint: str

    def predict(self, view: View, mask: np.ndarray) -> np.ndarray:
        """Predictions (M,) for the rows of ``view`` under ``mask``.

        Raises:
            DeepmineError: the view is another than the one the miner was fitted on.
        """
        require(view, self.view, self.fingerprint)
        if not mask.any():
            return np.empty(0, dtype=object)
        return np.asarray(self.estimator.predict(view.X[mask]))

    def scores(self, view: View, mask: np.ndarray) -> np.ndarray | None:
        """How much (M,) each row under ``mask`` looks like the second of two classes; None with more, or with numbers.

        Raises:
            DeepmineError: as `predict`.
        """
        require(view, self.view, self.fingerprint)
        classes = getattr(self.estimator, "classes_", ())
        score = getattr(self.estimator, "decision_function", None)
        if score is None and hasattr(self.estimator, "predict_proba"):
            score = self._margin
        if len(classes) != 2 or score is None:
            return None
        if not mask.any():
            return np.empty(0)
        return np.asarray(score(view.X[mask]), np.float64)

    def _margin(self, X: Any) -> np.ndarray:
        """What the probability of the second class is above one half, so that the sign says the class."""
        return np.asarray(self.estimator.predict_proba(X))[:, 1] - 0.5


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
        DeepmineError: no such file, no skops archive, a type outside the allow-list, a newer format, or a broken tree.
    """
    try:
        values = loads(path.read_bytes(), ALLOWED, str(path), "a miner")
        if values.pop("format") > FORMAT:
            raise DeepmineError(f"{path}: written by a newer deepmine. Update this one.")
        if not sound(values["estimator"]):
            raise DeepmineError(f"{path}: holds a tree whose branches lead nowhere; refused.")
        return Fitted(**values)
    except FileNotFoundError:
        raise DeepmineError(f"{path}: no such miner. Run: deepmine run") from None
    except (KeyError, TypeError, AttributeError):
        raise DeepmineError(f"{path}: not a miner saved by deepmine; refused.") from None
