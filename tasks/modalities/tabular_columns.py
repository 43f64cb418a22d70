"""The columns of a table in blocks that share their steps, fitted as one ColumnTransformer of scikit-learn."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import DeepmineError, nearest
from tasks.modalities import tabular_steps as named

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    from tasks.config.clean import CleanTabular, Step

WHERE = "params.clean.tabular"
#: Levels of a column above which one_hot gives way to hashed.
MAX_LEVELS = 1000
#: Columns of the cleaned rows: more take gigabytes for some 100,000 rows, as they are dense.
MAX_WIDTH = 20_000
#: Rows that a step compares all others with, at most: the cost of KNNImputer grows with the product.
NEIGHBOUR_ROWS = 2000
COMPARES_ROWS = "KNNImputer"


@dataclass(frozen=True)
class Block:
    """Columns of one kind (numeric, categorical, date) with the same steps; ``where`` names these in params.yaml."""

    columns: tuple[str, ...]
    kind: str
    steps: "tuple[Step, ...]"
    where: str

    @property
    def asked(self) -> list[str]:
        """The names of the steps."""
        return [named.name_of(step, self.where) for step in self.steps]


def useless(frame: "pd.DataFrame", kinds: dict[str, str]) -> dict[str, str]:
    """Columns that tell no train row from another, and why. Of a category, to be missing is a level."""
    found = {}
    for name, kind in kinds.items():
        if frame[name].isna().all():
            found[name] = "no values"
        elif frame[name].nunique(dropna=kind != "categorical") == 1:
            found[name] = "constant"
    if len(found) == len(kinds):
        raise DeepmineError(
            f"{WHERE}: no column is left: {', '.join(f'{name} ({why})' for name, why in found.items())}, as far as "
            "the train rows go. Name other columns under inputs."
        )
    return found


def blocks(frame: "pd.DataFrame", kinds: dict[str, str], params: "CleanTabular") -> list[Block]:
    """The blocks of the columns in ``kinds``: by kind, and by column where it has steps of its own.

    Raises:
        DeepmineError: steps for a column that there is not.
    """
    for name in params.columns:
        if name not in frame.columns:
            raise DeepmineError(f"{WHERE}.columns: there is no column '{name}'.{nearest(name, frame.columns)}")
    found = []
    for kind in ("numeric", "categorical", "date"):
        together = tuple(name for name in kinds if kinds[name] == kind and name not in params.columns)
        found.append(Block(together, kind, getattr(params, kind), f"{WHERE}.{kind}"))
    for name, own in params.columns.items():
        if name in kinds:
            found.append(Block((name,), kinds[name], own, f"{WHERE}.columns.{name}"))
    return [part for block in found if block.columns for part in _apart(frame, block)]


def _apart(frame: "pd.DataFrame", block: Block) -> list[Block]:
    """A block as it is, or with the columns apart that hashing encodes, since it looks at one at a time."""
    if "hashed" in block.asked:
        return [replace(block, columns=(name,)) for name in block.columns]
    if block.kind != "categorical" or "one_hot" not in block.asked:
        return [block]
    folding = named.rare(block.steps, block.where)
    many = [name for name in block.columns if _too_many(frame[name], folding)]
    steps = tuple(
        "hashed" if name == "one_hot" else step
        for step, name in zip(block.steps, block.asked, strict=True)
        if name != "rare"
    )
    few = tuple(name for name in block.columns if name not in many)
    rest = [replace(block, columns=few)] if few else []
    return rest + [replace(block, columns=(name,), steps=steps) for name in many]


def _too_many(values: "pd.Series", folding: dict[str, Any] | None) -> bool:
    """Over `MAX_LEVELS` levels, unless those that `rare` keeps are fewer and hold at least half of the rows."""
    count = values.value_counts(dropna=False).to_numpy()  # falling
    if len(count) <= MAX_LEVELS:
        return False
    if folding is None:
        return True
    least, most = folding["min_frequency"] or 1, folding["max_categories"] or MAX_LEVELS
    kept = count[count >= (least * len(values) if isinstance(least, float) else least)][:most]
    return len(kept) > MAX_LEVELS or 2 * kept.sum() < len(values)


def hashed(blocks: list[Block]) -> list[str]:
    """Columns whose levels are hashed, of their own accord or for their number."""
    return [name for block in blocks if "hashed" in block.asked for name in block.columns]


def dropping(blocks: list[Block]) -> list[str]:
    """Columns that must not be missing, as their steps hold drop_missing."""
    return [name for block in blocks if "drop_missing" in block.asked for name in block.columns]


def fit(frame: "pd.DataFrame", blocks: list[Block], seed: int) -> tuple["ColumnTransformer", list[str], list[str]]:
    """The fitted transformer, the columns that must not be missing in a row, and the names of what it makes.

    Raises:
        DeepmineError: as `tasks.modalities.tabular_steps.fit`; missing values that no step fills in; too many columns.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.frozen import FrozenEstimator

    made, required, names = [], [], []
    for at, block in enumerate(blocks):
        pipe = named.pipeline(block.steps, block.kind, block.where, seed)
        chosen = list(block.columns)
        width = _width(named.fit(pipe, _rows(frame, pipe)[chosen], block.where), block)
        if not _fills_in(pipe, frame[chosen].head(1)):
            _refuse_missing(frame, block)
            required += chosen
        made.append((f"{at}", FrozenEstimator(pipe), chosen))
        names += _names(pipe, chosen, width)
    if len(names) > MAX_WIDTH:
        raise DeepmineError(
            f"{WHERE}: the steps make {len(names):,} columns, over {MAX_WIDTH:,}. Fold rare levels (rare before "
            "one_hot), hash them (hashed), or leave columns out."
        )
    # what is frozen is not fitted again: one row tells the transformer its widths, and no dense copy of all is made
    together = ColumnTransformer(made, sparse_threshold=0, verbose_feature_names_out=False).fit(frame.head(1))
    return together, required, _unique(names)


def _rows(frame: "pd.DataFrame", pipe: "Pipeline") -> "pd.DataFrame":
    if len(frame) > NEIGHBOUR_ROWS and any(type(step).__name__ == COMPARES_ROWS for _, step in pipe.steps):
        return frame.iloc[np.linspace(0, len(frame) - 1, NEIGHBOUR_ROWS).astype(int)]
    return frame


def _width(made: Any, block: Block) -> int:
    if getattr(made, "dtype", np.dtype(object)).kind not in "fiub":
        raise DeepmineError(
            f"{block.where}: the steps of {', '.join(block.columns)} end in text or dates. Let the last one make "
            "numbers: one_hot, ordinal or hashed for categories, date_parts for dates."
        )
    return int(made.shape[1])


def _fills_in(pipe: "Pipeline", row: "pd.DataFrame") -> bool:
    """Whether numbers come of a row in which all of the block is missing: asked of the steps themselves."""
    empty = row.copy()
    for name in empty.columns:
        empty[name] = np.array([None]).astype(row[name].dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = pipe.transform(empty)
    except (ValueError, TypeError):
        return False
    made = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
    return bool(np.isfinite(made).all())


def _refuse_missing(frame: "pd.DataFrame", block: Block) -> None:
    for name in block.columns:
        if frame[name].isna().any():
            raise DeepmineError(
                f"{block.where}: '{name}' has missing values, and no step fills them in. Put one before the others "
                "(median, say), or drop_missing, which sets such rows aside."
            )


def _names(pipe: "Pipeline", columns: Sequence[str], width: int) -> list[str]:
    """As scikit-learn names them, or numbered where it does not (FeatureHasher)."""
    try:
        return [str(name).replace("_infrequent_sklearn", "_rare") for name in pipe.get_feature_names_out(columns)]
    except (AttributeError, ValueError):
        return [f"{columns[0] if len(columns) == 1 else 'columns'}_{i}" for i in range(width)]


def _unique(names: list[str]) -> list[str]:
    """``names`` with a number after those that occurred before."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
