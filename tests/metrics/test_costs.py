"""Thresholds by cost: Elkan's where probabilities are true, those of val rows where they are not."""

import numpy as np
import pytest

from tasks.metrics.costs import Prices, chosen, costs
from tasks.stats.resampling import Resampling

CREDIT = Prices(false_positive=1, false_negative=5)


def world(seed: int, rows: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Positive rows and their probabilities, true but for ``shift`` in the odds."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 1.2, rows)
    return rng.random(rows) < 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds - shift))


def test_elkans_threshold_and_the_costs_of_each_answer() -> None:
    assert CREDIT.threshold == pytest.approx(1 / 6)
    positive, said = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert CREDIT.of(positive, said).tolist() == [0, 5, 1, 0]


def test_true_probabilities_need_no_search() -> None:
    by = [chosen(*world(seed, 300), CREDIT) for seed in range(40)]
    assert np.mean([how == "probability" for _, how in by]) > 0.85
    assert all(cut == CREDIT.threshold for cut, how in by if how == "probability")


def test_where_they_are_off_val_rows_choose() -> None:
    cut, how = chosen(*world(0, 2000, shift=-2), CREDIT)
    assert how == "val rows"
    # the odds of 1 to 5, shifted as the probabilities are
    assert cut == pytest.approx(1 / (1 + 5 * np.exp(2)), abs=0.015)


def test_the_search_finds_the_cheapest_of_all() -> None:
    positive, p = world(3, 150, shift=-3)
    cut, how = chosen(positive, p, CREDIT)
    tried = [CREDIT.of(positive, p >= t).sum() for t in np.linspace(0, 1, 5001)]
    assert how == "val rows"
    assert CREDIT.of(positive, p >= cut).sum() == min(tried)


def test_credit_at_five_to_one_is_cheaper_and_its_interval_says_so() -> None:
    found = costs(world(1, 300), world(2, 1000), CREDIT, Resampling(0.95, 500, 0))
    positive, p = world(2, 1000)
    assert found["cost"] == pytest.approx(CREDIT.of(positive, p >= found["threshold"]).mean())
    assert found["cost_half"] == pytest.approx(CREDIT.of(positive, p >= 0.5).mean())
    assert found["always_positive"]
    assert found["cost_always"] == pytest.approx((~positive).mean())
    assert found["less_half"]["interval"].high < 0
    assert found["less_always"]["difference"] == pytest.approx(found["cost"] - found["cost_always"])
    assert found["cost_interval"].low < found["cost"] < found["cost_interval"].high
    curve = dict(map(tuple, found["curve"]))
    assert curve[0.5] == pytest.approx(found["cost_half"])
    assert curve[0.0] == pytest.approx(found["cost_always"])


def test_equal_costs_save_nothing() -> None:
    found = costs(world(1, 500), world(2, 1000), Prices(1, 1), Resampling(0.95, 500, 0))
    assert found["threshold"] == 0.5
    assert (found["less_half"]["difference"], found["less_half"]["interval"].as_json()) == (0, [0, 0])


def test_without_val_rows_theory_stands() -> None:
    nothing = (np.empty(0, bool), np.empty(0))
    found = costs(nothing, world(2, 100), CREDIT, Resampling(0.95, 200, 0))
    assert (found["threshold"], found["by"], found["val_cost"]) == (CREDIT.threshold, "probability", None)
    only = costs((np.zeros(5, bool), np.full(5, 0.3)), world(2, 100), CREDIT, Resampling(0.95, 200, 0))
    assert not only["always_positive"]


def test_groups_are_heeded() -> None:
    positive, p = world(2, 200)
    one = costs(world(1, 300), (positive, p), CREDIT, Resampling(0.95, 500, 0))
    five = costs(
        world(1, 300),
        (np.repeat(positive, 5), np.repeat(p, 5)),
        CREDIT,
        Resampling(0.95, 500, 0, np.repeat(np.arange(200), 5)),
    )
    assert np.ptp(five["less_half"]["interval"].as_json()) == pytest.approx(
        np.ptp(one["less_half"]["interval"].as_json()), rel=0.15
    )


def test_val_rows_of_one_class_say_nothing_of_what_missing_it_costs() -> None:
    assert chosen(np.zeros(2, bool), np.array([0.3, 0.4]), Prices(1, 9)) == (0.1, "probability")
    moved = 0
    for seed in range(200):  # true probabilities of a rare class
        rng = np.random.default_rng(seed)
        p = np.r_[np.full(12, 0.15), np.full(88, 0.002)]
        moved += chosen(rng.random(100) < p, p, Prices(1, 9))[1] == "val rows"
    assert moved <= 10
