"""What every encoder of the registry promises over every form that it takes, whatever is inside it."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tasks.config.encoders import CNN, FFN, RNN, VGG, Attention, Encoders, SentenceTransformer, Timm
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_json
from tasks.encoders import ENCODERS, build
from tasks.encoders.cnn import POOLING
from tasks.encoders.fused_inference import fold, quicken
from tasks.encoders.layers import ACTIVATIONS, Pool, Steps, positions
from tasks.encoders.network import (
    CARD,
    FORMAT,
    WEIGHTS,
    Card,
    Network,
    encoder_fingerprint,
    load_network,
    save_network,
)

pytestmark = pytest.mark.usefixtures("one_thread")

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
FORMS: dict[str, dict[str, Any]] = {
    "maps": {"kind": "maps", "shape": (3, 20, 11)},
    "frames": {"kind": "maps", "shape": (1, 12, 17), "steps": "width"},
    "sequence": {"kind": "sequence", "shape": (13, 2)},
    "tokens": {"kind": "tokens", "shape": (11,), "size": 40},
    "bytes": {"kind": "tokens", "shape": (24,), "size": 258, "bytes": True},
    "vector": {"kind": "vector", "shape": (9,)},
}
STEPPED = ("maps", "frames", "sequence", "tokens")
CELLS = get_args(get_type_hints(RNN)["name"])
TAKES = {
    "ffn": (*STEPPED, "vector"), "cnn": STEPPED, "vgg": ("maps", "frames"), "attention": STEPPED,
    **dict.fromkeys(CELLS, STEPPED), "timm": ("maps", "frames"), "sentence_transformer": ("bytes",),
}  # fmt: skip
#: Options that make an encoder small; one without an entry is tested with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "ffn": {"hidden": (24,), "embedding": 8},
    "cnn": {"channels": (4, 8), "dense": (24,), "embedding": 8},
    "vgg": {"channels": (8, 16)},
    "attention": {"width": 16, "heads": 2, "dropout": 0.0},
    **{cell: {"hidden": 12, "layers": 2, "embedding": 8} for cell in CELLS},
    "timm": {"model": "resnet18", "frozen": True},
}
NEEDS = {"timm": "timm", "sentence_transformer": "sentence_transformers"}
CASES = [
    pytest.param(name, form, marks=pytest.mark.skipif(
        name in NEEDS and find_spec(NEEDS[name]) is None, reason=f"optional package {NEEDS.get(name)} is absent"
    ))
    for name, forms in TAKES.items() for form in forms
]  # fmt: skip
#: Those that learn all of what they are.
LEARNING = [case for case in CASES if case.values[0] not in NEEDS]
IMAGES = [case for case in LEARNING if case.values[1] == "maps"]
PADDED = [case for case in CASES if case.values[1] in ("sequence", "tokens", "bytes")]
every_case = pytest.mark.parametrize(("name", "form"), CASES)
every_learning_case = pytest.mark.parametrize(("name", "form"), LEARNING)
KINDS: dict[str, Callable[..., Any]] = {
    "ffn": FFN, "cnn": CNN, "vgg": VGG, "attention": Attention, "timm": Timm,
    "sentence_transformer": SentenceTransformer,
    **{cell: lambda cell=cell, **kw: RNN(name=cell, **kw) for cell in CELLS},
}  # fmt: skip


def options(name: str, **more: Any) -> dict[str, Any]:
    """What `train` hands to the encoder ``name``: its declared options as JSON."""
    chosen = KINDS[name](**{**SMALL.get(name, {}), **more})
    plain: dict[str, Any] = json.loads(json.dumps(asdict(chosen)))
    return plain


def seeded(name: str, form: dict[str, Any], seed: int = 0, **more: Any) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(name, form, {k: v for k, v in options(name, **more).items() if k != "name"})


def rows(n: int, form: dict[str, Any], seed: int = 1, padded: bool = True) -> torch.Tensor:
    """``n`` rows of a form, the later ones with more padding."""
    generator = torch.Generator().manual_seed(seed)
    if form["kind"] != "tokens":
        x = torch.randn(n, *form["shape"], generator=generator)
        if form["kind"] == "sequence" and padded:
            for i, row in enumerate(x):
                row[form["shape"][0] - i % 5 :] = float("nan")
        return x
    low, high = (67, 91) if form.get("bytes") else (2, form["size"])
    x = torch.randint(low, high, (n, *form["shape"]), generator=generator)
    for i, row in enumerate(x):
        if padded:
            row[form["shape"][0] - i % 5 :] = 0
    return x


def card(name: str, form: str, **changes: Any) -> Card:
    parts = {"one": {"encoder": options(name), "form": FORMS[form], "state": {"mean": [1.0], "std": [2.0]}}}
    return Card(**{"inputs": parts, "labels": ["a", "b", "c"], **changes})


def step(network: Network, x: torch.Tensor, classes: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    loss = F.cross_entropy(network({"one": x})[1], classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def trained(name: str, form: str = "maps", steps: int = 3) -> tuple[Network, Card]:
    """A network some steps away from its first weights, batch statistics included."""
    made = card(name, form)
    torch.manual_seed(0)
    network = made.build()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(steps):
        step(network, rows(6, FORMS[form]), torch.tensor([0, 1, 2, 0, 1, 2]), optimizer)
    return network, made


def test_every_encoder_is_declared_and_tried() -> None:
    declared = {
        name
        for hint in get_type_hints(Encoders).values()
        for kind in get_args(hint) or (hint,)
        for name in get_args(get_type_hints(kind)["name"])
    }
    assert declared == set(ENCODERS) == set(TAKES)


@every_case
def test_the_declared_width_is_produced(name: str, form: str) -> None:
    encoder = seeded(name, FORMS[form]).eval()
    with torch.inference_mode():
        features = encoder(rows(3, FORMS[form]))
    assert features.shape == (3, encoder.width)
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert not torch.equal(features[0], features[1])


@every_learning_case
def test_one_small_batch_is_learned_by_heart(name: str, form: str) -> None:
    network = Network({"one": seeded(name, FORMS[form], dropout=0.0)}, 4)
    x, classes = rows(16, FORMS[form]), torch.arange(16) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = [step(network, x, classes, optimizer)]
    while losses[-1] > 0.1 and len(losses) < 100:
        losses.append(step(network, x, classes, optimizer))
    assert losses[0] > 0.7
    assert losses[-1] < 0.1
    assert torch.equal(network({"one": x})[1].argmax(1), classes)


@every_learning_case
def test_every_parameter_has_a_gradient(name: str, form: str) -> None:
    network = Network({"one": seeded(name, FORMS[form], dropout=0.0)}, 3)
    network({"one": rows(32, FORMS[form])})[1].square().sum().backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            # what a softmax over keys cannot see: the same number added to every score
            assert parameter.grad.abs().sum() > 0 or key.endswith("key.bias"), key


@every_learning_case
def test_the_same_seed_gives_the_same_weights(name: str, form: str) -> None:
    one, two, other = (seeded(name, FORMS[form], seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not all(torch.equal(one[k], other[k]) for k in one)


def poolings(name: str) -> tuple[str, ...]:
    """Those that an encoder offers, none if it has no choice."""
    return get_args(get_type_hints(type(KINDS[name]())).get("pooling"))


@pytest.mark.parametrize(
    ("name", "form", "pooling"),
    [(*case.values, pooling) for case in PADDED for pooling in poolings(str(case.values[0]))],
)
def test_padding_has_no_influence(name: str, form: str, pooling: str) -> None:
    torch.manual_seed(0)
    encoder = seeded(name, FORMS[form], pooling=pooling).eval()
    length = FORMS[form]["shape"][0]
    whole = rows(6, FORMS[form], padded=False)
    empty = 0 if form != "sequence" else float("nan")
    for real in (1, 2, 5, 6):
        x = whole.clone()
        x[:, real:] = empty
        with torch.inference_mode():
            long, short, shortest = (encoder(x[:, :cut]) for cut in (length, real + 1, real))
        assert torch.allclose(long, short, atol=1e-6)
        assert torch.allclose(long, shortest, atol=1e-6)
        changed = whole.clone()
        changed[:, 0] = whole[:, 1] + 1 if form == "sequence" else whole[:, 0] % 30 + 2
        changed[:, real:] = empty
        with torch.inference_mode():
            assert not torch.allclose(long, encoder(changed), atol=1e-4)


@pytest.mark.parametrize(("name", "form"), PADDED)
def test_a_row_of_padding_has_a_finite_vector_and_gradient(name: str, form: str) -> None:
    encoder = seeded(name, FORMS[form])
    x = rows(4, FORMS[form])
    x[1] = 0 if form != "sequence" else float("nan")
    features = encoder(x)
    assert torch.isfinite(features).all()
    learned = [p for p in encoder.parameters() if p.requires_grad]
    if learned:
        features.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in learned if p.grad is not None)
    alone = encoder.eval()(x[1:2])
    assert torch.allclose(alone, encoder(x)[1:2], atol=1e-6)  # its neighbours do not matter either


@pytest.mark.parametrize("name", [n for n in TAKES if n not in NEEDS])
def test_a_form_that_cannot_be_taken_is_refused(name: str) -> None:
    refused = set(FORMS) - {"bytes"} - set(TAKES[name])
    assert refused or name == "ffn"
    for form in refused:
        with pytest.raises(DeepmineError, match=rf"train\.encoders: '{name}' takes .*train\.encoders\.MODALITY"):
            seeded(name, FORMS[form])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_learning_case
def test_a_folded_and_quickened_network_says_the_same(name: str, form: str, dtype: torch.dtype) -> None:
    network, _ = trained(name, form)
    folded = fold(network.eval())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = rows(5, FORMS[form])
    with torch.inference_mode():
        for wanted, found in zip(network({"one": x}), folded({"one": x}), strict=True):
            assert torch.allclose(wanted, found, atol=1e-4 * float(wanted.abs().max()))
        folded, x = folded.to(dtype), x.to(dtype) if x.is_floating_point() else x
        quick = quicken(folded, torch.device("cpu"))
        assert not any(isinstance(m, torch.nn.MaxPool2d) for m in quick.modules())
        for wanted, found in zip(folded({"one": x}), quick({"one": x}), strict=True):
            assert torch.isfinite(wanted).all()
            assert torch.equal(wanted, found)


def test_a_pooling_before_a_scale_that_may_be_negative_is_not_folded() -> None:
    def network(scale: float) -> Network:
        encoder = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.MaxPool2d(2), torch.nn.BatchNorm2d(4), torch.nn.Flatten()
        )
        encoder.width = 4 * 9 * 4  # type: ignore[assignment]
        encoder[2].weight.data.fill_(scale)
        return Network({"one": encoder}, 2).eval()

    x = {"one": rows(5, FORMS["maps"])}
    for scale, kept in ((-0.5, 1), (0.5, 0)):
        made = network(scale)
        folded = fold(made)
        assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules()) == kept
        assert torch.allclose(made(x)[0], folded(x)[0], atol=1e-5)


class Activated(torch.nn.BatchNorm2d):
    """Does more than its class, as timm's `BatchNormAct2d` does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class Standardised(torch.nn.Conv2d):
    """Changes its weights as it goes, as timm's `StdConv2d` does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight / self.weight.std(), self.bias)


@pytest.mark.parametrize(
    "layers",
    [(torch.nn.Conv2d(3, 4, 3), Activated(4)), (Standardised(3, 4, 3), torch.nn.BatchNorm2d(4))],
)
def test_layers_that_do_more_than_their_class_are_not_folded(layers: tuple[torch.nn.Module, ...]) -> None:
    encoder = torch.nn.Sequential(*layers, torch.nn.Flatten())
    encoder.width = 4 * 18 * 9  # type: ignore[assignment]
    network = Network({"one": encoder}, 2).eval()
    layers[1].running_var.copy_(torch.arange(1, 5))  # type: ignore[operator, union-attr]
    x = {"one": rows(5, FORMS["maps"])}
    assert torch.allclose(network(x)[0], fold(network)(x)[0], atol=1e-5)


def test_mirrored_features_do_not_know_left_from_right() -> None:
    network, _ = trained("vgg")
    x = rows(5, FORMS["maps"])
    network.eval()
    assert not torch.allclose(network({"one": x})[0], network({"one": x.flip(3)})[0], atol=1e-3)
    network.mirror = {"one"}
    assert torch.allclose(network({"one": x})[0], network({"one": x.flip(3)})[0], atol=1e-6)
    wanted = (network.branches[0](x) + network.branches[0](x.flip(3))) / 2
    assert torch.equal(network({"one": x})[0], wanted)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 150, 150), (1, 2, 2), (3, 512, 300)])
def test_the_whitened_stem_gives_uncorrelated_maps(shape: tuple[int, int, int]) -> None:
    form = {"kind": "maps", "shape": shape}
    encoder = build("vgg", form, {"channels": [4, 4, 4], "dropout": 0.0})
    # neighbouring pixels alike, as in photos
    noise = rows(20, {"kind": "maps", "shape": (shape[0], 16, 16)})
    x = F.interpolate(noise, shape[1:], mode="bilinear") + 0.2 * rows(20, form)
    encoder.initialise(x)
    maps = encoder.stem(x).detach().transpose(0, 1).flatten(1).double()
    half = len(maps) // 2
    assert torch.equal(maps[:half], -maps[half:])
    covariance = maps[:half] @ maps[:half].T / maps.shape[1]
    assert torch.allclose(covariance, torch.eye(half).double(), atol=0.05)
    assert encoder(x[:2]).shape == (2, 4)
    again = build("vgg", form, {"channels": [4, 4, 4], "dropout": 0.0})
    again.initialise(x)
    assert torch.equal(again.stem.weight, encoder.stem.weight)


# --- several inputs


SEVERAL = {
    "picture": ("vgg", "maps"), "values": ("ffn", "vector"), "title": ("cnn", "tokens"), "past": ("gru", "sequence"),
}  # fmt: skip


def several(objective: str = "classification", **more: Any) -> Card:
    """A card of four inputs; one is called `values`, as may be."""
    parts = {
        key: {"encoder": options(name), "form": FORMS[form], "state": {"modality": form}}
        for key, (name, form) in SEVERAL.items()
    }
    return Card(parts, objective, **more)


def inputs(n: int = 6) -> dict[str, torch.Tensor]:
    return {key: rows(n, FORMS[form]) for key, (_, form) in SEVERAL.items()}


def test_the_features_of_several_inputs_stand_side_by_side() -> None:
    torch.manual_seed(0)
    network = several(labels=["a", "b"]).build().eval()
    x = inputs()
    with torch.inference_mode():
        features, scores = network(x)
        assert features.shape == (6, network.width)
        assert scores.shape == (6, 2)
        assert list(network.slices) == list(SEVERAL)
        for branch, (key, (start, end)) in zip(network.branches, network.slices.items(), strict=True):
            assert torch.equal(features[:, start:end], branch(x[key]))
    assert end == network.width


def test_a_missing_input_is_zero_with_an_indicator() -> None:
    torch.manual_seed(0)
    network = several(labels=["a", "b"]).build().eval()
    present = torch.ones(6, 4, dtype=torch.bool)
    present[2, 1] = present[3, 3] = False
    x = inputs()
    with torch.inference_mode():
        whole, all_scores = network(x, torch.ones_like(present))
        assert torch.equal(network(x)[1], all_scores)
        features, scores = network(x, present)
        start, end = network.slices["values"]
        assert torch.equal(features[2, start:end], torch.zeros(end - start))
        assert torch.equal(features[2, end:], whole[2, end:])
        assert torch.equal(features[[0, 1, 4, 5]], whole[[0, 1, 4, 5]])
        x["values"][2] = float("nan")  # whatever stands there
        x["past"][3] = 99.0
        # close, not equal: on some processors a row's last bits depend on its neighbours' values
        torch.testing.assert_close(network(x, present)[1], scores)
        # a zero vector alone is not the same as a missing one
        assert not torch.allclose(scores[2], network.head(torch.cat([features[2], torch.ones(4)])))


def test_missing_inputs_leave_no_trace_in_what_is_learned() -> None:
    networks = []
    present = torch.ones(6, 4, dtype=torch.bool)
    present[:3, 0] = False
    for filler in (0.0, 50.0):
        torch.manual_seed(0)
        network = several(labels=["a", "b"]).build().train()
        x = inputs()
        x["picture"][:3] = filler
        network(x, present)[1].square().sum().backward()
        networks.append(network)
    one, two = networks
    for key, value in one.state_dict().items():  # statistics of the batch normalisation included
        assert torch.equal(value, two.state_dict()[key]), key
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        assert p.grad is None or torch.equal(p.grad, q.grad)
    for k in range(7):  # however few have it
        present[:, 0] = torch.arange(6) < k
        assert torch.isfinite(network(inputs(), present)[1]).all()


@pytest.mark.parametrize("objective", ["classification", "regression", "forecasting", "autoencoder"])
def test_a_saved_network_of_several_inputs_says_the_same(objective: str, tmp_path: Path) -> None:
    outputs: dict[str, Any] = {"labels": ["a", "b"]} if objective == "classification" else {}
    if objective in ("regression", "forecasting"):
        outputs = {"mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 10.0]}
    made = several(objective, mirror=["picture"], **outputs)
    torch.manual_seed(0)
    network = made.build().eval()
    save_network(tmp_path, network, made)
    again, read = load_network(tmp_path)
    assert list(read.inputs) == list(SEVERAL)  # in the order of the features
    assert again.slices == network.slices
    x = inputs()
    with torch.inference_mode():
        wanted, found = network(x), again(x)
    assert wanted[1].shape == (6, {"classification": 2, "autoencoder": 1}.get(objective, 3))
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))
    marks = {encoder_fingerprint(tmp_path, c, torch.float32) for c in (made, read)}
    assert len(marks) == 1


def test_scores_become_verdicts() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0]])
    assert torch.allclose(Card({}, labels=["a", "b", "c"]).verdict(scores), scores.softmax(1))
    numbers = Card({}, "regression", mean=[1.0, 2.0, 3.0], std=[1.0, 10.0, 100.0]).verdict(scores)
    assert numbers.tolist() == [[1.0, 12.0, 203.0]]
    assert torch.equal(Card({}, "autoencoder").verdict(scores), scores)


def test_an_autoencoder_scores_what_it_cannot_rebuild() -> None:
    torch.manual_seed(0)
    network = several("autoencoder").build().eval()
    x = inputs()
    present = torch.ones(6, 4, dtype=torch.bool)
    with torch.inference_mode():
        errors = network(x)[1]
        assert errors.shape == (6, 1)
        assert (errors > 0).all()
        assert torch.allclose(network(x, present)[1], errors)
        present[0, 1] = False
        x["values"][0] += 100
        masked = network(x, present)[1]
        assert float(masked[0]) < 10
        assert torch.equal(masked[1:], errors[1:])
        assert float(network(x)[1][0]) > 100


# --- saved networks


@every_learning_case
def test_a_saved_network_says_the_same(name: str, form: str, tmp_path: Path) -> None:
    network, made = trained(name, form)
    save_network(tmp_path, network, made)
    again, read = load_network(tmp_path)
    assert not again.training
    assert json.loads(json.dumps(asdict(read))) == json.loads(json.dumps(asdict(made)))
    x = rows(5, FORMS[form])
    with torch.inference_mode():
        wanted, found = network.eval()({"one": x}), again({"one": x})
    assert torch.equal(wanted[0], found[0])
    assert torch.equal(wanted[1], found[1])


def rewrite(folder: Path, **changes: object) -> None:
    write_json(folder / CARD, {**read_json(folder / CARD), **changes})


def other_encoder(folder: Path, encoder: dict[str, Any]) -> None:
    [part] = read_json(folder / CARD)["inputs"]
    rewrite(folder, inputs=[{**part, "encoder": encoder}])


def cut_weights(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def flip_bit(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-3] ^= 4
    (folder / WEIGHTS).write_bytes(data)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "newer": (lambda f: rewrite(f, format=FORMAT + 1), "newer deepmine"),
    "older": (lambda f: rewrite(f, format=FORMAT - 1), "older deepmine"),
    "cut weights": (cut_weights, "damaged"),
    "flipped bit": (flip_bit, "safetensors: damaged: missing, or not the one"),
    "no safetensors": (lambda f: (f / WEIGHTS).write_bytes(b"\x80\x04not weights at all"), "damaged"),
    "empty weights": (lambda f: (f / WEIGHTS).write_bytes(b""), "damaged"),
    "other labels": (lambda f: rewrite(f, labels=["a", "b"]), "damaged"),
    "unknown encoder": (lambda f: other_encoder(f, {"name": "nonesuch"}), "damaged"),
    "unknown option": (lambda f: other_encoder(f, {"name": "cnn", "nonesuch": 1}), "damaged"),
    "no inputs": (lambda f: rewrite(f, inputs=[]), "damaged"),
    "inputs of another kind": (lambda f: rewrite(f, inputs={"one": 1}), "damaged"),
    "no JSON": (lambda f: (f / CARD).write_text("{"), "damaged"),
    "no mapping": (lambda f: (f / CARD).write_text("[]"), "damaged"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "damaged"),
    "no card": (lambda f: (f / CARD).unlink(), "no trained encoder"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "form"), [("cnn", "maps"), ("gru", "tokens")])
def test_a_faulty_model_is_refused(name: str, form: str, fault: str, tmp_path: Path) -> None:
    save_network(tmp_path, *trained(name, form, steps=0))
    load_network(tmp_path)
    spoil, message = FAULTS[fault]
    spoil(tmp_path)
    with pytest.raises(DeepmineError, match=message):
        load_network(tmp_path)


# --- single encoders


def test_the_options_of_the_cnn_are_those_that_are_declared() -> None:
    hints = get_type_hints(CNN)
    assert set(get_args(hints["pooling"])) == set(POOLING)
    assert set(get_args(hints["activation"])) == set(ACTIVATIONS)


@pytest.mark.parametrize("form", STEPPED)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLING)
def test_every_pooling_and_activation_learns(pooling: str, activation: str, form: str) -> None:
    network = Network({"one": seeded("cnn", FORMS[form], pooling=pooling, activation=activation, dropout=0.1)}, 2)
    before = {k: v.detach().clone() for k, v in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step(network, rows(8, FORMS[form]), torch.arange(8) % 2, optimizer)
    after = dict(network.named_parameters())
    assert all(torch.isfinite(v).all() for v in after.values())
    assert [k for k in before if torch.equal(before[k], after[k])] == []


def test_the_features_of_a_cnn_without_dense_layers_are_its_maps() -> None:
    assert seeded("cnn", FORMS["maps"], dense=()).width == 8 * (20 // 4) * (11 // 4)
    assert seeded("cnn", FORMS["tokens"], dense=()).width == 8


@pytest.mark.parametrize("pooling", [p for p in POOLING if p != "none"])
def test_more_poolings_than_an_image_has_room_for_are_refused(pooling: str) -> None:
    form = {"kind": "maps", "shape": (1, 16, 16)}
    narrow = {"kind": "maps", "shape": (1, 16, 15)}
    seeded("cnn", form, channels=(2,) * 4, pooling=pooling)
    with pytest.raises(DeepmineError, match=r"train\.encoders: 4 poolings .* 16 x 15 image"):
        seeded("cnn", narrow, channels=(2,) * 4, pooling=pooling)
    seeded("cnn", narrow, channels=(2,) * 4, pooling="none")
    # a sequence gets shorter until one step is left
    seeded("cnn", FORMS["tokens"], channels=(2,) * 9, pooling=pooling)(rows(2, FORMS["tokens"]))


def test_the_time_of_a_spectrogram_runs_along_its_width() -> None:
    x = torch.arange(2 * 3 * 4).reshape(1, 2, 3, 4).float()
    by_row, _ = Steps("gru", {"kind": "maps", "shape": (2, 3, 4)}, 8)(x)
    by_frame, mask = Steps("gru", {"kind": "maps", "shape": (2, 3, 4), "steps": "width"}, 8)(x)
    assert by_row.shape == (1, 3, 8)
    assert by_frame.shape == (1, 4, 6)
    assert mask.all()
    assert by_row[0, 1].tolist() == x[0, :, 1].T.flatten().tolist()
    assert by_frame[0, 1].tolist() == x[0, :, :, 1].flatten().tolist()


def test_poolings_by_hand() -> None:
    x = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [9.0, 9.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    wanted = {"max": [3.0, -1.0], "mean": [2.0, -3.0], "first": [1.0, -1.0], "attention": [2.0, -3.0]}
    for kind, first in wanted.items():  # the query is zero at first: attention is the mean
        assert Pool(kind, 2)(x, mask).tolist() == [first, [0.0, 0.0]], kind
    pool = Pool("attention", 2)
    pool.query.data = torch.tensor([1000.0, 0.0])
    assert pool(x, mask)[0].tolist() == [3.0, -5.0]


def test_positions_differ_and_are_bounded() -> None:
    made = positions(50, 7)
    assert made.shape == (50, 7)
    assert made.abs().max() <= 1
    assert float(torch.cdist(made, made).fill_diagonal_(9).min()) > 0.1


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_state_is_that_after_the_last_real_step(cell: str) -> None:
    encoder = seeded(cell, FORMS["sequence"], pooling="last", layers=1).eval()
    x = rows(1, FORMS["sequence"], padded=False)
    with torch.inference_mode():
        outputs, _ = encoder.layers(x)
        forward, backward = outputs[0, -1, :12], outputs[0, 0, 12:]
        assert torch.allclose(encoder(x)[0], torch.cat([forward, backward]), atol=1e-6)
        # a gap counts as if the steps after it had followed at once
        gap = torch.cat([x[:, :4], torch.full((1, 3, 2), float("nan")), x[:, 4:7]], 1)
        assert torch.allclose(encoder(gap), encoder(x[:, :7]), atol=1e-6)


def test_attention_needs_a_width_that_its_heads_can_share() -> None:
    with pytest.raises(DeepmineError, match=r"attention of width 10 .* 4 heads"):
        seeded("attention", FORMS["tokens"], width=10, heads=4)


def test_attention_sees_order() -> None:
    encoder = seeded("attention", FORMS["tokens"]).eval()
    x = rows(2, FORMS["tokens"], padded=False)
    with torch.inference_mode():
        assert not torch.allclose(encoder(x), encoder(x.flip(1)), atol=1e-4)


def test_an_unknown_encoder_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        build("nonesuch", FORMS["maps"], {})


# --- pretrained


@pytest.mark.parametrize("name", NEEDS)
def test_an_absent_package_is_named_with_its_cure(name: str) -> None:
    if find_spec(NEEDS[name]) is not None:
        pytest.skip(f"{NEEDS[name]} is here")
    extra = {"timm": "timm", "sentence_transformer": "sentences"}[name]
    assert extra in tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    with pytest.raises(DeepmineError, match=rf"pip install -e '\.\[{extra}\]'"):
        seeded(name, FORMS[TAKES[name][0]])


@pytest.mark.parametrize("name", NEEDS)
def test_a_pretrained_encoder_refuses_other_forms(name: str) -> None:
    for form in set(FORMS) - {"bytes", *TAKES[name]}:
        with pytest.raises(DeepmineError, match=r"train\.encoders|clean\.text\.tokens: byte"):
            seeded(name, FORMS[form])


@pytest.mark.skipif(find_spec("timm") is None, reason="optional package timm is absent")
def test_timm_takes_weights_from_a_file(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(3)
    wanted = timm.create_model("resnet18", num_classes=5)
    save_file(wanted.state_dict(), tmp_path / "weights.safetensors")
    encoder = seeded("timm", FORMS["maps"], weights=str(tmp_path / "weights.safetensors"))
    x = rows(2, FORMS["maps"])
    encoder.initialise(x)
    wanted.reset_classifier(0)
    assert torch.allclose(encoder.train()(x), wanted.eval()(x))  # frozen: its statistics too
    for weights in (None, str(tmp_path / "nowhere"), __file__):
        with pytest.raises(DeepmineError, match="weights of 'resnet18' are not there"):
            seeded("timm", FORMS["maps"], weights=weights).initialise(x)
    with pytest.raises(DeepmineError, match="timm has no model 'nonesuch'"):
        seeded("timm", FORMS["maps"], model="nonesuch")


@cache
def sentences() -> torch.nn.Module:
    return seeded("sentence_transformer", FORMS["bytes"]).eval()


@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="optional package is absent")
def test_sentences_are_read_as_they_are() -> None:
    texts = ["win a free prize, call now", "you have won £1000, ring us", "see you at home tonight"]
    x = torch.zeros(3, 40, dtype=torch.int64)
    for row, text in zip(x, texts, strict=True):
        row[: len(text.encode())] = torch.tensor(list(text.encode())) + 2
    features = F.normalize(sentences()(x))
    near = features @ features.T
    assert near[0, 1] > near[0, 2]
    assert near[0, 1] > near[1, 2]
    with pytest.raises(DeepmineError, match=r"clean\.text\.tokens: byte"):
        seeded("sentence_transformer", FORMS["tokens"])
    with pytest.raises(DeepmineError, match="weights of 'nonesuch' are not there"):
        seeded("sentence_transformer", FORMS["bytes"], model="nonesuch")


def test_options_are_those_of_the_constructor() -> None:
    for name in TAKES:
        kind = type(KINDS[name]())
        declared = {f.name for f in fields(kind)} - {"name"}
        assert set(options(name)) - {"name"} == declared
