"""Every two verdicts: exact p-values by hand, no alarm among equals, and who is as good as the best."""

import numpy as np
import pytest
from scipy.stats import binomtest, wilcoxon

from tasks.evaluation.comparisons import comparisons
from tasks.stats.multiple_testing import holm
from tasks.stats.paired_tests import mcnemar, signed_ranks
from tasks.stats.resampling import Resampling
from tests.fixtures.written import written


def test_mcnemar_and_holm_by_hand() -> None:
    a = np.array([1] * 10 + [0] * 2 + [1] * 30, bool)
    b = np.array([0] * 10 + [1] * 2 + [1] * 30, bool)
    assert mcnemar(a, b) == pytest.approx(binomtest(2, 12, 0.5).pvalue)
    assert mcnemar(a, a) == 1
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.empty(0)).tolist() == []


def test_numbers_are_compared_by_signed_ranks() -> None:
    rng = np.random.default_rng(0)
    a = rng.exponential(1, 50)
    b = a + rng.normal(0.2, 0.3, 50)
    assert signed_ranks(a - b) == pytest.approx(wilcoxon(a, b, method="asymptotic").pvalue)
    assert signed_ranks(np.zeros(9)) == 1
    found = written(comparisons({"a": a, "b": b, "c": a}, "a", False, Resampling(0.95, 500, 0)))
    assert found["names"][:2] == ["a", "c"]
    assert [one["name"] for one in found["alike"]] == ["c"]
    pair = next(p for p in found["pairs"] if (p["a"], p["b"]) == ("a", "b"))
    assert pair["difference"] == pytest.approx((a - b).mean())
    low, high = pair["interval"]
    assert low < pair["difference"] < high < 0
    # bounds of what bootstrap means would be by the normal distribution
    assert high - low == pytest.approx(2 * 1.96 * (a - b).std() / np.sqrt(50), rel=0.15)


def hits(seed: int, chances: dict[str, float], rows: int = 300) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(rows) < chance for name, chance in chances.items()}


def test_equals_are_told_apart_as_rarely_as_is_said() -> None:
    chances = dict.fromkeys(["a", "b", "c", "d"], 0.8)
    alarms = [
        min(p.holm for p in comparisons(hits(seed, chances), "a", True, Resampling(0.95, 100, 0)).pairs) < 0.05
        for seed in range(200)
    ]
    assert np.mean(alarms) <= 0.08


def test_the_worse_one_is_found_and_not_as_good_as_the_best() -> None:
    chances = {"net": 0.85, "raw": 0.85, "poor": 0.6}
    found = written(comparisons(hits(0, chances), "net", True, Resampling(0.95, 300, 0)))
    assert found["names"][-1] == "poor"
    assert [one["name"] for one in found["alike"]] == ["raw"]
    [raw] = found["alike"]
    values = hits(0, chances)
    assert raw["difference"] == pytest.approx(values["raw"].mean() - values["net"].mean())
    assert raw["interval"][0] <= raw["difference"] <= raw["interval"][1]
    assert all(p["holm"] < 0.01 for p in found["pairs"] if "poor" in (p["a"], p["b"]))


def test_what_is_better_than_the_choice_of_val_rows_is_as_good_too() -> None:
    found = written(comparisons(hits(0, {"chosen": 0.6, "better": 0.9}), "chosen", True, Resampling(0.95, 300, 0)))
    assert [one["name"] for one in found["alike"]] == ["better"]


def test_rows_of_one_group_are_not_counted_as_many() -> None:
    """Ten speakers, thirty rows each, of which two favour one verdict wholly: row by row that would be sure."""
    a, b = np.ones(300, bool), np.ones(300, bool)
    b[:60] = False
    groups = np.repeat(np.arange(10), 30)
    assert mcnemar(a, b) < 1e-9
    found = written(comparisons({"a": a, "b": b}, "a", True, Resampling(0.95, 300, 0, groups)))
    assert found["pairs"][0]["p"] > 0.1
    assert [one["name"] for one in found["alike"]] == ["b"]


def test_one_verdict_has_nobody_beside_it() -> None:
    found = written(comparisons({"a": np.array([True])}, "a", True, Resampling(0.95, 100, 0)))
    assert (found["pairs"], found["alike"], found["names"]) == ([], [], ["a"])


def test_a_pair_that_the_verdict_rests_on_is_told_apart_here_as_it_is_there() -> None:
    """Searched among many, the difference would be no finding; the sentence on fusion was to be about this one alone."""
    net = np.arange(400) < 340
    raw = net ^ ((np.arange(400) < 30) | (np.arange(400) >= 386))  # wrong on 30 more, right on 14 more
    values = {"net": net, "raw": raw} | {f"other {i}": np.roll(net, i + 1) for i in range(8)}
    searched = written(comparisons(values, "net", True, Resampling(0.95, 300, 0)))
    pair = next(p for p in searched["pairs"] if {p["a"], p["b"]} == {"net", "raw"})
    assert pair["interval"][0] > 0, "told apart by itself"
    assert "raw" in [one["name"] for one in searched["alike"]]
    planned = written(comparisons(values, "net", True, Resampling(0.95, 300, 0), ("net", "raw")))
    assert "raw" not in [one["name"] for one in planned["alike"]]
    assert len(planned["alike"]) == 8
    assert planned["pairs"] == searched["pairs"]
