"""The forward pass: a trained network over any number of rows, a row's features depending on nothing but the row."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from tasks.encoders.device import place
from tasks.encoders.fused_inference import fold, quicken
from tasks.encoders.network import Card, Network
from tasks.extraction.build_views import Rows, State, Vectors
from tasks.modalities import modality

if TYPE_CHECKING:
    from tasks.config.train import Extract

#: `auto` rows and pixels of a batch, by device. On a CPU what a layer writes should stay in a core's cache: in
#: batches of 512 the plain CNN took twice the time of 128. A GPU needs more to be worth starting a kernel for.
ROWS, PIXELS = {"cpu": 128, "cuda": 1024}, {"cpu": 1 << 19, "cuda": 1 << 22}


def batch_rows(params: "Extract", device: torch.device, card: Card) -> int:
    """Rows of one forward pass; fewer of inputs with large maps."""
    if params.batch != "auto":
        return params.batch
    forms = [part["form"] for part in card.inputs.values()]
    shapes = [form["shape"] for form in forms if form["kind"] == "maps"]
    pixels = max([height * width for _, height, width in shapes], default=1)
    return max(1, min(ROWS[device.type], PIXELS[device.type] // pixels))


class Forward:
    """A trained network over any number of rows: features (N, width) and what it says (N, K), float32.

    The folded network in ``dtype`` throughout. Every batch is padded to one size and made by one thread, so that a
    row's values depend on nothing but the row: neither its neighbours, nor the number of rows or of cores.

    Args:
        network: in evaluation mode; it is copied.
    """

    def __init__(self, network: Network, card: Card, batch: int, device: torch.device, dtype: torch.dtype) -> None:
        self.network = place(quicken(fold(network), device).to(dtype), device)
        self.card, self.batch, self.device, self.dtype = card, batch, device, dtype
        self.states: dict[str, State] = {name: part["state"] for name, part in card.inputs.items()}
        self.made = {name: modality(state["modality"]) for name, state in self.states.items()}

    def __call__(self, rows: Rows) -> list[Vectors]:
        """Features and verdicts of one shard's rows; may be called from several threads at once."""
        items = {name: as_tensor(values) for name, values in rows.items.items()}
        present = torch.from_numpy(rows.present)
        if self.device.type == "cuda":
            items = {name: x.pin_memory().to(self.device, non_blocking=True) for name, x in items.items()}
            present = present.to(self.device)
        starts = range(0, max(len(rows), 1), self.batch)
        parts = [
            self._batch(
                {n: x[start : start + self.batch] for n, x in items.items()}, present[start : start + self.batch]
            )
            for start in starts
        ]
        features, scores = (torch.cat(part)[: len(rows)].float() for part in zip(*parts, strict=True))
        return [features.cpu().numpy(), self.card.verdict(scores).cpu().numpy()]

    @torch.inference_mode()
    def _batch(self, items: dict[str, torch.Tensor], present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = {name: self.prepare(name, x) for name, x in items.items()}
        features, scores = self.network(inputs, _padded(present, self.batch) if len(items) > 1 else None)
        return features, scores

    def prepare(self, name: str, items: torch.Tensor) -> torch.Tensor:
        """At most a batch of one input's items as the network takes them, padded to a whole one."""
        x: torch.Tensor = self.made[name].tensor(_padded(items, self.batch), self.states[name])
        if not x.is_floating_point():
            return x
        return x.to(self.dtype, memory_format=torch.channels_last) if x.dim() == 4 else x.to(self.dtype)


def as_tensor(values: np.ndarray) -> torch.Tensor:
    """Without a copy, where torch may write to it, as it wants."""
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _padded(rows: torch.Tensor, size: int) -> torch.Tensor:
    missing = size - len(rows)
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows
