"""What `deepmine add` takes a source for: modality of each column, label, objective, group, split, layout."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from tasks.autodetect.preview import admitted, findings
from tasks.autodetect.proposal import Proposal, propose
from tasks.config.dataset import Dataset
from tasks.config.parsing import parse
from tasks.config.source import Input, Source
from tasks.core.errors import DeepmineError
from tests.fixtures.images import class_folders

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", ROOT / "../shared/data"))
MAP = pa.map_(pa.string(), pa.int64())
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"public data sets are not at {DATA} (DEEPMINE_TEST_DATA)")


def proposed(path: Path | str, unlabelled: bool = False, **given: Any) -> Proposal:
    made = propose(Source(path=str(path), **given), given, unlabelled)
    parse(Dataset, made.entry(), "entry")
    return made


def csv(folder: Path, text: str) -> Path:
    (folder / "rows.csv").write_text(text)
    return folder / "rows.csv"


def sounds(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        soundfile.write(folder / f"{i % 2}_anna_{i}.wav", np.random.default_rng(i).normal(0, 0.1, 4000), 8000)
    return folder


def test_folders_of_images(tmp_path: Path) -> None:
    made = proposed(class_folders(tmp_path, each=6))
    assert made.entry() == {"source": {"path": str(tmp_path)}}
    text = "\n".join(findings(made))
    assert "12 items" in text
    assert "classes  2: " in text
    assert "by hash of the content" in text
    assert "image " in text
    assert text.endswith("problem  none seen")


def test_a_folder_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = proposed(class_folders(tmp_path, each=6))
    monkeypatch.setattr("tasks.sources.listing", None)
    assert "12 items" in findings(made)[0]


def test_folders_of_sounds(tmp_path: Path) -> None:
    folder = sounds(tmp_path / "sounds")
    made = proposed(folder)
    assert made.entry() == {
        "source": {"path": str(folder)},
        "inputs": {"audio": {"modality": "audio", "columns": ["path"]}},
        "objective": "autoencoder",
    }
    made = proposed(folder, pattern=r"(?P<label>\d)_(?P<group>[a-z]+)")
    assert made.objective == "auto"
    text = "\n".join(findings(made))
    assert "classes  2: 0 2, 1 2" in text
    assert "by hash of the group (from the pattern)" in text
    assert "8,000 Hz mono" in text


def test_files_without_a_suffix_are_told_by_how_they_begin(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / str(i)).write_text(f"some words of a text, {i}")
    assert list(proposed(tmp_path).inputs) == ["text"]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            soundfile.write(str(path), np.zeros(100), 8000, format="WAV")
    assert list(proposed(tmp_path).inputs) == ["audio"]


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, each=30)
    first, *rest = sorted((folder / "b").iterdir())
    for path in rest[:-1]:
        path.unlink()
    first.write_bytes(b"nothing")
    text = "\n".join(findings(proposed(folder)))
    assert "problem  1 of 32 opened: not an image" in text
    assert "problem  largest class a has 15 times the rows of b" in text


TEXTS = [f"the quick brown fox number {i} jumps over a lazy dog" for i in range(60)]


def test_columns_of_a_table(tmp_path: Path) -> None:
    text = "id,PatientID,age,code,born,note,job,empty,same,kind\n" + "".join(
        f"r{i},{i // 3},{i * 1.5},00{i % 7},2024-01-{i % 28 + 1:02d},{TEXTS[i]},{'abc'[i % 3]},,x,{'no' if i % 4 else 'yes'}\n"
        for i in range(60)
    )
    made = proposed(csv(tmp_path, text), label="kind")
    assert made.source.id == "id"
    assert made.source.group == "PatientID"
    assert made.inputs == {
        "text": Input(modality="text", columns=("note",)),
        "table": Input(
            modality="tabular", columns=("age", "code", "born", "job"), categorical=("code", "job"), date=("born",)
        ),
    }
    assert made.objective == "classification"
    lines = findings(made)
    assert lines[0].startswith(f"{tmp_path / 'rows.csv'}: 60 rows")
    assert "classes  2: no 45, yes 15" in lines
    assert "splits   none given: by hash of the group (PatientID), 20 % test, 10 % val" in lines
    assert "left out empty (empty), same (always the same)" in lines


@pytest.mark.parametrize("name", ["label", "Class", "target", "category", "type", "default", "y"])
def test_usual_names_of_labels(tmp_path: Path, name: str) -> None:
    made = proposed(csv(tmp_path, f"a,{name}\n" + "".join(f"{i / 7},{i % 2}\n" for i in range(30))))
    assert (made.source.label, made.objective, list(made.inputs)) == (name, "classification", ["table"])


@pytest.mark.parametrize(
    ("values", "objective"),
    [
        ([i % 10 for i in range(100)], "classification"),
        (range(100), "regression"),
        ([i / 8 for i in range(100)], "regression"),
        (["low", "high"] * 50, "classification"),
        ([0.5, 1.0] * 50, "classification"),
    ],
)
def test_numbers_with_many_values_are_regression(tmp_path: Path, values: list[Any], objective: str) -> None:
    made = proposed(csv(tmp_path, "a,target\n" + "".join(f"{i % 17},{v}\n" for i, v in enumerate(values))))
    assert made.objective == objective
    assert any("label    target: " in line for line in findings(made)) == (objective == "regression")


def test_a_label_without_a_usual_name_is_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,mood\n" + "".join(f"{i / 7},{'so' if i % 2 else 'la'}\n" for i in range(30)))
    with pytest.raises(DeepmineError, match=r"which column is the label\? It could be mood \(2 values\)"):
        proposed(path)
    made = proposed(path, unlabelled=True)
    assert (made.objective, made.inputs["table"].columns) == ("autoencoder", ("a", "mood"))
    assert proposed(path, label="mood").objective == "classification"
    numbers = proposed(csv(tmp_path, "a,b\n" + "".join(f"{i / 7},{i * i}\n" for i in range(30))))
    assert numbers.objective == "autoencoder"


def test_a_label_can_be_hidden(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,label\n" + "".join(f"{i / 7},{i % 2}\n" for i in range(30)))
    made = proposed(path, unlabelled=True)
    assert made.entry()["source"]["label"] == ""
    assert "label    none: features are learned by an autoencoder" in findings(made)


def test_one_class_is_refused(tmp_path: Path) -> None:
    made = proposed(csv(tmp_path, "a,kind\n" + "".join(f"{i / 7},x\n" for i in range(30))), label="kind")
    with pytest.raises(DeepmineError, match=r"1 class \(x\); at least two are needed"):
        findings(made)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "rows.parquet")
    with pytest.raises(DeepmineError, match="holds no rows"):
        proposed(tmp_path / "rows.parquet")


def test_paths_in_a_table(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pics", each=4)
    sounds(tmp_path / "sounds", 8)
    pictures = sorted(p.relative_to(tmp_path) for p in folder.rglob("*") if p.is_file())
    recordings = sorted(p.relative_to(tmp_path) for p in (tmp_path / "sounds").iterdir())
    lines = [f"{p},{s},{TEXTS[i]},{i % 2},{'test' if i > 5 else 'train'}"
             for i, (p, s) in enumerate(zip(pictures, recordings, strict=True))]  # fmt: skip
    made = proposed(csv(tmp_path, "file,heard,said,label,fold\n" + "\n".join(lines)))
    assert made.inputs == {
        "image": Input(columns=("file",)),
        "audio": Input(modality="audio", columns=("heard",)),
        "text": Input(modality="text", columns=("said",)),
    }
    assert made.source.split == "fold"
    text = "\n".join(findings(made))
    assert "splits   test 2, train 6" in text
    assert "8,000 Hz" in text
    assert "8 items" in text


def test_settings_of_the_file_are_written_down(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("".join(f"{i % 3};größer {i};{TEXTS[i]}\n" for i in range(40)).encode("cp1252"))
    made = proposed(path, label="c1")
    source = made.entry()["source"]
    assert source == {
        "path": str(path), "label": "c1", "delimiter": ";", "encoding": "cp1252", "names": ["c1", "c2", "c3"],
    }  # fmt: skip
    assert any("no header" in line for line in findings(made))


def test_long_series(tmp_path: Path) -> None:
    text = "id,t,x,y,label\n" + "".join(f"{i},{t},{t * i},{t},{'ab'[i % 2]}\n" for i in range(30) for t in range(9))
    made = proposed(csv(tmp_path, text))
    assert (made.source.layout, made.source.id, made.source.time, made.source.label) == ("long", "id", "t", "label")
    assert made.inputs == {"series": Input(modality="series", columns=("x", "y"))}
    lines = findings(made)
    assert "30 series" in lines[0]
    assert "classes  2: a 15, b 15" in lines


def test_wide_series_and_lists(tmp_path: Path) -> None:
    names = [f"t{i}" for i in range(12)]
    text = ",".join(names) + ",age,label\n"
    text += "".join(",".join(str(i * t / 3) for t in range(12)) + f",{i},{'ab'[i % 2]}\n" for i in range(30))
    made = proposed(csv(tmp_path, text))
    assert made.inputs == {
        "series": Input(modality="series", columns=tuple(names)),
        "table": Input(modality="tabular", columns=("age",)),
    }
    rows = pa.table({"wave": [[float(i), 2.0] for i in range(30)], "label": ["ab"[i % 2] for i in range(30)]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    assert proposed(tmp_path / "rows.parquet").inputs == {"series": Input(modality="series", columns=("wave",))}


def test_one_long_series(tmp_path: Path) -> None:
    text = "time,load\n" + "".join(f"2024-01-{i // 24 + 1:02d}T{i % 24:02d}:00,{np.sin(i)}\n" for i in range(400))
    made = proposed(csv(tmp_path, text))
    assert made.objective == "forecasting"
    assert made.entry()["train"]["encoders"]["series"]["name"] == "ffn"
    assert made.source.window is not None
    assert (made.source.window.length, made.source.window.horizon) == (20, 2)
    assert "label    the next 2 steps" in findings(made)
    states = "".join(f"{line},{'state' if i == 0 else i % 2}\n" for i, line in enumerate(text.splitlines()))
    labelled = proposed(csv(tmp_path, states), label="state")
    assert (labelled.source.window, labelled.objective) == (None, "classification")
    assert labelled.inputs["table"].date == ("time",)


def test_names_that_the_pipeline_has_itself_are_left_out(tmp_path: Path) -> None:
    text = "source,a,label\n" + "".join(f"{'xyz'[i % 3]},{i / 7},{i % 2}\n" for i in range(30))
    lines = findings(proposed(csv(tmp_path, text)))
    assert "left out source (deepmine has a column of this name; rename it)" in lines


def test_records_are_passed_over(tmp_path: Path) -> None:
    rows = [{"kind": "ab"[i % 2], "weight": i, "of": {"maker": "x"}, "parts": [{"n": i}]} for i in range(40)]
    table = pa.Table.from_pylist(rows).append_column("seen", pa.array([[("a", i)] for i in range(40)], MAP))
    pq.write_table(table, tmp_path / "rows.parquet")
    made = proposed(tmp_path / "rows.parquet", label="kind")
    assert [spec.columns for spec in made.inputs.values()] == [("weight",)]


def test_bad_rows_are_counted(tmp_path: Path) -> None:
    text = "key,a,label\n" + "".join(f"{i},{i / 7},{i % 2}\n" for i in range(30)) + "3,1,1\n9\n"
    lines = findings(proposed(csv(tmp_path, text), id="key"))
    assert "problem  1 of 32 rows: duplicate id" in lines
    assert "problem  1 of 32 rows: wrong number of cells" in lines


@needs_data
@pytest.mark.parametrize(
    ("name", "given", "inputs", "label"),
    [
        ("sms_spam.csv", {}, {"text": "text"}, "type"),
        ("ag_news.csv", {"label": "c1"}, {"text": "text"}, "c1"),
        ("credit.csv", {}, {"table": "tabular"}, "default"),
    ],
)
def test_public_tables(name: str, given: dict[str, str], inputs: dict[str, str], label: str) -> None:
    made = proposed(DATA / name, **given)
    assert {k: v.modality for k, v in made.inputs.items()} == inputs
    assert (made.source.label, made.objective) == (label, "classification")
    assert findings(made)[-1] == "problem  none seen"


def test_a_very_long_cell(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'word ' * (40_000 if i == 1 else 3)}\n" for i in range(20))
    assert proposed(csv(tmp_path, "id,text\n" + rows), unlabelled=True).inputs["text"].modality == "text"


def test_the_median_of_a_label_counts_rows(tmp_path: Path) -> None:
    values = [0.5] * 300 + [float(v) for v in range(1, 100)]
    text = "x,y\n" + "".join(f"{i % 7},{v}\n" for i, v in enumerate(values))
    made = proposed(csv(tmp_path, text), label="y")
    assert made.objective == "regression"
    assert any("0.5 to 99, median 0.5" in line for line in findings(made))


def test_shares_of_held_out_rows_are_those_of_the_defaults_that_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows import add

    (tmp_path / "rows.csv").write_text("a,label\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40)))
    (tmp_path / "params.yaml").write_text("defaults: {ingest: {val: 0.15, test: 0.25}}\ndatasets:\n  d: {source: x}\n")
    monkeypatch.chdir(tmp_path)
    add.add("rows", "rows.csv", {"label": "label"})
    assert "25 % test, 15 % val" in capsys.readouterr().out


def faulty(rows: Iterator[dict[str, Any]], schema: pa.Schema, **given: Any) -> pa.Table:
    """`admitted`, but some files crash, stall or swell the decoder."""
    found = []
    for row in rows:
        if "crash" in row["path"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "swell" in row["path"]:
            bytearray(1 << 40)
        found.append(admitted(iter([row]), schema=schema, **given))
    return pa.concat_tables(found)


def test_a_file_that_crashes_or_swells_the_decoder_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folders(tmp_path, each=4)
    home = next(p for p in sorted(tmp_path.iterdir()) if p.is_dir())
    for name in ("crash.png", "swell.png"):
        (home / name).write_bytes(next(home.iterdir()).read_bytes())
    monkeypatch.setattr("tasks.autodetect.preview.admitted", faulty)
    told = findings(propose(Source(path=str(tmp_path)), []))
    assert any("opened: decoder crashed" in line and line.startswith("problem  1 of") for line in told), told
    assert any("opened: out of memory" in line and line.startswith("problem  1 of") for line in told), told
