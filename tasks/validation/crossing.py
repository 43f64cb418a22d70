"""What rows of one split have of another: copies, near-duplicates, groups, times. Each is a finding in words.

A finding weighs `leak` (test figures may be too good; with `validate.leaks: fail` the stage fails), `warning`, or
`note`: seen, and either mended already or no wonder.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.core.text import many
from tasks.modalities import repeats

if TYPE_CHECKING:
    from tasks.config.source import Input

Finding = dict[str, Any]
LEAK, WARNING, NOTE = "leak", "warning", "note"
#: Times as many equal rows as columns that are independent would bring about, above which they are copies.
BY_CHANCE = 10
#: What may be an undeclared group: so many levels, of so few rows each, of which so many rows share one with another.
LEVELS, FEW_ROWS, SHARING = 20, 50, 200
#: Of two rows of a level, how much of the way from chance to certainty their labels agree, at least.
AGREE = 0.5
#: Share of pairs of a train and a test row in which the train row is the later one, above which time runs backwards.
LATER = 0.01
#: Examples that a finding names.
SHOWN = 5
#: What a person calls a fact of an item.
WORDS = {
    "width": "width", "height": "height", "mode": "colour mode", "bytes": "size in bytes", "suffix": "ending of the name",
    "brightness": "brightness", "rate": "sampling rate", "channels": "number of channels", "seconds": "length in seconds",
    "samples": "number of samples", "clipped": "share of clipped samples", "level": "loudness",
    "characters": "number of characters", "words": "number of words", "nul": "number of NUL characters",
    "cut": "cut at the largest length", "length": "number of steps", "missing": "share of missing values",
    "minimum": "least value", "maximum": "largest value", "items": "number of goods", "repeated": "number of repeated goods",
    "mended": "number of mended names",
}  # fmt: skip


def finding(kind: str, weight: str, sentence: str, **more: Any) -> Finding:
    """One finding, as the summary of validate has it."""
    return {"kind": kind, "weight": weight, "sentence": sentence, **more}


def in_order(rows: pd.DataFrame) -> bool:
    """Whether rows have times and all test rows are after train rows."""
    at = {name: rows.loc[rows["split"] == name, "time"].astype(float) for name in ("train", "test")}
    known = all(values.notna().all() and len(values) for values in at.values())
    return bool(known and at["train"].max() <= at["test"].min())


def mended(count: int) -> Iterator[Finding]:
    if count:
        rows = many(count, "row of train or val was a copy", "rows of train or val were copies")
        yield finding(
            "copies", NOTE, f"{rows} of a row in val or test and taken out, so that the latter are new.", rows=count
        )


def copies(rows: pd.DataFrame, inputs: "dict[str, Input]") -> Iterator[Finding]:
    """Equal rows across splits, where they are kept."""
    code = pd.factorize(rows["content"])[0]
    split = rows["split"].to_numpy()
    seen = {
        name: np.bincount(code[split == name], minlength=code.max(initial=0) + 1) for name in ("train", "val", "test")
    }
    known = (seen["train"] + seen["val"] > 0)[code]
    copied = np.flatnonzero((split == "test") & known)
    yield from _repeated(rows, inputs, split, not len(copied))
    if not len(copied):
        return
    chance = _by_chance(rows, inputs, code, split)
    told = many(len(copied), "test row equals", "test rows equal")
    examples = rows["id"].iloc[copied[:SHOWN]].tolist()
    if len(copied) > BY_CHANCE * chance:
        sentence = (
            f"{told} a row of train or val in every input, far more than chance makes of these columns. They are known "
            "already, so test figures may be too good: set validate.copies: reject."
        )
        yield finding("copies", LEAK, sentence, rows=len(copied), expected=round(chance, 2), examples=examples)
    else:
        sentence = f"{told} a row of train or val in every input, as is usual where columns have few values."
        yield finding("copies", NOTE, sentence, rows=len(copied), expected=round(chance, 2), examples=examples)


def _repeated(rows: pd.DataFrame, inputs: "dict[str, Input]", split: np.ndarray, apart: bool) -> Iterator[Finding]:
    """How many rows are copies of another, in whatever split; where columns of few values make as many, nothing."""
    again = (rows.duplicated("content") & rows["content"].notna()).to_numpy()
    count, chance = int(again.sum()), _chance_of_two(rows, inputs)
    if not count or chance is None or count <= BY_CHANCE * len(rows) * min(1.0, chance * len(rows) / 2):
        return
    where = {name: int((again & (split == name)).sum()) for name in ("train", "val", "test")}
    told = ", ".join(f"{n:,} in {name}" for name, n in where.items() if n)
    sentence = f"{count:,} of {len(rows):,} rows are copies of another in every input ({told}), and count as rows of their own."
    torn = rows[rows["content"].notna() & rows["label"].notna()].groupby("content")["label"].nunique().gt(1).sum()
    sentence += (
        f" {many(int(torn), 'set of equal rows has', 'sets of equal rows have')} different labels." if torn else ""
    )
    sentence += " Equal rows stand in one split, so that no test row is known from train or val." if apart else ""
    yield finding("repeated rows", NOTE, sentence, rows=count, splits=where)


def near(alike: dict[str, Any] | None) -> Iterator[Finding]:
    if alike and (alike["leaked"] or alike["val_leaked"]):
        figures = {"rows": alike["leaked"], "val_rows": alike["val_leaked"]}
        yield finding("near-duplicates", LEAK if alike["leaked"] else WARNING, alike["sentence"], **figures)


def groups(rows: pd.DataFrame) -> Iterator[Finding]:
    """Groups that stand in several splits; where the split goes by time, that is as it should be."""
    group = rows["group"]
    if not group.notna().any():
        return
    per = rows["split"].groupby(group).nunique()
    apart = per.index[per > 1]
    if not len(apart):
        return
    inside = group.isin(apart)
    tests = int((inside & (rows["split"] == "test")).sum())
    named = ", ".join(repr(str(g)) for g in apart[:SHOWN])
    sentence = (
        f"{many(len(apart), 'group stands', 'groups stand')} in several splits ({named}{', ...' if len(apart) > SHOWN else ''}), "
        f"with {many(tests, 'test row', 'test rows')}. "
    )
    ordered = in_order(rows)
    sentence += (
        "As the split goes by time, test figures are of groups that are known." if ordered else
        "Test figures are then of groups that are known, and too good for new ones: give each group one split."
    )  # fmt: skip
    more = {"groups": len(apart), "rows": tests, "examples": [str(g) for g in apart[:SHOWN]]}
    yield finding("groups", NOTE if ordered else LEAK, sentence, **more)


def suspected(rows: pd.DataFrame, inputs: "dict[str, Input]", known: set[Any]) -> Iterator[Finding]:
    """Columns (and folders of files) that look like groups nobody declared."""
    if rows["group"].notna().any():
        return
    columns = {
        f"The column '{c}'": (c, rows[f"{name}.{c}"]) for name, spec in inputs.items() for c in spec.categorical
        if f"{name}.{c}" in rows and c not in known
    }  # fmt: skip
    if "source" in rows:
        columns["The folder of the files"] = ("folder", rows["source"].str.rpartition("/")[0])
    for what, (column, values) in columns.items():
        found = straddling(values, rows["label"], rows["split"])
        if found:
            sentence = (
                f"{what} looks like a group that nobody declared: it has {found['levels']:,} levels of few rows each, rows of "
                f"a level mostly share their label, and {many(found['rows'], 'test row has', 'test rows have')} a level "
                "of train. If rows of a level belong together (a patient, a speaker), name it as source.group."
            )
            yield finding("suspected group", LEAK, sentence, column=column, **found)


def straddling(values: pd.Series, label: pd.Series, split: pd.Series) -> dict[str, Any] | None:
    """Figures of a column that acts like a group across splits; None if it does not."""
    there = values.notna().to_numpy() & label.notna().to_numpy()
    codes, levels = pd.factorize(values[there])
    classes = pd.factorize(label[there])[0]
    train, test = (split[there].to_numpy() == name for name in ("train", "test"))
    count = np.bincount(codes[train], minlength=len(levels))
    distinct = int((count > 0).sum())
    kinds = len(np.unique(classes[train]))
    shared = int(count[count > 1].sum())
    if distinct < max(LEVELS, 2 * kinds) or shared < SHARING or train.sum() > FEW_ROWS * distinct or kinds < 2:
        return None
    cells = np.unique(codes[train] * (classes.max() + 1) + classes[train], return_counts=True)[1]
    agree = (cells * (cells - 1)).sum() / (count * (count - 1)).sum()
    chance = np.square(np.bincount(classes[train]) / train.sum()).sum()
    rows = int((count[codes[test]] > 0).sum())
    if agree - chance < AGREE * (1 - chance) or rows < max(SHOWN, 0.1 * test.sum()):
        return None
    often = np.argsort(-count, kind="stable")[:SHOWN]
    return {"levels": distinct, "rows": rows, "agree": round(float(agree), 3), "chance": round(float(chance), 3),
            "examples": [str(levels[i]) for i in often]}  # fmt: skip


def backwards(rows: pd.DataFrame) -> Iterator[Finding]:
    """Train rows that are later than test rows, where the source has times."""
    train, test = (np.sort(rows.loc[rows["split"] == s, "time"].dropna().to_numpy(float)) for s in ("train", "test"))
    if not len(train) or not len(test):
        return
    # the share of pairs, by Mann and Whitney's count
    later = 1 - np.searchsorted(train, test, side="right").mean() / len(train)
    if later <= LATER:
        return
    share = float((train > test[0]).mean())
    sentence = (
        f"Time runs backwards: {share:.0%} of the train rows are later than the first test row, though the source has times "
        "(source.time). What comes later may tell of what came before: set source.split_by: time, or take source.time out."
    )
    yield finding("time", LEAK, sentence, share=round(share, 4), later=round(float(later), 4))


def _by_chance(rows: pd.DataFrame, inputs: "dict[str, Input]", code: np.ndarray, split: np.ndarray) -> float:
    """Test rows that would equal a train row by nature: were the columns independent, or as often as train rows do.

    The latter of what is no table (baskets). Of items that never repeat by nature (pictures, texts) none would.
    """
    train, tests = split == "train", int((split == "test").sum())
    if not repeats(spec.modality for spec in inputs.values()):
        return 0.0
    equal = _chance_of_two(rows[train], inputs)
    if equal is None:
        times = np.bincount(code[train], minlength=code.max(initial=0) + 1)
        return float((times[code[train]] > 1).mean() * tests) if train.any() else 0.0
    return tests * min(1.0, equal * int(train.sum()))


def _chance_of_two(rows: pd.DataFrame, inputs: "dict[str, Input]") -> float | None:
    """The chance that two rows are equal, were their columns independent; of files and texts 0, None of baskets."""
    if not repeats(spec.modality for spec in inputs.values()):
        return 0.0
    columns = [f"{name}.{c}" for name, spec in inputs.items() for c in spec.columns]
    if not all(column in rows for column in columns):
        return None
    shares = (rows[column].value_counts(normalize=True, dropna=False).to_numpy() for column in columns)
    return float(np.prod([np.square(share).sum() for share in shares]))
