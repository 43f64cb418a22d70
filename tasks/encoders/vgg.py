"""Blocks of batch-normalised 3x3 convolutions (VGG, Simonyan and Zisserman 2015) in the layout of cifar10-airbench.

Keller Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498: a frozen whitening first layer,
pooling right after the first convolution of a block (which makes the second four times cheaper, on a CPU too),
normalisation that learns a bias but no scale, convolutions that begin as the identity.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tasks.encoders.layers import refuse

#: Directions of the whitened patches that are kept; each gives two filters, itself and its negative.
DIRECTIONS = 24
#: Patches of the images that the whitening is fitted on, at most.
PATCHES = 1_000_000


class VGG(nn.Module):
    """The whitening stem, then per block: convolution, pooling, normalisation, GELU, convolution, normalisation, GELU.

    Works for any size: the stem strides so that its maps are about 30 to 60 pixels a side, blocks halve while there
    is something to halve, further blocks of the last width follow while the maps are larger than 8 pixels.
    The features are the maxima over space of the last block.
    """

    def __init__(self, form: dict[str, Any], *, channels: Sequence[int], dropout: float) -> None:
        super().__init__()
        if form["kind"] != "maps":
            raise refuse("vgg", form, "images and audio")
        colours, height, width = form["shape"]
        stride = min(max(round(min(height, width) / 40), 1), 4)
        kernel = min(2 if stride == 1 and colours > 1 else max(stride + 1, 3), height, width)
        before = 2 * min(colours * kernel * kernel, DIRECTIONS)
        self.stem = nn.Conv2d(colours, before, kernel, stride, bias=False)
        self.stem.weight.requires_grad_(False)  # whitened by `initialise`, and no gradient need pass the first layer
        layers: list[nn.Module] = [nn.GELU()]
        sides = [(side - kernel) // stride + 1 for side in (height, width)]
        waiting = list(channels)
        while waiting:
            after = waiting.pop(0)
            halve = min(sides) >= 2
            layers += [
                _convolution(before, after), nn.MaxPool2d(2) if halve else nn.Identity(), _normalisation(after),
                nn.GELU(), _convolution(after, after), _normalisation(after), nn.GELU(),
            ]  # fmt: skip
            sides = [side // 2 for side in sides] if halve else sides
            before = after
            if not waiting and min(sides) > 8:
                waiting.append(after)
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.width = before

    @torch.no_grad()
    def initialise(self, rows: torch.Tensor) -> None:
        """Fit the stem to normalised train ``rows`` (N, C, H, W): patches leave it uncorrelated, of variance one.

        Filters are the leading eigenvectors of the patches' covariance over the root of their eigenvalues.
        """
        columns = F.unfold(rows, self.stem.kernel_size, stride=self.stem.stride)  # (N, C * k * k, places)
        patches = columns.transpose(1, 2).reshape(-1, columns.shape[1])
        patches = patches[:: -(-len(patches) // PATCHES)].double()
        # on the CPU in float64: the same filters wherever the rest is trained
        values, vectors = torch.linalg.eigh((patches.T @ patches / len(patches)).cpu())
        keep = self.stem.out_channels // 2
        filters = (vectors / (values.clamp(min=0) + 5e-4).sqrt()).T.flip(0)[:keep]
        # an eigenvector's sign is the library's whim: the largest entry is made positive
        largest = filters.gather(1, filters.abs().argmax(1, keepdim=True))
        filters = (filters * largest.sign()).reshape(keep, *self.stem.weight.shape[1:])
        self.stem.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.dropout(self.layers(self.stem(x)).amax((2, 3)))  # (N, C, H, W) -> (N, C)
        return features


def _convolution(before: int, after: int) -> nn.Conv2d:
    """3x3, its first filters the identity of its inputs (Zagoruyko and Komodakis, arXiv:1706.00388)."""
    layer = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:before].data)
    return layer


def _normalisation(channels: int) -> nn.BatchNorm2d:
    """Without a scale to learn: the next layer can scale as well, and a scale of one folds through the pooling."""
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer
