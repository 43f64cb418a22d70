"""A forecast as a person looks at it: the steps before it, what came, and what was said, as one SVG."""

import numpy as np
from markupsafe import Markup

#: The picture's size in its own units, the room of its text, and channels that are drawn.
WIDTH, HEIGHT, MARGIN, CHANNELS = 320, 150, 6, 3
#: Steps before the forecast that are drawn: so many times its length, and no fewer than this.
TIMES, LEAST = 3, 16


def draw(window: np.ndarray | None, truth: np.ndarray, said: np.ndarray) -> Markup:
    """One inline SVG, a panel for each of the first channels.

    Args:
        window: (L, C) the steps before, or None where the input is no sequence.
        truth, said: (H * C,) what came and what was said, step by step. Where C does not divide them: one channel.
    """
    channels = window.shape[1] if window is not None and len(truth) % window.shape[1] == 0 else 1
    ahead = [v.reshape(-1, channels) for v in (truth, said)]  # (H, C)
    steps = max(LEAST, TIMES * len(ahead[0]))
    before = window[-steps:, :channels] if window is not None else np.empty((0, channels))
    panels = [_panel(before[:, c], ahead[0][:, c], ahead[1][:, c], HEIGHT * c) for c in range(min(channels, CHANNELS))]
    height = HEIGHT * len(panels)
    words = f"{len(before)} steps, then {len(ahead[0])} steps as they came and as they were forecast"
    return Markup('<svg class="forecast" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, words, Markup("").join(panels)
    )


def _panel(before: np.ndarray, truth: np.ndarray, said: np.ndarray, top: int) -> Markup:
    every = np.concatenate([before, truth, said])
    fine = every[np.isfinite(every)]
    low, high = (float(fine.min()), float(fine.max())) if len(fine) else (0.0, 1.0)
    length = len(before) + len(truth)

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
    drawn = [line("seen", before, 0), line("truth", np.concatenate([join, truth]), start)]
    return Markup("").join([rule, *drawn, line("said", np.concatenate([join, said]), start)])
