"""The seasonal-naive forecast: what the series was one season before (Hyndman and Athanasopoulos 2021, section 5.2)."""

import numpy as np

#: Windows that the season is looked for in, at most.
ROWS = 2000


def season(windows: np.ndarray) -> int:
    """The lag from 2 to half the length at which (N, L, C) windows, less their trend, are most like themselves.

    The first peak of the mean autocorrelation that comes within a tenth of the highest; 1 where no lag stands out
    (autocorrelation under 0.2), so that the forecast is the last value.
    """
    values = np.nan_to_num(windows[:: -(-len(windows) // ROWS)].astype(np.float64))  # (n, L, C)
    steps = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    slope = np.einsum("l,nlc->nc", steps, values) / max((steps**2).sum(), 1e-12)
    values -= values.mean(1, keepdims=True) + steps[None, :, None] * slope[:, None, :]
    power = np.maximum((values**2).sum(1), 1e-12)  # (n, C)
    lags = np.arange(2, values.shape[1] // 2 + 1)
    if not len(lags):
        return 1
    like = np.array([((values[:, k:] * values[:, :-k]).sum(1) / power).mean() for k in lags])
    # each sum has fewer terms the longer the lag
    like *= values.shape[1] / (values.shape[1] - lags)
    peaks = [i for i in range(1, len(lags) - 1) if like[i] >= like[i - 1] and like[i] >= like[i + 1]]
    good = [i for i in peaks if like[i] >= like[peaks].max() - 0.1 and like[i] > 0.2]
    return int(lags[good[0]]) if good else 1


def forecast(windows: np.ndarray, horizon: int, period: int) -> np.ndarray:
    """The next ``horizon`` steps of (N, L, C) windows as those ``period`` before them: (N, horizon * C) float32."""
    length = windows.shape[1]
    places = length - period + np.arange(horizon) % period
    return np.ascontiguousarray(windows[:, places].reshape(len(windows), -1), np.float32)
