"""Networks that turn tensors into one vector of a declared width.

An encoder is a `torch.nn.Module` built as `Encoder(shape, **options)` with `shape` = (channels, height, width),
an attribute `width`, and `forward: (N, C, H, W) -> (N, width)`. Its options are declared in `tasks/config.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import nn

ENCODERS = {
    "cnn": "tasks.encoders.cnn:CNN",
    "vgg": "tasks.encoders.vgg:VGG",
}


@runtime_checkable
class Initialised(Protocol):
    """An encoder some of whose first weights come from data."""

    def initialise(self, images: "torch.Tensor") -> None:
        """Set them from normalised train images (N, C, H, W)."""


def build(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> "nn.Module":
    """A freshly initialised encoder (by torch's global generator).

    Raises:
        KeyError: no encoder of that name.
        DeepmineError: the options do not fit the shape.
    """
    module, _, attribute = ENCODERS[name].partition(":")
    encoder: nn.Module = getattr(import_module(module), attribute)(shape, **options)
    return encoder
