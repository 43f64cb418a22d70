"""Leaks: each is planted and found, through the whole of validate; clean data of every modality is passed in silence."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.config.source import Input
from tasks.config.validate import Validate
from tasks.core.errors import DeepmineError
from tasks.stats.single_feature_auc import telling_words
from tasks.storage.store import read
from tasks.validation import time_overlap, undeclared_groups
from tasks.validation.context import Context
from tasks.validation.finding import Finding, in_words
from tasks.validation.split_drift import drifts
from tasks.validation.undeclared_groups import overlap
from tests.fixtures.images import encode
from tests.fixtures.runs import write_raw
from tests.fixtures.sounds import encode as wav
from tests.fixtures.sounds import noise
from tests.verbs import test_validate

ROWS = 400
WORDS = list(
    dict.fromkeys(re.findall(r"\w+", "the ship goes home today and sees no storm at all but rain falls on a roof"))
)
INPUTS = {
    "image": Input(), "audio": Input(modality="audio"), "text": Input(modality="text", columns=("t",)),
    "series": Input(modality="series", columns=("s",)), "basket": Input(modality="basket", columns=("g",)),
    "tabular": Input(modality="tabular", columns=("x", "job", "since"), categorical=("job",), date=("since",)),
}  # fmt: skip
Raw = list[dict[str, Any]]


def rows(kind: str, seed: int = 0, count: int = ROWS) -> Raw:
    """Clean rows of two classes: the class is visible in the items, not certain, and no split is like another."""
    rng = np.random.default_rng(seed)
    found: Raw = []
    for i in range(count):
        k = int(rng.integers(2))
        split = ("train", "train", "train", "val", "test", "test")[int(rng.integers(6))]
        item: Any
        if kind == "image":
            item = encode((rng.integers(0, 100) + rng.integers(20 * k, 100 + 20 * k, (8, 8))).astype(np.uint8))
        elif kind == "audio":
            item = wav(
                noise(seed * count + i, frames=int(rng.integers(800, 1600)), level=0.1 + 0.05 * k * rng.random())
            )
        elif kind == "text":
            said = [*rng.choice(WORDS, int(rng.integers(6, 14)) + k), str(i)]
            item = {"t": " ".join(said + ["storm"] * (k and rng.random() < 0.7))}
        elif kind == "series":
            item = {"s": (rng.normal(size=int(rng.integers(10, 14))) + k).tolist()}
        elif kind == "basket":
            item = {"g": [*rng.choice(WORDS, 4).tolist(), *(["beer"] if rng.random() < 0.2 + 0.5 * k else [])]}
        else:
            day = np.datetime64("2020-01-01", "us") + int(rng.integers(900)) * np.timedelta64(1, "D")
            item = {"x": float(rng.normal() + k), "job": str(rng.choice(list("pqrs"))), "since": day.item()}
        found.append({"id": f"{i:04d}", "split": split, "label": "ab"[k], kind: item})
    return found


def checked(
    home: Path, inputs: dict[str, Input], found: Raw, warn: Any = lambda text: None, **more: Any
) -> list[dict[str, Any]]:
    """Findings of validate that are no notes, in rows of ``inputs``; `group`, `time` and `source` of a row are its own."""
    write_raw(home / "made", home / "aside", inputs, found)
    made = {row["id"]: row for row in read(home / "made").to_pylist()}
    for row in found:
        made[row["id"]] |= {key: row[key] for key in ("group", "time", "source") if key in row}
    test_validate.run(
        home, list(made.values()), inputs=inputs, warn=warn, near_duplicates=more.pop("near_duplicates", 1.0), **more
    )
    return test_validate.problems(home)


def notes(home: Path) -> list[dict[str, Any]]:
    return [one for one in test_validate.summary(home)["findings"] if one["severity"] == "note"]


def only(kind: str) -> dict[str, Input]:
    return {kind: INPUTS[kind]}


@pytest.mark.parametrize("kind", INPUTS)
def test_clean_data_is_passed_in_silence(kind: str, tmp_path: Path) -> None:
    assert checked(tmp_path, only(kind), rows(kind), warn=pytest.fail) == []
    assert notes(tmp_path) == [] or kind == "basket"  # some baskets are equal by nature


def test_copies_that_are_kept_are_told_from_rows_that_repeat_by_nature(tmp_path: Path) -> None:
    found = rows("tabular")
    train = [row for row in found if row["split"] == "train"]
    for row, other in zip((row for row in found if row["split"] == "test"), train[:20], strict=False):
        row["tabular"], row["label"] = other["tabular"], other["label"]
    [leak] = checked(tmp_path, only("tabular"), found)
    assert (leak["check"], leak["details"]["rows"], len(leak["examples"])) == ("train_test_overlap", 20, 5)
    spec = {"tabular": Input(modality="tabular", columns=("job",), categorical=("job",))}
    assert checked(tmp_path / "few", spec, found, warn=pytest.fail) == []
    [note] = notes(tmp_path / "few")
    assert "as is usual where columns have few values" in note["text"]


def test_copies_that_are_taken_out_are_a_note(tmp_path: Path) -> None:
    found = rows("text")
    train = [row for row in found if row["split"] == "train"]
    tests = [row for row in found if row["split"] == "test"]
    for row, other in zip(tests, train[:7], strict=False):
        row["text"], row["label"] = other["text"], other["label"]
    assert checked(tmp_path / "out", only("text"), found, warn=pytest.fail) == []
    assert [(n["check"], n["details"]["rows"]) for n in notes(tmp_path / "out")] == [("train_test_overlap", 7)]
    [leak] = checked(tmp_path / "kept", only("text"), found, copies="keep")
    assert (leak["check"], leak["details"]["rows"]) == ("train_test_overlap", 7)


def test_near_duplicates_are_a_finding_and_said_once(tmp_path: Path) -> None:
    found = rows("image")
    rng = np.random.default_rng(5)
    big = [rng.integers(0, 250, (16, 16)).astype(np.uint8) for _ in found]
    tests, train = ([i for i, row in enumerate(found) if row["split"] == s] for s in ("test", "train"))
    big[tests[0]] = big[train[0]].copy()
    big[tests[0]][0, 0] += 3
    for row, picture in zip(found, big, strict=True):
        row["image"] = encode(picture)
    said: list[str] = []
    [leak] = checked(tmp_path, only("image"), found, warn=said.append, near_duplicates=0.99)
    assert (leak["check"], leak["details"]["rows"]) == ("near_duplicates", 1)
    assert said == [in_words(leak)]


def test_groups_that_stand_in_several_splits(tmp_path: Path) -> None:
    found = rows("series")
    for i, row in enumerate(found):
        row["group"] = f"p{i % 40}"
    [leak] = checked(tmp_path / "a", only("series"), found)
    assert (leak["check"], leak["details"]["groups"]) == ("group_overlap", 40)
    assert leak["details"]["rows"] == sum(row["split"] == "test" for row in found)
    for row in found:  # each in one split
        row["group"] = f"{row['split']} {row['group']}"
    assert checked(tmp_path / "b", only("series"), found, warn=pytest.fail) == []
    for i, row in enumerate(found):  # times of the splits follow each other: known groups are no surprise
        row["group"], row["time"] = f"p{i % 40}", ["train", "val", "test"].index(row["split"]) * 1e6 + i
    assert checked(tmp_path / "c", only("series"), found, warn=pytest.fail) == []
    assert "goes by time" in notes(tmp_path / "c")[0]["text"]


def test_a_column_that_acts_like_a_group(tmp_path: Path) -> None:
    found = rows("tabular", count=800)
    rng = np.random.default_rng(1)
    patients = {k: [f"{k}{i}" for i in range(40)] for k in "ab"}
    for row in found:  # one in ten mistaken, so that the column does not give the label away by itself
        own = row["label"] if rng.random() < 0.9 else "ab"[row["label"] == "a"]
        row["tabular"]["patient"] = str(rng.choice(patients[own]))
    spec = INPUTS["tabular"]
    columns = (*spec.columns, "patient")
    inputs = {"tabular": Input(modality="tabular", columns=columns, categorical=("job", "patient"), date=spec.date)}
    [leak] = checked(tmp_path / "a", inputs, found)
    assert (leak["check"], leak["details"]["column"]) == ("undeclared_groups", "patient")
    assert "source.group" in leak["text"]
    for row in found:  # as many levels that say nothing
        row["tabular"]["patient"] = str(rng.integers(80))
    assert checked(tmp_path / "b", inputs, found, warn=pytest.fail) == []


def frame(level: Any, label: Any, split: Any) -> tuple[pd.Series, pd.Series, pd.Series]:
    return pd.Series(list(level)), pd.Series(list(label)), pd.Series(list(split))


@pytest.mark.parametrize("seed", range(20))
def test_levels_that_say_nothing_are_no_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    split = rng.choice(["train", "test"], 1000, p=[0.7, 0.3])
    label = rng.choice(list("abc"), 1000)
    assert overlap(*frame(rng.integers(0, 150, 1000).astype(str), label, split)) is None
    assert overlap(*frame(np.arange(1000).astype(str), label, split)) is None  # an id
    assert overlap(*frame(label, label, split)) is None  # the label itself is another leak
    group = np.char.add(label.astype(str), rng.integers(0, 40, 1000).astype(str))
    found = overlap(*frame(group, label, split))
    assert found is not None
    assert found["agree"] == 1
    apart = np.char.add(group, np.where(split == "test", "t", ""))
    assert overlap(*frame(apart, label, split)) is None  # the split has kept them apart


def test_folders_of_files_may_be_groups() -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(list("ab"), 600)
    table = pd.DataFrame({
        "label": label, "split": rng.choice(["train", "test"], 600), "group": None,
        "source": [f"{k}/patient{rng.integers(30)}/{i}.png" for i, k in enumerate(label)],
    })  # fmt: skip
    [leak] = undeclared_groups.check(context(table))
    assert leak.details["column"] == "folder"
    flat = table.assign(source=[f"{k}/{i}.png" for i, k in enumerate(label)])
    assert list(undeclared_groups.check(context(flat))) == []


@pytest.mark.parametrize(
    ("kind", "plant", "column"),
    [
        ("image", lambda row: encode(np.full((8 + 4 * (row["label"] == "b"), 8), int(row["id"]) % 256, np.uint8)), "height"),
        ("audio", lambda row: wav(noise(int(row["id"])), rate=8000 if row["label"] == "a" else 16000), "rate"),
        ("series", lambda row: {"s": np.random.default_rng(int(row["id"])).normal(size=9 + (row["label"] == "a")).tolist()},
         "length"),
        ("text", lambda row: {"t": row["text"]["t"] + (" and more of it" * 9 if row["label"] == "a" else "")}, "characters"),
    ],
)  # fmt: skip
def test_how_items_were_recorded_gives_the_label_away(kind: str, plant: Any, column: str, tmp_path: Path) -> None:
    found = [row | {kind: plant(row)} for row in rows(kind)]
    found = checked(tmp_path, only(kind), found, copies="keep")
    leaks = {leak["details"]["fact"]: leak for leak in found if leak["check"] == "recording_leakage"}
    assert leaks[column]["details"]["auc"] == 1
    assert "recorded" in leaks[column]["text"]


def test_the_ending_of_a_file_gives_the_label_away(tmp_path: Path) -> None:
    found = [row | {"source": f"{row['id']}.{'png' if row['label'] == 'a' else 'jpg'}"} for row in rows("image")]
    assert [leak["details"]["fact"] for leak in checked(tmp_path, only("image"), found)] == ["suffix"]


def test_that_a_column_is_missing_gives_the_label_away(tmp_path: Path) -> None:
    found = rows("tabular")
    for row in found:
        row["tabular"]["x"] = None if row["label"] == "a" else row["tabular"]["x"]
    assert [leak["details"]["columns"] for leak in checked(tmp_path, only("tabular"), found)] == [["x"]]


@pytest.mark.parametrize("kind", ["text", "basket"])
def test_a_word_or_a_good_gives_the_label_away(kind: str, tmp_path: Path) -> None:
    found = rows(kind)
    for row in found:
        if row["label"] == "b":
            row[kind] = {"t": f"[SPAM] {row[kind]['t']}"} if kind == "text" else {"g": [*row[kind]["g"], "spam"]}
    leaks = [leak for leak in checked(tmp_path, only(kind), found) if leak["check"] == "word_leakage"]
    assert [leak["details"]["input"] for leak in leaks] == [kind]
    assert "spam" in leaks[0]["examples"]


def test_telling_words_are_counted_in_all_rows() -> None:
    texts = ["x y"] * 500 + ["y"] * 500
    label = ["a"] * 500 + ["b"] * 500
    assert telling_words(texts, label, str.split, 0.99) == {"x": 1.0}
    texts[:30] = ["y"] * 30  # of 500, 470 have it
    assert telling_words(texts, label, str.split, 0.99) == {}
    assert telling_words(texts, label, str.split, 0.96) == {"x": pytest.approx(0.97)}
    assert telling_words(["x"] * 4 + ["y"] * 90, ["a"] * 4 + ["b"] * 90, str.split, 0.9) == {}  # too few rows
    assert telling_words([], [], str.split, 0.9) == {}


def context(rows: pd.DataFrame, kind: str = "image") -> Context:
    return Context(rows, only(kind), Validate(), "classification", Path("raw"))


def backwards(train: Any, test: Any) -> list[Finding]:
    """What is found in rows of these times."""
    split = ["train"] * len(train) + ["test"] * len(test)
    return list(time_overlap.check(context(pd.DataFrame({"time": [*train, *test], "split": split}))))


def test_time_that_runs_backwards(tmp_path: Path) -> None:
    found = rows("tabular")
    for i, row in enumerate(found):
        row["time"] = float(i)
    [leak] = checked(tmp_path, only("tabular"), found)
    assert leak["check"] == "time_overlap"
    first = min(int(row["id"]) for row in found if row["split"] == "test")
    train = [int(row["id"]) for row in found if row["split"] == "train"]
    assert leak["details"]["share"] == pytest.approx(np.mean([i > first for i in train]), abs=1e-4)
    rng = np.random.default_rng(0)
    [leak] = backwards(rng.random(500), rng.random(500))
    assert leak.details["later"] == pytest.approx(0.5, abs=0.05)


def test_time_that_runs_forwards() -> None:
    assert backwards(range(100), range(100, 150)) == []
    assert backwards(range(100), range(99, 150)) == []  # rows of one moment on both sides
    assert backwards(range(1000), [500, *range(1000, 1200)]) == []  # one stray row
    assert backwards([np.nan] * 5, [np.nan] * 5) == []
    assert backwards([], [1.0]) == []


def test_splits_that_differ(tmp_path: Path) -> None:
    found = rows("tabular", count=1000)
    for row in found:
        row["tabular"]["x"] += 2 * (row["split"] == "test")
    said: list[str] = []
    [leak] = checked(tmp_path, only("tabular"), found, warn=said.append)
    assert (leak["check"], leak["severity"]) == ("split_drift", "warning")
    assert leak["details"]["largest"][0]["item"].startswith(("x >=", "x <"))
    assert leak["details"]["facts"] == 1
    assert said == [in_words(leak)]
    checked(tmp_path / "no leak", only("tabular"), found, leaks="fail")  # it makes no figure too good


@pytest.mark.parametrize("seed", range(20))
def test_random_splits_do_not_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, split = rng.random((4000, 300)) < rng.random(300), rng.random(4000) < 0.3
    assert drifts(items[~split].sum(0), items[split].sum(0), (int((~split).sum()), int(split.sum()))) == []
    few = slice(0, 500)  # where chance alone makes large differences
    a, b = items[few][~split[few]], items[few][split[few]]
    assert drifts(a.sum(0), b.sum(0), (len(a), len(b))) == []


def test_a_difference_is_told_if_it_is_sure_and_not_small() -> None:
    train, test = np.array([500, 500, 500, 0]), np.array([250, 300, 380, 0])
    assert [(one.item, one.test) for one in drifts(train, test, (1000, 500))] == [(2, 0.76), (1, 0.6)]
    assert drifts(train // 10, test // 10, (100, 50)) == []  # too few
    assert drifts(np.array([500_000]), np.array([255_000]), (10**6, 500_000)) == []  # sure, and of no consequence


def test_leaks_fail_the_stage_where_a_person_wants_that(tmp_path: Path) -> None:
    found = rows("tabular")
    for i, row in enumerate(found):
        row["group"], row["time"] = f"p{i % 40}", float(i)
    with pytest.raises(DeepmineError, match=r"(?s)40 groups are in several.*Train rows later than test rows"):
        checked(tmp_path, only("tabular"), found, leaks="fail")
    assert len(test_validate.problems(tmp_path)) == 2
    clean = rows("tabular")
    assert checked(tmp_path, only("tabular"), clean, leaks="fail") == []


def test_rows_without_classes_or_of_one_split(tmp_path: Path) -> None:
    found = [row | {"label": None} for row in rows("series")]
    assert checked(tmp_path / "a", only("series"), found, objective="autoencoder") == []
    numbers = [row | {"label": str(float(row["id"]))} for row in rows("tabular")]
    assert checked(tmp_path / "b", only("tabular"), numbers, objective="regression") == []
    tiny = [{"id": str(i), "split": s, "label": None, "series": {"s": [1.0, float(i)]}} for i, s in
            enumerate(["train", "test"])]  # fmt: skip
    assert checked(tmp_path / "c", only("series"), tiny, objective="autoencoder") == []


def bikes(seed: int = 0, count: int = 300) -> Raw:
    """Rentals, of which two columns are the parts: the label is their sum, and neither tells it alone."""
    rng = np.random.default_rng(seed)
    found: Raw = []
    for i in range(count):
        split = ("train", "train", "train", "val", "test", "test")[int(rng.integers(6))]
        casual, registered = int(rng.gamma(2, 20)), int(rng.gamma(2, 30))
        item = {"casual": casual, "registered": registered, "heat": float(casual + rng.normal(0, 20))}
        item |= {"wind": float(rng.normal()), "season": str(rng.choice(list("abcd")))}
        found.append({"id": f"{i:04d}", "split": split, "label": str(casual + registered), "tabular": item})
    return found


BIKES = {
    "tabular": Input(
        modality="tabular", columns=("casual", "registered", "heat", "wind", "season"), categorical=("season",)
    )
}


def test_a_sum_of_columns_gives_a_number_away(tmp_path: Path) -> None:
    said: list[str] = []
    [leak] = checked(tmp_path, BIKES, bikes(), warn=said.append, objective="regression")
    assert (leak["check"], leak["severity"], leak["details"]["kind"]) == ("target_leakage", "leak", "sum")
    assert sorted(leak["details"]["columns"]) == ["casual", "registered"]
    assert leak["details"]["R²"] == 1.0
    assert said == [in_words(leak)]
    assert "A sum of 2 columns predicts the label: 1 x '" in said[0]
    assert "(R² 1.0000 on other train rows)" in said[0]
    with pytest.raises(DeepmineError, match=r"A sum of 2 columns predicts the label"):
        checked(tmp_path / "fail", BIKES, bikes(), objective="regression", leaks="fail")
    honest = bikes()
    for row in honest:
        row["tabular"]["registered"] = float(np.random.default_rng(int(row["id"])).normal())
    assert checked(tmp_path / "honest", BIKES, honest, warn=pytest.fail, objective="regression") == []


def test_a_column_gives_a_number_away(tmp_path: Path) -> None:
    found = bikes()
    for i, row in enumerate(found):
        row["tabular"] |= {"wind": float(row["label"]) ** 2, "casual": i * i % 17}
    [leak] = checked(tmp_path, BIKES, found, warn=lambda text: None, objective="regression")
    assert (leak["check"], leak["details"]["columns"]) == ("target_leakage", ["wind"])
    assert leak["text"].startswith("The column 'wind' alone predicts the label (")


def test_the_past_of_a_forecast_is_no_leak(tmp_path: Path) -> None:
    found = rows("series")
    for i, row in enumerate(found):
        level = float(i)
        row["series"] = {"s": [level] * 12}
        row["label"] = f"{level} {level}"
    assert checked(tmp_path, only("series"), found, warn=pytest.fail, objective="forecasting") == []


def test_how_items_were_recorded_gives_a_number_away(tmp_path: Path) -> None:
    found = rows("audio", count=160)
    for i, row in enumerate(found):
        row["label"], row["audio"] = str(3.0 * (800 + i)), wav(noise(i, frames=800 + i, level=0.1))
    leaks = checked(tmp_path, only("audio"), found, warn=lambda text: None, objective="regression")
    assert [leak["check"] for leak in leaks][:1] == ["recording_leakage"]
    assert "seconds" in {leak["details"].get("fact") for leak in leaks}
    assert "The length in seconds of 'audio' alone predicts the label (R² " in " ".join(leak["text"] for leak in leaks)


def test_the_order_of_two_columns_gives_a_class_away(tmp_path: Path) -> None:
    found = rows("tabular")
    for row in found:
        due = row["tabular"]["since"]
        late = row["label"] == "a"
        done = due + pd.Timedelta(days=int(row["id"]) % 40 + 1) * (1 if late else -1)
        row["tabular"] |= {"done": done}
    spec = {"tabular": Input(modality="tabular", columns=("x", "job", "since", "done"), categorical=("job",),
                                    date=("since", "done"))}  # fmt: skip
    [leak] = checked(tmp_path, spec, found, warn=lambda text: None)
    assert (leak["check"], leak["details"]) == (
        "column_order",
        {"columns": ["done", "since"], "label": "a", "auc": 1.0},
    )
    assert "Whether 'done' is larger than 'since' predicts whether the label is 'a' (AUC 1.000" in leak["text"]


def test_copies_that_split_together_are_a_note(tmp_path: Path) -> None:
    found = rows("tabular")
    train, tests = ([row for row in found if row["split"] == s] for s in ("train", "test"))
    for part, count in ((train, 30), (tests, 7)):
        for row in part[1 : count + 1]:
            row["tabular"], row["label"] = part[0]["tabular"], part[0]["label"]
    assert checked(tmp_path, only("tabular"), found, warn=pytest.fail) == []
    [note] = notes(tmp_path)
    assert (note["check"], note["details"]) == (
        "repeated_rows",
        {"rows": 37, "splits": {"train": 30, "val": 0, "test": 7}},
    )
    assert "37 of 400 rows are copies of another in every input (30 in train, 7 in test)" in note["text"]
    assert note["text"].endswith("No test row equals a row of train or val.")
