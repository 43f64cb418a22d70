"""What gives a label away: found where it is planted, in whatever form, and passed in silence where it is honest."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tasks.config.validate import Validate
from tasks.validation.regression_leakage import MOST, predictors, r2_of

ROOT = Path(__file__).parents[2]
N = 1000
LEAK = 0.99


def found(frame: pd.DataFrame, label: np.ndarray, *categorical: str) -> list[tuple[str, set[str]]]:
    return [(one.kind, set(one.columns)) for one in predictors(frame, label, categorical, LEAK)]


def frame(seed: int = 0, **more: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.normal(size=N) for name in "abcde"} | more)


@pytest.mark.parametrize(
    ("bend", "kind"),
    [
        (lambda x: 3 * x - 7, "column"), (np.square, "column"), (np.exp, "column"), (lambda x: -(x**5), "column"),
        (lambda x: np.round(x, 1), "column"),
    ],
)  # fmt: skip
def test_one_column_straight_or_bent(bend, kind: str) -> None:
    made = frame(1)
    assert found(made, bend(made["c"].to_numpy())) == [(kind, {"c"})]


def test_levels_and_codes_that_have_one_number_each() -> None:
    rng = np.random.default_rng(0)
    code, price = rng.integers(0, 60, N), rng.normal(size=60)
    made = frame(code=code, name=np.array([f"n{c}" for c in code], object))
    assert found(made, price[code], "name") == [("column", {"code"}), ("column", {"name"})]
    own = frame(name=np.array([f"n{i}" for i in range(N)], object))
    assert found(own, np.arange(N) % 7 + 0.5, "name") == [], "a level of each row tells nothing of another"


@pytest.mark.parametrize("few", [2, 3, 5])
def test_a_sum_of_few_columns_among_many_with_gaps(few: int) -> None:
    rng = np.random.default_rng(few)
    X = rng.normal(size=(N, 30)) * rng.uniform(1, 20, 30)
    chosen = rng.permutation(30)[:few]
    label = (X / X.std(0))[:, chosen] @ rng.uniform(1, 2, few)
    X[rng.random(X.shape) < 0.005] = np.nan
    columns = pd.DataFrame(X, columns=[f"x{i}" for i in range(30)])
    assert found(columns, label) == [("sum", {f"x{i}" for i in chosen})]


def test_a_sum_of_many_columns_is_no_leak() -> None:
    X = np.random.default_rng(0).normal(size=(N, 12))
    assert found(pd.DataFrame(X), X.sum(1)) == []


def test_a_difference_of_dates_of_which_neither_is_like_the_label() -> None:
    rng = np.random.default_rng(0)
    seconds = rng.gamma(2, 500, N).round()
    begin = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**7, N), unit="s"))
    made = frame(begin=begin, end=begin + pd.to_timedelta(seconds, unit="s"))
    assert found(made, seconds) == [("sum", {"begin", "end"})]


def test_a_product_of_columns() -> None:
    rng = np.random.default_rng(0)
    pieces, price = rng.integers(1, 20, N).astype(float), rng.gamma(3, 5, N)
    assert found(frame(pieces=pieces, price=price), pieces * price) == [("product", {"pieces", "price"})]


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_relation_however_linear_is_none(seed: int) -> None:
    made, rng = frame(seed), np.random.default_rng(seed + 100)
    label = made["a"] + made["b"] - 2 * made["d"]
    assert found(made, (label + rng.normal(size=N) * 0.05 * label.std()).to_numpy()) == [], "R² 0.9975"
    assert found(made, (made["a"] + rng.normal(size=N) * 0.05).to_numpy()) == []
    bent = np.exp(made["a"] / 2) + rng.normal(size=N) * 0.05
    assert found(made, bent.to_numpy()) == []


def test_a_series_that_its_past_and_the_time_tell_nearly_is_none() -> None:
    t, rng = np.arange(N), np.random.default_rng(0)
    y = 10 * np.sin(t / 58) + np.sin(t) + np.cumsum(rng.normal(size=N)) * 0.3 + rng.normal(size=N) * 0.3
    assert found(frame(t=t, past=np.roll(y, 1), before=np.roll(y, 2)), y) == []


def test_one_huge_value_makes_no_leak() -> None:
    made, rng = frame(), np.random.default_rng(3)
    label = rng.normal(size=N)
    label[5] = 1e9
    made.loc[5, "a"] = 1e8
    assert found(made, label) == []


@pytest.mark.parametrize("name", ["diabetes", "iris", "wine"])
def test_measured_columns_of_packaged_data_are_told_by_no_others(name: str) -> None:
    data = getattr(datasets, f"load_{name}")(as_frame=True).data
    for column in data:
        assert found(data.drop(columns=column), data[column].to_numpy(float)) == []


def test_the_threshold_is_that_of_classes() -> None:
    """99 % of the pairs of two normal variables are in order where their R² is what `r2_of` says."""
    rng = np.random.default_rng(0)
    line = next(line for line in (ROOT / "params.yaml").read_text().splitlines() if line.startswith("    leak:"))
    assert f"({r2_of(Validate().leak):.3f})" in line
    assert f"of a column, or of a sum or product of at most {MOST}" in line
    for above in (0.9, 0.99):
        rho = r2_of(above) ** 0.5
        x, y = rng.normal(size=(2, 100_000))
        z = rho * x + (1 - rho**2) ** 0.5 * y
        pairs = (x[::2] < x[1::2]) == (z[::2] < z[1::2])
        assert pairs.mean() == pytest.approx(above, abs=0.005)


@pytest.mark.parametrize("rows", [0, 1, 39])
def test_few_rows_and_nothing_to_tell(rows: int) -> None:
    made = frame().head(rows)
    assert predictors(made, made["a"].to_numpy(), (), LEAK) == []
    constant = frame(still=np.zeros(N), none=np.full(N, np.nan))
    assert found(constant, np.zeros(N)) == []
    assert found(constant[["still", "none"]], np.arange(N) % 5 + 0.0) == []
