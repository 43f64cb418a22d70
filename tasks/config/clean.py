"""params.yaml, section clean."""

from dataclasses import field
from typing import Annotated, Any, Literal

from tasks.config.fields import Count, Positive, Seed
from tasks.config.parsing import Between, frozen

Step = str | dict[str, Any]


@frozen
class CleanImage:
    height: Literal["auto"] | Count = "auto"
    width: Literal["auto"] | Count = "auto"
    mode: Literal["auto", "L", "RGB"] = "auto"
    max_auto_side: Count = 224


@frozen
class CleanAudio:
    """``rate`` in hertz, ``seconds`` of the longest item that is kept whole, ``trim`` in decibels below the peak."""

    rate: Literal["auto"] | Count = "auto"
    seconds: Literal["auto"] | Positive = "auto"
    trim: Literal["off"] | Positive = "off"
    bands: Annotated[int, Between(8, 256)] = 64
    window: Positive = 0.025
    hop: Positive = 0.01


@frozen
class CleanText:
    """``length`` in tokens, ``max_auto_length`` in words; tokens in fewer train rows than ``min_count`` are unknown."""

    lower: bool = True
    tokens: Literal["word", "character", "byte"] = "word"
    vocabulary: Annotated[int, Between(10)] = 20_000
    min_count: Count = 2
    length: Literal["auto"] | Count = "auto"
    max_auto_length: Count = 256


@frozen
class CleanSeries:
    """``length`` in time steps."""

    length: Literal["auto"] | Count = "auto"
    max_auto_length: Count = 1024
    missing: Literal["interpolate", "zero"] = "interpolate"
    scale: Literal["standard", "min_max", "robust", "none"] = "standard"


@frozen
class Outliers:
    """How outlying train values (or rows) are found, and what is done: set aside, clipped, or told by a column."""

    method: Literal["none", "z_score", "iqr", "isolation_forest", "lof"] = "none"
    action: Literal["quarantine", "clip", "flag"] = "quarantine"
    threshold: Positive = 3.0
    columns: tuple[str, ...] = ()


@frozen
class CleanTabular:
    """Steps for the columns of each kind, in order: a short name, a scikit-learn class, or a mapping with `name`."""

    numeric: tuple[Step, ...] = ("median", "standard")
    categorical: tuple[Step, ...] = ("rare", "one_hot")
    date: tuple[Step, ...] = ("date_parts", "median", "standard")
    columns: dict[str, tuple[Step, ...]] = field(default_factory=dict)
    outliers: Outliers = field(default_factory=Outliers)


@frozen
class CleanBasket:
    """Goods in fewer train baskets than ``min_count``, and those beyond the most frequent, are left out."""

    min_count: Count = 2
    vocabulary: Count = 2000


@frozen
class Clean:
    fit_rows: Count = 200_000
    seed: Seed = 0
    image: CleanImage = field(default_factory=CleanImage)
    audio: CleanAudio = field(default_factory=CleanAudio)
    text: CleanText = field(default_factory=CleanText)
    series: CleanSeries = field(default_factory=CleanSeries)
    tabular: CleanTabular = field(default_factory=CleanTabular)
    basket: CleanBasket = field(default_factory=CleanBasket)
