"""A small transformer encoder (Vaswani et al., NIPS 2017) with the normalisation first (Xiong et al., ICML 2020)."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tasks.core.errors import DeepmineError
from tasks.encoders.layers import Pool, Steps, positions


class Attention(nn.Module):
    """Steps as vectors of ``width`` with sinusoidal positions, blocks of self-attention, pooling over the real steps.

    ``pooling: first`` puts a learned token before the others and takes what becomes of it (Devlin et al., 2019).
    """

    def __init__(
        self, form: dict[str, Any], *, width: int, layers: int, heads: int, pooling: str, dropout: float
    ) -> None:
        super().__init__()
        if width % heads:
            raise DeepmineError(
                f"train.encoders: attention of width {width} cannot be shared by {heads} heads; "
                "choose a width that is a multiple of heads."
            )
        self.steps = Steps("attention", form, width)
        self.project = nn.Identity() if form["kind"] == "tokens" else nn.Linear(self.steps.width, width)
        self.first = nn.Parameter(torch.zeros(width)) if pooling == "first" else None
        self.positions: torch.Tensor
        self.register_buffer("positions", positions(self.steps.length, width), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.normalise, self.pool, self.width = nn.LayerNorm(width), Pool(pooling, width), width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, mask = self.steps(x)  # (N, L, C), (N, L)
        x = self.project(x)
        x = self.dropout(x + self.positions[: x.shape[1]].to(x.dtype))
        if self.first is not None:
            x = torch.cat([self.first.to(x.dtype).expand(len(x), 1, -1), x], 1)
            mask = torch.cat([mask.any(1, keepdim=True), mask], 1)
        # a row of padding looks at itself, as a softmax over nothing is NaN; the pooling gives it zeros
        keys = (mask | ~mask.any(1, keepdim=True))[:, None, None]  # (N, 1, 1, L)
        for block in self.blocks:
            x = block(x, keys)
        pooled: torch.Tensor = self.pool(self.normalise(x), mask)
        return pooled


class Block(nn.Module):
    """Self-attention and a feed-forward network of four times the width, each added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        seen = self.before_attention(x)
        query, key, value = (
            part(seen).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=keys)  # (N, heads, L, width / heads)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        result: torch.Tensor = x + self.dropout(self.dense(self.before_dense(x)))
        return result
