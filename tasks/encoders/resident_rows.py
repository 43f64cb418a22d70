"""Rows in memory, and the order in which an epoch goes through them."""

from dataclasses import dataclass

import torch

from tasks.core.errors import DeepmineError

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Rows:
    """Resident rows of one split, on the training device.

    Attributes:
        inputs: name -> (N, ...) as the modality's `array` has them.
        targets: classes (N,) int64, numbers (N, K) float32, or (N, 0) where nothing is asked.
        present: (N, I) bool, which inputs each row has; None: all.
    """

    inputs: Tensors
    targets: torch.Tensor
    present: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: torch.Tensor | slice) -> "Rows":
        """Those of an index or a slice."""
        present = None if self.present is None else self.present[rows]
        return Rows({name: items[rows] for name, items in self.inputs.items()}, self.targets[rows], present)

    def sample(self, limit: int) -> "Rows":
        """At most ``limit`` rows, evenly spread."""
        return self.take(slice(None, None, max(-(-len(self) // limit), 1)))

    def having(self, place: int) -> "Rows":
        """Those that have the input at ``place``."""
        return self if self.present is None else self.take(self.present[:, place])


def epoch_rows(targets: torch.Tensor, balance: str) -> int:
    """Rows of one epoch: all, as many as there are for classes drawn equally, or as the smallest class allows.

    Raises:
        DeepmineError: there are no classes to balance.
    """
    if balance == "none":
        return len(targets)
    if targets.ndim > 1 or targets.is_floating_point():
        raise DeepmineError("train.balance: there are no classes to balance. Write 'none'.")
    counts = torch.bincount(targets)
    classes, smallest = int((counts > 0).sum()), int(counts[counts > 0].min())
    return classes * (smallest if balance == "under" else len(targets) // classes)


def epoch_order(targets: torch.Tensor, balance: str, generator: torch.Generator) -> torch.Tensor:
    """The rows of one epoch, by number, on the CPU.

    `over`: every class as often as any other, in as many rows as there are in all: rows of small classes come
    again, of large ones some wait for the next epoch. `under`: as many of each class as the smallest has.
    """
    if balance == "none":
        return torch.randperm(len(targets), generator=generator)
    targets = targets.cpu()
    classes = targets.unique()
    each = epoch_rows(targets, balance) // len(classes)
    parts = []
    for k in classes:
        rows = (targets == k).nonzero().flatten()
        turns = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(-(-each // len(rows)))]
        parts.append(torch.cat(turns)[:each])
    order = torch.cat(parts)
    return order[torch.randperm(len(order), generator=generator)]
