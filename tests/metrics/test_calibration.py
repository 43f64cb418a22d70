"""Calibration: figures by hand and by scikit-learn; what is planted is found, true probabilities raise no alarm."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from tasks.metrics.calibration import binned, calibration
from tasks.stats.resampling import Resampling

CLASSES = ["no", "yes"]


def world(seed: int, rows: int = 400, sharper: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and probabilities that are true at ``sharper`` 1 and too sure above."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, rows)
    truth = np.where(rng.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    said = 1 / (1 + np.exp(-sharper * odds))
    return truth, np.stack([1 - said, said], axis=1)


def judged(truth: np.ndarray, shares: np.ndarray, **more: Any) -> dict[str, Any]:
    sampling = replace(Resampling(0.95, 300, 0), **more)
    return calibration(truth, shares, CLASSES, "yes", 10, sampling)


def test_by_hand() -> None:
    """Two bins: 20 rows at 0.9 of which 15 come true, 20 at 0.2 of which 5 do."""
    p = np.repeat([0.9, 0.2], 20)
    truth = np.array((["yes"] * 15 + ["no"] * 5) + (["yes"] * 5 + ["no"] * 15))
    found = judged(truth, np.stack([1 - p, p], axis=1))
    assert [(b["said"], b["came"], b["rows"]) for b in found["bins"]] == [
        (pytest.approx(0.2), 0.25, 20),
        (pytest.approx(0.9), 0.75, 20),
    ]
    assert found["ece"] == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert found["sure"] == pytest.approx((0.9 + 0.8) / 2)
    assert found["right"] == pytest.approx(0.75)
    assert found["gap"] == pytest.approx(0.1)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(truth, p, pos_label="yes"))
    assert found["log_loss"] == pytest.approx(sk.log_loss(truth, np.stack([1 - p, p], axis=1)))


def test_more_classes_are_judged_by_what_was_said() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 300)
    truth = np.array([rng.choice(list("abc"), p=row) for row in shares])
    found = calibration(truth, shares, list("abc"), None, 10, Resampling(0.95, 300, 0))
    assert found["of"] == "said"
    assert found["brier"] == pytest.approx(sk.brier_score_loss(truth, shares))
    assert found["log_loss"] == pytest.approx(sk.log_loss(truth, shares))
    assert sum(b["rows"] * b["came"] for b in found["bins"]) == pytest.approx(
        (np.array(list("abc"))[shares.argmax(1)] == truth).sum()
    )
    # a class that no one knew of costs much, not everything
    truth[0] = "d"
    assert np.isfinite(calibration(truth, shares, list("abc"), None, 10, Resampling(0.95, 300, 0))["log_loss"])


def test_true_probabilities_raise_no_alarm_and_sharp_ones_do() -> None:
    true = [judged(*world(seed)) for seed in range(200)]
    assert np.mean([f["p"] < 0.05 for f in true]) < 0.09
    assert 0.9 <= np.mean([f["gap_interval"].low <= 0 <= f["gap_interval"].high for f in true]) <= 0.99
    # what chance alone makes of the error
    assert np.mean([f["by_chance"] for f in true]) == pytest.approx(np.mean([f["ece"] for f in true]), rel=0.05)
    sharp = [judged(*world(seed, sharper=3)) for seed in range(20)]
    assert all(f["p"] < 0.01 and f["gap_interval"].low > 0 for f in sharp)
    shy = judged(*world(0, 2000, sharper=0.3))
    assert shy["gap_interval"].high < 0


def test_the_interval_of_the_error_covers() -> None:
    """The error that 200,000 rows have lies inside the intervals of 400."""
    for sharper, least in ((1.0, 0.9), (2.0, 0.9)):
        wanted = judged(*world(999, 200_000, sharper), resamples=100)["ece"] if sharper > 1 else 0.0
        found = [judged(*world(seed, sharper=sharper), resamples=100)["ece_interval"] for seed in range(200)]
        assert np.mean([one.low <= wanted <= one.high for one in found]) >= least


def test_few_rows_and_equal_probabilities_make_few_bins() -> None:
    assert set(binned(np.linspace(0, 1, 100), 10).tolist()) == set(range(10))
    assert np.bincount(binned(np.linspace(0, 1, 100), 10)).tolist() == [10] * 10
    assert set(binned(np.linspace(0, 1, 9), 10).tolist()) == {0}
    assert set(binned(np.array([0.5] * 90 + [0.9] * 10), 10).tolist()) == {0, 1}


def test_of_one_row() -> None:
    found = judged(np.array(["yes"]), np.array([[0.2, 0.8]]))
    assert found["ece"] == pytest.approx(0.2)
    assert len(found["bins"]) == 1


def test_groups_widen_the_gap() -> None:
    truth, shares = world(0)
    alone = judged(truth, shares)
    pairs = judged(np.repeat(truth, 5), np.repeat(shares, 5, axis=0), groups=np.repeat(np.arange(400), 5))
    width = np.subtract(*alone["gap_interval"].as_json())
    assert np.subtract(*pairs["gap_interval"].as_json()) == pytest.approx(width, rel=0.15)
