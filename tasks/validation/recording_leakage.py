"""Recording leakage: how items were recorded (size, rate, length, light) gives the label away, not what they show."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tasks.modalities import modality
from tasks.stats.single_feature_auc import scores
from tasks.validation.context import Context
from tasks.validation.fact_names import FACT_NAMES
from tasks.validation.finding import LEAK, Finding
from tasks.validation.regression_leakage import predictors

#: Facts of a file, not of what was read from it.
OF_FILES = ("bytes", "suffix")


def check(context: Context) -> Iterator[Finding]:
    """A leak for each fact whose score on train rows is above `validate.leak`."""
    facts, label, above = recorded(context), context.train["label"], context.params.leak
    texts = {n for n in facts if not pd.api.types.is_numeric_dtype(facts[n]) or pd.api.types.is_bool_dtype(facts[n])}
    if context.classes and facts.shape[1]:
        for column, auc in scores(facts, label.to_numpy(str), tuple(texts)).items():
            if auc > above:
                yield _finding(column, f"AUC {auc:.3f}", {"auc": round(float(auc), 4)})
    if context.objective == "regression":
        numbers = pd.to_numeric(label, errors="coerce").to_numpy(float)
        for found in predictors(facts, numbers, texts, above):
            if found.kind == "column":
                yield _finding(found.columns[0], found.score, {found.measure: round(found.value, 5)})


def recorded(context: Context) -> pd.DataFrame:
    """The facts of train rows, one `FACT NAME` (of the input NAME) or `FACT ` (of the file) a column."""
    train, found = context.train, dict[str, Any]()
    for name, spec in context.inputs.items():
        if name not in context.tables:
            found |= {f"{fact} {name}": train[f"{name}.{fact}"] for fact in modality(spec.modality).checked(spec)}
    if "source" in train:
        found["suffix "] = train["source"].str.extract(r"[.]([A-Za-z0-9]{1,5})$")[0].str.lower()
        found["bytes "] = train["bytes"]
    if "brightness" in train:
        found["brightness "] = train["brightness"]
    return pd.DataFrame(found, index=train.index)


def _finding(column: str, score: str, details: dict[str, float]) -> Finding:
    fact, _, name = column.partition(" ")
    of = f" of '{name}'" if name else " of the file" if fact in OF_FILES else ""
    text = (
        f"The {FACT_NAMES.get(fact, fact)}{of} alone predicts the label ({score} on train rows). The model may learn how items "
        "were recorded, not what they are: check that all are recorded in the same way."
    )
    return Finding(LEAK, "Recording leakage", text, details={"fact": fact, **details})
