"""Curves keep their shape with few points; the mean of several areas has an interval that covers."""

import numpy as np
import pytest
from sklearn import metrics as sk

from tasks.metrics import curves
from tasks.stats.resampling import Resampling
from tasks.stats.roc_auc import auc, influence, mean_auc

SAMPLING = Resampling(0.95, 500, 0)


def scored(seed: int, rows: int = 5000, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < 0.3
    return positive, positive + rng.normal(0, noise, rows)


def test_thinned_curves_lie_on_the_whole_ones() -> None:
    positive, scores = scored(0)
    made = curves.one(positive, scores)
    for points, whole in {
        "roc": sk.roc_curve(positive, scores)[:2], "pr": sk.precision_recall_curve(positive, scores)[1::-1],
    }.items():  # fmt: skip
        x, y = np.array(made[points]).T
        assert len(x) <= curves.MOST
        assert np.all(np.diff(x) >= 0)
        a, b = np.sort(whole[0]), whole[1][np.argsort(whole[0], kind="stable")]
        # no point of the whole curve is far from what is drawn
        far = [np.hypot(x - p, y - q).min() for p, q in zip(a[::20], b[::20], strict=True)]
        assert max(far) < 0.02
    x, y = np.array(made["roc"]).T
    assert np.trapezoid(y, x) == pytest.approx(sk.roc_auc_score(positive, scores), abs=2e-3)
    assert made["roc"][0] == [0, 0]
    assert made["roc"][-1] == [1, 1]
    assert (made["pr"][0][0], made["pr"][-1][0]) == (0, 1)


def test_short_curves_are_left_alone() -> None:
    positive, scores = np.array([1, 1, 0, 1, 0], bool), np.array([5.0, 4, 3, 2, 1])
    assert curves.one(positive, scores)["roc"] == [[0, 0], [0, 0.3333], [0, 0.6667], [0.5, 0.6667], [0.5, 1], [1, 1]]


def test_influences_are_delongs() -> None:
    positive, scores = scored(1, 400)
    area, own = influence(positive, scores)
    assert area == pytest.approx(sk.roc_auc_score(positive, scores))
    assert own.mean() == pytest.approx(0, abs=1e-12)
    found, wanted = mean_auc(area, own, SAMPLING), auc(positive, scores, SAMPLING)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=2e-3)


def three(seed: int, rows: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    scores = np.eye(3)[truth] + rng.normal(0, 0.8, (rows, 3))
    return np.array(list("abc"))[truth], np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def test_the_mean_of_several_classes_is_scikit_learns() -> None:
    truth, shares = three(0)
    found = curves.several(truth, shares, ["a", "b", "c"], SAMPLING)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(truth, shares, multi_class="ovr"))
    assert found["average_precision"] == pytest.approx(
        np.mean([sk.average_precision_score(truth == c, shares[:, k]) for k, c in enumerate("abc")])
    )
    x, y = np.array(found["roc"]).T
    assert np.trapezoid(y, x) == pytest.approx(found["auc"], abs=0.01)
    assert found["classes"].keys() == set("abc")
    recall, precision = np.array(found["pr"]).T
    assert np.all(np.diff(precision) <= 1e-9)
    assert (recall[0], recall[-1]) == (0, 1)


def test_the_interval_of_the_mean_covers() -> None:
    truth, shares = three(99, 60_000)
    wanted = curves.several(truth, shares, ["a", "b", "c"], SAMPLING)["auc"]
    found = [curves.several(*three(seed), ["a", "b", "c"], SAMPLING)["auc_interval"] for seed in range(200)]
    assert 0.9 <= np.mean([one.low <= wanted <= one.high for one in found]) <= 0.99


def test_a_class_of_one_row_is_left_out() -> None:
    truth, shares = three(0)
    truth[truth == "c"] = "a"
    truth[0] = "c"
    assert curves.several(truth, shares, ["a", "b", "c"], SAMPLING)["classes"].keys() == {"a", "b"}
    assert curves.several(np.array(["a"] * 9), shares[:9], ["a", "b", "c"], SAMPLING) == {}
