"""What a training run needs to go on after a kill, in one file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from tasks.core.files import write_atomically

Weights = dict[str, torch.Tensor]


def save_checkpoint(
    path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, history: Sequence[dict[str, Any]],
    best: Weights,
) -> None:  # fmt: skip
    """All in one safetensors file: no pickle, and whole or not at all."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items() if isinstance(v, torch.Tensor)}
    data = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    metadata = {"key": key, "history": json.dumps(list(history)), "digest": _digest(data)}
    write_atomically(path, save(data, metadata=metadata))


def _digest(tensors: Weights) -> str:
    """sha256 over names and bytes, as safetensors itself would read flipped bits back in silence."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def resume(
    path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[list[dict[str, Any]], Weights]:
    """Set model and optimizer as they were after the last whole epoch; its history and the best weights so far.

    Nothing is set where there is no checkpoint of this ``key``, or a damaged one: that costs the epochs that it held.
    """
    if not path.is_file():
        return [], {}
    try:
        with safe_open(path, "pt") as file:
            if file.metadata().get("key") != key:
                return [], {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            history = [dict(epoch) for epoch in json.loads(file.metadata()["history"])]
            if file.metadata().get("digest") != _digest(tensors):
                return [], {}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, RecursionError):
        return [], {}

    def part(prefix: str) -> Weights:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    model.load_state_dict(part("model."))
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
