"""What `deepmine add` makes of market baskets: files of one a line, and long tables of one good a row."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks import sources
from tasks.autodetect.column_types import ROWS, Column, look, objective_of, usual
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError, nearest
from tasks.sources.baskets import ITEMS, looks_like_baskets
from tasks.sources.open_table import open_table
from tasks.sources.table_file import TableFile

#: What a proposal is made of: source, inputs, objective, remarks on keys, and sentences.
Parts = tuple[Source, dict[str, Input], str, dict[str, str], list[str]]


def proposed_baskets(source: Source, given: set[str], unlabelled: bool, items: str) -> Parts | None:
    """The parts of a proposal, where the source is a file of baskets or a person said that it is a long one.

    Args:
        given: the keys of ``source`` that a person said.
        items: the column of goods that they named.

    Raises:
        DeepmineError: no such column, or none that says which basket a row belongs to.
    """
    if items:
        if not sources.is_table(source):
            raise DeepmineError(
                f"{source.path}: --items is for a table with one item in each row; this is not such a table."
            )
        return _long(source, given, unlabelled, items)
    path = Path(source.path)
    if given or not sources.is_table(source) or not looks_like_baskets(path):
        return None
    full = Source(path=source.path, layout="baskets")
    file = open_table(path, full)
    full = Source(path=source.path, layout="baskets", **dict(file.settled))
    lines = [f"{file.path}: one basket a line", *(f"{file.path}: {note}" for note in file.notes)]
    remarks = {"source.layout": "a guess: lines differ in length, and names change columns"}
    return full, {"basket": Input(modality="basket", columns=(ITEMS,))}, "autoencoder", remarks, lines


def _long(source: Source, given: set[str], unlabelled: bool, items: str) -> Parts | None:
    """A row for each good; None where the column holds lists, as then a row is a basket."""
    chosen: dict[str, str] = {k: getattr(source, k) for k in ("id", "label", "split", "group", "time") if k in given}
    file = open_table(source.path, source, [items, *chosen.values()])
    if items not in file.names:
        raise DeepmineError(f"{source.path}: no column '{items}' of goods.{nearest(items, file.names)}")
    for key, name in chosen.items():
        if name not in file.names:
            raise DeepmineError(f"{source.path}: no column '{name}' (the {key}).{nearest(name, file.names)}")
    block = next(file.read(file.names), None)
    if block is None or not block.table.num_rows:
        raise DeepmineError(f"{source.path}: holds no rows.")
    sample = block.table.slice(0, ROWS)
    if pa.types.is_nested(sample[items].type):
        return None
    columns = [look(name, sample[name], Path(sources.root_of(source))) for name in file.names]
    free = [c for c in columns if c.name not in {items, *chosen.values()}]
    if "id" not in chosen:
        chosen["id"] = _basket_of(file, free)
    known = next(c for c in columns if c.name == chosen["id"])
    if known.all_distinct:
        raise DeepmineError(
            f"{source.path}: each row has a value of its own in '{known.name}', so that no basket would hold two goods. "
            "Say by --id COLUMN which column the rows of one basket share."
        )
    free = [c for c in free if c.name != chosen["id"]]
    for use in ("split", "group", *(() if unlabelled else ("label",))):
        found = next((c for c in usual(free, use) if c.distinct > 1 and _settled(sample, chosen["id"], c.name)), None)
        if use not in chosen and found:
            chosen[use] = found.name
    layout: dict[str, Any] = {**dict(file.settled), "layout": "long"}
    if unlabelled or ("label" not in chosen and "label" in file.names):
        chosen.pop("label", None)
        layout["label"] = ""
    used = {items, *chosen.values()}
    left = [c.name for c in columns if c.name not in used]
    lines = [f"{file.path}: {note}" for note in file.notes]
    lines += [f"left out {', '.join(left)} (not part of the baskets)"] if left else []
    label = next((c for c in columns if c.name == chosen.get("label")), None)
    full = Source(**(vars(source) | layout | chosen))
    objective = objective_of(label) if label else "autoencoder"
    return full, {"basket": Input(modality="basket", columns=(items,))}, objective, {}, lines


def _basket_of(file: TableFile, columns: list[Column]) -> str:
    """The column that says which basket a row belongs to, by its name."""
    likely = [c for use in ("basket", "id", "group") for c in usual(columns, use)]
    found = next((c for c in likely if 1 < c.distinct < c.rows), None)
    if found is None:
        could = ", ".join(f"{c.name} ({c.distinct:,} values)" for c in columns if 1 < c.distinct < c.rows)
        raise DeepmineError(
            f"{file.path}: which column says which basket a row belongs to? "
            + (f"It could be {could}. " if could else "None has values that repeat. ")
            + "Say --id COLUMN."
        )
    return found.name


def _settled(sample: pa.Table, key: str, name: str) -> bool:
    """Whether all rows of a basket have the same value in a column."""
    values = sample.select([key, name]).to_pandas().dropna()
    return bool((values.groupby(key)[name].nunique() <= 1).all())
