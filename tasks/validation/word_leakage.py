"""Word leakage: a word of texts, or an item of baskets, gives the label away."""

from collections.abc import Iterator

import pyarrow as pa

from tasks.core.text import many
from tasks.modalities import modality
from tasks.modalities.text_tokens import split
from tasks.stats.single_feature_auc import telling_words
from tasks.storage.store import read_shards
from tasks.validation.context import Context
from tasks.validation.finding import LEAK, MOST_EXAMPLES, Finding


def check(context: Context) -> Iterator[Finding]:
    """A leak for each input with words whose presence alone has an AUC above `validate.leak` on train rows."""
    for name, spec in context.inputs.items() if context.classes else ():
        kind = modality(spec.modality).raw_fields(spec).get("")
        if kind is None or not (pa.types.is_string(kind) or pa.types.is_list(kind)):
            continue
        text = pa.types.is_string(kind)
        words = (lambda t: split((t or "").lower(), "word")) if text else (lambda t: t or [])
        auc = telling_words(*_labelled(context, name), words, context.params.leak)
        if auc:
            best = sorted(auc, key=lambda word: (-auc[word], word))
            what = many(len(best), "word", "words") if text else many(len(best), "item", "items")
            one = len(best) == 1
            text_ = (
                f"{what} of '{name}' {'predicts' if one else 'predict'} the label {'alone' if one else 'each alone'} (AUC up to "
                f"{auc[best[0]]:.3f} on train rows). If it was added with the label, it leaks: remove it from the source."
            )
            details = {"input": name, "auc": round(auc[best[0]], 4)}
            yield Finding(LEAK, "Word leakage", text_, tuple(best[:MOST_EXAMPLES]), details)


def _labelled(context: Context, name: str) -> tuple[list[object], list[str]]:
    """The texts or baskets of the input ``name`` of all train rows, and their labels."""
    label_of = dict(zip(context.train["id"], context.train["label"], strict=True))
    items, labels = [], []
    for _, table in read_shards(context.raw, ["id", name]):
        for i, item in zip(table["id"].to_pylist(), table[name].to_pylist(), strict=True):
            if label_of.get(i) is not None:
                items.append(item)
                labels.append(label_of[i])
    return items, labels
