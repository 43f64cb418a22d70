"""params.yaml as frozen typed objects, parsed once.

Plain dataclasses, so that a machine with torch but without pydantic can build them; pydantic does the
checking of what a person wrote, and is imported only where that happens.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from tasks import STAGES
from tasks.errors import DeepmineError, nearest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema, ErrorDetails

NAME = re.compile(r"[a-z][a-z0-9_-]*")
#: Columns of every store, which no input may be called.
RESERVED = {"id", "content", "split", "label", "group", "source", "bytes", "reason", "detail"}
#: More YAML nodes than any person writes: an alias bomb expands to billions.
MAX_NODES = 100_000

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass."""
    return dataclass(frozen=True, kw_only=True)(kind)


@dataclass(frozen=True)
class Between:
    """Inclusive bounds of a number, for `Annotated[int, Between(1)]`."""

    low: float
    high: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        schema: dict[str, Any] = dict(handler(source))
        number = int if schema["type"] == "int" else float
        schema["ge"] = number(self.low)
        if self.high is not None:
            schema["le"] = number(self.high)
        return schema


@dataclass(frozen=True)
class ByName:
    """Marks a union of dataclasses told apart by their field `name`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        choices = {tag: handler.generate_schema(kind) for kind in get_args(source) for tag in _tags(kind)}
        return {"type": "tagged-union", "choices": choices, "discriminator": "name"}


Count = Annotated[int, Between(1)]
Share = Annotated[float, Between(0, 1)]
Positive = Annotated[float, Between(1e-12)]
NotNegative = Annotated[float, Between(0)]
Seed = Annotated[int, Between(0, 2**32 - 1)]


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


@frozen
class Expectation:
    """One expectation of Great Expectations, by its snake_case name."""

    expect: str
    arguments: dict[str, Any] = field(default_factory=dict)
    action: Literal["reject", "fail", "warn"] = "reject"


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
class Validate:
    max_rejected: Share = 0.05
    min_class_rows: Count = 2
    max_imbalance: Annotated[float, Between(1)] = 100.0
    labels: tuple[str, ...] = ()
    copies: Literal["auto", "reject", "keep"] = "auto"
    near_duplicates: Annotated[float, Between(0.9, 1)] = 0.99
    leak: Annotated[float, Between(0.5, 1)] = 0.99
    expectations: tuple[Expectation, ...] = ()
    image: ValidImage = field(default_factory=ValidImage)
    audio: ValidAudio = field(default_factory=ValidAudio)
    text: ValidText = field(default_factory=ValidText)
    series: ValidSeries = field(default_factory=ValidSeries)
    tabular: ValidTabular = field(default_factory=ValidTabular)


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
    """``length`` in tokens; words that fewer than ``min_count`` train rows hold are unknown."""

    lower: bool = True
    tokens: Literal["word", "character"] = "word"
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
class Clean:
    fit_rows: Count = 200_000
    seed: Seed = 0
    image: CleanImage = field(default_factory=CleanImage)
    audio: CleanAudio = field(default_factory=CleanAudio)
    text: CleanText = field(default_factory=CleanText)
    series: CleanSeries = field(default_factory=CleanSeries)
    tabular: CleanTabular = field(default_factory=CleanTabular)


Dropout = Annotated[float, Between(0, 0.95)]
Activation = Literal["relu", "sigmoid", "tanh", "gelu"]


@frozen
class FFN:
    """A feed-forward network: dense layers over the flattened input."""

    name: Literal["ffn"] = "ffn"
    hidden: tuple[Count, ...] = (128, 128)
    activation: Activation = "relu"
    dropout: Dropout = 0.0
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
    tabular: FFN = field(default_factory=FFN)


@frozen
class Muon:
    """Orthogonal steps for weight matrices, AdamW for vectors (``adam_lr``) and the head (a tenth of it)."""

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
    """``auto``: cross entropy for classes, squared error for numbers and for autoencoders."""

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
class Augment:
    image: AugmentImage = field(default_factory=AugmentImage)
    audio: AugmentAudio = field(default_factory=AugmentAudio)
    text: AugmentText = field(default_factory=AugmentText)
    series: AugmentSeries = field(default_factory=AugmentSeries)
    tabular: AugmentTabular = field(default_factory=AugmentTabular)


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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@frozen
class Extract:
    batch: Literal["auto"] | Annotated[int, Between(1, 65_536)] = "auto"
    components: Count = 128
    fit_rows: Count = 10_000
    season: Literal["auto"] | Count = "auto"
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@frozen
class Miner:
    """A registry entry, the views (or concatenations, `raw+deep`) it is fitted on, and its own parameters."""

    miner: str
    views: tuple[str, ...]
    max_rows: Annotated[int, Between(2)] | None = None
    params: dict[str, bool | int | float | str | None] = field(default_factory=dict)


@frozen
class Mine:
    miners: dict[str, Miner] = field(default_factory=dict)
    seed: Seed = 0
    accelerate: bool = False


@frozen
class Evaluate:
    confidence: Annotated[float, Between(0.5, 0.999)] = 0.95
    resamples: Annotated[int, Between(100, 100_000)] = 2000
    silhouette_rows: Annotated[int, Between(10)] = 2000
    positive: str | None = None
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

    modality: Literal["image", "audio", "text", "series", "tabular"] = "image"
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
    layout: Literal["rows", "long"] = "rows"
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
    evaluate: Evaluate = field(default_factory=Evaluate)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        for name in self.inputs:
            if not NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(f"inputs: '{name}' cannot name an input")


def load(path: Path) -> dict[str, Dataset]:
    """Every dataset of a params.yaml, defaults merged in, fully checked.

    Raises:
        DeepmineError: the file is missing or no YAML 1.2; a key is unknown, of a wrong type or an
            impossible value. The text names file, key and the nearest known key.
    """
    data = read_yaml(path)
    for key in data:
        if key not in ("defaults", "datasets"):
            raise DeepmineError(f"{path}: unknown key '{key}'.{nearest(str(key), ['defaults', 'datasets'])}")
    defaults, datasets = data.get("defaults") or {}, data.get("datasets") or {}
    if not isinstance(defaults, dict) or not isinstance(datasets, dict):
        raise DeepmineError(f"{path}: 'defaults' and 'datasets' must be mappings of name to value.")
    if not datasets:
        raise DeepmineError(f"{path}: no datasets. Add one: deepmine add NAME PATH")
    check_sections(path, defaults)
    # by themselves first: a mistake here is named where it stands, also where every dataset overrides it
    parse(Dataset, {"source": {"path": "."}, **defaults}, f"{path}: defaults")
    return {check_name(name, path): _dataset(path, name, defaults, entry) for name, entry in datasets.items()}


def check_name(name: Any, where: Path | str) -> str:
    """``name`` if it may name a dataset; it becomes part of paths, commands and stage names."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DeepmineError(
            f"{where}: '{name}' cannot name a dataset. A name starts with a lower-case letter and holds only "
            "lower-case letters, digits, '-' and '_' (for example: my-images)."
        )
    return name


def check_sections(path: Path, defaults: dict[str, Any]) -> None:
    """Refuse a `defaults:` that has another section than the stages."""
    for key in defaults:
        if key not in STAGES:
            raise DeepmineError(f"{path}: defaults.{key}: unknown section.{nearest(str(key), STAGES)}")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML 1.2 mapping read without executing tags or expanding alias bombs."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeepmineError(f"{path}: no such file. Run deepmine in the folder that holds it.") from None
    except OSError as error:
        raise DeepmineError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise DeepmineError(f"{path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    except RecursionError:
        raise DeepmineError(f"{path}: nested too deeply to be read.") from None
    except YAMLError as error:
        raise DeepmineError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise DeepmineError(f"{path}: expected a mapping with 'defaults:' and 'datasets:'.")
    for count, node in enumerate(_nodes(data)):
        if count > MAX_NODES:
            raise DeepmineError(f"{path}: over {MAX_NODES:,} values once its aliases are expanded; refused.")
        odd = [key for key in node if not isinstance(key, str | int | float | None)] if isinstance(node, dict) else []
        if odd:
            raise DeepmineError(f"{path}: the key {odd[0]!r} is no text. Write it in quotes.")
    return data


def parse(kind: type[T], value: Any, where: str) -> T:
    """``value`` (plain YAML or JSON) as the dataclass ``kind``; ``where`` stands before the key in errors."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    # strict JSON: "3" is no number and true no integer, but a list may be a tuple and 1 a float
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    for part in _dataclasses(kind):
        part.__pydantic_config__ = config  # type: ignore[attr-defined]
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        raise DeepmineError(_explain(kind, error.errors(), where)) from None


def merge(base: Any, over: Any) -> Any:
    """``over`` laid on ``base`` key by key; a mapping with another `name` replaces the whole of the old one."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    if "name" in over and over["name"] != base.get("name"):
        return over
    return {**base, **{key: merge(base[key], value) if key in base else value for key, value in over.items()}}


def plain(config: Any) -> dict[str, Any]:
    """A configuration object as JSON values, the inverse of `parse`."""
    result: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return result


def _dataset(path: Path, name: str, defaults: dict[str, Any], entry: Any) -> Dataset:
    where = f"{path}: datasets.{name}"
    if not isinstance(entry, dict):
        raise DeepmineError(f"{where}: expected a mapping with at least 'source: {{path: ...}}'.")
    if isinstance(entry.get("source"), str):
        entry = {**entry, "source": {"path": entry["source"]}}
    return parse(Dataset, merge(defaults, entry), where)


def _nodes(value: Any) -> Iterator[Any]:
    # no recursion: an alias may stand inside what it names
    waiting = [iter([value])]
    while waiting:
        for node in waiting[-1]:
            yield node
            if isinstance(node, dict | list):
                waiting.append(iter(node.values() if isinstance(node, dict) else node))
                break
        else:
            waiting.pop()


def _dataclasses(kind: type) -> list[type]:
    """``kind`` and every dataclass its fields reach."""
    found: list[Any] = [kind]
    for owner in found:
        for hint in get_type_hints(owner).values():
            found += [part for part in _members(hint) if is_dataclass(part) and part not in found]
    return found


def _members(hint: Any) -> list[Any]:
    """The plain types inside `Annotated`, unions, tuples and dicts."""
    return [part for inner in get_args(hint) for part in _members(inner)] or [hint]


def _explain(kind: type, errors: "list[ErrorDetails]", where: str) -> str:
    """Pydantic's errors as `file: key: what is wrong`, one line a key."""
    lines: dict[str, dict[str, str]] = {}  # by key: what is wrong, and the value where it says more
    for error in errors:
        keys, owner = _locate(kind, error["loc"])
        message, value = error["msg"].removeprefix("Value error, ").removeprefix("Input "), ""
        if error["type"] == "unexpected_keyword_argument":
            message = f"unknown key.{nearest(keys[-1], [f.name for f in fields(owner)])}"
        elif error["type"] == "union_tag_invalid":
            context = error["ctx"]
            choices = context["expected_tags"].replace("'", "").split(", ")
            keys, message = (
                [*keys, "name"],
                f"unknown name '{context['tag']}'.{nearest(context['tag'], choices)}",
            )
        elif error["type"] in ("missing", "missing_argument"):
            message = "this key is needed"
        elif error["type"] != "value_error":
            value = f", but it is {error['input']!r}"
        lines.setdefault(".".join([where, *keys]), {})[message] = value
    return "\n".join(f"{key}: {' or '.join(found)}{max(found.values())}" for key, found in lines.items())


def _locate(kind: type, loc: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The keys a person wrote among the parts of pydantic's location, and the dataclass that holds the last."""
    keys: list[str] = []
    owner: Any = kind
    hint: Any = kind
    for part in loc:
        tagged = {tag: m for m in _members(hint) if is_dataclass(m) for tag in _tags(m)}
        if part in tagged and len(tagged) > 1:
            hint = owner = tagged[str(part)]
            continue
        if not is_dataclass(hint) and get_origin(hint) in (UnionType, Union):
            continue  # pydantic names the member of a union of plain types here
        keys.append(str(part))
        owner = hint if is_dataclass(hint) else owner
        hint = get_type_hints(owner, include_extras=False).get(str(part), hint) if is_dataclass(hint) else _inner(hint)
    return keys, owner


def _inner(hint: Any) -> Any:
    arguments = [a for a in get_args(hint) if a is not Ellipsis]
    return arguments[-1] if arguments else hint


def _tags(kind: Any) -> tuple[str, ...]:
    return get_args(get_type_hints(kind).get("name", str))
