"""Undeclared groups: a column, or the folder of files, whose rows belong together and stand in several splits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tasks.core.text import many
from tasks.validation.context import Context
from tasks.validation.finding import LEAK, MOST_EXAMPLES, Finding

#: Heuristic for an undeclared group column: at least MIN_LEVELS levels, on average at most MAX_ROWS_PER_LEVEL rows, at least
#: MIN_SHARED_ROWS rows in levels with two or more of them.
MIN_LEVELS, MAX_ROWS_PER_LEVEL, MIN_SHARED_ROWS = 20, 50, 200
#: How far the agreement of two labels of a level is from chance to certainty, at least.
MIN_AGREEMENT = 0.5
#: Test rows with a level of train, at least; and as a share of the test rows.
MIN_TEST_ROWS, MIN_TEST_SHARE = 5, 0.1


def check(context: Context) -> Iterator[Finding]:
    """A leak for each such column, where no group is declared and the column does not give the label away by itself."""
    rows = context.rows
    if context.objective != "classification" or rows["group"].notna().any():
        return
    columns = {
        f"The column '{column}'": (column, rows[key]) for key, column in context.columns.items()
        if key in context.categorical and context.column_auc.get(key, 0.0) <= context.params.leak
    }  # fmt: skip
    if "source" in rows:
        columns["The folder of the files"] = ("folder", rows["source"].str.rpartition("/")[0])
    for name, (column, values) in columns.items():
        if found := overlap(values, rows["label"], rows["split"]):
            examples = found.pop("examples")
            test = many(found["rows"], "test row has", "test rows have")
            text = (
                f"{name} looks like an undeclared group: it has {found['levels']:,} levels of few rows each, rows of a level "
                f"mostly share their label, and {test} a level of train. If rows of a level belong together (a patient, a "
                "speaker), name it as source.group."
            )
            yield Finding(LEAK, "Undeclared group", text, examples, {"column": column, **found})


def overlap(values: pd.Series, label: pd.Series, split: pd.Series) -> dict[str, Any] | None:
    """Figures of a column that acts like a group across splits; None if it does not.

    Args:
        values, label, split: (N,) of each row.
    """
    known = values.notna().to_numpy() & label.notna().to_numpy()
    codes, levels = pd.factorize(values[known])
    labels = pd.factorize(label[known])[0]
    train, test = (split[known].to_numpy() == name for name in ("train", "test"))
    count = np.bincount(codes[train], minlength=len(levels))
    distinct = int((count > 0).sum())
    classes = len(np.unique(labels[train]))
    shared = int(count[count > 1].sum())
    few = distinct < max(MIN_LEVELS, 2 * classes) or shared < MIN_SHARED_ROWS
    if few or train.sum() > MAX_ROWS_PER_LEVEL * distinct or classes < 2:
        return None
    cells = np.unique(codes[train] * (labels.max() + 1) + labels[train], return_counts=True)[1]
    agree = (cells * (cells - 1)).sum() / (count * (count - 1)).sum()
    chance = np.square(np.bincount(labels[train]) / train.sum()).sum()
    rows = int((count[codes[test]] > 0).sum())
    if agree - chance < MIN_AGREEMENT * (1 - chance) or rows < max(MIN_TEST_ROWS, MIN_TEST_SHARE * test.sum()):
        return None
    largest = np.argsort(-count, kind="stable")[:MOST_EXAMPLES]
    return {"levels": distinct, "rows": rows, "agree": round(float(agree), 3), "chance": round(float(chance), 3),
            "examples": tuple(str(levels[i]) for i in largest)}  # fmt: skip
