"""Extraction: the same views however rows are sharded, fitted on train rows alone, bound to what made them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.config.encoders import CNN, FFN, VGG, Encoders
from tasks.config.train import Extract, Train
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.encoders.network import Card, load_network, save_network
from tasks.extract import FITTED, extract
from tasks.extraction.raw_view import train_rows
from tasks.extraction.seasonal_naive import forecast
from tasks.features.view import load_view
from tasks.modalities import image, modality
from tasks.storage.names import HISTORY, STATE
from tasks.storage.store import Manifest, Writer, read_manifest
from tasks.train import train

N, SIDE = 66, 10
VIEWS = ("deep", "raw", "network")
STATE_OF_ROWS = {
    "modality": "image", "height": SIDE, "width": SIDE, "mode": "L", "mean": [90.0], "std": [60.0],
}  # fmt: skip
COMPONENTS = f"_image.{FITTED}"
IDS = [f"r{i:02d}" for i in range(N)]
SPLIT = (["train"] * 8 + ["val", "test", "test"]) * 6
LABEL = [f"class {i % 3}" for i in range(N)]
IN_ORDER, MIXED = np.arange(N), np.random.default_rng(1).permutation(N)


def pictures(perturbed: str = "") -> np.ndarray:
    """(N, SIDE * SIDE) uint8 with a bar at each class's place; rows of the split ``perturbed`` are changed."""
    items = np.random.default_rng(0).integers(0, 120, (N, SIDE, SIDE), dtype=np.uint8)
    for i, item in enumerate(items):
        item[:, 3 * (i % 3) : 3 * (i % 3) + 3] += 90
    items[[s == perturbed for s in SPLIT]] //= 2
    return items.reshape(N, -1)


def schema_of_clean() -> pa.Schema:
    """The columns that `clean` writes for these rows."""
    return pa.schema(
        [*((n, pa.string()) for n in ("id", "content", "split", "label")), ("image", pa.binary(SIDE * SIDE))],
        metadata={"inputs": json.dumps({"image": "image"})},
    )


def write_clean(
    folder: Path, shards: list[int], items: np.ndarray | None = None, state: dict[str, Any] = STATE_OF_ROWS,
    order: np.ndarray = IN_ORDER,
) -> Path:  # fmt: skip
    """A store as `clean` leaves it, of the given numbers of rows each shard."""
    items = pictures() if items is None else items
    schema = schema_of_clean()
    writer, start = Writer(folder, schema, "made by hand"), 0
    for rows in shards:
        part = order[start : start + rows]
        ids, split, label = ([values[i] for i in part] for values in (IDS, SPLIT, LABEL))
        columns = [ids, [f"content of {i}" for i in ids], split, label]
        pixels = [item.tobytes() for item in items[part]]
        arrays = [pa.array(c, t) for c, t in zip([*columns, pixels], schema.types, strict=True)]
        writer.add(pa.Table.from_arrays(arrays, schema=schema))
        start += rows
    assert start == N
    write_json(folder / STATE, {"inputs": {"image": state}})
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    return folder


def even(rows: int) -> list[int]:
    return [min(rows, N - start) for start in range(0, N, rows)]


SMALL = Encoders(
    image=VGG(channels=(8, 12)), text=CNN(channels=(6,), dense=(5,), embedding=4),
    series=CNN(channels=(6,), dense=(7,)), tabular=FFN(hidden=(4,)),
)  # fmt: skip


def fit_encoder(folder: Path, clean: Path, seed: int = 0, objective: str = "classification") -> Path:
    params = Train(encoders=SMALL, epochs=2, batch=16, seed=seed, device="cpu", precision="float32")
    train(
        params=params, objective=objective, code="code", clean=clean, encoder=folder, scratch=folder / "scratch",
        progress=Progress(quiet=True),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clean(tmp_path_factory.mktemp("clean"), even(20))


@pytest.fixture(scope="module")
def encoder(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit_encoder(tmp_path_factory.mktemp("encoder"), clean)


def run(home: Path, clean: Path, encoder: Path, code: str = "code", **params: Any) -> dict[str, Any]:
    wanted = Extract(**{"batch": 16, "components": 6, "device": "cpu", "precision": "float32", **params})
    return extract(
        params=wanted, code=code, clean=clean, encoder=encoder, features=home / "features", scratch=home / "scratch",
        progress=Progress(quiet=True),
    )  # fmt: skip


def manifests(home: Path) -> dict[str, Manifest]:
    return {view: read_manifest(home / "features" / view) for view in VIEWS}


def marks(home: Path) -> dict[str, str]:
    return {view: m.metadata["fingerprint"] for view, m in manifests(home).items()}


@pytest.fixture(scope="module")
def usual(clean: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `run` makes of the usual rows and the usual encoder."""
    home = tmp_path_factory.mktemp("usual")
    facts = run(home, clean, encoder)
    assert facts == {"rows": N, "encoded": N, "projected": N, "device": "cpu", "precision": "float32"}
    return home


def test_training_leaves_a_model_and_its_history(clean: Path, encoder: Path) -> None:
    network, card = load_network(encoder)
    assert card.labels == ["class 0", "class 1", "class 2"]
    assert card.inputs["image"]["form"] == {"kind": "maps", "shape": [1, SIDE, SIDE]}
    assert card.inputs["image"]["state"] == STATE_OF_ROWS
    assert network.head is not None
    assert network.head.out_features == 3
    assert [e["epoch"] for e in read_json(encoder / HISTORY)["epochs"]] == [1, 2]


@pytest.mark.parametrize("shards", [even(7), even(32), [N], [1, 0, 30, 0, N - 31]], ids=["7", "32", "all", "two empty"])
def test_the_sharding_does_not_matter(shards: list[int], usual: Path, encoder: Path, tmp_path: Path) -> None:
    run(tmp_path, write_clean(tmp_path / "clean", shards), encoder)
    wanted, found = manifests(usual), manifests(tmp_path)
    assert {v: m.row_digest for v, m in found.items()} == {v: m.row_digest for v, m in wanted.items()}
    assert marks(tmp_path) == marks(usual)
    assert [s.rows for s in found["deep"].shards] == shards
    assert len({m.row_digest for m in found.values()}) == 3


def test_the_views_are_what_the_model_says(usual: Path, encoder: Path) -> None:
    network, _ = load_network(encoder)
    deep, said = (load_view(usual / "features", v) for v in ("deep", "network"))
    assert deep.ids.tolist() == IDS
    assert deep.split.tolist() == SPLIT
    assert deep.label.tolist() == LABEL
    assert deep.X.shape == (N, network.width)
    assert network.head is not None
    np.testing.assert_allclose(said.X.sum(1), 1, rtol=1e-5)
    weight, bias = (p.detach().numpy() for p in network.head.parameters())
    scores = np.exp(deep.X @ weight.T + bias)
    np.testing.assert_allclose(said.X, scores / scores.sum(1, keepdims=True), rtol=1e-4)
    metadata = read_manifest(usual / "features" / "network").metadata
    assert (metadata["labels"], metadata["objective"]) == (json.dumps(sorted(set(LABEL))), "classification")
    slices = read_manifest(usual / "features" / "deep").metadata["slices"]
    assert json.loads(slices) == {"image": [0, network.width]}


def test_the_raw_view_is_a_projection_of_the_train_rows(usual: Path) -> None:
    raw = load_view(usual / "features", "raw")
    pixels = pictures().astype(np.float64) / 255
    chosen = pixels[raw.rows("train")]
    _, _, axes = np.linalg.svd(chosen - chosen.mean(0), full_matrices=False)
    wanted = (pixels - chosen.mean(0)) @ axes[:6].T
    np.testing.assert_allclose(np.abs(raw.X), np.abs(wanted), atol=1e-4)


def test_the_schema_says_what_made_the_rows(usual: Path) -> None:
    for view, mark in marks(usual).items():
        files = sorted((usual / "features" / view).glob("*.parquet"))
        assert len(files) == len(even(20))
        for file in files:
            metadata = pq.read_schema(file).metadata
            assert metadata[b"fingerprint"].decode() == mark
            assert metadata[b"view"].decode() == view
    assert marks(usual)["deep"] == marks(usual)["network"] != marks(usual)["raw"]


def test_pandas_reads_the_vectors(usual: Path) -> None:
    frame = pd.read_parquet(usual / "features" / "deep")
    assert frame["id"].tolist() == IDS
    assert np.array_equal(np.stack(frame["deep"]), load_view(usual / "features", "deep").X)


def test_other_weights_are_another_feature_space(usual: Path, clean: Path, tmp_path: Path) -> None:
    run(tmp_path, clean, fit_encoder(tmp_path / "encoder", clean, seed=1))
    assert marks(tmp_path)["deep"] != marks(usual)["deep"]
    assert marks(tmp_path)["raw"] == marks(usual)["raw"]


def test_another_cleaning_is_another_feature_space(usual: Path, encoder: Path, tmp_path: Path) -> None:
    state = {**STATE_OF_ROWS, "mean": [91.0]}
    other = write_clean(tmp_path / "clean", even(20), state=state)
    model = shutil.copytree(encoder, tmp_path / "encoder")
    card = read_json(model / "encoder.json")
    card["inputs"][0]["state"] = state
    write_json(model / "encoder.json", card)
    run(tmp_path, other, model)
    assert all(marks(tmp_path)[view] != marks(usual)[view] for view in VIEWS)


def test_another_precision_is_another_feature_space(usual: Path, clean: Path, encoder: Path, tmp_path: Path) -> None:
    facts = run(tmp_path, clean, encoder, precision="bfloat16")
    assert facts["precision"] == "bfloat16"
    assert marks(tmp_path)["deep"] != marks(usual)["deep"]
    one, two = (load_view(home / "features", "deep").X for home in (usual, tmp_path))
    assert not np.array_equal(one, two)
    assert np.abs(one - two).max() < 0.1 * one.std()


@pytest.mark.parametrize(("split", "same"), [("test", True), ("val", True), ("train", False)])
def test_components_are_fitted_on_train_rows_alone(
    split: str, same: bool, usual: Path, encoder: Path, tmp_path: Path
) -> None:
    run(tmp_path, write_clean(tmp_path / "clean", even(20), pictures(split)), encoder)
    one, two = ((home / "features" / COMPONENTS).read_bytes() for home in (usual, tmp_path))
    assert (one == two) is same
    assert (marks(tmp_path)["raw"] == marks(usual)["raw"]) is same
    assert manifests(tmp_path)["raw"].row_digest != manifests(usual)["raw"].row_digest


@pytest.mark.parametrize("fit_rows", [20, 4])
def test_the_rows_of_the_fit_do_not_depend_on_shards_or_order(fit_rows: int, encoder: Path, tmp_path: Path) -> None:
    found = []
    for name, shards, order in (("a", even(7), IN_ORDER), ("b", [N], MIXED)):
        home = tmp_path / name
        run(home, write_clean(home / "clean", shards, order=order), encoder, fit_rows=fit_rows)
        found.append((home / "features" / COMPONENTS).read_bytes())
        assert load_view(home / "features", "raw").X.shape[1] == min(6, fit_rows)
    assert found[0] == found[1]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_repeated_run_makes_only_what_is_missing(usual: Path, clean: Path, encoder: Path, tmp_path: Path) -> None:
    run(tmp_path, clean, encoder)
    wanted = contents(tmp_path / "features")
    assert wanted == contents(usual / "features")
    assert run(tmp_path, clean, encoder)["encoded"] == 0
    assert contents(tmp_path / "features") == wanted

    def scratch_of(view: str, shard: int) -> Path:
        made = (tmp_path / "features" / view / f"{shard:05d}.parquet").read_bytes()
        [path] = [p for p in (tmp_path / "scratch").glob(f"*.{view}-*") if p.read_bytes() == made]
        return path

    scratch_of("deep", 1).unlink()
    scratch_of("raw", 1).unlink()
    damaged = scratch_of("network", 3)  # the last and smallest shard
    data = damaged.read_bytes()
    damaged.unlink()  # a new file: the old one is hard-linked into the features
    damaged.write_bytes(data[:-1])
    assert run(tmp_path, clean, encoder)["encoded"] == even(20)[1] + even(20)[3]
    assert contents(tmp_path / "features") == wanted


def grown(tmp_path: Path, split: str) -> tuple[Path, Path]:
    """100 shards of rows, and the same with one more shard of rows of ``split`` at the end."""

    def write(folder: Path, shards: int) -> Path:
        rows = np.random.default_rng(0).integers(0, 256, (101 * 4, SIDE * SIDE), dtype=np.uint8)
        writer = Writer(folder, schema_of_clean(), "made by hand")
        for n in range(shards):
            ids = [f"{n:03d}-{i}" for i in range(4)]
            splits = [split] * 4 if n == 100 else ["train", "train", "val", "test"]
            pixels = pa.array([row.tobytes() for row in rows[4 * n : 4 * n + 4]], pa.binary(SIDE * SIDE))
            arrays = [*map(pa.array, (ids, ids, splits, ["class 0"] * 4)), pixels]
            writer.add(pa.Table.from_arrays(arrays, schema=schema_of_clean()))
        write_json(folder / STATE, {"inputs": {"image": STATE_OF_ROWS}})
        writer.finish({"in": 4 * shards, "accepted": 4 * shards, "quarantined": {}})
        return folder

    return write(tmp_path / "before", 100), write(tmp_path / "after", 101)


@pytest.mark.parametrize(("split", "projected"), [("test", 4), ("train", 404)])
def test_one_percent_more_rows_are_one_percent_of_the_work(
    split: str, projected: int, encoder: Path, tmp_path: Path
) -> None:
    before, after = grown(tmp_path, split)
    run(tmp_path / "home", before, encoder)
    kept = {(v, f.name): f.stat().st_ino for v in VIEWS for f in (tmp_path / "home/features" / v).glob("*.parquet")}
    facts = run(tmp_path / "home", after, encoder)
    # train rows are what the raw view is fitted on: with more of them it is another one, without another forward pass
    assert (facts["encoded"], facts["projected"]) == (4, projected)
    for (view, name), inode in kept.items():
        if view != "raw" or split == "test":
            assert (tmp_path / "home/features" / view / name).stat().st_ino == inode
    run(tmp_path / "full", after, encoder)
    assert contents(tmp_path / "full" / "features") == contents(tmp_path / "home" / "features")


COLOUR = {"height": 48, "width": 48, "mode": "RGB", "mean": [120.0] * 3, "std": [60.0] * 3}
SMALL_CNN = {
    "channels": [4], "kernel": 3, "pooling": "max", "activation": "relu", "dense": [8], "dropout": 0.0,
    "embedding": 4,
}  # fmt: skip
PEAK = """
import resource, sys
from pathlib import Path
from tests.verbs.test_extract import run
run(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), batch=128, fit_rows=500)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    state = {**STATE_OF_ROWS, **COLOUR}
    part = {"encoder": {"name": "cnn", **SMALL_CNN}, "form": image.form(state), "state": state}
    card = Card({"image": part}, labels=["class 0", "class 1"])
    save_network(tmp_path / "encoder", card.build(), card)
    for shards in (6, 60):
        clean = write_colour(tmp_path / f"clean{shards}", shards)
        command = [sys.executable, "-c", PEAK, str(tmp_path / f"home{shards}"), str(clean), str(tmp_path / "encoder")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.2 * peaks[0]


def write_colour(folder: Path, shards: int) -> Path:
    """A clean store of ``shards`` times 500 colour images of 48 x 48 noise, which come to 3.5 MB a shard."""
    schema = pa.schema(
        [*list(schema_of_clean())[:4], ("image", pa.binary(48 * 48 * 3))], metadata=schema_of_clean().metadata
    )
    writer, rng = Writer(folder, schema, "made by hand"), np.random.default_rng(0)
    for n in range(shards):
        ids = [f"{n}-{i}" for i in range(500)]
        pixels = pa.array([rng.bytes(48 * 48 * 3) for _ in ids], schema.types[-1])
        arrays = [*map(pa.array, (ids, ids, ["train"] * 500, [LABEL[i % 3] for i in range(500)])), pixels]
        writer.add(pa.Table.from_arrays(arrays, schema=schema))
    write_json(folder / STATE, {"inputs": {"image": {**STATE_OF_ROWS, **COLOUR}}})
    writer.finish({"in": 500 * shards, "accepted": 500 * shards, "quarantined": {}})
    return folder


def test_what_changed_is_made_again(clean: Path, encoder: Path, tmp_path: Path) -> None:
    run(tmp_path, clean, encoder)
    items = pictures()
    items[IDS.index("r41")] += 1  # in the third shard, a row that is not used for fitting
    assert SPLIT[41] != "train"
    changed = write_clean(tmp_path / "clean", even(20), items)
    assert run(tmp_path, changed, encoder)["encoded"] == 20
    assert len(list((tmp_path / "scratch").iterdir())) == 3 * len(even(20))
    assert run(tmp_path, changed, encoder, code="other code")["encoded"] == N


WORDS = ["red", "green", "blue", "small", "large", "round"]
STATES: dict[str, dict[str, Any]] = {
    "image": STATE_OF_ROWS,
    "note": {"modality": "text", "lower": True, "tokens": "word", "length": 5, "vocabulary": WORDS},
    "past": {
        "modality": "series", "length": 12, "channels": 2, "missing": "zero", "scale": "standard", "median": [0.0, 0.0],
        "iqr": [1.0, 1.0], "mean": [0.0, 0.0], "std": [1.0, 1.0], "minimum": [-1.0, -1.0], "maximum": [1.0, 1.0],
    },
    "table": {"modality": "tabular", "names": ["a", "b", "c"], "dropped": {}, "required": [], "outliers": None,
              "hashed": [], "files": {}},
}  # fmt: skip


def items_of(name: str) -> list[Any]:
    """The cleaned items of an input, which every seventh row lacks, another input other rows."""
    rng = np.random.default_rng(len(name))
    made: list[Any]
    if name == "image":
        made = [item.tobytes() for item in pictures()]
    elif name == "note":
        made = [" ".join([WORDS[i % 3], *rng.choice(WORDS, 3)]) for i in range(N)]
    elif name == "past":
        steps = np.sin(2 * np.pi * (np.arange(N)[:, None, None] + np.arange(12)[:, None] + [0, 1]) / 4)  # (N, 12, 2)
        made = [row.astype("<f4").tobytes() for row in steps]
    else:
        made = [[float(i % 3), float(v), 1.0] for i, v in enumerate(rng.normal(size=N))]
    gap = list(STATES).index(name)
    return [None if i % 7 == gap else item for i, item in enumerate(made)]


def write_several(
    folder: Path, *names: str, labels: list[str | None] = LABEL, shards: list[int] | None = None, whole: bool = False
) -> Path:  # fmt: skip
    """A clean store with the named inputs; ``whole``: no row lacks one."""
    kinds = {name: modality(STATES[name]["modality"]).column_type(STATES[name]) for name in names}
    schema = pa.schema([*((n, pa.string()) for n in ("id", "content", "split", "label")), *kinds.items()])
    columns = {"id": IDS, "content": IDS, "split": SPLIT, "label": labels} | {name: items_of(name) for name in names}
    table = pa.table({f.name: pa.array(columns[f.name], f.type) for f in schema}, schema=schema)
    if whole:
        table = table.filter([all(v is not None for v in row.values()) for row in table.select(names).to_pylist()])
    writer, start = Writer(folder, schema, "made by hand"), 0
    for rows in shards or [table.num_rows]:
        writer.add(table.slice(start, rows).combine_chunks())
        start += rows
    write_json(folder / STATE, {"inputs": {name: STATES[name] for name in names}})
    writer.finish({"in": table.num_rows, "accepted": table.num_rows, "quarantined": {}})
    return folder


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views of rows with an image, a text and a table, of which each may be missing."""
    home = tmp_path_factory.mktemp("several")
    clean = write_several(home / "clean", "image", "note", "table")
    run(home, clean, fit_encoder(home / "encoder", clean))
    return home


def test_what_is_missing_is_zero_in_its_part_of_the_features(several: Path) -> None:
    deep = load_view(several / "features", "deep")
    slices = json.loads(read_manifest(several / "features" / "deep").metadata["slices"])
    assert list(slices) == ["image", "note", "table"]
    assert slices["table"][1] == deep.X.shape[1] == 12 + 5 + 4
    for name, (start, end) in slices.items():
        gap = list(STATES).index(name)
        found = np.abs(deep.X[:, start:end]).sum(1) > 0
        assert not found[gap::7].any()
        assert found.any()  # small networks of rectified units are silent on many rows
    said = load_view(several / "features", "network")
    np.testing.assert_allclose(said.X.sum(1), 1, rtol=1e-5)


def test_the_network_is_told_which_inputs_are_there(several: Path) -> None:
    network, _ = load_network(several / "encoder")
    deep, said = (load_view(several / "features", v) for v in ("deep", "network"))
    present = np.stack([np.arange(N) % 7 != list(STATES).index(name) for name in ("image", "note", "table")], 1)
    assert network.head is not None
    weight, bias = (p.detach().numpy() for p in network.head.parameters())
    scores = np.exp(np.concatenate([deep.X, present], 1) @ weight.T + bias)
    np.testing.assert_allclose(said.X, scores / scores.sum(1, keepdims=True), rtol=1e-4)


def test_the_raw_view_of_several_inputs_is_sparse_where_one_of_them_is(several: Path) -> None:
    raw = load_view(several / "features", "raw")
    assert raw.sparse
    assert [(part.sparse, part.columns) for part in raw.parts] == [(False, False), (True, False), (False, True)]
    values, ends = raw.X.toarray(), np.cumsum([part.width for part in raw.parts])
    for start, end, name in zip([0, *ends], ends, ("image", "note", "table"), strict=False):
        assert not values[list(STATES).index(name) :: 7, start:end].any()
        assert values[:, start:end].any(1).sum() > N // 2
    table = np.array([item or [0.0] * 3 for item in items_of("table")], np.float32)
    np.testing.assert_array_equal(values[:, ends[1] :], table)
    lengths = np.linalg.norm(values[np.arange(N) % 7 != 1, ends[0] : ends[1]], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


def test_dense_inputs_side_by_side_stay_dense(tmp_path: Path) -> None:
    clean = write_several(tmp_path / "clean", "image", "table")
    run(tmp_path, clean, fit_encoder(tmp_path / "encoder", clean))
    raw = load_view(tmp_path / "features", "raw")
    assert isinstance(raw.X, np.ndarray)
    assert raw.X.shape == (N, 6 + 3)
    assert not raw.X[0::7, :6].any()
    assert not raw.X[3::7, 6:].any()


@pytest.mark.parametrize("shards", [even(7), [1, 0, 30, 0, N - 31]], ids=["7", "two empty"])
def test_several_inputs_in_any_shards(several: Path, tmp_path: Path, shards: list[int]) -> None:
    run(tmp_path, write_several(tmp_path / "clean", "image", "note", "table", shards=shards), several / "encoder")
    wanted, found = manifests(several), manifests(tmp_path)
    assert {v: m.row_digest for v, m in found.items()} == {v: m.row_digest for v, m in wanted.items()}
    assert marks(tmp_path) == marks(several)


def test_what_is_missing_is_not_fitted_on(several: Path, tmp_path: Path) -> None:
    whole = write_several(tmp_path / "clean", "image", "note", "table", whole=True)
    for name in ("image", "note"):
        state = STATES[name]
        here = train_rows(several / "clean", name, state, 1000)
        gap = list(STATES).index(name)
        assert len(here) == sum(s == "train" and i % 7 != gap for i, s in enumerate(SPLIT))
        assert here.any(axis=tuple(range(1, here.ndim))).all()
    assert len(train_rows(whole, "image", STATE_OF_ROWS, 1000)) < len(here)


def test_without_labels_the_verdict_is_how_well_a_row_is_rebuilt(tmp_path: Path) -> None:
    clean = write_several(tmp_path / "clean", "image", "table", labels=[None] * N)
    run(tmp_path, clean, fit_encoder(tmp_path / "encoder", clean, objective="auto"))
    deep, said = (load_view(tmp_path / "features", v) for v in ("deep", "network"))
    assert not deep.known.any()
    assert said.X.shape == (N, 1)
    assert (said.X > 0).all()
    assert read_manifest(tmp_path / "features" / "network").metadata["objective"] == "autoencoder"


def test_predicted_numbers_are_on_the_scale_of_the_labels(tmp_path: Path) -> None:
    labels: list[str | None] = [str(5000.0 + 10 * (i % 3)) for i in range(N)]
    labels[4] = None  # it is predicted all the same
    clean = write_several(tmp_path / "clean", "image", "table", labels=labels)
    run(tmp_path, clean, fit_encoder(tmp_path / "encoder", clean, objective="regression"))
    said = load_view(tmp_path / "features", "network")
    assert said.X.shape == (N, 1)
    assert (np.abs(said.X - 5010) < 100).all()
    assert not said.known[4]
    metadata = read_manifest(tmp_path / "features" / "network").metadata
    assert (metadata["objective"], json.loads(metadata["labels"])) == ("regression", [])
    assert not (tmp_path / "features" / "naive").exists()


def test_a_forecast_has_the_season_before_beside_it(tmp_path: Path) -> None:
    future = np.sin(2 * np.pi * (np.arange(N)[:, None, None] + np.arange(12, 15)[:, None] + [0, 1]) / 4)  # (N, 3, 2)
    labels: list[str | None] = [" ".join(map(str, row.reshape(-1))) for row in future]
    clean = write_several(tmp_path / "clean", "past", "table", labels=labels, shards=even(20))
    model = fit_encoder(tmp_path / "encoder", clean, objective="forecasting")
    run(tmp_path, clean, model)
    naive, said = (load_view(tmp_path / "features", v) for v in ("naive", "network"))
    assert naive.X.shape == said.X.shape == (N, 6)
    assert read_manifest(tmp_path / "features" / "naive").metadata["season"] == "4"
    there = np.arange(N) % 7 != list(STATES).index("past")
    np.testing.assert_allclose(naive.X[there], future.reshape(N, -1)[there], atol=1e-6)
    run(tmp_path, clean, model, season=3)
    windows = modality("series").array(pa.chunked_array([pa.array(items_of("past"), pa.binary())]), STATES["past"])
    np.testing.assert_array_equal(load_view(tmp_path / "features", "naive").X, forecast(windows, 3, 3))


@pytest.mark.parametrize("fitted_on", ["components", "n-grams"])
def test_fitted_parts_of_several_inputs_know_train_rows_alone(several: Path, tmp_path: Path, fitted_on: str) -> None:
    name = {"components": "image", "n-grams": "note"}[fitted_on]
    shutil.copytree(several / "clean", tmp_path / "clean")
    table = pq.read_table(tmp_path / "clean" / "00000.parquet")
    values = table[name].to_pylist()
    swap = {"image": lambda v: bytes(255 - b for b in v), "note": lambda v: "blue blue blue blue"}[name]
    changed = [swap(v) if v is not None and s == "test" else v for v, s in zip(values, SPLIT, strict=True)]
    assert changed != values
    other = table.set_column(table.column_names.index(name), name, pa.array(changed, table.schema.field(name).type))
    writer = Writer(tmp_path / "clean", table.schema, "made by hand", keep=[STATE])
    writer.add(other.cast(table.schema))
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    run(tmp_path, tmp_path / "clean", several / "encoder")
    one, two = ((home / "features" / f"_{name}.{FITTED}").read_bytes() for home in (several, tmp_path))
    assert one == two
    assert manifests(tmp_path)["raw"].row_digest != manifests(several)["raw"].row_digest
    assert marks(tmp_path)["raw"] == marks(several)["raw"]
