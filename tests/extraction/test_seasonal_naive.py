"""The seasonal-naive forecast."""

import numpy as np
import pytest

from tasks.extraction.seasonal_naive import forecast, season


def windows(period: float, trend: float = 0.0, noise: float = 0.1, length: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 500, 50)
    t = starts[:, None] + np.arange(length)
    values = np.sin(2 * np.pi * t / period) + trend * t + noise * rng.normal(size=t.shape)
    return values[..., None].astype(np.float32)  # (N, L, 1)


@pytest.mark.parametrize("period", [5, 7, 12, 24])
@pytest.mark.parametrize("trend", [0.0, 0.05])
def test_a_season_is_found_in_spite_of_trend_and_noise(period: int, trend: float) -> None:
    assert season(windows(period, trend)) == period


def test_no_season_is_seen_in_noise() -> None:
    noise = np.random.default_rng(0).normal(size=(50, 60, 1)).astype(np.float32)
    assert season(noise) == 1


def test_short_windows_have_no_season() -> None:
    assert season(np.ones((4, 3, 2), np.float32)) == 1


def test_the_forecast_repeats_the_last_season() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(1, 6, 2)  # two channels: even and odd
    assert forecast(rows, 4, 3).tolist() == [[6, 7, 8, 9, 10, 11, 6, 7]]
    assert forecast(rows, 2, 1).tolist() == [[10, 11, 10, 11]]
