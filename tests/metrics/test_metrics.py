"""Figures of merit against numbers that were worked out by hand."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm
from sklearn import metrics as sk

from tasks.metrics.classification import classification, confusion
from tasks.metrics.clustering import clustering
from tasks.metrics.detection import detection
from tasks.metrics.regression import regression
from tasks.stats.intervals import Interval, wilson
from tasks.stats.rand_index import ari_difference
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, auc_difference

SAMPLING = Resampling(0.95, 500, 0)
TRUTH = np.array(list("aaaabbbccc"))
SAID = np.array(list("aaabbbcccb"))
#: class -> true positives, predicted, rows
#: a: 3 of 3 said, 4 there;  b: 2 of 4 said, 3 there;  c: 2 of 3 said, 3 there
PRECISION, RECALL = {"a": 1.0, "b": 2 / 4, "c": 2 / 3}, {"a": 3 / 4, "b": 2 / 3, "c": 2 / 3}
F1 = {k: 2 * PRECISION[k] * RECALL[k] / (PRECISION[k] + RECALL[k]) for k in "abc"}


def test_classification_by_hand() -> None:
    found = classification(TRUTH, SAID, ["a", "b", "c"], SAMPLING)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["interval"] == wilson(7, 10, 0.95)
    for name, wanted in {"precision": PRECISION, "recall": RECALL, "f1": F1}.items():
        assert found[name] == pytest.approx(sum(wanted.values()) / 3)
        assert {k: v[name] for k, v in found["classes"].items()} == pytest.approx(wanted)
    assert {k: v["rows"] for k, v in found["classes"].items()} == {"a": 4, "b": 3, "c": 3}
    assert pytest.approx({"a": 6 / 7, "b": 4 / 7, "c": 2 / 3}) == F1


def test_a_class_that_is_never_said_counts_as_nothing() -> None:
    found = classification(np.array(["a", "b"]), np.array(["a", "a"]), ["a", "b"], SAMPLING)
    assert found["classes"]["b"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 1}
    assert found["precision"] == pytest.approx(0.25)


def test_confusion_has_the_truth_in_its_rows() -> None:
    assert confusion(TRUTH, SAID, ["a", "b", "c"]) == [[3, 1, 0], [0, 2, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("hits", "n", "wanted"),
    [(8, 10, (0.4902, 0.9433)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_wilson(hits: int, n: int, wanted: tuple[float, float]) -> None:
    assert ends(wilson(hits, n, 0.95)) == pytest.approx(wanted, abs=1e-4)


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = wilson(8, 10, 0.9), wilson(8, 10, 0.99)
    assert wide.low < narrow.low < 0.8 < narrow.high < wide.high


def hits(n: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_a_difference_has_the_sign_of_the_better_one() -> None:
    better, worse = hits(400, 0.9, 0), hits(400, 0.6, 1)
    found = Resampling(0.95, 2000, 0).difference(better, worse)
    assert found.value == pytest.approx(better.mean() - worse.mean())
    assert 0 < found.low < found.value < found.high
    again = Resampling(0.95, 2000, 0).difference(better, worse)
    assert again == found


def test_a_difference_turned_round_is_its_mirror() -> None:
    a, b = hits(400, 0.8, 0), hits(400, 0.75, 1)
    one, two = Resampling(0.95, 50_000, 0).difference(a, b), Resampling(0.95, 50_000, 1).difference(b, a)
    assert two.value == pytest.approx(-one.value)
    # two draws of the same bootstrap: equal up to its noise and the step of one row
    assert ends(two) == pytest.approx(ends(-one), abs=0.006)


def test_the_interval_is_that_of_a_mean_of_pairs() -> None:
    a, b = hits(2000, 0.8, 0), hits(2000, 0.75, 1)
    found = Resampling(0.95, 20_000, 0).difference(a, b)
    half = 1.96 * (a.astype(int) - b.astype(int)).std() / 2000**0.5
    assert ends(found) == pytest.approx((found.value - half, found.value + half), abs=0.002)


def test_no_difference_is_zero() -> None:
    same = hits(50, 0.7, 0)
    assert Resampling(0.95, 500, 0).difference(same, same) == Interval(0.0, 0.0, 0.0, "percentile bootstrap")


X = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
ALL = np.arange(6)


def test_perfect_clusters() -> None:
    found = clustering(np.array(list("aaabbb")), np.array(list("110000"))[[2, 3, 4, 0, 1, 1]], X, ALL)
    assert {k: found[k] for k in ("ari", "nmi", "purity")} == pytest.approx({"ari": 1, "nmi": 1, "purity": 1})
    assert found["clusters"] == 2
    # the middle row of a cluster is 0.1 away from its two fellows and 5 from the others, the outer ones 0.15
    assert found["silhouette"] == pytest.approx((2 * (1 - 0.1 / 5) + 2 * (1 - 0.15 / 5.1) + 2 * (1 - 0.15 / 4.9)) / 6)


def test_one_cluster_tells_nothing() -> None:
    found = clustering(np.array(list("aaabbb")), np.array(["0"] * 6), X, ALL)
    assert found == {"ari": 0.0, "nmi": 0.0, "homogeneity": 0.0, "completeness": 1.0, "purity": 0.5,
                     "accuracy": 0.5, "silhouette": 0.0, "clusters": 1}  # fmt: skip


def test_purity_by_hand() -> None:
    found = clustering(np.array(list("aaabbb")), np.array(list("001112")), X, ALL)
    assert found["purity"] == pytest.approx((2 + 2 + 1) / 6)
    assert found["clusters"] == 3


def test_the_silhouette_is_that_of_the_sample() -> None:
    clusters = np.array(list("000111"))
    assert clustering(clusters, clusters, X, np.array([0, 1, 2]))["silhouette"] == 0.0
    assert clustering(clusters, clusters, X, np.array([0, 5]))["silhouette"] == 0.0
    part = clustering(clusters, clusters, X, np.array([0, 1, 3, 4]))["silhouette"]
    assert part == pytest.approx((2 * (1 - 0.1 / 5.05) + 2 * (1 - 0.1 / 4.95)) / 4)


def test_clustering_accuracy_matches_each_class_with_one_cluster() -> None:
    truth, clusters = np.array(list("aaaabbbbcc")), np.array(list("0001111122"))
    found = clustering(truth, clusters, np.arange(10.0)[:, None], np.arange(10))
    assert found["accuracy"] == pytest.approx((3 + 4 + 2) / 10)
    # two clusters in one class: only one of them counts, though both are pure
    halves = clustering(np.array(list("aaaabbbb")), np.array(list("00112222")), np.arange(8.0)[:, None], np.arange(8))
    assert (halves["purity"], halves["accuracy"]) == pytest.approx((1, 6 / 8))


def test_without_classes_there_is_the_silhouette_alone() -> None:
    found = clustering(None, np.array(list("000111")), X, ALL)
    assert set(found) == {"silhouette", "clusters", "davies_bouldin", "calinski_harabasz"}
    assert found["silhouette"] == pytest.approx(
        clustering(np.array(list("000111")), np.array(list("000111")), X, ALL)["silhouette"]
    )
    assert clustering(None, np.array(list("000111")), sparse.csr_array(X), ALL)["silhouette"] == pytest.approx(
        found["silhouette"]
    )


def test_noise_is_no_cluster_but_agrees_or_not_as_one() -> None:
    truth, clusters = np.array(list("aaabbb")), np.array(["0", "0", "noise", "1", "1", "noise"])
    found = clustering(truth, clusters, X, ALL)
    assert (found["clusters"], found["noise"]) == (2, pytest.approx(2 / 6))
    assert found["purity"] == pytest.approx(5 / 6)  # of the two rows of noise one is of its class
    assert found["accuracy"] == pytest.approx(4 / 6)
    rest = np.array([0, 1, 3, 4])
    assert found["silhouette"] == clustering(truth, clusters, X, rest)["silhouette"] > 0.9
    nothing = clustering(truth, np.array(["noise"] * 6), X, ALL)
    assert (nothing["clusters"], nothing["noise"], nothing["silhouette"], nothing["ari"]) == (0, 1.0, 0.0, 0.0)
    assert "noise" not in clustering(truth, truth, X, ALL)


def test_auc_by_hand() -> None:
    positive = np.array([True, True, True, False, False, False])
    # of nine pairs one is the wrong way round and one is a tie
    found = auc(positive, np.array([5.0, 4, 2, 3, 2, 1]), SAMPLING)
    assert found.value == pytest.approx(7.5 / 9)
    assert 0 < found.low < found.value < found.high < 1


def scores(n: int, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 4 == 0
    return positive, rng.normal(size=n) + gap * positive


def test_the_interval_of_an_auc_holds_the_truth_as_often_as_it_says() -> None:
    """The area of two normals a distance of 1 apart is known; 400 samples of 120 rows."""
    true = float(norm.cdf(1 / 2**0.5))
    inside = 0
    for seed in range(400):
        found = auc(*scores(120, 1.0, seed), Resampling(0.9, 500, 0))
        inside += found.low <= true <= found.high
    assert 0.86 < inside / 400 < 0.94


def test_an_auc_is_that_of_scikit_learn_also_with_ties() -> None:
    positive, found = scores(500, 0.7, 0)
    for values in (found, found.round(1), found.round(0)):
        assert auc(positive, values, SAMPLING).value == pytest.approx(sk.roc_auc_score(positive, values))


def test_a_perfect_auc_is_no_certainty() -> None:
    positive = np.arange(40) < 10
    found = auc(positive, -np.arange(40.0), SAMPLING)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    found = auc(~positive, -np.arange(40.0), SAMPLING)
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 10)))


def test_the_difference_of_two_aucs_is_paired() -> None:
    positive, a = scores(600, 1.0, 0)
    b = a + np.random.default_rng(1).normal(0, 0.3, 600)
    found, alone = auc_difference(positive, a, b, SAMPLING), auc(positive, a, SAMPLING)
    assert found.value == pytest.approx(alone.value - auc(positive, b, SAMPLING).value)
    assert found.low < found.value < found.high
    # b is nearly a: on the same rows much is known of their difference
    assert np.ptp(ends(found)) < 0.5 * np.ptp(ends(alone))
    assert ends(auc_difference(positive, b, a, SAMPLING)) == pytest.approx(ends(-found))
    assert auc_difference(positive, a, a, SAMPLING) == Interval(0.0, 0.0, 0.0, "DeLong")


def test_detection_by_hand() -> None:
    positive = np.array([True] * 4 + [False] * 6)
    said = np.array([True] * 3 + [False] + [True] * 2 + [False] * 4)
    found = detection(positive, said, np.arange(10.0)[::-1], Resampling(0.95, 500, 0))
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((3 / 5, 3 / 4, 2 / 3))
    assert found["f1_interval"].low < found["f1"] < found["f1_interval"].high
    assert (found["auc"], found["average_precision"]) == (1.0, 1.0)
    assert detection(positive, said, None, Resampling(0.95, 500, 0))["auc"] is None
    assert (
        detection(np.arange(10) < 1, said, np.arange(10.0), Resampling(0.95, 500, 0))["auc"] is None
    )  # one row shows no spread


def test_the_interval_of_f1_is_that_of_resampled_rows() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.2
    said = np.where(rng.random(400) < 0.85, positive, ~positive)
    rows = rng.integers(0, 400, (3000, 400))
    hits, wrong = (positive & said)[rows].sum(1), (positive != said)[rows].sum(1)
    slow = np.quantile(2 * hits / (2 * hits + wrong), [0.025, 0.975])
    assert ends(Resampling(0.95, 20_000, 0).f1(positive, said)) == pytest.approx(slow.tolist(), abs=0.01)


def test_regression_by_hand() -> None:
    truth, said = np.array([[1.0], [2], [3], [4]]), np.array([[1.0], [2], [5], [3]])
    found = regression(truth, said, Resampling(0.95, 500, 0))
    assert (found["mae"], found["rmse"], found["r2"]) == pytest.approx((3 / 4, (5 / 4) ** 0.5, 1 - 5 / 5))
    for name, interval in (("mae", found["interval"]), ("rmse", found["rmse_interval"])):
        assert interval.low <= found[name] <= interval.high


def test_regression_of_several_outputs_and_large_values() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 3)) * [1, 2, 3] + 1e6
    said = truth + rng.normal(size=(300, 3)) * 0.5
    found = regression(truth, said, Resampling(0.95, 300, 0))
    assert found["mae"] == pytest.approx(np.abs(said - truth).mean())
    assert found["r2"] == pytest.approx(sk.r2_score(truth, said, multioutput="variance_weighted"))
    assert found["r2_interval"].low < found["r2"] < found["r2_interval"].high


def test_a_truth_that_never_varies_has_no_r2() -> None:
    found = regression(np.full((20, 1), 3.0), np.arange(20.0)[:, None], Resampling(0.95, 100, 0))
    assert (found["r2"], "r2_interval" in found) == (None, False)
    assert found["mae"] > 0


def test_the_bootstrap_of_means_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(size=(900, 2)) * [1, 5]
    draws = Resampling(0.95, 4000, 0).bootstrap(values)
    assert draws.mean(0) == pytest.approx(values.mean(0), abs=0.02)
    assert draws.std(0) == pytest.approx(values.std(0) / 30, rel=0.05)
    again = Resampling(0.95, 4000, 0).bootstrap(values[:, :1])
    assert np.allclose(again[:, 0], draws[:, 0])  # the same rows, whatever else is asked of them


def test_paired_errors_have_the_sign_of_the_first() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(300), rng.random(300) + 0.3
    found = Resampling(0.95, 1000, 0).difference(a, b)
    assert found.value == pytest.approx((a - b).mean())
    assert found.low < found.value < found.high < 0


def test_ari_differences_are_those_of_scikit_learn_and_resampled() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 500).astype(str)
    a = np.where(rng.random(500) < 0.8, truth, rng.integers(0, 4, 500).astype(str))
    b = np.where(rng.random(500) < 0.5, truth, rng.integers(0, 4, 500).astype(str))
    found = ari_difference(truth, a, b, Resampling(0.95, 4000, 0))
    assert found.value == pytest.approx(sk.adjusted_rand_score(truth, a) - sk.adjusted_rand_score(truth, b))
    slow = [
        sk.adjusted_rand_score(truth[r], a[r]) - sk.adjusted_rand_score(truth[r], b[r])
        for r in rng.integers(0, 500, (300, 500))
    ]
    assert ends(found) == pytest.approx(np.quantile(slow, [0.025, 0.975]).tolist(), abs=0.025)
    assert ari_difference(truth, a, a, Resampling(0.95, 100, 0)) == Interval(0.0, 0.0, 0.0, "percentile bootstrap")
    one = np.full(500, "x")
    assert ari_difference(truth, one, one, Resampling(0.95, 100, 0)).value == 0.0
