"""Time overlap: train rows that are later than test rows, where the source has times."""

from collections.abc import Iterator

import numpy as np

from tasks.validation.context import Context
from tasks.validation.finding import LEAK, Finding

#: Share of the pairs of a train and a test row in which the train row is later, above which the splits overlap in time.
MAX_LATER = 0.01


def check(context: Context) -> Iterator[Finding]:
    """A leak, counted as Mann and Whitney count pairs."""
    rows = context.rows
    train, test = (np.sort(rows.loc[rows["split"] == s, "time"].dropna().to_numpy(float)) for s in ("train", "test"))
    if not len(train) or not len(test):
        return
    later = 1 - np.searchsorted(train, test, side="right").mean() / len(train)
    if later <= MAX_LATER:
        return
    share = float((train > test[0]).mean())
    text = (
        f"{share:.0%} of the train rows are later than the first test row, though the source has times (source.time). What "
        "comes later may give away what came before: set source.split_by: time, or remove source.time."
    )
    details = {"share": round(share, 4), "later": round(float(later), 4)}
    yield Finding(LEAK, "Train rows later than test rows", text, details=details)
