"""A forecast as one SVG: the steps before it, the true values and the predicted ones."""

import numpy as np
from markupsafe import Markup

#: The picture's size in its own units, the room of its text, and channels that are drawn.
WIDTH, HEIGHT, MARGIN, CHANNELS = 320, 150, 6, 3
#: Steps before the forecast that are drawn: so many times its length, and no fewer than this.
TIMES, LEAST = 3, 16


def draw(window: np.ndarray | None, y_true: np.ndarray, y_pred: np.ndarray) -> Markup:
    """One inline SVG, a panel for each of the first channels.

    Args:
        window: (L, C) the steps before, or None where the input is no sequence.
        y_true, y_pred: (H * C,) true and predicted values, step by step. Where C does not divide them: one channel.
    """
    channels = window.shape[1] if window is not None and len(y_true) % window.shape[1] == 0 else 1
    ahead = [v.reshape(-1, channels) for v in (y_true, y_pred)]  # (H, C)
    steps = max(LEAST, TIMES * len(ahead[0]))
    before = window[-steps:, :channels] if window is not None else np.empty((0, channels))
    panels = [_panel(before[:, c], ahead[0][:, c], ahead[1][:, c], HEIGHT * c) for c in range(min(channels, CHANNELS))]
    height = HEIGHT * len(panels)
    words = f"{len(before)} steps, then {len(ahead[0])} true and predicted steps"
    return Markup('<svg class="forecast" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, words, Markup("").join(panels)
    )


def _panel(before: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, top: int) -> Markup:
    every = np.concatenate([before, y_true, y_pred])
    fine = every[np.isfinite(every)]
    low, high = (float(fine.min()), float(fine.max())) if len(fine) else (0.0, 1.0)
    length = len(before) + len(y_true)

    def line(kind: str, values: np.ndarray, start: int) -> Markup:
        x = MARGIN + (start + np.arange(len(values))) / max(length - 1, 1) * (WIDTH - 2 * MARGIN)
        y = top + HEIGHT - MARGIN - (values - low) / max(high - low, 1e-12) * (HEIGHT - 2 * MARGIN)
        places = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
        return Markup('<polyline class="{}" points="{}"/>').format(kind, places)

    # both begin at the last step that was seen, so that no gap stands between
    join, start = before[-1:], max(len(before) - 1, 0)
    now = MARGIN + start / max(length - 1, 1) * (WIDTH - 2 * MARGIN)
    rule = Markup('<line class="now" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
        f"{now:.1f}", top + MARGIN, top + HEIGHT - MARGIN
    )
    drawn = [line("seen", before, 0), line("true", np.concatenate([join, y_true]), start)]
    return Markup("").join([rule, *drawn, line("predicted", np.concatenate([join, y_pred]), start)])
