"""What a column of a table holds, guessed from a sample of its rows, for `deepmine add`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.modalities.tabular_cells import INTEGER, dates, numbers

Kind = Literal["image", "audio", "number", "category", "date", "text", "numbers", "names", "empty"]
#: What the name of a file says of it.
SUFFIXES = {
    "image": {"jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "ppm", "pgm", "pbm"},
    "audio": {"wav", "flac", "ogg", "oga", "aif", "aiff", "mp3"},
    "text": {"txt", "text", "md"},
}
#: Names that columns of each use go by, the likeliest first. `speaker` stands for `speaker_id`, `SpeakerID` too.
USUAL = {
    "label": (
        "label", "labels", "class", "target", "category", "type", "default", "y", "outcome", "diagnosis", "species",
        "sentiment", "churn", "quality", "grade", "rating", "score", "price", "finding", "intent", "topic",
    ),
    "split": ("split", "subset", "fold", "set", "partition"),
    "group": ("group", "speaker", "patient", "user", "subject", "session", "customer", "client", "household", "person"),
    "time": ("time", "timestamp", "datetime", "date", "ts", "t", "step", "when"),
    "id": ("id", "key", "uid", "uuid", "guid", "index", "rowid", "row_id"),
    "basket": (
        "basket", "transaction", "order", "invoice", "receipt", "ticket", "cart", "visit", "trans", "tid", "bill", "member",
    ),
}  # fmt: skip
#: Rows of a table that its columns are told from.
ROWS = 20_000
#: Distinct numbers above which a label is a quantity and no class.
CLASSES = 20
#: Words on average above which a column is text, and distinct values above which a category is none.
WORDS, LEVELS = 5, 50
#: Share of the values that must be of a kind for the column to be (the others will be set aside, or missing).
MOST = 0.95
#: Columns named like steps of time, `t0 t1 ...`, `step_1 ...`, `0 1 ...`: at least so many make a series.
STEP, STEPS = re.compile(r"(?:t|time|step|lag|hour|day|week|month)?[ _]?(\d+)", re.I), 8


@dataclass(frozen=True)
class Column:
    """A column as it looks.

    Attributes:
        kind: what it holds; `numbers` and `names` are lists of them.
        distinct, rows: different values among the rows of the sample that have one, and those rows.
        words: of a value, on average.
    """

    name: str
    kind: Kind
    distinct: int
    rows: int
    words: float = 0.0
    whole: bool = False

    @property
    def all_distinct(self) -> bool:
        """Whether no value comes twice."""
        return self.distinct == self.rows > 1

    @property
    def few(self) -> bool:
        """Whether the values repeat as names of classes do."""
        return 2 <= self.distinct <= min(LEVELS, max(2, self.rows // 2))


def look(name: str, values: pa.ChunkedArray, root: Path) -> Column:
    """What ``values`` are; ``root`` is where files would be that they may name."""
    column = values.combine_chunks().drop_null()
    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if (lists or pa.types.is_fixed_size_list(column.type)) and not pa.types.is_nested(column.type.value_type):
        named = pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type)
        return Column(name, "names" if named else "numbers", len(column), len(column))
    if pa.types.is_nested(column.type):  # records, which no input is made of and Arrow cannot compare
        return Column(name, "empty", len(column), len(column))
    distinct, rows = len(pc.unique(column)), len(column)
    if not rows or pa.types.is_binary(column.type):
        return Column(name, "empty", distinct, rows)
    if pa.types.is_temporal(column.type):
        return Column(name, "date", distinct, rows)
    if not pa.types.is_string(column.type):
        logical = pa.types.is_boolean(column.type)
        return Column(name, "category" if logical else "number", distinct, rows, whole=pa.types.is_integer(column.type))
    return _text(name, column, distinct, root)


def _text(name: str, column: pa.Array, distinct: int, root: Path) -> Column:
    rows = len(column)
    for kind in ("image", "audio"):
        named = _share(pc.match_substring_regex(column, rf"(?i)\.({'|'.join(SUFFIXES[kind])})$")) >= MOST
        if named and any((root / path).is_file() for path in column.slice(0, 20).to_pylist()):
            return Column(name, kind, distinct, rows)
    # 00123 is a code and no number
    coded = pc.any(pc.match_substring_regex(column, r"^0[0-9]")).as_py()
    for found, reader in (("number", numbers), ("date", dates)):
        values, bad = reader(column)
        wrong = int(np.logical_or.reduce(list(bad.values())).sum()) if bad else 0
        if len(values) > values.null_count and wrong <= (1 - MOST) * rows and not (found == "number" and coded):
            whole = found == "number" and _share(pc.match_substring_regex(column, INTEGER)) >= MOST
            return Column(name, found, distinct, rows, whole=whole)  # type: ignore[arg-type]
    words = pc.mean(pc.count_substring_regex(column, r"\S+")).as_py()
    return Column(name, "text" if words > WORDS else "category", distinct, rows, words)


def _share(mask: pa.Array) -> float:
    return float(pc.mean(pc.cast(mask, pa.int8())).as_py())


def usual(columns: list[Column], use: str) -> list[Column]:
    """Columns whose name is usual for a use, the likeliest first."""
    names = {plain_name(c.name): c for c in reversed(columns)}
    found = [names[n] for n in USUAL[use] if n in names]
    if use in ("group", "id", "basket"):
        whose = USUAL["basket" if use == "basket" else "group"]
        ends = ("id", "_id", "no", "_no", "_number", "number")[: 6 if use == "basket" else 2]
        found += [names[f"{n}{end}"] for n in whose for end in ends if f"{n}{end}" in names]
    return list(dict.fromkeys(found))


def plain_name(name: str) -> str:
    """A column's name in small letters with `_` between its words."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip()).lower()).strip("_")


def objective_of(label: Column | None) -> str:
    """What is learned of a label: a class, or a quantity where there are many numbers."""
    if label is None or label.kind != "number":
        return "classification"
    many = label.distinct > (CLASSES if label.whole else CLASSES // 2)
    return "regression" if many else "classification"


def steps(columns: list[Column]) -> list[str]:
    """Columns of numbers that are named like the steps of one series, in order; none if they are too few."""
    found = [(int(m[1]), c.name) for c in columns if c.kind == "number" and (m := STEP.fullmatch(c.name.strip()))]
    ordered = [name for _, name in sorted(found)]
    return ordered if len(ordered) >= STEPS and len({n for n, _ in found}) == len(found) else []
