"""The plain convolutional network of the textbooks (LeCun et al., 1998), over maps or along a sequence."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tasks.core.errors import DeepmineError
from tasks.encoders.layers import ACTIVATIONS, Pool, Steps, connected, refuse

POOLING = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "none": None}


class CNN(nn.Module):
    """Convolution, activation and pooling for each of ``channels``, then dense layers.

    Over maps convolutions are two-dimensional, and what they give is flattened. Along a sequence or text (embedded
    first) they are one-dimensional, and the maxima over its real steps go on (Kim, EMNLP 2014). The features are the
    activations of the last dense layer, or what comes before where there is none.
    """

    def __init__(
        self, form: dict[str, Any], *, channels: Sequence[int], kernel: int, pooling: str, activation: str,
        dense: Sequence[int], dropout: float, embedding: int,
    ) -> None:  # fmt: skip
        super().__init__()
        layers: list[nn.Module]
        if form["kind"] == "maps":
            layers, before = _maps(form["shape"], channels, kernel, pooling, activation)
        elif form["kind"] == "vector":
            raise refuse("cnn", form, "images, audio, series and text")
        else:
            along = Along(form, channels, kernel, pooling, activation, dropout, embedding)
            layers, before = [along], along.width
        top, self.width = connected(before, dense, activation, dropout)
        self.layers = nn.Sequential(*layers, *top)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(x)  # (N, width)
        return features


def _maps(
    shape: tuple[int, int, int], channels: Sequence[int], kernel: int, pooling: str, activation: str
) -> tuple[list[nn.Module], int]:
    before, height, width = shape
    layers: list[nn.Module] = []
    pool = POOLING[pooling]
    for after in channels:
        layers += [nn.Conv2d(before, after, kernel, padding="same"), ACTIVATIONS[activation]()]
        before = after
        if pool is not None:
            height, width = height // 2, width // 2
            layers.append(pool(2))
    if min(height, width) < 1:
        raise DeepmineError(
            f"train.encoders: {len(channels)} poolings of the cnn leave no pixels of a {shape[1]} x {shape[2]} image; "
            "use fewer channels or 'pooling: none'."
        )
    return [*layers, nn.Flatten()], before * height * width


class Along(nn.Module):
    """1-D convolutions over the steps of a form: (N, ...) -> (N, width), the maxima over the real steps.

    After every layer padded steps are zero again, as before an edge; pooling takes pairs of steps and looks at the
    real ones alone, so a row's vector does not depend on how far it was padded.
    """

    def __init__(
        self, form: dict[str, Any], channels: Sequence[int], kernel: int, pooling: str, activation: str,
        dropout: float, embedding: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.steps, self.dropout = Steps("cnn", form, embedding), nn.Dropout(dropout)
        widths = [self.steps.width, *channels]
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, kernel, padding="same") for a, b in pairwise(widths))
        self.activation, self.pooling = ACTIVATIONS[activation](), pooling
        self.pool, self.width = Pool("max", widths[-1]), widths[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, mask = self.steps(x)  # (N, L, C), (N, L)
        if self.steps.kind == "tokens":
            x = self.dropout(x)
        x, real = x.transpose(1, 2), mask[:, None]  # (N, C, L), (N, 1, L)
        for convolution in self.convolutions:
            x = self.activation(convolution(x)).masked_fill(~real, 0.0)
            if self.pooling != "none" and x.shape[2] > 1:
                x, real = _halve(x, real, self.pooling)
        pooled: torch.Tensor = self.pool(x.transpose(1, 2), real[:, 0])
        return pooled


def _halve(x: torch.Tensor, real: torch.Tensor, pooling: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of steps as one: the larger or the mean of the real ones of both; a step without partner stays."""
    odd = x.shape[2] % 2
    x, real = F.pad(x, (0, odd)).unflatten(2, (-1, 2)), F.pad(real, (0, odd)).unflatten(2, (-1, 2))
    either = real.any(3)
    # for the mean: padded steps are zero
    largest = pooling == "max"
    pooled = x.masked_fill(~real, -math.inf).amax(3) if largest else x.sum(3) / real.sum(3).clamp(min=1)
    return torch.where(either, pooled, 0.0), either
