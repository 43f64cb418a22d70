"""Ways in which test rows may not be new to what was trained, or unlike it: each a finding in words, with its figures.

A finding weighs `leak` (test figures may be too good; with `validate.leaks: fail` the stage fails), `warning`, or
`note`: seen, and either mended already or no wonder.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.describing import facts_of, fit, held, named
from tasks.modalities import modality
from tasks.modalities.leaks import single_feature_scores, telling_words
from tasks.modalities.tokens import split as tokens
from tasks.shift import shifted
from tasks.store import read_shards

if TYPE_CHECKING:
    from tasks.config import Input, Validate

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
#: Cells that splits are compared by, and rows.
CELLS, ROWS = 10_000_000, 100_000
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


def wanted(inputs: "dict[str, Input]") -> list[str]:
    """Columns of the raw data that `findings` asks for besides `id`, `content`, `split`, `label` and facts."""
    files = any(modality(spec.modality).GUARDED for spec in inputs.values())
    return ["group", "time", *(["bytes", "source"] if files else [])]


def findings(
    rows: pd.DataFrame, reasons: np.ndarray, raw: Path, inputs: "dict[str, Input]", params: "Validate",
    labelled: bool, alike: dict[str, Any] | None,
) -> list[Finding]:  # fmt: skip
    """All that is found among the accepted rows, leaks first.

    Args:
        rows: N rows with `wanted` and the facts that are checked, and perhaps their `brightness`.
        reasons: (N,) why a row is rejected, "" if it is not.
        labelled: whether the rows fall into classes.
        alike: what near-duplicates there are.
    """
    sound = reasons == ""
    mended = int((reasons == "copy across splits").sum())
    kept = rows[sound]
    train = kept["split"].to_numpy() == "train"
    found = [*_mended(mended), *_copies(kept, inputs), *_near(alike), *_groups(kept)]
    if labelled:
        scored = _facts(kept[train], inputs)
        told = [*_columns(kept[train], inputs, params.leak), *_recorded(scored, kept["label"][train], params.leak)]
        told += _words(raw, kept["id"][train], kept["label"][train], inputs, params.leak)
        found += told
        found += _suspected(kept, inputs, {one.get("column") for one in told})
    found += [*_backwards(kept), *_shift(kept, inputs, labelled)]
    return sorted(found, key=lambda one: [LEAK, WARNING, NOTE].index(one["weight"]))


def _finding(kind: str, weight: str, sentence: str, **more: Any) -> Finding:
    return {"kind": kind, "weight": weight, "sentence": sentence, **more}


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _mended(count: int) -> Iterator[Finding]:
    if count:
        rows = _many(count, "row of train or val was a copy", "rows of train or val were copies")
        yield _finding(
            "copies", NOTE, f"{rows} of a row in val or test and taken out, so that the latter are new.", rows=count
        )


def _copies(rows: pd.DataFrame, inputs: "dict[str, Input]") -> Iterator[Finding]:
    """Equal rows across splits, where they are kept."""
    code = pd.factorize(rows["content"])[0]
    split = rows["split"].to_numpy()
    seen = {
        name: np.bincount(code[split == name], minlength=code.max(initial=0) + 1) for name in ("train", "val", "test")
    }
    known = (seen["train"] + seen["val"] > 0)[code]
    copied = np.flatnonzero((split == "test") & known)
    if not len(copied):
        return
    chance = _by_chance(rows, inputs, code, split)
    told = _many(len(copied), "test row equals", "test rows equal")
    examples = rows["id"].iloc[copied[:SHOWN]].tolist()
    if len(copied) > BY_CHANCE * chance:
        sentence = (
            f"{told} a row of train or val in every value, far more than chance makes of these columns. They are known "
            "already, so test figures may be too good: set validate.copies: reject."
        )
        yield _finding("copies", LEAK, sentence, rows=len(copied), expected=round(chance, 2), examples=examples)
    else:
        sentence = f"{told} a row of train or val in every value, as is usual where columns have few values."
        yield _finding("copies", NOTE, sentence, rows=len(copied), expected=round(chance, 2), examples=examples)


def _by_chance(rows: pd.DataFrame, inputs: "dict[str, Input]", code: np.ndarray, split: np.ndarray) -> float:
    """Test rows that would equal a train row by nature: were the columns independent, or as often as train rows do.

    The latter of what is no table (baskets). Of items that never repeat by nature (pictures, texts) none would.
    """
    train, tests = split == "train", int((split == "test").sum())
    modalities = [modality(spec.modality) for spec in inputs.values()]
    if not all(getattr(made, "REPEATS", False) for made in modalities):
        return 0.0
    columns = [f"{name}.{c}" for name, spec in inputs.items() for c in spec.columns]
    if not all(column in rows for column in columns):
        times = np.bincount(code[train], minlength=code.max(initial=0) + 1)
        return float((times[code[train]] > 1).mean() * tests) if train.any() else 0.0
    equal = 1.0  # the chance that two rows are
    for column in columns:
        share = rows.loc[train, column].value_counts(normalize=True, dropna=False).to_numpy()
        equal *= float(np.square(share).sum())
    return tests * min(1.0, equal * int(train.sum()))


def _near(alike: dict[str, Any] | None) -> Iterator[Finding]:
    if alike and (alike["leaked"] or alike["val_leaked"]):
        figures = {"rows": alike["leaked"], "val_rows": alike["val_leaked"]}
        yield _finding("near-duplicates", LEAK if alike["leaked"] else WARNING, alike["sentence"], **figures)


def _groups(rows: pd.DataFrame) -> Iterator[Finding]:
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
        f"{_many(len(apart), 'group stands', 'groups stand')} in several splits ({named}{', ...' if len(apart) > SHOWN else ''}), "
        f"with {_many(tests, 'test row', 'test rows')}. "
    )
    ordered = _in_order(rows)
    sentence += (
        "As the split goes by time, test figures are of groups that are known." if ordered else
        "Test figures are then of groups that are known, and too good for new ones: give each group one split."
    )  # fmt: skip
    more = {"groups": len(apart), "rows": tests, "examples": [str(g) for g in apart[:SHOWN]]}
    yield _finding("groups", NOTE if ordered else LEAK, sentence, **more)


def _suspected(rows: pd.DataFrame, inputs: "dict[str, Input]", known: set[Any]) -> Iterator[Finding]:
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
                f"a level mostly share their label, and {_many(found['rows'], 'test row has', 'test rows have')} a level "
                "of train. If rows of a level belong together (a patient, a speaker), name it as source.group."
            )
            yield _finding("suspected group", LEAK, sentence, column=column, **found)


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


def _columns(train: pd.DataFrame, inputs: "dict[str, Input]", above: float) -> Iterator[Finding]:
    """Columns of tables that tell the label nearly by themselves; that they are missing may tell it, too."""
    label = train["label"].to_numpy(str)
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if not hasattr(made, "single_feature_scores") or len(set(label)) < 2:
            continue
        columns = {f"{name}.{c}": c for c in made.checked(spec)}
        frame = train[list(columns)].rename(columns=columns)
        for column, score in made.single_feature_scores(frame, label, spec).items():
            if score > above:
                sentence = (
                    f"The column '{column}' alone tells the label (AUC {score:.3f} on train rows). If it is not known "
                    "before the label is, it leaks: take it out of 'inputs' in params.yaml."
                )
                yield _finding("column", LEAK, sentence, column=column, auc=round(float(score), 4))


def _facts(train: pd.DataFrame, inputs: "dict[str, Input]") -> pd.DataFrame:
    """What is known of how items were recorded, and not of what they show: sizes, rates, lengths, light."""
    found: dict[str, Any] = {}
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if hasattr(made, "single_feature_scores"):
            continue
        found |= {f"{fact} {name}": train[f"{name}.{fact}"] for fact in made.checked(spec)}
    if "source" in train:
        found["suffix "] = train["source"].str.extract(r"[.]([A-Za-z0-9]{1,5})$")[0].str.lower()
        found["bytes "] = train["bytes"]
    if "brightness" in train:
        found["brightness "] = train["brightness"]
    return pd.DataFrame(found, index=train.index)


def _recorded(facts: pd.DataFrame, label: pd.Series, above: float) -> Iterator[Finding]:
    """Those of the ``facts`` that tell the label of train rows."""
    from tasks.config import Input

    if label.nunique() < 2 or not facts.shape[1]:
        return
    texts = tuple(
        n for n in facts if not pd.api.types.is_numeric_dtype(facts[n]) or pd.api.types.is_bool_dtype(facts[n])
    )
    spec = Input(modality="tabular", columns=tuple(facts), categorical=texts)
    for column, score in single_feature_scores(facts, label.to_numpy(str), spec).items():
        if score > above:
            fact, _, name = column.partition(" ")
            of = f" of '{name}'" if name else " of the file" if fact in ("bytes", "suffix") else ""
            sentence = (
                f"The {WORDS.get(fact, fact)}{of} alone tells the label (AUC {score:.3f} on train rows). What is learned may "
                "be how items were recorded, not what they are: see that all classes are recorded alike."
            )
            yield _finding("fact", LEAK, sentence, column=fact, auc=round(float(score), 4))


def _words(raw: Path, ids: pd.Series, label: pd.Series, inputs: "dict[str, Input]", above: float) -> Iterator[Finding]:
    """Words of texts and goods of baskets that tell the label of train rows."""
    for name, spec in inputs.items():
        kind = modality(spec.modality).raw_fields(spec).get("")
        if kind is None or not (pa.types.is_string(kind) or pa.types.is_list(kind)) or label.nunique() < 2:
            continue
        of, items, labels = dict(zip(ids, label, strict=True)), [], []
        for _, table in read_shards(raw, ["id", name]):
            own = [of.get(i) for i in table["id"].to_pylist()]
            for item, known in zip(table[name].to_pylist(), own, strict=True):
                if known is not None:
                    items.append(item)
                    labels.append(known)
        text = pa.types.is_string(kind)
        found = telling_words(
            items, labels, (lambda t: tokens((t or "").lower(), "word")) if text else (lambda t: t or []), above
        )
        if found:
            best = sorted(found, key=lambda word: (-found[word], word))
            named = ", ".join(f"'{word}' (AUC {found[word]:.3f})" for word in best[:SHOWN])
            one = "word" if text else "good"
            sentence = (
                f"{'One' if len(best) == 1 else len(best)} {one}{'' if len(best) == 1 else 's'} of '{name}' alone "
                f"{'tells' if len(best) == 1 else 'tell'} the label on train rows: {named}. If it was put there with the "
                "label, it leaks: take it out of the source."
            )
            yield _finding("word", LEAK, sentence, column=name, auc=round(found[best[0]], 4), examples=best[:SHOWN])


def _in_order(rows: pd.DataFrame) -> bool:
    """Whether rows have times and all test rows are after train rows."""
    at = {name: rows.loc[rows["split"] == name, "time"].astype(float) for name in ("train", "test")}
    known = all(values.notna().all() and len(values) for values in at.values())
    return bool(known and at["train"].max() <= at["test"].min())


def _backwards(rows: pd.DataFrame) -> Iterator[Finding]:
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
    yield _finding("time", LEAK, sentence, share=round(share, 4), later=round(float(later), 4))


def _shift(rows: pd.DataFrame, inputs: "dict[str, Input]", labelled: bool) -> Iterator[Finding]:
    """Facts, levels and labels whose shares in train and test differ."""
    rows = rows[rows["split"].isin(("train", "test"))]
    columns = [f"{n}.{c}" for n, spec in inputs.items() for c in modality(spec.modality).checked(spec)]
    columns += ["label"] if labelled else []
    most = min(ROWS, CELLS // max(len(columns), 1))
    if len(rows) > most:
        rows = rows.iloc[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
    several = len(inputs) > 1
    plain = {c if several or c == "label" else c.partition(".")[2]: rows[c] for c in columns}
    table = facts_of({name: pa.array(values, from_pandas=True) for name, values in plain.items()})
    train = pa.array(rows["split"].to_numpy() == "train")
    fitted = fit(table.filter(train))
    sides = [held(table.filter(side), fitted) for side in (train, pc.invert(train))]
    counts = [np.asarray(side.sum(axis=0), float).ravel() for side in sides]
    found = shifted(counts[0], counts[1], (sides[0].shape[0], sides[1].shape[0]))
    if not found:
        return
    names = named(fitted, {})[0]
    told = [f"`{names[s.item]}` {s.train:.0%} of the train rows and {s.test:.0%} of the test rows" for s in found[:3]]
    natural = "group" if rows["group"].notna().any() else "time" if _in_order(rows) else ""
    why = {
        "group": "Rows of a group stay together, so this is no wonder where groups are few.",
        "time": "The split goes by time, and times change.",
        "": "Test figures are then of other rows than were learned from: was the split drawn at random?",
    }[natural]
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    figures = [{"item": names[s.item], "train": round(s.train, 4), "test": round(s.test, 4)} for s in found[:20]]
    yield _finding(
        "shift", NOTE if natural else WARNING, f"The splits differ: {'; '.join(told)}{more}. {why}",
        items=len(found), examples=figures,
    )  # fmt: skip
