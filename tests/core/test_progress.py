"""Progress: how often, what for whom, and how fast."""

import re
import time
from pathlib import Path

import pytest

from tasks.core.files import read_json
from tasks.core.progress import Progress, Share


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_at_most_one_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.start()
    began = time.monotonic()
    for done in range(1, 501):
        progress(done, 1000, "rows")
    seconds = time.monotonic() - began
    found = lines(capsys)
    assert found[0].startswith("1/1,000 rows")  # the first one at once
    assert len(found) <= 1 + seconds  # whatever the machine did meanwhile


def test_before_the_start_nothing_is_hurried(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    Progress()(1, 10, "rows")
    if time.monotonic() - began < 1:
        assert lines(capsys) == []


def test_the_end_and_what_is_asked_for_are_always_said(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.start()
    for done in (1, 2, 3):
        progress(done, 4, "fits", note=f"number {done}", always=True)
    progress(4, 4, "fits")
    found = lines(capsys)
    assert [line.split()[0] for line in found] == ["1/4", "2/4", "3/4", "4/4"]
    assert [line.partition("  ")[2] for line in found] == ["number 1", "number 2", "number 3", ""]


def test_a_quiet_one_writes_only_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "below" / "progress.json"
    progress = Progress(file, quiet=True)
    progress.start()
    progress(1200, 5000, "rows", note="kept from before")
    first = read_json(file)
    assert {k: first[k] for k in ("done", "total", "unit")} == {"done": 1200, "total": 5000, "unit": "rows"}
    assert re.fullmatch(r"1,200/5,000 rows \([\d,]+ a second, \d+ s left\)  kept from before", first["line"])
    assert set(first) == {"done", "total", "unit", "line"}
    progress(5000, 5000, "rows")
    assert read_json(file)["done"] == 5000
    assert [p.name for p in file.parent.iterdir()] == ["progress.json"]
    assert lines(capsys) == []


def test_the_line_of_the_file_is_the_one_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path / "p.json")
    progress.start()
    progress(7, 9, "rows")
    assert lines(capsys) == [read_json(tmp_path / "p.json")["line"]]


def test_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    before = time.monotonic()
    progress.start()
    started = time.monotonic()
    time.sleep(0.05)
    least = time.monotonic() - started
    progress(1000, 3000, "rows")
    most = time.monotonic() - before
    [line] = lines(capsys)
    found = re.fullmatch(r"1,000/3,000 rows \(([\d,]+) a second, (\d+) s left\)", line)
    assert found
    assert 1000 / most - 1 <= int(found[1].replace(",", "")) <= 1000 / least + 1
    assert 2 * least - 1 <= int(found[2]) <= 2 * most + 1


def test_a_long_time_is_left_in_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.start()
    time.sleep(0.001)
    progress(1, 10_000_000, "rows")
    assert re.search(r" a second, [1-9]\d* min left\)$", lines(capsys)[0])


def test_what_was_there_already_says_nothing_of_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.start(90)
    progress(90, 100, "images", always=True)
    progress(100, 100, "images")
    first, last = lines(capsys)
    assert first == "90/100 images (0 a second)"
    assert re.fullmatch(r"100/100 images \([1-9][\d,]* a second\)", last)


def test_a_stage_within_a_longer_one_is_told_as_its_share(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    whole = Progress(file, quiet=True)
    part = Share(whole, 100, 50, 200, "rows", "fold 3 of 5, train")
    whole.start()
    part(1, 4, "epochs", note="epoch 1")
    said = read_json(file)
    assert (said["done"], said["total"], said["unit"]) == (112, 200, "rows")
    assert said["line"].endswith("fold 3 of 5, train: epoch 1")
    whole = Progress(file, quiet=True)
    whole.start()
    last = Share(whole, 150, 50, 200, "rows", "last")
    last(4, 4, "epochs", always=True)
    assert read_json(file)["done"] == 199, "its end is not the end of the whole"
