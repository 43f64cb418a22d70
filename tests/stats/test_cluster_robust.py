"""Intervals where rows of one group are alike: they cover, where row by row they would not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tasks.evaluation.slices import slices
from tasks.features.item_matrix import ItemMatrix
from tasks.metrics import curves
from tasks.metrics.calibration import calibration
from tasks.metrics.detection import detection
from tasks.metrics.regression import regression
from tasks.stats import cluster_robust, roc_auc
from tasks.stats.intervals import Interval, methods, newcombe, wilson
from tasks.stats.resampling import Resampling


def speakers(seed: int, groups: int = 12, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Hits of rows whose chance, 0.8 on average, is their group's own; and the groups."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(8, 2, groups)
    return (rng.random((groups, each)) < chance[:, None]).ravel(), np.repeat(np.arange(groups), each)


def test_shares_and_means_cover_where_groups_differ() -> None:
    """Wilson's interval of the rows covers far less than it says; the one over groups about as often as it says."""
    runs = [speakers(seed) for seed in range(300)]
    found = [(cluster_robust.proportion(h, g, 0.95), cluster_robust.mean(h.astype(float), g, 0.95), wilson(h.sum(), len(h), 0.95))
             for h, g in runs]  # fmt: skip
    proportion, mean, rows = (
        np.mean([one.low <= 0.8 <= one.high for one in column]) for column in zip(*found, strict=True)
    )
    assert 0.9 <= proportion <= 0.99
    assert 0.9 <= mean <= 0.99
    assert rows < 0.8


def test_differences_of_two_verdicts_are_found_as_rarely_as_is_said() -> None:
    """No difference: each group favours one of two verdicts by chance. A test of the rows would cry wolf."""
    alarms = 0
    for seed in range(300):
        one, groups = speakers(seed)
        two, _ = speakers(seed + 1000)
        alarms += cluster_robust.t_test(one.astype(float) - two, groups) <= 0.05
    assert alarms <= 0.09 * 300


def test_each_row_a_group_is_no_group() -> None:
    """Then the robust error is the plain one."""
    values = np.random.default_rng(0).normal(size=50)
    assert cluster_robust.standard_error(values, np.arange(50)) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_rows_without_a_group_stand_for_themselves() -> None:
    found = cluster_robust.codes(np.array(["b", "", "a", "b", ""]))
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 4
    assert sorted(set(found.tolist())) == [0, 1, 2, 3]


def test_where_all_agree_groups_are_counted_not_rows() -> None:
    hits, groups = np.ones(400, bool), np.repeat(np.arange(4), 100)
    found = cluster_robust.proportion(hits, groups, 0.95)
    assert found.high == 1
    assert found.low < 0.4  # four groups, of which all are right, say little of the fifth
    assert cluster_robust.mean(np.zeros(400), groups, 0.95) == Interval(0.0, 0.0, 0.0, "t over groups, cluster-robust")
    assert cluster_robust.t_test(np.zeros(400), groups) == 1.0


def test_figures_that_are_no_means_cover_where_groups_differ() -> None:
    """F1, AUC, RMSE and R2 of groups that share an offset: over groups intervals cover, row by row they do not."""
    truth = {"f1": [], "auc": [], "rmse": [], "r2": []}
    found = {name: ([], []) for name in truth}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(25), 20)
        shared = rng.normal(0, 1, 25)[groups]
        positive = rng.random(500) < 0.4
        scores = positive * 1.5 + shared + rng.normal(0, 1, 500)
        target = rng.normal(0, 2, 500)
        said = target + shared + rng.normal(0, 0.5, 500)
        for which, own in ((0, groups), (1, None)):
            sampling = Resampling(0.95, 300, seed, own)
            made = detection(positive, scores > 0.75, scores, sampling)
            made |= regression(target[:, None], said[:, None], sampling)
            for name in truth:
                found[name][which].append(made[f"{name}_interval"])
        for name in truth:
            truth[name].append(made[name])
    for name, (grouped_, alone) in found.items():
        middle = np.mean(truth[name])
        covers = [np.mean([one.low <= middle <= one.high for one in column]) for column in (grouped_, alone)]
        assert covers[0] > 0.88, name
        assert covers[1] < covers[0] - 0.05, name


def test_calibration_is_in_doubt_where_groups_err_together() -> None:
    """True on average, but each group's rows come true more or less often than is said: no error can be claimed."""
    alarms, cried = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(30), 20)
        p = rng.uniform(0.2, 0.8, 600)
        event = rng.random(600) < np.clip(p + rng.uniform(-0.35, 0.35, 30)[groups], 0, 1)
        shares, labels = np.stack([1 - p, p], axis=1), np.where(event, "b", "a")
        told = [
            calibration(labels, shares, ["a", "b"], "b", 10, Resampling(0.95, 200, 0, own)) for own in (groups, None)
        ]
        alarms += told[0]["p"] <= 0.05
        cried += told[1]["p"] <= 0.05
    assert alarms <= 6 < cried / 2


def test_groups_that_are_all_alike_add_no_doubt() -> None:
    for pattern in ([1, 0], [1, 0, 0]):
        hits = np.array(pattern * 10, bool)
        found = cluster_robust.proportion(hits, np.repeat(np.arange(10), len(pattern)), 0.95)
        rows = wilson(int(hits.sum()), len(hits), 0.95)
        assert (found.low, found.high) == pytest.approx((rows.low, rows.high))


def test_an_interval_knows_what_made_it() -> None:
    """So that no page calls a t interval a bootstrap."""
    rng = np.random.default_rng(0)
    hits, groups = rng.random(60) < 0.8, np.arange(60) // 5
    other = rng.random(60) < 0.5
    scores, numbers = rng.random(60) + 0.3 * hits, rng.normal(size=60)
    over = "t over groups, cluster-robust"
    alone = ("percentile bootstrap", "percentile bootstrap", "DeLong", "DeLong", "percentile bootstrap")
    for own, names in ((None, alone), (groups, (over,) * 5)):
        sampling = Resampling(0.9, 100, 0, own)
        found = [
            sampling.difference(hits, other),
            sampling.difference(numbers, scores),
            roc_auc.auc(hits, scores, sampling),
            roc_auc.auc_difference(hits, scores, numbers, sampling),
            sampling.f1(hits, other),
        ]
        assert [one.method for one in found] == list(names)
        made = regression(numbers[:, None], scores[:, None], sampling)
        assert methods([made])["rmse_interval"] == names[0]
        curve = curves.several(np.array(["b", "a"])[hits * 1], np.stack([scores, 2 - scores], 1), ["a", "b"], sampling)
        assert methods([curve]) == {"auc_interval": names[2]}
    alone_, grouped = Resampling(0.9, 100, 0), Resampling(0.9, 100, 0, groups)
    assert alone_.proportion(hits) == wilson(int(hits.sum()), 60, 0.9)
    assert alone_.proportion(hits).method == "Wilson"
    assert grouped.proportion(hits).method == "Wilson, at the effective sample size of the groups"
    assert cluster_robust.mean(numbers, np.arange(60), 0.9).method == "t"
    assert newcombe(3, 9, 4, 9, 0.9).method == "Newcombe"
    assert alone_.unpaired_difference(hits, other).method == "Newcombe"
    assert alone_.unpaired_difference(numbers, scores).method == "percentile bootstrap"
    assert roc_auc.auc(hits, hits * 1.0, alone_).method == "Clopper-Pearson"


@pytest.mark.parametrize("errors", [False, True])
def test_intervals_of_slices_say_what_they_are(errors: bool) -> None:
    rng = np.random.default_rng(1)
    held = csr_array((rng.random((300, 2)) < 0.5).astype(float))
    items = ItemMatrix(held, ("a", "b"), ("a", "b"))
    values = rng.normal(size=300) if errors else rng.random(300) < 0.7
    alone, grouped = (
        slices(values, items, 20, 0.05, Resampling(0.9, 100, 0, groups)) for groups in (None, np.arange(300) // 6)
    )
    assert alone.methods == {"interval": "Welch" if errors else "Newcombe"}
    assert grouped.methods == {"interval": "t over groups, cluster-robust"}
