"""What encoders of steps share: any form as a sequence with a mask, pooling over real steps, positions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tasks.core.errors import DeepmineError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU,
}  # fmt: skip


def refuse(encoder: str, form: dict[str, Any], takes: str) -> DeepmineError:
    """The error of an encoder that cannot take a form."""
    found = {
        "maps": "images or spectrograms",
        "sequence": "sequences of numbers",
        "tokens": "text",
        "vector": "tables or baskets",
    }
    return DeepmineError(
        f"train.encoders: '{encoder}' takes {takes}, not {found[form['kind']]}. Choose another encoder under "
        "train.encoders.MODALITY of this input (text, series: cnn, gru, attention; tabular, basket: ffn; image: vgg)."
    )


class Steps(nn.Module):
    """Any form with an order as (N, L, ``width``) and a mask (N, L) of the real steps; padding is zero.

    Tokens are embedded. Of maps the rows are steps, or where time runs along the width, the columns.
    """

    def __init__(self, encoder: str, form: dict[str, Any], embedding: int) -> None:
        super().__init__()
        self.kind, shape = form["kind"], form["shape"]
        self.columns = form.get("steps") == "width"
        if self.kind == "tokens":
            self.embedding = nn.Embedding(form["size"], embedding, padding_idx=0)
            # torch's own start, of deviation one, cost a CNN 4 to 9 points of accuracy on AG News
            nn.init.normal_(self.embedding.weight[1:].data, std=0.1)
            self.length, self.width = shape[0], embedding
        elif self.kind == "sequence":
            self.length, self.width = shape
        elif self.kind == "maps":
            channels, height, width = shape
            self.length, self.width = (width, channels * height) if self.columns else (height, width * channels)
        else:
            raise refuse(encoder, form, "what has an order: text, series, audio, images row by row")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kind == "tokens":
            mask = x != 0  # (N, L)
            return self.embedding(x), mask  # that of padding is zero, and has no gradient
        if self.kind == "sequence":
            mask = ~x.isnan().all(2)
            return x.nan_to_num(nan=0.0), mask
        x = x.permute(0, 3, 1, 2) if self.columns else x.permute(0, 2, 3, 1)
        x = x.flatten(2)  # (N, L, C)
        return x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)


class Pool(nn.Module):
    """(N, L, D) and a mask (N, L) to (N, D): mean, max, first or learned attention over the real steps.

    Attention is one learned query (Yang et al., NAACL 2016, without its tanh). No real step: zeros.
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "attention":
            self.query = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        real = mask[..., None]
        if self.kind == "max":
            pooled = x.masked_fill(~real, -math.inf).amax(1)
        elif self.kind == "mean":
            pooled = (x * real).sum(1) / real.sum(1).clamp(min=1)
        elif self.kind == "attention":
            scores = (x @ self.query / x.shape[2] ** 0.5).masked_fill(~mask, -1e9).softmax(1)
            pooled = (x * scores[..., None]).sum(1)
        else:
            pooled = x[:, 0]
        return torch.where(mask.any(1, keepdim=True), pooled, 0.0)


def positions(length: int, width: int) -> torch.Tensor:
    """(length, width) sines and cosines of wavelengths from 2 pi to 10,000 * 2 pi (Vaswani et al., NIPS 2017)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


def connected(width: int, sizes: Sequence[int], activation: str, dropout: float) -> tuple[nn.Sequential, int]:
    """Fully connected layers, each with activation and dropout, and the width of the last."""
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [nn.Linear(width, size), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers), width
