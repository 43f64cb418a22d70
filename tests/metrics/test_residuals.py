"""Residuals: a planted bias and a planted growth are found, clean ones raise no alarm."""

import numpy as np
import pytest

from tasks.metrics.residuals import residuals
from tasks.stats.resampling import Resampling


def world(seed: int, rows: int = 200, bias: float = 0.0, growth: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    said = rng.uniform(1, 5, (rows, 1))
    return said - bias - rng.normal(0, 1, (rows, 1)) * (1 + growth * said), said


def test_bias_and_growth_are_found_and_neither_where_there_is_none() -> None:
    some = np.arange(50)
    off = residuals(*world(0, bias=0.5, growth=2), some, Resampling(0.95, 300, 0))
    assert off["grows"]["correlation"] > 0.2
    assert off["grows"]["p"] < 0.01
    assert off["bias_interval"].low < off["bias"] < off["bias_interval"].high
    assert residuals(*world(0, bias=0.5), some, Resampling(0.95, 300, 0))["bias_interval"].low > 0
    clean = [residuals(*world(seed), some, Resampling(0.95, 300, 0)) for seed in range(200)]
    assert 0.9 <= np.mean([f["bias_interval"].low <= 0 <= f["bias_interval"].high for f in clean]) <= 0.99
    assert np.mean([f["grows"]["p"] < 0.05 for f in clean]) < 0.1


def test_the_drawings_hold_every_row() -> None:
    truth, said = world(0)
    found = residuals(truth, said, np.arange(50), Resampling(0.95, 300, 0))
    assert sum(found["counts"]) == 200
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert found["residual"] == pytest.approx((said - truth)[:50, 0], rel=1e-5)
    assert found["quantiles"][2][1] == pytest.approx(np.median(said - truth))


def test_one_row_and_a_perfect_forecast() -> None:
    one = np.array([[3.0]])
    found = residuals(one, one, np.array([0]), Resampling(0.95, 100, 0))
    assert (found["bias"], found["grows"], sum(found["counts"])) == (0, None, 1)


def test_residuals_that_are_equal_up_to_rounding_are_drawn() -> None:
    truth = np.array([[0.1 + 0.2], [0.3]] * 10)
    found = residuals(truth, np.full((20, 1), 0.7), np.arange(5), Resampling(0.95, 50, 0))
    assert sum(found["counts"]) == 20
