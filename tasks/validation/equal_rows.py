"""How many equal rows chance alone makes: rows of a few categorical columns repeat by nature, pictures and texts do not."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tasks.modalities import repeats

if TYPE_CHECKING:
    from tasks.config.source import Input

#: Equal rows are copies if there are more than this many times as many as independent columns would make.
TIMES_CHANCE = 10


def chance_of_a_pair(rows: pd.DataFrame, inputs: "dict[str, Input]") -> float | None:
    """The probability that two rows are equal if their columns were independent; 0 for files and texts, None for baskets."""
    if not repeats(spec.modality for spec in inputs.values()):
        return 0.0
    columns = [f"{name}.{c}" for name, spec in inputs.items() for c in spec.columns]
    if not all(column in rows for column in columns):
        return None
    shares = (rows[column].value_counts(normalize=True, dropna=False).to_numpy() for column in columns)
    return float(np.prod([np.square(share).sum() for share in shares]))
