"""Association rules of frequent itemsets, their measures, and which of them a more general one makes redundant."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tasks.core.errors import DeepmineError
from tasks.features.item_matrix import Kind, Transactions
from tasks.rules.itemsets import Itemsets, frequent

Items = tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """How often R rules hold in N baskets, and the usual measures of that (R,); NaN where they divide by nothing.

    Attributes:
        rows: N.
        both: (R,) baskets with antecedent and consequent.
        antecedent, consequent: (R,) baskets with the one and with the other.
    """

    rows: int
    both: np.ndarray
    antecedent: np.ndarray
    consequent: np.ndarray

    @property
    def support(self) -> np.ndarray:
        """P(A and C)."""
        return _ratio(self.both, np.full(len(self.both), self.rows))

    @property
    def confidence(self) -> np.ndarray:
        """P(C | A)."""
        return _ratio(self.both, self.antecedent)

    @property
    def lift(self) -> np.ndarray:
        """P(A and C) / (P(A) P(C)) (Brin et al. 1997): 1 where they are independent."""
        # by one division of whole numbers, so that equal lifts are equal numbers
        return _ratio(self.both * self.rows, self.antecedent * self.consequent)

    @property
    def leverage(self) -> np.ndarray:
        """P(A and C) - P(A) P(C) (Piatetsky-Shapiro 1991)."""
        return _ratio(self.both * self.rows - self.antecedent * self.consequent, np.full(len(self.both), self.rows**2))

    @property
    def conviction(self) -> np.ndarray:
        """P(A) P(not C) / P(A and not C) (Brin et al. 1997): infinite where the rule always holds."""
        return _ratio(self.antecedent * (self.rows - self.consequent), self.rows * (self.antecedent - self.both))

    def take(self, rows: np.ndarray) -> "Counts":
        """Those of the rules at ``rows``, positions or an (R,) mask."""
        return Counts(self.rows, self.both[rows], self.antecedent[rows], self.consequent[rows])


@dataclass(frozen=True)
class Rules:
    """R rules over the same items.

    Attributes:
        antecedents, consequents: positions of the items of each rule, rising.
        counts: in the baskets that they were found in.
        tried: pairs of antecedent and consequent that could have become a rule, by their own frequency.
        names, kind: of the items and baskets, as `Transactions` has them.
    """

    antecedents: tuple[Items, ...]
    consequents: tuple[Items, ...]
    counts: Counts
    tried: int
    names: tuple[str, ...]
    kind: Kind

    def __len__(self) -> int:
        return len(self.antecedents)

    def take(self, rows: np.ndarray) -> "Rules":
        """The rules at ``rows``, positions or an (R,) mask."""
        chosen = np.arange(len(self))[rows].tolist()
        antecedents, consequents = (tuple(of[i] for i in chosen) for of in (self.antecedents, self.consequents))
        return Rules(antecedents, consequents, self.counts.take(rows), self.tried, self.names, self.kind)

    def named(self, items: Items) -> list[str]:
        """The names of ``items``."""
        return [self.names[item] for item in items]


def find(
    transactions: Transactions, *, support: float, confidence: float, min_length: int = 2, max_length: int = 10,
    max_consequent: int = 1,
) -> tuple[Rules, Itemsets]:  # fmt: skip
    """Rules of train baskets, best lift first, and the itemsets that they come of.

    The same thresholds give the same rules as `apriori` of arules (Hahsler et al. 2005, doi:10.18637/jss.v014.i15).

    Args:
        support, confidence: shares that a rule reaches at least.
        min_length, max_length: items of antecedent and consequent together; 1 is a rule without an antecedent.
        max_consequent: items of the consequent, at most.

    Raises:
        DeepmineError: as `frequent`; a confidence that is no share, or bounds that no rule can meet.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["bread", "milk"]), ("3", ["eggs"])])
    >>> rules, itemsets = find(baskets, support=0.5, confidence=0.9)
    >>> [(rules.named(a), rules.named(c)) for a, c in zip(rules.antecedents, rules.consequents)]
    [(['bread'], ['milk']), (['milk'], ['bread'])]
    >>> rules.counts.lift.tolist()
    [1.5, 1.5]
    """
    if not 0 <= confidence <= 1:
        raise DeepmineError(f"the confidence of {confidence:g} is not a fraction: give a number from 0 to 1.")
    if not 1 <= min_length <= max_length or max_consequent < 1:
        raise DeepmineError(
            f"no rule has {min_length} to {max_length} items, of which up to {max_consequent} follow from the others. "
            "Give whole numbers from 1, the longer bound last."
        )
    itemsets = frequent(transactions, support, max_length)
    rules = derive(itemsets, confidence, min_length, max_length, max_consequent, transactions)
    return rules, itemsets


def derive(
    itemsets: Itemsets, confidence: float, min_length: int, max_length: int, max_consequent: int, of: Transactions
) -> Rules:
    """The rules of ``itemsets`` that reach ``confidence``: by falling lift, then falling count, then by name.

    >>> from tasks.features.item_matrix import from_baskets
    >>> from tasks.rules.itemsets import frequent
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["bread", "milk"]), ("3", ["bread"])])
    >>> rules = derive(frequent(baskets, 0.5, 2), 0.9, 2, 2, 1, baskets)
    >>> rules.antecedents, rules.consequents, rules.counts.confidence.tolist()
    (((1,),), ((0,),), [1.0])
    """
    antecedents: list[Items] = []
    consequents: list[Items] = []
    numbers = []
    for antecedent, consequent, both in _splits(itemsets, min_length, max_consequent):
        before = itemsets.counts[antecedent]
        if both / before >= confidence:
            antecedents.append(antecedent)
            consequents.append(consequent)
            numbers.append((both, before, itemsets.counts[consequent]))
    columns = np.array(numbers, np.int64).reshape(-1, 3).T
    counts = Counts(itemsets.rows, *columns)
    tried = _tried(itemsets.sizes(), min_length, max_length, max_consequent)
    rules = Rules(tuple(antecedents), tuple(consequents), counts, tried, of.names, of.kind)
    lift = counts.lift
    order = sorted(
        range(len(rules)),
        key=lambda i: (-lift[i], -counts.both[i], rules.named(antecedents[i]), rules.named(consequents[i])),
    )
    return rules.take(np.array(order, np.int64))


def redundant(rules: Rules, itemsets: Itemsets) -> np.ndarray:
    """(R,) whether a more general rule has the same or a higher confidence: same consequent, part of the antecedent.

    As `is.redundant` of arules (Bayardo et al. 2000). The empty antecedent is one such part, so a rule that does not
    raise the frequency of its consequent is redundant.

    >>> from tasks.features.item_matrix import from_baskets
    >>> baskets = from_baskets([("1", ["bread", "milk"]), ("2", ["bread"]), ("3", ["bread", "milk"])])
    >>> redundant(*find(baskets, support=0.5, confidence=0.5)).tolist()
    [True, True]
    """
    known = itemsets.counts
    found = np.zeros(len(rules), bool)
    for i, own in enumerate(rules.counts.confidence.tolist()):
        antecedent, consequent = rules.antecedents[i], rules.consequents[i]
        parts = (part for length in range(len(antecedent)) for part in combinations(antecedent, length))
        found[i] = any(known[tuple(sorted(part + consequent))] / known[part] >= own for part in parts)
    return found


def _splits(itemsets: Itemsets, min_length: int, max_consequent: int) -> Iterator[tuple[Items, Items, int]]:
    """Each way to part a frequent set into antecedent and consequent, and how often the whole occurs."""
    for whole, both in itemsets.counts.items():
        if len(whole) < min_length:
            continue
        for length in range(1, max_consequent + 1):
            # an empty antecedent is a rule of one item alone, as arules has it
            if length < len(whole) or length == len(whole) == 1:
                for consequent in combinations(whole, length):
                    yield tuple(item for item in whole if item not in consequent), consequent, both


def _tried(sizes: dict[int, int], min_length: int, max_length: int, max_consequent: int) -> int:
    """Pairs of a frequent antecedent and a frequent consequent within the bounds, whether or not they go together.

    Exact for single consequents; for longer ones an upper bound, as pairs that share items are counted with them.
    """
    total = sizes.get(1, 0) if min_length == 1 else 0  # without an antecedent
    for length, antecedents in sizes.items():
        for after, consequents in sizes.items():
            if after <= max_consequent and min_length <= length + after <= max_length:
                total += antecedents * (consequents - (length if after == 1 else 0))
    return total


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(a / b, np.float64)
