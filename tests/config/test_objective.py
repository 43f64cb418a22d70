"""What is learned where a person leaves it open."""

import pytest

from tasks.config.objective import resolve


@pytest.mark.parametrize("labelled", [True, False])
def test_only_auto_looks_at_the_labels(labelled: bool) -> None:
    assert resolve("auto", labelled) == ("classification" if labelled else "autoencoder")
    for objective in ("classification", "regression", "forecasting", "autoencoder"):
        assert resolve(objective, labelled) == objective
