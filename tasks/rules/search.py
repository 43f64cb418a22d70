"""Rules at the support that a person gives, or at the lowest at which there are not too many."""

from dataclasses import dataclass

from tasks.core.errors import DeepmineError
from tasks.features.item_matrix import Transactions
from tasks.rules.association import Rules, derive, find
from tasks.rules.itemsets import Itemsets, TooMany, frequent, least_count

#: Supports that are tried, from the highest down.
STEPS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001)
#: Frequent itemsets that are searched at most where nobody gives a support: seconds, and enough for hundreds of rules.
MOST = 30_000
#: A support that leaves out much that is worth knowing; shorter rules at a lower one say more.
COARSE = 0.1
#: Baskets that an itemset is in at least then; what is seen less often can hardly be told from chance.
FEWEST = 10


@dataclass(frozen=True)
class Search:
    """What was found, and the bounds that it was found within."""

    rules: Rules
    itemsets: Itemsets
    support: float
    max_length: int


def search(
    transactions: Transactions, support: float | None, confidence: float, max_length: int, min_length: int = 2
) -> Search:
    """Rules of train baskets at ``support``; None: at the lowest of `STEPS` with at most `MOST` frequent itemsets.

    Where that is above `COARSE`, shorter rules are looked for in its stead, if these allow a lower one.

    Raises:
        TooMany: at the support that was given.
        DeepmineError: nothing is frequent; as `find`.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([(str(i), ["bread", "milk"] if i % 2 else ["eggs"]) for i in range(40)])
    >>> found = search(baskets, None, confidence=0.9, max_length=2)
    >>> found.support, len(found.rules)
    (0.3, 2)
    """
    if support is not None:
        rules, itemsets = find(
            transactions, support=support, confidence=confidence, min_length=min_length, max_length=max_length
        )
        return Search(rules, itemsets, support, max_length)
    best: tuple[float, int, Itemsets] | None = None
    for length in range(max_length, min_length - 1, -1):
        found = _lowest(transactions, length)
        if found is not None and (best is None or found[0] < best[0]):
            best = found[0], length, found[1]
        if best is not None and best[0] <= COARSE:
            break
    if best is None:
        raise DeepmineError(
            f"nothing is in at least {FEWEST} of {len(transactions):,} {transactions.kind}, or nearly everything is."
        )
    chosen, length, itemsets = best
    return Search(derive(itemsets, confidence, min_length, length, 1, transactions), itemsets, chosen, length)


def _lowest(transactions: Transactions, max_length: int) -> tuple[float, Itemsets] | None:
    """The lowest support with few enough itemsets, and these; None where there is none."""
    found = None
    for support in STEPS:
        if least_count(support, len(transactions)) < FEWEST:
            break
        try:
            found = support, frequent(transactions, support, max_length, MOST)
        except TooMany:
            break
        except DeepmineError:  # nothing is as frequent as that
            continue
    return found
