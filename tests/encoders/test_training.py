"""The training loop: every loss with every optimiser, resumption to the bit, early stopping, augmentation."""

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasks.config import encoders as options
from tasks.config.encoders import FFN, RNN, Attention
from tasks.config.train import SGD, Adam, AugmentImage, Loss, Train
from tasks.config.train import Muon as MuonOptions
from tasks.core.errors import DeepmineError
from tasks.core.progress import Progress
from tasks.encoders.checkpoint import resume, save_checkpoint
from tasks.encoders.contrastive_views import distort
from tasks.encoders.device import place
from tasks.encoders.losses import FOR_CLASSES, LOSSES, class_weights
from tasks.encoders.muon import Muon, orthogonal, split
from tasks.encoders.network import Card, Network
from tasks.encoders.objectives import Augment, Supervised, contrast
from tasks.encoders.optimizers import OPTIMIZERS, SCHEDULES, ramp
from tasks.encoders.resident_rows import Rows, Tensors, epoch_order, epoch_rows
from tasks.encoders.training import Epoch, fit, schedule
from tasks.modalities import image

SIDE = 12
STATE = {"mean": [110.0], "std": [50.0], "height": SIDE, "width": SIDE, "mode": "L"}
CNN = options.CNN(channels=(4, 8), dense=(16,), dropout=0.3)
VGG = options.VGG(channels=(8,), dropout=0.3)
GRU = RNN(hidden=8, layers=2, dropout=0.3)
ATTENTION = Attention(width=8, heads=2, layers=1)


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
    targets = torch.from_numpy(rng.permutation(classes) if noise else classes)
    return Rows({"image": torch.from_numpy(items)}, targets)


def prepare(items: Tensors) -> Tensors:
    return {"image": image.tensor(items["image"], STATE)}


def augmented(change: AugmentImage) -> Augment:
    """Augmentation of the images as `train` has it."""
    return lambda items, turn, generator: prepare({"image": image.augment(items["image"], change, turn, generator)})


@dataclass
class Run:
    network: Network
    history: list[Epoch]
    epochs: list[int]
    objective: str = "classification"

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Run)
        one, two = self.network.state_dict(), other.network.state_dict()
        return self.history == other.history and all(torch.equal(one[k], two[k]) for k in one)


def new(encoder: Any, objective: str = "classification") -> Network:
    torch.manual_seed(1)
    part = {"encoder": vars(encoder), "form": image.form(STATE), "state": STATE}
    outputs: Any = {"labels": ["a", "b", "c"]} if objective == "classification" else {}
    if objective == "regression":
        outputs = {"mean": [0.0], "std": [1.0]}
    return place(Card({"image": part}, objective, **outputs).build(), torch.device("cpu"))


def run(
    folder: Path, *, dies_in: int = 0, key: str = "key", val: Rows | None = None, encoder: Any = CNN,
    objective: str = "classification", augment: Any = None, train: Rows | None = None, **params: Any,
) -> Run:  # fmt: skip
    wanted = Train(**{"epochs": 4, "batch": 20, "seed": 5, "device": "cpu", **params})
    network = new(encoder, objective)
    progress = Recorder(dies_in)
    history, rate = fit(
        network, bars(90, 0) if train is None else train, bars(40, 1) if val is None else val, params=wanted,
        prepare=prepare, augment=augmented(augment or AugmentImage(flip=False)), dtype=torch.float32,
        checkpoint=folder / "checkpoint.safetensors", key=key, progress=progress,
    )  # fmt: skip
    assert rate > 0 or not progress.epochs
    return Run(network, history, progress.epochs)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_under_every_optimizer(loss: str, optimizer: str, tmp_path: Path) -> None:
    chosen: Any = {"sgd": SGD(lr=0.02), "muon": MuonOptions(lr=0.1)}.get(optimizer)
    chosen = chosen or Adam(name=optimizer, lr=5e-3)  # type: ignore[arg-type]
    made = run(
        tmp_path, optimizer=chosen, loss=Loss(name=loss, class_weights="balanced"),  # type: ignore[arg-type]
        encoder=options.CNN(channels=(4,), dense=(16,)), augment=AugmentImage(flip=False, crop=0),
    )  # fmt: skip
    losses = [e.train_loss for e in made.history]
    assert all(math.isfinite(v) for v in losses)
    assert losses[-1] < losses[0]
    first = new(options.CNN(channels=(4,), dense=(16,))).state_dict()
    assert [k for k, v in made.network.state_dict().items() if torch.equal(v, first[k])] == []


def test_muon_turns_weights_and_keeps_their_length() -> None:
    network = new(VGG)
    optimizer = Muon(network, lr=0.1, momentum=0.6, adam_lr=0.01, weight_decay=0.0)
    before = {k: v.detach().clone() for k, v in network.named_parameters()}
    items = torch.randn(8, 1, SIDE, SIDE, generator=generator())
    for _ in range(3):
        network({"image": items})[1].square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    frozen = [k for k, v in network.named_parameters() if torch.equal(v, before[k])]
    assert frozen == [k for k, v in network.named_parameters() if not v.requires_grad] != []
    for weight in (p for p in network.branches.parameters() if p.requires_grad and p.ndim > 1):
        assert float(weight.detach().norm()) == pytest.approx(len(weight) ** 0.5, rel=0.06)


@pytest.mark.parametrize("size", [(4, 30), (30, 4), (5, 5)])
def test_orthogonal_steps_have_singular_values_near_one(size: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(torch.randn(size, generator=generator())))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_the_names_are_those_that_are_declared() -> None:
    names = {"sgd", "muon"} | set(get_args(get_type_hints(Adam)["name"]))
    assert names == set(OPTIMIZERS)
    assert set(get_args(get_type_hints(Loss)["name"])) == set(LOSSES)


def test_balanced_weights() -> None:
    classes = torch.tensor([0, 0, 0, 1])
    balanced = Loss(class_weights="balanced")
    found = class_weights(classes, 2, balanced)
    assert found is not None
    assert found.tolist() == pytest.approx([4 / 6, 4 / 2])
    absent = class_weights(classes, 3, balanced)
    assert absent is not None
    assert absent.tolist() == pytest.approx([4 / 9, 4 / 3, 4 / 3])
    assert class_weights(classes, 2, Loss()) is None


SCORES = torch.tensor([[0.2, 0.5, -1.0], [1.0, 3.0, 2.5]])
CLASSES = torch.tensor([0, 1])
LOG = [
    math.log(math.exp(0.2) + math.exp(0.5) + math.exp(-1)) - 0.2,
    math.log(math.exp(1) + math.exp(3) + math.exp(2.5)) - 3,
]


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("auto", LOG),
        ("cross_entropy", LOG),
        ("focal", [v * (1 - math.exp(-v)) ** 2 for v in LOG]),
        ("absolute_error", [(0.8 + 0.5 + 1) / 3, (1 + 2 + 2.5) / 3]),
        ("huber", [(0.32 + 0.125 + 0.5) / 3, (0.5 + 1.5 + 2) / 3]),
        ("squared_error", [(0.64 + 0.25 + 1) / 3, (1 + 4 + 6.25) / 3]),
        ("hinge", [1.3, 0.5]),
    ],
)
def test_losses_by_hand(name: str, each: list[float]) -> None:
    params = Loss(name=name)  # type: ignore[arg-type]
    assert float(LOSSES[name](SCORES, CLASSES, None, params)) == pytest.approx(sum(each) / 2, rel=1e-6)
    weights = torch.tensor([1.0, 3.0, 1.0])
    # torch divides the weighted margin by the rows, the others by the sum of the weights
    divisor = 2 if name == "hinge" else 4
    wanted = (each[0] + 3 * each[1]) / divisor
    assert float(LOSSES[name](SCORES, CLASSES, weights, params)) == pytest.approx(wanted, rel=1e-6)


NUMBERS = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 4.5]])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("auto", 7.2 - 0.5),
        ("squared_error", 14.29),
        ("absolute_error", 7.2 - 0.5),
        ("huber", 0.02 + 0.125 + 0.5 + 2.5 + 1.5),
    ],
)
def test_losses_of_numbers_by_hand(name: str, wanted: float) -> None:
    found = LOSSES[name](SCORES, NUMBERS, None, Loss(name=name))  # type: ignore[arg-type]
    assert float(found) == pytest.approx(wanted / 6, rel=1e-5)


def test_the_learning_rate_goes_up_and_down() -> None:
    assert [ramp(v) for v in (0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.5, 1, 0.5, 1e-3])
    for name, rate in SCHEDULES.items():
        course = [rate(i / 1000) for i in range(1, 1001)]
        assert 0 < min(course) <= max(course) == pytest.approx(1.0), name
        assert (course[-1] < 0.011) != (name == "constant"), name
    assert [SCHEDULES["step"](v) for v in (0.5, 0.6, 0.8)] == [1.0, 0.1, 0.01]
    assert set(SCHEDULES) == set(get_args(get_type_hints(Train)["schedule"]))


@pytest.mark.parametrize("optimizer", [MuonOptions(), SGD(), SGD(momentum=0.0), Adam()])
@pytest.mark.parametrize("encoder", [CNN, VGG, GRU, ATTENTION])
@pytest.mark.parametrize("objective", ["classification", "autoencoder"])
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    encoder: Any, optimizer: Any, objective: str, tmp_path: Path
) -> None:
    change = AugmentImage(flip=True, crop=0.2, cutout=0.3)
    params: Any = {"encoder": encoder, "optimizer": optimizer, "augment": change, "clip": 1.0, "objective": objective}
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
    asked = Supervised(val, 3, Loss(), prepare, torch.float32)
    assert asked.judge(made.network, val)["loss"] == pytest.approx(losses[best] if patience else losses[-1])


def test_each_epoch_has_its_own_order_augmentation_and_dropout(tmp_path: Path) -> None:
    encoder = options.CNN(channels=(4,), dense=(64,), dropout=0.5, activation="sigmoid")
    network = new(encoder)
    seen: dict[str, list[torch.Tensor]] = {"order": [], "draws": [], "dropped": []}
    [dropout] = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]

    def dropped(module: torch.nn.Module, _: Any, out: torch.Tensor) -> None:
        if module.training:
            seen["dropped"].append(out == 0)

    dropout.register_forward_hook(dropped)

    def augment(batch: Tensors, _: torch.Tensor, generator: torch.Generator) -> Tensors:
        seen["order"].append(batch["image"].clone())
        seen["draws"].append(torch.rand(4, generator=generator))
        return prepare(batch)

    rows = bars(20, 0)
    fit(
        network, rows, rows, params=Train(epochs=3, batch=20), prepare=prepare,
        augment=augment, dtype=torch.float32, checkpoint=tmp_path / "c", key="key", progress=Progress(quiet=True),
    )  # fmt: skip
    for name, found in seen.items():
        assert len(found) == 3
        assert not any(torch.equal(one, two) for one, two in pairwise(found)), name
    whole = [sorted(batch.flatten(1).sum(1).tolist()) for batch in seen["order"]]
    assert whole[0] == whole[1] == whole[2]  # the same rows each time


def test_without_val_rows_nothing_is_stopped(tmp_path: Path) -> None:
    none = Rows({"image": torch.empty(0, SIDE, SIDE, 1, dtype=torch.uint8)}, torch.empty(0, dtype=torch.int64))
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
        run(tmp_path, optimizer=SGD(lr=1e12), loss=Loss(name="squared_error"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


BATCH = torch.randint(0, 256, (32, 9, 7, 3), generator=generator(9), dtype=torch.uint8)
TURN = torch.arange(32) % 3 == 0


@pytest.mark.parametrize("crop", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cutout", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("flip", [False, True])
def test_augmentation_keeps_shape_and_repeats(flip: bool, cutout: float, crop: float) -> None:
    params = AugmentImage(flip=flip, crop=crop, cutout=cutout)
    before = BATCH.clone()
    one, two, other = (image.augment(BATCH, params, TURN, generator(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (BATCH.shape, BATCH.dtype)
    assert torch.equal(one, two)
    assert torch.equal(BATCH, before)
    if crop or cutout:
        assert not torch.equal(one, other)


def test_augmentation_switched_off_changes_nothing() -> None:
    assert torch.equal(image.augment(BATCH, AugmentImage(flip=False, crop=0, cutout=0), TURN, generator()), BATCH)


def test_a_flip_mirrors_those_whose_turn_it_is() -> None:
    made = image.augment(BATCH, AugmentImage(flip=True, crop=0), TURN, generator())
    assert torch.equal(made[TURN], BATCH[TURN].flip(2))
    assert torch.equal(made[~TURN], BATCH[~TURN])


def test_an_image_and_its_mirror_image_take_turns(tmp_path: Path) -> None:
    turns: list[torch.Tensor] = []

    def augment(batch: Tensors, mirrored: torch.Tensor, generator: torch.Generator) -> Tensors:
        turns.append(mirrored[batch["image"][:, 0, 0, 0].argsort()])  # whatever the order of the epoch
        return prepare(batch)

    rows = bars(60, 0)
    rows.inputs["image"][:, 0, 0, 0] = torch.arange(60)
    fit(
        new(CNN), rows, bars(0, 0), params=Train(epochs=3, batch=60), prepare=prepare,
        augment=augment, dtype=torch.float32, checkpoint=tmp_path / "c", key="key", progress=Progress(quiet=True),
    )  # fmt: skip
    assert 10 < int(turns[0].sum()) < 50
    assert torch.equal(turns[1], ~turns[0])
    assert torch.equal(turns[2], turns[0])


@pytest.mark.parametrize("reach", [1, 3])
def test_a_crop_is_a_piece_of_the_mirrored_surroundings(reach: int) -> None:
    made = image.augment(BATCH, AugmentImage(flip=False, crop=reach / 7), TURN, generator())
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
    blank = image.augment(items, AugmentImage(flip=False, crop=0, cutout=size / 11), TURN, generator()) == mean
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
        epochs, batch = schedule(Train(), rows)
        assert 300 <= epochs * (rows // batch) <= 1500
    assert schedule(Train(), 45_000) == (12, 512)
    assert schedule(Train(), 10) == (100, 10)
    assert schedule(Train(epochs=3, batch=7), 45_000) == (3, 7)


def test_a_flipped_bit_in_the_checkpoint_is_noticed(tmp_path: Path) -> None:
    layer = torch.nn.Linear(8, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    path = tmp_path / "checkpoint.safetensors"
    epoch = asdict(Epoch(1, 0.1, 1.0, 0.5))
    save_checkpoint(path, "key", layer, optimizer, [epoch], {})
    assert resume(path, "key", layer, optimizer)[0] == [epoch]
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert resume(path, "key", layer, optimizer)[0] == []


# --- balance


@pytest.mark.parametrize(("balance", "rows"), [("none", 111), ("over", 111), ("under", 3)])
def test_an_epoch_draws_as_balance_says(balance: str, rows: int) -> None:
    targets = torch.tensor([0] * 100 + [1] * 10 + [2])
    orders = [epoch_order(targets, balance, generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    counts = torch.bincount(targets[orders[0]]).tolist()
    assert counts == {"none": [100, 10, 1], "over": [37, 37, 37], "under": [1, 1, 1]}[balance]
    assert sum(counts) == epoch_rows(targets, balance) == rows
    if balance == "over":  # the small classes come whole before any row comes again
        repeats = torch.bincount(orders[0], minlength=111)
        assert set(repeats[100:110].tolist()) <= {3, 4}
        assert int(repeats[:100].max()) == 1


def test_numbers_have_no_classes_to_balance(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"train\.balance: there are no classes"):
        run(tmp_path, train=numbers(40, 0), objective="regression", balance="over")


@pytest.mark.parametrize("balance", ["over", "under"])
def test_balanced_epochs_find_the_small_class(balance: str, tmp_path: Path) -> None:
    rows = bars(400, 3)
    few = torch.cat([(rows.targets == 0).nonzero().flatten(), (rows.targets == 1).nonzero().flatten()[:8]])
    made = run(tmp_path, train=rows.take(few), balance=balance, epochs=30, batch=8, encoder=VGG)
    scores = Supervised(rows, 3, Loss(), prepare, torch.float32)
    small = rows.take(rows.targets == 1)
    assert scores.judge(made.network, small)["accuracy"] > 0.8


# --- numbers, and no labels at all


def numbers(n: int, seed: int) -> Rows:
    """The place of the bar as a number of mean zero and deviation about one."""
    rows = bars(n, seed)
    return Rows(rows.inputs, (rows.targets[:, None].float() - 1) / 0.8)


@pytest.mark.parametrize("loss", [n for n in LOSSES if n not in FOR_CLASSES])
def test_numbers_are_learned(loss: str, tmp_path: Path) -> None:
    made = run(
        tmp_path, train=numbers(200, 0), val=numbers(60, 1), objective="regression", epochs=12, encoder=VGG,
        loss=Loss(name=loss, class_weights="balanced"),  # type: ignore[arg-type]
    )  # fmt: skip
    last = made.history[-1]
    assert (last.train_accuracy, last.val_accuracy) == (None, None)
    assert last.val_r2 is not None
    assert last.val_r2 > 0.8


@pytest.mark.parametrize("loss", FOR_CLASSES)
def test_losses_of_classes_are_refused_for_numbers(loss: str, tmp_path: Path) -> None:
    for objective in ("regression", "autoencoder"):
        with pytest.raises(DeepmineError, match=r"train\.loss\.name: "):
            run(tmp_path, train=numbers(40, 0), objective=objective, loss=Loss(name=loss))  # type: ignore[arg-type]


def test_without_labels_features_tell_the_bars_apart(tmp_path: Path) -> None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    rows, val = bars(300, 0), bars(90, 1)
    nothing = [Rows(r.inputs, torch.empty(len(r), 0)) for r in (rows, val)]
    made = run(
        tmp_path, train=nothing[0], val=nothing[1], objective="autoencoder", epochs=10, batch=30, encoder=VGG,
        augment=AugmentImage(flip=False),
    )  # fmt: skip
    assert made.network.projector is None
    losses = [e.val_loss or 0 for e in made.history]
    assert losses[-1] < losses[0]
    made.network.eval()
    with torch.inference_mode():
        features, errors = made.network(prepare(val.inputs))
    assert errors.shape == (90, 1)
    found = KMeans(3, n_init=3, random_state=0).fit_predict(features.numpy())
    assert adjusted_rand_score(val.targets, found) > 0.5


def test_contrast_is_low_where_a_view_is_nearest_to_its_own_other() -> None:
    one = torch.linalg.qr(torch.randn(8, 64, generator=generator()).T)[0].T  # eight directions at right angles
    others = math.log(math.exp(1 / 0.5) + 14) - 1 / 0.5
    assert float(contrast(one, 5 * one)) == pytest.approx(others, rel=1e-5)
    assert float(contrast(one, one.roll(1, 0))) == pytest.approx(others + 1 / 0.5, rel=1e-5)
    same = one[:1].expand(8, -1)
    assert float(contrast(same, same)) == pytest.approx(math.log(15), rel=1e-5)


@pytest.mark.parametrize("shape", [(6, 3, 9, 7), (6, 1, 9, 7), (6, 11, 2), (6, 5)])
def test_distorted_views_differ_and_repeat(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=generator())
    one, two, other = (distort(x, generator(seed)) for seed in (1, 1, 2))
    assert one.shape == x.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.isfinite(one).all()


def test_distorted_padding_stays_padding() -> None:
    x = torch.randn(6, 11, 2, generator=generator())
    x[:, 8:] = float("nan")
    assert torch.equal(distort(x, generator()).isnan(), x.isnan())
    tokens = torch.randint(1, 9, (6, 11), generator=generator())
    tokens[:, 8:] = 0
    found = distort(tokens, generator())
    assert ((found == tokens) | (found == 0)).all()
    assert 0 < int((found != tokens).sum()) < 40


# --- optimisers over every kind of layer


def test_muon_turns_matrices_alone() -> None:
    from tasks.encoders import build

    tokens = {"kind": "tokens", "shape": (5,), "size": 9}
    for name, chosen in (
        ("attention", {"width": 8, "layers": 1, "heads": 2, "pooling": "attention", "dropout": 0.0}),
        ("gru", {"hidden": 4, "layers": 1, "bidirectional": True, "pooling": "max", "dropout": 0.0, "embedding": 3}),
    ):
        network = Network({"text": build(name, tokens, chosen)}, 2)
        named = {id(p): key for key, p in network.named_parameters()}
        matrices, others, tables, tuned = ([named[id(p)] for p in group] for group in split(network))
        assert matrices
        assert not [k for k in matrices if "embedding" in k or "bias" in k]
        assert [k.rpartition(".")[0].rpartition(".")[2] for k in tables] == ["embedding"]
        assert tuned == []
        assert {*matrices, *others, *tables} == {k for k in named.values() if k.startswith("branches")}
        rates = {id(p): g["lr"] for g in Muon(network, lr=0.1, momentum=0.6, adam_lr=0.02, weight_decay=0.0).param_groups
                 for p in g["params"]}  # fmt: skip
        assert {rates[i] for i, key in named.items() if key in tables} == {0.002}


def test_several_inputs_are_trained_together_and_one_may_be_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = bars(160, 0)
    table = torch.from_numpy(rng.normal(size=(160, 4)).astype(np.float32))
    table[:, 0] += 3 * (rows.targets == 2)
    present = torch.ones(160, 2, dtype=torch.bool)
    present[::5, 0] = False
    present[1::5, 1] = False
    rows.inputs["image"][~present[:, 0]] = 0
    table[~present[:, 1]] = 0
    both = Rows({**rows.inputs, "table": table}, rows.targets, present)
    parts = {
        "image": {"encoder": vars(VGG), "form": image.form(STATE), "state": STATE},
        "table": {"encoder": vars(FFN(hidden=(8,))), "form": {"kind": "vector", "shape": (4,)}, "state": {}},
    }

    def ready(items: Tensors) -> Tensors:
        return {**prepare({"image": items["image"]}), "table": items["table"]}

    def fitted(folder: Path, epochs: int, dies_in: int = 0) -> tuple[Network, list[Epoch]]:
        torch.manual_seed(1)
        network = Card(parts, labels=["a", "b", "c"]).build()
        history, _ = fit(
            network, both.take(slice(120)), both.take(slice(120, None)), dtype=torch.float32, key="key",
            params=Train(epochs=epochs, batch=20, device="cpu"), prepare=ready,
            augment=lambda items, turn, generator: ready(items), checkpoint=folder / "c", progress=Recorder(dies_in),
        )  # fmt: skip
        return network, history

    network, history = fitted(tmp_path / "whole", 8)
    assert (history[-1].val_accuracy or 0) > 0.7
    with pytest.raises(Interrupted):
        fitted(tmp_path / "cut", 8, dies_in=4)
    again, same = fitted(tmp_path / "cut", 8)
    assert same == history
    one, two = network.state_dict(), again.state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)
