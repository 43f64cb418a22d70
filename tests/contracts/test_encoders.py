"""What every encoder of the registry promises, whatever is inside it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch.nn import functional as F

from tasks import config
from tasks.encoders import ENCODERS, build
from tasks.encoders.cnn import ACTIVATIONS, POOLING
from tasks.encoders.network import CARD, FORMAT, WEIGHTS, Card, Network, fold, load_network, quicken, save_network
from tasks.errors import DeepmineError

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 20, 11)]
#: Options that make an encoder small; one without an entry is tested with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"channels": [4, 8], "dense": [24]},
    "vgg": {"channels": [8, 16]},
}


pytestmark = pytest.mark.usefixtures("one_thread")


def options(name: str, **more: Any) -> dict[str, Any]:
    """What `train` hands to the encoder ``name``: its declared options, checked as params.yaml is."""
    wanted = {"encoder": {"name": name, **SMALL.get(name, {}), **more}}
    return asdict(config.parse(config.Train, wanted, "test").encoder)


def seeded(name: str, shape: tuple[int, int, int], seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(name, shape, {k: v for k, v in options(name).items() if k != "name"})


def images(n: int, shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def step(network: Network, x: torch.Tensor, classes: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    loss = F.cross_entropy(network(x)[1], classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def trained(name: str, steps: int = 3) -> tuple[Network, Card]:
    """A network some steps away from its first weights, batch statistics included."""
    card = Card(options(name), (3, 20, 11), ["a", "b", "c"], {"mean": [1.0], "std": [2.0]})
    torch.manual_seed(0)
    network = card.build()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(steps):
        step(network, images(6, (3, 20, 11)), torch.tensor([0, 1, 2, 0, 1, 2]), optimizer)
    return network, card


def test_every_encoder_is_declared() -> None:
    declared = get_args(get_type_hints(config.Train)["encoder"])
    assert {get_args(get_type_hints(kind)["name"])[0] for kind in declared} == set(ENCODERS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ENCODERS)
def test_the_declared_width_is_produced(name: str, shape: tuple[int, int, int]) -> None:
    encoder = seeded(name, shape).eval()
    with torch.inference_mode():
        features = encoder(images(3, shape))
    assert features.shape == (3, encoder.width)
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert not torch.equal(features[0], features[1])


@pytest.mark.parametrize("name", ENCODERS)
def test_one_small_batch_is_learned_by_heart(name: str) -> None:
    shape = (1, 12, 12)
    network = Network(seeded(name, shape), 4)
    x, classes = images(16, shape), torch.arange(16) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = [step(network, x, classes, optimizer) for _ in range(80)]
    assert losses[0] > 0.7
    assert losses[-1] < 0.1
    assert torch.equal(network(x)[1].argmax(1), classes)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    one, two, other = (seeded(name, (3, 20, 11), seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_saved_network_says_the_same(name: str, tmp_path: Path) -> None:
    network, card = trained(name)
    save_network(tmp_path, network, card)
    again, read = load_network(tmp_path)
    assert not again.training
    assert (list(read.shape), read.labels, read.state) == (list(card.shape), card.labels, card.state)
    assert read.encoder == json.loads(json.dumps(card.encoder))
    x = images(5, (3, 20, 11))
    with torch.inference_mode():
        wanted, found = network.eval()(x), again(x)
    assert torch.equal(wanted[0], found[0])
    assert torch.equal(wanted[1], found[1])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_folded_network_says_the_same(name: str, mirror: bool) -> None:
    network, _ = trained(name)
    network.mirror = mirror
    folded = fold(network.eval())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = images(5, (3, 20, 11))
    with torch.inference_mode():
        for wanted, found in zip(network(x), folded(x), strict=True):
            assert torch.allclose(wanted, found, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_quickened_network_says_bit_for_bit_the_same(name: str, dtype: torch.dtype) -> None:
    network, _ = trained(name)
    folded = fold(network).to(dtype)
    quick = quicken(folded, torch.device("cpu"))
    assert not any(isinstance(m, torch.nn.MaxPool2d) for m in quick.modules())
    x = images(5, (3, 20, 11)).to(dtype)
    with torch.inference_mode():
        for wanted, found in zip(folded(x), quick(x), strict=True):
            assert torch.equal(wanted, found)


def test_a_pooling_before_a_scale_that_may_be_negative_is_not_folded() -> None:
    def network(scale: float) -> Network:
        encoder = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.MaxPool2d(2), torch.nn.BatchNorm2d(4), torch.nn.Flatten()
        )
        encoder.width = 4 * 9 * 4  # type: ignore[assignment]
        encoder[2].weight.data.fill_(scale)
        return Network(encoder, 2).eval()

    x = images(5, (3, 20, 11))
    for scale, kept in ((-0.5, 1), (0.5, 0)):
        made = network(scale)
        folded = fold(made)
        assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules()) == kept
        assert torch.allclose(made(x)[0], folded(x)[0], atol=1e-5)


def test_mirrored_features_do_not_know_left_from_right() -> None:
    network, _ = trained("vgg")
    x = images(5, (3, 20, 11))
    network.eval()
    assert not torch.allclose(network(x)[0], network(x.flip(3))[0], atol=1e-3)
    network.mirror = True
    assert torch.allclose(network(x)[0], network(x.flip(3))[0], atol=1e-6)
    wanted = (network.encoder(x) + network.encoder(x.flip(3))) / 2
    assert torch.equal(network(x)[0], wanted)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 150, 150), (1, 2, 2), (3, 512, 300)])
def test_the_whitened_stem_gives_uncorrelated_maps(shape: tuple[int, int, int]) -> None:
    encoder = build("vgg", shape, {"channels": [4, 4, 4], "dropout": 0.0})
    # neighbouring pixels alike, as in photos
    x = torch.nn.functional.interpolate(images(20, (shape[0], 16, 16)), shape[1:], mode="bilinear")
    x = x + 0.2 * images(20, shape)
    encoder.initialise(x)
    maps = encoder.stem(x).detach().transpose(0, 1).flatten(1).double()
    half = len(maps) // 2
    assert torch.equal(maps[:half], -maps[half:])
    covariance = maps[:half] @ maps[:half].T / maps.shape[1]
    assert torch.allclose(covariance, torch.eye(half).double(), atol=0.05)
    assert encoder(x[:2]).shape == (2, 4)
    again = build("vgg", shape, {"channels": [4, 4, 4], "dropout": 0.0})
    again.initialise(x)
    assert torch.equal(again.stem.weight, encoder.stem.weight)


def newer(folder: Path) -> None:
    rewrite(folder, format=FORMAT + 1)


def rewrite(folder: Path, **changes: object) -> None:
    (folder / CARD).write_text(json.dumps({**json.loads((folder / CARD).read_text()), **changes}))


def cut_weights(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


FAULTS = {
    "newer": (newer, "newer deepmine"),
    "cut weights": (cut_weights, "damaged"),
    "no safetensors": (lambda f: (f / WEIGHTS).write_bytes(b"\x80\x04not weights at all"), "damaged"),
    "empty weights": (lambda f: (f / WEIGHTS).write_bytes(b""), "damaged"),
    "other labels": (lambda f: rewrite(f, labels=["a", "b"]), "damaged"),
    "unknown encoder": (lambda f: rewrite(f, encoder={"name": "nonesuch"}), "damaged"),
    "unknown option": (lambda f: rewrite(f, encoder={"name": "cnn", "nonesuch": 1}), "damaged"),
    "no JSON": (lambda f: (f / CARD).write_text("{"), "damaged"),
    "no mapping": (lambda f: (f / CARD).write_text("[]"), "damaged"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no trained encoder"),
    "no card": (lambda f: (f / CARD).unlink(), "no trained encoder"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ENCODERS)
def test_a_faulty_model_is_refused(name: str, fault: str, tmp_path: Path) -> None:
    save_network(tmp_path, *trained(name, steps=0))
    load_network(tmp_path)
    spoil, message = FAULTS[fault]
    spoil(tmp_path)
    with pytest.raises(DeepmineError, match=message):
        load_network(tmp_path)


def test_the_options_of_the_cnn_are_those_that_are_declared() -> None:
    hints = get_type_hints(config.CNN)
    assert set(get_args(hints["pooling"])) == set(POOLING)
    assert set(get_args(hints["activation"])) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLING)
def test_every_pooling_and_activation_learns(pooling: str, activation: str) -> None:
    chosen = options("cnn", pooling=pooling, activation=activation, dropout=0.1)
    torch.manual_seed(0)
    network = Card(chosen, (1, 9, 7), ["a", "b"], {}).build()
    before = {k: v.detach().clone() for k, v in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step(network, images(8, (1, 9, 7)), torch.arange(8) % 2, optimizer)
    after = dict(network.named_parameters())
    assert all(torch.isfinite(v).all() for v in after.values())
    assert [k for k in before if torch.equal(before[k], after[k])] == []


def test_the_features_of_a_cnn_without_dense_layers_are_its_maps() -> None:
    chosen = {k: v for k, v in options("cnn", dense=[]).items() if k != "name"}
    encoder = build("cnn", (3, 20, 11), chosen)
    assert encoder.width == 8 * (20 // 4) * (11 // 4)
    assert encoder(images(2, (3, 20, 11))).shape == (2, encoder.width)


@pytest.mark.parametrize("pooling", [p for p in POOLING if p != "none"])
def test_more_poolings_than_an_image_has_room_for_are_refused(pooling: str) -> None:
    chosen = {k: v for k, v in options("cnn", channels=[2] * 4, pooling=pooling).items() if k != "name"}
    build("cnn", (1, 16, 16), chosen)
    with pytest.raises(DeepmineError, match=r"train\.encoder\.channels: 4 poolings .* 16 x 15 image"):
        build("cnn", (1, 16, 15), chosen)
    build("cnn", (1, 16, 15), {**chosen, "pooling": "none"})


def test_an_unknown_encoder_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        build("nonesuch", (1, 8, 8), {})


def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path: Path) -> None:
    card = Card({"name": "cnn", **asdict_options()}, (1, 12, 12), ["a", "b"], {})
    save_network(tmp_path, card.build(), card)
    load_network(tmp_path)
    path = tmp_path / "encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    with pytest.raises(DeepmineError, match="weights are not those that were saved"):
        load_network(tmp_path)


def asdict_options() -> dict:
    """The options of a small plain CNN."""
    return {k: v for k, v in vars(config.CNN(channels=(4,), dense=(8,))).items() if k != "name"}
