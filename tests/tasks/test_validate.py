"""validate: what is rejected and why, when it stops, and Data Docs that ask nothing of the network."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import config
from tasks.errors import DeepmineError
from tasks.expectations import Check, Outcome, run_suite
from tasks.progress import Progress
from tasks.store import QUARANTINE, SUMMARY, Writer, read
from tasks.validate import class_table, copies, validate

RAW = pa.schema(
    [("id", pa.string()), ("content", pa.string()), ("split", pa.string()), ("label", pa.string()),
     ("group", pa.string()), ("source", pa.string()), ("bytes", pa.int64()), ("width", pa.int64()),
     ("height", pa.int64()), ("mode", pa.string()), ("sketch", pa.binary(256)), ("image", pa.binary())],
    metadata={"input": "image", "modality": "image"},
)  # fmt: skip


def sketch(seed: str) -> bytes:
    """Noise, which is like no other."""
    return np.random.default_rng(list(seed.encode())).integers(0, 256, 256, np.uint8).tobytes()


def rows(labels: str = "ab", each: int = 10) -> list[dict[str, Any]]:
    """Sound rows: ``each`` of every class, of which six are train, two val and the rest test."""
    return [
        {
            "id": f"{label}{i}", "content": f"{label}{i}", "split": "train" if i < 6 else "val" if i < 8 else "test",
            "label": label, "group": None, "source": f"{label}/{i}.png", "bytes": 9, "width": 8, "height": 8,
            "mode": "L", "sketch": sketch(f"{label}{i}"), "image": b"x",
        }
        for label in labels for i in range(each)
    ]  # fmt: skip


def store(folder: Path, schema: pa.Schema, records: list[dict[str, Any]]) -> None:
    writer = Writer(folder, schema, "test")
    writer.add(pa.Table.from_pylist(records, schema))
    writer.finish({"in": len(records), "accepted": len(records), "quarantined": {}})


def run(
    home: Path, records: list[dict[str, Any]], lost: int = 0, warn: Callable[[str], None] = pytest.fail, **params: Any
) -> dict[str, Any]:  # fmt: skip
    bad = [{"id": f"lost{i}", "source": "s", "reason": "empty file"} for i in range(lost)]
    store(home / "raw", RAW, records)
    store(home / "unreadable", QUARANTINE, bad)
    return validate(
        params=config.Validate(**params), raw=home / "raw", unreadable=home / "unreadable",
        rejected=home / "rejected", quality=home / "quality", warn=warn, progress=Progress(quiet=True),
    )  # fmt: skip


def rejected(home: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read(home / "rejected").to_pylist()}


def summary(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "rejected" / SUMMARY).read_text())
    return found


def frame(*records: tuple[str, str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(records, columns=["id", "content", "split", "label"])


def test_no_copies() -> None:
    assert copies(frame(("1", "x", "train", "a"), ("2", "y", "test", "a"))).isna().all()


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "train", "train"), [None, "copy: of 1 in train", "copy: of 1 in train"]),
        (("train", "test", "train"),
         ["copy across splits: of 2 in test", None, "copy across splits: of 2 in test"]),
        (("train", "val", "val"), ["copy across splits: of 2 in val", None, "copy: of 2 in val"]),
        (("val", "train", "test"),
         ["copy across splits: of 3 in test", "copy across splits: of 3 in test", None]),
    ],
)  # fmt: skip
def test_which_copy_stays(splits: tuple[str, ...], expected: list[str | None]) -> None:
    table = frame(*((str(i + 1), "x", split, "a") for i, split in enumerate(splits)), ("9", "y", "test", "a"))
    for order in ([0, 1, 2, 3], [3, 2, 0, 1]):
        found = copies(table.iloc[order].reset_index(drop=True))
        ids = table["id"].iloc[order].tolist()
        got = {name: None if pd.isna(text) else text for name, text in zip(ids, found, strict=True)}
        assert got == dict(zip("123", expected, strict=True)) | {"9": None}


@pytest.mark.parametrize("other", ["b", None])
def test_copies_under_two_labels_all_go(other: str | None) -> None:
    found = copies(frame(("1", "x", "train", "a"), ("2", "x", "train", other), ("3", "y", "test", "a")))
    assert found[0] == found[1]
    assert found[0].startswith("copies with different labels: 1 (a), 2 (")
    assert pd.isna(found[2])


def test_class_table() -> None:
    table = frame(*[(f"{i}", f"{i}", split, label) for i, (label, split) in enumerate(
        [("a", "train")] * 4 + [("a", "test")] * 2 + [("b", "train")] * 2 + [("z", "train")] * 9
    )])  # fmt: skip
    assert class_table(table, ["b", "a", "none"]).to_dict("records") == [
        {"label": "b", "train": 2, "val": 0, "test": 0, "times_smaller": 3.0},
        {"label": "a", "train": 4, "val": 0, "test": 2, "times_smaller": 1.0},
        {"label": "none", "train": 0, "val": 0, "test": 0, "times_smaller": 1e9},
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run that passes, with a row for each reason of rejection and own expectations of each kind."""
    home = tmp_path_factory.mktemp("validate")
    records = rows()
    odd: dict[str, dict[str, Any]] = {
        "no label": {"label": None}, "unknown": {"label": "c"}, "small": {"width": 1}, "tall": {"height": 99},
        "heavy": {"bytes": 5000}, "both": {"label": None, "width": 1},
        **{f"copy{i}": {"content": "a0"} for i in range(20)},
        "leak": {"content": "a9"}, "twin1": {"content": "t"}, "twin2": {"content": "t", "label": "b"},
    }  # fmt: skip
    records += [{**records[0], "id": key, "content": key, **change} for key, change in odd.items()]
    records[1]["sketch"] = shifted(records[0]["sketch"])  # a0 and a1, which both are train rows
    facts = run(
        home, records, lost=1, labels=("a", "b"), max_side=50, max_rejected=0.15,
        expectations=(
            config.Expectation(expect="expect_column_values_to_be_between", arguments={"column": "bytes", "max_value": 1000}),
            config.Expectation(expect="expect_column_values_to_be_between", action="warn",
                               arguments={"column": "bytes", "min_value": 1000}),
            config.Expectation(expect="expect_column_values_to_be_in_set",
                               arguments={"column": "mode", "value_set": ["L"], "mostly": 0.9}),
            config.Expectation(expect="expect_column_values_to_be_in_set",
                               arguments={"column": "width", "value_set": [8], "mostly": 0.9}),
        ),
    )  # fmt: skip
    assert facts["rejected"] == len(odd)
    assert facts["rows"] == 20
    return home


def test_each_row_is_rejected_for_its_own_reason(made: Path) -> None:
    assert rejected(made) == {
        "no label": "label missing", "both": "label missing", "unknown": "unknown label",
        "small": "width out of bounds", "tall": "height out of bounds",
        "heavy": "column values to be between (bytes)",
        **{f"copy{i}": "copy" for i in range(20)}, "leak": "copy across splits",
        "twin1": "copies with different labels", "twin2": "copies with different labels",
    }  # fmt: skip
    found = {row["id"]: row for row in read(made / "rejected").to_pylist()}
    assert found["copy3"]["detail"] == "copy: of a0 in train"
    assert (found["small"]["source"], found["small"]["label"]) == ("a/0.png", "a")
    assert found["no label"]["label"] is None


def test_the_summary_counts_what_was_rejected(made: Path) -> None:
    found = summary(made)
    assert found["in"] == 49
    assert found["quarantined"] == dict(sorted(pd.Series(rejected(made)).value_counts().to_dict().items()))
    assert found["labels"] == ["a", "b"]
    assert [(c["label"], c["train"], c["val"], c["test"]) for c in found["classes"]] == [("a", 6, 2, 2), ("b", 6, 2, 2)]


def test_a_warning_and_a_passing_share_reject_nothing(made: Path) -> None:
    own = {(e["expect"], e["column"], e["action"]): e for e in summary(made)["expectations"]}
    warned = own["expect_column_values_to_be_between", "bytes", "warn"]
    assert (warned["success"], warned["rows"]) == (False, 48)
    mostly = own["expect_column_values_to_be_in_set", "width", "reject"]
    assert (mostly["success"], mostly["rows"]) == (True, 0)


class Reader(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "embed": "src"}
        self.loaded += [value or "" for name, value in attrs if name == wanted.get(tag)]


def shifted(sketch: bytes) -> bytes:
    """The same picture, a little darker and with less contrast."""
    return (np.frombuffer(sketch, np.uint8) * 0.8 + 5).astype(np.uint8).tobytes()


def test_near_duplicates_stay_and_are_listed(made: Path) -> None:
    found = summary(made)["near_duplicates"]
    # a0's sketch is also that of all the rejected rows, which are not compared
    assert (found["pairs"], found["rows"], found["leaked"], found["conflicts"]) == (1, 2, 0, 0)
    listed = pq.read_table(made / "quality" / "near_duplicates.parquet").to_pylist()
    assert [(row["group"], row["id"], row["like"]) for row in listed] == [(1, "a0", "a1"), (1, "a1", "a0")]
    assert not {"a0", "a1"} & set(rejected(made))


def test_near_duplicates_across_splits_or_labels_are_said_aloud(tmp_path: Path) -> None:
    records, said = rows(), list[str]()
    records[9]["sketch"] = shifted(records[0]["sketch"])  # a9, a test row
    records[11]["sketch"] = shifted(records[1]["sketch"])  # b1, in train like a1
    run(tmp_path, records, warn=said.append)
    assert said == [
        "4 images are near-duplicates of others: 2 pairs (correlation above 0.99 at 16 x 16 grey). "
        "1 of the 4 test rows has its like in train or val, so test figures may be too good. "
        "In 1 group of near-duplicates the labels differ."
    ]
    assert [p["rows"][0]["id"] for p in summary(tmp_path)["near_duplicates"]["examples"]] == ["a0", "a1"]
    run(tmp_path, records, near_duplicates=1.0)
    assert summary(tmp_path)["near_duplicates"]["pairs"] == 0


def test_data_docs_load_nothing_from_outside(made: Path) -> None:
    pages = list((made / "quality").rglob("*.html"))
    assert {p.relative_to(made / "quality").parts[0] for p in pages} == {"rows", "classes"}
    assert all((made / "quality" / name / "index.html").is_file() for name in ("rows", "classes"))
    for page in pages:
        reader = Reader()
        reader.feed(page.read_text(encoding="utf-8"))
        outside = [a for a in reader.loaded if a.startswith(("http:", "https:", "//"))]
        assert outside == [], page
    assert any("label missing" in p.read_text() or "expect" in p.read_text() for p in pages)


def test_over_the_threshold_it_stops_after_the_quarantine_is_written(tmp_path: Path) -> None:
    records = rows()
    records += [{**records[0], "id": f"x{i}", "content": f"x{i}", "width": 1} for i in range(2)]
    records += [{**records[0], "id": f"copy{i}"} for i in range(30)]
    with pytest.raises(DeepmineError) as caught:
        run(tmp_path, records, lost=1, max_rejected=0.05)
    assert "3 of 53 rows (5.7%) cannot be used, over max_rejected 5.0%: 1 unreadable, 2 width out of bounds\n" in str(
        caught.value
    )
    assert "copy" not in str(caught.value)
    assert len(rejected(tmp_path)) == 32
    assert summary(tmp_path)["in"] == 52


def test_too_few_classes_rows_and_an_own_failure_are_named_together(tmp_path: Path) -> None:
    records = [{**row, "split": "train" if row["split"] == "val" else row["split"]} for row in rows("a")]
    own = config.Expectation(
        expect="expect_column_values_to_be_between", arguments={"column": "bytes", "min_value": 10}, action="fail"
    )
    with pytest.raises(DeepmineError) as caught:
        run(tmp_path, records, expectations=(own,), min_class_rows=3)
    assert str(caught.value).splitlines()[:4] == [
        "the data does not pass validation:",
        "  - column values to be between (bytes) (column bytes)",
        "  - fewer than two classes",
        "  - too few test rows of a class: a",
    ]
    assert rejected(tmp_path) == {}


def suite(tmp_path: Path, *checks: Check) -> list[Outcome]:
    return run_suite("s", pd.DataFrame({"a": [1, 2, None, 40]}, index=[7, 8, 9, 10]), list(checks), tmp_path)


def test_outcomes_name_rows_by_position(tmp_path: Path) -> None:
    between = Check("expect_column_values_to_be_between", {"column": "a", "max_value": 3}, "reject", "large")
    null = Check("expect_column_values_to_not_be_null", {"column": "a"}, "reject", "none")
    mostly = Check("expect_column_values_to_be_between", {"column": "a", "max_value": 3, "mostly": 0.5}, "reject")
    large, none, passed = suite(tmp_path, between, null, mostly)
    assert (large.success, large.rows, large.reason) == (False, [3], "large")
    assert (none.success, none.rows) == (False, [2])
    assert (passed.success, passed.rows) == (True, [])


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (Check("expect_column_values_to_be_between", {"column": "b", "max_value": 3}, "reject"),
         "expect_column_values_to_be_between \\(column 'b'\\) could not be checked"),
        (Check("expect_column_values_to_be_betwen", {"column": "a"}, "reject"),
         "unknown 'expect_column_values_to_be_betwen'. Did you mean 'expect_column_values_to_be_between'?"),
        (Check("expect_column_values_to_be_between", {"column": "a", "max_valeu": 3}, "reject"),
         "expect_column_values_to_be_between: "),
    ],
    ids=["missing column", "unknown expectation", "unknown argument"],
)  # fmt: skip
def test_a_check_that_cannot_run_says_nothing_of_the_rows(tmp_path: Path, check: Check, says: str) -> None:
    with pytest.raises(DeepmineError, match=says.replace("?", "\\?")):
        suite(tmp_path, check)
