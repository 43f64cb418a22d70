"""train: which rows teach what, from a clean store to a model folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.config.encoders import CNN, FFN, Encoders
from tasks.config.train import Augment, AugmentImage, Train
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.encoders.network import Card, Network, load_network
from tasks.encoders.sizes import sized
from tasks.modalities import image
from tasks.storage.names import HISTORY, STATE
from tasks.storage.store import Writer
from tasks.train import resident, train


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.setattr("tasks.encoders.device.cores", lambda: 1)


N, SIDE = 160, 8
STATES: dict[str, dict[str, Any]] = {
    "picture": {"modality": "image", "height": SIDE, "width": SIDE, "mode": "L", "mean": [60.0], "std": [40.0]},
    "table": {"modality": "tabular", "names": ["a", "b", "c"]},
}
SPLIT = (["train"] * 6 + ["val", "test"]) * 20
PLACE = np.random.default_rng(0).integers(0, 3, N)
ENCODERS = Encoders(
    image=CNN(channels=(4,), dense=(16,)), tabular=FFN(hidden=(8,))
)  # fmt: skip
PARAMS = Train(encoders=ENCODERS, epochs=12, batch=20, device="cpu")


def rows() -> dict[str, list[Any]]:
    """Noise with a bar at one of three places, and three numbers of which the first knows the place."""
    rng = np.random.default_rng(1)
    items = rng.integers(0, 100, (N, SIDE, SIDE), dtype=np.uint8)
    for item, place in zip(items, PLACE, strict=True):
        item[:, place * 3 : place * 3 + 2] += 120
    table = rng.normal(size=(N, 3)).astype(np.float32)
    table[:, 0] = 2 * PLACE - 2 + 0.3 * table[:, 0]
    return {"picture": [item.tobytes() for item in items], "table": table.tolist()}


def write_clean(
    folder: Path, label: list[str | None], items: dict[str, list[Any]] | None = None, shard: int = 48
) -> Path:
    """A clean store of those of the inputs that are in ``items``."""
    items = items or rows()
    types = {"picture": pa.binary(SIDE * SIDE), "table": pa.list_(pa.float32(), 3)}
    schema = pa.schema(
        [*((n, pa.string()) for n in ("id", "content", "split", "label")), *((n, types[n]) for n in items)]
    )
    ids = [f"r{i:03d}" for i in range(N)]
    table = pa.table([ids, ids, SPLIT, label, *items.values()], schema=schema)
    writer = Writer(folder, schema, "made by hand")
    for start in range(0, N, shard):
        writer.add(table.slice(start, shard).combine_chunks())
    write_json(folder / STATE, {"inputs": {name: STATES[name] for name in items}})
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    return folder


def fitted(
    folder: Path, label: list[str | None], objective: str = "auto", params: Train = PARAMS, **more: Any
) -> tuple[Network, Card, dict[str, Any], list[dict[str, Any]]]:
    clean = write_clean(folder / "clean", label, **more)
    facts = train(
        params=params, objective=objective, code="code", clean=clean, encoder=folder / "model",
        scratch=folder / "scratch", progress=Progress(quiet=True),
    )  # fmt: skip
    network, card = load_network(folder / "model")
    return network, card, facts, read_json(folder / "model" / HISTORY)["epochs"]


NAMES: list[str | None] = [f"place {place}" for place in PLACE]


@pytest.mark.parametrize("inputs", [("picture",), ("table",), ("picture", "table")])
def test_classes_are_learned_from_one_input_or_both(inputs: tuple[str, ...], tmp_path: Path) -> None:
    items = {name: rows()[name] for name in inputs}
    network, card, facts, history = fitted(tmp_path, NAMES, items=items)
    assert (card.objective, card.labels) == ("classification", ["place 0", "place 1", "place 2"])
    assert list(card.inputs) == list(inputs)
    assert facts["rows"] == SPLIT.count("train")
    assert facts["epochs"] == len(history) == 12
    assert history[-1]["val_accuracy"] > 0.7
    assert network.width == {"picture": 16, "table": 8}.get(inputs[0], 0) + (8 if len(inputs) > 1 else 0)
    # left and right are different classes, so mirror images would teach what is wrong
    assert card.mirror == facts["mirrored"] == []


def test_rows_without_a_label_are_not_learned_from(tmp_path: Path) -> None:
    some = [None if i % 3 == 0 else name for i, name in enumerate(NAMES)]
    *_, facts, history = fitted(tmp_path / "some", some)
    assert facts["rows"] == sum(s == "train" and name is not None for s, name in zip(SPLIT, some, strict=True))
    assert history[-1]["val_accuracy"] > 0.85
    # whatever those rows hold
    items = rows()
    for i in range(0, N, 3):
        items["picture"][i] = bytes(SIDE * SIDE)
    *_, same = fitted(tmp_path / "other", some, items=items)
    assert same == history


def test_a_class_that_only_val_has_is_not_judged(tmp_path: Path) -> None:
    label = [("new" if s == "val" and i % 2 else name) for i, (s, name) in enumerate(zip(SPLIT, NAMES, strict=True))]
    _, card, _, history = fitted(tmp_path, label)
    assert "new" not in card.labels
    assert history[-1]["val_accuracy"] > 0.8


def test_numbers_come_back_on_their_own_scale(tmp_path: Path) -> None:
    wanted = 1000 + 50 * PLACE.astype(float)
    network, card, _, history = fitted(tmp_path, [f"{v:.1f}" for v in wanted], "regression")
    assert history[-1]["val_r2"] > 0.8
    assert history[-1]["val_accuracy"] is None
    train_rows = wanted[np.array(SPLIT) == "train"]
    assert card.mean == pytest.approx([train_rows.mean()])
    assert card.std == pytest.approx([train_rows.std()])
    test = resident(tmp_path / "clean", STATES, np.array(SPLIT) == "test", wanted[:, None], torch.device("cpu"))
    table = test.inputs["table"]
    with torch.inference_mode():
        pictures = image.tensor(test.inputs["picture"], STATES["picture"])
        found = card.verdict(network({"picture": pictures, "table": table}, test.present)[1])
    assert float((found - test.targets).abs().mean()) < 20


def test_several_numbers_are_forecast_at_once(tmp_path: Path) -> None:
    label: list[str | None] = [f"{place} {-place} 5e1" for place in PLACE]
    _, card, _, history = fitted(tmp_path, label, "forecasting")
    assert len(card.mean) == 3
    assert history[-1]["val_r2"] > 0.7  # the third never varies


def test_without_labels_the_inputs_themselves_are_learned(tmp_path: Path) -> None:
    _, card, facts, history = fitted(tmp_path, [None] * N)
    assert card.objective == facts["objective"] == "autoencoder"
    assert facts["rows"] == SPLIT.count("train")
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    # labels make no difference to it
    _, _, _, same = fitted(tmp_path / "labelled", NAMES, "autoencoder")
    assert same == history


def test_rows_may_lack_an_input(tmp_path: Path) -> None:
    items = rows()
    for i in range(0, N, 4):
        items["picture"][i] = None
    for i in range(1, N, 4):
        items["table"][i] = None
    clean = write_clean(tmp_path / "clean", NAMES, items)
    targets = np.arange(N)
    everything = resident(clean, STATES, np.ones(N, bool), targets, torch.device("cpu"))
    assert everything.present is not None
    assert everything.present[:, 0].tolist() == [i % 4 != 0 for i in range(N)]
    assert everything.present[:, 1].tolist() == [i % 4 != 1 for i in range(N)]
    assert not everything.inputs["picture"][::4].any()
    assert not everything.inputs["table"][1::4].any()
    some = np.array(SPLIT) == "val"
    part = resident(clean, STATES, some, targets, torch.device("cpu"))
    assert part.targets.tolist() == targets[some].tolist()
    for name, held in everything.inputs.items():
        assert torch.equal(part.inputs[name], held[some])
    *_, history = fitted(tmp_path, NAMES, items=items)
    assert history[-1]["val_accuracy"] > 0.8


def test_flips_are_found_out_for_images_alone(tmp_path: Path) -> None:
    names: list[str | None] = ["middle" if place == 1 else "side" for place in PLACE]
    augment = Augment(image=AugmentImage(flip=True))
    cases = {"auto": PARAMS, "on": Train(encoders=ENCODERS, epochs=1, batch=20, augment=augment)}
    _, card, *_ = fitted(tmp_path / "auto", names, params=cases["auto"])
    assert card.mirror == ["picture"]
    _, card, *_ = fitted(tmp_path / "on", NAMES, params=cases["on"])
    assert card.mirror == ["picture"]


@pytest.mark.parametrize(
    ("label", "objective", "message"),
    [
        (["a"] * N, "auto", r"1 class\(es\); at least two"),
        ([None] * N, "classification", "no train row has a label"),
        (NAMES, "regression", r"not all numbers, or not equally many per row \(.*'place'\), which 'regression' needs"),
        (["nan"] * N, "regression", r"labels are not all numbers"),
        (["1", "2 3"] * (N // 2), "forecasting", r"labels are not all numbers"),
        (["1"] + [None] * (N - 1), "regression", r"1 train row\(s\)"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    label: list[str | None], objective: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DeepmineError, match=message):
        fitted(tmp_path, label, objective)


def test_the_network_of_a_table_sizes_itself_by_the_train_rows() -> None:
    auto = vars(Train().encoders.tabular)
    assert (auto["hidden"], auto["dropout"]) == ("auto", "auto")
    assert sized(auto, "classification", 700) == {**auto, "hidden": [64], "dropout": 0.8}, "as German credit had it"
    assert sized(auto, "classification", 1000) == sized(auto, "regression", 500)
    assert sized(auto, "regression", 500) == {**auto, "hidden": [256, 128], "dropout": 0.2}
    assert sized(auto, "forecasting", 499) == {**auto, "hidden": [128], "dropout": 0.5}
    assert sized(auto, "autoencoder", 10_000)["hidden"] == [64]
    given = vars(FFN(hidden=(7,), dropout=0.3))
    assert sized(given, "regression", 10_000) == given


def test_what_auto_came_to_stands_in_the_card(tmp_path: Path) -> None:
    params = replace(PARAMS, encoders=replace(ENCODERS, tabular=FFN(hidden="auto", dropout="auto")), epochs=1)
    table = {"table": rows()["table"]}
    _, card, _, _ = fitted(tmp_path, [str(place) for place in PLACE], params=params, items=table)
    assert card.inputs["table"]["encoder"]["hidden"] == [64]
    assert card.inputs["table"]["encoder"]["dropout"] == 0.8
