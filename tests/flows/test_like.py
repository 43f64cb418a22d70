"""`deepmine like`: the nearest rows, told apart from a row that is not there."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from flows.like import nearest_rows
from tasks.core.errors import DeepmineError
from tasks.features.view import View
from tests.flows.conftest import Project


def view(rows: int = 50, **more: Any) -> View:
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "ids": np.array([f"r{i:02d}" for i in range(rows)]), "X": rng.normal(size=(rows, 4)).astype(np.float32),
        "split": np.array(["train"] * rows), "label": np.array(["a"] * rows, object), "known": np.ones(rows, bool),
    }  # fmt: skip
    return View(**{"name": "deep", "fingerprint": "f", "parts": ((4, False),)} | columns | more)


def test_the_nearest_rows_are_those_of_scikit_learn() -> None:
    made = view()
    places, distances = nearest_rows(made, "r07", 5)
    expected, at = NearestNeighbors(n_neighbors=6).fit(made.X).kneighbors(made.X[[7]])
    assert at[0].tolist() == [7, *places.tolist()]
    assert distances == pytest.approx(expected[0, 1:])
    assert len(nearest_rows(made, "r07", 100)[0]) == 49


def test_rows_equally_near_come_by_their_ids() -> None:
    made = view(X=np.ones((50, 4), np.float32), ids=np.array([f"r{(i * 7) % 50:02d}" for i in range(50)]))
    places, distances = nearest_rows(made, "r03", 3)
    assert made.ids[places].tolist() == ["r00", "r01", "r02"]
    assert distances.tolist() == [0, 0, 0]


def test_a_row_that_is_not_there() -> None:
    with pytest.raises(DeepmineError, match=r"no row 'r7' among the 50 rows. Did you mean 'r"):
        nearest_rows(view(), "r7", 3)
    many = view(6000, ids=np.array([f"folder/{i:05d}.png" for i in range(6000)]))
    with pytest.raises(DeepmineError, match=r"A valid id is, for example, 'folder/00000.png'"):
        nearest_rows(many, "xyz", 3)


def test_the_command(finished: Project) -> None:
    told = finished.run("deepmine", "like", "small", "class1/000.png", "--top", "3").splitlines()
    assert told[0].startswith("class1/000.png  class1  ")
    assert told[1].split() == ["id", "label", "split", "distance"]
    assert len(told) == 5
    distances = [float(line.split()[-1]) for line in told[2:]]
    assert distances == sorted(distances)
    wrong = finished.run("deepmine", "like", "small", "class1/00.png", code=1)
    assert "Did you mean 'class1/" in wrong
    assert "Traceback" not in wrong
