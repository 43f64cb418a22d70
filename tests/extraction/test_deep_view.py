"""How many rows one forward pass takes; what comes out of it is seen in test_extract."""

import torch

from tasks.config.train import Extract
from tasks.encoders.network import Card
from tasks.extraction.deep_view import batch_rows


def test_large_images_are_encoded_in_smaller_parts() -> None:
    cpu = torch.device("cpu")

    def card(*sides: int) -> Card:
        forms = {f"i{n}": {"form": {"kind": "maps", "shape": [3, side, side]}} for n, side in enumerate(sides)}
        return Card({**forms, "t": {"form": {"kind": "vector", "shape": [5000]}}})

    rows = [batch_rows(Extract(), cpu, card(side)) for side in (28, 64, 150, 2000)]
    assert rows == [128, 128, 23, 1]
    assert batch_rows(Extract(), cpu, card(28, 150)) == 23
    assert batch_rows(Extract(), cpu, card()) == 128
    assert batch_rows(Extract(batch=7), cpu, card(2000)) == 7
