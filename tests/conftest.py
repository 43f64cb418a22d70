"""Fixtures for tests in more than one folder."""

import os
from collections.abc import Iterator

import pytest

# as `flows.stages` has it for every stage: else MKL rounds by how memory is aligned
os.environ.setdefault("MKL_CBWR", "AUTO")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on one thread: more only wait for each other on images this small."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
