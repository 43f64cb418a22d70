"""A branch for each input under one head, as a folder that rebuilds itself."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional as F

from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import file_sha256, fingerprint, named, read_json, write_atomically, write_json
from tasks.encoders import build
from tasks.encoders.decoder import Decoder

WEIGHTS, CARD = "encoder.safetensors", "encoder.json"
FORMAT = 2
Tensors = dict[str, torch.Tensor]


class Network(nn.Module):
    """An encoder for each input and one linear layer on what they give, side by side in the order of the inputs.

    Where there are several inputs, a row may lack some: their part of the features is zero, and the linear layer
    also sees an indicator for each input. The vectors of an autoencoder, which are there to be clustered, all have
    the same length, the root of their width. Of the inputs in ``mirror`` the features in evaluation mode are means over
    an image and its mirror image, as befits a network that was trained on both (test-time augmentation: Krizhevsky
    et al., NIPS 2012).

    Attributes:
        names: of the inputs; ``branches`` are their encoders in this order.
        width: of the features.
        slices: the part of the features that each input gives, from and to.
        decoders: of an autoencoder, which has no head.
        projector: on top of the features of an autoencoder while it learns.
    """

    def __init__(
        self, branches: dict[str, nn.Module], outputs: int, mirror: Collection[str] = (),
        decoders: dict[str, Decoder] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not branches:
            raise ValueError("a network without inputs")
        self.names, self.mirror = list(branches), set(mirror)
        self.branches = nn.ModuleList(branches.values())  # no ModuleDict: that has no place for an input named `values`
        self.width, self.slices = 0, {}
        for name, branch in branches.items():
            start, width = self.width, width_of(branch)
            self.width += width
            self.slices[name] = [start, self.width]
        seen = self.width + (len(branches) if len(branches) > 1 else 0)
        self.head = nn.Linear(seen, outputs) if decoders is None else None
        self.projector: nn.Module | None = None
        self.decoders = None if decoders is None else nn.ModuleList(decoders[name] for name in self.names)

    def forward(self, inputs: Tensors, present: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, width) and scores (N, outputs); of an autoencoder the rows' reconstruction errors (N, 1).

        Args:
            present: (N, I) bool, which inputs each row has; None: all.
        """
        features = self.encode(inputs, present)
        if self.head is None:
            return features, self.errors(features, inputs, present)
        if len(self.names) == 1:
            return features, self.head(features)
        if present is None:
            present = torch.ones(len(features), len(self.names), dtype=torch.bool, device=features.device)
        return features, self.head(torch.cat([features, present.to(features.dtype)], 1))

    def encode(self, inputs: Tensors, present: torch.Tensor | None = None) -> torch.Tensor:
        """The features (N, width)."""
        if len(self.names) == 1:
            return self._vectors(0, inputs[self.names[0]])
        parts = []
        for i, name in enumerate(self.names):
            x = inputs[name]
            if present is None:
                parts.append(self._vectors(i, x))
                continue
            mine = present[:, i]
            places = mine.nonzero().flatten() if self.training else None
            if places is None or len(places) < 2:
                parts.append(torch.where(mine[:, None], self._vectors(i, x), 0.0))
            else:  # while it learns, what is not there must not count in its statistics
                vectors = self._vectors(i, x[places])
                parts.append(vectors.new_zeros(len(x), vectors.shape[1]).index_copy(0, places, vectors))
        return torch.cat(parts, 1)

    def errors(self, features: torch.Tensor, inputs: Tensors, present: torch.Tensor | None = None) -> torch.Tensor:
        """(N, 1) mean error of what is rebuilt from ``features``, over the inputs that a row has."""
        if self.decoders is None:
            raise ValueError("no autoencoder")
        found = torch.stack(
            [decoder(features, inputs[name]) for name, decoder in zip(self.names, self.decoders, strict=True)], 1
        )  # (N, I)
        if present is None:
            return found.mean(1, keepdim=True)
        return torch.where(present, found, 0.0).sum(1, keepdim=True) / present.sum(1, keepdim=True).clamp(min=1)

    def _vectors(self, i: int, x: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.branches[i](x)
        if self.names[i] in self.mirror and not self.training:
            vectors = (vectors + self.branches[i](x.flip(3))) / 2
        return vectors if self.decoders is None else F.normalize(vectors, dim=1) * vectors.shape[1] ** 0.5


def width_of(branch: nn.Module) -> int:
    """Length of an encoder's vectors."""
    width: int = branch.width  # type: ignore[assignment]
    return width


@dataclass(frozen=True)
class Card:
    """All that is needed to rebuild a trained network and to feed it.

    Attributes:
        inputs: name -> `encoder` (registry name and options), `form` of its tensors, and `state`: what `clean`
            settled and fitted, normalisation included; in the order of the features.
        objective: classification, regression, forecasting or autoencoder.
        labels: the class of each score (classification).
        mirror: image inputs whose features are means over an image and its mirror image.
        mean, std: of the train rows' numbers, by which scores are scaled (regression, forecasting).
    """

    inputs: dict[str, dict[str, Any]]
    objective: str = "classification"
    labels: list[str] = field(default_factory=list)
    mirror: list[str] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    std: list[float] = field(default_factory=list)
    format: int = FORMAT

    def build(self) -> Network:
        """The network with fresh weights."""
        branches = {}
        for name, part in self.inputs.items():
            options = {k: v for k, v in part["encoder"].items() if k != "name"}
            branches[name] = build(part["encoder"]["name"], part["form"], options)
        if self.objective != "autoencoder":
            return Network(branches, len(self.labels) or len(self.mean), self.mirror)
        width = sum(width_of(branch) for branch in branches.values())
        decoders = {name: Decoder(part["form"], width) for name, part in self.inputs.items()}
        return Network(branches, 1, self.mirror, decoders)

    def verdict(self, scores: torch.Tensor) -> torch.Tensor:
        """What scores (N, K) say: class probabilities, numbers on their own scale, or reconstruction errors."""
        if self.objective == "classification":
            return scores.softmax(1)
        if not self.mean:
            return scores
        mean, std = (torch.tensor(v, device=scores.device, dtype=scores.dtype) for v in (self.mean, self.std))
        return scores * std + mean


def save_network(folder: Path, network: Network, card: Card, *beside: str) -> None:
    """Write weights (safetensors) and card into ``folder``; the card holds the hashes of these and of files ``beside``."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))
    # a list, as the keys of a JSON file are sorted and the order of the inputs is that of the features
    inputs = [{"name": name, **part} for name, part in card.inputs.items()]
    write_json(folder / CARD, vars(card) | {"inputs": inputs, "files": named(folder, WEIGHTS, *beside)})


def load_network(folder: Path) -> tuple[Network, Card]:
    """The network of a model folder, in evaluation mode on the CPU.

    Raises:
        DeepmineError: no model there, or one of another format or with other weights than its card says.
    """
    if not (folder / CARD).is_file():
        raise DeepmineError(f"{folder}: no trained encoder here. Run: deepmine run")
    values = read_json(folder / CARD)
    try:
        if values["format"] > FORMAT:
            raise DeepmineError(f"{folder}: written by a newer deepmine (format {values['format']}). Update this one.")
        if values["format"] < FORMAT:
            raise DeepmineError(f"{folder}: written by an older deepmine. Train it again: deepmine run")
        if WEIGHTS not in values.pop("files"):
            raise ValueError("its card does not name its weights")
        inputs = {part["name"]: {k: v for k, v in part.items() if k != "name"} for part in values.pop("inputs")}
        card = Card(inputs=inputs, **values)
        network = card.build()
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise Damaged(folder, f"no model ({error})") from None
    return network.eval(), card


def encoder_fingerprint(folder: Path, card: Card, dtype: torch.dtype) -> str:
    """Names the feature space: weights, inputs (encoder, form, cleaning state), layer, pooling and precision."""
    inputs = list(card.inputs.items())
    return fingerprint(file_sha256(folder / WEIGHTS), inputs, card.mirror, "features", str(dtype))
