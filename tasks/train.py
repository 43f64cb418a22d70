"""train: one network over all inputs of the cleaned train rows, under a head or, without labels, as an autoencoder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import torch

from tasks.config.objective import resolve
from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, read_json, write_json
from tasks.core.progress import Progress
from tasks.core.space import assert_room
from tasks.encoders import Initialised
from tasks.encoders.device import fix_arithmetic, pick_device, pick_dtype, place
from tasks.encoders.network import Card, Network, save_network
from tasks.encoders.resident_rows import Rows, Tensors
from tasks.encoders.sizes import sized
from tasks.encoders.training import fit
from tasks.modalities import modality
from tasks.modalities.base import Modality
from tasks.storage.names import HISTORY, STATE
from tasks.storage.store import read, read_manifest, read_shards

if TYPE_CHECKING:
    from tasks.config.train import Train

#: Train rows that are enough to see whether mirror images keep their class, and to set an encoder's first weights.
MIRROR_ROWS, FIRST_ROWS = 4000, 500

States = dict[str, dict[str, Any]]


def train(
    *, params: "Train", objective: str, code: str, clean: Path, encoder: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Cleaned rows to a model folder: weights, the card that rebuilds the network, metrics of each epoch.

    Rows without a label are not trained on where labels are learned. ``objective: auto`` is classification where
    any train row has a label, else autoencoder.

    Raises:
        DeepmineError: too few rows or classes, labels that are no numbers, options that do not fit the inputs, or a
            diverging loss.
    """
    fix_arithmetic()
    states: States = read_json(clean / STATE)["inputs"]
    table = read(clean, ["split", "label"])
    split, label = (np.array(table[name].to_pylist(), dtype=object) for name in ("split", "label"))
    objective = resolve(objective, any(v is not None for v in label[split == "train"]))
    targets, known = targets_of(objective, split, label)
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    learned, val = (resident(clean, states, (split == name) & known, targets, device) for name in ("train", "val"))
    if len(learned) < 2:
        raise DeepmineError(f"train: {len(learned)} train row(s) with a target; at least two are needed.")
    feed = Feed(states, params, learned)
    learned, val, card = with_card(feed, params, objective, label[(split == "train") & known], learned, val)
    torch.manual_seed(params.seed)
    network = card.build()
    # weights, the best of them and the optimizer's state; the last checkpoint stays until the next one is whole
    parameters = sum(p.numel() for p in network.parameters())
    assert_room(scratch, 4 * 6 * parameters, "train", f"checkpoints of {parameters:,} parameters")
    network = place(start(network, learned, feed), device)
    history, rate = fit(
        network, learned, val, params=params, dtype=dtype, prepare=feed.prepare, augment=feed.augment,
        checkpoint=scratch / "checkpoint.safetensors",
        key=fingerprint(code, read_manifest(clean).row_digest, states, objective, repr(params)), progress=progress,
    )  # fmt: skip
    write_json(encoder / HISTORY, {"epochs": [asdict(e) for e in history]})
    save_network(encoder, network, card, HISTORY)
    return {
        "rows": len(learned), "objective": objective, "epochs": len(history), "rows_per_second": round(rate),
        "mirrored": card.mirror, "device": device.type, "precision": str(dtype).removeprefix("torch."),
        "parameters": parameters,
    }  # fmt: skip


def targets_of(objective: str, split: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each row is to be told from (N,) or (N, K), and which rows have it (N,) bool.

    Raises:
        DeepmineError: no label in a train row, fewer than two classes, or numbers that are none.
    """
    if objective == "autoencoder":
        return np.empty((len(label), 0), np.float32), np.ones(len(label), bool)
    known = np.array([v is not None for v in label], bool)
    if not known[split == "train"].any():
        raise DeepmineError(f"train: no train row has a label, which '{objective}' needs. Set objective: autoencoder")
    if objective == "classification":
        labels = sorted(set(label[known & (split == "train")].tolist()))
        if len(labels) < 2:
            raise DeepmineError(
                f"train: the train rows have {len(labels)} class(es); at least two are needed to learn from."
            )
        number = {name: i for i, name in enumerate(labels)}
        classes = np.array([number.get(v, -1) for v in label], np.int64)
        return classes, classes >= 0
    try:
        rows = [np.array(v.split(), np.float64) for v in label[known]]
        numbers = np.zeros((len(label), len(rows[0])))
        numbers[known] = np.stack(rows)
        if not np.isfinite(numbers).all():
            raise ValueError("not finite")
    except ValueError as error:
        raise DeepmineError(
            f"train: the labels are not all numbers, or not equally many per row ({error}), which '{objective}' needs. "
            "Set objective: classification, or have validate reject those rows."
        ) from None
    return numbers, known


def resident(clean: Path, states: States, wanted: np.ndarray, targets: np.ndarray, device: torch.device) -> Rows:
    """The ``wanted`` rows (N,) of a clean store on ``device``, read shard by shard: held once, not twice."""
    count, several = int(wanted.sum()), len(states) > 1
    items = {}
    for name, state in states.items():
        made = modality(state["modality"])
        items[name] = np.empty((count, *made.shape(state)), made.dtype)
    present = np.ones((count, len(states)), bool)
    seen = filled = 0
    for _, table in read_shards(clean, list(states)):
        mine = wanted[seen : seen + table.num_rows]
        here = slice(filled, filled + int(mine.sum()))
        for i, (name, state) in enumerate(states.items()):
            items[name][here] = modality(state["modality"]).array(table[name], state)[mine]
            present[here, i] = pc.is_valid(table[name]).to_numpy()[mine]
        seen, filled = seen + table.num_rows, here.stop
    inputs = {name: torch.from_numpy(values).to(device) for name, values in items.items()}
    return Rows(
        inputs, torch.from_numpy(targets[wanted]).to(device), torch.from_numpy(present).to(device) if several else None
    )


class Feed:
    """Items of all inputs to what the network takes, augmented or as they are.

    Attributes:
        mirrored: image inputs whose mirror images are shown too.
    """

    def __init__(self, states: States, params: "Train", train: Rows) -> None:
        self.states = states
        self.made: dict[str, Modality] = {name: modality(state["modality"]) for name, state in states.items()}
        self.changes: dict[str, Any] = {}
        for i, (name, state) in enumerate(states.items()):
            change = getattr(params.augment, state["modality"])
            if getattr(change, "flip", None) == "auto":
                change = replace(change, flip=mirrors(self.made[name], name, train.having(i)))
            self.changes[name] = change
        self.mirrored = [name for name, change in self.changes.items() if getattr(change, "flip", False)]

    def prepare(self, items: Tensors) -> Tensors:
        """Normalised, as they are."""
        return {name: self.made[name].tensor(items[name], state) for name, state in self.states.items()}

    def augment(self, items: Tensors, turn: torch.Tensor, generator: torch.Generator) -> Tensors:
        """Normalised, changed at random in what does not matter."""
        changed = {}
        for name, state in self.states.items():
            made, change = self.made[name], self.changes[name]
            x = made.tensor(made.augment(items[name], change, turn, generator), state)
            changed[name] = made.tensor_mask(x, change, generator)
        return changed


def mirrors(made: Modality, name: str, rows: Rows) -> bool:
    """Whether mirrored images still look like what they are, so that training may mirror them.

    Of classes (of numbers: their quartiles) by the modality itself. Without labels: whether images can be told from
    mirror images at all; where they can, as with digits, left and right matter (Lin et al., CVPR 2020).
    """
    some = rows.sample(MIRROR_ROWS if rows.targets.numel() else MIRROR_ROWS // 2)
    images, targets = some.inputs[name].cpu(), some.targets.numpy(force=True)
    if not targets.size:
        images = images[: len(images) // 2 * 2]  # so that an image and its mirror image are in the same half
        images, targets = torch.cat([images, images.flip(2)]), np.arange(2).repeat(len(images))
    elif targets.ndim > 1:
        targets = np.digitize(targets[:, 0], np.quantile(targets[:, 0], [0.25, 0.5, 0.75]))
    result: bool = len(set(targets.tolist())) > 1 and made.mirrors(images, targets)
    return result


def with_card(
    feed: Feed, params: "Train", objective: str, label: Sequence[str], train: Rows, val: Rows
) -> tuple[Rows, Rows, Card]:
    """The card, and the rows with their numbers scaled to mean zero and deviation one of the train rows."""
    inputs = {
        name: {
            "encoder": sized(
                json.loads(json.dumps(vars(getattr(params.encoders, state["modality"])))), objective, len(train)
            ),
            "form": json.loads(json.dumps(feed.made[name].form(state))), "state": state,
        }
        for name, state in feed.states.items()
    }  # fmt: skip
    card = Card(inputs, objective, mirror=feed.mirrored)
    if objective == "classification":
        return train, val, replace(card, labels=sorted(set(label)))
    if objective == "autoencoder":
        return train, val, card
    mean, std = train.targets.mean(0), train.targets.std(0, correction=0).clamp(min=1e-9)
    train, val = (replace(rows, targets=((rows.targets - mean) / std).float()) for rows in (train, val))
    return train, val, replace(card, mean=mean.tolist(), std=std.tolist())


def start(network: Network, train: Rows, feed: Feed) -> Network:
    """``network`` with what first weights come from data or files."""
    for i, (name, branch) in enumerate(zip(network.names, network.branches, strict=True)):
        if isinstance(branch, Initialised):
            some = train.having(i).sample(FIRST_ROWS).inputs[name].cpu()
            branch.initialise(feed.made[name].tensor(some, feed.states[name]))
    return network
