"""params.yaml, sections train and extract."""

from dataclasses import field
from typing import Annotated, Literal

from tasks.config.encoders import Encoders
from tasks.config.fields import Count, Device, NotNegative, Positive, Precision, Seed, Share
from tasks.config.parsing import Between, ByName, frozen


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
