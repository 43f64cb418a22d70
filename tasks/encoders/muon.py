"""Muon: weight matrices take orthogonal steps of a fixed angle, everything else takes Adam's.

Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon,
with the normalised weights of the author's cifar10-airbench. (`torch.optim.Muon` takes two-dimensional weights
only and keeps their length free.)
"""

import torch
from torch import nn

from tasks.encoders.network import Network

#: Coefficients of the quintic whose iteration takes every singular value near one.
A, B, C = 3.4445, -4.7750, 2.0315
STEPS = 3
#: What multiplies by its weights as by matrices. An embedding looks rows up, and most of them have no gradient.
MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.RNNBase)


class Muon(torch.optim.AdamW):
    """Muon for the matrices of the branches, AdamW for all else of them, for the head, decoders and the projector.

    Embeddings take steps as small as the head's: each row of one is only now and then in a batch, and at ten times
    the rate they learn the train rows by heart (AG News, deep features: 86.2 % against 89.0 %).

    A weight is kept at the length of the root of its rows, so that ``lr`` is about an angle: it means the same for
    every layer, size of batch and scale of the loss, and no weight decay is needed. A pretrained branch takes
    AdamW's steps alone, small ones, as what it knows lies in the length of its weights too.
    """

    def __init__(self, network: Network, *, lr: float, momentum: float, adam_lr: float, weight_decay: float) -> None:
        matrices, others, tables, tuned = split(network)
        inside = {id(p) for p in network.branches.parameters()}
        above = [p for p in network.parameters() if p.requires_grad and id(p) not in inside]
        groups = [
            {"params": matrices, "lr": lr, "orthogonal": True},
            {"params": others, "lr": adam_lr},
            {"params": tables + above, "lr": adam_lr / 10},
            {"params": tuned, "lr": adam_lr / 100},
        ]
        super().__init__([g for g in groups if g["params"]], betas=(0.9, 0.95), weight_decay=weight_decay)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            if not group.get("orthogonal"):
                continue
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    # AdamW looks for `step` wherever there is a state
                    state |= {"step": torch.zeros(()), "momentum_buffer": torch.zeros_like(weight)}
                mean = state["momentum_buffer"].mul_(self.momentum).add_(weight.grad)
                ahead = weight.grad.add(mean, alpha=self.momentum)  # Nesterov's
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.sub_(orthogonal(ahead.flatten(1)).view_as(weight), alpha=group["lr"])
                weight.grad = None  # AdamW passes over what has no gradient
        super().step()


def split(network: Network) -> tuple[list[nn.Parameter], ...]:
    """The trained parameters of the branches: matrices, others, embeddings, and those of pretrained branches."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    tuned: list[nn.Parameter] = []
    for branch in network.branches:
        if getattr(branch, "pretrained", False):
            tuned += [p for p in branch.parameters() if p.requires_grad]
            continue
        for module in branch.modules():
            for p in module.parameters(recurse=False):
                if not p.requires_grad:
                    continue
                if isinstance(module, nn.Embedding):
                    tables.append(p)
                else:
                    (matrices if p.ndim > 1 and isinstance(module, MATRICES) else others).append(p)
    return matrices, others, tables, tuned


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """(M, N) to the nearest matrix with orthogonal rows (columns where M > N), roughly: Newton-Schulz iteration."""
    x = matrix / (matrix.norm() + 1e-7)
    x = x.T if len(matrix) > matrix.shape[1] else x
    for _ in range(STEPS):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x.T if len(matrix) > matrix.shape[1] else x
