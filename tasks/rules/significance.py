"""Which rules to believe: tested against chance among all that were tried, and measured again on held-out baskets."""

from dataclasses import dataclass, replace

import numpy as np

from tasks.features.item_matrix import Transactions
from tasks.rules.association import Counts, Rules
from tasks.rules.itemsets import Itemsets, count
from tasks.stats.fisher import fisher
from tasks.stats.multiple_testing import benjamini_hochberg


@dataclass(frozen=True)
class Judgement:
    """What R rules are worth.

    Attributes:
        p_values: (R,) of Fisher's exact test that the consequent is more frequent with the antecedent than without.
        q_values: (R,) the same, adjusted for all that was tried: those at most 0.05 hold 5 % false ones on average.
        improvement_q_values: (R,) the same for a stricter question: whether each item of the antecedent adds to it.
        held_out: counts in baskets that the rules were not found in; None where there are none.
        interval: (R, 2) of the lift in these, NaN where they hold no antecedent.
    """

    p_values: np.ndarray
    q_values: np.ndarray
    improvement_q_values: np.ndarray
    held_out: Counts | None
    interval: np.ndarray

    @property
    def held_up(self) -> np.ndarray:
        """(R,) whether held-out baskets bear a rule out by themselves: the whole interval of its lift is above 1."""
        return np.asarray(self.interval[:, 0] > 1)

    def take(self, rows: np.ndarray) -> "Judgement":
        """Those of the rules at ``rows``, positions or an (R,) mask."""
        held = None if self.held_out is None else self.held_out.take(rows)
        p_values, q_values = self.p_values[rows], self.q_values[rows]
        return Judgement(p_values, q_values, self.improvement_q_values[rows], held, self.interval[rows])


def judge(
    rules: Rules, itemsets: Itemsets, held_out: Transactions | None = None,
    fresh: tuple[np.ndarray, Transactions] | None = None, apart: tuple[np.ndarray, int] | None = None,
    confidence: float = 0.95,
) -> Judgement:  # fmt: skip
    """Test ``rules`` on the baskets that they and ``itemsets`` were found in, and count them in ``held_out``.

    Fisher's exact test, one-sided; Benjamini and Hochberg's (1995) control of the false-discovery rate over all pairs
    of antecedent and consequent that were tried, not over the rules alone: only pairs that are together often enough
    became rules, so those are the largest of many by choice (Webb 2007, doi:10.1007/s10994-007-5006-x). With
    the rest counted as p = 1, independent items hardly ever give a rule that stands.

    Args:
        fresh: an (R,) mask of rules that the first baskets cannot test, as their items were made to agree there, and
            the baskets that do.
        apart: an (R,) mask of rules that were asked for by themselves, and how many such pairs were tried; they are
            adjusted for those alone, and the others for the rest (families of tests, Benjamini and Bogomolov 2014).

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([(str(i), ["bread", "milk"] if i % 2 else ["eggs"]) for i in range(40)])
    >>> found = judge(*find(baskets, support=0.4, confidence=0.9), held_out=baskets)
    >>> found.held_up.tolist(), bool((found.q_values < 0.05).all())
    ([True, True], True)
    """
    p_values, improvement = tested(rules, itemsets)
    if fresh is not None:
        mask, others = fresh
        p_values[mask], improvement[mask] = tested(*elsewhere(rules.take(mask), others))
    held = None if held_out is None else recount(rules, held_out)
    interval = np.full((len(rules), 2), np.nan) if held is None else lift_interval(held, confidence)
    own, tried = apart or (np.zeros(len(rules), bool), 0)
    q_values, improved = np.ones(len(rules)), np.ones(len(rules))
    for mask, count_of in ((own, tried), (~own, rules.tried - tried)):
        q_values[mask], improved[mask] = (benjamini_hochberg(p[mask], count_of) for p in (p_values, improvement))
    return Judgement(p_values, q_values, improved, held, interval)


def tested(rules: Rules, itemsets: Itemsets) -> tuple[np.ndarray, np.ndarray]:
    """(R,) p-values of each rule, and (R,) the largest of these and of what each item of its antecedent adds.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([(str(i), ["bread", "milk"] if i % 2 else ["eggs"]) for i in range(8)])
    >>> p_values, improvement = tested(*find(baskets, support=0.4, confidence=0.9))
    >>> p_values.round(4).tolist()
    [0.0143, 0.0143]
    """
    counts = rules.counts
    p_values = fisher(counts.both, counts.antecedent, counts.consequent, counts.rows)
    return p_values, np.maximum(p_values, _improvement(rules, itemsets))


def elsewhere(rules: Rules, transactions: Transactions) -> tuple[Rules, Itemsets]:
    """The same rules with their counts in other baskets, and of these what `tested` asks for.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["eggs"])])
    >>> rules, _ = find(baskets, support=0.5, confidence=0.9)
    >>> again, itemsets = elsewhere(rules, baskets.take(np.array([0])))
    >>> again.counts.both.tolist(), itemsets.rows
    ([1, 1], 1)
    """
    needed: set[tuple[int, ...]] = {()}
    for antecedent, consequent in zip(rules.antecedents, rules.consequents, strict=True):
        needed.add(antecedent)
        for item in antecedent:
            rest = tuple(other for other in antecedent if other != item)
            needed |= {rest, tuple(sorted(rest + consequent))}
    sets = sorted(needed)
    found = dict(zip(sets, count(transactions, sets).tolist(), strict=True))
    return replace(rules, counts=recount(rules, transactions)), Itemsets(found, len(transactions))


def lift_interval(counts: Counts, confidence: float) -> np.ndarray:
    """(R, 2) confidence intervals of the lift, given how many baskets hold the antecedent; NaN where none does.

    P(C) is a mean of P(C | A) and P(C | not A), so the lift grows with their ratio and with nothing else. That has the
    log interval of Katz et al. (1978, doi:10.2307/2530610), with half a basket added to each count (Walter 1975,
    doi:10.1093/biomet/62.2.371), so that there is one where a count is zero, too.

    >>> counts = Counts(100, np.array([20]), np.array([25]), np.array([40]))
    >>> counts.lift.tolist(), lift_interval(counts, 0.95).round(2).tolist()
    ([2.0], [[1.58, 2.4]])
    """
    from scipy.stats import norm

    inside, outside = counts.antecedent.astype(np.float64), counts.rows - counts.antecedent.astype(np.float64)
    hits, others = counts.both + 0.5, counts.consequent - counts.both + 0.5
    ratio = np.log(hits / (inside + 0.5)) - np.log(others / (outside + 0.5))
    spread = np.sqrt(1 / hits - 1 / (inside + 0.5) + 1 / others - 1 / (outside + 0.5))
    ends = np.exp(ratio[:, None] + norm.ppf((1 + confidence) / 2) * spread[:, None] * np.array([-1.0, 1.0]))  # (R, 2)
    share = inside[:, None] / max(counts.rows, 1)
    return np.where(inside[:, None] > 0, 1 / (share + (1 - share) / ends), np.nan)


def recount(rules: Rules, transactions: Transactions) -> Counts:
    """How often ``rules`` hold in other baskets over the same items.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.association import find
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["eggs"])])
    >>> rules, _ = find(baskets, support=0.5, confidence=0.9)
    >>> recount(rules, baskets.take(np.array([1]))).both.tolist()
    [0, 0]
    """
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
