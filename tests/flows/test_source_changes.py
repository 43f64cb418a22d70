"""A source that changes, or goes away, while a stage is at work: one line each, and nothing lost."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tasks.storage.store import read
from tests.flows.conftest import Project, make_images, new_project

#: Each stage, and the one whose end says that it begins.
STAGES = ("plan", "ingest", "validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate", "report")


def paint(path: Path, shade: int) -> None:
    Image.new("RGB", (12, 12), (shade, 255 - shade, 7)).save(path)


def ended(project: Project, stage: str) -> int:
    path = project.path / f"data/records/small/{stage}.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


def run_and_change(project: Project, after: str, change: Callable[[], None]) -> tuple[int, str]:
    """Exit code and words of a run in which ``change`` is made as soon as the stage ``after`` has ended."""
    before = ended(project, after)
    process = project.start("deepmine", "run", "--no-server")
    while ended(project, after) == before and process.poll() is None:
        time.sleep(0.01)
    change()
    code = process.wait(timeout=400)
    return code, (project.path / "output.txt").read_text()


def ids(project: Project) -> set[str]:
    found = read(project.path / "data/raw/small", ["id"])["id"].to_pylist()
    found += read(project.path / "data/quarantine/small/unreadable", ["id"])["id"].to_pylist()
    assert len(found) == len(set(found))
    return set(found)


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.png")}


@pytest.fixture
def own(tmp_path: Path) -> Project:
    """A project with images of its own, to change."""
    return new_project(tmp_path / "project", make_images(tmp_path / "images", each=20))


@pytest.mark.slow
def test_files_that_change_or_go_before_ingest_reads_them(own: Project, tmp_path: Path) -> None:
    images = tmp_path / "images"

    def replace() -> None:
        for i in range(3):
            paint(images / f"class2/{i:03d}.png", i)

    code, words = run_and_change(own, "plan", replace)
    assert code == 1
    errors = [line for line in words.splitlines() if "changed since it was listed" in line]
    assert len(errors) == 1, words
    assert "class2/000.png" in errors[0]
    assert "Traceback" not in words
    code, words = run_and_change(own, "nothing", lambda: None)
    assert code == 0, words
    assert ids(own) == listed(images)
    paint(images / "class0/new.png", 200)
    then = listed(images)
    code, words = run_and_change(own, "plan", lambda: shutil.move(images / "class1", tmp_path / "away"))
    assert code == 0, words  # the rows of the files that went were read before
    assert ids(own) == then
    shutil.move(tmp_path / "away", images / "class1")
    own.run("deepmine", "run", "--no-server")
    assert ids(own) == listed(images)


@pytest.mark.slow
def test_a_source_that_changes_in_every_later_stage_is_of_the_next_run(finished: Project, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images_of(finished, images)
    paint(images / "class0/000.png", 10)  # there is something to do for every stage
    listed_then = listed(images)
    marks = {stage: ended(finished, stage) for stage in STAGES[1:]}
    process = finished.start("deepmine", "run", "--no-server")
    for i, (before, mark) in enumerate(marks.items()):
        while ended(finished, before) == mark and process.poll() is None:
            time.sleep(0.01)
        if before != STAGES[-1]:  # while the next stage is at work
            paint(images / f"class0/{i + 1:03d}.png", 20 + i)
            paint(images / f"class1/new{i}.png", 100 + i)
            (images / f"class2/{i + 1:03d}.png").unlink()
    code, words = process.wait(timeout=600), (finished.path / "output.txt").read_text()
    assert code == 0, words
    assert "Traceback" not in words
    assert ids(finished) == listed_then, "the rows that were listed"
    assert "the source's items changed" in finished.run("deepmine", "plan")
    finished.run("deepmine", "run", "--no-server")
    assert ids(finished) == listed(images)


def images_of(project: Project, folder: Path) -> None:
    """Point the project at a copy of its images, to change."""
    old = {}

    def move(data: dict) -> None:
        old["path"] = str(data["datasets"]["small"]["source"])
        data["datasets"]["small"]["source"] = str(folder)

    project.edit(move)
    shutil.copytree(old["path"], folder)


HOLD = """
import sys, time, zc.lockfile
lock = zc.lockfile.LockFile(".dvc/tmp/lock")
print("held", flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.slow
def test_another_dvc_command_is_waited_for(finished: Project) -> None:
    env = {**finished.env, "PYTHONPATH": os.pathsep.join(sys.path)}
    neighbour = subprocess.Popen(
        [sys.executable, "-c", HOLD, "12"], cwd=finished.path, env=env, stdout=subprocess.PIPE, text=True
    )
    assert neighbour.stdout is not None
    assert neighbour.stdout.readline() == "held\n"
    try:
        words = finished.run("deepmine", "status")
        assert "Traceback" not in words
        words = finished.run("deepmine", "run", "--no-server")
        assert "Traceback" not in words
        assert "report" in words
    finally:
        neighbour.kill()
        neighbour.communicate()
