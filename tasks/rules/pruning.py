"""What is left out before and after a search: items that say nothing, and facts that are told more than once."""

from collections.abc import Sequence

import numpy as np

from tasks.features.item_matrix import Transactions
from tasks.rules.association import Rules

#: Share of the baskets above which an item is common: there is next to nothing left that it could go with.
COMMON = 0.95


def common(transactions: Transactions) -> np.ndarray:
    """(M,) whether more than `COMMON` of the baskets hold an item.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([("1", ["bag", "milk"]), ("2", ["bag"])])
    >>> common(baskets).tolist()
    [True, False]
    """
    held = np.bincount(transactions.matrix.indices, minlength=len(transactions.names))
    return held > COMMON * len(transactions)


def twins(transactions: Transactions) -> dict[int, int]:
    """Items that the very same baskets hold as an earlier item does: position -> that of the earlier one.

    They are one fact under two names (a column that was copied), and would imply each other for ever.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([("1", ["bag", "receipt"]), ("2", ["milk"])])
    >>> twins(baskets)
    {2: 0}
    """
    columns = transactions.matrix.tocsc()
    columns.sort_indices()
    first: dict[bytes, int] = {}
    found = {}
    for item in range(len(transactions.names)):
        baskets = columns.indices[columns.indptr[item] : columns.indptr[item + 1]]
        if len(baskets):
            earlier = first.setdefault(baskets.tobytes(), item)
            if earlier != item:
                found[item] = earlier
    return found


def nested(transactions: Transactions, attributes: Sequence[str]) -> set[str]:
    """Attributes of which each basket holds one item, or several where one of them always brings the other.

    Such items imply each other by what they are (`age >= 60` and `age >= 30`), and say nothing together. Of goods or
    tags, of which a basket holds any, some two go together in part of their baskets.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([("1", ["age>=30", "age>=60"]), ("2", ["age>=30", "milk"])])
    >>> nested(baskets, ["age", "age", "goods"]) == {"age", "goods"}
    True
    """
    found = set()
    places: dict[str, list[int]] = {}
    for item, attribute in enumerate(attributes):
        places.setdefault(attribute, []).append(item)
    for attribute, items in places.items():
        if len(items) == 1:
            found.add(attribute)
            continue
        own = transactions.matrix[:, items].astype(np.int64)
        together = (own.T @ own).tocoo()  # (m, m) baskets with both
        alone = own.sum(0)
        rows, columns = together.coords
        partly = (rows != columns) & (together.data < np.minimum(alone[rows], alone[columns]))
        if not partly.any():
            found.add(attribute)
    return found


def repeated(rules: Rules, attributes: Sequence[str], own: set[str]) -> np.ndarray:
    """(R,) whether two items of a rule are of one attribute among ``own``.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([("1", ["age>=30", "age>=60"]), ("2", ["milk"])])
    >>> rules, _ = find(baskets, support=0.5, confidence=0.9)
    >>> repeated(rules, ["age", "age", "goods"], {"age"}).tolist()
    [True, True]
    """
    found = np.zeros(len(rules), bool)
    for i, (antecedent, consequent) in enumerate(zip(rules.antecedents, rules.consequents, strict=True)):
        kinds = [attributes[item] for item in antecedent + consequent if attributes[item] in own]
        found[i] = len(set(kinds)) < len(kinds)
    return found


def told_once(rules: Rules, preferred: np.ndarray) -> np.ndarray:
    """(R,) mask that keeps one rule of each set of items: the same baskets tell them all, in other words.

    Of several the ``preferred`` (R,) ones, then that of the highest lift, then of the highest confidence.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["eggs"])])
    >>> rules, _ = find(baskets, support=0.5, confidence=0.9)
    >>> told_once(rules, np.array([False, True])).tolist()
    [False, True]
    """
    best: dict[tuple[int, ...], int] = {}
    lift, confidence = rules.counts.lift, rules.counts.confidence
    for i, (antecedent, consequent) in enumerate(zip(rules.antecedents, rules.consequents, strict=True)):
        whole = tuple(sorted(antecedent + consequent))
        other = best.get(whole)
        if other is None or (preferred[i], lift[i], confidence[i]) > (preferred[other], lift[other], confidence[other]):
            best[whole] = i
    kept = np.zeros(len(rules), bool)
    kept[list(best.values())] = True
    return kept
