"""Intervals where rows of one group are alike: they cover, where row by row they would not."""

import numpy as np
import pytest

from tasks import grouped
from tasks.intervals import wilson


def speakers(seed: int, groups: int = 12, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Hits of rows whose chance, 0.8 on average, is their group's own; and the groups."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(8, 2, groups)
    return (rng.random((groups, each)) < chance[:, None]).ravel(), np.repeat(np.arange(groups), each)


def test_shares_and_means_cover_where_groups_differ() -> None:
    """Wilson's interval of the rows covers far less than it says; the one over groups about as often as it says."""
    runs = [speakers(seed) for seed in range(300)]
    found = [(grouped.share(h, g, 0.95), grouped.mean(h.astype(float), g, 0.95)[0], wilson(h.sum(), len(h), 0.95))
             for h, g in runs]  # fmt: skip
    share, mean, rows = (np.mean([low <= 0.8 <= high for low, high in column]) for column in zip(*found, strict=True))
    assert 0.9 <= share <= 0.99
    assert 0.9 <= mean <= 0.99
    assert rows < 0.8


def test_differences_of_two_verdicts_are_found_as_rarely_as_is_said() -> None:
    """No difference: each group favours one of two verdicts by chance. A test of the rows would cry wolf."""
    alarms = 0
    for seed in range(300):
        one, groups = speakers(seed)
        two, _ = speakers(seed + 1000)
        alarms += grouped.difference(one, two, groups, 0.95)["p"] <= 0.05
    assert alarms <= 0.09 * 300


def test_each_row_a_group_is_no_group() -> None:
    """Then the robust error is the plain one."""
    values = np.random.default_rng(0).normal(size=50)
    assert grouped.error(values, np.arange(50)) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_rows_without_a_group_stand_for_themselves() -> None:
    found = grouped.codes(np.array(["b", "", "a", "b", ""]))
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 4
    assert sorted(set(found.tolist())) == [0, 1, 2, 3]


def test_where_all_agree_groups_are_counted_not_rows() -> None:
    hits, groups = np.ones(400, bool), np.repeat(np.arange(4), 100)
    low, high = grouped.share(hits, groups, 0.95)
    assert high == 1
    assert low < 0.4  # four groups, of which all are right, say little of the fifth
    assert grouped.mean(np.zeros(400), groups, 0.95) == ([0.0, 0.0], 1.0)
