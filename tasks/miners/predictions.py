"""What a fitted miner says of held-out rows, as the columns of the store of predictions."""

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.miners.fitting import Fit
from tasks.miners.persistence import Fitted
from tasks.miners.probability_calibration import Calibrated, Response, calibrate, probabilities
from tasks.storage.names import NOISE, UNLIKE, USUAL
from tasks.storage.store import vector_column

#: Suffix of a column -> its values; "" is the verdict itself.
Said = dict[str, np.ndarray]


def verdicts(
    made: Fit, fitted: Fitted, held_out: np.ndarray, classes: tuple[str, ...], more: dict[str, Any]
) -> tuple[Said, Fitted, Calibrated | None]:
    """What a miner says of the rows under ``held_out``, and the miner with its calibration, if it has one.

    Args:
        classes: sorted; the columns of the probabilities. A class that the miner never saw has probability 0.
        more: parameters that rows chose for it.
    """
    view, job = made.job.view, made.job
    found: Said = {}
    calibrated = None
    if job.kind == "outlier_detector":
        score = _there(fitted.scores(view, held_out))
        found = {"": np.where(score > 0, UNLIKE, USUAL).astype(object), "score": score}
    elif job.kind == "classifier":
        said = fitted.response(view, held_out)
        # shares name the class by themselves: to ask again would search all neighbours again
        if said is not None and said.shares:
            found = {"": fitted.estimator.classes_[said.values.argmax(1)]}
        else:
            found = {"": fitted.predict(view, held_out)}
        calibrated = calibrate(made, fitted.estimator, more, *_val(made, held_out, said))
        fitted = Fitted(fitted.estimator, fitted.view, fitted.fingerprint, calibrated.calibrator)
        found |= _of_classes(fitted, said, classes)
    elif job.kind != "neighbours":
        found = {"": _told(made, fitted.predict(view, held_out))}
    near = fitted.nearest(view, held_out)
    if near is not None:
        found |= {"like": view.ids[made.rows][near[1]], "distance": near[0]}
    return found, fitted, calibrated


def of_test(made: Fit, fitted: Fitted, held_out: np.ndarray, classes: tuple[str, ...], said: Said) -> Said:
    """``said`` of the rows under ``held_out`` with what the miner that was fitted again says of the test rows among them."""
    view, test = made.job.view, held_out & made.job.view.rows("test")
    if not test.any():
        return said
    predicted = fitted.predict(view, test)
    if made.job.kind == "classifier":
        found = {"": predicted, **_of_classes(fitted, fitted.response(view, test), classes)}
    else:
        found = {"": _told(made, predicted)}
    merged = {suffix: values.astype(np.result_type(values, found[suffix])) for suffix, values in said.items()}
    for suffix, values in merged.items():
        values[test[held_out]] = found[suffix]
    return merged


def columns(said: Said, key: str) -> dict[str, pa.Array]:
    """The columns ``key``, ``key``.score and so on."""
    return {f"{key}.{suffix}".removesuffix("."): _column(values) for suffix, values in said.items()}


def _val(made: Fit, held_out: np.ndarray, said: Response | None) -> tuple[np.ndarray, Response | None]:
    """Positions of the val rows with a label, and what was said of these."""
    view = made.job.view
    rows = view.rows("val") & view.known
    part = None if said is None else Response(said.values[rows[held_out]], said.shares)
    return np.flatnonzero(rows & held_out), part


def _of_classes(fitted: Fitted, said: Response | None, classes: tuple[str, ...]) -> Said:
    if said is None:
        return {}
    found: Said = {}
    if said.margin is not None and len(classes) == 2:
        found["score"] = said.margin
    shares = probabilities(fitted.calibrator, said)
    if shares is not None:
        own = fitted.estimator.classes_.astype(str)
        found["probability"] = np.zeros((len(shares), len(classes)))
        found["probability"][:, np.searchsorted(classes, own)] = shares
    return found


def _told(made: Fit, said: np.ndarray) -> np.ndarray:
    """Verdicts as they are kept: clusters as text, numbers as (M,) or (M, K) float64."""
    job = made.job
    if job.kind == "clusterer":
        return np.array([NOISE if cluster == -1 else str(cluster) for cluster in said.tolist()], dtype=object)
    return said.astype(np.float64).reshape((-1, job.task.outputs) if job.task.outputs > 1 else (-1,))


def _there(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def _column(values: np.ndarray) -> pa.Array:
    if values.dtype.kind != "f":
        return pa.array(values.astype(str).tolist(), pa.string() if values.ndim == 1 else pa.list_(pa.string()))
    return pa.array(values, pa.float64()) if values.ndim == 1 else vector_column(values)
