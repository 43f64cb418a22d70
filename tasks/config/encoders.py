"""params.yaml, section train.encoders: the options of each encoder."""

from dataclasses import field
from typing import Annotated, Literal

from tasks.config.fields import Count
from tasks.config.parsing import Between, ByName, frozen

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
