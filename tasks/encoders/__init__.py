"""Networks that turn tensors into one vector of a declared width.

An encoder is a `torch.nn.Module` built as `Encoder(form, **options)` with an attribute `width` and
`forward: x -> (N, width)`. ``form`` says what x is, as the input's modality has it (`form` there):

- ``{"kind": "maps", "shape": (C, H, W)}``: float (N, C, H, W); with ``"steps": "width"`` time runs along W;
- ``{"kind": "sequence", "shape": (L, C)}``: float (N, L, C), padded steps are NaN in all channels;
- ``{"kind": "tokens", "shape": (L,), "size": V}``: int64 (N, L) below V, 0 is padding;
- ``{"kind": "vector", "shape": (D,)}``: float (N, D); with ``"binary": True`` all are zeros and ones.

Padded steps have no influence, and a row of nothing but padding has a finite vector. Options are declared in
`tasks/config/encoders.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import nn

ENCODERS = {
    "ffn": "tasks.encoders.ffn:FFN",
    "cnn": "tasks.encoders.cnn:CNN",
    "vgg": "tasks.encoders.vgg:VGG",
    "rnn": "tasks.encoders.rnn:RNN",
    "lstm": "tasks.encoders.rnn:LSTM",
    "gru": "tasks.encoders.rnn:GRU",
    "attention": "tasks.encoders.attention:Attention",
    "timm": "tasks.encoders.pretrained:Timm",
    "sentence_transformer": "tasks.encoders.pretrained:SentenceTransformer",
}


@runtime_checkable
class Initialised(Protocol):
    """An encoder some of whose first weights come from data or from a file."""

    def initialise(self, rows: "torch.Tensor") -> None:
        """Set them, from train rows as `forward` takes them."""


def build(name: str, form: dict[str, Any], options: dict[str, Any]) -> "nn.Module":
    """A freshly initialised encoder (by torch's global generator).

    Raises:
        KeyError: no encoder of that name.
        DeepmineError: the options do not fit the form, or a package or weights are missing.
    """
    module, _, attribute = ENCODERS[name].partition(":")
    encoder: nn.Module = getattr(import_module(module), attribute)(form, **options)
    return encoder
