"""Baskets as a modality: what is repaired and what is rejected, the goods of train rows, what is learned, the chain."""

import os
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from tasks import sources
from tasks.config.clean import Clean, CleanBasket
from tasks.config.dataset import Dataset
from tasks.config.evaluate import Evaluate
from tasks.config.ingest import Ingest
from tasks.config.mine import Mine, Miner
from tasks.config.source import Input, Source
from tasks.config.train import AugmentBasket, Train
from tasks.config.validate import Validate, ValidBasket
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.encoders.decoder import Decoder
from tasks.features.view import load_view
from tasks.ingest import ingest
from tasks.modalities import basket
from tasks.modalities.base import Admitted
from tasks.plan import plan
from tasks.storage.names import STATE
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.store import read, read_manifest
from tests.fixtures import runs

SPEC = Input(modality="basket", columns=("items",))
DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"public data sets are not at {DATA} (DEEPMINE_TEST_DATA)")


def admitted(*baskets: Any, kind: pa.DataType | None = None) -> Admitted:
    column = pa.array(baskets, kind or pa.list_(pa.string()))
    return basket.admit_columns(pa.table({"items": column}), SPEC, Ingest())


def raw(*baskets: list[str] | None) -> pa.Table:
    return pa.table({"": pa.array(baskets, pa.list_(pa.string()))})


def settled(*train: list[str] | None, **params: int) -> dict[str, Any]:
    made = Clean(basket=CleanBasket(**{"min_count": 1} | params))
    return basket.settle(raw(*train), SPEC, made)


def rows(state: dict[str, Any], *baskets: list[str] | None) -> np.ndarray:
    column, reasons = basket.repair_columns(raw(*baskets), SPEC, state)
    column.validate(full=True)
    assert column.type == basket.column_type(state)
    assert reasons == [None] * len(baskets)
    return basket.array(pa.chunked_array([column.slice(0, 1), column.slice(1)]), state)


# what comes in


def test_names_are_mended_and_stand_once() -> None:
    found = admitted(
        [" milk", "milk ", "sour\u00a0 \t cream", "bread"], [], None, ["", " ", None], ["\0a\x07b", "x" * 500, "\u202eevil\u202c"],
        ["Ka\u0308se", "K\u00e4se", "=cmd()|x"],
    )  # fmt: skip
    assert found.columns[""].to_pylist() == [
        ["milk", "sour cream", "bread"], [], None, [], ["a b", "x" * 200, "evil"], ["K\u00e4se", "=cmd()|x"],
    ]  # fmt: skip
    assert found.columns["items"].to_pylist() == [3, 0, None, 0, 3, 2]
    assert found.columns["repeated"].to_pylist() == [1, 0, None, 0, 0, 1]
    assert found.columns["mended"].to_pylist() == [0, 0, None, 0, 3, 0]
    assert [c is None for c in found.content] == [False, False, True, False, False, False]
    assert found.reasons == [None] * 6
    found.columns[""].validate(full=True)


def test_the_order_of_goods_is_no_content_but_the_goods_are() -> None:
    one, other, less, run = admitted(["a", "b"], ["b", "a", "b"], ["a"], ["a b"]).content
    assert one == other
    assert len({one, less, run}) == 3


def test_a_column_a_good_and_columns_that_hold_none(tmp_path: Path) -> None:
    cells = pa.table({"a": ["milk", None, ""], "b": pa.array([7, None, 8], pa.int64()), "c": [[1.5], None, []]})
    spec = Input(modality="basket", columns=("a", "b"))
    assert basket.admit_columns(cells, spec, Ingest()).columns[""].to_pylist() == [["milk", "7"], None, ["8"]]
    cells = cells.slice(1)
    assert basket.admit_columns(cells, spec, Ingest()).columns[""].to_pylist() == [None, ["8"]]
    with pytest.raises(DeepmineError, match=r"column 'items': holds .* where a basket has names of goods"):
        admitted([["a"]], kind=pa.list_(pa.list_(pa.string())))
    assert admitted().columns[""].to_pylist() == []


# what is settled on train rows


def test_the_vocabulary_is_of_train_baskets_and_unknown_goods_are_ignored() -> None:
    train = (["milk", "beer"], ["beer", "eggs"], ["milk"], None, ["tar"], ["zest", "beer"])
    state = settled(*train, min_count=2)
    assert state["vocabulary"] == basket.names(state) == ["beer", "milk"]
    assert (state["goods"], state["seen"]) == (2, 5)
    assert settled(*train, vocabulary=3)["vocabulary"] == ["beer", "eggs", "milk"], "of equal counts the first by name"
    got = rows(state, ["milk", "new", "beer"], ["new"], [], None, ["milk"])
    assert got.tolist() == [[1, 1], [0, 0], [0, 0], [0, 0], [0, 1]]
    assert got.dtype == basket.DTYPE
    column, _ = basket.repair_columns(raw(["new"], None), SPEC, state)
    assert column.is_valid().to_pylist() == [True, False], "a basket of unknown goods is there, a missing one is not"
    assert rows(state).shape == (0, 2)
    with pytest.raises(DeepmineError, match=r"none of the 2 goods in 2 train baskets is in 3 of them.*min_count"):
        settled(["a"], ["b"], min_count=3)


def test_the_raw_view_is_the_basket_and_its_names_are_by_position() -> None:
    state = settled(["b", "a"], ["c"])
    column = pa.chunked_array([basket.repair_columns(raw(["c", "a"], [], ["b"]), SPEC, state)[0]])
    view = basket.raw(column, basket.fit_raw([], state), state)
    assert (view.toarray() == rows(state, ["c", "a"], [], ["b"])).all()
    assert view.dtype == np.float32
    assert [[basket.names(state)[i] for i in row.nonzero()[0]] for row in view.toarray()] == [["a", "c"], [], ["b"]]


def test_goods_are_dropped_at_random_and_none_is_added() -> None:
    items = torch.ones(400, 50, dtype=torch.uint8)
    items[:, 25:] = 0
    turn = torch.zeros(400, dtype=torch.bool)
    seed = torch.Generator().manual_seed(0)
    changed = basket.augment(items, AugmentBasket(drop=0.3), turn, seed)
    assert int(changed[:, 25:].sum()) == 0
    assert float(changed[:, :25].float().mean()) == pytest.approx(0.7, abs=0.02)
    assert int(items.sum()) == 400 * 25, "what was given stays"
    assert basket.augment(items, AugmentBasket(drop=0.0), turn, seed) is items


def test_what_a_person_sees() -> None:
    state = settled(["b", "a"], ["c"])
    assert basket.show([0, 2], {}, state, 40).text == "a, c"
    assert basket.show([0], {"": ["b", "new"], "items": 2}, state, 40).text == "b, new", "as it came"
    assert basket.show([], {}, state, 40).text == basket.show(None, {"": []}, state, 40).text == "empty basket"
    many = [f"good {i}" for i in range(900)]
    text = basket.show(None, {"": many}, state, 40).text
    assert text is not None
    assert len(text) < 220
    assert text.endswith(f"and {900 - text.count('good')} more")
    told = basket.describe(pa.table(admitted(["a", "b", "a"], ["a"], ["\0c", "b", "a"]).columns))
    assert told == (
        "2 goods in the middle, 1 to 3; 3 distinct items, most often a 100%, b 67%, c 33%, 1 with a repeated item, "
        "1 with a corrected name"
    )
    assert basket.describe(pa.table(admitted(None).columns)) == "no basket"
    assert basket.describe(pa.table(admitted([], []).columns)).startswith("0 goods in the middle, 0 to 0, 2 empty; 0 ")


# what is learned


def test_the_decoder_wants_all_goods_of_a_basket_alike_and_nothing_of_an_empty_one() -> None:
    torch.manual_seed(0)
    decoder = Decoder(basket.form(settled(["a", "b", "c", "d"])), 5)
    x = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    features = torch.randn(3, 5)
    with torch.no_grad():
        shares, errors = decoder.layers(features).softmax(1), decoder(features, x)
    assert errors.shape == (3,)
    assert errors[0].item() == pytest.approx(-float(shares[0, :2].log().mean()), rel=1e-5)
    assert errors[1].item() == pytest.approx(-float(shares[1, 3].log()), rel=1e-5)
    assert errors[2].item() == 0.0


# the chain

GOODS = [
    ["milk", "bread", "eggs", "butter"],
    ["beer", "crisps", "salsa", "nuts"],
    ["nappies", "wipes", "talc", "cream"],
]


def planted(n: int, seed: int = 0) -> list[list[str]]:
    """Baskets of three kinds of customers, two to four goods of their kind and now and then another's."""
    draw = np.random.default_rng(seed)
    found = []
    for i in range(n):
        goods = draw.permutation(GOODS[i % 3])[: draw.integers(2, 5)].tolist()
        found.append(goods + ([str(draw.choice(GOODS[(i + 1) % 3]))] if draw.random() < 0.2 else []))
    return found


def dataset(source: Source, column: str, objective: Any = "auto") -> Dataset:
    """A small one: two miners, few epochs."""
    miners = {
        "kmeans": Miner(miner="kmeans", views=("raw", "deep"), params={"n_clusters": 3}),
        "linear_svm": Miner(miner="linear_svm", views=("raw", "deep"), params={"C": 1.0}),
    }
    return Dataset(
        source=source, inputs={"basket": Input(modality="basket", columns=(column,))}, objective=objective,
        train=Train(epochs=4, batch=64, precision="float32"), mine=Mine(miners=miners),
        evaluate=Evaluate(resamples=100),
    )  # fmt: skip


def admit(home: Path, made: Dataset) -> None:
    """What `plan` and `ingest` make of the source."""
    listing = home / "listing.parquet"
    plan(dataset=made, listing=listing, plan=home / "plan.json", warn=lambda text: None)
    ingest(
        source=made.source, inputs=made.inputs, params=made.ingest, code="code", listing=listing, raw=home / "raw",
        unreadable=home / "unreadable", scratch=home / "scratch" / "ingest", warn=lambda text: None,
        progress=Progress(quiet=True),
    )  # fmt: skip


def whole(home: Path, made: Dataset) -> dict[str, Path]:
    """Every stage before the report, all of them real."""
    at = {name: home / name for name in runs.STORES}
    admit(home, made)
    for name in ("validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate"):
        runs.stage(name, made, at, home)
    return at


def kinds(at: dict[str, Path], name: str) -> float:
    """Share of the test rows whose cluster is that of most of their kind of customer."""
    table = read(at["miners"] / "predictions", ["id", "split", name])
    table = table.filter(pc.equal(table["split"], "test"))
    kind = np.array([(int(i) - 1) % 3 for i in table["id"].to_pylist()])
    _, cluster = np.unique(np.array(table[name].to_pylist(), str), return_inverse=True)
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (kind, cluster), 1)
    return float(counts.max(1).sum() / counts.sum())


@pytest.mark.usefixtures("one_thread")
def test_the_chain_without_labels_finds_the_kinds_of_customers(tmp_path: Path) -> None:
    baskets = planted(420)
    lines = [",".join(goods) for goods in baskets] + [","] + ["milk,milk,tar\0"]
    (tmp_path / "baskets.csv").write_text("\n".join(lines) + "\n")
    at = whole(tmp_path, dataset(Source(path=str(tmp_path / "baskets.csv"), layout="baskets"), "items", "autoencoder"))
    lost = read(at["rejected"], QUARANTINE.names).to_pylist()
    assert [(r["id"], r["source"], r["reason"]) for r in lost] == [("000000421", "baskets.csv:421", "too few goods")]
    assert read_manifest(at["clean"]).rows == 421, "equal baskets are no copies"
    state = read_json(at["clean"] / STATE)["inputs"]["basket"]
    assert state["vocabulary"] == sorted(chain.from_iterable(GOODS)), "a good of one basket alone is unknown"
    raw = load_view(at["features"], "raw")
    assert raw.sparse
    assert raw.X.shape == (421, 12)
    assert kinds(at, "kmeans@raw") > 0.9
    assert kinds(at, "kmeans@deep") > 0.9


@pytest.mark.usefixtures("one_thread")
def test_the_chain_with_labels_from_a_long_table(tmp_path: Path) -> None:
    rows = [f"r{i},{good},{'abc'[i % 3]}\n" for i, goods in enumerate(planted(300)) for good in goods]
    rows += ["odd,milk,a\n", "odd,beer,b\n"]
    (tmp_path / "long.csv").write_text("id,good,label\n" + "".join(rows))
    source = Source(path=str(tmp_path / "long.csv"), layout="long", id="id")
    at = whole(tmp_path, dataset(source, "good"))
    assert [(r["id"], r["reason"]) for r in read(at["unreadable"]).to_pylist()] == [("odd", "several labels")]
    table = read(at["miners"] / "predictions", ["split", "label", "linear_svm@raw", "linear_svm@deep"]).to_pandas()
    test = table[table["split"] == "test"]
    assert (test["linear_svm@raw"] == test["label"]).mean() > 0.9
    assert (test["linear_svm@deep"] == test["label"]).mean() > 0.9


def test_splits_are_drawn_by_id_so_that_equal_baskets_are_in_all(tmp_path: Path) -> None:
    (tmp_path / "baskets.csv").write_text("milk\n" * 400 + "beer\n" * 400)
    made = dataset(Source(path=str(tmp_path / "baskets.csv"), layout="baskets"), "items", "autoencoder")
    admit(tmp_path, made)
    table = read(tmp_path / "raw", ["split", "basket"]).to_pandas()
    shares = (table["split"] == "test").groupby(table["basket"].str[0]).mean()
    assert shares.between(0.14, 0.26).all(), "by content each good would be wholly in one split"


@pytest.mark.parametrize(
    ("bounds", "lost"),
    [
        ({}, ["031"]),
        ({"min_items": 2}, ["031", "032"]),
        ({"max_items": 2}, ["030", "031"]),
        ({"min_items": 0}, []),
    ],
)
def test_bounds_of_a_basket(tmp_path: Path, bounds: dict[str, int], lost: list[str]) -> None:
    items: list[list[str]] = [["a", "b"]] * 30 + [["a", "b", "c"], [], ["a", "a"]]
    rows = [{"id": f"{i:03d}", "split": ("train", "test", "val")[i % 3], "label": None, "basket": {"items": goods}}
            for i, goods in enumerate(items)]  # fmt: skip
    made = Dataset(
        source=Source(path="x.csv"), inputs={"basket": SPEC}, objective="autoencoder",
        validate=Validate(basket=ValidBasket(**bounds), max_rejected=0.5),
    )  # fmt: skip
    at = {name: tmp_path / name for name in runs.STORES}
    runs.write_raw(at["raw"], at["unreadable"], made.inputs, rows)
    runs.stage("validate", made, at, tmp_path)
    assert read(at["rejected"], ["id"])["id"].to_pylist() == lost


@needs_data
def test_groceries_as_the_pipeline_has_them() -> None:
    batches = sources.tables(Source(path=str(DATA / "groceries.csv"), layout="baskets"), {"basket": SPEC}, 20_000)
    found = basket.admit_columns(next(iter(batches)).table.select(["items"]), SPEC, Ingest())
    assert pc.sum(found.columns["items"]).as_py() == 43367
    assert "169 distinct items, most often whole milk 26%" in basket.describe(pa.table(found.columns))
