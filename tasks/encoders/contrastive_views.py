"""Two views of a row that mean the same, for learning without labels: tensors of any form, a whole batch at once."""

import math

import torch
from torch.nn import functional as F

#: Shares of the area that a crop of an image keeps, at least; of tokens, and of values of a table, that go.
CROP, WORDS, VALUES = 0.35, 0.3, 0.3
#: Change of contrast and brightness, in deviations; share of images that lose their colour.
JITTER, GREY = 0.4, 0.2


def distort(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """``x`` as an encoder takes it, changed at random in what seldom matters; same shape.

    Maps are cropped, stretched and jittered (Chen et al., ICML 2020), sequences scaled, jittered and masked, of
    tokens some go, of a vector some values are another row's (Bahri et al., ICLR 2022).
    Random numbers come from a CPU ``generator``.
    """
    if not x.is_floating_point():
        return torch.where(torch.rand(x.shape, generator=generator).to(x.device) < WORDS, 0, x)
    return {4: maps, 3: sequence, 2: vector}[x.ndim](x, generator)


def maps(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N, C, H, W): a piece of random place, size and proportions on the whole, other contrast, brightness, colour."""

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return (low + (high - low) * torch.rand(*shape, generator=generator)).to(x.device)

    n, channels = x.shape[:2]
    area, ratio = draw(CROP, 1, n), draw(-math.log(4 / 3), math.log(4 / 3), n).exp()
    tall, wide = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    place = torch.zeros(n, 2, 3, device=x.device)
    place[:, 0, 0], place[:, 0, 2] = wide, draw(-1, 1, n) * (1 - wide)
    place[:, 1, 1], place[:, 1, 2] = tall, draw(-1, 1, n) * (1 - tall)
    grid = F.affine_grid(place, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    level = x.mean((1, 2, 3), keepdim=True)
    x = (x - level) * draw(1 - JITTER, 1 + JITTER, n, 1, 1, 1) + level + draw(-JITTER, JITTER, n, 1, 1, 1)
    if channels > 1:
        x = x + draw(-JITTER / 2, JITTER / 2, n, channels, 1, 1)
        grey = x.mean(1, keepdim=True)
        kept = draw(1 - JITTER, 1 + JITTER, n, 1, 1, 1)
        x = grey + (x - grey) * torch.where(draw(0, 1, n, 1, 1, 1) < GREY, 0.0, kept)
    return x


def sequence(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N, L, C): other scale and level, noise, and a masked tenth of the steps; padding stays."""
    n, length, channels = x.shape

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(x.device)

    x = x * (1 + 0.2 * draw(n, 1, channels)) + 0.2 * draw(n, 1, channels) + 0.1 * draw(n, length, channels)
    width = max(length // 10, 1)
    start = torch.randint(0, length, (n, 1), generator=generator).to(x.device)
    places = torch.arange(length, device=x.device)
    masked = (places >= start) & (places < start + width)
    return torch.where(masked[..., None] & ~x.isnan(), 0.0, x)


def vector(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N, D): some of the values are those that another row of the batch has there."""
    others = x[torch.randperm(len(x), generator=generator).to(x.device)]
    return torch.where(torch.rand(x.shape, generator=generator).to(x.device) < VALUES, others, x)
