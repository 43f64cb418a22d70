"""Pictures of items that are none: series as lines over time, sounds as spectrograms."""

import math

import numpy as np
from PIL import Image, ImageDraw

#: One colour a line, told apart by colour-blind readers too (Okabe and Ito 2008), then again from the first.
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#595959")
#: Lines are drawn so many times larger and scaled down, which smooths them.
OVERSAMPLE = 4
#: Decibels below its loudest that a spectrogram shows, and its colours from low to high: matplotlib's map `magma`.
RANGE = 80.0
MAGMA = np.array([
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100), (251, 135, 97),
    (254, 194, 135), (252, 253, 191),
])  # fmt: skip


def lines(values: np.ndarray, side: int) -> Image.Image:
    """(T, C) values as lines on a light grid, ``side`` pixels wide and three fifths of that high."""
    width, height = side * OVERSAMPLE, max(round(side * 0.6), 8) * OVERSAMPLE
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for part in range(1, 4):
        pen.line([(0, height * part // 4), (width, height * part // 4)], "#e4e4e4", OVERSAMPLE)
        pen.line([(width * part // 4, 0), (width * part // 4, height)], "#e4e4e4", OVERSAMPLE)
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 2 * OVERSAMPLE + height // 20
    scale = (height - 2 * margin) / (most - least) if most > least else 0.0
    thick = round(OVERSAMPLE * max(1.0, side / 160))
    for c in reversed(range(values.shape[1])):  # the first on top
        x, y = _outline(values[:, c].astype(np.float64), side)
        x = margin + x * (width - 2 * margin)
        y = height - margin - (y - least) * scale if scale else np.where(np.isnan(y), np.nan, height / 2)
        colour = LINES[c % len(LINES)]
        breaks = np.flatnonzero(np.isnan(y))
        for run in np.split(np.stack([x, y], 1), breaks):
            points = [(float(a), float(b)) for a, b in run if not math.isnan(b)]
            if len(points) > 1:
                pen.line(points, colour, thick, joint="curve")
            elif points:
                pen.circle(points[0], thick, colour)
    return picture.reduce(OVERSAMPLE)


def _outline(values: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a line, x on 0..1; of more than two values a pixel the least and the largest of each pixel."""
    count = len(values)
    if count <= 2 * side:
        return np.arange(count) / max(count - 1, 1), values
    starts = np.arange(side) * count // side
    ends = np.stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)], 1)
    return np.repeat((np.arange(side) + 0.5) / side, 2), ends.reshape(-1)


def spectrogram(levels: np.ndarray, side: int) -> Image.Image:
    """(bands, frames) decibels, high frequencies at the top, ``side`` pixels wide and half that high."""
    share = np.clip((levels[::-1] - levels.max()) / RANGE + 1, 0, 1)
    marks = np.linspace(0, 1, len(MAGMA))
    colours = np.stack([np.interp(share, marks, channel) for channel in MAGMA.T], axis=-1)
    return Image.fromarray(colours.round().astype(np.uint8)).resize((side, max(side // 2, 1)))
