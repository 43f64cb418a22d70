"""The feed-forward network: dense layers over the flattened input."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tasks.encoders.layers import Pool, Steps, connected


class FFN(nn.Module):
    """Dense layers over all values of a row; of text over the mean of its tokens' embeddings.

    Padded steps of a series are zeros, the mean of the train rows.
    """

    def __init__(
        self, form: dict[str, Any], *, hidden: Sequence[int], activation: str, dropout: float, embedding: int
    ) -> None:
        super().__init__()
        self.tokens = form["kind"] == "tokens"
        if self.tokens:
            self.steps, self.pool = Steps("ffn", form, embedding), Pool("mean", embedding)
        before = embedding if self.tokens else math.prod(form["shape"])
        self.layers, self.width = connected(before, hidden, activation, dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.pool(*self.steps(x)) if self.tokens else x.flatten(1).nan_to_num(nan=0.0)  # (N, D)
        features: torch.Tensor = self.layers(flat)  # (N, width)
        return features
