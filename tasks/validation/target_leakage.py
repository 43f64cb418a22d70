"""Target leakage: columns that give the label away, one by itself or, of a label that is a number, a sum or product of few."""

from collections.abc import Iterator

import pandas as pd

from tasks.validation.context import Context
from tasks.validation.finding import LEAK, Finding
from tasks.validation.regression_leakage import Predictor, predictors

TITLE = "Target leakage"


def check(context: Context) -> Iterator[Finding]:
    """A leak for each column or combination of columns of a table whose score on train rows is above `validate.leak`."""
    for key, auc in context.column_auc.items():
        if auc > context.params.leak:
            column = context.columns[key]
            yield _single(column, f"AUC {auc:.3f} on train rows", {"auc": round(auc, 4)})
    if context.objective == "regression":
        label = pd.to_numeric(context.train["label"], errors="coerce").to_numpy(float)
        frame = context.train[list(context.columns)]
        for found in predictors(frame, label, context.categorical, context.params.leak):
            columns, score = [context.columns[key] for key in found.columns], {found.measure: round(found.value, 5)}
            if len(columns) == 1:
                yield _single(columns[0], f"{found.score} on train rows", score)
            else:
                yield _combined(columns, found, score)


def _single(column: str, score: str, details: dict[str, float]) -> Finding:
    text = (
        f"The column '{column}' alone predicts the label ({score}). If it is not known before the label is, it leaks: "
        "remove it from 'inputs' in params.yaml."
    )
    return Finding(LEAK, TITLE, text, details={"columns": [column], **details})


def _combined(columns: list[str], found: Predictor, details: dict[str, float]) -> Finding:
    terms = zip(found.weights, columns, strict=True)
    if found.kind == "product":
        formula = " times ".join(f"'{column}' to the {weight:.4g}" for weight, column in terms)
    else:
        formula = " + ".join(f"{weight:.4g} x '{column}'" for weight, column in terms)
    text = (
        f"A {found.kind} of {len(columns)} columns predicts the label: {formula} ({found.score} on other train rows). If they "
        "are not known before the label is, they leak: remove them from 'inputs' in params.yaml."
    )
    return Finding(LEAK, TITLE, text, details={"columns": columns, "kind": found.kind, **details})
