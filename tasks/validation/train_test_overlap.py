"""Copies across splits: test rows that equal a row of train or val."""

from collections.abc import Iterator

import pandas as pd

from tasks.core.text import many
from tasks.validation.context import Context
from tasks.validation.equal_rows import TIMES_CHANCE, chance_of_a_pair
from tasks.validation.finding import LEAK, MOST_EXAMPLES, NOTE, Finding

TITLE = "Copies across splits"


def check(context: Context) -> Iterator[Finding]:
    """Copies that were removed are a note; those that stay are a leak, if they are more than chance makes."""
    if count := context.removed_copies:
        rows = many(count, "row of train or val was a copy", "rows of train or val were copies")
        text = f"{rows} of a row in val or test and removed, so that the latter are new."
        yield Finding(NOTE, TITLE, text, details={"rows": count})
    rows = context.rows
    tests, train = (rows["split"] == name for name in ("test", "train"))
    known = rows["content"].isin(rows.loc[~tests, "content"].dropna())
    copied = rows.loc[tests & known, "id"]
    if not len(copied):
        return
    chance = expected(rows[train], int(tests.sum()), context)
    equal = many(len(copied), "test row equals", "test rows equal")
    if len(copied) > TIMES_CHANCE * chance:
        severity, text = LEAK, (
            f"{equal} a row of train or val in every input, far more than chance makes of these columns. The model may have "
            "seen them, so test scores may be too good: set validate.copies: reject."
        )  # fmt: skip
    else:
        severity, text = (
            NOTE,
            (f"{equal} a row of train or val in every input, as is usual where columns have few values."),
        )
    details = {"rows": len(copied), "expected": round(chance, 2)}
    yield Finding(severity, TITLE, text, tuple(copied.iloc[:MOST_EXAMPLES]), details)


def expected(train: pd.DataFrame, tests: int, context: Context) -> float:
    """How many of ``tests`` test rows chance makes equal to a ``train`` row: as if columns were independent.

    Of baskets, which have no columns, as often as train rows equal each other.
    """
    chance = chance_of_a_pair(train, context.inputs)
    if chance is None:
        return float(train["content"].duplicated(keep=False).mean() * tests) if len(train) else 0.0
    return tests * min(1.0, chance * len(train))
