"""What a source seems to be, as an entry for params.yaml and as sentences for a person."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks import sources
from tasks.autodetect.basket_tables import proposed_baskets
from tasks.autodetect.column_types import CLASSES, ROWS, SUFFIXES, Column, look, objective_of, steps, usual
from tasks.config.fields import NAME, RESERVED
from tasks.config.source import Input, Source, Window
from tasks.core.errors import DeepmineError
from tasks.sources.open_table import open_table
from tasks.sources.rows import COMMON
from tasks.sources.table_file import TableFile

#: Names of columns that the pipeline gives rows itself.
TAKEN = {*COMMON, "size", "mtime_ns"}


@dataclass
class Proposal:
    """An entry (`source`, `inputs`, `objective`), remarks on its keys (`inputs.text`), and what was found.

    Attributes:
        listed: what the source lists, where that was looked at.
    """

    source: Source
    inputs: dict[str, Input]
    objective: str
    remarks: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    listed: pa.Table | None = None

    def entry(self) -> dict[str, Any]:
        """The keys that differ from the defaults."""
        default = vars(Source(path=""))
        source = {k: v for k, v in vars(self.source).items() if v != default[k]}
        source |= {"names": list(self.source.names)} if self.source.names else {}
        if self.source.window:
            source["window"] = vars(self.source.window)
        entry: dict[str, Any] = {"source": source}
        if self.inputs != {"image": Input()}:
            entry["inputs"] = {
                name: {k: list(v) if isinstance(v, tuple) else v for k, v in vars(spec).items() if v}
                for name, spec in self.inputs.items()
            }
        if any(spec.modality == "tabular" for spec in self.inputs.values()) and self.objective != "autoencoder":
            # the yardstick of tables
            entry["mine"] = {"miners": {"gradient_boosting": {"miner": "gradient_boosting", "views": ["raw"]}}}
        if self.objective == "forecasting":
            # a CNN's maximum over time forgets when things were
            entry["train"] = {"encoders": {"series": {"name": "ffn", "hidden": [256, 128]}}}
        return entry | ({"objective": self.objective} if self.objective != "auto" else {})


def propose(source: Source, given: Iterable[str], unlabelled: bool = False, items: str = "") -> Proposal:
    """Look at a source and say what its rows, inputs, label and splits seem to be.

    Args:
        source: what a person said; the rest is guessed.
        given: the keys of it that they said, which win.
        unlabelled: there is no label, whatever the columns are called.
        items: the column of a good of a basket, where each row is one, or of all its goods as a list.

    Raises:
        DeepmineError: no form that is known, or no label where there could be one.
    """
    if baskets := proposed_baskets(source, set(given), unlabelled, items):
        made = Proposal(*baskets)
    else:
        made = _table(source, set(given), unlabelled) if sources.is_table(source) else _folder(source)
    return replace(made, objective="autoencoder") if unlabelled else made


def _folder(source: Source) -> Proposal:
    """A folder holds what the most of its files are called, or, where names do not tell, begin with."""
    if source.path.startswith(sources.EMBEDDED):
        return Proposal(source, {"image": Input()}, "auto")
    listed = sources.listing(source, {"image": Input()})
    paths = listed["path"].to_pylist()
    found = Counter(k for p in paths for k, known in SUFFIXES.items() if p.rsplit(".", 1)[-1].lower() in known)
    if not found:
        found = Counter(_sniffed(source, path) for path in some(paths, 50))
    kind = found.most_common(1)[0][0]
    objective = "auto" if any(listed["label"].to_pylist()) else "autoencoder"
    return Proposal(source, {kind: Input(modality=kind)}, objective, listed=listed)  # type: ignore[arg-type]


def _sniffed(source: Source, path: str) -> str:
    try:
        data = sources.read_bytes(source, path)
    except sources.Unreadable:
        return "image"
    if data[:4] in (b"fLaC", b"OggS") or (data[:4] == b"RIFF" and data[8:12] == b"WAVE"):
        return "audio"
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        return "text" if error.start > 4090 else "image"
    return "image" if b"\0" in data[:4096] else "text"


def _table(source: Source, given: set[str], unlabelled: bool) -> Proposal:
    file = open_table(source.path, source, [v for k in given if isinstance(v := getattr(source, k), str)])
    block = next(file.read(file.names), None)
    if block is None:
        raise DeepmineError(f"{source.path}: holds no rows.")
    sample = block.table.slice(0, ROWS)
    columns = [look(name, sample[name], Path(sources.root_of(source))) for name in file.names]
    known = {c.name: c for c in columns}
    chosen: dict[str, str] = {k: getattr(source, k) for k in ("id", "label", "split", "group", "time") if k in given}
    free = [c for c in columns if c.name not in chosen.values()]
    chosen |= {k: c.name for k, c in _roles(free, sample, set(chosen)).items()}
    rest = [c for c in columns if c.name not in chosen.values() and c.name not in TAKEN]
    layout: dict[str, Any] = dict(file.settled)
    if unlabelled:
        label = chosen.pop("label", None)
        layout |= {"label": ""} if label == "label" else {}
        rest = [c for c in rest if c.name != label]
    long = "id" in chosen and "time" in chosen and chosen["id"] in known and not known[chosen["id"]].all_distinct
    if long:
        layout["layout"] = "long"
    elif _is_one_series(chosen, rest, known) and not unlabelled:
        length = min(64, max(4, sample.num_rows // 20))
        layout["window"] = Window(length=length, horizon=max(1, length // 8))
    elif chosen.get("time") and "time" not in given:
        rest = [c for c in columns if c in rest or c.name == chosen["time"]]
        del chosen["time"]
    inputs = _inputs(rest, series=bool(long or "window" in layout))
    full = Source(**(vars(source) | layout | chosen))
    if not inputs:
        raise DeepmineError(f"{source.path}: no column that could be an input: {_shown(columns)}.")
    made = Proposal(full, inputs, "auto")
    if "window" in layout:
        made.objective = "forecasting"
        made.remarks["source.window"] = "steps of each window, and ahead to forecast: a guess"
    elif "label" in chosen:
        made.objective = objective_of(known.get(chosen["label"]))
        if made.objective == "regression":
            made.remarks["objective"] = f"of {full.label}, a number: classification if it is a class"
    else:
        made.objective = "autoencoder"
        _ask_for_label(file, rest, unlabelled)
    used = {*chosen.values(), *(n for spec in inputs.values() for n in spec.columns)}
    left = [c for c in columns if c.name not in used]
    made.lines += [f"{file.path}: {note}" for note in file.notes]
    made.lines += [f"left out {', '.join(f'{c.name} ({_why(c)})' for c in left)}"] if left else []
    return made


def _roles(columns: list[Column], sample: pa.Table, taken: set[str]) -> dict[str, Column]:
    """The columns that are no inputs, by what they are for, as far as their names and values tell."""
    roles: dict[str, Column] = {}

    def first(use: str, fits: Any) -> None:
        free = [c for c in usual(columns, use) if c not in roles.values()]
        found = next((c for c in free if fits(c)), None) if use not in taken else None
        if found:
            roles[use] = found

    def are_splits(c: Column) -> bool:
        return all(str(v).lower() in sources.SPLITS for v in sample[c.name].unique().to_pylist() if v is not None)

    first("split", lambda c: c.kind == "category" and are_splits(c))
    first("label", lambda c: c.kind in ("category", "number") and c.distinct > 1 and not _is_code(c))
    first("time", lambda c: c.kind == "date" or (c.kind == "number" and c.distinct > 2))
    first("id", lambda c: c.kind in ("category", "number") and (c.all_distinct or "time" in roles or "time" in taken))
    first("group", lambda c: c.kind in ("category", "number") and 1 < c.distinct < c.rows)
    return roles


def _is_code(c: Column) -> bool:
    return c.kind == "category" and c.all_distinct and c.rows > CLASSES


def _is_one_series(chosen: dict[str, str], rest: list[Column], known: dict[str, Column]) -> bool:
    """Whether all there is are numbers, each at a time of its own."""
    alone = set(chosen) == {"time"} and known[chosen["time"]].all_distinct
    return alone and bool(rest) and all(c.kind == "number" for c in rest)


def _inputs(columns: list[Column], series: bool) -> dict[str, Input]:
    """An input for each column of files, one for all texts, one for all steps or lists, one for the other columns."""
    inputs: dict[str, Input] = {}
    for c in columns:
        if c.kind in ("image", "audio"):
            name = c.kind if c.kind not in inputs else _named(c.name, inputs)
            inputs[name] = Input(modality=c.kind, columns=(c.name,))
    texts = tuple(c.name for c in columns if c.kind == "text")
    if texts:
        inputs["text"] = Input(modality="text", columns=texts)
    numbers = tuple(c.name for c in columns if c.kind == "number")
    steps_ = tuple(c.name for c in columns if c.kind == "numbers") or (numbers if series else tuple(steps(columns)))
    if steps_:
        inputs["series"] = Input(modality="series", columns=steps_)
    goods = tuple(c.name for c in columns if c.kind == "names")
    if goods:
        inputs["basket"] = Input(modality="basket", columns=goods)
    cells = [c for c in columns if _is_cell(c) and c.name not in steps_]
    if cells and not series:
        categories = tuple(c.name for c in cells if c.kind == "category")
        days = tuple(c.name for c in cells if c.kind == "date")
        inputs["table"] = Input(
            modality="tabular", columns=tuple(c.name for c in cells), categorical=categories, date=days
        )
    return inputs


def _is_cell(c: Column) -> bool:
    named = usual([c], "id") and c.all_distinct
    return c.kind in ("number", "category", "date") and c.distinct > 1 and not _is_code(c) and not named


def _named(name: str, taken: Iterable[str]) -> str:
    plain = "".join(ch if NAME.fullmatch(f"a{ch}") else "_" for ch in name.lower()).lstrip("_0123456789-") or "input"
    while plain in taken or plain in RESERVED:
        plain += "_2"
    return plain


def _ask_for_label(file: TableFile, columns: list[Column], unlabelled: bool) -> None:
    candidates = [c for c in columns if c.few and c.kind in ("category", "number")]
    if candidates and not unlabelled:
        raise DeepmineError(
            f"{file.path}: which column is the label? It could be {_shown(candidates[:12])}. "
            "Say --label COLUMN, or --unlabelled."
        )


def _shown(columns: list[Column]) -> str:
    return ", ".join(f"{c.name} ({c.distinct:,} values)" for c in columns)


def _why(c: Column) -> str:
    if not c.rows or c.distinct < 2:
        return "always the same" if c.rows else "empty"
    if c.name in TAKEN:
        return "deepmine has a column of this name; rename it"
    if c.kind == "empty":
        return "no numbers and no texts"
    return "all different" if c.all_distinct else "no part of the series"


def some(values: list[str], count: int) -> list[str]:
    """Up to ``count`` of them, the same at each call."""
    picked = sorted(random.Random(0).sample(range(len(values)), min(count, len(values))))  # noqa: S311
    return [values[i] for i in picked]
