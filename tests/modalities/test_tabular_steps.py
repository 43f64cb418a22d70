"""Steps by name: each fits, saves and loads as the same; what is misspelt, refused or unsafe is said plainly."""

import pickle
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from tasks.core.errors import DeepmineError
from tasks.modalities import tabular_steps

WHERE = "params.clean.tabular.numeric"
ROWS = 60


def frame(kind: str, whole: bool = False) -> pd.DataFrame:
    """Two columns with gaps, or ``whole``."""
    draw = np.random.default_rng(0)
    if kind == "numeric":
        values = pd.DataFrame(draw.normal(5, 2, (ROWS, 2)), columns=["a", "b"])
        return values if whole else values.mask(draw.random((ROWS, 2)) < 0.1)
    if kind == "date":
        days = np.datetime64("2020-01-01T00:00:00.000000") + draw.integers(0, 10**6, (ROWS, 2)) * np.timedelta64(
            60, "s"
        )
        return pd.DataFrame(days, columns=["a", "b"])
    levels = np.array(["x", "y", "z", "z z", "x" if whole else None], object)
    return pd.DataFrame(levels[draw.integers(0, 5, (ROWS, 2))], columns=["a", "b"], dtype=object)


def made(names: Any, kind: str = "numeric", whole: bool = False, seed: int = 0) -> tuple[Any, np.ndarray]:
    pipe = tabular_steps.pipeline(names, kind, WHERE, seed)
    values = frame(kind, whole)
    tabular_steps.fit(pipe, values, WHERE)
    out = pipe.transform(values)
    return pipe, out.toarray() if hasattr(out, "toarray") else np.asarray(out)


def refused(names: Any, kind: str = "numeric", whole: bool = True) -> str:
    with pytest.raises(DeepmineError) as caught:
        made(names, kind, whole)
    assert str(caught.value).startswith(WHERE)
    return str(caught.value)


NUMERIC = ["mean", "median", "most_frequent", "constant", "knn", "iterative", "standard", "min_max", "robust", "log",
           "quantile"]  # fmt: skip
CASES: list[tuple[list[Any], str]] = [
    *(([name], "numeric") for name in NUMERIC),
    (["median", "unit_norm"], "numeric"),
    (["median", {"name": "KBinsDiscretizer", "n_bins": 4, "encode": "onehot-dense"}], "numeric"),
    (["median", "sklearn.decomposition.PCA"], "numeric"),
    (["median", {"name": "SplineTransformer", "n_knots": 3}], "numeric"),
    (["median", "RandomTreesEmbedding"], "numeric"),
    (["most_frequent", "one_hot"], "categorical"),
    ([{"name": "constant", "fill_value": "none"}, "ordinal"], "categorical"),
    (["rare", "one_hot"], "categorical"),
    ([{"name": "rare", "min_frequency": 0.2}, "ordinal"], "categorical"),
    (["date_parts", "median", "standard"], "date"),
]


@pytest.mark.parametrize(("names", "kind"), CASES, ids=lambda x: str(x))
def test_a_saved_step_says_the_same(names: list[Any], kind: str) -> None:
    pipe, out = made(names, kind)
    data = tabular_steps.save(pipe, WHERE)
    assert data == tabular_steps.save(made(names, kind)[0], WHERE)
    loaded = tabular_steps.load({"_table.columns.skops": data})["columns.skops"]
    again = loaded.transform(frame(kind))
    again = again.toarray() if hasattr(again, "toarray") else again
    assert np.array_equal(out, np.asarray(again, out.dtype), equal_nan=True)
    assert len(pipe.get_feature_names_out(["a", "b"])) == out.shape[1]


def test_every_short_name_was_tried() -> None:
    tried = {step if isinstance(step, str) else step["name"] for names, _ in CASES for step in names}
    assert set(tabular_steps.SHORT) - tried == {"hashed"}
    pipe = tabular_steps.pipeline(["hashed"], "categorical", WHERE, 0)
    values = frame("categorical")[["a"]]
    tabular_steps.fit(pipe, values, WHERE)
    again = tabular_steps.load({"a.skops": tabular_steps.save(pipe, WHERE)})["a.skops"]
    out = pipe.transform(values).toarray()
    assert out.shape == (ROWS, 256)
    assert (np.abs(out).sum(1) == 1).all()
    assert (out == again.transform(values).toarray()).all()


def test_imputers_fill_in_what_they_say() -> None:
    values = frame("numeric")
    gaps = values.isna().to_numpy()
    assert gaps.any()
    for name, filled in (("mean", values.mean()), ("median", values.median())):
        out = made([name])[1]
        assert np.allclose(out, values.fillna(filled))
    assert (made(["constant"])[1][gaps] == 0).all()
    assert (made([{"name": "constant", "fill_value": -1}])[1][gaps] == -1).all()
    most = frame("categorical")["a"].value_counts().index[0]
    gone = frame("categorical")["a"].isna().to_numpy()
    assert gone.any()
    assert set(made(["most_frequent"], "categorical")[1][gone, 0]) == {most}


def test_the_seed_reaches_what_draws() -> None:
    draws = [made(["median", "RBFSampler"], seed=s)[1] for s in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_missing_is_a_level_of_its_own_and_an_unseen_one_is_none() -> None:
    pipe, out = made(["one_hot"], "categorical")
    names = list(pipe.get_feature_names_out(["a", "b"]))
    assert {"a_x", "a_None", "b_None"} <= set(names)
    assert (out[frame("categorical")["a"].isna(), names.index("a_None")] == 1).all()
    unseen = pd.DataFrame([["new", "x"]], columns=["a", "b"], dtype=object)
    assert pipe.transform(unseen).sum() == 1
    assert made(["ordinal"], "categorical")[0].transform(unseen)[0, 0] == -1


def test_rare_levels_are_folded_by_the_encoder() -> None:
    values = pd.DataFrame({"a": ["x"] * 30 + ["y"] * 20 + ["p", "q", "r"]}, dtype=object)
    pipe = tabular_steps.pipeline(["rare", "one_hot"], "categorical", WHERE, 0).fit(values)
    assert list(pipe.get_feature_names_out(["a"])) == ["a_x", "a_y", "a_infrequent_sklearn"]
    unseen = pd.DataFrame({"a": ["new", "p"]}, dtype=object)
    assert pipe.transform(unseen).tolist() == [[0, 0, 1], [0, 0, 1]]
    own = tabular_steps.pipeline([{"name": "rare", "min_frequency": 25}, "one_hot"], "categorical", WHERE, 0).fit(
        values
    )
    assert list(own.get_feature_names_out(["a"])) == ["a_x", "a_infrequent_sklearn"]
    assert "directly before one_hot or ordinal" in refused(["rare"], "categorical")
    assert "directly before one_hot or ordinal" in refused(["rare", "most_frequent", "one_hot"], "categorical")
    assert "Did you mean 'min_frequency'" in refused([{"name": "rare", "min_freq": 3}, "one_hot"], "categorical")


def test_the_parts_of_a_date() -> None:
    # a Monday at six in the morning in April: a quarter of the day and of the year have gone
    moments = np.array([["2024-04-01T06:00:00"], ["1970-01-01T00:00:00"], ["NaT"]], dtype="datetime64[us]")
    first, second, none = tabular_steps.date_parts(moments)
    assert np.allclose(first, [2024, 1, 0, 0, 1, 1, 0, 19814.25], atol=1e-9)
    thursday = 2 * np.pi * 3 / 7
    assert np.allclose(second, [1970, 0, 1, np.sin(thursday), np.cos(thursday), 0, 1, 0])
    assert np.isnan(none).all()
    before = tabular_steps.date_parts(np.array([["1969-12-31T12:00:00"]], dtype="datetime64[us]"))[0]
    assert np.allclose(before[[0, 5, 6, 7]], [1969, 0, -1, -0.5])
    assert list(tabular_steps.date_names(None, ["d"])) == [
        "d_year", "d_month_sin", "d_month_cos", "d_weekday_sin", "d_weekday_cos", "d_hour_sin", "d_hour_cos", "d_days",
    ]  # fmt: skip


def test_parts_that_never_change_are_left_out() -> None:
    days = pd.DataFrame({"d": pd.date_range("2020-03-01", periods=20, unit="us")})
    pipe = tabular_steps.pipeline(["date_parts"], "date", WHERE, 0).fit(days)
    assert list(pipe.get_feature_names_out(["d"])) == ["d_weekday_sin", "d_weekday_cos", "d_days"]


def test_a_logarithm_of_any_sign() -> None:
    out = tabular_steps.signed_log(np.array([[-np.e + 1, 0, np.e - 1, np.nan]]))
    assert np.allclose(out, [[-1, 0, 1, np.nan]], equal_nan=True)


def test_a_misspelt_step_is_named_with_the_nearest() -> None:
    assert "there is no step 'standart', and no transformer of scikit-learn. Did you mean 'standard'?" in refused(
        ["standart"]
    )
    assert "Did you mean 'KBinsDiscretizer'?" in refused(["KBinDiscretizer"])
    assert "has no 'name'" in refused([{"n_bins": 3}])
    assert "there is no step 'sklearn.nowhere'" in refused(["sklearn.nowhere"])
    # code of others is never imported
    assert "there is no step 'os.system'" in refused(["os.system"])


def test_refused_parameters_are_named() -> None:
    unknown = refused([{"name": "KBinsDiscretizer", "bins": 3}])
    assert (
        "KBinsDiscretizer cannot be made with these parameters. It has no parameter 'bins'. Did you mean 'n_bins'?"
        in unknown
    )
    assert "The 'n_bins' parameter of KBinsDiscretizer must be" in refused(
        [{"name": "KBinsDiscretizer", "n_bins": "four"}]
    )
    assert "does not accept missing values" in refused(["PCA"], whole=False)
    assert "needs labels" in refused(["TargetEncoder"])
    assert "needs labels" in refused(["SelectKBest"])
    assert "needs labels" in refused(["PLSSVD"])
    assert "scikit-learn refuses to fit SimpleImputer" in refused(["mean"], "categorical")


def test_a_step_that_fits_but_cannot_transform_is_refused() -> None:
    assert "scikit-learn refuses to fit TSNE" in refused(["TSNE"])
    hasher = {"name": "FeatureHasher", "input_type": "string"}  # which takes one column alone, as lists
    assert "scikit-learn refuses to fit FeatureHasher: Samples can not be a single string" in refused(
        [hasher], "categorical"
    )


def test_what_could_not_be_loaded_is_not_saved() -> None:
    for name in ("Isomap", "Birch"):  # a tree of neighbours in C, and nodes that skops cannot write
        pipe = made(["median", name])[0]
        with pytest.raises(DeepmineError, match=rf"^{WHERE}: "):
            tabular_steps.save(pipe, WHERE)


def test_nothing_but_steps_is_loaded() -> None:
    foreign = BytesIO()
    skops.io.dump({"f": subprocess.Popen}, foreign)
    strangers = [b"", b"text", pickle.dumps({"a": 1}), foreign.getvalue()]
    empty = BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("schema.json", "{}")
    for data in (*strangers, empty.getvalue()):
        with pytest.raises(DeepmineError, match="refused"):
            tabular_steps.load({"columns.skops": data})


def test_no_torch_is_imported() -> None:
    code = (
        "import sys, pandas as pd\nfrom tasks.modalities import tabular_steps as steps\n"
        "pipe = steps.pipeline(['median', 'PCA'], 'numeric', 'w', 0)\n"
        "pipe.fit(pd.DataFrame({'a': [1.0, 2.0, 4.0]}))\nsteps.load({'a': steps.save(pipe, 'w')})\n"
        "print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"name": "FunctionTransformer", "func": "os.system"}, "FunctionTransformer"),
        ({"name": "FeatureAgglomeration", "n_clusters": 1, "memory": "../../evil"}, "'memory' keeps a cache on disk"),
        ({"name": "CountVectorizer", "input": "filename"}, "there is no step 'CountVectorizer'"),
        ({"name": "TfidfVectorizer", "token_pattern": "(a+)+$"}, "there is no step 'TfidfVectorizer'"),
        ({"name": "ColumnTransformer", "transformers": []}, "there is no step 'ColumnTransformer'"),
        ("os.system", "there is no step 'os.system'"),
        ("sklearn.utils._testing.os", "there is no step"),
        ("__import__", "there is no step"),
    ],
)
def test_no_step_runs_opens_or_writes_what_a_person_names(step: Any, says: str) -> None:
    assert says in refused(["median", step])
