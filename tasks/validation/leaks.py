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

from tasks.modalities import modality
from tasks.modalities.text_tokens import split as tokens
from tasks.stats.single_feature_auc import scores, telling_words
from tasks.storage.store import read_shards
from tasks.validation import crossing, split_drift, target_leakage
from tasks.validation.crossing import LEAK, NOTE, SHOWN, WARNING, WORDS, Finding, finding

if TYPE_CHECKING:
    from tasks.config.source import Input
    from tasks.config.validate import Validate


def wanted(inputs: "dict[str, Input]") -> list[str]:
    """Columns of the raw data that `findings` asks for besides `id`, `content`, `split`, `label` and facts."""
    files = any(modality(spec.modality).sandboxed for spec in inputs.values())
    return ["group", "time", *(["bytes", "source"] if files else [])]


def findings(
    rows: pd.DataFrame, reasons: np.ndarray, raw: Path, inputs: "dict[str, Input]", params: "Validate",
    objective: str, alike: dict[str, Any] | None,
) -> list[Finding]:  # fmt: skip
    """All that is found among the accepted rows, leaks first.

    Args:
        rows: N rows with `wanted` and the facts that are checked, and perhaps their `brightness`.
        reasons: (N,) why a row is rejected, "" if it is not.
        objective: what is learned. Labels of a forecast are what comes next of a series, so that its past telling
            them is no leak; nothing gives them away.
        alike: what near-duplicates there are.
    """
    sound = reasons == ""
    mended = int((reasons == "copy across splits").sum())
    kept = rows[sound]
    train = kept["split"].to_numpy() == "train"
    found = [*crossing.mended(mended), *crossing.copies(kept, inputs), *crossing.near(alike), *crossing.groups(kept)]
    labelled = objective == "classification"
    if objective == "regression":
        found += _numbers(kept[train], inputs, params.leak)
    if labelled:
        scored = _facts(kept[train], inputs)
        told = [*_columns(kept[train], inputs, params.leak), *_recorded(scored, kept["label"][train], params.leak)]
        told += _words(raw, kept["id"][train], kept["label"][train], inputs, params.leak)
        told += _larger(kept[train], inputs, params.leak, {one.get("column") for one in told})
        found += told
        found += crossing.suspected(kept, inputs, {one.get("column") for one in told})
    found += [*crossing.backwards(kept), *split_drift.differing(kept, inputs, labelled)]
    return sorted(found, key=lambda one: [LEAK, WARNING, NOTE].index(one["weight"]))


def _columns(train: pd.DataFrame, inputs: "dict[str, Input]", above: float) -> Iterator[Finding]:
    """Columns of tables that tell the label nearly by themselves; that they are missing may tell it, too."""
    label = train["label"].to_numpy(str)
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if not made.scored_by_column or len(set(label)) < 2:
            continue
        columns = {f"{name}.{c}": c for c in made.checked(spec)}
        frame = train[list(columns)].rename(columns=columns)
        for column, score in made.single_feature_scores(frame, label, spec).items():
            if score > above:
                sentence = (
                    f"The column '{column}' alone tells the label (AUC {score:.3f} on train rows). If it is not known "
                    "before the label is, it leaks: take it out of 'inputs' in params.yaml."
                )
                yield finding("column", LEAK, sentence, column=column, auc=round(float(score), 4))


def _tables(train: pd.DataFrame, inputs: "dict[str, Input]") -> tuple[pd.DataFrame, dict[str, str], set[str]]:
    """The columns of all tables among the inputs, what a person calls each, and those that are categories."""
    names: dict[str, str] = {}
    categorical: set[str] = set()
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if made.scored_by_column:
            names |= {f"{name}.{c}": c for c in made.checked(spec)}
            categorical |= {f"{name}.{c}" for c in spec.categorical}
    return train[list(names)], names, categorical


def _numbers(train: pd.DataFrame, inputs: "dict[str, Input]", above: float) -> Iterator[Finding]:
    """What gives a label away that is a number: columns, sums and products of few, and how items were recorded."""
    label = pd.to_numeric(train["label"], errors="coerce").to_numpy(float)
    frame, names, categorical = _tables(train, inputs)
    for told in target_leakage.of_number(frame, label, categorical, above):
        columns = [names[c] for c in told.columns]
        if told.kind == "column":
            what = f"The column '{columns[0]}' alone tells the label ({_figure(told)} on train rows)"
        else:
            parts = ((f"{w:.4g} x '{c}'", f"'{c}' to the {w:.4g}") for w, c in zip(told.weights, columns, strict=True))
            which = told.kind == "product"
            made = (" times " if which else " + ").join(part[which] for part in parts)
            what = (
                f"A {told.kind} of {len(columns)} columns tells the label: {made} ({_figure(told)} on other train rows)"
            )
        it = "it is" if len(columns) == 1 else "they are"
        sentence = (
            f"{what}. If {it} not known before the label is, {'it leaks: take it' if len(columns) == 1 else 'they leak: take them'} "
            "out of 'inputs' in params.yaml."
        )
        figures = {"columns": columns, told.measure: round(told.value, 5)}
        yield finding("column" if len(columns) == 1 else told.kind, LEAK, sentence, column=columns[0], **figures)
    facts = _facts(train, inputs)
    texts = {n for n in facts if not pd.api.types.is_numeric_dtype(facts[n])}
    for told in target_leakage.of_number(facts, label, texts, above):
        if told.kind == "column":
            yield _recorded_so(told.columns[0], _figure(told), {told.measure: round(told.value, 5)})


def _figure(told: "target_leakage.Told") -> str:
    return f"R² {told.value:.4f}" if told.measure == "R²" else f"{told.value:.1%} of the pairs of rows in its order"


def _larger(train: pd.DataFrame, inputs: "dict[str, Input]", above: float, known: set[Any]) -> Iterator[Finding]:
    """Pairs of columns whose order is a class, besides the columns that are ``known`` to tell it alone."""
    frame, names, categorical = _tables(train, inputs)
    frame = frame[[c for c in frame if names[c] not in known]]
    for told in target_leakage.larger(frame, train["label"].to_numpy(str), categorical, above):
        first, second = (names[c] for c in told.columns)
        sentence = (
            f"Whether '{first}' is larger than '{second}' tells whether the label is '{told.label}' (AUC {told.value:.3f} on train "
            "rows). If they are not known before the label is, they leak: take one out of 'inputs' in params.yaml."
        )
        figures = {"columns": [first, second], "auc": round(told.value, 4), "label": told.label}
        yield finding("order", LEAK, sentence, column=first, **figures)


def _facts(train: pd.DataFrame, inputs: "dict[str, Input]") -> pd.DataFrame:
    """What is known of how items were recorded, and not of what they show: sizes, rates, lengths, light."""
    found: dict[str, Any] = {}
    for name, spec in inputs.items():
        made = modality(spec.modality)
        if made.scored_by_column:
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
    if label.nunique() < 2 or not facts.shape[1]:
        return
    texts = tuple(
        n for n in facts if not pd.api.types.is_numeric_dtype(facts[n]) or pd.api.types.is_bool_dtype(facts[n])
    )
    for column, score in scores(facts, label.to_numpy(str), texts).items():
        if score > above:
            yield _recorded_so(column, f"AUC {score:.3f}", {"auc": round(float(score), 4)})


def _recorded_so(column: str, figure: str, figures: dict[str, float]) -> Finding:
    fact, _, name = column.partition(" ")
    of = f" of '{name}'" if name else " of the file" if fact in ("bytes", "suffix") else ""
    sentence = (
        f"The {WORDS.get(fact, fact)}{of} alone tells the label ({figure} on train rows). What is learned may be how items "
        "were recorded, not what they are: see that all are recorded alike."
    )
    return finding("fact", LEAK, sentence, column=fact, **figures)


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
            yield finding("word", LEAK, sentence, column=name, auc=round(found[best[0]], 4), examples=best[:SHOWN])
