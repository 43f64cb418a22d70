"""An encoder under a linear head, as a folder that rebuilds itself."""

import copy
import ctypes
import json
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks.cores import cores
from tasks.encoders import build
from tasks.errors import DeepmineError
from tasks.store import file_sha256, fingerprint, write_atomically, write_json

#: Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
WEIGHTS, CARD = "encoder.safetensors", "encoder.json"
FORMAT = 1


class Network(nn.Module):
    """``encoder`` and one linear layer: (N, C, H, W) -> features (N, width) and scores (N, labels).

    With ``mirror`` the features in evaluation mode are means over an image and its mirror image, as befits a
    network that was trained on both (test-time augmentation: Krizhevsky et al., NIPS 2012).
    """

    def __init__(self, encoder: nn.Module, outputs: int, mirror: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.mirror = mirror
        width: int = encoder.width  # type: ignore[assignment]
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.encoder(x)
        if self.mirror and not self.training:
            features = (features + self.encoder(x.flip(3))) / 2
        return features, self.head(features)


@dataclass(frozen=True)
class Card:
    """All that is needed to rebuild a trained network and to feed it.

    Attributes:
        encoder: registry name and options.
        shape: (channels, height, width) of the input.
        labels: the class of each score.
        state: what `clean` settled and fitted, normalisation included.
        mirror: whether features are means over an image and its mirror image.
    """

    encoder: dict[str, Any]
    shape: tuple[int, ...]
    labels: list[str]
    state: dict[str, Any]
    mirror: bool = False
    format: int = FORMAT

    def build(self) -> Network:
        """The network with fresh weights."""
        options = {k: v for k, v in self.encoder.items() if k != "name"}
        return Network(build(self.encoder["name"], tuple(self.shape), options), len(self.labels), self.mirror)


def save_network(folder: Path, network: Network, card: Card) -> None:
    """Write weights (safetensors) and card into ``folder``."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))
    write_json(folder / CARD, vars(card) | {"weights": file_sha256(folder / WEIGHTS)})


def load_network(folder: Path) -> tuple[Network, Card]:
    """The network of a model folder, in evaluation mode on the CPU.

    Raises:
        DeepmineError: no model there, or one of a newer format or with other weights than its card says.
    """
    try:
        values = json.loads((folder / CARD).read_bytes())
        if values["format"] > FORMAT:
            raise DeepmineError(f"{folder}: written by a newer deepmine (format {values['format']}). Update this one.")
        if values.pop("weights") != file_sha256(folder / WEIGHTS):
            raise ValueError("its weights are not those that were saved")
        card = Card(**values)
        network = card.build()
        network.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError:
        raise DeepmineError(f"{folder}: no trained encoder here. Run: deepmine run") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DeepmineError(f"{folder}: damaged model ({error}). Remove the folder and run: deepmine run") from None
    return network.eval(), card


def encoder_fingerprint(folder: Path, card: Card, dtype: torch.dtype) -> str:
    """Names the feature space: weights, cleaning state, inputs, layer, pooling and precision."""
    return fingerprint(
        file_sha256(folder / WEIGHTS), card.state, list(card.shape), card.encoder, card.mirror, "features", str(dtype)
    )


def fold(network: Network) -> Network:
    """A copy for evaluation whose batch normalisation is part of the convolutions before it.

    A pooling for maxima between the two is no hindrance where the scale is positive, as it then keeps the order of
    what it pools (Jacob et al., arXiv:1712.05877, section 3.2, gives the folding).
    """
    folded = copy.deepcopy(network).eval()
    for block in folded.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i, layer in enumerate(block):
            before = i - 1
            while before >= 0 and isinstance(block[before], nn.MaxPool2d | nn.Identity):
                before -= 1
            into = block[before] if before >= 0 else None
            if not (isinstance(layer, nn.BatchNorm2d) and isinstance(into, nn.Conv2d)):
                continue
            if before == i - 1 or bool((layer.weight > 0).all()):
                block[before], block[i] = fuse_conv_bn_eval(into, layer), nn.Identity()
    return folded


def quicken(network: Network, device: torch.device) -> Network:
    """A copy for evaluation that gives bit for bit the same in less time.

    A ReLU before a pooling for maxima goes after it, where a quarter of the values is left. On a CPU a pooling of
    2 x 2 is the larger of two rows, then of two columns: PyTorch's own notes where each maximum was, which only
    training needs. Together they take a third off the plain CNN.
    """
    quick = copy.deepcopy(network).eval()
    for block in quick.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i in range(1, len(block)):
            if isinstance(block[i - 1], nn.ReLU) and isinstance(block[i], nn.MaxPool2d):
                block[i - 1], block[i] = block[i], block[i - 1]
        for i, layer in enumerate(block):
            if device.type == "cpu" and isinstance(layer, nn.MaxPool2d) and repr(layer) == repr(nn.MaxPool2d(2)):
                block[i] = Halve()
    return quick


class Halve(nn.Module):
    """`nn.MaxPool2d(2)` without the places of the maxima: (N, C, H, W) to (N, C, H // 2, W // 2)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (side // 2 * 2 for side in x.shape[2:])
        rows = torch.maximum(x[:, :, :height:2, :width], x[:, :, 1:height:2, :width])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def place(network: Network, device: torch.device) -> Network:
    """``network`` on ``device``, its weights laid out channels_last, which convolutions of both CPU and GPU like."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device.

    Raises:
        DeepmineError: cuda was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeepmineError("train.device: cuda was asked for, but torch sees no GPU. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`, `float32` or `bfloat16`; auto is bfloat16 where the hardware multiplies it."""
    if name == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Mixed precision on ``device``, switched off for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor, where it is the C library.

    By default it hands large blocks back to the kernel, which must clear every page of them anew: half of the time
    of a small network's forward pass on a CPU.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        for option, value in ((M_MMAP_THRESHOLD, 1 << 28), (M_TRIM_THRESHOLD, 1 << 30), (M_ARENA_MAX, 1)):
            library.mallopt(option, value)


def fix_arithmetic() -> None:
    """What must not differ between two runs on one machine: threads, algorithms. And memory for tensors is kept."""
    keep_freed_memory()
    torch.set_num_threads(cores())
    torch.use_deterministic_algorithms(True, warn_only=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
