"""The plain convolutional network of the textbooks (LeCun et al., 1998)."""

from collections.abc import Sequence

import torch
from torch import nn

from tasks.errors import DeepmineError

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
POOLING = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "none": None}


class CNN(nn.Module):
    """Convolution, activation and pooling for each of ``channels``, then dense layers.

    The features are the activations of the last dense layer, or the flattened maps where there is none.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, channels: Sequence[int], kernel: int, pooling: str, activation: str,
        dense: Sequence[int], dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        before, height, width = shape
        layers: list[nn.Module] = []
        pool = POOLING[pooling]
        for after in channels:
            layers += [nn.Conv2d(before, after, kernel, padding="same"), ACTIVATIONS[activation]()]
            before = after
            if pool is not None:
                height, width = height // 2, width // 2
                layers.append(pool(2))
        if min(height, width) < 1:
            raise DeepmineError(
                f"train.encoder.channels: {len(channels)} poolings leave nothing of a {shape[1]} x {shape[2]} image; "
                "use fewer channels or 'pooling: none'."
            )
        layers.append(nn.Flatten())
        before = before * height * width
        for after in dense:
            layers += [nn.Linear(before, after), ACTIVATIONS[activation](), nn.Dropout(dropout)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.width = before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(x)  # (N, width)
        return features
