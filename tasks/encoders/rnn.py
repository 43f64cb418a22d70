"""Recurrent networks: Elman's (1990), LSTM (Hochreiter and Schmidhuber 1997), GRU (Cho et al. 2014)."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tasks.encoders.layers import Pool, Steps


class RNN(nn.Module):
    """Recurrent layers over the steps of a row, pooled over the real ones.

    ``pooling: last`` takes the state after the last real step (of the backward direction: after the first).
    """

    #: The layers of torch.
    cell: Any = nn.RNN

    def __init__(
        self, form: dict[str, Any], *, hidden: int, layers: int, bidirectional: bool, pooling: str, dropout: float,
        embedding: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.steps = Steps(self.cell.__name__.lower(), form, embedding)
        between = dropout if layers > 1 else 0.0  # torch warns of what has no place
        self.layers = self.cell(
            self.steps.width, hidden, layers, batch_first=True, bidirectional=bidirectional, dropout=between
        )
        self.dropout = nn.Dropout(dropout)
        self.directions, self.last = 1 + bidirectional, pooling == "last"
        self.width = hidden * self.directions
        self.pool = Pool("first" if self.last else pooling, self.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, mask = self.steps(x)  # (N, L, C), (N, L)
        if self.steps.kind != "maps":
            # real steps to the front, where a packed sequence wants them, in their order
            order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
            x, mask = x.gather(1, order[..., None].expand_as(x)), mask.gather(1, order)
        lengths = mask.sum(1).clamp(min=1).cpu()
        # in mixed precision they are slower on a CPU than in float32
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(next(self.layers.parameters()).dtype)
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            outputs, state = self.layers(packed)
        if self.last:
            state = state[0] if isinstance(state, tuple) else state  # of an LSTM without its cells
            found = state[-self.directions :].transpose(0, 1).flatten(1)  # (N, directions * hidden)
            pooled: torch.Tensor = self.pool(found[:, None].expand(-1, mask.shape[1], -1), mask)
        else:
            steps, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
            pooled = self.pool(steps, mask)
        features: torch.Tensor = self.dropout(pooled)
        return features


class LSTM(RNN):
    cell = nn.LSTM


class GRU(RNN):
    cell = nn.GRU
