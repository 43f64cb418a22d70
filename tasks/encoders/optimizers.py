"""Optimisers and learning rate schedules by name."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tasks.encoders.muon import Muon


def trained(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that learn."""
    return [p for p in network.parameters() if p.requires_grad]


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "muon": Muon,
    "sgd": lambda network, **kw: torch.optim.SGD(trained(network), nesterov=kw["momentum"] > 0, **kw),
    "adam": lambda network, **kw: torch.optim.Adam(trained(network), **kw),
    "adamw": lambda network, **kw: torch.optim.AdamW(trained(network), **kw),
}


def optimizer(chosen: Any, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a configuration (`config.Muon`, `SGD` or `Adam`)."""
    return OPTIMIZERS[chosen.name](network, **{k: v for k, v in vars(chosen).items() if k != "name"})


def ramp(share: float, up: float = 0.2) -> float:
    """Linear up, then linear to zero."""
    return share / up if share < up else max((1 - share) / (1 - up), 1e-3)


def cosine(share: float, up: float = 0.05) -> float:
    """Linear up for a twentieth, then half a cosine to zero (Loshchilov and Hutter, ICLR 2017)."""
    return share / up if share < up else max((1 + math.cos(math.pi * (share - up) / (1 - up))) / 2, 1e-3)


def stairs(share: float) -> float:
    """A tenth after half of the steps, a hundredth after three quarters (He et al., CVPR 2016)."""
    return 1.0 if share <= 0.5 else 0.1 if share <= 0.75 else 0.01


#: The share of the peak learning rate after a share of all steps.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "triangle": ramp,
    "cosine": cosine,
    "step": stairs,
    "constant": lambda share: 1.0,
}
