"""Which rules to believe: tested against chance among all that were tried, and measured again on held-out baskets."""

from dataclasses import dataclass

import numpy as np

from tasks.rules.association import Counts, Rules
from tasks.rules.itemsets import Itemsets, count
from tasks.rules.transactions import Transactions


@dataclass(frozen=True)
class Judgement:
    """What R rules are worth.

    Attributes:
        p_values: (R,) of Fisher's exact test that the consequent is more frequent with the antecedent than without.
        q_values: (R,) the same, adjusted for all that was tried: those at most 0.05 hold 5 % false ones on average.
        improvement_q_values: (R,) the same for a stricter question: whether each item of the antecedent adds to it.
        held_out: counts in baskets that the rules were not found in; None where there are none.
    """

    p_values: np.ndarray
    q_values: np.ndarray
    improvement_q_values: np.ndarray
    held_out: Counts | None


def judge(rules: Rules, itemsets: Itemsets, held_out: Transactions | None = None) -> Judgement:
    """Test ``rules`` on the baskets that they and ``itemsets`` were found in, and count them in ``held_out``.

    Fisher's exact test, one-sided; Benjamini and Hochberg's (1995) control of the false-discovery rate over all pairs
    of antecedent and consequent that were tried, not over the rules alone: only pairs that are together often enough
    became rules, so those are the largest of many by choice (Webb 2007, doi:10.1007/s10994-007-5006-x). With
    the rest counted as p = 1, independent items hardly ever give a rule that stands.
    """
    counts = rules.counts
    p_values = fisher(counts.both, counts.antecedent, counts.consequent, counts.rows)
    improvement = np.maximum(p_values, _improvement(rules, itemsets))
    held = None if held_out is None else recount(rules, held_out)
    return Judgement(p_values, adjusted(p_values, rules.tried), adjusted(improvement, rules.tried), held)


def fisher(both: np.ndarray, antecedent: np.ndarray, consequent: np.ndarray, rows: np.ndarray | int) -> np.ndarray:
    """(R,) p-values of Fisher's exact test: so many or more of ``both`` by chance, all else given."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(both - 1, rows, consequent, antecedent), np.float64)


def adjusted(p_values: np.ndarray, tried: int) -> np.ndarray:
    """(R,) as Benjamini and Hochberg adjust the p-values of R of ``tried`` tests, where the others gave 1."""
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return p_values
    return np.asarray(np.minimum(false_discovery_control(p_values) * (tried / len(p_values)), 1.0), np.float64)


def recount(rules: Rules, transactions: Transactions) -> Counts:
    """How often ``rules`` hold in other baskets over the same items."""
    if transactions.names != rules.names:
        raise ValueError("other items than those that the rules are about")
    wholes = [a + c for a, c in zip(rules.antecedents, rules.consequents, strict=True)]
    both, before, after = (count(transactions, sets) for sets in (wholes, rules.antecedents, rules.consequents))
    return Counts(len(transactions), both, before, after)


def _improvement(rules: Rules, itemsets: Itemsets) -> np.ndarray:
    """(R,) the largest p-value of those against each rule with one item less in its antecedent.

    Fisher's test among the baskets with those other items: is the consequent more frequent where the item is, too?
    (Webb 2007 calls what passes productive.)
    """
    known = itemsets.counts
    tables, owner = [], []
    for i, (antecedent, consequent) in enumerate(zip(rules.antecedents, rules.consequents, strict=True)):
        for item in antecedent:
            rest = tuple(other for other in antecedent if other != item)
            both, own = int(rules.counts.both[i]), known[antecedent]
            tables.append((both, own, known[tuple(sorted(rest + consequent))], known[rest]))
            owner.append(i)
    largest = np.zeros(len(rules))
    np.maximum.at(largest, np.array(owner, np.int64), fisher(*np.array(tables, np.int64).reshape(-1, 4).T))
    return largest
