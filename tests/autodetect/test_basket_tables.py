"""What `deepmine add` makes of baskets, one a line or a row a good."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import add as adding
from tasks.autodetect.preview import findings
from tasks.autodetect.proposal import Proposal, propose
from tasks.config.dataset import Dataset
from tasks.config.loader import load
from tasks.config.parsing import parse
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tests.sources.test_baskets import DATA, needs_data, ragged

ROOT = Path(__file__).parents[2]


def proposed(path: Path, unlabelled: bool = False, items: str = "", **given: Any) -> Proposal:
    made = propose(Source(path=str(path), **given), given, unlabelled, items)
    parse(Dataset, made.entry(), "entry")
    return made


def written(folder: Path, text: str, name: str = "rows.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def pairs(columns: str, seed: int = 0) -> str:
    """80 orders of one to five goods, a row each, with a column that is settled by the order and one that is not."""
    draw = np.random.default_rng(seed)
    rows = [
        f"{order:05d},g{good},{'ab'[order % 2]},{draw.integers(9)}\n"
        for order in range(80)
        for good in draw.permutation(12)[: draw.integers(1, 6)]
    ]
    return columns + "\n" + "".join(rows)


@needs_data
def test_groceries() -> None:
    made = proposed(DATA / "groceries.csv")
    assert made.entry() == {
        "source": {"path": str(DATA / "groceries.csv"), "layout": "baskets"},
        "inputs": {"basket": {"modality": "basket", "columns": ["items"]}},
        "objective": "autoencoder",
    }
    lines = findings(made)
    assert lines[0] == f"{DATA / 'groceries.csv'}: 9,835 baskets, 0.5 MB"
    assert any("1 to 32; 169 distinct items, most often whole milk 26%, other vegetables 19%" in line for line in lines)
    assert "splits   none given: by hash of the id, 20 % test, 10 % val" in lines
    assert lines[-1] == "problem  none seen"


def test_how_a_file_is_written_stands_in_its_entry(tmp_path: Path) -> None:
    text = ragged().replace(",", ";").replace("g", "ö")
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode("cp1252") + b"\n,;\n")
    made = proposed(path)
    assert made.entry()["source"] == {
        "path": str(path), "delimiter": ";", "encoding": "cp1252", "layout": "baskets",
    }  # fmt: skip
    assert any("not UTF-8: read as cp1252" in line for line in findings(made))


def test_a_key_that_a_person_gives_makes_it_a_table(tmp_path: Path) -> None:
    made = proposed(written(tmp_path, "label,a\n" + ragged().replace("g", "x")), label="label")
    assert (made.source.layout, list(made.inputs)) == ("rows", ["table"])


def test_a_row_a_good(tmp_path: Path) -> None:
    path = written(tmp_path, pairs("OrderID,product,shop,price"))
    made = proposed(path, items="product")
    assert made.source == Source(path=str(path), id="OrderID", layout="long")
    assert made.inputs == {"basket": Input(modality="basket", columns=("product",))}
    assert made.objective == "autoencoder"
    lines = findings(made)
    assert lines[0].startswith(f"{path}: 80 baskets")
    assert "left out shop, price (not part of the baskets)" in lines
    assert any("12 distinct items" in line for line in lines)


def test_labels_and_groups_are_those_that_a_basket_has_one_of(tmp_path: Path) -> None:
    path = written(tmp_path, pairs("order_no,good,label,user"))
    made = proposed(path, items="good")
    assert (made.source.id, made.source.label, made.source.group, made.objective) == (
        "order_no", "label", None, "classification",
    )  # fmt: skip
    assert "classes  2: a 40, b 40" in findings(made)
    hidden = proposed(path, unlabelled=True, items="good")
    assert (hidden.source.label, hidden.objective) == ("", "autoencoder")
    path = written(tmp_path, pairs("order_no,good,user,label"))
    made = proposed(path, items="good")
    assert (made.source.group, made.source.label, made.objective) == ("user", "", "autoencoder"), "label changes within"
    assert proposed(path, items="good", id="user").source.id == "user"


@pytest.mark.parametrize(
    ("items", "given", "said"),
    [
        ("goods", {}, r"no column 'goods' of goods\. Did you mean 'good'"),
        ("good", {"id": "ordr"}, r"no column 'ordr' \(the id\)\. Did you mean 'order'"),
        ("good", {}, r"which column says which basket a row belongs to\? It could be a (.*), shop \(2 values\)"),
        ("good", {"id": "line"}, "each row has a value of its own in 'line'"),
    ],
)
def test_what_a_long_table_lacks(tmp_path: Path, items: str, given: dict[str, str], said: str) -> None:
    text = pairs("a,good,shop,price").splitlines()
    if "id" in given:
        text[0] = "order,good,shop,price"
    lines = [f"{line},{'line' if i == 0 else i}\n" for i, line in enumerate(text)]
    with pytest.raises(DeepmineError, match=said):
        proposed(written(tmp_path, "".join(lines)), items=items, **given)
    with pytest.raises(DeepmineError, match="--items is for a table"):
        proposed(tmp_path, items=items)


def test_a_column_of_lists_is_an_input_of_baskets(tmp_path: Path) -> None:
    table = pa.table({"goods": [["milk", "beer"], ["milk"]] * 20, "label": ["a", "b"] * 20})
    pq.write_table(table, tmp_path / "rows.parquet")
    for items in ("", "goods"):
        made = proposed(tmp_path / "rows.parquet", items=items)
        assert made.inputs == {"basket": Input(modality="basket", columns=("goods",))}
        assert (made.source.layout, made.source.label, made.objective) == ("rows", "label", "classification")
    path = written(
        tmp_path, '{"goods": ["milk", "beer"], "label": "a"}\n{"goods": [], "label": "b"}\n' * 9, "rows.jsonl"
    )
    assert proposed(path).inputs["basket"].columns == ("goods",)


def test_the_entry_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ragged(), "shop.txt")
    written(tmp_path, pairs("order,good,shop,price"), "long.csv")
    adding.add("shop", "shop.txt", {})
    adding.add("orders", "long.csv", {"id": "order"}, items="good")
    made = load(tmp_path / "params.yaml")
    assert made["shop"].source == Source(path="shop.txt", layout="baskets")
    assert made["orders"].source == Source(path="long.csv", id="order", layout="long")
    assert made["shop"].inputs["basket"].modality == made["orders"].inputs["basket"].modality == "basket"
    assert "60 baskets" in capsys.readouterr().out
