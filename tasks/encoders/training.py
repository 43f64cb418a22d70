"""The one training loop: resident data, whole-batch augmentation, a checkpoint after each epoch."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn import functional as F

from tasks.encoders.muon import Muon
from tasks.encoders.network import Network, autocast
from tasks.errors import DeepmineError
from tasks.progress import Progress
from tasks.store import write_atomically

if TYPE_CHECKING:
    from tasks.config import Loss, Train

Prepare = Callable[[torch.Tensor], torch.Tensor]
#: (items (n, ...) uint8, whose turn to be mirrored it is (n,), generator) -> items
Augmentation = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "muon": Muon,
    "sgd": lambda network, **kw: torch.optim.SGD(_trained(network), nesterov=kw["momentum"] > 0, **kw),
    "adam": lambda network, **kw: torch.optim.Adam(_trained(network), **kw),
    "adamw": lambda network, **kw: torch.optim.AdamW(_trained(network), **kw),
}

#: scores (N, K), classes (N,), class weights (K,) or None, the loss's parameters -> scalar
LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None, "Loss"], torch.Tensor]] = {
    "cross_entropy": lambda s, y, w, p: F.cross_entropy(s, y, w, label_smoothing=p.label_smoothing),
    "squared_error": lambda s, y, w, p: _weighted(((s - F.one_hot(y, s.shape[1])) ** 2).mean(1), y, w),
    # Crammer and Singer's margin, summed over the wrong classes
    "hinge": lambda s, y, w, p: F.multi_margin_loss(s, y, weight=w) * s.shape[1],
}


@dataclass(frozen=True)
class Rows:
    """Resident rows of one split: items (N, H, W, C) uint8 and class numbers (N,), on the training device."""

    items: torch.Tensor
    classes: torch.Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def sample(self, limit: int) -> "Rows":
        """At most ``limit`` rows, evenly spread."""
        step = -(-len(self) // limit)
        return Rows(self.items[::step], self.classes[::step])


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. Losses are means a row, accuracies shares, ``lr`` the last learning rate."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None


def fit(
    network: Network, train: Rows, val: Rows, *, params: "Train", prepare: Prepare, augment: Augmentation,
    dtype: torch.dtype, checkpoint: Path, key: str, progress: Progress,
) -> tuple[list[Epoch], float]:  # fmt: skip
    """Train ``network`` in place; returns the epochs and the images a second of those done in this call.

    After each epoch everything that the rest depends on is written to ``checkpoint``; a later call with the same
    ``key`` goes on from there and ends with the same bits. With ``params.patience`` the weights of the epoch with
    the lowest val loss are kept.

    Raises:
        DeepmineError: the loss is no longer finite.
    """
    device = train.classes.device
    options = {k: v for k, v in vars(params.optimizer).items() if k != "name"}
    optimizer = OPTIMIZERS[params.optimizer.name](network, **options)
    peaks = [group["lr"] for group in optimizer.param_groups]
    epochs, batch = schedule(params, len(train))
    steps = len(train) // batch
    weights = class_weights(train.classes, network.head.out_features, params.loss)
    history, best = _resume(checkpoint, key, network, optimizer)
    done = len(history)
    began = time.monotonic()
    progress.start(done * steps * batch)
    total = epochs * steps * batch
    # each image and its mirror image take turns, which beats a coin (Jordan, arXiv:2404.00498, section 3.6)
    sides = torch.randint(0, 2, (len(train),), generator=torch.Generator().manual_seed(params.seed)).bool().to(device)
    for number in range(done + 1, epochs + 1):
        if _stop(history, params.patience):
            break
        generator = torch.Generator().manual_seed(params.seed * 1_000_003 + number)
        torch.manual_seed(params.seed * 1_000_003 + number)  # dropout
        order = torch.randperm(len(train), generator=generator).to(device)
        loss_sum = torch.zeros((), device=device)
        hits = torch.zeros((), device=device)
        network.train()
        for step in range(steps):
            share = ramp(((number - 1) * steps + step + 1) / (epochs * steps))
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * share
            chosen = order[step * batch : (step + 1) * batch]
            classes = train.classes[chosen]
            items = prepare(augment(train.items[chosen], sides[chosen] ^ bool(number % 2), generator))
            with autocast(device, dtype):
                _, scores = network(items.contiguous(memory_format=torch.channels_last))
            loss = LOSSES[params.loss.name](scores.float(), classes, weights, params.loss)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            with autocast(device, dtype):  # Muon multiplies matrices
                optimizer.step()
            loss_sum += loss.detach()
            hits += (scores.argmax(1) == classes).sum()
            seen = ((number - 1) * steps + step + 1) * batch
            progress(seen, total, "images", note=f"epoch {number}/{epochs}")
        train_loss = float(loss_sum) / steps
        if not math.isfinite(train_loss):
            raise DeepmineError(
                f"training diverged in epoch {number}: the loss is {train_loss}. "
                f"Lower train.optimizer.lr (now {params.optimizer.lr:g}) in params.yaml."
            )
        val_loss, val_accuracy = judge(network, val, params, prepare, weights, dtype)
        train_accuracy, lr = float(hits) / (steps * batch), params.optimizer.lr * share
        history.append(Epoch(number, lr, train_loss, train_accuracy, val_loss, val_accuracy))
        if params.patience and val_loss is not None and val_loss <= min(e.val_loss or 0 for e in history):
            best = {k: v.detach().clone() for k, v in network.state_dict().items()}
        _save(checkpoint, key, network, optimizer, history, best)
        progress(number * steps * batch, total, "images", note=_describe(history[-1], epochs), always=True)
    if best:
        network.load_state_dict(best)
    trained = (len(history) - done) * steps * batch
    return history, trained / max(time.monotonic() - began, 1e-9)


def schedule(params: "Train", rows: int) -> tuple[int, int]:
    """Epochs and rows a step; `auto` comes to about a thousand steps however many ``rows`` there are.

    Few rows are seen more often, in smaller batches: 45,000 rows 12 times in batches of 512, 800 rows 57 times in
    batches of 32.
    """
    batch = min(max(2 ** round(math.log2(rows / 32)), 32), 512) if params.batch == "auto" else params.batch
    epochs = min(max(round(1600 / rows**0.5), 12), 100) if params.epochs == "auto" else params.epochs
    return epochs, min(batch, rows)


def ramp(share: float, up: float = 0.2) -> float:
    """The share of the peak learning rate after a ``share`` of all steps: linear up, then linear to zero."""
    return share / up if share < up else max((1 - share) / (1 - up), 1e-3)


def class_weights(classes: torch.Tensor, outputs: int, loss: "Loss") -> torch.Tensor | None:
    """`balanced`: rows / (classes * rows of the class), as scikit-learn has it; `none`: None."""
    if loss.class_weights == "none":
        return None
    counts = torch.bincount(classes, minlength=outputs).float()
    return len(classes) / (outputs * counts.clamp(min=1))


@torch.no_grad()
def judge(
    network: Network,
    rows: Rows,
    params: "Train",
    prepare: Prepare,
    weights: torch.Tensor | None,
    dtype: torch.dtype,
) -> tuple[float | None, float | None]:
    """Mean loss and accuracy on ``rows``; (None, None) where there are none."""
    if not len(rows):
        return None, None
    network.eval()
    loss, hits = 0.0, 0
    for items, classes in zip(rows.items.split(1024), rows.classes.split(1024), strict=True):
        with autocast(classes.device, dtype):
            _, scores = network(prepare(items).contiguous(memory_format=torch.channels_last))
        loss += float(LOSSES[params.loss.name](scores.float(), classes, weights, params.loss)) * len(classes)
        hits += int((scores.argmax(1) == classes).sum())
    return loss / len(rows), hits / len(rows)


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def _weighted(losses: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return losses.mean() if weights is None else (losses * weights[classes]).sum() / weights[classes].sum()


def _stop(history: list[Epoch], patience: int) -> bool:
    losses = [e.val_loss for e in history if e.val_loss is not None]
    return bool(patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def _describe(epoch: Epoch, epochs: int) -> str:
    val = f", val accuracy {epoch.val_accuracy:.1%}" if epoch.val_accuracy is not None else ""
    return f"epoch {epoch.epoch}/{epochs} done: loss {epoch.train_loss:.3f}{val}"


def _save(
    path: Path, key: str, network: nn.Module, optimizer: torch.optim.Optimizer, history: list[Epoch],
    best: dict[str, torch.Tensor],
) -> None:  # fmt: skip
    """All in one safetensors file: no pickle, and whole or not at all."""
    tensors = {f"model.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items() if isinstance(v, torch.Tensor)}
    epochs = json.dumps([asdict(e) for e in history])
    data = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomically(path, save(data, metadata={"key": key, "history": epochs, "digest": _digest(data)}))


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    """sha256 over names and bytes, as safetensors itself would read flipped bits back in silence."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _resume(
    path: Path, key: str, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[list[Epoch], dict[str, torch.Tensor]]:
    if not path.is_file():
        return [], {}
    try:
        with safe_open(path, "pt") as file:
            if file.metadata().get("key") != key:
                return [], {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            history = [Epoch(**e) for e in json.loads(file.metadata()["history"])]
            if file.metadata().get("digest") != _digest(tensors):
                return [], {}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError):
        return [], {}  # a damaged checkpoint costs the epochs that it held, nothing else

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    network.load_state_dict(part("model."))
    state: dict[int, dict[str, Any]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in part("optimizer.").items():
        index, _, field = name.partition(".")
        if value.shape == parameters[int(index)].shape:  # in the parameter's own memory layout, else steps are slow
            value = torch.empty_like(parameters[int(index)]).copy_(value)
        state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    device = parameters[0].device
    return history, {k: v.to(device) for k, v in part("best.").items()}
