"""What the raw view is fitted on."""

from pathlib import Path

import numpy as np
import pytest

from tasks.rawview import train_rows
from tests.tasks.test_extract import SIDE, SPLIT, STATE_OF_ROWS, even, write_clean


def test_large_images_are_fitted_on_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = write_clean(tmp_path / "clean", even(20))
    everything = train_rows(clean, "image", STATE_OF_ROWS, 1000)
    assert len(everything) == SPLIT.count("train")
    monkeypatch.setattr("tasks.rawview.FIT_VALUES", 5 * SIDE * SIDE)
    assert np.array_equal(train_rows(clean, "image", STATE_OF_ROWS, 1000), everything[:5])
