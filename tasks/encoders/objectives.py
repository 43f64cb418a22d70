"""What a network is asked to learn: targets from scores, or without labels what its inputs have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from tasks.encoders.contrastive_views import distort
from tasks.encoders.device import autocast
from tasks.encoders.losses import LOSSES, check_loss, class_weights
from tasks.encoders.network import Network
from tasks.encoders.resident_rows import Rows, Tensors

if TYPE_CHECKING:
    from tasks.config.train import Loss

#: Items of a batch to the network's inputs, normalised.
Prepare = Callable[[Tensors], Tensors]
#: (items, whose turn to be mirrored it is (n,), generator) -> the network's inputs, augmented and normalised.
Augment = Callable[[Tensors, torch.Tensor, torch.Generator], Tensors]
#: Width of the projections that two views are compared in, and the temperature of the comparison.
PROJECTION, TEMPERATURE = 256, 0.5
#: Held-out rows of one forward pass.
JUDGED = 1024


class Objective(Protocol):
    """What the loop asks of each."""

    def learn(
        self, network: Network, rows: Rows, turn: torch.Tensor, augment: Augment, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The loss of a batch, and the number of its rows that are right, where there are classes."""
        ...

    def judge(self, network: Network, rows: Rows) -> dict[str, float]:
        """`loss`, and `accuracy` of classes or `r2` of numbers, on held-out rows."""
        ...


def laid_out(inputs: Tensors) -> Tensors:
    """Maps channels_last in memory, which convolutions like; no copy where they are."""
    return {name: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for name, x in inputs.items()}


class Supervised:
    """Scores against classes or numbers."""

    def __init__(self, train: Rows, outputs: int, loss: "Loss", prepare: Prepare, dtype: torch.dtype) -> None:
        self.params, self.prepare, self.dtype = loss, prepare, dtype
        self.weights = class_weights(train.targets, outputs, loss)

    def learn(
        self, network: Network, rows: Rows, turn: torch.Tensor, augment: Augment, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        inputs = laid_out(augment(rows.inputs, turn, generator))
        with autocast(rows.targets.device, self.dtype):
            _, scores = network(inputs, rows.present)
        scores = scores.float()
        loss = LOSSES[self.params.name](scores, rows.targets, self.weights, self.params)
        return loss, None if rows.targets.is_floating_point() else (scores.argmax(1) == rows.targets).sum()

    def judge(self, network: Network, rows: Rows) -> dict[str, float]:
        scores = predict(network, rows, self.prepare, self.dtype)
        targets = rows.targets
        loss = float(LOSSES[self.params.name](scores, targets, self.weights, self.params))
        if not targets.is_floating_point():
            return {"loss": loss, "accuracy": float((scores.argmax(1) == targets).float().mean())}
        spread = float((targets - targets.mean(0)).square().sum())
        return {"loss": loss, "r2": 1 - float((scores - targets).square().sum()) / max(spread, 1e-12)}


class Unsupervised:
    """Features that two views of a row share and that tell what the row holds; no labels.

    The first by contrast to the other rows of the batch (SimCLR, Chen et al., ICML 2020) through a projector that is
    dropped afterwards, the second by the network's decoders. k-means against the classes, adjusted Rand index, on
    5,000 digits and 6,000 photos of CIFAR-10, 8 epochs of a small net: pixels 0.32 and 0.04, both together 0.57 and
    0.11, without the decoders 0.41 and about as much. Decoders alone: 0.04 on the photos, no more than pixels.
    """

    def __init__(self, network: Network, prepare: Prepare, dtype: torch.dtype) -> None:
        self.prepare, self.dtype = prepare, dtype
        network.projector = nn.Sequential(
            nn.Linear(network.width, PROJECTION),
            nn.BatchNorm1d(PROJECTION),
            nn.ReLU(),
            nn.Linear(PROJECTION, PROJECTION),
        ).to(next(network.parameters()).device)

    def learn(
        self, network: Network, rows: Rows, turn: torch.Tensor, augment: Augment, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        plain = self.prepare(rows.inputs)
        views = []
        for _ in range(2):
            turn = torch.randint(0, 2, (len(rows),), generator=generator).bool().to(rows.targets.device)
            views.append(augment(rows.inputs, turn, generator))
        both = {name: torch.cat([distort(view[name], generator) for view in views]) for name in plain}
        present = None if rows.present is None else torch.cat([rows.present, rows.present])
        with autocast(rows.targets.device, self.dtype):
            features = network.encode(laid_out(both), present)
            projected = network.projector(features)  # type: ignore[misc]
            errors = network.errors(features.chunk(2)[0], plain, rows.present)
        return contrast(*projected.float().chunk(2)) + errors.float().mean(), None

    def judge(self, network: Network, rows: Rows) -> dict[str, float]:
        return {"loss": float(predict(network, rows, self.prepare, self.dtype).mean())}


def contrast(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Cross entropy of finding each row's other view (N, D) among all views of the batch, by cosine."""
    views = F.normalize(torch.cat([one, other]), dim=1)
    near = (views @ views.T / TEMPERATURE).fill_diagonal_(-1e9)  # no view is looked for among itself
    rows = torch.arange(len(views), device=views.device)
    return F.cross_entropy(near, rows.roll(len(one)))


@torch.no_grad()
def predict(network: Network, rows: Rows, prepare: Prepare, dtype: torch.dtype) -> torch.Tensor:
    """Scores (N, K) in evaluation mode, float32."""
    network.eval()
    found = []
    for start in range(0, len(rows), JUDGED):
        part = rows.take(slice(start, start + JUDGED))
        with autocast(rows.targets.device, dtype):
            _, scores = network(laid_out(prepare(part.inputs)), part.present)
        found.append(scores.float())
    return torch.cat(found)


def objective(network: Network, train: Rows, loss: "Loss", prepare: Prepare, dtype: torch.dtype) -> Objective:
    """What a network learns: the targets that it has scores for, or without a head, its own inputs.

    Raises:
        DeepmineError: the loss does not fit.
    """
    if network.head is None:
        check_loss(loss.name, "autoencoder")
        return Unsupervised(network, prepare, dtype)
    check_loss(loss.name, "regression" if train.targets.is_floating_point() else "classification")
    return Supervised(train, network.head.out_features, loss, prepare, dtype)
