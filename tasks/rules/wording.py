"""Rules as a sentence each and as a table."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from tasks.core.text import enumerated, percent
from tasks.rules.association import Rules
from tasks.rules.significance import Judgement

MEASURES = ("support", "confidence", "lift", "leverage", "conviction")
#: What is said of baskets, and of the rows of a table.
SENTENCES = {
    "baskets": ("who buys {} also buys {}", "{} is in {} of the baskets"),
    "rows": ("with {} comes {}", "{} is so in {} of the rows"),
}


def as_words(rules: Rules, i: int, where: str = "") -> str:
    """The rule at ``i`` as a sentence without its full stop; ``where`` its counts are of, say "test ".

    Say "who buys whole milk and yogurt also buys root vegetables: 1.5 % of the baskets, 26.0 % of those with whole milk
    and yogurt (2.4 times as often as in all)".

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["eggs"])])
    >>> rules, _ = find(baskets, support=0.5, confidence=0.9)
    >>> as_words(rules, 0)
    'who buys bread also buys milk: 50.0 % of the baskets, 100 % of those (2 times as often as in all)'
    """
    counts = rules.counts.take(np.array([i]))
    antecedent, consequent = (enumerated(rules.named(of[i])) for of in (rules.antecedents, rules.consequents))
    share, certain, lift = (float(getattr(counts, name)[0]) for name in MEASURES[:3])
    whole, alone = SENTENCES[rules.kind]
    if not antecedent:
        return alone.format(consequent, percent(share))
    return (
        f"{whole.format(antecedent, consequent)}: {percent(share)} of the {where}{rules.kind}, {percent(certain)} of those "
        f"({times(lift)} as often as in all)"
    )


def as_table(rules: Rules, judgement: Judgement) -> pa.Table:
    """All R rules in their order, a row each: items, counts, measures, tests, held-out measures, sentence.

    The held-out columns are null where there are no held-out baskets; a measure that divides by nothing is NaN.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> from tasks.rules.significance import judge
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["eggs"])])
    >>> rules, itemsets = find(baskets, support=0.5, confidence=0.9)
    >>> as_table(rules, judge(rules, itemsets)).select(["antecedent", "consequent", "lift"]).to_pylist()[0]
    {'antecedent': ['bread'], 'consequent': ['milk'], 'lift': 2.0}
    """
    names = pa.list_(pa.string())
    counts, held = rules.counts, judgement.held_out
    columns: dict[str, pa.Array] = {
        "antecedent": pa.array([rules.named(items) for items in rules.antecedents], names),
        "consequent": pa.array([rules.named(items) for items in rules.consequents], names),
        "count": pa.array(counts.both, pa.int64()),
        "antecedent_count": pa.array(counts.antecedent, pa.int64()),
        "consequent_count": pa.array(counts.consequent, pa.int64()),
    }
    columns |= {name: pa.array(getattr(counts, name), pa.float64()) for name in MEASURES}
    columns |= {
        "p_value": pa.array(judgement.p_values, pa.float64()),
        "q_value": pa.array(judgement.q_values, pa.float64()),
        "improvement_q_value": pa.array(judgement.improvement_q_values, pa.float64()),
    }
    for name in ("count", *MEASURES[:3]):
        kind = pa.int64() if name == "count" else pa.float64()
        values = None if held is None else held.both if name == "count" else getattr(held, name)
        columns[f"held_out_{name}"] = pa.nulls(len(rules), kind) if values is None else pa.array(values, kind)
    # null where no held-out basket has the antecedent
    unknown = np.isnan(judgement.interval[:, 0])
    for end, values in zip(("low", "high"), judgement.interval.T, strict=True):
        columns[f"held_out_lift_{end}"] = pa.array(values, pa.float64(), mask=unknown)
    columns["held_up"] = pa.array(judgement.held_up, pa.bool_(), mask=unknown)
    columns["words"] = pa.array([as_words(rules, i) for i in range(len(rules))], pa.string())
    there = None if held is None else replace(rules, counts=held)
    told = [None if there is None or gone else as_words(there, i, "test ") for i, gone in enumerate(unknown)]
    columns["held_out_words"] = pa.array(told, pa.string())
    return pa.table(columns)


def times(lift: float) -> str:
    """3.07 -> "3.1 times", 0.834 -> "0.83 times"; "just" where it is 1.

    >>> times(3.07), times(1.0)
    ('3.1 times', 'just')
    """
    text = f"{lift:,.0f}" if lift >= 10 else f"{lift:.2g}"
    return "just" if text == "1" else f"{text} times"
