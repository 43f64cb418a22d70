"""The types behind params.yaml: every key that a person may write, its bounds and its default.

Plain dataclasses, so that a machine with torch but without pydantic can build them; `tasks.config.loader` reads the file.
"""

import re
from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, Any, Literal

from tasks.config.arguments import wrong_arguments
from tasks.config.parsing import Between, ByName, frozen
from tasks.core.text import CONFIDENCE

#: Names of datasets, inputs, miners and recipes: they become parts of paths, keys, commands and pages.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
#: The same in words.
NAMED = "starts with a lower-case letter and holds only lower-case letters, digits, '-' and '_', 64 characters at most"
#: Columns of every store, which no input may be called.
RESERVED = {"id", "content", "split", "label", "group", "source", "bytes", "time", "reason", "detail"}

Count = Annotated[int, Between(1)]
Share = Annotated[float, Between(0, 1)]
Positive = Annotated[float, Between(1e-12)]
NotNegative = Annotated[float, Between(0)]
Seed = Annotated[int, Between(0, 2**32 - 1)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


def check_names(key: str, names: Iterable[str], what: str) -> None:
    """Refuse names that do not match `NAME`.

    Raises:
        ValueError: of the first, in words.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{key}: {name!r} cannot name {what}: a name {NAMED}")


@frozen
class Ingest:
    shard_rows: Count = 2048
    val: Share = 0.1
    test: Share = 0.2
    max_pixels: Count = 50_000_000
    max_samples: Count = 50_000_000
    max_characters: Count = 100_000
    max_seconds: Positive = 60.0

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}, which leaves nothing to train on")


Scalar = bool | int | float | str


@frozen
class Condition:
    """The rows whose value of ``column`` stands so to ``value``. A missing value stands so to nothing."""

    column: str
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
    value: Scalar | tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if isinstance(self.value, tuple) != (self.operator in ("in", "not in")):
            wanted = "a list of values" if self.operator in ("in", "not in") else "one value"
            raise ValueError(f"'{self.operator}' takes {wanted}")


@frozen
class Expectation:
    """One expectation of Great Expectations, by its snake_case name; ``where``: of these rows only."""

    expect: str
    arguments: dict[str, Any] = field(default_factory=dict)
    where: Condition | None = None
    action: Literal["reject", "fail", "warn"] = "reject"

    def __post_init__(self) -> None:
        if why := wrong_arguments(self.expect, self.arguments):
            raise ValueError(why)


@frozen
class ValidImage:
    min_side: Count = 2
    max_side: Count = 16_384


@frozen
class ValidAudio:
    max_clipped: Share = 0.01
    min_seconds: NotNegative = 0.02
    min_level: float = -70.0


@frozen
class ValidText:
    min_characters: Count = 1


@frozen
class ValidSeries:
    min_length: Count = 2


@frozen
class ValidTabular:
    max_missing: Share = 1.0


@frozen
class ValidBasket:
    """Bounds of the different goods of a basket."""

    min_items: Annotated[int, Between(0)] = 1
    max_items: Count = 1000


@frozen
class Validate:
    max_rejected: Share = 0.05
    min_class_rows: Count = 2
    max_imbalance: Annotated[float, Between(1)] = 100.0
    labels: tuple[str, ...] = ()
    copies: Literal["auto", "reject", "keep"] = "auto"
    near_duplicates: Annotated[float, Between(0.9, 1)] = 0.99
    leak: Annotated[float, Between(0.5, 1)] = 0.99
    leaks: Literal["warn", "fail"] = "warn"
    expectations: tuple[Expectation, ...] = ()
    image: ValidImage = field(default_factory=ValidImage)
    audio: ValidAudio = field(default_factory=ValidAudio)
    text: ValidText = field(default_factory=ValidText)
    series: ValidSeries = field(default_factory=ValidSeries)
    tabular: ValidTabular = field(default_factory=ValidTabular)
    basket: ValidBasket = field(default_factory=ValidBasket)


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


Step = str | dict[str, Any]


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


Dropout = Annotated[float, Between(0, 0.95)]
Activation = Literal["relu", "sigmoid", "tanh", "gelu"]


@frozen
class FFN:
    """A feed-forward network: dense layers over the flattened input; ``auto`` sizes follow from the train rows."""

    name: Literal["ffn"] = "ffn"
    hidden: Literal["auto"] | tuple[Count, ...] = (128, 128)
    activation: Activation = "relu"
    dropout: Literal["auto"] | Dropout = 0.0
    embedding: Count = 64


@frozen
class CNN:
    """The plain CNN of the texts: convolution, activation, pooling, then dense layers; 1-D over sequences."""

    name: Literal["cnn"] = "cnn"
    channels: tuple[Count, ...] = (32, 64)
    kernel: Annotated[int, Between(1, 11)] = 3
    pooling: Literal["max", "average", "none"] = "max"
    activation: Activation = "relu"
    dense: tuple[Count, ...] = (128,)
    dropout: Dropout = 0.0
    embedding: Count = 64


@frozen
class VGG:
    """Blocks of two batch-normalised convolutions, halved by max pooling after the first."""

    name: Literal["vgg"] = "vgg"
    channels: tuple[Count, ...] = (64, 256, 256)
    dropout: Dropout = 0.0


@frozen
class RNN:
    """Recurrent layers (Elman, LSTM or GRU) over a sequence, pooled over its steps."""

    name: Literal["rnn", "lstm", "gru"] = "gru"
    hidden: Count = 128
    layers: Annotated[int, Between(1, 8)] = 1
    bidirectional: bool = True
    pooling: Literal["last", "mean", "max", "attention"] = "max"
    dropout: Dropout = 0.0
    embedding: Count = 64


@frozen
class Attention:
    """A small transformer encoder (Vaswani et al. 2017) over a sequence, with positions and masks."""

    name: Literal["attention"] = "attention"
    width: Count = 128
    layers: Annotated[int, Between(1, 24)] = 2
    heads: Count = 4
    pooling: Literal["mean", "max", "attention", "first"] = "mean"
    dropout: Dropout = 0.1


@frozen
class Timm:
    """A pretrained image network of the package timm, frozen or trained on."""

    name: Literal["timm"] = "timm"
    model: str = "resnet18"
    weights: str | None = None
    frozen: bool = True


@frozen
class SentenceTransformer:
    """A pretrained text network of the package sentence-transformers, frozen."""

    name: Literal["sentence_transformer"] = "sentence_transformer"
    model: str = "all-MiniLM-L6-v2"


ImageEncoder = Annotated[VGG | CNN | FFN | RNN | Attention | Timm, ByName()]
SequenceEncoder = Annotated[CNN | RNN | Attention | FFN, ByName()]


@frozen
class Encoders:
    """The network of each input, by its modality."""

    image: ImageEncoder = field(default_factory=VGG)
    audio: ImageEncoder = field(default_factory=lambda: VGG(channels=(32, 64, 128)))
    text: Annotated[CNN | RNN | Attention | FFN | SentenceTransformer, ByName()] = field(default_factory=CNN)
    series: SequenceEncoder = field(default_factory=CNN)
    tabular: FFN = field(default_factory=lambda: FFN(hidden="auto", dropout="auto"))
    basket: FFN = field(default_factory=lambda: FFN(hidden=(128,), dropout=0.8))


@frozen
class Muon:
    """Orthogonal steps for weight matrices, AdamW for vectors (``adam_lr``), embeddings and the head (a tenth)."""

    name: Literal["muon"] = "muon"
    lr: Positive = 0.1
    momentum: Annotated[float, Between(0, 0.9999)] = 0.6
    adam_lr: Positive = 0.02
    weight_decay: NotNegative = 0.05


@frozen
class SGD:
    """Stochastic gradient descent with Nesterov momentum."""

    name: Literal["sgd"] = "sgd"
    lr: Positive = 0.05
    momentum: Annotated[float, Between(0, 0.9999)] = 0.9
    weight_decay: NotNegative = 5e-4


@frozen
class Adam:
    name: Literal["adam", "adamw"] = "adamw"
    lr: Positive = 2e-3
    weight_decay: NotNegative = 1e-2


@frozen
class Loss:
    """``auto``: cross entropy for classes, absolute error for numbers, as they are judged by it."""

    name: Literal["auto", "cross_entropy", "focal", "squared_error", "absolute_error", "huber", "hinge"] = "auto"
    label_smoothing: Annotated[float, Between(0, 0.9)] = 0.0
    class_weights: Literal["none", "balanced"] = "none"


@frozen
class AugmentImage:
    """``crop`` and ``cutout`` are shares of the shorter side, 0 = off."""

    flip: Literal["auto"] | bool = "auto"
    crop: Share = 0.06
    cutout: Share = 0.0


@frozen
class AugmentAudio:
    """``noise`` as a share of an item's level, ``shift`` of its length, masks of the frames and of the bands."""

    noise: NotNegative = 0.0
    shift: Share = 0.1
    time_mask: Share = 0.1
    band_mask: Share = 0.1


@frozen
class AugmentText:
    word_dropout: Share = 0.2


@frozen
class AugmentSeries:
    """``noise`` as a share of a channel's deviation, ``shift`` and ``time_mask`` of the length."""

    noise: NotNegative = 0.0
    shift: Share = 0.0
    time_mask: Share = 0.0


@frozen
class AugmentTabular:
    """``noise`` as a share of each column's deviation."""

    noise: NotNegative = 0.0


@frozen
class AugmentBasket:
    """``drop`` is the share of the goods that are left out."""

    drop: Share = 0.2


@frozen
class Augment:
    image: AugmentImage = field(default_factory=AugmentImage)
    audio: AugmentAudio = field(default_factory=AugmentAudio)
    text: AugmentText = field(default_factory=AugmentText)
    series: AugmentSeries = field(default_factory=AugmentSeries)
    tabular: AugmentTabular = field(default_factory=AugmentTabular)
    basket: AugmentBasket = field(default_factory=AugmentBasket)


@frozen
class Train:
    encoders: Encoders = field(default_factory=Encoders)
    optimizer: Annotated[Muon | SGD | Adam, ByName()] = field(default_factory=Muon)
    loss: Loss = field(default_factory=Loss)
    augment: Augment = field(default_factory=Augment)
    epochs: Literal["auto"] | Annotated[int, Between(1, 10_000)] = "auto"
    batch: Literal["auto"] | Annotated[int, Between(2, 65_536)] = "auto"
    schedule: Literal["triangle", "cosine", "step", "constant"] = "triangle"
    clip: NotNegative = 0.0
    patience: Annotated[int, Between(0)] = 0
    balance: Literal["none", "over", "under"] = "none"
    seed: Seed = 0
    device: Device = "auto"
    precision: Precision = "auto"


@frozen
class Extract:
    batch: Literal["auto"] | Annotated[int, Between(1, 65_536)] = "auto"
    components: Count = 128
    fit_rows: Count = 10_000
    season: Literal["auto"] | Count = "auto"
    seed: Seed = 0
    device: Device = "auto"
    precision: Precision = "auto"


@frozen
class Miner:
    """A registry entry, the views (or concatenations, `raw+deep`) it is fitted on, and its own parameters."""

    miner: str
    views: tuple[str, ...]
    max_rows: Annotated[int, Between(2)] | None = None
    params: dict[str, bool | int | float | str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for view in self.views:
            check_names("views", view.split("+"), "a view")
        if "memory" in self.params:  # a folder of pickles, wherever it is
            raise ValueError("params.memory: a cache on disk is not kept; leave it out")


@frozen
class Rules:
    """Association rules: in which ``views`` they are found (none: nowhere), and which of them are kept."""

    views: tuple[Literal["items", "deep"], ...] = ()
    support: Literal["auto"] | Annotated[float, Between(1e-9, 1)] = "auto"
    confidence: Share = 0.25
    min_lift: NotNegative = 1.1
    max_length: Annotated[int, Between(2, 10)] = 3
    directions: Annotated[int, Between(0, 20)] = 3
    bins: Annotated[int, Between(2, 10)] = 3
    most: Count = 100
    q: Share = 0.05


@frozen
class Mine:
    miners: dict[str, Miner] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    seed: Seed = 0
    accelerate: bool = False

    def __post_init__(self) -> None:
        check_names("miners", self.miners, "a miner")


@frozen
class Judge:
    """Cross-validation; ``scheme: auto`` is `group` where a group is declared, `time` where time splits, else stratified."""

    folds: Annotated[int, Between(0, 100)] = 0
    scheme: Literal["auto", "stratified", "group", "time"] = "auto"
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.folds == 1:
            raise ValueError("folds: 1 leaves nothing to learn from; take 0 (none), or 2 and more")


@frozen
class Costs:
    """What each mistake costs, of two classes, in any unit: a false alarm, and a positive row that is missed."""

    false_positive: Positive
    false_negative: Positive


@frozen
class Slices:
    """Which attributes of rows are looked at (empty: all), how small a slice may be, and the share of false findings."""

    columns: tuple[str, ...] = ()
    min_rows: Annotated[int, Between(5)] = 20
    q: Annotated[float, Between(0.0001, 0.5)] = 0.05


@frozen
class Evaluate:
    confidence: Annotated[float, Between(0.5, 0.999)] = CONFIDENCE
    resamples: Annotated[int, Between(100, 100_000)] = 2000
    silhouette_rows: Annotated[int, Between(10)] = 2000
    positive: str | None = None
    costs: Costs | None = None
    bins: Annotated[int, Between(2, 100)] = 10
    slices: Slices = field(default_factory=Slices)
    seed: Seed = 0


@frozen
class Report:
    map_points: Annotated[int, Between(10, 20_000)] = 1500
    examples: Annotated[int, Between(1, 100)] = 8
    seed: Seed = 0


@frozen
class Input:
    """One input of the rows: its modality and the columns that it is made of.

    Of a tabular input, ``categorical`` and ``date`` name those of ``columns`` that are not numbers.
    """

    modality: Literal["image", "audio", "text", "series", "tabular", "basket"] = "image"
    columns: tuple[str, ...] = ("path",)
    categorical: tuple[str, ...] = ()
    date: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.categorical, *self.date):
            if name not in self.columns:
                raise ValueError(f"'{name}' is not among its columns ({', '.join(self.columns)})")


@frozen
class Window:
    """Cuts one long series into rows: steps of each, steps from one to the next, steps ahead to forecast."""

    length: Count
    stride: Count = 1
    horizon: Annotated[int, Between(0)] = 0


@frozen
class Join:
    """A second table, joined on a column of both. Many rows may have one row of it, or each row its own."""

    path: str
    on: str
    how: Literal["many_to_one", "one_to_one"] = "many_to_one"


@frozen
class Source:
    """Where rows come from: a folder, a table (CSV, TSV, Parquet, JSON Lines) or `embedded:mnist`.

    ``id``, ``label``, ``split`` and ``group`` name columns of the table, ``root`` the folder that its paths are
    relative to (default: the table's own). ``pattern`` is a regular expression over the path of a file, whose named
    groups `label`, `group`, `train`, `val` and `test` say what they name. ``time`` orders rows: with ``layout: long``
    those of one ``id`` are a series, with ``window`` the whole table is one, else ``split_by: time`` cuts by it.
    Of baskets, ``layout: long`` has a row for each good of one ``id``, ``layout: baskets`` a basket a line, its goods
    between delimiters, as the column `items`.
    """

    path: str
    root: str | None = None
    id: str | None = None
    label: str = "label"
    split: str | None = None
    group: str | None = None
    pattern: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    names: tuple[str, ...] = ()
    time: str | None = None
    layout: Literal["rows", "long", "baskets"] = "rows"
    window: Window | None = None
    split_by: Literal["hash", "time"] = "hash"
    join: Join | None = None


Objective = Literal["auto", "classification", "regression", "forecasting", "autoencoder"]


@frozen
class Dataset:
    """An entry under `datasets:` with the defaults filled in."""

    source: Source
    inputs: dict[str, Input] = field(default_factory=lambda: {"image": Input()})
    objective: Objective = "auto"
    ingest: Ingest = field(default_factory=Ingest)
    validate: Validate = field(default_factory=Validate)
    clean: Clean = field(default_factory=Clean)
    train: Train = field(default_factory=Train)
    extract: Extract = field(default_factory=Extract)
    mine: Mine = field(default_factory=Mine)
    judge: Judge = field(default_factory=Judge)
    evaluate: Evaluate = field(default_factory=Evaluate)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        check_names("inputs", self.inputs, "an input")
        for name in self.inputs:
            if name in RESERVED:
                raise ValueError(f"inputs: '{name}' cannot name an input: every row has a column of this name")
        plain = self.clean.text.tokens == "byte" and not self.train.augment.text.word_dropout
        if isinstance(self.train.encoders.text, SentenceTransformer) and not plain:
            raise ValueError(
                "train.encoders.text: sentence_transformer has a vocabulary of its own and needs the text as it is; "
                "set clean.text.tokens: byte and train.augment.text.word_dropout: 0"
            )

    @property
    def chain(self) -> "Chain | None":
        """What the rows of a fold go through, where there are folds."""
        if not self.judge.folds:
            return None
        window = self.source.window
        return Chain(
            inputs=self.inputs, objective=self.objective, val=self.ingest.val,
            span=window.length + window.horizon if window else 0,
            clean=self.clean, train=self.train, extract=self.extract, mine=self.mine,
        )  # fmt: skip


@frozen
class Chain:
    """What `judge` repeats for every fold: the stages from `clean` to `mine`, as the dataset has them.

    ``val`` is the share of the rows that choices are made on, ``span`` the steps that one window covers.
    """

    inputs: dict[str, Input]
    objective: Objective = "auto"
    val: Share = 0.1
    span: Annotated[int, Between(0)] = 0
    clean: Clean = field(default_factory=Clean)
    train: Train = field(default_factory=Train)
    extract: Extract = field(default_factory=Extract)
    mine: Mine = field(default_factory=Mine)
