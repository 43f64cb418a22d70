"""The order of two columns: found where it is the class, and passed in silence where it is honest."""

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tasks.validation.column_order import orders

N = 1000
LEAK = 0.99


@pytest.mark.parametrize("rows", [0, 1, 39])
def test_few_rows(rows: int) -> None:
    made = pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 5)), columns=list("abcde"))
    assert orders(made, np.array(["a", "b"] * N)[:rows], (), LEAK) == []


def test_the_order_of_columns_that_is_a_class() -> None:
    made = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 5)), columns=list("abcde"))
    home, away = (np.random.default_rng(s).poisson(1.4, N) for s in (1, 2))
    label = np.where(home > away, "home", np.where(home < away, "away", "draw"))
    found = orders(made.assign(home=home, away=away), label, (), LEAK)
    assert [(one.label, one.columns) for one in found] == [("away", ("away", "home")), ("home", ("home", "away"))]


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "digits"])
def test_no_order_of_columns_of_packaged_data_is_a_class(name: str) -> None:
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    assert orders(data.data, data.target.astype(str).to_numpy(), (), LEAK) == []
