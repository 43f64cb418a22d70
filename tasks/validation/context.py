"""What a check of `CHECKS` is given."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.modalities import modality

if TYPE_CHECKING:
    from tasks.config.source import Input
    from tasks.config.validate import Validate


@dataclass(frozen=True)
class Context:
    """The accepted rows, and what is known of them.

    Attributes:
        rows: N accepted rows with `id`, `content` (equal where rows are), `split`, `label`, the `needed_columns`,
            `NAME.FACT` for each fact of the input NAME that is checked, and perhaps `brightness`.
        objective: what is learned. Labels of a forecast are the next values of a series, so that its past may predict them.
        raw: the store that the rows were read from.
        removed_copies: copies of val or test rows that were removed from train or val.
        near_duplicates: `near_duplicates.summary` of the rows; None where they were not looked for.
    """

    rows: pd.DataFrame
    inputs: "dict[str, Input]"
    params: "Validate"
    objective: str
    raw: Path
    removed_copies: int = 0
    near_duplicates: dict[str, Any] | None = None

    @cached_property
    def train(self) -> pd.DataFrame:
        """The train rows."""
        return self.rows[self.rows["split"] == "train"]

    @cached_property
    def classes(self) -> bool:
        """Whether the labels are classes, and train rows have at least two of them."""
        return self.objective == "classification" and self.train["label"].nunique() > 1

    @cached_property
    def split_by_time(self) -> bool:
        """Whether every train and test row has a time, and all test rows are later than all train rows."""
        at = {name: self.rows.loc[self.rows["split"] == name, "time"].astype(float) for name in ("train", "test")}
        known = all(values.notna().all() and len(values) for values in at.values())
        return bool(known and at["train"].max() <= at["test"].min())

    @cached_property
    def tables(self) -> "dict[str, Input]":
        """The inputs whose columns are facts by themselves: no measurements of a file, a text or a series."""
        return {name: spec for name, spec in self.inputs.items() if modality(spec.modality).scored_by_column}

    @cached_property
    def columns(self) -> dict[str, str]:
        """`NAME.COLUMN` in the rows -> the column's own name, of all tables."""
        return {f"{name}.{c}": c for name, spec in self.tables.items() for c in modality(spec.modality).checked(spec)}

    @cached_property
    def categorical(self) -> set[str]:
        """Those of `columns` that are categories."""
        return {f"{name}.{c}" for name, spec in self.tables.items() for c in spec.categorical}

    @cached_property
    def column_auc(self) -> dict[str, float]:
        """`NAME.COLUMN` -> AUC of the column alone for the label, on train rows; empty where labels are no classes."""
        found: dict[str, float] = {}
        for name, spec in self.tables.items() if self.classes else ():
            made = modality(spec.modality)
            columns = {f"{name}.{c}": c for c in made.checked(spec)}
            frame = self.train[list(columns)].rename(columns=columns)
            scores = made.single_feature_scores(frame, self.train["label"].to_numpy(str), spec)
            found |= {f"{name}.{column}": float(score) for column, score in scores.items()}
        return found


def needed_columns(inputs: "dict[str, Input]") -> list[str]:
    """Columns of the raw data that checks need besides `id`, `content`, `split`, `label` and facts."""
    files = any(modality(spec.modality).sandboxed for spec in inputs.values())
    return ["group", "time", *(["bytes", "source"] if files else [])]
