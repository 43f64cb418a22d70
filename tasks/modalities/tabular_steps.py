"""Steps of cleaning by name: short names for the usual ones, and every transformer of scikit-learn by its class.

A step is a name or a mapping with `name` and parameters. `rare` is a word of the encoder that follows it, and
`drop_missing` a rule about rows; all others come to scikit-learn's own transformers, in the order given.
"""

import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.errors import DeepmineError, nearest
from tasks.core.safe_skops import dumps, loads, without_torch

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from tasks.config.clean import Step


def signed_log(X: Any) -> np.ndarray:
    """log(1 + |x|) with the sign of x: a logarithm for numbers of any sign."""
    values = np.asarray(X, dtype=np.float64)
    return np.sign(values) * np.log1p(np.abs(values))


def date_parts(X: Any) -> np.ndarray:
    """(N, K) dates -> (N, 8 K) float64, NaN for no date: see `date_names`."""
    moments = np.asarray(X, dtype="datetime64[us]")
    parts = []
    for moment in moments.T:
        micros = moment.astype(np.int64).astype(np.float64)
        days = micros / 86_400e6  # since 1970
        years = moment.astype("datetime64[Y]").astype(np.int64)
        month = moment.astype("datetime64[M]").astype(np.int64) - 12 * years
        # 1970 began on a Thursday; Monday is 0
        cycles = (month / 12, (np.floor(days) + 3) % 7 / 7, days % 1)
        waves = [wave(2 * np.pi * cycle) for cycle in cycles for wave in (np.sin, np.cos)]
        part = np.stack([years + 1970.0, *waves, days], axis=1)  # (N, 8)
        parts.append(np.where(np.isnat(moment)[:, None], np.nan, part))
    return np.concatenate(parts, axis=1)


def date_names(transformer: Any, columns: Sequence[str]) -> np.ndarray:
    """What `date_parts` gives of each column."""
    waves = [f"{cycle}_{wave}" for cycle in ("month", "weekday", "hour") for wave in ("sin", "cos")]
    return np.array([f"{column}_{part}" for column in columns for part in ("year", *waves, "days")], dtype=object)


#: Short name -> the classes that it stands for with their parameters; a person's own parameters go to the last.
SHORT: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "mean": (("SimpleImputer", {"strategy": "mean"}),),
    "median": (("SimpleImputer", {"strategy": "median"}),),
    "most_frequent": (("SimpleImputer", {"strategy": "most_frequent"}),),
    "constant": (("SimpleImputer", {"strategy": "constant"}),),
    "knn": (("KNNImputer", {}),),
    "iterative": (("IterativeImputer", {}),),
    "standard": (("StandardScaler", {}),),
    "min_max": (("MinMaxScaler", {}),),
    "robust": (("RobustScaler", {}),),
    "unit_norm": (("Normalizer", {}),),
    "log": (("FunctionTransformer", {"func": signed_log, "feature_names_out": "one-to-one"}),),
    "quantile": (("QuantileTransformer", {"output_distribution": "normal"}),),
    # a level that no train row had is rare where some were, and else none of them
    "one_hot": (
        ("OneHotEncoder", {"handle_unknown": "infrequent_if_exist", "sparse_output": False, "dtype": np.float32}),
    ),
    "ordinal": (("OrdinalEncoder", {"handle_unknown": "use_encoded_value", "unknown_value": -1}),),
    "hashed": (
        ("SimpleImputer", {"strategy": "constant", "fill_value": ""}),
        ("FeatureHasher", {"n_features": 256, "input_type": "string"}),
    ),
    # the parts that never change, such as the hour of days, are left out
    "date_parts": (
        ("FunctionTransformer", {"func": date_parts, "feature_names_out": date_names}),
        ("VarianceThreshold", {}),
    ),
}
#: Words that no transformer stands for.
WORDS: dict[str, dict[str, Any]] = {"drop_missing": {}, "rare": {"min_frequency": 10, "max_categories": 250}}
#: Transformers that open files whose names are in the data, run what they are given, or are made of others.
NO_STEPS = (
    "ColumnTransformer",
    "CountVectorizer",
    "DictVectorizer",
    "FeatureUnion",
    "HashingVectorizer",
    "TfidfVectorizer",
)
FOLDS_RARE = ("OneHotEncoder", "OrdinalEncoder")
#: Types that a saved step may hold beyond those that skops trusts by itself.
ALLOWED = (
    *(f"{function.__module__}.{function.__name__}" for function in (signed_log, date_parts, date_names)),
    "numpy.dtype",
    "numpy.mean",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.tree._tree.Tree",
)


def name_of(step: "Step", where: str) -> str:
    """The name of a step.

    Raises:
        DeepmineError: a mapping without one.
    """
    name = step if isinstance(step, str) else step.get("name")
    if not isinstance(name, str):
        raise DeepmineError(
            f"{where}: the step {step!r} has no 'name'. Write, say, {{name: quantile, n_quantiles: 100}}."
        )
    return name


def _own(step: "Step") -> dict[str, Any]:
    """The parameters that a person wrote."""
    return {} if isinstance(step, str) else {key: value for key, value in step.items() if key != "name"}


def rare(steps: "Sequence[Step]", where: str) -> dict[str, Any] | None:
    """How rare levels are folded (`min_frequency`, `max_categories`), or None where they are not."""
    for step in steps:
        if name_of(step, where) == "rare":
            own = _own(step)
            for key in own:
                if key not in WORDS["rare"]:
                    raise DeepmineError(f"{where}: rare has no parameter '{key}'.{nearest(key, WORDS['rare'])}")
            return {**WORDS["rare"], **own}
    return None


def pipeline(steps: "Sequence[Step]", kind: str, where: str, seed: int) -> "Pipeline":
    """Unfitted transformers in a row; without any, the values as they are.

    Args:
        kind: numeric, categorical (missing: None) or date.
        where: the key of the steps, for errors.

    Raises:
        DeepmineError: a name or parameter that is unknown, or `rare` where no encoder follows.
    """
    from sklearn.pipeline import make_pipeline

    made: list[Any] = []
    waiting: dict[str, Any] = {}
    for step in steps:
        name = name_of(step, where)
        if name == "rare":
            waiting = rare([step], where) or {}
        elif name != "drop_missing":
            own = _own(step)
            parts = SHORT.get(name) or ((name, {}),)
            for at, (class_name, fixed) in enumerate(parts):
                folded = waiting if class_name in FOLDS_RARE else {}
                waiting = {} if folded else waiting
                own_here = own if at == len(parts) - 1 else {}
                made.append(_transformer(class_name, {**fixed, **folded, **own_here}, kind, where, seed))
            if waiting:
                break
    if waiting:
        raise DeepmineError(
            f"{where}: 'rare' must come directly before one_hot or ordinal, which merge the rare levels."
        )
    return make_pipeline(
        *made or [_transformer("FunctionTransformer", {"feature_names_out": "one-to-one"}, kind, where, seed)]
    )


def _transformer(name: str, params: dict[str, Any], kind: str, where: str, seed: int) -> Any:
    from sklearn.utils import get_tags

    if "memory" in params:  # a folder of pickles, wherever it is
        raise DeepmineError(f"{where}: {name}: 'memory' keeps a cache on disk, which is not allowed. Leave it out.")
    known = classes()
    short = name.rpartition(".")[2] if name.startswith("sklearn.") else name
    if short not in known:
        hint = nearest(name, [*SHORT, *WORDS, *known] if name.lower() != name else [*SHORT, *WORDS])
        raise DeepmineError(f"{where}: there is no step '{name}', and no transformer of scikit-learn.{hint}")
    if short == "SimpleImputer" and kind == "categorical":
        params = {"missing_values": None, **params}
    try:
        made = known[short](**params)
    except TypeError as error:
        accepted = known[short]._get_param_names()
        unknown = [key for key in params if key not in accepted]
        hint = f" It has no parameter '{unknown[0]}'.{nearest(unknown[0], accepted)}" if unknown else f" {error}."
        raise DeepmineError(f"{where}: {short} cannot be made with these parameters.{hint}") from None
    try:
        labelled = get_tags(made).target_tags.required
    except (AttributeError, TypeError, ValueError) as error:  # of one that is made of others, which text is not
        raise DeepmineError(f"{where}: {short} cannot be made with these parameters. {error}.") from None
    if labelled:
        raise DeepmineError(f"{where}: {short} needs labels, which cleaning does not see. Choose another.")
    if "random_state" in made.get_params() and "random_state" not in params:
        made.set_params(random_state=seed)
    return made


@cache
def classes() -> dict[str, Any]:
    """Every transformer of scikit-learn by the name of its class."""
    with without_torch(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.utils import all_estimators

        return {name: made for name, made in all_estimators(type_filter="transformer") if name not in NO_STEPS}


def fit(made: "Pipeline", X: "pd.DataFrame", where: str) -> Any:
    """Fit on the train rows ``X``; what is made of the first of them.

    Raises:
        DeepmineError: scikit-learn refuses a parameter or the values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence, of fewer rows than quantiles: the steps work all the same
            return made.fit(X).transform(X.head(1))
    except (ValueError, TypeError, AttributeError) as error:
        text = " ".join(str(error).split())
        if "Input X contains NaN" in text:
            text = (
                "a step does not accept missing values. Put an imputer (for example median) or drop_missing before it."
            )
        elif "'y'" in text or "Input y" in text or "requires y" in text:
            text = f"a step needs labels, which cleaning does not see ({text[:120]}). Choose another."
        names = " -> ".join(type(step).__name__ for _, step in made.steps)
        raise DeepmineError(f"{where}: scikit-learn refuses to fit {names}: {text[:400]}") from None


def save(fitted: Any, where: str) -> bytes:
    """Fitted steps as safe bytes, the same for the same steps.

    Raises:
        DeepmineError: they hold types that are not trusted.
    """
    try:
        return dumps(fitted, ALLOWED, where)
    except (TypeError, NotImplementedError) as error:  # skops knows no way to write it
        raise DeepmineError(f"{where}: a step cannot be saved ({error}). Choose another.") from None


def load(files: dict[str, Any]) -> dict[str, Any]:
    """The fitted steps of a state's `files`, by file name less what a store put before it; read once a process.

    Raises:
        DeepmineError: a file that `save` did not write.
    """
    names = {".".join(name.split(".")[-2:]): data for name, data in files.items()}
    return {name: _loaded(data) if isinstance(data, bytes) else data for name, data in names.items()}


@lru_cache(maxsize=8)
def _loaded(data: bytes) -> Any:
    return loads(data, ALLOWED, "clean", "steps of cleaning")
