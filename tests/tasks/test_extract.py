"""Extraction: the same views however rows are sharded, fitted on train rows alone, bound to what made them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import config
from tasks.encoders.network import load_network
from tasks.extract import COMPONENTS, extract
from tasks.progress import Progress
from tasks.store import HISTORY, STATE, Manifest, Writer, read_manifest, write_json
from tasks.train import train
from tasks.views import load_view

N, SIDE = 66, 10
VIEWS = ("deep", "raw", "network")
STATE_OF_ROWS = {
    "input": "image", "modality": "image", "height": SIDE, "width": SIDE, "mode": "L", "mean": [90.0], "std": [60.0],
}  # fmt: skip
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


def write_clean(
    folder: Path, shards: list[int], items: np.ndarray | None = None, state: dict[str, Any] = STATE_OF_ROWS,
    order: np.ndarray = IN_ORDER,
) -> Path:  # fmt: skip
    """A store as `clean` leaves it, of the given numbers of rows each shard."""
    items = pictures() if items is None else items
    names = ("id", "content", "split", "label")
    schema = pa.schema(
        [*((n, pa.string()) for n in names), ("image", pa.binary(SIDE * SIDE))],
        metadata={"input": "image", "modality": "image"},
    )
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
    write_json(folder / STATE, state)
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    return folder


def even(rows: int) -> list[int]:
    return [min(rows, N - start) for start in range(0, N, rows)]


def fit_encoder(folder: Path, clean: Path, seed: int = 0) -> Path:
    params = config.Train(
        encoder=config.VGG(stem=4, channels=(8, 12)), epochs=2, batch=16, seed=seed, device="cpu", precision="float32"
    )
    train(
        params=params, code="code", clean=clean, encoder=folder, scratch=folder / "scratch",
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
    wanted = config.Extract(**{"batch": 16, "components": 6, "device": "cpu", "precision": "float32", **params})
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
    assert facts == {"rows": N, "encoded": N, "device": "cpu", "precision": "float32"}
    return home


def test_training_leaves_a_model_and_its_history(clean: Path, encoder: Path) -> None:
    network, card = load_network(encoder)
    assert card.labels == ["class 0", "class 1", "class 2"]
    assert card.shape == [1, SIDE, SIDE]
    assert card.state == STATE_OF_ROWS
    assert network.head.out_features == 3
    assert [e["epoch"] for e in json.loads((encoder / HISTORY).read_text())] == [1, 2]


@pytest.mark.parametrize("shards", [even(7), even(32), [N], [1, 0, 30, N - 31]], ids=["7", "32", "all", "one empty"])
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
    assert deep.X.shape == (N, network.encoder.width)
    np.testing.assert_allclose(said.X.sum(1), 1, rtol=1e-5)
    weight, bias = (p.detach().numpy() for p in network.head.parameters())
    scores = np.exp(deep.X @ weight.T + bias)
    np.testing.assert_allclose(said.X, scores / scores.sum(1, keepdims=True), rtol=1e-4)
    assert read_manifest(usual / "features" / "network").metadata["labels"] == json.dumps(sorted(set(LABEL)))


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
    card = json.loads((model / "encoder.json").read_text())
    write_json(model / "encoder.json", {**card, "state": state})
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


def test_what_changed_is_made_again(clean: Path, encoder: Path, tmp_path: Path) -> None:
    run(tmp_path, clean, encoder)
    items = pictures()
    items[IDS.index("r41")] += 1  # in the third shard, a row that is not used for fitting
    assert SPLIT[41] != "train"
    changed = write_clean(tmp_path / "clean", even(20), items)
    assert run(tmp_path, changed, encoder)["encoded"] == 20
    assert len(list((tmp_path / "scratch").iterdir())) == 3 * len(even(20))
    assert run(tmp_path, changed, encoder, code="other code")["encoded"] == N
