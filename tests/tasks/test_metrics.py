"""Figures of merit against numbers that were worked out by hand."""

import numpy as np
import pytest

from tasks.metrics import classification, clustering, confusion, paired_difference, wilson

TRUTH = np.array(list("aaaabbbccc"))
SAID = np.array(list("aaabbbcccb"))
#: class -> true positives, predicted, rows
#: a: 3 of 3 said, 4 there;  b: 2 of 4 said, 3 there;  c: 2 of 3 said, 3 there
PRECISION, RECALL = {"a": 1.0, "b": 2 / 4, "c": 2 / 3}, {"a": 3 / 4, "b": 2 / 3, "c": 2 / 3}
F1 = {k: 2 * PRECISION[k] * RECALL[k] / (PRECISION[k] + RECALL[k]) for k in "abc"}


def test_classification_by_hand() -> None:
    found = classification(TRUTH, SAID, ["a", "b", "c"], 0.95)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["interval"] == wilson(7, 10, 0.95)
    for name, wanted in {"precision": PRECISION, "recall": RECALL, "f1": F1}.items():
        assert found[name] == pytest.approx(sum(wanted.values()) / 3)
        assert {k: v[name] for k, v in found["classes"].items()} == pytest.approx(wanted)
    assert {k: v["rows"] for k, v in found["classes"].items()} == {"a": 4, "b": 3, "c": 3}
    assert pytest.approx({"a": 6 / 7, "b": 4 / 7, "c": 2 / 3}) == F1


def test_a_class_that_is_never_said_counts_as_nothing() -> None:
    found = classification(np.array(["a", "b"]), np.array(["a", "a"]), ["a", "b"], 0.95)
    assert found["classes"]["b"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 1}
    assert found["precision"] == pytest.approx(0.25)


def test_confusion_has_the_truth_in_its_rows() -> None:
    assert confusion(TRUTH, SAID, ["a", "b", "c"]) == [[3, 1, 0], [0, 2, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("hits", "n", "wanted"),
    [(8, 10, (0.4902, 0.9433)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_wilson(hits: int, n: int, wanted: tuple[float, float]) -> None:
    assert wilson(hits, n, 0.95) == pytest.approx(wanted, abs=1e-4)


def test_more_confidence_is_a_wider_interval() -> None:
    (low, high), (lower, higher) = wilson(8, 10, 0.9), wilson(8, 10, 0.99)
    assert lower < low < 0.8 < high < higher


def hits(n: int, share: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_a_difference_has_the_sign_of_the_better_one() -> None:
    better, worse = hits(400, 0.9, 0), hits(400, 0.6, 1)
    found = paired_difference(better, worse, 0.95, 2000, 0)
    assert found["difference"] == pytest.approx(better.mean() - worse.mean())
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
    again = paired_difference(better, worse, 0.95, 2000, 0)
    assert again == found


def test_a_difference_turned_round_is_its_mirror() -> None:
    a, b = hits(400, 0.8, 0), hits(400, 0.75, 1)
    one, two = paired_difference(a, b, 0.95, 50_000, 0), paired_difference(b, a, 0.95, 50_000, 1)
    assert two["difference"] == pytest.approx(-one["difference"])
    # two draws of the same bootstrap: equal up to its noise and the step of one row
    assert two["interval"] == pytest.approx([-v for v in reversed(one["interval"])], abs=0.006)


def test_the_interval_is_that_of_a_mean_of_pairs() -> None:
    a, b = hits(2000, 0.8, 0), hits(2000, 0.75, 1)
    found = paired_difference(a, b, 0.95, 20_000, 0)
    half = 1.96 * (a.astype(int) - b.astype(int)).std() / 2000**0.5
    middle = found["difference"]
    assert found["interval"] == pytest.approx([middle - half, middle + half], abs=0.002)


def test_no_difference_is_zero() -> None:
    same = hits(50, 0.7, 0)
    assert paired_difference(same, same, 0.95, 500, 0) == {"difference": 0.0, "interval": [0.0, 0.0]}


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
    assert found == {"ari": 0.0, "nmi": 0.0, "purity": 0.5, "silhouette": 0.0, "clusters": 1}


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
