"""What the stages ask of a modality, and the rows and items that it gives them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import torch
    from PIL import Image
    from scipy.sparse import csr_array

    from tasks.config.source import Input

State = dict[str, Any]


@dataclass(frozen=True)
class Admitted:
    """N rows of a table as one input has them.

    Attributes:
        columns: what the raw data keeps, by suffix (`raw_fields`), N values each.
        content: sha256 of each row's decoded content; None where the input is missing.
        reasons, details: why a row cannot be used, None for the others.
    """

    columns: "dict[str, pa.Array]"
    content: list[str | None]
    reasons: list[str | None]
    details: list[str | None]


@dataclass(frozen=True)
class Shown:
    """One item as a person looks at it: whatever of these its modality has."""

    picture: "Image.Image | None" = None
    text: str | None = None
    cells: list[tuple[str, str]] | None = None
    sound: bytes | None = None  # a WAV file


def _unsupported(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError("this modality does not support the operation")


def _none(*args: Any) -> list[str]:
    return []


def _nothing(*args: Any) -> dict[str, Any]:
    return {}


def _unmasked(x: "torch.Tensor", params: Any, generator: "torch.Generator") -> "torch.Tensor":
    return x


@dataclass(frozen=True, kw_only=True)
class Modality:
    """The tags of a modality and the functions that the stages call, named as in its module, where each is documented.

    A function without a default is every modality's. The others belong to a capability: a modality has all functions
    of it or none, and the properties below say which it has.

    Attributes:
        sandboxed: items are files that a sandbox decodes (`admit`, `item_memory`, `repair`, `memory`); else they are read in
            place, from cells of a table (`admit_columns`, `repair_columns`).
        repeats: equal rows are no duplicates, as rows have few values.
        drawn_by_id: splits are drawn by the rows' ids, not by their content.
        raw_kind: the raw view is the principal components of `flat`; `flat` standardised by column (statistics) or as it
            is (columns), with `names`; or sparse, by `fit_raw` and `raw`.
        raw_words: what the raw view is, in words.
        dtype: of `array`.
        statistics, normalisation: what scaling is made of, in each shard and of all.
        tensor_mask: augmentation of the tensor, after `augment` of the items.
        mirrors: whether mirrored items still look like their class, which decides about flips.
        measured_by, measure: facts of an item that a person can read, as numbers or words.
        item_names, items: the items of association rules that it brings by itself, (N, items) zeros and ones.
        single_feature_scores: how well each column alone tells the label.
        shortened: which items the network reads only a part of, (N,) bool.
    """

    raw_kind: Literal["components", "statistics", "columns", "sparse"]
    raw_words: str
    dtype: "type[np.generic]"
    sandboxed: bool = False
    repeats: bool = False
    drawn_by_id: bool = False

    raw_fields: "Callable[[Input], dict[str, pa.DataType]]"
    settled_by: "Callable[[Input], list[str]]"
    checked: "Callable[[Input], list[str]]"
    checks: "Callable[[Input, Any], list[tuple[str, dict[str, Any], str, str]]]"
    settle: "Callable[[pa.Table, Input, Any], State]"
    column_type: "Callable[[State], pa.DataType]"
    array: "Callable[[Any, State], np.ndarray]"
    shape: Callable[[State], tuple[int, ...]]
    form: Callable[[State], dict[str, Any]]
    tensor: "Callable[[torch.Tensor, State], torch.Tensor]"
    augment: "Callable[[Any, Any, Any, Any], torch.Tensor]"
    show: Callable[[Any, dict[str, Any], State, int], Shown]
    describe: "Callable[[pa.Table], str]"

    admit: Callable[[bytes, Any], tuple[dict[str, Any], Any]] = _unsupported
    item_memory: Callable[[Any], int] = _unsupported
    repair: Callable[[bytes, State], Any] = _unsupported
    memory: "Callable[[pa.Table, State], int]" = _unsupported

    admit_columns: "Callable[[pa.Table, Input, Any], Admitted]" = _unsupported
    repair_columns: "Callable[[pa.Table, Input, State], tuple[pa.Array, list[str | None]]]" = _unsupported

    flat: "Callable[[np.ndarray, State], np.ndarray]" = _unsupported
    names: Callable[[State], list[str]] = _unsupported
    fit_raw: "Callable[[Iterable[pa.Array], State], dict[str, np.ndarray]]" = _unsupported
    raw: "Callable[[Any, dict[str, np.ndarray], State], csr_array]" = _unsupported

    statistics: "Callable[[np.ndarray, State], dict[str, Any]]" = _unsupported
    normalisation: Callable[[list[dict[str, Any]]], dict[str, Any]] = _unsupported
    tensor_mask: "Callable[[torch.Tensor, Any, torch.Generator], torch.Tensor]" = _unmasked
    mirrors: "Callable[[torch.Tensor, np.ndarray], bool]" = _unsupported
    measured_by: "Callable[[Input], list[str]]" = _none
    measure: "Callable[[pa.Table, Any, Input, State], dict[str, Any]]" = _nothing
    item_names: Callable[[State], list[str]] = _none
    items: "Callable[[Any, State], csr_array]" = _unsupported
    single_feature_scores: "Callable[[pd.DataFrame, Any, Input], dict[str, float]]" = _unsupported
    shortened: "Callable[[Any, State], np.ndarray]" = _unsupported

    @property
    def scaled(self) -> bool:
        """Whether its values are scaled by `normalisation`."""
        return self.statistics is not _unsupported

    @property
    def scored_by_column(self) -> bool:
        """Whether single columns are tried as leaks of the label."""
        return self.single_feature_scores is not _unsupported
