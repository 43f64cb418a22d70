"""The training loop: every loss with every optimiser, resumption to the bit, early stopping, augmentation."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasks import config
from tasks.encoders.muon import Muon, orthogonal
from tasks.encoders.network import Card, Network, place
from tasks.encoders.training import LOSSES, OPTIMIZERS, Epoch, Rows, class_weights, fit, judge, ramp, schedule
from tasks.errors import DeepmineError
from tasks.modalities import image
from tasks.progress import Progress

SIDE = 12
STATE = {"mean": [110.0], "std": [50.0], "height": SIDE, "width": SIDE, "mode": "L"}
CNN = config.CNN(channels=(4, 8), dense=(16,), dropout=0.3)
VGG = config.VGG(channels=(8,), dropout=0.3)


pytestmark = pytest.mark.usefixtures("one_thread")


class Interrupted(Exception):
    """Stands for a kill in the middle of an epoch."""


class Recorder(Progress):
    """Remembers which epochs were trained, and may die in the first step of one."""

    def __init__(self, dies_in: int = 0) -> None:
        super().__init__(quiet=True)
        self.epochs: list[int] = []
        self.dies_in = dies_in

    def __call__(self, done: int, total: int, unit: str, note: str = "", always: bool = False) -> None:
        number = int(note.split()[1].partition("/")[0])
        if number == self.dies_in:
            raise Interrupted
        if number not in self.epochs:
            self.epochs.append(number)


def bars(n: int, seed: int, noise: bool = False) -> Rows:
    """Noise with a bright bar at its class's place; with ``noise`` the classes mean nothing."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 160, (n, SIDE, SIDE, 1), dtype=np.uint8)
    classes = rng.integers(0, 3, n)
    for item, label in zip(items, classes, strict=True):
        item[:, label * 4 : label * 4 + 3] += 90
    return Rows(torch.from_numpy(items), torch.from_numpy(rng.permutation(classes) if noise else classes))


def prepare(items: torch.Tensor) -> torch.Tensor:
    return image.tensor(items, STATE)


@dataclass
class Run:
    network: Network
    history: list[Epoch]
    epochs: list[int]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Run)
        one, two = self.network.state_dict(), other.network.state_dict()
        return self.history == other.history and all(torch.equal(one[k], two[k]) for k in one)


def new(encoder: config.CNN | config.VGG) -> Network:
    torch.manual_seed(1)
    return place(Card(vars(encoder), (1, SIDE, SIDE), ["a", "b", "c"], STATE).build(), torch.device("cpu"))


def run(
    folder: Path, *, dies_in: int = 0, key: str = "key", val: Rows | None = None, encoder: Any = CNN, **params: Any
) -> Run:
    wanted = config.Train(**{"encoder": encoder, "epochs": 4, "batch": 20, "seed": 5, "device": "cpu", **params})
    network = new(encoder)
    progress = Recorder(dies_in)
    history, rate = fit(
        network, bars(90, 0), bars(40, 1) if val is None else val, params=wanted, prepare=prepare,
        augment=lambda x, m, g: image.augment(x, wanted.augment, m, g), dtype=torch.float32,
        checkpoint=folder / "checkpoint.safetensors", key=key, progress=progress,
    )  # fmt: skip
    assert rate > 0 or not progress.epochs
    return Run(network, history, progress.epochs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_under_every_optimizer(loss: str, optimizer: str, tmp_path: Path) -> None:
    chosen: Any = {"sgd": config.SGD(lr=0.02), "muon": config.Muon(lr=0.1)}.get(optimizer)
    chosen = chosen or config.Adam(name=optimizer, lr=5e-3)  # type: ignore[arg-type]
    made = run(
        tmp_path, optimizer=chosen, loss=config.Loss(name=loss, class_weights="balanced"),  # type: ignore[arg-type]
        encoder=config.CNN(channels=(4,), dense=(16,)), augment=config.Augment(crop=0),
    )  # fmt: skip
    losses = [e.train_loss for e in made.history]
    assert all(math.isfinite(v) for v in losses)
    assert losses[-1] < losses[0]
    first = new(config.CNN(channels=(4,), dense=(16,))).state_dict()
    assert [k for k, v in made.network.state_dict().items() if torch.equal(v, first[k])] == []


def test_muon_turns_weights_and_keeps_their_length() -> None:
    network = new(VGG)
    optimizer = Muon(network, lr=0.1, momentum=0.6, adam_lr=0.01, weight_decay=0.0)
    before = {k: v.detach().clone() for k, v in network.named_parameters()}
    items = torch.randn(8, 1, SIDE, SIDE, generator=generator())
    for _ in range(3):
        network(items)[1].square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    frozen = [k for k, v in network.named_parameters() if torch.equal(v, before[k])]
    assert frozen == [k for k, v in network.named_parameters() if not v.requires_grad] != []
    for weight in (p for p in network.encoder.parameters() if p.requires_grad and p.ndim > 1):
        assert float(weight.detach().norm()) == pytest.approx(len(weight) ** 0.5, rel=0.06)


@pytest.mark.parametrize("size", [(4, 30), (30, 4), (5, 5)])
def test_orthogonal_steps_have_singular_values_near_one(size: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(size, generator=generator())))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_the_names_are_those_that_are_declared() -> None:
    names = {"sgd", "muon"} | set(get_args(get_type_hints(config.Adam)["name"]))
    assert names == set(OPTIMIZERS)
    assert set(get_args(get_type_hints(config.Loss)["name"])) == set(LOSSES)


def test_balanced_weights() -> None:
    classes = torch.tensor([0, 0, 0, 1])
    balanced = config.Loss(class_weights="balanced")
    found = class_weights(classes, 2, balanced)
    assert found is not None
    assert found.tolist() == pytest.approx([4 / 6, 4 / 2])
    absent = class_weights(classes, 3, balanced)
    assert absent is not None
    assert absent.tolist() == pytest.approx([4 / 9, 4 / 3, 4 / 3])
    assert class_weights(classes, 2, config.Loss()) is None


SCORES = torch.tensor([[0.2, 0.5, -1.0], [1.0, 3.0, 2.5]])
CLASSES = torch.tensor([0, 1])
LOG = [
    math.log(math.exp(0.2) + math.exp(0.5) + math.exp(-1)) - 0.2,
    math.log(math.exp(1) + math.exp(3) + math.exp(2.5)) - 3,
]


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("cross_entropy", LOG),
        ("squared_error", [(0.64 + 0.25 + 1) / 3, (1 + 4 + 6.25) / 3]),
        ("hinge", [1.3, 0.5]),
    ],
)
def test_losses_by_hand(name: str, each: list[float]) -> None:
    params = config.Loss(name=name)  # type: ignore[arg-type]
    assert float(LOSSES[name](SCORES, CLASSES, None, params)) == pytest.approx(sum(each) / 2, rel=1e-6)
    weights = torch.tensor([1.0, 3.0, 1.0])
    # torch divides the weighted margin by the rows, the other two by the sum of the weights
    divisor = 2 if name == "hinge" else 4
    wanted = (each[0] + 3 * each[1]) / divisor
    assert float(LOSSES[name](SCORES, CLASSES, weights, params)) == pytest.approx(wanted, rel=1e-6)


def test_the_learning_rate_goes_up_and_down() -> None:
    assert [ramp(v) for v in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.5, 1, 0.5, 1e-3])


@pytest.mark.parametrize("optimizer", [config.Muon(), config.SGD(), config.SGD(momentum=0.0), config.Adam()])
@pytest.mark.parametrize("encoder", [CNN, VGG])
def test_an_interrupted_run_ends_as_an_undisturbed_one(encoder: Any, optimizer: Any, tmp_path: Path) -> None:
    params = {"encoder": encoder, "optimizer": optimizer, "augment": config.Augment(flip=True, crop=0.2, cutout=0.3)}
    whole = run(tmp_path / "whole", **params)
    for dies_in in (2, 4):
        with pytest.raises(Interrupted):
            run(tmp_path / "cut", dies_in=dies_in, **params)
    resumed = run(tmp_path / "cut", **params)
    assert resumed.epochs == [4]
    assert resumed == whole


def test_an_interrupted_run_keeps_the_best_weights_so_far(tmp_path: Path) -> None:
    # val rows with meaningless classes: the surer the network becomes, the worse it does on them
    params = {"encoder": VGG, "val": bars(40, 1, noise=True), "patience": 3, "epochs": 12}
    whole = run(tmp_path / "whole", **params)
    losses = [e.val_loss for e in whole.history]
    best = losses.index(min(losses)) + 1
    assert len(losses) == best + 3 < 12
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", dies_in=best + 2, **params)
    resumed = run(tmp_path / "cut", **params)
    assert resumed.epochs == [best + 2, best + 3]
    assert resumed == whole
    again = run(tmp_path / "cut", **params)
    assert again.epochs == []
    assert again == whole


@pytest.mark.parametrize("patience", [0, 2])
def test_early_stopping_keeps_the_best_epoch(patience: int, tmp_path: Path) -> None:
    val = bars(40, 1, noise=True)
    made = run(tmp_path, encoder=VGG, val=val, patience=patience, epochs=8)
    losses = [e.val_loss or 0 for e in made.history]
    best = losses.index(min(losses))
    assert best < len(losses) - 1
    assert len(losses) == (best + 1 + patience if patience else 8)
    kept, _ = judge(made.network, val, config.Train(), prepare, None, torch.float32)
    assert kept == pytest.approx(losses[best] if patience else losses[-1])


def test_each_epoch_has_its_own_order_augmentation_and_dropout(tmp_path: Path) -> None:
    encoder = config.CNN(channels=(4,), dense=(64,), dropout=0.5, activation="sigmoid")
    network = new(encoder)
    seen: dict[str, list[torch.Tensor]] = {"order": [], "draws": [], "dropped": []}
    [dropout] = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]

    def dropped(module: torch.nn.Module, _: Any, out: torch.Tensor) -> None:
        if module.training:
            seen["dropped"].append(out == 0)

    dropout.register_forward_hook(dropped)

    def augment(batch: torch.Tensor, _: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen["order"].append(batch.clone())
        seen["draws"].append(torch.rand(4, generator=generator))
        return batch

    rows = bars(20, 0)
    fit(
        network, rows, rows, params=config.Train(encoder=encoder, epochs=3, batch=20), prepare=prepare,
        augment=augment, dtype=torch.float32, checkpoint=tmp_path / "c", key="key", progress=Progress(quiet=True),
    )  # fmt: skip
    for name, found in seen.items():
        assert len(found) == 3
        assert not any(torch.equal(one, two) for one, two in pairwise(found)), name
    whole = [sorted(batch.flatten(1).sum(1).tolist()) for batch in seen["order"]]
    assert whole[0] == whole[1] == whole[2]  # the same rows each time


def test_without_val_rows_nothing_is_stopped(tmp_path: Path) -> None:
    none = Rows(torch.empty(0, SIDE, SIDE, 1, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    made = run(tmp_path, val=none, patience=1, epochs=3)
    assert [(e.val_loss, e.val_accuracy) for e in made.history] == [(None, None)] * 3


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "garbage":
        path.write_bytes(b"\x80\x04garbage" * 20)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        save_file({"a": torch.zeros(1)}, path)


@pytest.mark.parametrize("how", ["cut", "garbage", "empty", "no metadata"])
def test_a_damaged_checkpoint_costs_only_its_epochs(how: str, tmp_path: Path) -> None:
    whole = run(tmp_path, epochs=2)
    assert run(tmp_path, epochs=2).epochs == []
    damage(tmp_path / "checkpoint.safetensors", how)
    again = run(tmp_path, epochs=2)
    assert again.epochs == [1, 2]
    assert again == whole


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, epochs=2, key="one")
    assert run(tmp_path, epochs=2, key="two").epochs == [1, 2]
    assert run(tmp_path, epochs=2, key="two").epochs == []


def test_a_diverging_run_says_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"diverged in epoch \d+: .* Lower train\.optimizer\.lr \(now 1e\+12\)"):
        run(tmp_path, optimizer=config.SGD(lr=1e12), loss=config.Loss(name="squared_error"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BATCH = torch.randint(0, 256, (32, 9, 7, 3), generator=generator(9), dtype=torch.uint8)
TURN = torch.arange(32) % 3 == 0


@pytest.mark.parametrize("crop", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cutout", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("flip", [False, True])
def test_augmentation_keeps_shape_and_repeats(flip: bool, cutout: float, crop: float) -> None:
    params = config.Augment(flip=flip, crop=crop, cutout=cutout)
    before = BATCH.clone()
    one, two, other = (image.augment(BATCH, params, TURN, generator(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (BATCH.shape, BATCH.dtype)
    assert torch.equal(one, two)
    assert torch.equal(BATCH, before)
    if crop or cutout:
        assert not torch.equal(one, other)


def test_augmentation_switched_off_changes_nothing() -> None:
    assert torch.equal(image.augment(BATCH, config.Augment(flip=False, crop=0, cutout=0), TURN, generator()), BATCH)


def test_a_flip_mirrors_those_whose_turn_it_is() -> None:
    made = image.augment(BATCH, config.Augment(flip=True, crop=0), TURN, generator())
    assert torch.equal(made[TURN], BATCH[TURN].flip(2))
    assert torch.equal(made[~TURN], BATCH[~TURN])


def test_an_image_and_its_mirror_image_take_turns(tmp_path: Path) -> None:
    turns: list[torch.Tensor] = []

    def augment(batch: torch.Tensor, mirrored: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        turns.append(mirrored[batch[:, 0, 0, 0].argsort()])  # whatever the order of the epoch
        return batch

    rows = bars(60, 0)
    rows.items[:, 0, 0, 0] = torch.arange(60)
    fit(
        new(CNN), rows, bars(0, 0), params=config.Train(encoder=CNN, epochs=3, batch=60), prepare=prepare,
        augment=augment, dtype=torch.float32, checkpoint=tmp_path / "c", key="key", progress=Progress(quiet=True),
    )  # fmt: skip
    assert 10 < int(turns[0].sum()) < 50
    assert torch.equal(turns[1], ~turns[0])
    assert torch.equal(turns[2], turns[0])


@pytest.mark.parametrize("reach", [1, 3])
def test_a_crop_is_a_piece_of_the_mirrored_surroundings(reach: int) -> None:
    made = image.augment(BATCH, config.Augment(flip=False, crop=reach / 7), TURN, generator())
    around = torch.nn.functional.pad(BATCH.permute(0, 3, 1, 2).float(), (reach,) * 4, mode="reflect")
    places = set()
    for out, whole in zip(made.permute(0, 3, 1, 2).float(), around, strict=True):
        found = [
            (y, x)
            for y in range(2 * reach + 1)
            for x in range(2 * reach + 1)
            if torch.equal(whole[:, y : y + 9, x : x + 7], out)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 4


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_cutout_blanks_one_square_in_the_mean_colour(size: int) -> None:
    items = torch.full((200, 11, 13, 2), 9, dtype=torch.uint8)
    items[:, 5, 6] = 155
    mean = int(items.float().mean().round())
    blank = image.augment(items, config.Augment(flip=False, crop=0, cutout=size / 11), TURN, generator()) == mean
    assert torch.equal(blank[..., 0], blank[..., 1])
    largest = 0
    for mask in blank[..., 0]:
        rows, columns = torch.nonzero(mask.any(1)).flatten(), torch.nonzero(mask.any(0)).flatten()
        height, width = (int(v[-1] - v[0]) + 1 for v in (rows, columns))
        assert int(mask.sum()) == height * width  # a full rectangle, and nothing beside it
        assert height <= size
        assert width <= size
        # smaller only where the border cuts it
        assert height == size or rows[0] == 0 or rows[-1] == 10
        assert width == size or columns[0] == 0 or columns[-1] == 12
        largest = max(largest, height * width)
    assert largest == size * size


def one_way(n: int, channels: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Noise with a bright bar: in class 0 on the left, in class 1 on the right, in class 2 across the middle."""
    rng = np.random.default_rng(seed)
    items, classes = rng.integers(0, 160, (n, 20, 17, channels), dtype=np.uint8), rng.integers(0, 3, n)
    places = {0: np.s_[:, :4], 1: np.s_[:, -4:], 2: np.s_[8:12, :]}
    for item, label in zip(items, classes, strict=True):
        item[places[int(label)]] += 90
    return torch.from_numpy(items), classes


@pytest.mark.parametrize("channels", [1, 3])
def test_mirroring_is_kept_from_classes_that_it_would_mix(channels: int) -> None:
    items, classes = one_way(400, channels)
    assert not image.mirrors(items, classes)
    assert image.mirrors(items, np.minimum(classes, 1) * 0 + (classes == 2))  # left and right are one class
    assert image.mirrors(items, np.random.default_rng(1).permutation(classes))  # nothing to see at all


def test_the_schedule_comes_to_about_a_thousand_steps() -> None:
    for rows in (200, 800, 4_000, 20_000, 45_000):
        epochs, batch = schedule(config.Train(), rows)
        assert 300 <= epochs * (rows // batch) <= 1500
    assert schedule(config.Train(), 45_000) == (12, 512)
    assert schedule(config.Train(), 10) == (100, 10)
    assert schedule(config.Train(epochs=3, batch=7), 45_000) == (3, 7)


def test_a_flipped_bit_in_the_checkpoint_is_noticed(tmp_path: Path) -> None:
    from tasks.encoders.training import _resume, _save

    layer = torch.nn.Linear(8, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    path = tmp_path / "checkpoint.safetensors"
    epoch = Epoch(1, 0.1, 1.0, 0.5, None, None)
    _save(path, "key", layer, optimizer, [epoch], {})
    assert _resume(path, "key", layer, optimizer)[0] == [epoch]
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert _resume(path, "key", layer, optimizer)[0] == []
