"""Slices: planted ones are found, alone and in pairs; random ones are not named; exact figures by hand."""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import fisher_exact, mannwhitneyu

from tasks.evaluation.slices import slices
from tasks.features.item_matrix import ItemMatrix
from tasks.stats.intervals import newcombe
from tasks.stats.resampling import Resampling
from tests.fixtures.written import written


def facts(seed: int, rows: int = 600, attributes: int = 20, levels: int = 3) -> tuple[ItemMatrix, np.ndarray]:
    """Attributes of some levels each, by chance; and (N, A) the level of each."""
    level = np.random.default_rng(seed).integers(0, levels, (rows, attributes))
    held = np.concatenate([level == k for k in range(levels)], axis=1).astype(float)
    names = tuple(f"c{a}={k}" for k in range(levels) for a in range(attributes))
    return ItemMatrix(csr_array(held), names, tuple(n.partition("=")[0] for n in names)), level


def found_in(
    values: np.ndarray, known: ItemMatrix, groups: np.ndarray | None = None, y_true: np.ndarray | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = written(slices(values, known, 20, 0.05, Resampling(0.95, 500, 0, groups), y_true))
    return found


def standing(found: dict[str, Any]) -> list[str]:
    return [" and ".join(s["items"]) for s in found["slices"] if s["stands"]]


@pytest.mark.parametrize("kind", ["hits", "errors"])
def test_a_bad_slice_is_found_and_told_by_its_figures(kind: str) -> None:
    known, level = facts(0)
    rng = np.random.default_rng(1)
    bad = level[:, 4] == 1
    values = rng.random(600) < np.where(bad, 0.6, 0.9) if kind == "hits" else rng.exponential(np.where(bad, 2.0, 1.0))
    found = found_in(values, known)
    names = standing(found)
    # the other levels of the same column are better than the rest, which is true as well
    assert "c4=1" in names
    assert {name.partition("=")[0] for name in names} == {"c4"}
    assert found["tried"] == 60
    one = next(s for s in found["slices"] if s["items"] == ["c4=1"])
    assert one["rows"] == bad.sum()
    assert one["value"] == pytest.approx(values[bad].mean())
    assert one["difference"] == pytest.approx(values[bad].mean() - values[~bad].mean())
    assert one["interval"][0] < one["difference"] < one["interval"][1]
    assert found["worst"]["items"] == ["c4=1"]
    if kind == "hits":
        hits, rest = int(values[bad].sum()), int(values[~bad].sum())
        table = [[hits, bad.sum() - hits], [rest, (~bad).sum() - rest]]
        tails = [fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
        assert one["p"] == pytest.approx(2 * min(tails))
        assert one["interval"] == newcombe(hits, int(bad.sum()), rest, int((~bad).sum()), 0.95).as_json()
    else:
        assert one["p"] == pytest.approx(mannwhitneyu(values[bad], values[~bad], method="asymptotic").pvalue, rel=1e-6)


@pytest.mark.parametrize("kind", ["hits", "errors"])
def test_random_slices_are_not_named(kind: str) -> None:
    """20 seeds: in one or two of a family some slice may stand by chance, as q is 5 %."""
    alarms = 0
    for seed in range(20):
        known, _ = facts(seed)
        rng = np.random.default_rng(seed + 1000)
        values = rng.random(600) < 0.85 if kind == "hits" else rng.gamma(0.7, 1, 600)
        alarms += bool(standing(found_in(values, known)))
    assert alarms <= 3


def test_a_pair_that_says_more_than_both_is_found_and_the_others_are_not() -> None:
    known, level = facts(0, rows=2000, attributes=6)
    bad = (level[:, 1] == 0) & (level[:, 2] == 2)
    values = np.random.default_rng(1).random(2000) < np.where(bad, 0.45, 0.9)
    pairs = [s for s in found_in(values, known)["slices"] if s["kind"] == "pair"]
    assert [sorted(s["items"]) for s in pairs] == [["c1=0", "c2=2"]]
    assert pairs[0]["rows"] == bad.sum()
    # where one item alone is bad, no pair with it says more
    alone = np.random.default_rng(1).random(2000) < np.where(level[:, 1] == 0, 0.6, 0.9)
    assert [s for s in found_in(alone, known)["slices"] if s["kind"] == "pair"] == []


def test_few_rows_are_no_slice_and_classes_are() -> None:
    held = np.zeros((100, 2))
    held[:5, 0] = held[:50, 1] = 1
    known = ItemMatrix(csr_array(held), ("few", "half"), ("x", "y"))
    truth = np.array(["a"] * 30 + ["b"] * 70)
    values = truth == "b"
    found = found_in(values, known, y_true=truth)
    assert {s["items"][0] for s in found["slices"]} == {"half", "a", "b"}
    assert {s["kind"] for s in found["slices"] if s["items"][0] in "ab"} == {"class"}
    assert next(s for s in found["slices"] if s["items"] == ["a"])["value"] == 0
    assert found["worst"]["items"] == ["half"]  # a class is no attribute


def test_nothing_known_is_nothing_said() -> None:
    nothing = ItemMatrix(csr_array((50, 0)), (), ())
    found = found_in(np.ones(50, bool), nothing)
    assert (found["tried"], found["slices"], found["worst"]) == (0, [], None)
    assert found_in(np.ones(1), ItemMatrix(csr_array(np.ones((1, 1))), ("x",), ("x",)))["tried"] == 0


def test_what_differs_between_few_groups_alone_does_not_stand() -> None:
    """Six speakers of fifty rows, three of each sex; one of the women is hard to understand."""
    groups = np.repeat(np.arange(6), 50)
    held = np.stack([groups < 3, groups >= 3], axis=1).astype(float)
    known = ItemMatrix(csr_array(held), ("sex=f", "sex=m"), ("sex", "sex"))
    values = np.random.default_rng(0).random(300) < np.where(groups == 0, 0.5, 0.95)
    assert "sex=f" in standing(found_in(values, known))
    assert standing(found_in(values, known, groups=groups)) == []
    speakers = ItemMatrix(csr_array(np.eye(6)[groups]), tuple("abcdef"), ("group",) * 6)
    assert "a" in standing(found_in(values, speakers, groups=groups))


def test_newcombes_interval_is_the_published_one() -> None:
    """Newcombe 1998, table II: 56/70 less 48/80 is 0.0524 to 0.3339, 5/56 less 0/29 is -0.0381 to 0.1926."""
    assert newcombe(56, 70, 48, 80, 0.95).as_json() == pytest.approx([0.0524, 0.3339], abs=1e-4)
    assert newcombe(5, 56, 0, 29, 0.95).as_json() == pytest.approx([-0.0381, 0.1926], abs=1e-4)


def test_many_attributes_stay_cheap_and_their_pairs_are_bounded() -> None:
    known, _ = facts(0, rows=300, attributes=120)
    values = np.random.default_rng(0).random(300) < 0.8
    found = found_in(values, known)
    assert found["tried"] == 360
    assert 0 < found["pairs_tried"] <= 200 * 199 / 2
    assert len(found["slices"]) <= 40


def test_over_groups_the_interval_of_a_slice_covers() -> None:
    """A slice of half of the groups, in truth no better than the others, though single groups are."""
    covered = {True: 0, False: 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(24), 20)
        values = rng.random(480) < rng.beta(6, 2, 24)[groups]
        known = ItemMatrix(csr_array((groups % 2 == 0)[:, None].astype(float)), ("even",), ("parity",))
        for over in covered:
            [one] = found_in(values, known, groups=groups if over else None)["slices"]
            covered[over] += one["interval"][0] <= 0 <= one["interval"][1]
    assert covered[True] >= 90
    assert covered[False] < covered[True] - 15
