"""Column order: whether one column is larger than another gives the class away, as a date of payment after the due date."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.validation.context import Context
from tasks.validation.finding import LEAK, Finding
from tasks.validation.regression_leakage import numeric

#: Train rows that are looked at, at most, and columns that are compared with each other: the first ones.
MOST_ROWS, MOST_COLUMNS = 5_000, 100
#: Rows that a class must have, as there are many pairs of columns.
MIN_CLASS_ROWS = 20


@dataclass(frozen=True)
class Order:
    """Two columns of which the first is larger than the second where rows are of the class ``label``, with its AUC."""

    columns: tuple[str, str]
    label: str
    auc: float


def check(context: Context) -> Iterator[Finding]:
    """A leak for each such pair, of columns that do not give the label away by themselves."""
    if not context.classes:
        return
    above = context.params.leak
    keys = [key for key in context.columns if context.column_auc.get(key, 0.0) <= above]
    for found in orders(context.train[keys], context.train["label"].to_numpy(str), context.categorical, above):
        first, second = (context.columns[key] for key in found.columns)
        text = (
            f"Whether '{first}' is larger than '{second}' predicts whether the label is '{found.label}' (AUC {found.auc:.3f} on "
            "train rows). If they are not known before the label is, they leak: remove one from 'inputs' in params.yaml."
        )
        details = {"columns": [first, second], "auc": round(found.auc, 4), "label": found.label}
        yield Finding(LEAK, "Order of two columns", text, details=details)


def orders(frame: pd.DataFrame, label: np.ndarray, categorical: Collection[str], above: float) -> list[Order]:
    """Pairs of columns whose order is a class: the first is larger in nearly all of its rows and in no others.

    The two are compared as they are, so that chance and honest columns hardly do this; at most one pair for each class.

    Args:
        frame: N rows; numbers, dates, truth values, and names in the ``categorical`` columns.
        label: (N,) texts.
        above: area under the ROC curve of the order for the class above which it counts.
    """
    draw = np.random.default_rng(0).permutation(len(label))[:MOST_ROWS]
    frame, known = frame.iloc[draw], label[draw].astype(str)
    codes, classes = pd.factorize(known, sort=True)
    names = [n for n in frame if n not in categorical][:MOST_COLUMNS]
    if len(names) < 2 or len(classes) < 2:
        return []
    X = np.stack([numeric(frame[n]) for n in names], axis=1)  # (N, D), NaN is larger than nothing
    size = np.bincount(codes)
    own = np.eye(len(classes))[codes] / size  # (N, K): summed over rows, shares of each class
    rest = (1 - np.eye(len(classes))[codes]) / (len(codes) - size)
    best: dict[int, Order] = {}
    for i in range(len(names)):
        order = (X[:, i : i + 1] > X).astype(float)  # (N, D)
        area = (1 + order.T @ own - order.T @ rest) / 2  # (D, K)
        for j, k in zip(*np.nonzero(area > above), strict=True):
            if min(size[k], len(codes) - size[k]) >= MIN_CLASS_ROWS and (k not in best or area[j, k] > best[k].auc):
                best[k] = Order((names[i], names[j]), str(classes[k]), min(float(area[j, k]), 1.0))
    # of two classes each says the same
    return [best[k] for k in sorted(best)][: 1 if len(classes) == 2 else None]
