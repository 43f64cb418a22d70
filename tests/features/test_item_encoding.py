"""What is known of each row in words: right for each row, told by train rows alone, the same however sharded."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.config.clean import Clean, CleanBasket, CleanText
from tasks.config.source import Input
from tasks.features.item_encoding import fit, held, named, unique
from tasks.features.items import MOST_LEVELS, Items, load_items
from tasks.modalities import image, modality
from tasks.modalities.raw_schema import raw_schema
from tasks.storage.store import read, read_manifest
from tests.fixtures.images import encode
from tests.fixtures.runs import write_raw
from tests.fixtures.sounds import encode as wav
from tests.fixtures.sounds import tone
from tests.verbs import test_clean

TABLE = Input(modality="tabular", columns=("age", "job", "since"), categorical=("job",), date=("since",))


def made(
    home: Path, inputs: dict[str, Input], rows: list[dict[str, Any]], ends: list[int] | None = None,
    params: Clean | None = None,
) -> Items:  # fmt: skip
    """The items that clean writes of ``rows``, in raw shards that end at ``ends``."""
    write_raw(home / "raw", home / "unreadable", inputs, [{"label": "a", **row} for row in rows])
    if ends:
        test_clean.write_raw(home, read(home / "raw"), ends)
    test_clean.again(home, inputs, params or Clean())
    return load_items(home / "items")


def of(items: Items) -> dict[str, set[str]]:
    """The names of each row's items."""
    rows = items.view.X.toarray().astype(bool)
    return {
        i: {n for n, there in zip(items.names, row, strict=True) if there}
        for i, row in zip(items.view.ids, rows, strict=True)
    }


def people(count: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "id": f"{i:03d}", "split": "train" if i % 4 else "test",
            "table": {
                "age": None if i % 10 == 3 else float(rng.integers(18, 90)), "job": str(rng.choice(["cook", "smith"])),
                "since": datetime(int(rng.integers(2001, 2020)), int(rng.integers(1, 13)), 5),
            },
        }
        for i in range(count)
    ]  # fmt: skip


def holds(name: str, row: dict[str, Any]) -> bool:
    """Whether an item's name is true of a row of `people`, read as a person reads it."""
    known = {"age": row["age"], "year of since": row["since"].year}
    for column, value in known.items():
        if name.startswith(f"{column} ") or f" {column} " in name:
            return value is not None and bool(eval(name.replace(column, "x"), {"x": value}))
    weekday, month = f"{row['since']:%A}", f"{row['since']:%B}"
    return {
        "age missing": row["age"] is None, f"job={row['job']}": True, f"weekday of since={weekday}": True,
        f"month of since={month}": True,
    }.get(name, False)  # fmt: skip


def test_every_item_of_a_table_is_true_of_its_rows_and_of_no_other(tmp_path: Path) -> None:
    rows = people()
    found = made(tmp_path, {"table": TABLE}, rows, [13, 26, 40])
    told = of(found)
    for row in rows:
        own = {name for name in found.names if name == "age missing" or not name.startswith("age missing")}
        wanted = {name for name in own if (name == "age missing" and row["table"]["age"] is None)}
        wanted |= {name for name in own - {"age missing"} if holds(name, row["table"])}
        assert told[row["id"]] == wanted
    attributes = dict(zip(found.names, found.attributes, strict=True))
    assert set(attributes.values()) == {"age", "job", "year of since", "month of since", "weekday of since"}
    assert attributes["age missing"] == "age"
    sizes = [
        found.view.X[found.view.rows("train")][:, [i]].sum() for i, a in enumerate(attributes.values()) if a == "age"
    ]
    assert max(sizes[:4]) - min(sizes[:4]) <= 3  # quarters of the train rows


@pytest.mark.parametrize("ends", [[40], [1, 2, 40], [20, 40]])
def test_shards_make_no_difference(tmp_path: Path, ends: list[int]) -> None:
    first = made(tmp_path / "a", {"table": TABLE}, people(), [13, 26, 40])
    other = made(tmp_path / "b", {"table": TABLE}, people(), ends)
    assert (first.names, first.attributes) == (other.names, other.attributes)
    assert of(first) == of(other)
    assert len(read_manifest(tmp_path / "b" / "items").shards) == len(ends)


def test_items_know_train_rows_alone(tmp_path: Path) -> None:
    rows = people()
    first = made(tmp_path / "a", {"table": TABLE}, rows)
    strange = {"age": 1e6, "job": "diver", "since": datetime(1900, 1, 1)}
    changed = [row | {"table": strange} if row["split"] == "test" else row for row in rows]
    other = made(tmp_path / "b", {"table": TABLE}, changed)
    assert first.names == other.names
    told = of(other)
    assert all(of(first)[row["id"]] == told[row["id"]] for row in rows if row["split"] == "train")
    # beyond the last cut is the last interval; a level that train rows had not is no item
    [top] = [name for name in first.names if name.startswith("age >= ")]
    [early] = [name for name in first.names if name.startswith("year of since < ")]
    assert told["000"] == {top, early, "month of since=January", "weekday of since=Monday"}


def test_fitted_cuts_stand_beside_the_items(tmp_path: Path) -> None:
    found = made(tmp_path, {"table": TABLE}, people())
    fitted = json.loads(read_manifest(tmp_path / "items").metadata["fitted"])
    assert fitted["job"] == {"levels": ["cook", "smith"]}
    assert len(fitted["age"]["cuts"]) == 3
    assert fitted["age missing"] == {}
    assert named(fitted, {}) == (list(found.names), list(found.attributes))


def test_added_rows_change_no_old_items_and_old_shards_are_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"id": f"{i:02d}", "split": "train" if i < 20 else "test", "image": picture(i * 6)} for i in range(30)
    ]  # fmt: skip
    asked: list[int] = []
    counted = replace(image.MODALITY, measure=lambda *a: asked.append(a[0].num_rows) or image.measure(*a))
    monkeypatch.setattr(image, "MODALITY", counted)
    first = of(made(tmp_path, {"image": Input()}, rows[:24], [10, 24]))
    assert asked == [10, 14]
    asked.clear()
    second = of(made(tmp_path, {"image": Input()}, rows, [10, 24, 30]))
    assert asked == [6]
    assert first == {key: second[key] for key in first}
    assert len(second) == 30


def picture(grey: int, height: int = 8, width: int = 8) -> bytes:
    return encode(np.full((height, width), grey, np.uint8))


def test_light_and_dark_and_sides_of_pictures(tmp_path: Path) -> None:
    rows = [
        {"id": f"{i:02d}", "split": "train", "image": picture(10 if i < 10 else 240, width=8 if i % 2 else 16)}
        for i in range(20)
    ]
    found = made(tmp_path, {"image": Input()}, rows)
    told = of(found)
    dark, light = ({name for name in told[i] if "brightness" in name} for i in ("00", "19"))
    assert all(
        {n for n in told[r["id"]] if "brightness" in n} == (dark if i < 10 else light) for i, r in enumerate(rows)
    )
    assert dark != light
    assert {i for i in told if "width in pixels=16" in told[i]} == {f"{i:02d}" for i in range(0, 20, 2)}
    assert not any("height" in name or "contrast" in name for name in found.names)  # equal in all


def test_measures_of_sounds_texts_and_series(tmp_path: Path) -> None:
    loud = {"id": "a", "split": "train", "audio": wav(tone(440, seconds=0.5))}
    quiet = {"id": "b", "split": "train", "audio": wav(0.01 * tone(440, seconds=0.25))}
    told = of(made(tmp_path / "audio", {"audio": Input(modality="audio")}, [loud, quiet]))
    assert {"seconds=0.5"} <= told["a"]
    assert {"seconds=0.25"} <= told["b"]
    assert len([n for n in told["a"] ^ told["b"] if n.startswith("loudness in dB=")]) == 2
    spec = Input(modality="text", columns=("body",))
    rows = [{"id": "a", "split": "train", "text": {"body": "WIN 500 now"}}, {"id": "b", "split": "train",
            "text": {"body": "see you"}}, {"id": "c", "split": "test", "text": {"body": "55"}}]  # fmt: skip
    params = Clean(text=CleanText(min_count=1))
    told = of(made(tmp_path / "text", {"text": spec}, rows, params=params))
    assert told == {"a": {"words=3", "digits=3", "capitals in % of letters=50", "“now”", "“win”"},
                    "b": {"words=2", "digits=0", "capitals in % of letters=0", "“see”", "“you”"}, "c": set()}  # fmt: skip
    spec = Input(modality="series", columns=("s", "t"))
    rows = [{"id": "a", "split": "train", "series": {"s": [1.0, 3.0], "t": [5.0, 5.0]}},
            {"id": "b", "split": "train", "series": {"s": [2.0, 2.0, 2.0], "t": [7.0, None, 7.0]}}]  # fmt: skip
    told = of(made(tmp_path / "series", {"series": spec}, rows))
    assert told["a"] == {"length in steps=2", "missing in %=0", "mean level of t=5", "spread of s=1"}
    assert len(told["b"]) == 4
    assert {"length in steps=3", "mean level of t=7", "spread of s=0"} <= told["b"]


def test_a_measure_of_a_row_depends_on_no_other_row() -> None:
    rng = np.random.default_rng(0)
    state = {"height": 5, "width": 7, "mode": "RGB"}
    items = rng.integers(0, 256, (9, 105), np.uint8)
    column = pa.chunked_array([pa.array([row.tobytes() for row in items], pa.binary(105))])
    facts = pa.table({"width": np.arange(9), "height": np.arange(9)})
    whole = image.measure(facts, column, Input(), state)
    for i in range(9):
        one = image.measure(facts.slice(i, 1), column.slice(i, 1), Input(), state)
        assert {k: np.asarray(v)[0] for k, v in one.items()} == {k: np.asarray(v)[i] for k, v in whole.items()}
    assert whole["brightness in %"] == pytest.approx(items.mean(1) / 2.55, rel=1e-4)


def test_large_pictures_are_looked_at_in_part() -> None:
    side = 300
    ramp = np.tile(np.linspace(0, 255, side), (side, 1))[None, ..., None].astype(np.uint8)
    brightness, contrast = image.light(ramp)
    assert brightness[0] == pytest.approx(ramp.mean() / 2.55, abs=1)
    assert contrast[0] == pytest.approx(ramp.std() / 2.55, abs=1)


def test_inputs_that_clash_are_told_apart_and_a_missing_one_is_told(tmp_path: Path) -> None:
    inputs = {"front": Input(), "back": Input(columns=("other",))}
    rows = [
        {"id": f"{i}", "split": "train", "front": picture(20 * i), "back": None if i == 3 else picture(200 - 20 * i)}
        for i in range(8)
    ]
    found = made(tmp_path, inputs, rows)
    told = of(found)
    assert set(found.attributes) == {"front brightness in %", "back brightness in %", "back"}
    assert [i for i in told if "back missing" in told[i]] == ["3"]
    assert not any("back brightness" in name for name in told["3"])


def test_the_items_of_baskets_are_their_goods(tmp_path: Path) -> None:
    inputs = {"first": Input(modality="basket", columns=("a",))}
    bought = [["milk", "rye"], ["milk"], None, ["rye", "milk"], [], ["rye"]]
    rows = [{"id": str(i), "split": "train", "first": None if b is None else {"a": b}} for i, b in enumerate(bought)]
    params = Clean(basket=CleanBasket(min_count=1))
    both = inputs | {"second": Input(modality="basket", columns=("b",))}
    twice = [row | {"second": {"b": ["milk"] if i % 2 else ["gin"]}} for i, row in enumerate(rows)]
    found = made(tmp_path / "one", inputs, [row for row in rows if row["first"]], [1, 3, 5], params=params)
    assert of(found) == {str(i): set(b) for i, b in enumerate(bought) if b is not None}
    assert found.names == found.attributes == ("milk", "rye")
    told = of(made(tmp_path / "two", both, twice, [2, 6], params=params))
    assert told["3"] == {"first milk", "first rye", "second milk"}
    assert told["2"] == {"first missing", "second gin"}


def known(**columns: list[Any]) -> pa.Table:
    count = len(next(iter(columns.values())))
    return pa.table({"": [str(i) for i in range(count)]} | columns)


def items_of(table: pa.Table) -> list[set[str]]:
    fitted = fit(table)
    names, _ = named(fitted, {})
    return [{n for n, there in zip(names, row, strict=True) if there} for row in held(table, fitted).toarray()]


@pytest.mark.parametrize(
    "column",
    [["x"] * 5, [1.0] * 5, [False] * 5, pa.nulls(5, pa.string()), pa.nulls(5, pa.float64()), [True] * 5],
    ids=["constant", "one number", "false", "no text", "no number", "true"],
)
def test_columns_that_tell_nothing_make_no_items(column: Any) -> None:
    assert fit(known(c=column)) == {}
    assert items_of(known(c=column)) == [set()] * 5


def test_a_column_of_one_level_or_none_is_told_by_what_lacks_it() -> None:
    table = known(**{"c": ["x", None, "x"], "c missing": [False, True, False], "width": [8.0, None, 8.0]})
    assert items_of(table) == [{"c=x"}, {"c missing"}, {"c=x"}]


def test_one_row_and_none() -> None:
    assert items_of(known(c=["x"], n=[1.0])) == [set()]
    empty = known(c=["x"], n=[1.0], f=[True]).slice(0, 0)
    assert fit(empty) == {}
    assert held(empty, fit(known(c=["x", "y"], n=[1.0, 2.0], f=[True, False]))).shape == (0, 5)


def test_a_million_levels() -> None:
    levels = [f"id{i}" for i in range(1_000_000)]
    assert fit(known(c=levels)) == {}
    some = known(c=levels[:200_000] + ["often"] * 3 + ["twice"] * 2)
    assert fit(some) == {"c": {"levels": ["often", "twice"]}}
    many = [f"{i:03d}" for i in range(200) for _ in range(i + 1)]
    assert fit(known(c=many)) == {"c": {"levels": [f"{i:03d}" for i in range(200 - MOST_LEVELS, 200)]}}


def test_names_with_signs_and_items_of_equal_names() -> None:
    table = known(**{"a=b": ["c", "d"], "a": ["b=c", "b=d"], "x < 2": ["1", "2"]})
    names, attributes = named(fit(table), {})
    assert sorted(names) == ["a=b=c", "a=b=c (2)", "a=b=d", "a=b=d (2)", "x < 2=1", "x < 2=2"]
    assert len(set(attributes)) == 3
    assert [len(row) for row in items_of(table)] == [3, 3]
    assert unique(["a", "a", "a (2)", "a"]) == ["a", "a (2)", "a (2) (2)", "a (3)"]


def test_a_level_that_reads_as_no_number_has_its_place() -> None:
    assert fit(known(c=["nan", "10", "inf", "9", "abc", "-inf"]))["c"]["levels"] == [
        "-inf",
        "9",
        "10",
        "abc",
        "inf",
        "nan",
    ]


def test_long_texts_are_no_levels() -> None:
    assert items_of(known(c=["y" * 5000, "short", "short"])) == [set(), {"c=short"}, {"c=short"}]


def test_infinite_numbers_are_missing(tmp_path: Path) -> None:
    raw = pa.Table.from_pylist(
        [{"id": str(i), "split": "train", "content": str(i), "table.age": v, "table.job": "x"} for i, v in
         enumerate([1.0, 2.0, 3.0, float("nan"), float("inf"), 6.0])], raw_schema({"table": TABLE}),
    )  # fmt: skip
    from tasks.extraction.row_items import facts

    rows = pa.table({"id": raw["id"], "table": pa.chunked_array([pa.array([[0.0]] * 6, pa.list_(pa.float32(), 1))])})
    table = facts(raw, rows, {"table": TABLE}, {"table": {}})
    assert table["age"].null_count == 2
    assert modality("tabular").measured_by(TABLE) == ["age", "job", "since"]
