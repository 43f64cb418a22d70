"""Association rules of a run: among the items of its rows, and between these, the label and deep features."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.core.text import many
from tasks.features.deep_items import Clusterer
from tasks.features.item_matrix import Transactions
from tasks.features.items import Items
from tasks.features.view import View, rows_of
from tasks.rules.association import Counts, Rules, redundant
from tasks.rules.itemsets import TooMany
from tasks.rules.pruning import nested, repeated, told_once
from tasks.rules.search import Search, search
from tasks.rules.significance import Judgement, judge
from tasks.rules.table import DEEP, LABEL, Table, rule_table
from tasks.rules.wording import as_table
from tasks.storage.store import Writer

if TYPE_CHECKING:
    from tasks.config.mine import Rules as Params

#: Held-out rows that are named for a rule, and against it, at most.
EXEMPLARS = 8
#: Rules told in the summary; all stand in the store.
TOP = 10
#: Whether a rule is about the label, about what is known of the rows (and their features), or of features alone.
ABOUT = ("label", "other", "features")


@dataclass(frozen=True)
class Found:
    """The rules that were kept of one table.

    Attributes:
        table, searched: what they were found in, and all that was found.
        about: which of `ABOUT` each is.
        fresh: (R,) whether it was tested on val rows.
        stood: how many stood, of which these are the ones of the highest lift.
    """

    table: Table
    searched: Search
    rules: Rules
    judgement: Judgement
    about: list[str]
    fresh: np.ndarray
    stood: int


def mine_rules(
    params: "Params", items: Items, deep: View | None, clusterers: Mapping[str, Clusterer], aim: str, confidence: float, *,
    seed: int, folder: Path, mark: str,
) -> dict[str, Any]:  # fmt: skip
    """Rules in each of ``params.views``: found and tested on train rows, measured again on test rows.

    Writes them to the store ``folder``, `over` saying where each was found. Of deep features, network and tree have
    learned the labels of the train rows by heart; rules that join the two are therefore tested on val rows.

    Args:
        deep: the deep view, None where there is none; ``clusterers`` were fitted on it.
        aim: classification, regression or clusters.
        confidence: of the intervals of lifts on test rows.

    Returns:
        for each view its bounds and counts, a sentence, and the best rules; or why there are none.

    Raises:
        TooMany: at the support that a person gave.
    """
    tables: list[pa.Table] = []
    summary: dict[str, Any] = {}
    for over in params.views:
        try:
            found = _find(params, rule_table(over, params, items, deep, clusterers, aim, seed), over, confidence)
        except TooMany as error:
            raise TooMany(f"mine.rules.support, over {over}: {error} Or write auto.") from None
        except DeepmineError as error:
            summary[over] = {"skipped": str(error), "sentence": f"No rules over {over}: {error}"}
            continue
        table = _told(found, deep, over)
        tables.append(table)
        summary[over] = _summary(found, table, confidence)
    _write(folder, tables, mark)
    return summary


def _find(params: "Params", table: Table, over: str, confidence: float) -> Found:
    """Rules that stand: within the bounds, not trivial, not told before, and not by chance."""
    train, val = table.of("train"), table.of("val")
    support = None if params.support == "auto" else params.support
    searched = search(train, support, params.confidence, params.max_length)
    rules = searched.rules
    keep = rules.counts.lift >= max(params.min_lift, np.nextafter(1, 2))
    rules = rules.take(keep)
    rules = rules.take(~_trivial(rules, table, train, over))
    rules = rules.take(~redundant(rules, searched.itemsets))
    kinds = _kinds(rules, table)
    fresh = np.array([LABEL in k and DEEP in k for k in kinds], bool)
    if not len(val):
        rules, fresh = rules.take(~fresh), fresh[~fresh]
    test = table.of("test")
    about_label = _leads_to_label(rules, table), _tried_for_label(searched, table)
    judged = judge(
        rules,
        searched.itemsets,
        test if len(test) else None,
        (fresh, val) if fresh.any() else None,
        about_label,
        confidence,
    )
    stands = judged.improvement_q_values <= params.q
    rules, judged, fresh = rules.take(stands), judged.take(stands), fresh[stands]
    told = told_once(rules, _leads_to_label(rules, table))
    rules, judged, fresh = rules.take(told), judged.take(told), fresh[told]
    about = _about(rules, table)
    chosen = [i for kind in ABOUT for i in [i for i, a in enumerate(about) if a == kind][: params.most]]
    order = np.array(chosen, np.int64)
    return Found(
        table, searched, rules.take(order), judged.take(order), [about[i] for i in chosen], fresh[order], len(rules)
    )


def _kinds(rules: Rules, table: Table) -> list[set[int]]:
    return [set(table.origin[list(a + c)].tolist()) for a, c in zip(rules.antecedents, rules.consequents, strict=True)]


def _trivial(rules: Rules, table: Table, train: Transactions, over: str) -> np.ndarray:
    """(R,) whether a rule says nothing by what its items are, or nothing of what is asked for.

    Two items of one column; the label as one of several things that something follows from. Over deep features what
    has none of them, as it is found over items, and what has several beside other items: all are made of the same
    features, and each says most of what the next one does. Nor what a feature and an item say of another item: it is
    the items that are to tell of features, and features of the label. Two directions say something of their shape alone.
    """
    found = repeated(rules, table.attributes, nested(train, table.attributes))
    for i, antecedent in enumerate(rules.antecedents):
        found[i] |= len(antecedent) > 1 and LABEL in table.origin[list(antecedent)]
    if over == "deep":
        for i, (antecedent, consequent) in enumerate(zip(rules.antecedents, rules.consequents, strict=True)):
            before, after = (table.origin[list(of)] for of in (antecedent, consequent))
            deep = int((before == DEEP).sum() + (after == DEEP).sum())
            mixed = len(before) > 1 and DEEP in before and LABEL not in after
            directions = all(table.attributes[item].startswith("direction ") for item in antecedent + consequent)
            found[i] |= mixed or deep == 0 or (deep > 1 and (len(before) > 1 or directions))
    return found


def _leads_to_label(rules: Rules, table: Table) -> np.ndarray:
    return np.array([LABEL in table.origin[list(c)] for c in rules.consequents], bool)


def _tried_for_label(searched: Search, table: Table) -> int:
    """Pairs of a frequent antecedent without the label, and a level of the label."""
    label = set(np.flatnonzero(table.origin == LABEL).tolist())
    levels = sum((item,) in searched.itemsets.counts for item in label)
    shorter = [s for s in searched.itemsets.counts if 0 < len(s) < searched.max_length and label.isdisjoint(s)]
    return len(shorter) * levels


def _about(rules: Rules, table: Table) -> list[str]:
    return ["label" if LABEL in kinds else "features" if kinds == {DEEP} else "other" for kinds in _kinds(rules, table)]


def _told(found: Found, deep: View | None, over: str) -> pa.Table:
    """The kept rules as rows of the store, with held-out rows for and against each."""
    test = found.table.of("test")
    columns = test.matrix.tocsc()
    good, bad = [], []
    for antecedent, consequent in zip(found.rules.antecedents, found.rules.consequents, strict=True):
        # a rule's own columns alone; of True's a sum would be True
        before, after = (columns[:, list(of)].astype(np.int64).sum(1) == len(of) for of in (antecedent, consequent))
        shown = _nearest(test.ids[before & after], test.ids[before & ~after], deep)
        good.append(shown[0])
        bad.append(shown[1])
    return _store(found.rules, found.judgement, over, found.about, found.fresh.tolist(), good, bad)


def _store(
    rules: Rules, judgement: Judgement, over: str, about: list[str], fresh: list[bool], exemplars: list[list[str]],
    counterexamples: list[list[str]],
) -> pa.Table:  # fmt: skip
    names = pa.list_(pa.string())
    more = {
        "over": pa.array([over] * len(rules), pa.string()),
        "about": pa.array(about, pa.string()),
        "tested_on": pa.array(["val" if of_val else "train" for of_val in fresh], pa.string()),
        "exemplars": pa.array(exemplars, names),
        "counterexamples": pa.array(counterexamples, names),
    }
    table = as_table(rules, judgement)
    return pa.table({**more, **{name: table[name] for name in table.column_names}})


def _nearest(good: np.ndarray, bad: np.ndarray, deep: View | None) -> tuple[list[str], list[str]]:
    """The first ids for and against a rule: those nearest the mean of all that are for it, in the deep view."""
    if deep is None or deep.sparse or not len(good):
        return good[:EXEMPLARS].tolist(), bad[:EXEMPLARS].tolist()
    middle = deep.X[rows_of(deep, good)].mean(0)

    def nearest(ids: np.ndarray) -> list[str]:
        distance = np.linalg.norm(deep.X[rows_of(deep, ids)] - middle, axis=1)
        chosen: list[str] = ids[np.argsort(distance, kind="stable")][:EXEMPLARS].tolist()
        return chosen

    return nearest(good), nearest(bad)


def _summary(found: Found, table: pa.Table, confidence: float) -> dict[str, Any]:
    """What is told of the rules over one view."""
    rows = table.to_pylist()
    held = [row["held_up"] for row in rows if row["held_up"] is not None]
    told = ("antecedent", "consequent", "about", "words", "held_out_words", "support", "confidence", "lift",
            "held_out_confidence", "held_out_lift", "held_out_lift_low", "held_out_lift_high", "held_up")  # fmt: skip
    train, test = found.table.of("train"), found.table.of("test")
    return {
        "support": found.searched.support, "max_length": found.searched.max_length,
        "items": len(found.table.all.names), "rows": len(train), "test_rows": len(test),
        "tried": found.rules.tried, "found": len(found.searched.rules), "stood": found.stood, "kept": len(rows),
        "judged": len(held), "held_up": sum(held), "confidence": confidence,
        "about_label": found.about.count("label"), "tested_on_val": int(found.fresh.sum()),
        "left_out": list(found.table.left_out), "meaning": _meaning(found), "sentence": _sentence(found, held, confidence),
        "top": [{n: None if row[n] != row[n] else row[n] for n in told} for row in rows[:TOP]],
    }  # fmt: skip


def _meaning(found: Found) -> dict[str, str]:
    """What the items of the kept rules mean, where their names do not say it."""
    rules = found.rules
    used = {name for a, c in zip(rules.antecedents, rules.consequents, strict=True) for name in rules.named(a + c)}
    return {name: text for name, text in found.table.meaning.items() if name in used}


def _sentence(found: Found, held: list[bool], confidence: float) -> str:
    rules, reached = found.rules, len(found.searched.rules)
    pairs = f"the {rules.tried:,} pairs that were tried on {rules.counts.rows:,} train rows"
    if not reached:
        return f"No rule reaches the thresholds among {pairs}."
    others = f"trivial, redundant, or may be due to chance among {pairs}"
    if not found.stood:
        return f"No rule is significant: all {reached:,} that reach the thresholds are {others}."
    are = "is" if found.stood == 1 else "are"
    text = (
        f"{found.stood:,} of {many(reached, 'rule that reaches', 'rules that reach')} the thresholds {are} significant"
    )
    text += f"; the others are {others}." if reached > found.stood else "."
    if len(rules) < found.stood:
        text += f" The {len(rules):,} with the highest lift are kept."
    if not held:
        if len(found.table.of("test")):
            return f"{text} No test row has the antecedent of any."
        return f"{text} There are no test rows to replicate them on."
    were = "was" if sum(held) == 1 else "were"
    return (
        f"{text} {sum(held):,} of {many(len(held), 'rule', 'rules')} {were} replicated on test rows: the whole "
        f"{confidence * 100:.4g} % interval of the lift is above 1 there, too."
    )


def _write(folder: Path, tables: list[pa.Table], mark: str) -> None:
    """The store of all rules; it has its columns also where there are none."""
    none = np.zeros(0, np.int64)
    nothing = Judgement(np.zeros(0), np.zeros(0), np.zeros(0), None, np.zeros((0, 2)))
    empty = _store(Rules((), (), Counts(0, none, none, none), 0, (), "rows"), nothing, "", [], [], [], [])
    writer = Writer(folder, empty.schema, mark)
    for table in tables:
        writer.add(table)
    total = sum(table.num_rows for table in tables)
    writer.finish({"in": total, "accepted": total, "quarantined": {}})
