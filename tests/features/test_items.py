"""The store of items: what is known of the rows in words."""

from pathlib import Path

import numpy as np

from tasks.features.items import load_items
from tests.fixtures.itemstore import write_items


def test_items_come_back_by_id(tmp_path: Path) -> None:
    held = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    names, attributes = ("colour=red", "colour=blue", "tall"), ("colour", "colour", "tall")
    write_items(
        tmp_path / "items", ["c", "a", "b"], ["train", "test", "val"], ["x", None, "y"], names, attributes, held
    )
    found = load_items(tmp_path / "items")
    assert (found.names, found.attributes) == (names, attributes)
    assert found.view.ids.tolist() == ["a", "b", "c"]
    assert found.view.X.toarray().tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert found.view.known.tolist() == [False, True, True]
