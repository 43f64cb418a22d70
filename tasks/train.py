"""train: an encoder under a classifier's head, on the cleaned train rows."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.encoders.network import Card, fix_arithmetic, pick_device, pick_dtype, place, save_network
from tasks.encoders.training import Rows, fit
from tasks.errors import DeepmineError
from tasks.modalities import modality
from tasks.progress import Progress
from tasks.store import HISTORY, STATE, fingerprint, read, read_manifest, write_json

if TYPE_CHECKING:
    from tasks.config import Train


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
    table = read(clean, ["split", "label", state["input"]])
    items = made.pixels(table[state["input"]], state)  # (N, H, W, C)
    split = np.array(table["split"].to_pylist())
    label = np.array(table["label"].to_pylist())
    labels = sorted(set(label[split == "train"].tolist()))
    if len(labels) < 2:
        raise DeepmineError(
            f"train: the train rows have {len(labels)} class(es); at least two are needed to learn from."
        )
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    height, width, channels = made.shape(state)
    chosen = json.loads(json.dumps(vars(params.encoder)))
    card = Card(chosen, (channels, height, width), labels, state)
    torch.manual_seed(params.seed)
    network = place(card.build(), device)

    def rows(name: str) -> Rows:
        mask = split == name
        classes = np.searchsorted(labels, label[mask])
        return Rows(torch.from_numpy(items[mask]).to(device), torch.from_numpy(classes).to(device))

    history, rate = fit(
        network, rows("train"), rows("val"), params=params, dtype=dtype,
        prepare=lambda batch: made.tensor(batch, state),
        augment=lambda batch, generator: made.augment(batch, params.augment, generator),
        checkpoint=scratch / "checkpoint.safetensors",
        key=fingerprint(code, read_manifest(clean).row_digest, state, repr(params)), progress=progress,
    )  # fmt: skip
    save_network(encoder, network, card)
    write_json(encoder / HISTORY, [asdict(e) for e in history])
    return {
        "rows": int((split == "train").sum()), "epochs": len(history), "images_per_second": round(rate),
        "device": device.type, "precision": str(dtype).removeprefix("torch."),
        "parameters": sum(p.numel() for p in network.parameters()),
    }  # fmt: skip
