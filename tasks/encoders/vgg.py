"""Blocks of batch-normalised 3x3 convolutions (VGG, Simonyan and Zisserman 2015; laid out as in Jordan 2024)."""

from collections.abc import Sequence

import torch
from torch import nn


class VGG(nn.Module):
    """A 2x2 stem, then per block: convolution, pooling, normalisation, GELU, convolution, normalisation, GELU.

    Pooling right after the first convolution of a block makes the second one four times cheaper, on a CPU too
    (cifar10-airbench: Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498).
    The features are the maxima over space of the last block.
    """

    def __init__(self, shape: tuple[int, int, int], *, stem: int, channels: Sequence[int], dropout: float) -> None:
        super().__init__()
        before, height, width = shape
        layers: list[nn.Module] = [nn.Conv2d(before, stem, 2), nn.GELU()]
        height, width, before = height - 1, width - 1, stem
        for after in channels:
            halve = min(height, width) >= 2
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.MaxPool2d(2) if halve else nn.Identity(),
                nn.BatchNorm2d(after), nn.GELU(),
                nn.Conv2d(after, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after), nn.GELU(),
            ]  # fmt: skip
            height, width = (height // 2, width // 2) if halve else (height, width)
            before = after
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.width = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.dropout(self.layers(x).amax((2, 3)))  # (N, C, H, W) -> (N, C)
        return features
