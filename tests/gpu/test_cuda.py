"""CPU against CUDA; runs alone on a machine with torch, scikit-learn, pandas, pyarrow, pillow and safetensors.

Tolerances: in float32 a feature may differ by 1e-3 of the features' standard deviation (sums in another order,
TF32 off); in bfloat16 by 0.1 of it (8 bits of mantissa). Two trainings drift apart step by step, so they are
compared by what they reach: val accuracy within 5 points on this easy set.
"""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from tasks.config.encoders import CNN, FFN, RNN, VGG, Attention  # noqa: E402 (only where torch is)
from tasks.config.train import Augment, AugmentImage, Train  # noqa: E402
from tasks.core.progress import Progress  # noqa: E402
from tasks.encoders.device import pick_device, place  # noqa: E402
from tasks.encoders.fused_inference import fold, quicken  # noqa: E402
from tasks.encoders.network import Card, load_network, save_network  # noqa: E402
from tasks.encoders.resident_rows import Rows  # noqa: E402
from tasks.encoders.training import fit  # noqa: E402
from tasks.modalities import image  # noqa: E402
from tasks.train import Feed  # noqa: E402

pytestmark = pytest.mark.gpu
STATE = {"mean": [110.0], "std": [50.0], "height": 20, "width": 20, "mode": "L", "input": "image", "modality": "image"}


def bars(n: int = 600, classes: int = 3, side: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """(n, side, side, 1) noise with a bright bar at its class's place, and the classes (n,)."""
    rng = np.random.default_rng(0)
    items = rng.integers(0, 160, (n, side, side, 1), dtype=np.uint8)
    labels = rng.integers(0, classes, n)
    for item, label in zip(items, labels, strict=True):
        item[:, label * side // classes : label * side // classes + 3] += 90
    return items, labels


ENCODERS = [
    VGG(channels=(16, 32)), CNN(channels=(8, 16), dense=(32,)), RNN(hidden=32),
    Attention(width=32, heads=2), FFN(hidden=(32,)),
]  # fmt: skip


def train(
    folder: Path, device: str, encoder: object, dtype: "torch.dtype", objective: str = "classification"
) -> tuple[Path, float]:
    """A model folder trained on ``device`` and its last val accuracy (loss of an autoencoder)."""
    items, labels = bars()
    augment = Augment(image=AugmentImage(flip=False))
    params = Train(epochs=6, batch=64, seed=3, device=device, augment=augment)
    part = {"encoder": vars(encoder), "form": image.form(STATE), "state": STATE}
    card = Card({"image": part}, objective, ["a", "b", "c"] if objective == "classification" else [])
    torch.manual_seed(params.seed)
    where = pick_device(device)
    network = place(card.build(), where)
    halves = [
        Rows({"image": torch.from_numpy(items[s]).to(where)}, torch.from_numpy(labels[s]).to(where))
        for s in (slice(450), slice(450, None))
    ]

    feed = Feed({"image": STATE}, params, halves[0])
    history, _ = fit(
        network, *halves, params=params, prepare=feed.prepare, augment=feed.augment, dtype=dtype,
        checkpoint=folder / "scratch" / "c.safetensors", key=device, progress=Progress(quiet=True),
    )  # fmt: skip
    save_network(folder / "model", network, card)
    last = history[-1]
    return folder / "model", (last.val_loss if last.val_accuracy is None else last.val_accuracy) or 0.0


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
def test_features_agree(tmp_path: Path, encoder: object, dtype: "torch.dtype", tolerance: float) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model, _ = train(tmp_path, "cpu", encoder, torch.float32)
    items, _ = bars()
    found = []
    for name in ("cpu", "cuda"):
        network, _ = load_network(model)
        device = pick_device(name)
        quick = place(quicken(fold(network), device).to(dtype), device)
        x = image.tensor(torch.from_numpy(items).to(device), STATE).to(dtype)
        with torch.inference_mode():
            found.append(quick({"image": x})[0].float().cpu().numpy())
    spread = found[0].std()
    assert np.abs(found[0] - found[1]).max() < tolerance * spread


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_reaches_the_same(tmp_path: Path, dtype: "torch.dtype") -> None:
    encoder = VGG(channels=(16, 32))
    _, on_cpu = train(tmp_path / "cpu", "cpu", encoder, dtype)
    _, on_gpu = train(tmp_path / "cuda", "cuda", encoder, dtype)
    assert on_cpu > 0.9
    assert abs(on_cpu - on_gpu) < 0.05


def test_a_gpu_run_repeats_and_resumes(tmp_path: Path) -> None:
    encoder = VGG(channels=(16, 32))
    first, accuracy = train(tmp_path / "a", "cuda", encoder, torch.bfloat16)
    # the checkpoint of the finished run is found: nothing is trained again, the weights are the same
    again, same = train(tmp_path / "a", "cuda", encoder, torch.bfloat16)
    assert same == accuracy
    one, two = (load_network(folder)[0].state_dict() for folder in (first, again))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_an_autoencoder_reaches_the_same(tmp_path: Path) -> None:
    encoder = VGG(channels=(16, 32))
    _, on_cpu = train(tmp_path / "cpu", "cpu", encoder, torch.float32, "autoencoder")
    _, on_gpu = train(tmp_path / "cuda", "cuda", encoder, torch.float32, "autoencoder")
    assert on_cpu < 1.0  # of normalised pixels
    assert abs(on_cpu - on_gpu) < 0.1
