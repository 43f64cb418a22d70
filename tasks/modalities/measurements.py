"""What can be measured of whole arrays of items, cheaply: light of pictures, level and spread of series."""

import numpy as np

#: Pixels of a picture that are looked at, at most: their mean is within a hundredth of that of all.
PIXELS = 4096
#: Pictures that are worked on at once: 64 MB as float32.
BLOCK = 1024


def light(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness (mean grey level) and contrast (its deviation) of (N, H, W, C) uint8, each (N,) in % of full white.

    Of each picture every k-th pixel is looked at, so that a row's figures depend on no other row.
    """
    count, height, width, channels = images.shape
    pixels = images.reshape(count, height * width, channels)[:, :: -(-height * width // PIXELS)]
    found = np.empty((2, count))
    for start in range(0, count, BLOCK):
        grey = pixels[start : start + BLOCK].mean(2, dtype=np.float32)  # (N, pixels)
        found[0, start : start + BLOCK] = grey.mean(1)
        found[1, start : start + BLOCK] = grey.std(1)
    brightness, contrast = found * 100 / 255
    return brightness, contrast


def levels(items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over time, each (N, C), of (N, L, C) float32 with NaN after a series' end.

    NaN where there is no step at all.
    """
    there = ~np.isnan(items)
    count = np.where(there.any(1), there.sum(1), np.nan)  # (N, C)
    mean = np.where(there, items, 0).sum(1, dtype=np.float64) / count
    away = np.where(there, items - mean[:, None], 0)
    return mean, np.sqrt(np.square(away).sum(1) / count)
