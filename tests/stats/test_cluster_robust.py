"""Intervals where rows of one group are alike: they cover, where row by row they would not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tasks.evaluation.slices import Facts, slices
from tasks.metrics import curves
from tasks.metrics.calibration import calibration
from tasks.metrics.classification import detection
from tasks.metrics.regression import regression
from tasks.stats import cluster_robust, intervals, roc_auc
from tasks.stats.intervals import wilson


def speakers(seed: int, groups: int = 12, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Hits of rows whose chance, 0.8 on average, is their group's own; and the groups."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(8, 2, groups)
    return (rng.random((groups, each)) < chance[:, None]).ravel(), np.repeat(np.arange(groups), each)


def test_shares_and_means_cover_where_groups_differ() -> None:
    """Wilson's interval of the rows covers far less than it says; the one over groups about as often as it says."""
    runs = [speakers(seed) for seed in range(300)]
    found = [(cluster_robust.share(h, g, 0.95), cluster_robust.mean(h.astype(float), g, 0.95)[0], wilson(h.sum(), len(h), 0.95))
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
        alarms += cluster_robust.difference(one, two, groups, 0.95)["p"] <= 0.05
    assert alarms <= 0.09 * 300


def test_each_row_a_group_is_no_group() -> None:
    """Then the robust error is the plain one."""
    values = np.random.default_rng(0).normal(size=50)
    assert cluster_robust.error(values, np.arange(50)) == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_rows_without_a_group_stand_for_themselves() -> None:
    found = cluster_robust.codes(np.array(["b", "", "a", "b", ""]))
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 4
    assert sorted(set(found.tolist())) == [0, 1, 2, 3]


def test_where_all_agree_groups_are_counted_not_rows() -> None:
    hits, groups = np.ones(400, bool), np.repeat(np.arange(4), 100)
    low, high = cluster_robust.share(hits, groups, 0.95)
    assert high == 1
    assert low < 0.4  # four groups, of which all are right, say little of the fifth
    assert cluster_robust.mean(np.zeros(400), groups, 0.95) == ([0.0, 0.0], 1.0)


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
            made = detection(positive, scores > 0.75, scores, 0.95, 300, seed, own)
            made |= regression(target[:, None], said[:, None], 0.95, 300, seed, own)
            for name in truth:
                found[name][which].append(made[f"{name}_interval"])
        for name in truth:
            truth[name].append(made[name])
    for name, (grouped_, alone) in found.items():
        middle = np.mean(truth[name])
        covers = [np.mean([low <= middle <= high for low, high in column]) for column in (grouped_, alone)]
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
        told = [calibration(labels, shares, ["a", "b"], "b", 10, 0.95, 200, 0, own) for own in (groups, None)]
        alarms += told[0]["p"] <= 0.05
        cried += told[1]["p"] <= 0.05
    assert alarms <= 6 < cried / 2


def test_groups_that_are_all_alike_add_no_doubt() -> None:
    for pattern in ([1, 0], [1, 0, 0]):
        hits = np.array(pattern * 10, bool)
        found = cluster_robust.share(hits, np.repeat(np.arange(10), len(pattern)), 0.95)
        assert found == pytest.approx(wilson(int(hits.sum()), len(hits), 0.95))


def test_an_interval_knows_what_made_it() -> None:
    """So that no page calls a t interval a bootstrap."""
    rng = np.random.default_rng(0)
    hits, groups = rng.random(60) < 0.8, np.arange(60) // 5
    other = rng.random(60) < 0.5
    scores, numbers = rng.random(60) + 0.3 * hits, rng.normal(size=60)
    sampling = {"confidence": 0.9, "resamples": 100, "seed": 0}
    over = "t over groups of rows"
    for own, names in ((None, ("bootstrap", "bootstrap", "DeLong's", "DeLong's", "bootstrap")), (groups, (over,) * 5)):
        found = [
            intervals.paired_difference(hits, other, **sampling, groups=own)["interval"],
            intervals.paired_means(numbers, scores, **sampling, groups=own)["interval"],
            roc_auc.auc(hits, scores, 0.9, own)[1],
            roc_auc.auc_difference(hits, scores, numbers, 0.9, own)["interval"],
            intervals.f1_interval(hits, other, **sampling, groups=own),
        ]
        assert [one.method for one in found] == list(names)
        told = regression(numbers[:, None], scores[:, None], **sampling, groups=own)
        assert cluster_robust.methods([told])["rmse_interval"] == names[0]
        curve = curves.several(np.array(["b", "a"])[hits * 1], np.stack([scores, 2 - scores], 1), ["a", "b"], 0.9, own)
        assert cluster_robust.methods([curve]) == {"auc_interval": names[2]}
    assert wilson(3, 9, 0.9).method == "Wilson's"
    assert cluster_robust.share(hits, groups, 0.9).method.startswith("Wilson's, of as many rows as the groups")
    assert cluster_robust.mean(numbers, np.arange(60), 0.9)[0].method == "t"
    assert intervals.share_difference(3, 9, 4, 9, 0.9)["interval"].method == "Newcombe's"
    assert roc_auc.auc(hits, hits * 1.0, 0.9)[1].method == "Clopper and Pearson's"
    assert intervals.mean_difference(numbers, scores, **sampling)["interval"].method == "bootstrap"


@pytest.mark.parametrize("errors", [False, True])
def test_intervals_of_slices_say_what_they_are(errors: bool) -> None:
    rng = np.random.default_rng(1)
    held = csr_array((rng.random((300, 2)) < 0.5).astype(float))
    facts = Facts(held, ("a", "b"), ("a", "b"), ("item", "item"))
    values = rng.normal(size=300) if errors else rng.random(300) < 0.7
    limits = {"min_rows": 20, "q": 0.05, "confidence": 0.9}
    assert slices(values, facts, **limits)["methods"] == {"interval": "Welch's" if errors else "Newcombe's"}
    assert slices(values, facts, **limits, groups=np.arange(300) // 6)["methods"] == {
        "interval": "t over groups of rows"
    }
