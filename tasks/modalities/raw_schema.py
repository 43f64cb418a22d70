"""The columns of the raw data: `COMMON`, then for each input those that its modality keeps."""

import json
from typing import TYPE_CHECKING

import pyarrow as pa

from tasks.modalities import modality

if TYPE_CHECKING:
    from tasks.config.source import Input

#: Columns of the raw data before those of the inputs.
COMMON = {
    "id": pa.string(), "content": pa.string(), "split": pa.string(), "label": pa.string(), "group": pa.string(),
    "source": pa.string(), "bytes": pa.int64(), "time": pa.float64(),
}  # fmt: skip


def column_name(name: str, suffix: str) -> str:
    """The column of an input's fact, or of its item ("")."""
    return f"{name}.{suffix}" if suffix else name


def input_fields(name: str, spec: "Input") -> dict[str, pa.DataType]:
    """The columns of an input, `NAME.FACT` and `NAME` (the item), and their types."""
    return {column_name(name, suffix): kind for suffix, kind in modality(spec.modality).raw_fields(spec).items()}


def raw_schema(inputs: "dict[str, Input]") -> pa.Schema:
    """All columns, and in the metadata what the inputs are."""
    fields = dict(COMMON)
    for name, spec in inputs.items():
        fields |= input_fields(name, spec)
    described = {name: [spec.modality, list(spec.columns)] for name, spec in inputs.items()}
    return pa.schema(list(fields.items()), metadata={"inputs": json.dumps(described)})
