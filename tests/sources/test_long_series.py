"""Series put together from a table: one for each id, or windows of one long series that never meet across splits."""

from pathlib import Path

import numpy as np
import pytest

from tasks import sources
from tasks.config.source import Input, Source, Window
from tasks.core.errors import DeepmineError
from tasks.sources import Batch

XY = {"series": Input(modality="series", columns=("x", "y"))}
X = {"series": Input(modality="series", columns=("x",))}


def table(folder: Path, text: str, **keys: object) -> Source:
    (folder / "rows.csv").write_text(text)
    return Source(path=str(folder / "rows.csv"), **keys)  # type: ignore[arg-type]


def rows(batches: list[Batch]) -> list[dict[str, object]]:
    return [row for b in batches for row in b.table.to_pylist()]


def bad(batches: list[Batch]) -> list[tuple[object, ...]]:
    return [(row["id"], row["reason"], row["detail"]) for b in batches for row in b.bad.to_pylist()]


def long(folder: Path, text: str, **keys: object) -> Source:
    return table(folder, text, layout="long", id="who", **{"time": "t", **keys})


def test_a_long_table_becomes_one_series_an_id(tmp_path: Path) -> None:
    text = "who,t,x,y,label,split,speaker\nb,2,1,2,up,train,s\na,1,9,,down,test,s\nb,10,5,6,,train,s\na,0,NA,7,down,test,s\n"
    said: list[str] = []
    source = long(tmp_path, text, split="split", group="speaker")
    batches = list(sources.tables(source, XY, 10, warn=said.append))
    found = rows(batches)
    assert [(r["id"], r["source"], r["label"], r["split"], r["group"]) for r in found] == [
        ("b", "rows.csv:2", "up", "train", "s"),
        ("a", "rows.csv:3", "down", "test", "s"),
    ]
    assert (found[0]["x"], found[0]["y"]) == ([1.0, 5.0], [2.0, 6.0]), "2 before 10, as numbers"
    np.testing.assert_array_equal(found[1]["x"], [np.nan, 9.0])
    np.testing.assert_array_equal(found[1]["y"], [7.0, np.nan])
    assert said == [f"{source.path}: 1 rows stand below a later one: sorted by time"]


def test_of_equal_times_the_first_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    source = long(tmp_path, "who,t,x\na,1,5\na,1,6\nb,1,7\na,0,8\n")
    found = rows(list(sources.tables(source, X, 10, warn=said.append)))
    assert [(r["id"], r["x"]) for r in found] == [("a", [8.0, 5.0]), ("b", [7.0])]
    assert said[1] == f"{source.path}: 1 rows repeat a time of their series: the first of each is kept"


def test_without_a_time_rows_stay_in_order(tmp_path: Path) -> None:
    source = long(tmp_path, "who,t,x\na,3,5\nb,1,7\na,1,6\na,1,9\n", time=None)
    assert [r["x"] for r in rows(list(sources.tables(source, X, 10)))] == [[5.0, 6.0, 9.0], [7.0]]


def test_what_spoils_a_series(tmp_path: Path) -> None:
    text = "who,t,x,label\na,1,1,u\nb,1,oops,u\nb,2,1,u\nc,1,1,u\nc,2,1,v\n,1,1,u\nd,1\ne,?,1,u\na,2,2,u\n"
    batches = list(sources.tables(long(tmp_path, text), X, 10))
    assert [(r["id"], r["x"]) for r in rows(batches)] == [("a", [1.0, 2.0])]
    assert bad(batches) == [
        ("b", "not a number", "rows.csv:3: column 'x'"),
        ("c", "several labels", "label changes within the series"),
        ("rows.csv:7", "id missing", "column 'who'"),
        ("rows.csv:8", "wrong number of cells", "2 instead of 4: 'd,1'"),
        ("e", "no time", "rows.csv:9: column 't'"),
    ]


def test_series_split_by_the_time_they_end_at(tmp_path: Path) -> None:
    text = "who,t,x\n" + "".join(f"s{i},{t},{t}\n" for i in (2, 0, 3, 1) for t in (i, i + 1))
    source = long(tmp_path, text, split_by="time")
    found = rows(list(sources.tables(source, X, 3, (0.25, 0.25))))
    assert {r["id"]: r["split"] for r in found} == {"s0": "train", "s1": "train", "s2": "val", "s3": "test"}


def test_series_come_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.long_series.PIECE", 40)
    text = "who,t,x\n" + "".join(f"{i},{t},{i * 100 + t}\n" for t in range(5) for i in range(60))
    batches = list(sources.tables(long(tmp_path, text), X, 16))
    assert [b.table.num_rows for b in batches] == [16, 16, 16, 12]
    assert [r["x"] for r in rows(batches)] == [[float(i * 100 + t) for t in range(5)] for i in range(60)]


def test_bad_rows_come_with_those_around_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.long_series.PIECE", 4)
    text = "who,t,x\n" + "".join(f"{i},{t},{i if i % 5 else 'oops'}\n" for i in range(40) for t in range(2))
    lines = text.splitlines()
    lines[40:40] = ["broken"]
    batches = list(sources.tables(long(tmp_path, "\n".join(lines)), X, 8))
    assert [(b.table.num_rows, b.bad.num_rows) for b in batches] == [(8, 2), (8, 2), (8, 3), (8, 2)]
    assert batches[2].bad["reason"].to_pylist() == ["wrong number of cells", "not a number", "not a number"]
    assert batches[-1].done == batches[-1].total == (tmp_path / "rows.csv").stat().st_size


def windows(folder: Path, text: str, window: Window, **keys: object) -> Source:
    return table(folder, text, window=window, **keys)


def test_windows_to_forecast_from(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{i},{-i / 2}\n" for i in range(20))
    source = windows(tmp_path, text, Window(length=3, stride=2, horizon=2))
    found = rows(list(sources.tables(source, XY, 4, (0.25, 0.25))))
    assert [(r["id"], r["source"], r["split"]) for r in found] == [
        ("000000000", "rows.csv:2", "train"),
        ("000000002", "rows.csv:4", "train"),
        ("000000004", "rows.csv:6", "train"),
        ("000000010", "rows.csv:12", "val"),
        ("000000015", "rows.csv:17", "test"),
    ]
    assert (found[1]["x"], found[1]["y"]) == ([2.0, 3.0, 4.0], [-1.0, -1.5, -2.0])
    assert found[1]["label"] == "5.0 -2.5 6.0 -3.0", "time by time, all channels"


def test_no_step_is_in_two_splits(tmp_path: Path) -> None:
    text = "x\n" + "".join(f"{i}\n" for i in range(300))
    for length, stride, horizon in ((10, 1, 5), (7, 3, 0), (4, 9, 1)):
        source = windows(tmp_path, text, Window(length=length, stride=stride, horizon=horizon))
        steps: dict[str, set[float]] = {"train": set(), "val": set(), "test": set()}
        for r in rows(list(sources.tables(source, X, 32, (0.1, 0.2)))):
            steps[str(r["split"])] |= set(r["x"]) | {float(v) for v in str(r["label"] or "").split()}  # type: ignore[call-overload]
        assert all(steps.values())
        assert max(steps["train"]) < min(steps["val"])
        assert max(steps["val"]) < min(steps["test"])
        assert (min(steps["val"]), min(steps["test"])) == (210.0, 240.0)


def test_windows_in_order_of_time(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(30)
    text = "t,x\n" + "".join(f"2024-01-{i + 1:02d},{i}\n" for i in order) + "2024-01-05,99\n"
    said: list[str] = []
    source = windows(tmp_path, text, Window(length=5, stride=5), time="t")
    found = rows(list(sources.tables(source, X, 99, (0.2, 0.2), warn=said.append)))
    assert [r["x"] for r in found] == [[float(i + j) for j in range(5)] for i in (0, 5, 10, 18, 24)]
    assert len(said) == 2


def test_the_label_of_a_window_is_its_commonest(tmp_path: Path) -> None:
    labels = ["b", "b", "a", "a", "", "c", "", "", "", "c", "b", "c"]
    text = "x,state\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    source = windows(tmp_path, text, Window(length=3, stride=3), label="state")
    assert [r["label"] for r in rows(list(sources.tables(source, X, 99, (0.0, 0.0))))] == ["b", "a", None, "c"]
    source = windows(tmp_path, text, Window(length=4, stride=4), label="state")
    assert rows(list(sources.tables(source, X, 99, (0.0, 0.0))))[0]["label"] == "b", "of equals the first in the series"


def test_what_spoils_a_window(tmp_path: Path) -> None:
    lines = [str(i) for i in range(20)]
    lines[4], lines[9], lines[17] = "oops", "1,2", "NA"
    source = windows(tmp_path, "x\n" + "\n".join(lines) + "\n", Window(length=3, stride=3))
    batches = list(sources.tables(source, X, 2, (0.0, 0.0)))
    assert bad(batches) == [
        ("000000003", "not a number", "rows.csv:6: column 'x'"),
        ("000000009", "wrong number of cells", "rows.csv:11: 2 instead of 1: '1,2'"),
    ]
    found = rows(batches)
    assert [r["id"] for r in found] == ["000000000", "000000006", "000000012", "000000015"]
    np.testing.assert_array_equal(found[-1]["x"], [15, 16, np.nan])
    ahead = windows(tmp_path, "x\n" + "\n".join(lines) + "\n", Window(length=2, stride=15, horizon=1))
    assert [r["label"] for r in rows(list(sources.tables(ahead, X, 9, (0.0, 0.0))))] == ["2.0", None]


def test_windows_of_given_splits(tmp_path: Path) -> None:
    text = "x,part\n" + "".join(f"{i},{'test' if 8 <= i < 14 else 'train'}\n" for i in range(20))
    source = windows(tmp_path, text, Window(length=3, stride=3), split="part")
    found = rows(list(sources.tables(source, X, 9, (0.2, 0.2))))
    assert [(r["id"], r["split"]) for r in found] == [
        ("000000000", "train"),
        ("000000003", "train"),
        ("000000008", "test"),
        ("000000011", "test"),
        ("000000014", "train"),
        ("000000017", "train"),
    ]
    assert sources.official(source, X, sources.listing(source, X)) == {"val", "test"}


@pytest.mark.parametrize(
    ("keys", "inputs", "says"),
    [
        ({"window": Window(length=9)}, X, r"test has 4 steps in one piece, fewer than the 9 of a window"),
        ({"window": Window(length=2), "id": "x"}, X, "cuts one series"),
        ({"layout": "long"}, X, "needs source.id"),
        ({"window": Window(length=2)}, {"t": Input(modality="tabular", columns=("x",))}, "input 't' is tabular"),
        ({"window": Window(length=2), "split": "part"}, X, "'a' is no split"),
    ],
)
def test_series_that_are_refused(tmp_path: Path, keys: dict[str, object], inputs: dict[str, Input], says: str) -> None:
    source = table(tmp_path, "x,part\n" + "1,a\n" * 20, **keys)
    with pytest.raises(DeepmineError, match=says):
        list(sources.tables(source, inputs, 9, (0.0, 0.2)))


@pytest.mark.parametrize("quote", ["", '""'])
def test_a_row_whose_id_is_empty_belongs_to_nothing(quote: str, tmp_path: Path) -> None:
    batches = list(sources.tables(long(tmp_path, f"who,t,x\na,1,1\n{quote},2,2\nb,1,3\n"), X, 10))
    assert [row["id"] for row in rows(batches)] == ["a", "b"]
    assert [(source, reason) for source, reason, _ in bad(batches)] == [("rows.csv:3", "id missing")]
