"""What every entry of the registries METRICS, READERS and CHECKS promises."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.config.source import Input
from tasks.config.validate import Validate
from tasks.core.errors import DeepmineError
from tasks.evaluation.scorers import Classes, Numbers
from tasks.metrics import METRICS
from tasks.metrics.classification import classification
from tasks.metrics.clustering import clustering
from tasks.metrics.detection import detection
from tasks.metrics.regression import regression
from tasks.modalities import modality
from tasks.reporting.sections import SECTIONS
from tasks.sources.open_table import open_table
from tasks.sources.readers import CODECS, READERS
from tasks.stats.resampling import Resampling
from tasks.storage.store import Writer
from tasks.validation import CHECKS, run_checks
from tasks.validation.context import Context
from tasks.validation.finding import MOST_EXAMPLES, SEVERITIES, in_words

SAMPLING = Resampling(0.95, 100, 0)
#: Of these classes the positive one is `a`, the number of a row is that of its class, and its features are near to it.
Y_TRUE = np.array(list("cabcabcabcab"))
NUMBERS = np.unique(Y_TRUE, return_inverse=True)[1].astype(float)
#: Inputs of a metric's function that hold numbers, among which may be NaN.
NUMERIC = {"y_score", "moments", "points", "dense_points"}


def scored(kind: str, wrong: int, nan: float = 0.0) -> dict[str, Any]:
    """The metrics of predictions of which the first ``wrong`` are wrong; ``nan`` is added to the numbers of the first row."""
    error = np.where(np.arange(len(Y_TRUE)) < wrong, 1.0, 0.0)
    y_pred = np.array(list("abc"))[(NUMBERS + error).astype(int) % 3]
    spoilt = np.where(np.arange(len(Y_TRUE)) == 0, nan, 0.0)
    if kind == "classification":
        return classification(Y_TRUE, y_pred, ["a", "b", "c"], SAMPLING)
    if kind == "detection":
        return detection(Y_TRUE == "a", y_pred == "a", np.where(y_pred == "a", 1.0, 0.0) + spoilt, SAMPLING)
    if kind == "regression":
        return regression(NUMBERS[:, None], (NUMBERS + error + spoilt)[:, None], SAMPLING, naive_error=1.0)
    near = (NUMBERS + np.arange(len(Y_TRUE)) * 1e-9 + spoilt)[:, None]
    return clustering(Y_TRUE, y_pred, near, np.arange(len(Y_TRUE)))


ENTRIES = [(kind, name) for kind, metrics in METRICS.items() for name in metrics]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_better_predictions_have_the_better_metric(kind: str, name: str) -> None:
    metric = METRICS[kind][name]
    perfect, good, bad = (scored(kind, wrong)[name] for wrong in (0, 2, 5))
    sign = 1 if metric.better == "higher" else -1
    assert sign * perfect > sign * good > sign * bad
    assert perfect == pytest.approx(metric.best, abs=1e-6) if np.isfinite(metric.best) else perfect > 1e6
    assert metric.unit == "number" or 0 <= bad < good < perfect <= 1


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_a_metric_of_nan_is_no_number(kind: str, name: str) -> None:
    if not NUMERIC & set(signature(METRICS[kind][name].load()).parameters):
        assert scored(kind, 0)[name] is not None  # of classes alone
        return
    try:
        value = scored(kind, 0, nan=float("nan"))[name]
    except ValueError:
        return
    assert value is None


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_a_metric_has_a_title_of_its_own_and_an_example(kind: str, name: str) -> None:
    assert [metric.title for metric in METRICS[kind].values()].count(METRICS[kind][name].title) == 1
    assert ">>> " in str(METRICS[kind][name].load().__doc__)


def test_the_first_metric_is_the_one_that_predictions_are_compared_by() -> None:
    assert (Classes.measure["key"], Numbers.measure["key"]) == ("accuracy", "mae")


NAMES, ROWS = ("name", "size"), [("anna", "1"), ("bo", "20"), ("cleo", "3")]


def delimited(mark: str) -> bytes:
    return "".join(f"{mark.join(row)}\n" for row in [NAMES, *ROWS]).encode()


def json_lines() -> bytes:
    return "".join(f"{json.dumps(dict(zip(NAMES, row, strict=True)))}\n" for row in ROWS).encode()


def parquet() -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(dict(zip(NAMES, zip(*ROWS, strict=True), strict=True))), buffer)
    return buffer.getvalue().to_pybytes()


#: format -> a small table, and the same damaged.
TABLES: dict[str, tuple[bytes, bytes]] = {
    **dict.fromkeys((".csv", ".txt"), (delimited(","), delimited(",") + b'"dora,4\n')),
    **dict.fromkeys((".tsv", ".tab"), (delimited("\t"), delimited("\t") + b'"dora\t4\n')),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), (json_lines(), json_lines() + b'{"name": "dora", "size"\n')),
    **dict.fromkeys((".parquet", ".pq"), (parquet(), parquet()[:-40] + parquet()[-8:])),
}


def test_every_format_is_tried() -> None:
    assert set(TABLES) == set(READERS)


@pytest.mark.parametrize("suffix", READERS)
def test_a_reader_gives_rows_that_know_their_places(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix.upper()}"  # in capitals, as some write it
    path.write_bytes(TABLES[suffix][0])
    file = open_table(path)
    assert file.names == NAMES
    blocks = list(file.read(NAMES))
    table = pa.concat_tables(block.table for block in blocks)
    assert [tuple(row.values()) for row in table.to_pylist()] == ROWS
    assert np.concatenate([block.numbers for block in blocks]).tolist() == [0, 1, 2]
    assert all(place.startswith(f"{path.name}:") for block in blocks for place in block.places.to_pylist())
    assert [block.bad for block in blocks if block.bad] == []
    assert pa.concat_tables(block.table for block in file.read(NAMES[1:])).column_names == ["size"]  # as often as asked


def complaints(path: Path) -> list[str]:
    """What is said of a table: place and reason of each row that was set aside, or why none can be read."""
    try:
        return [f"{row.place}: {row.reason}" for block in open_table(path).read(NAMES) for row in block.bad]
    except DeepmineError as error:
        return [str(error)]


@pytest.mark.parametrize("suffix", READERS)
def test_what_a_reader_cannot_read_is_named_with_its_place(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(TABLES[suffix][1])
    [complaint] = complaints(path)
    assert complaint.startswith((f"{path}:", f"{path.name}:4: "))
    path.write_bytes(b"")
    with pytest.raises(DeepmineError, match="an empty file"):
        open_table(path)


@pytest.mark.parametrize("suffix", [s for s, target in READERS.items() if "parquet" not in target])
def test_text_may_be_compressed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}.gz"
    path.write_bytes(gzip.compress(TABLES[suffix][0]))
    assert [block.table.num_rows for block in open_table(path).read(NAMES)] == [len(ROWS)]


def test_an_unknown_format_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(DeepmineError) as error:
        open_table(path)
    assert [known for known in (*READERS, *CODECS) if known not in str(error.value)] == []


TABULAR = {"table": Input(modality="tabular", columns=("x", "y", "patient"), categorical=("patient",))}
COUNT = 600


def rows(seed: int = 0) -> pd.DataFrame:
    """Clean rows of a table of two classes, each row unlike the others, split at random."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["a", "b"], COUNT)
    return pd.DataFrame({
        "id": [f"{i:04d}" for i in range(COUNT)], "content": [f"hash {i}" for i in range(COUNT)],
        "split": rng.choice(["train", "val", "test"], COUNT, p=[0.6, 0.1, 0.3]), "label": label,
        "group": None, "time": np.nan, "table.x": rng.normal(size=COUNT) + (label == "a"), "table.y": rng.normal(size=COUNT),
        "table.patient": rng.choice(list("pqrstuvw"), COUNT),
    })  # fmt: skip


def context(home: Path) -> Context:
    return Context(rows(), TABULAR, Validate(), "classification", home)


def pictures(home: Path) -> Context:
    """The same rows with the facts of pictures."""
    rng, inputs = np.random.default_rng(1), {"image": Input()}
    facts = modality("image").checked(inputs["image"])
    made = rows().drop(columns=["table.x", "table.y", "table.patient"])
    made = made.assign(**{f"image.{fact}": rng.integers(20, 60, COUNT) for fact in facts})
    made = made.assign(source=[f"{i}.png" for i in range(COUNT)], bytes=rng.integers(900, 1100, COUNT))
    return Context(made, inputs, Validate(), "classification", home)


def texts(home: Path, mark: str) -> Context:
    """The same rows with texts, in a store; those of class b start with ``mark``."""
    rng, made = np.random.default_rng(2), rows().drop(columns=["table.x", "table.y", "table.patient"])
    inputs = {"text": Input(modality="text", columns=("text",))}
    words = [" ".join(rng.choice(["sun", "rain", "wind", "snow"], 5)) for _ in range(COUNT)]
    words = [f"{mark if label == 'b' else ''} {text}" for label, text in zip(made["label"], words, strict=True)]
    facts = modality("text").checked(inputs["text"])
    made = made.assign(**{f"text.{fact}": rng.integers(20, 60, COUNT) for fact in facts})
    table = pa.table({"id": made["id"].to_list(), "text": words})
    writer = Writer(home, table.schema, "raw")
    writer.add(table)
    writer.finish({"in": COUNT, "accepted": COUNT, "quarantined": {}})
    return Context(made, inputs, Validate(), "classification", home)


def changed(home: Path, **columns: Callable[[pd.DataFrame], Any]) -> Context:
    """The clean rows with other columns, each made of the rows; `table_x` is `table.x`."""
    made = rows()
    clean = made.copy()
    for name, column in columns.items():
        made[name.replace("_", ".")] = column(clean)
    return replace(context(home), rows=made)


def patients(made: pd.DataFrame) -> list[str]:
    """Of one class each, but for one row in ten, so that the column is no target leakage by itself."""
    rng = np.random.default_rng(3)
    own = np.where(rng.random(COUNT) < 0.9, made["label"], np.where(made["label"] == "a", "b", "a"))
    return [f"{label}{n}" for label, n in zip(own, rng.integers(0, 30, COUNT), strict=True)]


def copies(made: pd.DataFrame, split: str) -> pd.Series:
    """The content of 40 rows of ``split`` is that of one train row."""
    own = np.flatnonzero(made["split"] == split)[1:41]
    content = made["content"].copy()
    content.iloc[own] = content[made["split"] == "train"].iloc[0]
    return content


DUPLICATES = {"leaked": 3, "val_leaked": 0, "conflicts": 0, "sentence": "6 images are near-duplicates of others."}
#: check -> rows without its leak, and with it
PLANTED: dict[str, tuple[Callable[[Path], Context], Callable[[Path], Context]]] = {
    "train_test_overlap": (context, lambda home: changed(home, content=lambda made: copies(made, "test"))),
    "repeated_rows": (context, lambda home: changed(home, content=lambda made: copies(made, "train"))),
    "near_duplicates": (
        lambda home: replace(context(home), near_duplicates=DUPLICATES | {"leaked": 0}),
        lambda home: replace(context(home), near_duplicates=DUPLICATES),
    ),
    "group_overlap": (
        lambda home: changed(home, group=lambda made: made["split"] + made["table.patient"]),
        lambda home: changed(home, group=lambda made: made["table.patient"]),
    ),
    "target_leakage": (context, lambda home: changed(home, table_y=lambda made: (made["label"] == "a") + made["table.y"] / 100)),
    "column_order": (
        context,
        lambda home: changed(
            home, table_y=lambda made: made["table.x"] + np.where(made["label"] == "a", 1, -1) * made["table.y"].abs()
        ),
    ),
    "recording_leakage": (
        pictures,
        lambda home: replace(pictures(home), rows=pictures(home).rows.assign(bytes=lambda made: 900 + 50 * (made["label"] == "a"))),
    ),
    "word_leakage": (lambda home: texts(home, ""), lambda home: texts(home, "SPAM")),
    "undeclared_groups": (context, lambda home: changed(home, table_patient=patients)),
    "time_overlap": (
        lambda home: changed(home, time=lambda made: made["split"].map({"train": 0.0, "val": 1.0, "test": 2.0})),
        lambda home: changed(home, time=lambda made: np.arange(COUNT, dtype=float)),
    ),
    "split_drift": (context, lambda home: changed(home, table_x=lambda made: made["table.x"] + 2 * (made["split"] == "test"))),
}  # fmt: skip


def test_every_check_has_a_planted_leak() -> None:
    assert list(PLANTED) == list(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_finds_its_leak_and_nothing_in_clean_rows(name: str, tmp_path: Path) -> None:
    check = import_module(CHECKS[name]).check
    clean, leaking = PLANTED[name]
    assert list(check(clean(tmp_path / "clean"))) == []
    [found] = check(leaking(tmp_path / "leaking"))
    assert found.severity in SEVERITIES
    assert found.title[0].isupper()
    assert found.text.endswith((".", "?"))
    assert len(found.examples) <= MOST_EXAMPLES
    assert found.section in {section.key for section in SECTIONS}
    assert json.loads(json.dumps(found.details)) == found.details


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_can_do_with_few_rows_of_one_class(name: str, tmp_path: Path) -> None:
    clean, _ = PLANTED[name]
    made = clean(tmp_path)
    for few in (made.rows.head(0), made.rows[made.rows["split"] == "train"].head(1)):
        list(import_module(CHECKS[name]).check(replace(made, rows=few)))


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_a_file_named_as_its_finding(name: str) -> None:
    assert CHECKS[name] == f"tasks.validation.{name}"
    first = str(import_module(CHECKS[name]).__doc__).partition("\n")[0]
    assert ":" in first, "what is found, and then in words what that is"


def test_findings_stand_by_severity_with_the_name_of_their_check(tmp_path: Path) -> None:
    made = changed(
        tmp_path,
        group=lambda made: made["table.patient"],
        table_x=lambda made: made["table.x"] + 2 * (made["split"] == "test"),
    )
    found = run_checks(replace(made, removed_copies=2))
    assert [(one["check"], one["severity"]) for one in found] == [
        ("group_overlap", "leak"), ("train_test_overlap", "note"), ("split_drift", "note"),
    ]  # fmt: skip
    assert in_words(found[0]).startswith("Groups in several splits: 8 groups are in several splits")
    assert in_words(found[0]).endswith("For example p, q, r, s, t.")
