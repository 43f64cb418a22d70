"""Probabilities of classes: what a classifier says by itself, put on the scale of how often it is right."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC

from tasks.miners.crossvalidation import folds_of
from tasks.miners.fitting import Fit, fit, part_of
from tasks.miners.pipelines import steps_of
from tasks.splitting.folds import ENOUGH, trained_on

#: Labelled rows below which no calibration is fitted, and rows of each class.
LEAST, LEAST_OF_CLASS = 30, 2
#: Parts that train rows are cut into where val rows are too few, and train rows that are enough for it.
FOLDS, MOST = 3, 5_000
#: A share of trees or neighbours counts as no less than this (of many classes, than a third of an even share): no vote
#: at all would weigh without end. Of 0.0001 to 0.03 this is as good or best for trees, forests and neighbours, on two
#: sets of data (log loss of neighbours on noisy digits 1.38 against 1.55 at 0.001).
SMALLEST, OF_EVEN = 0.03, 0.3


@dataclass(frozen=True)
class Response:
    """What a classifier says of M rows before anything is calibrated.

    Attributes:
        values: (M,) decision values of two classes, (M, K) of more, or (M, K) shares.
        shares: whether they are shares of 1, as trees and neighbours give them.
    """

    values: np.ndarray
    shares: bool

    @property
    def margin(self) -> np.ndarray | None:
        """(M,) how much each row looks like the second of two classes, above 0 where that is said; None with more."""
        if self.values.ndim == 1:
            return self.values
        return self.values[:, 1] - 0.5 if self.values.shape[1] == 2 else None

    @property
    def logits(self) -> np.ndarray:
        """(M, 1) of two classes, (M, K) of more."""
        if self.values.ndim == 1:
            return self.values[:, None]
        if not self.shares:
            return self.values
        least = min(SMALLEST, OF_EVEN / self.values.shape[1])
        logs = np.log(np.clip(self.values, least, 1 - least))
        return logs[:, 1:] - logs[:, :1] if logs.shape[1] == 2 else logs


@dataclass(frozen=True)
class Calibrated:
    """A calibration and what it was fitted on.

    Attributes:
        calibrator: None where there is none.
        method: `sigmoid`, `temperature`, `own` (the classifier's own probabilities) or `none`.
        rows: labelled rows that it was fitted on; ``on`` says whether these are `val` rows, or `train` rows told by
            classifiers that had not seen them.
    """

    calibrator: Any
    method: str
    rows: int
    on: str


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose features are the scores of another one, which are calibrated without asking that one again."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Scores":
        """Note the classes of the (N,) labels ``y``."""
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """``X`` itself, flat where it is (M, 1)."""
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(N,) the class of the highest score."""
        places = (X[:, 0] > 0).astype(int) if X.shape[1] == 1 else X.argmax(1)
        return np.asarray(self.classes_[places])


def response(estimator: BaseEstimator, X: Any) -> Response | None:
    """What a fitted classifier says of the (M, D) rows of ``X``; None where it only names a class."""
    decide = getattr(estimator, "decision_function", None)
    if decide is None:
        share = getattr(estimator, "predict_proba", None)
        return Response(np.asarray(share(X), np.float64), True) if share else None
    classes = len(estimator.classes_)
    if classes > 2 and isinstance(steps_of(estimator)[-1], SVC):
        return Response(_of_pairs(estimator, X), False)
    return Response(np.asarray(decide(X), np.float64), False)


def _of_pairs(estimator: Any, X: Any) -> np.ndarray:
    """(M, K) what an SVC says for each of K > 2 classes against all others: the sum over its machines, one a pair.

    Its own decision function is little more than their votes. Calibrated by one temperature, sums had a log loss of 0.22
    where votes had 0.30 (digits, raw view), and 0.028 where they had 0.094 (spoken digits, deep). The class with most
    votes is the one that it predicts; where another has the larger sum, the two sums change places.
    """
    *before, last = steps_of(estimator)
    for step in before:
        X = step.transform(X)
    pairs = copy(last).set_params(decision_function_shape="ovo").decision_function(X)  # (M, K (K - 1) / 2)
    first, second = np.triu_indices(len(last.classes_), 1)
    sums, votes = np.zeros((2, len(pairs), len(last.classes_)))
    for k, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        sums[:, a] += pairs[:, k]
        sums[:, b] -= pairs[:, k]
        votes[:, a] += pairs[:, k] > 0
        votes[:, b] += pairs[:, k] <= 0
    said = np.searchsorted(last.classes_, last.predict(X)) if last.break_ties else votes.argmax(1)
    rows, top = np.arange(len(sums)), sums.argmax(1)
    sums[rows, top], sums[rows, said] = sums[rows, said], sums[rows, top]
    return sums


def calibrate(
    made: Fit, estimator: BaseEstimator, more: dict[str, Any], val: np.ndarray, said: Response | None
) -> Calibrated:
    """What makes probabilities of the scores of a fitted classifier.

    Two classes by a sigmoid (Platt 1999), more by one temperature (Guo et al. 2017), on val rows: it has one or two
    parameters, so that it matters little that val rows chose C, too, and no test row is looked at. Where val rows are
    fewer than `folds.ENOUGH`, train rows stand in, told by classifiers that had not seen them, as folds have it; of
    features of a network only where val rows are fewer than `LEAST`, or of a class too few.

    Args:
        made: how it was fitted, with ``more`` parameters that rows chose.
        val: positions of the val rows that have a label; ``said`` is the estimator's response to these.
    """
    classes, job = estimator.classes_, made.job
    if said is None:
        return Calibrated(None, "none", 0, "val")
    ways = [lambda: _on_val(said, job.view.label[val], classes), lambda: _on_folds(made, classes, more)]
    # of a network's own train rows folds tell too much: there val rows calibrate as long as there are any number of them
    for way in ways if trained_on(job.view.name) or len(val) >= ENOUGH else reversed(ways):
        if found := way():
            return found
    return Calibrated(None, "own" if said.shares else "none", 0, "val")


def of_network(shares: np.ndarray) -> Response:
    """The response that (M, K) probabilities out of a softmax were made of, up to what all classes have alike."""
    logs = np.log(np.maximum(shares.astype(np.float64), np.finfo(np.float32).tiny))
    return Response(logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs, False)


def calibrate_network(said: Response, labels: np.ndarray, classes: list[str]) -> Calibrated:
    """As `calibrate`, of a network's response to val rows of ``labels``; without enough of them it keeps its own."""
    found = _on_val(said, labels, np.array(classes)) if len(classes) > 1 else None
    return found or Calibrated(None, "own", 0, "val")


def probabilities(calibrator: Any, said: Response) -> np.ndarray | None:
    """(M, K) probabilities of the classes of a response; None where there is neither a calibration nor shares."""
    if calibrator is not None:
        return np.asarray(calibrator.predict_proba(said.logits), np.float64)
    return said.values if said.shares else None


def _on_val(said: Response, labels: np.ndarray, classes: np.ndarray) -> Calibrated | None:
    """What val rows of ``labels`` make of the response to them; None where they, or those of a class, are too few."""
    seen = np.isin(labels, classes)
    if not _enough(labels[seen], classes, LEAST_OF_CLASS):
        return None
    return _fitted(said.logits[seen], labels[seen], classes, "val")


def _enough(labels: np.ndarray, classes: np.ndarray, least: int) -> bool:
    counts = [(labels == label).sum() for label in classes.tolist()]
    return len(labels) >= LEAST and min(counts) >= least


def _fitted(logits: np.ndarray, labels: np.ndarray, classes: np.ndarray, on: str) -> Calibrated:
    method = "sigmoid" if len(classes) == 2 else "temperature"
    scores = FrozenEstimator(Scores().fit(logits, labels))
    made = CalibratedClassifierCV(scores, method=method, cv=2).fit(logits, labels)  # frozen: folds change nothing
    return Calibrated(made, method, len(labels), on)


def _on_folds(made: Fit, classes: np.ndarray, more: dict[str, Any]) -> Calibrated | None:
    """What train rows make of it, told by classifiers that had not seen them; None where they are too few."""
    job = made.job
    some = part_of(job, made.rows, MOST)
    logits, judged = [], []
    for train, test in folds_of(job, some, FOLDS):
        if len(np.unique(job.view.label[train])) < len(classes):
            return None
        said = response(fit(job, train, more), job.view.X[test])
        logits.append(said.logits if said else np.empty((len(test), 0)))
        judged.append(test)
    labels = job.view.label[np.concatenate(judged)] if judged else np.empty(0, str)
    if not _enough(labels, classes, LEAST_OF_CLASS):
        return None
    return _fitted(np.concatenate(logits), labels, classes, "train")
