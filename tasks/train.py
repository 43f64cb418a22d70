"""train: an encoder under a classifier's head, on the cleaned train rows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.encoders import Initialised
from tasks.encoders.network import Card, fix_arithmetic, pick_device, pick_dtype, place, save_network
from tasks.encoders.training import Rows, fit
from tasks.errors import DeepmineError
from tasks.modalities import modality
from tasks.progress import Progress
from tasks.store import HISTORY, STATE, fingerprint, read, read_manifest, read_shards, write_json

if TYPE_CHECKING:
    from tasks.config import Train

#: Train rows that are enough to see whether mirror images keep their class, and to set an encoder's first weights.
MIRROR_ROWS, FIRST_ROWS = 4000, 500


def train(
    *, params: "Train", code: str, clean: Path, encoder: Path, scratch: Path, progress: Progress
) -> dict[str, Any]:
    """Cleaned rows to a model folder: weights, the card that rebuilds the network, metrics of each epoch.

    Raises:
        DeepmineError: too few rows, options that do not fit the images, or a diverging loss.
    """
    fix_arithmetic()
    state = json.loads((clean / STATE).read_bytes())
    made = modality(state["modality"])
    table = read(clean, ["split", "label"])
    split, label = (np.array(table[name].to_pylist()) for name in ("split", "label"))
    labels = sorted(set(label[split == "train"].tolist()))
    if len(labels) < 2:
        raise DeepmineError(
            f"train: the train rows have {len(labels)} class(es); at least two are needed to learn from."
        )
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    height, width, channels = made.shape(state)
    known, val = (
        Rows(
            torch.from_numpy(items).to(device),
            torch.from_numpy(np.searchsorted(labels, label[split == name])).to(device),
        )
        for name, items in resident(clean, state, ("train", "val")).items()
    )
    augment = params.augment
    if augment.flip == "auto":
        some = known.sample(MIRROR_ROWS)
        augment = replace(augment, flip=made.mirrors(some.items.cpu(), some.classes.numpy(force=True)))
    chosen = json.loads(json.dumps(vars(params.encoder)))
    card = Card(chosen, (channels, height, width), labels, state, mirror=bool(augment.flip))
    torch.manual_seed(params.seed)
    network = card.build()
    if isinstance(network.encoder, Initialised):
        network.encoder.initialise(made.tensor(known.sample(FIRST_ROWS).items.cpu(), state))
    network = place(network, device)
    history, rate = fit(
        network, known, val, params=params, dtype=dtype,
        prepare=lambda batch: made.tensor(batch, state),
        augment=lambda batch, mirrored, generator: made.augment(batch, augment, mirrored, generator),
        checkpoint=scratch / "checkpoint.safetensors",
        key=fingerprint(code, read_manifest(clean).row_digest, state, repr(params)), progress=progress,
    )  # fmt: skip
    save_network(encoder, network, card)
    write_json(encoder / HISTORY, [asdict(e) for e in history])
    return {
        "rows": len(known), "epochs": len(history), "images_per_second": round(rate),
        "mirrored": card.mirror, "device": device.type, "precision": str(dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in network.parameters()),
    }  # fmt: skip


def resident(clean: Path, state: dict[str, Any], splits: Sequence[str]) -> dict[str, np.ndarray]:
    """The items of each of ``splits`` as one (N, H, W, C) array in memory, read shard by shard: held once, not twice."""
    made, name = modality(state["modality"]), state["input"]
    counts = Counter(read(clean, ["split"])["split"].to_pylist())
    items = {part: np.empty((counts[part], *made.shape(state)), np.uint8) for part in splits}
    filled = dict.fromkeys(splits, 0)
    for _, table in read_shards(clean, ["split", name]):
        pixels, split = made.pixels(table[name], state), np.array(table["split"].to_pylist())
        for part in splits:
            chosen = pixels[split == part]
            items[part][filled[part] : filled[part] + len(chosen)] = chosen
            filled[part] += len(chosen)
    return items
