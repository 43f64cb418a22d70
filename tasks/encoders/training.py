"""The one training loop: resident data, whole-batch augmentation, a checkpoint after each epoch."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tasks.core.errors import DeepmineError
from tasks.core.progress import Progress
from tasks.encoders.checkpoint import resume, save_checkpoint
from tasks.encoders.device import autocast
from tasks.encoders.network import Network
from tasks.encoders.objectives import Augment, Objective, Prepare, objective
from tasks.encoders.optimizers import SCHEDULES, optimizer, trained
from tasks.encoders.resident_rows import Rows, epoch_order, epoch_rows

if TYPE_CHECKING:
    from tasks.config.train import Train


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. Losses are means a row, ``lr`` the last learning rate.

    Accuracies are shares, of classes; ``val_r2`` is the share of the variance that is explained, of numbers.
    """

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_r2: float | None = None


def fit(
    network: Network, train: Rows, val: Rows, *, params: "Train", prepare: Prepare, augment: Augment,
    dtype: torch.dtype, checkpoint: Path, key: str, progress: Progress,
) -> tuple[list[Epoch], float]:  # fmt: skip
    """Train ``network`` in place; returns the epochs and the rows a second of those done in this call.

    After each epoch everything that the rest depends on is written to ``checkpoint``; a later call with the same
    ``key`` goes on from there and ends with the same bits. With ``params.patience`` the weights of the epoch with
    the lowest val loss are kept.

    Args:
        prepare: items of a batch to the network's inputs.
        augment: the same for training, augmented.

    Raises:
        DeepmineError: the loss does not fit the targets, or is no longer finite.
    """
    asked = objective(network, train, params.loss, prepare, dtype)
    loop = Loop(network, train, params, asked, augment, dtype, progress)
    found, best = resume(checkpoint, key, network, loop.optimizer)
    history = [Epoch(**epoch) for epoch in found]
    done = len(history)
    began = time.monotonic()
    progress.start(done * loop.rows)
    for number in range(done + 1, loop.epochs + 1):
        if _stop(history, params.patience):
            break
        lr, loss, accuracy = loop.epoch(number)
        if not math.isfinite(loss):
            raise DeepmineError(
                f"training diverged in epoch {number}: the loss is {loss}. "
                f"Lower train.optimizer.lr (now {params.optimizer.lr:g}) in params.yaml."
            )
        judged = asked.judge(network, val) if len(val) else {}
        history.append(Epoch(number, lr, loss, accuracy, *(judged.get(name) for name in ("loss", "accuracy", "r2"))))
        val_loss = history[-1].val_loss
        if params.patience and val_loss is not None and val_loss <= min(e.val_loss or 0 for e in history):
            best = {k: v.detach().clone() for k, v in network.state_dict().items()}
        save_checkpoint(checkpoint, key, network, loop.optimizer, [asdict(e) for e in history], best)
        progress(number * loop.rows, loop.total, "rows", note=_describe(history[-1], loop.epochs), always=True)
    if best:
        network.load_state_dict(best)
    network.projector = None
    return history, (len(history) - done) * loop.rows / max(time.monotonic() - began, 1e-9)


class Loop:
    """The epochs of one run; what one epoch does depends on its number and on what came before in the weights."""

    def __init__(
        self, network: Network, train: Rows, params: "Train", asked: Objective, augment: Augment, dtype: torch.dtype,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.network, self.train, self.params, self.asked = network, train, params, asked
        self.augment, self.dtype, self.progress = augment, dtype, progress
        self.device = train.targets.device
        self.optimizer = optimizer(params.optimizer, network)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        rows = epoch_rows(train.targets, params.balance)
        self.epochs, self.batch = schedule(params, rows)
        self.steps = rows // self.batch
        self.rows = self.steps * self.batch
        self.total = self.epochs * self.rows
        # each image and its mirror image take turns, which beats a coin (Jordan, arXiv:2404.00498, section 3.6)
        coins = torch.Generator().manual_seed(params.seed)
        self.sides = torch.randint(0, 2, (len(train),), generator=coins).bool().to(self.device)

    def epoch(self, number: int) -> tuple[float, float, float | None]:
        """Last learning rate, mean loss and accuracy of epoch ``number``, counted from one."""
        generator = torch.Generator().manual_seed(self.params.seed * 1_000_003 + number)
        torch.manual_seed(self.params.seed * 1_000_003 + number)  # dropout
        order = epoch_order(self.train.targets, self.params.balance, generator).to(self.device)
        losses, hits = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        self.network.train()
        for step in range(self.steps):
            passed = (number - 1) * self.steps + step + 1
            share = SCHEDULES[self.params.schedule](passed / (self.epochs * self.steps))
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * share
            chosen = order[step * self.batch : (step + 1) * self.batch]
            turn = self.sides[chosen] ^ bool(number % 2)
            loss, right = self.asked.learn(self.network, self.train.take(chosen), turn, self.augment, generator)
            self._step(loss)
            losses += loss.detach()
            hits += 0 if right is None else right
            self.progress(passed * self.batch, self.total, "rows", note=f"epoch {number}/{self.epochs}")
        accuracy = None if right is None else float(hits) / self.rows
        return self.params.optimizer.lr * share, float(losses) / self.steps, accuracy

    def _step(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.params.clip:
            torch.nn.utils.clip_grad_norm_(trained(self.network), self.params.clip)
        with autocast(self.device, self.dtype):  # Muon multiplies matrices
            self.optimizer.step()


def schedule(params: "Train", rows: int) -> tuple[int, int]:
    """Epochs and rows a step; `auto` comes to about a thousand steps however many ``rows`` there are.

    Few rows are seen more often, in smaller batches: 45,000 rows 12 times in batches of 512, 800 rows 57 times in
    batches of 32.
    """
    batch = min(max(2 ** round(math.log2(rows / 32)), 32), 512) if params.batch == "auto" else params.batch
    epochs = min(max(round(1600 / rows**0.5), 12), 100) if params.epochs == "auto" else params.epochs
    return epochs, min(batch, rows)


def _stop(history: list[Epoch], patience: int) -> bool:
    losses = [e.val_loss for e in history if e.val_loss is not None]
    return bool(patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def _describe(epoch: Epoch, epochs: int) -> str:
    val = ""
    if epoch.val_accuracy is not None:
        val = f", val accuracy {epoch.val_accuracy:.1%}"
    elif epoch.val_r2 is not None:
        val = f", val R2 {epoch.val_r2:.3f}"
    elif epoch.val_loss is not None:
        val = f", val loss {epoch.val_loss:.3f}"
    return f"epoch {epoch.epoch}/{epochs} done: loss {epoch.train_loss:.3f}{val}"
