"""Rows of a table: numbers, categories and dates, cleaned by scikit-learn's transformers into one vector."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.modalities import tabular_columns, tabular_outliers
from tasks.modalities.base import Admitted, Modality, Shown
from tasks.modalities.tabular_cells import DATE, read, shortened
from tasks.modalities.tabular_steps import load, save
from tasks.stats.single_feature_auc import scores

if TYPE_CHECKING:
    import pandas as pd

    from tasks.config.source import Input

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from tasks.config.clean import Clean
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input
    from tasks.config.train import AugmentTabular
    from tasks.config.validate import ValidTabular

DTYPE = np.float32
TYPES = {"numeric": pa.float64(), "categorical": pa.string(), "date": DATE}
WORDS = {"numeric": ("number", "numbers"), "categorical": ("category", "categories"), "date": ("date", "dates")}
#: Cells of output that are computed at once, so that memory stays flat: 64 MB as float64.
CELLS = 8_000_000
FILE, DETECTOR = "columns.skops", "outliers.skops"


def kinds(spec: "Input") -> dict[str, str]:
    """numeric, categorical or date, for each column."""
    return {
        name: "categorical" if name in spec.categorical else "date" if name in spec.date else "numeric"
        for name in spec.columns
    }


def raw_fields(spec: "Input") -> dict[str, pa.DataType]:
    """What the raw data keeps, by suffix of the input's name: every column by its own."""
    return {name: TYPES[kind] for name, kind in kinds(spec).items()}


def settled_by(spec: "Input") -> list[str]:
    """Those of them that `settle` asks for: all."""
    return list(spec.columns)


def checked(spec: "Input") -> list[str]:
    """Those of them that expectations may name: all."""
    return list(spec.columns)


def checks(spec: "Input", params: "ValidTabular") -> list[tuple[str, dict[str, Any], str, str]]:
    """Expectations of the columns: name, arguments, action and reason. Their types were settled when admitted."""
    found: list[tuple[str, dict[str, Any], str, str]] = []
    for name in spec.columns:
        varied = {"column": name, "min_value": 2}
        found.append(("expect_column_unique_value_count_to_be_between", varied, "warn", f"{name} is constant"))
        if params.max_missing < 1:
            mostly = {"column": name, "mostly": 1 - params.max_missing}
            reason = f"{name}: over {params.max_missing:.0%} missing"
            found.append(("expect_column_values_to_not_be_null", mostly, "warn", reason))
    return found


def admit_columns(table: pa.Table, spec: "Input", params: "Ingest") -> Admitted:
    """Every column as its kind, from text or typed values; see `tasks.modalities.tabular_cells` for what is read as what."""
    n = table.num_rows
    reasons: list[str | None] = [None] * n
    details: list[str | None] = [None] * n
    values: dict[str, pa.Array] = {}
    for name, kind in kinds(spec).items():
        cells = table[name].combine_chunks()
        values[name], bad = read(cells, kind, params.max_characters)
        for reason, mask in bad.items():
            for row in np.flatnonzero(mask):
                if reasons[row] is None:
                    reasons[row], details[row] = reason, f"{name}: {shortened(cells[row])}"
    return Admitted(values, _content(values, spec), reasons, details)


def _content(values: dict[str, pa.Array], spec: "Input") -> list[str | None]:
    """sha256 of each row: fixed-size fields (numbers, dates, lengths of texts, what is missing), then its texts."""
    fields, texts, missing = [], [], []
    for name, kind in kinds(spec).items():
        column = values[name]
        missing.append(column.is_null().to_numpy(zero_copy_only=False))
        if kind == "categorical":
            encoded = column.fill_null("").dictionary_encode()
            level = [text.encode() for text in encoded.dictionary.to_pylist()]
            at = encoded.indices.to_numpy()
            fields.append(np.array([len(text) for text in level] or [0], np.int64)[at])
            texts.append(np.array([*level, b""], object)[:-1][at])
        elif kind == "date":
            fields.append(column.cast(pa.int64()).fill_null(0).to_numpy())
        else:
            fields.append((column.fill_null(0).to_numpy() + 0.0).view(np.int64))  # -0.0 + 0.0 is 0.0
    empty = np.stack(missing)  # (K, N)
    facts = np.concatenate([np.packbits(empty, axis=0).T, np.stack(fields, 1).view(np.uint8)], 1)  # (N, bytes)
    head, size = facts.tobytes(), facts.shape[1]
    hashed: list[str | None] = []
    for row, nothing in enumerate(np.all(empty, axis=0).tolist()):
        value = head[row * size : (row + 1) * size] + b"".join([text[row] for text in texts])
        hashed.append(None if nothing else hashlib.sha256(value).hexdigest())
    return hashed


def _frame(table: pa.Table, spec: "Input") -> "pd.DataFrame":
    """Raw columns as scikit-learn takes them: float64 with NaN, objects with None, datetime64[us] with NaT."""
    import pandas as pd

    made = {}
    for name, kind in kinds(spec).items():
        column = table[name].combine_chunks()
        if kind == "categorical":  # every level is one object, however many rows have it
            encoded = column.dictionary_encode()
            level = np.array([*encoded.dictionary.to_pylist(), None], object)
            values = level[encoded.indices.fill_null(len(level) - 1).to_numpy()]
            made[name] = pd.Series(values, dtype=object)
        else:
            made[name] = pd.Series(column.to_numpy(zero_copy_only=False))
    return pd.DataFrame(made)


def settle(train: pa.Table, spec: "Input", params: "Clean") -> dict[str, Any]:
    """Everything that cleaning fits, on train rows alone: what is outlying, and the steps of every column.

    Raises:
        DeepmineError: a step that is unknown or refuses its values, missing values that no step fills in, no column
            that tells rows apart.
    """
    frame = _frame(train, spec)
    frame = frame[frame.notna().any(axis=1)]
    kept = kinds(spec)
    dropped = tabular_columns.useless(frame, kept)
    kept = {name: kind for name, kind in kept.items() if name not in dropped}
    blocks = tabular_columns.blocks(frame, kept, params.tabular)
    frame = frame[frame[tabular_columns.dropping(blocks)].notna().all(axis=1)]
    files: dict[str, bytes] = {}
    found = None
    if params.tabular.outliers.method != "none":
        numeric = frame[[name for name, kind in kept.items() if kind == "numeric"]]
        found, detector = tabular_outliers.find(numeric, params.tabular.outliers, params.seed)
        if detector is not None:
            files[DETECTOR] = save(detector, tabular_outliers.WHERE)
        if found["action"] == "clip":
            frame = tabular_outliers.clip(frame, found)
        elif found["action"] == "quarantine":
            frame = frame[~tabular_outliers.outlying(frame, found, detector).any(axis=1)]
    if not len(frame):
        raise DeepmineError("params.clean.tabular: no train row is left once its steps have set rows aside.")
    fitted, required, names = tabular_columns.fit(frame, blocks, params.seed)
    files[FILE] = save(fitted, "params.clean.tabular")
    flagged = [tabular_outliers.FLAG] if found and found["action"] == "flag" else []
    return {
        "names": names + flagged, "dropped": dropped, "required": required, "outliers": found,
        "hashed": tabular_columns.hashed(blocks), "files": files,
    }  # fmt: skip


def repair_columns(table: pa.Table, spec: "Input", state: dict[str, Any]) -> tuple[pa.Array, list[str | None]]:
    """Raw columns -> vectors of the settled width, and for each row None or why it is set aside.

    A row without any value is null and not set aside: this input of it is missing.
    """
    fitted = load(state["files"])
    frame = _frame(table, spec)
    present = frame.notna().any(axis=1).to_numpy()
    reasons: list[str | None] = [None] * len(frame)
    for name in state["required"]:
        for row in np.flatnonzero(frame[name].isna().to_numpy() & present):
            reasons[row] = reasons[row] or f"missing value: {name}"
    keep = present & np.array([reason is None for reason in reasons], dtype=bool)
    out = np.zeros((len(frame), len(state["names"])), np.float32)  # (N, D)
    rows = np.flatnonzero(keep)
    part = max(1, CELLS // out.shape[1])
    for start in range(0, len(rows), part):
        chosen = rows[start : start + part]
        out[chosen], why = _vectors(frame.iloc[chosen], state, fitted)
        for row, reason in zip(chosen.tolist(), why, strict=True):
            reasons[row] = reason
    bad = ~present | np.array([reason is not None for reason in reasons], dtype=bool)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(out.reshape(-1)), type=column_type(state), mask=pa.array(bad)
    ), reasons


def _vectors(
    frame: "pd.DataFrame", state: dict[str, Any], fitted: dict[str, Any]
) -> tuple[np.ndarray, list[str | None]]:
    """(N, D) float32 of rows that miss nothing they need, and why each is set aside."""
    why: list[str | None] = [None] * len(frame)
    found = state["outliers"]
    flag: list[np.ndarray] = []
    if found:
        strange = tabular_outliers.outlying(frame, found, fitted.get(DETECTOR))
        if found["action"] == "flag":
            flag = [np.any(strange, axis=1, keepdims=True).astype(np.float32)]
        elif found["action"] == "clip":
            frame = tabular_outliers.clip(frame, found)
        else:
            why = tabular_outliers.reasons(strange, found)
    with np.errstate(over="ignore", invalid="ignore"):
        made = np.asarray(fitted[FILE].transform(frame), dtype=np.float32)
    made = np.concatenate([made, *flag], axis=1)
    for row, column in np.argwhere(~np.isfinite(made)).tolist():
        why[row] = why[row] or f"not finite: {state['names'][column]}"
    return made, why


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned row: a vector of fixed width."""
    return pa.list_(pa.float32(), len(state["names"]))


def shape(state: dict[str, Any]) -> tuple[int]:
    """(D,) of a cleaned row."""
    return (len(state["names"]),)


def names(state: dict[str, Any]) -> list[str]:
    """What each of the D numbers of a cleaned row is."""
    return list(state["names"])


def array(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as (N, D) float32, zeros for null; without a copy where it has one chunk and no null."""
    (width,) = shape(state)
    parts = []
    for chunk in column.chunks:
        values = chunk.values.slice(chunk.offset * width, len(chunk) * width)
        values = values.to_numpy(zero_copy_only=False).reshape(-1, width)  # (N, D)
        if chunk.null_count:  # what lies under a null is undefined
            values = np.where(chunk.is_valid().to_numpy(zero_copy_only=False)[:, None], values, np.float32(0))
        parts.append(values)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, width), np.float32), *parts])


def form(state: dict[str, Any]) -> dict[str, Any]:
    """What `tensor` gives."""
    return {"kind": "vector", "shape": shape(state)}


def tensor(items: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, D) as they are."""
    return items.float()


def augment(
    items: "torch.Tensor", params: "AugmentTabular", mirrored: "torch.Tensor", generator: "torch.Generator"
) -> "torch.Tensor":
    """Gaussian noise on (N, D), a share of each column's deviation within the batch."""
    import torch

    if not params.noise or len(items) < 2:
        return items
    noise = torch.randn(items.shape, generator=generator).to(items.device)
    return items + params.noise * items.std(0) * noise


def flat(items: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    """(N, D) as they are: the raw view."""
    return items


def measured_by(spec: "Input") -> list[str]:
    """Those of `raw_fields` that `measure` asks for: all."""
    return list(spec.columns)


def measure(facts: pa.Table, column: pa.ChunkedArray, spec: "Input", state: dict[str, Any]) -> dict[str, Any]:
    """The columns as they came, numbers, texts and dates, and which of them a row lacks."""
    gaps = {f"{name} missing": facts[name].is_null() for name in spec.columns}
    return {**{name: facts[name] for name in spec.columns}, **gaps}


def show(item: Any, row: dict[str, Any], state: dict[str, Any], side: int) -> Shown:
    """The cells of one row as a person wrote them, or else the numbers that cleaning made of them, but for zeros."""
    if row:
        return Shown(cells=[(name, _written(value)) for name, value in row.items()])
    numbers = zip(state["names"], item or [], strict=False)
    return Shown(cells=[(name, f"{value:.4g}") for name, value in numbers if value])


def _written(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:.10g}"
    return value.isoformat(sep=" ").removesuffix(" 00:00:00") if hasattr(value, "isoformat") else str(value)


def describe(facts: pa.Table) -> str:
    """How many columns of each kind, and the share of cells that are missing."""
    by_type = {kind: name for name, kind in TYPES.items()}
    count = Counter(by_type[field.type] for field in facts.schema if field.type in by_type)
    parts = [f"{count[kind]} {one if count[kind] == 1 else many}" for kind, (one, many) in WORDS.items() if count[kind]]
    cells = facts.num_rows * max(facts.num_columns, 1)
    missing = sum(column.null_count for column in facts.columns) / max(cells, 1)
    return ", ".join(parts) + (f"; {missing:.2%} of the cells are missing" if missing else "")


def single_feature_scores(frame: "pd.DataFrame", label: Any, spec: "Input") -> dict[str, float]:
    """`scores` of the columns of an input."""
    return scores(frame[list(spec.columns)], label, spec.categorical)


MODALITY = Modality(
    raw_kind="columns",
    raw_words="the columns as cleaning made them: scaled numbers, one column a category. Boosting takes them, too",
    dtype=DTYPE,
    # Rows of few values are equal by nature: they are no copies of each other.
    repeats=True,
    raw_fields=raw_fields, settled_by=settled_by, checked=checked, checks=checks, settle=settle,
    column_type=column_type, array=array, shape=shape, form=form, tensor=tensor, augment=augment, show=show,
    describe=describe, admit_columns=admit_columns, repair_columns=repair_columns, flat=flat, names=names,
    measured_by=measured_by, measure=measure, single_feature_scores=single_feature_scores,
)  # fmt: skip
