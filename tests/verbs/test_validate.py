"""validate: what is rejected and why, when it stops, and Data Docs that ask nothing of the network."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.config.source import Input
from tasks.config.validate import Expectation, Validate, ValidImage
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.modalities.raw_schema import raw_schema
from tasks.storage.names import SUMMARY
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.store import Writer, read
from tasks.validate import class_table, copies, validate
from tasks.validation.expectations import Check, Outcome, run_suite
from tasks.validation.finding import NOTE, in_words

IMAGE = {"image": Input()}
RAW = raw_schema(IMAGE)
TABLE = {"table": Input(modality="tabular", columns=("age", "job"), categorical=("job",))}


def sketch(seed: str) -> bytes:
    """Noise, which is like no other."""
    return np.random.default_rng(list(seed.encode())).integers(0, 256, 256, np.uint8).tobytes()


def rows(labels: str = "ab", each: int = 10) -> list[dict[str, Any]]:
    """Sound rows: ``each`` of every class, of which six are train, two val and the rest test."""
    return [
        {
            "id": f"{label}{i}", "content": f"{label}{i}", "split": "train" if i < 6 else "val" if i < 8 else "test",
            "label": label, "group": None, "source": f"{label}/{i}.png", "bytes": 9, "image.width": 8,
            "image.height": 8, "image.mode": "L", "image.sketch": sketch(f"{label}{i}"), "image": b"x",
        }
        for label in labels for i in range(each)
    ]  # fmt: skip


def store(folder: Path, schema: pa.Schema, records: list[dict[str, Any]]) -> None:
    writer = Writer(folder, schema, "test")
    writer.add(pa.Table.from_pylist(records, schema))
    writer.finish({"in": len(records), "accepted": len(records), "quarantined": {}})


def run(
    home: Path, records: list[dict[str, Any]], lost: int = 0, warn: Callable[[str], None] = pytest.fail,
    inputs: dict[str, Input] = IMAGE, objective: str = "auto", **params: Any,
) -> dict[str, Any]:  # fmt: skip
    bad = [{"id": f"lost{i}", "source": "s", "reason": "empty file"} for i in range(lost)]
    store(home / "raw", raw_schema(inputs), records)
    store(home / "unreadable", QUARANTINE, bad)
    return validate(
        params=Validate(**params), inputs=inputs, objective=objective, raw=home / "raw",
        unreadable=home / "unreadable", rejected=home / "rejected", quality=home / "quality", warn=warn,
        progress=Progress(quiet=True),
    )  # fmt: skip


def rejected(home: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read(home / "rejected").to_pylist()}


def summary(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(home / "rejected" / SUMMARY)
    return found


def problems(home: Path) -> list[dict[str, Any]]:
    """The findings of the leak checks that are no notes."""
    return [one for one in summary(home)["findings"] if one["severity"] != NOTE]


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


def one_by_one(rows: pd.DataFrame) -> dict[str, str]:
    """What `copies` says, group by group."""
    found = {}
    for _, group in rows.groupby("content"):
        records = group.to_dict("records")
        if len(records) > 1 and len({None if pd.isna(row["label"]) else row["label"] for row in records}) > 1:
            listed = ", ".join(f"{r['id']} ({None if pd.isna(r['label']) else r['label']})" for r in records[:4])
            found |= {row["id"]: f"copies with different labels: {listed}" for row in records}
            continue
        kept, *others = sorted(records, key=lambda r: (["test", "val", "train"].index(r["split"]), r["id"]))
        for row in others:
            kind = "copy" if row["split"] == kept["split"] else "copy across splits"
            found[row["id"]] = f"{kind}: of {kept['id']} in {kept['split']}"
    return found


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_every_kind_at_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = rng.integers(0, 80, 200)
    # most contents have one label, some several
    label = [[None, "a", "b"][int(c % 3 if rng.random() < 0.9 else rng.integers(3))] for c in content]
    table = frame(*(
        (f"{i:03d}", f"{c}", ("train", "val", "test")[int(rng.integers(3))], k)
        for i, c, k in zip(rng.permutation(200), content, label, strict=True)
    ))  # fmt: skip
    found = copies(table)
    expected = one_by_one(table)
    assert {i: text for i, text in zip(table["id"], found, strict=True) if not pd.isna(text)} == expected
    assert len({text.partition(":")[0] for text in expected.values()}) == 3


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
        "no label": {"label": None}, "unknown": {"label": "c"}, "small": {"image.width": 1}, "tall": {"image.height": 99},
        "heavy": {"bytes": 5000}, "both": {"label": None, "image.width": 1},
        **{f"copy{i}": {"content": "a0"} for i in range(20)},
        "leak": {"content": "a9"}, "twin1": {"content": "t"}, "twin2": {"content": "t", "label": "b"},
    }  # fmt: skip
    records += [{**records[0], "id": key, "content": key, **change} for key, change in odd.items()]
    records[1]["image.sketch"] = shifted(records[0]["image.sketch"])  # a0 and a1, which both are train rows
    facts = run(
        home, records, lost=1, labels=("a", "b"), image=ValidImage(max_side=50), max_rejected=0.15,
        expectations=(
            Expectation(expect="expect_column_values_to_be_between", arguments={"column": "bytes", "max_value": 1000}),
            Expectation(expect="expect_column_values_to_be_between", action="warn",
                               arguments={"column": "bytes", "min_value": 1000}),
            Expectation(expect="expect_column_values_to_be_in_set",
                               arguments={"column": "image.mode", "value_set": ["L"], "mostly": 0.9}),
            Expectation(expect="expect_column_values_to_be_in_set",
                               arguments={"column": "image.width", "value_set": [8], "mostly": 0.9}),
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
    mostly = own["expect_column_values_to_be_in_set", "image.width", "reject"]
    assert (mostly["success"], mostly["rows"]) == (True, 0)


class Reader(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "embed": "src"}
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
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
    records[9]["image.sketch"] = shifted(records[0]["image.sketch"])  # a9, a test row
    records[11]["image.sketch"] = shifted(records[1]["image.sketch"])  # b1, in train like a1
    run(tmp_path, records, warn=said.append)
    assert said == [
        "Near-duplicates: 4 images are near-duplicates of others: 2 pairs (correlation above 0.99 at 16 x 16 grey). "
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


IMG = '<img src=x onerror="document.title=1">'


def test_nothing_of_the_data_is_markup_in_data_docs(tmp_path: Path) -> None:
    frame = pd.DataFrame({IMG: [IMG, "</style><script>alert(1)</script>", "a", "'"], "$x": ["${y}", "`", "&lt;", '"']})
    checks = [
        Check("expect_column_values_to_be_in_set", {"column": IMG, "value_set": ["a", IMG]}, "reject"),
        Check("expect_column_values_to_match_regex", {"column": IMG, "regex": IMG}, "reject"),
        Check("expect_column_values_to_be_in_set", {"column": "$x", "value_set": [IMG]}, "reject"),
        Check("expect_table_columns_to_match_set", {"column_set": [IMG]}, "fail"),
        Check("expect_column_pair_values_to_be_equal", {"column_A": IMG, "column_B": "$x"}, "reject"),
    ]
    run_suite("rows", frame, checks, tmp_path)
    page = (tmp_path / "rows" / "index.html").read_text()
    reader = Reader()
    reader.feed(page)
    assert reader.loaded == []
    assert not reader.tags & {"script", "img", "iframe", "link"}
    assert not [name for name in reader.attributes if name.startswith("on") or name == "style"]
    assert "&#60;img src=x onerror=&#34;document.title=1&#34;&#62;" in page
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert "default-src 'none'; script-src 'none'" in page


def test_over_the_threshold_it_stops_after_the_quarantine_is_written(tmp_path: Path) -> None:
    records = rows()
    records += [{**records[0], "id": f"x{i}", "content": f"x{i}", "image.width": 1} for i in range(2)]
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
    own = Expectation(
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


def test_the_summary_says_what_is_to_be_learned(made: Path) -> None:
    assert summary(made)["objective"] == "classification"
    assert problems(made) == []


def test_rows_without_labels_are_for_an_autoencoder(tmp_path: Path) -> None:
    records = [{**row, "label": None} for row in rows()]
    records[3]["content"] = records[9]["content"]  # copies are copies all the same
    records[4]["image.width"] = 1
    facts = run(tmp_path, records)
    assert (facts["rows"], facts["rejected"], facts["objective"]) == (18, 2, "autoencoder")
    assert rejected(tmp_path) == {"a3": "copy across splits", "a4": "width out of bounds"}
    found = summary(tmp_path)
    assert (found["objective"], found["labels"], found["classes"]) == ("autoencoder", [], [])
    assert {e["suite"] for e in found["expectations"]} == {"rows"}


def test_labels_that_an_autoencoder_does_not_need_may_be_missing(tmp_path: Path) -> None:
    records = rows()
    for row in (*records[:3], *records[10:13], records[19]):
        row["label"] = None
    assert run(tmp_path, records, objective="autoencoder")["rows"] == 20
    with pytest.raises(DeepmineError, match=r"7 of 20 rows \(35.0%\) cannot be used, .* 7 label missing"):
        run(tmp_path, records, objective="classification")


def test_classes_without_a_train_row_that_has_one(tmp_path: Path) -> None:
    records = rows()
    for row in records:
        row["label"] = None if row["split"] == "train" else row["label"]
    with pytest.raises(DeepmineError, match=r"no train row has a label\. Set 'objective: autoencoder'"):
        run(tmp_path, records)


@pytest.mark.parametrize(
    ("objective", "fine", "bad"),
    [
        (
            "regression",
            ["1", "-2.5", "3e2", " 7 "],
            ["nan", "inf", "-Infinity", "low", "", " ", "1,5", "1 2", "0x1f", "1e999"],
        ),
        ("forecasting", ["1 2", "-2.5  3e2 "], ["1 nan", "a b", "", "1", "1 2 3", "inf 2"]),
    ],
)
def test_labels_that_are_no_numbers(tmp_path: Path, objective: str, fine: list[str], bad: list[str]) -> None:
    records = rows("ab", 20)
    for i, row in enumerate(records):
        row["label"] = fine[i % len(fine)]
    expected = {}
    for i, text in enumerate(bad):
        records[i]["label"] = text
        expected[records[i]["id"]] = "label is not a number"
    records[30]["label"] = None
    expected[records[30]["id"]] = "label missing"
    facts = run(tmp_path, records, objective=objective, max_rejected=0.5)
    assert rejected(tmp_path) == expected
    assert (facts["rows"], facts["objective"]) == (40 - len(expected), objective)
    found = summary(tmp_path)
    assert (found["labels"], found["classes"], found["findings"]) == ([], [], [])
    assert found["quarantined"] == {"label is not a number": len(bad), "label missing": 1}


def table_rows(each: int = 100, planted: bool = False) -> list[dict[str, Any]]:
    """Sound rows of a table whose few values repeat; a ``planted`` age tells the class."""
    rng = np.random.default_rng(0)
    found = []
    for label in "ab":
        for i in range(each):
            age, job = float(rng.integers(20, 24)), "xyz"[int(rng.integers(3))]
            age += 10 * (label == "b") * planted
            found.append(
                {"id": f"{label}{i}", "content": f"{age} {job}", "label": label, "source": "rows.csv", "bytes": 0,
                 "split": "train" if i % 10 < 6 else "val" if i % 10 < 8 else "test", "table.age": age, "table.job": job}
            )  # fmt: skip
    return found


def test_equal_rows_of_a_table_are_no_copies(tmp_path: Path) -> None:
    facts = run(tmp_path, table_rows(), inputs=TABLE)
    assert (facts["rows"], facts["rejected"], facts["near_duplicates"]) == (200, 0, 0)
    assert summary(tmp_path)["near_duplicates"] is None
    assert not (tmp_path / "quality" / "near_duplicates.parquet").exists()


def test_copies_are_rejected_or_kept_as_a_person_wants(tmp_path: Path) -> None:
    table = table_rows()
    for row in table:  # pairs of one content, each within a split
        row["content"] = f"{row['label']}{int(row['id'][1:]) // 2}"
    assert run(tmp_path, table, inputs=TABLE, copies="reject")["rows"] == 100
    assert rejected(tmp_path) == {row["id"]: "copy" for row in table if int(row["id"][1:]) % 2}
    images = rows()
    images[1]["content"] = images[0]["content"]
    assert run(tmp_path, images)["rejected"] == 1
    assert run(tmp_path, images, copies="keep")["rejected"] == 0


def test_one_input_that_is_no_table_makes_equal_rows_copies(tmp_path: Path) -> None:
    both = {**IMAGE, **TABLE}
    records = [{**row, "table.age": 1.0 + i % 3, "table.job": "xy"[i % 2]} for i, row in enumerate(rows())]
    records[1]["content"] = records[0]["content"]
    assert run(tmp_path, records, inputs=both)["rejected"] == 1


def test_a_missing_input_fails_no_expectation(tmp_path: Path) -> None:
    both = {**TABLE, **IMAGE}
    records = [{**row, "table.age": 1.0 + i % 3, "table.job": "xy"[i % 2]} for i, row in enumerate(rows())]
    for row in records[:4]:
        row |= {name: None for name in row if name.startswith("image")}
    for row in records[14:]:
        row |= {"table.age": None, "table.job": None}
    records[5]["image.width"] = 1
    records[8]["image.sketch"] = shifted(records[6]["image.sketch"])
    said: list[str] = []
    assert run(tmp_path, records, inputs=both, warn=said.append)["rejected"] == 1
    assert rejected(tmp_path) == {"a5": "width out of bounds"}
    found = summary(tmp_path)["near_duplicates"]
    # those without an image are not like each other
    assert (found["pairs"], found["rows"]) == (1, 2)
    assert found["flat"] == 0
    assert [r["id"] for r in found["examples"][0]["rows"]] == ["a6", "a8"]
    assert len(said) == 1


def test_a_column_that_gives_the_label_away(tmp_path: Path) -> None:
    said: list[str] = []
    run(tmp_path, table_rows(planted=True), inputs=TABLE, warn=said.append)
    [leak] = problems(tmp_path)
    assert (leak["check"], leak["severity"], leak["details"]) == (
        "target_leakage",
        "leak",
        {"columns": ["age"], "auc": 1.0},
    )
    assert said == [in_words(leak)]
    assert said[0].startswith("Target leakage: The column 'age' alone predicts the label (AUC 1.000 on train rows).")
    run(tmp_path, table_rows(), inputs=TABLE)
    assert problems(tmp_path) == []


def test_a_leak_is_looked_for_in_accepted_train_rows_alone(tmp_path: Path) -> None:
    records = table_rows()
    for row in records:
        if row["split"] != "train":
            row["table.age"] = 20.0 if row["label"] == "a" else 30.0
    run(tmp_path, records, inputs=TABLE)
    assert problems(tmp_path) == []
    records = table_rows(planted=True)
    records += [
        {**row, "id": f"odd {row['id']}", "label": "ab"[row["label"] == "a"], "bytes": 7} for row in records[:40]
    ]
    own = Expectation(expect="expect_column_values_to_be_between", arguments={"column": "bytes", "max_value": 5})
    run(tmp_path, records, inputs=TABLE, expectations=(own,), max_rejected=0.5, warn=lambda text: None)
    assert [leak["details"]["columns"] for leak in problems(tmp_path)] == [["age"]]


def test_an_own_expectation_may_name_a_column_of_a_table(tmp_path: Path) -> None:
    own = Expectation(
        expect="expect_column_values_to_be_in_set", arguments={"column": "table.job", "value_set": ["x", "y"]}
    )
    records = table_rows()
    run(tmp_path, records, inputs=TABLE, expectations=(own,), max_rejected=0.9)
    assert set(rejected(tmp_path)) == {row["id"] for row in records if row["table.job"] == "z"}
    assert set(rejected(tmp_path).values()) == {"column values to be in set (table.job)"}


def test_repeated_ids_stop_the_stage(tmp_path: Path) -> None:
    records = rows()
    records[3]["id"] = records[12]["id"]
    with pytest.raises(DeepmineError, match="ids are not unique"):
        run(tmp_path, records)


@pytest.mark.parametrize("more", [{"label": None}, {"label": "zebra", "split": "test"}])
def test_copies_that_are_lost_for_another_reason_first(more: dict[str, Any], tmp_path: Path) -> None:
    made = rows(each=20)
    first = made[0]
    made += [first | more | {"id": f"z{i}", "content": "same", "image.sketch": sketch("z")} for i in range(2)]
    run(tmp_path, made, max_rejected=0.5)
    lost = {row["id"]: row["reason"] for row in read(tmp_path / "rejected").to_pylist()}
    assert set(lost) == {"z0", "z1"}
    assert not any("cop" in reason for reason in lost.values())
