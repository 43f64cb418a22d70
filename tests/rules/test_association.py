"""Association rules: counted by hand, against other implementations, against what was published, and against noise."""

import os
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, fisher_exact

from tasks import sources
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tasks.core.text import percent
from tasks.features.binning import Binning, fit_binning, from_columns
from tasks.features.item_matrix import Transactions, from_baskets
from tasks.rules import itemsets as itemsets_module
from tasks.rules.association import Counts, Rules, find, redundant
from tasks.rules.itemsets import count, frequent, least_count
from tasks.rules.pruning import nested, repeated, told_once, twins
from tasks.rules.search import search
from tasks.rules.significance import judge, lift_interval, recount
from tasks.rules.wording import as_table, as_words, times
from tasks.stats.multiple_testing import benjamini_hochberg

DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
GROCERIES = DATA / "groceries.csv"
needs_groceries = pytest.mark.skipif(
    not GROCERIES.is_file(), reason=f"the Groceries baskets are not at {GROCERIES} (DEEPMINE_TEST_DATA)"
)
#: The baskets of Tan, Steinbach and Kumar, Introduction to Data Mining, table 5.1.
MARKET = ("bread milk", "bread diapers beer eggs", "milk diapers beer cola", "bread milk diapers beer",
          "bread milk diapers cola")  # fmt: skip


BASKET = {"basket": Input(modality="basket", columns=("items",))}


def baskets(*texts: str) -> Transactions:
    return from_baskets((str(i), text.split()) for i, text in enumerate(texts, 1))


def groceries() -> Transactions:
    batches = list(sources.tables(Source(path=str(GROCERIES), layout="baskets"), BASKET, 4096))
    return from_baskets((row["id"], row["items"]) for batch in batches for row in batch.table.to_pylist())


def noise(seed: int, n: int, m: int, share: float = 0.1) -> Transactions:
    """Independent items, each in ``share`` of the baskets."""
    cells = np.random.default_rng(seed).random((n, m)) < share
    return Transactions(csr_array(cells), tuple(f"i{i:02}" for i in range(m)), np.arange(n).astype(str))


def pairs(rules: Rules) -> list[tuple[str, str]]:
    return [
        (" ".join(rules.named(a)), " ".join(rules.named(c)))
        for a, c in zip(rules.antecedents, rules.consequents, strict=True)
    ]


def at(rules: Rules, antecedent: str, consequent: str) -> int:
    return pairs(rules).index((antecedent, consequent))


# where transactions come from


def test_space_and_repetition_do_not_count() -> None:
    made = from_baskets(
        [("1", ["milk", " bread ", "milk"]), ("3", ["cheese, hard", "bread"]), ("4", [""]), ("5", ["Äpfel"])]
    )
    assert made.names == ("bread", "cheese, hard", "milk", "Äpfel")
    assert made.matrix.toarray().tolist() == [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert made.matrix.dtype == bool
    assert made.take(np.array([3, 0])).ids.tolist() == ["5", "1"]


# columns of a table


def test_columns_become_items() -> None:
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 80, 400)
    train = pa.table({
        "age": ages, "home": rng.choice(["own", "rent"], 400), "cards": rng.integers(1, 4, 400),
        "member": rng.random(400) < 0.5, "land": ["AT"] * 400,
    })  # fmt: skip
    binning = fit_binning(train, bins=4)
    low, middle, high = binning.cuts["age"]
    names = [f"age < {low:g}", f"{low:g} <= age < {middle:g}", f"{middle:g} <= age < {high:g}", f"age >= {high:g}",
             "home=own", "home=rent", "cards=1", "cards=2", "cards=3", "member=no", "member=yes"]  # fmt: skip
    made = from_columns(train, binning, np.arange(400))
    assert list(made.names) == names
    assert made.kind == "rows"
    assert all(cut == int(cut) for cut in binning.cuts["age"])
    held = made.matrix.toarray()
    assert (held[:, 0] == (ages < low)).all()
    assert (held[:, 2] == ((ages >= middle) & (ages < high))).all()
    assert held[:, :4].sum(0).min() > 80
    assert (held.sum(1) == 4).all()
    other = pa.table({
        "age": [5, 500, None], "home": ["boat", "own", None], "cards": [9, 2, None], "member": [True, None, None],
    })  # fmt: skip
    found = from_columns(other, binning, np.array(["x", "y", "z"]))
    items = [[found.names[i] for i in np.flatnonzero(row)] for row in found.matrix.toarray()]
    assert items == [[names[0], "member=yes"], [names[3], "home=own", "cards=2"], []]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([0.0] * 90 + list(range(1, 11)), ["x < 1", "x >= 1"]),
        ([9.5] * 90 + list(range(9)), ["x < 9", "x >= 9"]),
        ([1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3] * 9, None),
        ([-np.inf, *range(20), np.inf, np.nan], None),
    ],
)
def test_intervals_part_the_values_and_are_named_briefly(values: list[float], names: list[str] | None) -> None:
    table = pa.table({"x": pa.array(values, pa.float64(), from_pandas=True)})
    made = from_columns(table, fit_binning(table, bins=4), np.arange(len(values)))
    assert names is None or list(made.names) == names
    assert made.matrix.sum(0).min() > 0
    assert made.matrix.nnz == len(values) - table["x"].null_count
    assert max(map(len, made.names)) < 20


def test_cuts_of_many_numbers_have_few_digits_and_still_part_them_evenly() -> None:
    values = np.random.default_rng(0).normal(40, 10, 50_000)
    table = pa.table({"x": values})
    made = from_columns(table, fit_binning(table), np.arange(len(values)))
    assert max(map(len, made.names)) <= len("33.3 <= x < 40.0")
    assert np.abs(made.matrix.sum(0) / len(values) - 0.25).max() < 0.021


def test_columns_that_make_no_items_are_told() -> None:
    day = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    with pytest.raises(DeepmineError, match=r"'day' holds date32.*its month"):
        fit_binning(pa.table({"day": day}))
    with pytest.raises(DeepmineError, match="no column of a, b tells"):
        fit_binning(pa.table({"a": [1, 1], "b": pa.nulls(2)}))
    with pytest.raises(DeepmineError, match="no column 'a'"):
        from_columns(pa.table({"b": [1]}), Binning({}, {"a": ("1",)}), np.arange(1))
    with pytest.raises(DeepmineError, match="two items are named 'a=b=c'"):
        from_columns(pa.table({"a": ["b=c"], "a=b": ["c"]}), Binning({}, {"a": ("b=c",), "a=b": ("c",)}), np.arange(1))


# what is frequent


def reference(transactions: Transactions, support: float, max_length: int) -> dict[tuple[int, ...], int]:
    from mlxtend.frequent_patterns import fpgrowth
    from pandas import DataFrame

    found = fpgrowth(DataFrame(transactions.matrix.toarray()), min_support=support, max_len=max_length)
    rows = len(transactions)
    return {tuple(sorted(s)): round(share * rows) for s, share in zip(found.itemsets, found.support, strict=True)}


@pytest.mark.parametrize(
    ("n", "share", "support", "max_length"),
    [(1, 0.5, 1.0, 3), (63, 0.3, 0.05, 10), (64, 0.3, 0.05, 4), (65, 0.5, 0.2, 2), (700, 0.2, 0.011, 10), (300, 0.4, 0.1, 1)],
)  # fmt: skip
def test_frequent_itemsets_are_those_of_fp_growth(n: int, share: float, support: float, max_length: int) -> None:
    transactions = noise(n, n, 12, share)
    found = dict(frequent(transactions, support, max_length).counts)
    assert found.pop(()) == n
    assert found == reference(transactions, support, max_length)


def test_a_support_that_is_met_exactly_is_enough() -> None:
    # 0.07 * 100 is a little over 7 as a float
    assert least_count(0.07, 100) == 7
    for rows in (7, 100, 9835):
        assert [least_count(c / rows, rows) for c in range(1, rows)] == list(range(1, rows))
    transactions = baskets(*["a b"] * 7, *["c"] * 93)
    assert frequent(transactions, 0.07, 2).counts[(0, 1)] == 7


def test_counting_in_other_baskets_is_counting() -> None:
    transactions = noise(1, 200, 6, 0.5)
    cells = transactions.matrix.toarray()
    sets = list(chain.from_iterable(combinations(range(6), k) for k in range(5)))
    assert count(transactions, sets).tolist() == [cells[:, list(s)].all(1).sum() for s in sets]


def test_where_nothing_is_frequent_it_says_what_is_most() -> None:
    with pytest.raises(DeepmineError, match=r"'bread', is in 4\. Lower the support to 0.8"):
        frequent(baskets(*MARKET), 0.9, 3)
    with pytest.raises(DeepmineError, match="hold no items at all"):
        frequent(from_baskets([("1", []), ("2", [""])]), 0.1, 3)


def test_a_search_that_would_fill_the_memory_stops_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    same = baskets(*[" ".join(map(str, range(40)))] * 3)  # 2 ** 40 sets
    monkeypatch.setattr(itemsets_module, "MOST_ITEMSETS", 5_000)
    with pytest.raises(DeepmineError, match=r"more than 5,000 sets of up to 40 items.*Raise the support"):
        frequent(same, 0.5, 40)
    monkeypatch.setattr(itemsets_module, "MOST_BYTES", 1 << 10)
    with pytest.raises(DeepmineError, match=r"GB\. Raise the support"):
        frequent(noise(0, 1000, 20), 0.05, 2)


# rules


def test_measures_are_those_counted_by_hand() -> None:
    rules, found = find(baskets(*MARKET), support=0.4, confidence=0.6)
    i = at(rules, "diapers milk", "beer")
    counts = rules.counts
    assert (counts.both[i], counts.antecedent[i], counts.consequent[i], counts.rows) == (2, 3, 3, 5)
    measures = [counts.support, counts.confidence, counts.lift, counts.leverage, counts.conviction]
    assert [m[i] for m in measures] == pytest.approx([2 / 5, 2 / 3, 10 / 9, 0.04, 1.2])
    certain = at(rules, "beer", "diapers")
    assert [m[certain] for m in measures] == pytest.approx([3 / 5, 1, 5 / 4, 0.12, np.inf])
    assert (np.diff(counts.lift) <= 0).all()
    # all splits of all frequent sets, and no other
    held = baskets(*MARKET).matrix.toarray()
    expected = 0
    for size in (2, 3):
        for whole in combinations(range(6), size):
            both = held[:, whole].all(1).sum()
            for item in whole:
                rest = held[:, [other for other in whole if other != item]].all(1).sum()
                expected += bool(both >= 2 and both / rest >= 0.6)
    assert len(rules) == expected > 10
    # in one basket alone: eggs; cola with bread, cola with beer; bread, milk and beer
    assert found.sizes() == {1: 5, 2: 8, 3: 4}


def test_bounds_on_length_hold() -> None:
    transactions = noise(3, 300, 8, 0.6)
    rules, _ = find(transactions, support=0.1, confidence=0.1, min_length=3, max_length=4, max_consequent=2)
    shapes = {(len(a), len(c)) for a, c in zip(rules.antecedents, rules.consequents, strict=True)}
    assert shapes == {(2, 1), (1, 2), (3, 1), (2, 2)}
    # every set of up to 4 of 8 items is frequent: pairs and triples before one, ones and pairs before two
    assert rules.tried == 28 * 6 + 56 * 5 + 8 * 28 + 28 * 28
    alone, found = find(transactions, support=0.1, confidence=0.1, min_length=1, max_length=1)
    assert (alone.antecedents, alone.tried) == (((),) * 8, 8)
    assert judge(alone, found).q_values.tolist() == [1.0] * 8
    assert alone.counts.lift.tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"support": 0}, "support of 0 is not a fraction"), ({"confidence": 80}, "confidence of 80 is not a fraction"),
        ({"min_length": 4, "max_length": 3}, "no rule has 4 to 3 items"), ({"max_consequent": 0}, "no rule has"),
    ],
)  # fmt: skip
def test_thresholds_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DeepmineError, match=said):
        find(baskets(*MARKET), **{"support": 0.4, "confidence": 0.6, **given})
    with pytest.raises(DeepmineError, match="no baskets"):
        find(from_baskets([]), support=0.4, confidence=0.6)


def test_a_rule_that_says_no_more_than_a_shorter_one_is_redundant() -> None:
    rules, found = find(
        baskets("a b c d", "a b c", "a c d", "b c", "b d", "d", "a b c d", "x"), support=0.1, confidence=0.1
    )
    said = dict(zip(pairs(rules), redundant(rules, found).tolist(), strict=True))
    assert said["a", "c"] is False
    assert said["a b", "c"] is True  # the same confidence
    assert said["b", "c"] is False  # 4/5, above c's own 5/8
    assert said["b d", "c"] is True  # 2/3, below that
    assert said["d", "b"] is True  # 3/5 is not above b's own 5/8
    assert said["a d", "b"] is True  # 2/3 is, but not above 3/4, which a gives alone
    assert said["c d", "a"] is False  # 3/3, where c alone gives 4/5 and d 3/5


def test_order_does_not_depend_on_that_of_baskets_or_items() -> None:
    transactions = noise(5, 400, 8, 0.4)
    first = find(transactions, support=0.1, confidence=0.3)[0]
    rng = np.random.default_rng(0)
    columns = rng.permutation(8)
    names = tuple(transactions.names[i] for i in columns)
    mixed = Transactions(transactions.matrix[:, columns], names, transactions.ids).take(rng.permutation(400))
    second = find(mixed, support=0.1, confidence=0.3)[0]
    assert [(set(a.split()), c) for a, c in pairs(first)] == [(set(a.split()), c) for a, c in pairs(second)]
    ranks = list(zip(-first.counts.lift, -first.counts.both, pairs(first), strict=True))
    assert ranks == sorted(ranks)
    assert len({rank[:1] for rank in ranks}) < len(ranks) > 50  # some are tied


# judgement


def test_tests_are_fishers_and_adjusted_for_all_that_was_tried() -> None:
    transactions = noise(2, 150, 6, 0.4)
    rules, found = find(transactions, support=0.05, confidence=0.5)
    judged = judge(rules, found)
    expected = []
    for both, before, after in zip(rules.counts.both, rules.counts.antecedent, rules.counts.consequent, strict=True):
        table = [[both, before - both], [after - both, 150 - before - after + both]]
        expected.append(fisher_exact(table, alternative="greater").pvalue)
    assert judged.p_values == pytest.approx(expected)
    assert rules.tried > len(rules) > 5
    padded = false_discovery_control([*expected, *[1.0] * (rules.tried - len(rules))])
    assert judged.q_values == pytest.approx(padded[: len(rules)])
    assert len(benjamini_hochberg(np.empty(0), 10)) == 0
    assert (judged.improvement_q_values >= judged.q_values - 1e-12).all()


def test_next_to_nothing_stands_in_noise() -> None:
    seen = stood = fooled = 0
    for seed in range(20):
        # together in 1 % by chance; asking for 1.5 % leaves the luckiest pairs alone
        rules, found = find(noise(seed, 2000, 40), support=0.015, confidence=0.1)
        judged = judge(rules, found)
        seen += len(rules)
        stood += bool((judged.q_values <= 0.05).any())
        fooled += bool((false_discovery_control(judged.p_values) <= 0.05).any())
    assert seen > 100
    assert fooled > 10, "this noise fools who adjusts for the rules alone"
    assert stood <= 3


def planted(seed: int, n: int) -> Transactions:
    """30 independent items, but i02 mostly comes with i00 and i01 together, i04 with i03."""
    rng = np.random.default_rng(seed)
    cells = rng.random((n, 30)) < 0.12
    both = rng.random(n) < 0.05
    cells[both, :2] = True
    cells[:, 2] |= cells[:, 0] & cells[:, 1] & (rng.random(n) < 0.8)
    cells[:, 4] |= cells[:, 3] & (rng.random(n) < 0.5)
    return Transactions(csr_array(cells), tuple(f"i{i:02}" for i in range(30)), np.arange(n).astype(str))


@pytest.mark.parametrize("seed", range(3))
def test_planted_rules_are_recalled_and_hold_on_other_rows(seed: int) -> None:
    everything = planted(seed, 6000)
    train, test = everything.take(np.arange(4000)), everything.take(np.arange(6000) >= 4000)
    rules, found = find(train, support=0.005, confidence=0.3)
    judged = judge(rules, found, test)
    wanted = [at(rules, "i00 i01", "i02"), at(rules, "i03", "i04")]
    assert (judged.improvement_q_values[wanted] < 1e-6).all()
    held = judged.held_out
    assert held is not None
    assert held.rows == 2000
    assert held.lift[wanted] == pytest.approx(rules.counts.lift[wanted], rel=0.2)
    # with any third item what was planted is far from chance, too; but those rules improve nothing
    assert (judged.q_values <= 0.05).sum() > 200
    stands = [
        set(f"{a} {c}".split())
        for (a, c), q in zip(pairs(rules), judged.improvement_q_values, strict=True)
        if q <= 0.05
    ]
    assert all(items <= {"i00", "i01", "i02"} or items == {"i03", "i04"} for items in stands)


def test_held_out_counts_are_of_the_held_out_baskets() -> None:
    rules, found = find(baskets(*MARKET), support=0.4, confidence=0.6)
    names = baskets(*MARKET).names
    cells = np.zeros((3, len(names)), bool)
    cells[0, [names.index(item) for item in ("diapers", "milk", "beer")]] = True
    cells[1, [names.index(item) for item in ("diapers", "milk")]] = True
    other = Transactions(csr_array(cells), names, np.arange(3).astype(str))
    held = judge(rules, found, other).held_out
    assert held is not None
    i = at(rules, "diapers milk", "beer")
    assert (held.both[i], held.antecedent[i], held.consequent[i], held.rows) == (1, 2, 1, 3)
    assert np.isnan(held.confidence[at(rules, "bread", "diapers")])  # nobody bought bread
    with pytest.raises(ValueError, match="other items"):
        recount(rules, baskets("bread"))


@pytest.mark.parametrize(
    ("rows", "antecedent", "with_it", "without"),
    [(200, 0.2, 0.5, 0.2), (300, 0.05, 0.4, 0.1), (100, 0.5, 0.95, 0.3), (2000, 0.02, 0.1, 0.02), (150, 0.3, 0.3, 0.3)],
)
def test_intervals_of_the_lift_cover_it(rows: int, antecedent: float, with_it: float, without: float) -> None:
    rng = np.random.default_rng(rows)
    before = rng.binomial(rows, antecedent, 4000)
    both = rng.binomial(before, with_it)
    counts = Counts(rows, both, before, both + rng.binomial(rows - before, without))
    ends = lift_interval(counts, 0.95)
    share = before / rows  # given how many baskets hold the antecedent
    truth = with_it / (share * with_it + (1 - share) * without)
    covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1]))[before > 0].mean()
    assert 0.93 <= covered <= 0.99
    known = before > 0
    assert np.isnan(ends[~known]).all()
    found = counts.lift[known & (counts.both > 0)]
    assert (ends[known & (counts.both > 0), 0] < found).all()


def test_an_interval_stays_an_interval_at_the_edges() -> None:
    counts = Counts(100, np.array([0, 10, 50, 0]), np.array([10, 10, 100, 0]), np.array([20, 10, 50, 5]))
    ends = lift_interval(counts, 0.95)
    assert ends[0, 0] < 0.5
    assert ends[0, 1] < 5
    assert ends[1, 0] > 1 and ends[1, 1] < 10.1  # noqa: PT018
    assert ends[2] == pytest.approx([1, 1])  # the antecedent is everywhere
    assert np.isnan(ends[3]).all()


def test_rules_that_were_made_to_hold_are_tested_elsewhere_and_families_apart() -> None:
    transactions = planted(0, 3000)
    rules, found = find(transactions, support=0.005, confidence=0.3)
    plain = judge(rules, found)
    first = np.arange(len(rules)) == at(rules, "i03", "i04")
    elsewhere = noise(1, 500, 30)
    moved = judge(rules, found, fresh=(first, elsewhere))
    assert moved.p_values[first] > 0.001 > plain.p_values[first]
    assert (moved.p_values[~first] == plain.p_values[~first]).all()
    again = judge(rules, found, fresh=(np.ones(len(rules), bool), transactions))
    assert again.p_values.tolist() == plain.p_values.tolist()
    assert again.improvement_q_values == pytest.approx(plain.improvement_q_values)
    apart = judge(rules, found, apart=(first, 7))
    assert apart.q_values[first] == pytest.approx(7 * plain.p_values[first])
    assert apart.q_values[~first] == pytest.approx(benjamini_hochberg(plain.p_values[~first], rules.tried - 7))


# what is left out


def test_what_implies_each_other_by_what_it_is() -> None:
    held = baskets("a30 a60 red x y", "a30 red x", "red y", "a30 a60 x y", "a30 blue", "blue x")
    kind = {"a30": "age", "a60": "age", "red": "colour", "blue": "colour", "x": "goods", "y": "goods"}
    attributes = [kind[name] for name in held.names]
    assert nested(held, attributes) == {"age", "colour"}
    rules, _ = find(held, support=0.1, confidence=0.1)
    told = dict(zip(pairs(rules), repeated(rules, attributes, {"age", "colour"}).tolist(), strict=True))
    assert told["a60", "a30"]
    assert told["a60 x", "a30"]
    assert not told["x", "y"]
    assert not told["a30", "x"]


def test_twins_and_other_words() -> None:
    held = baskets("a b c", "a b", "c", "a b c", "d")
    assert {held.names[i]: held.names[first] for i, first in twins(held).items()} == {"b": "a"}
    rules, _ = find(baskets("a b c", "a b", "a c", "a b c d", "b", "d"), support=0.1, confidence=0.1, max_length=2)
    kept = rules.take(told_once(rules, np.array([c == "a" for _, c in pairs(rules)])))
    found = pairs(kept)
    assert len({frozenset(pair) for pair in found}) == len(found)
    assert all("a" not in a for a, _ in found)
    # of equal lifts the more certain
    assert ("d", "b") in found


# where no support is given


def test_the_support_is_the_lowest_with_few_enough_itemsets(monkeypatch: pytest.MonkeyPatch) -> None:
    transactions = noise(0, 1000, 20, 0.3)
    monkeypatch.setattr("tasks.rules.search.MOST", 250)
    found = search(transactions, None, 0.1, 3)
    assert len(found.itemsets.counts) <= 251
    assert (found.support, found.max_length) == (0.05, 3)  # all pairs, in 9 %, but few triples, in 2.7 %
    monkeypatch.setattr("tasks.rules.search.MOST", 150)
    assert search(transactions, None, 0.1, 3).support > 0.05
    monkeypatch.setattr("tasks.rules.search.MOST", 30_000)
    assert search(transactions, None, 0.1, 3).support == 0.01  # ten baskets
    same = search(transactions, 0.2, 0.1, 3)
    assert same.support == 0.2
    wide = noise(1, 400, 60, 0.5)
    assert search(wide, None, 0.1, 3).rules.counts.both.min() >= 10
    with pytest.raises(DeepmineError, match="nothing is in at least 10 of 9 baskets"):
        search(noise(0, 9, 5, 0.9), None, 0.1, 3)


# what is said


def test_a_rule_is_told_in_words() -> None:
    rules, _ = find(baskets(*MARKET), support=0.4, confidence=0.6)
    assert as_words(rules, at(rules, "diapers milk", "beer")) == (
        "who buys diapers and milk also buys beer: 40.0 % of the baskets, 66.7 % of those (1.1 times as often as in all)"
    )
    table = pa.table({"age": [20, 30, 40, 50, 60, 70], "home": ["rent"] * 3 + ["own"] * 3})
    rows = from_columns(table, fit_binning(table, bins=2), np.arange(6))
    rules, _ = find(rows, support=0.4, confidence=0.6, min_length=1)
    assert as_words(rules, at(rules, "age < 50", "home=rent")) == (
        "with age < 50 comes home=rent: 50.0 % of the rows, 100 % of those (2 times as often as in all)"
    )
    assert as_words(find(rows, support=0.4, confidence=0.4, min_length=1)[0], -1).endswith("in 50.0 % of the rows")


def test_numbers_are_short_and_not_wrong() -> None:
    shares = [percent(s) for s in (1, 0.99996, 0.9997, 0.994, 0.34, 0.0099, 0.00193, 0.00001, 0)]
    assert shares == [
        "100 %", "over 99.99 %", "99.97 %", "99.4 %", "34.0 %", "0.99 %", "0.19 %", "under 0.01 %", "0 %"
    ]  # fmt: skip
    assert [times(lift) for lift in (11235.1, 11.2, 3.07, 1.002, 0.834)] == [
        "11,235 times", "11 times", "3.1 times", "just", "0.83 times",
    ]  # fmt: skip


def test_the_table_holds_every_rule_and_figure() -> None:
    transactions = baskets(*MARKET)
    rules, found = find(transactions, support=0.4, confidence=0.6)
    table = as_table(rules, judge(rules, found, transactions))
    row = table.to_pylist()[at(rules, "diapers milk", "beer")]
    assert (row["antecedent"], row["consequent"], row["count"]) == (["diapers", "milk"], ["beer"], 2)
    assert (row["antecedent_count"], row["consequent_count"]) == (3, 3)
    assert (row["held_out_count"], row["held_out_lift"], row["lift"]) == (
        2,
        pytest.approx(10 / 9),
        row["held_out_lift"],
    )
    assert row["p_value"] == pytest.approx(0.7)  # 1 - P(one of three in the draw of three): (9 - 3 + 1) / 10
    unjudged = as_table(rules, judge(rules, found))
    assert unjudged["held_out_lift"].null_count == len(rules) == unjudged.num_rows
    none, found = find(transactions, support=0.9 - 0.1, confidence=1.0)
    empty = as_table(none, judge(none, found, transactions))
    assert empty.schema == table.schema == unjudged.schema
    assert empty.num_rows == 0


# Groceries: Hahsler, Hornik and Reutterer (2006), in arules


@needs_groceries
@pytest.mark.parametrize(
    ("support", "confidence", "min_length", "rules"),
    [(0.001, 0.8, 1, 410), (0.01, 0.5, 1, 15), (0.006, 0.25, 2, 463), (0.006, 0.25, 1, 464)],
)
def test_groceries_give_as_many_rules_as_arules(support: float, confidence: float, min_length: int, rules: int) -> None:
    transactions = groceries()
    assert transactions.matrix.shape == (9835, 169)
    assert transactions.matrix.nnz == 43367
    found, _ = find(transactions, support=support, confidence=confidence, min_length=min_length)
    assert len(found) == rules


@needs_groceries
def test_the_best_rules_of_groceries_are_the_published_ones() -> None:
    transactions = groceries()
    rules, found = find(transactions, support=0.006, confidence=0.25)
    assert pairs(rules)[0] == ("herbs", "root vegetables")
    counts: Counts = rules.counts.take(np.array([0]))
    assert counts.support[0] == pytest.approx(0.007016, abs=1e-6)
    assert counts.confidence[0] == pytest.approx(0.4312500)
    assert counts.lift[0] == pytest.approx(3.956477, abs=1e-6)
    assert 0 < redundant(rules, found).sum() < 100
    rules, _ = find(transactions, support=0.001, confidence=0.8)
    assert as_words(rules, 0) == (
        "who buys liquor and red/blush wine also buys bottled beer: 0.19 % of the baskets, 90.5 % of those "
        "(11 times as often as in all)"
    )


def test_zero_has_no_sign() -> None:
    table = pa.table({"z": [-0.0, 0.0, 1.0]})
    assert from_columns(table, fit_binning(table), np.arange(3)).names == ("z=0", "z=1")
