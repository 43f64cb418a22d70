"""A project on a machine that lacks something: one line each, and nothing lost."""

import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import Project

#: How a run ends that the machine stopped: the stage, what is lacking, what to do.
LINE = re.compile(r"✗ \w+@small +[\d.]+ s +(\w+(?:@small)?: .*and run again: what was finished is kept\.)")


@pytest.fixture
def disk(mounted: Callable[[str], Path]) -> Path:
    """A disk of its own, 64 MB."""
    return mounted("64m")


def told(project: Project, before: Callable[[], None] | None = None) -> str:
    """What a run says, in which no traceback may stand; empty when it came to its end."""
    done = subprocess.run(
        ["deepmine", "run", "--no-server"], cwd=project.path, env=project.env, capture_output=True, text=True,
        preexec_fn=before,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    if done.returncode == 0:
        return ""
    assert LINE.search(output) or "deepmine: error: " in output, output
    return output


def place(project: Project, to: Path) -> Project:
    """The project, with its code and source but without results, at another place."""
    shutil.copytree(project.path, to, symlinks=True, ignore=shutil.ignore_patterns("cache", "tmp", ".prefect-home"))
    for path in (to / "data").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    (to / "dvc.lock").unlink(missing_ok=True)
    return Project(to)


@pytest.mark.slow
def test_a_disk_that_fills_in_every_stage(disk: Path, reproduced: Project) -> None:
    project = place(reproduced, disk / "project")
    # without the look at the disk before each stage, which would stop all of them at once
    space = project.path / "tasks/core/space.py"
    space.write_text(space.read_text().replace("LEAST = 8 << 20", "LEAST = 0"))
    stopped: set[str] = set()
    free, filler = 8 << 10, disk / "filler"
    while True:
        filler.unlink(missing_ok=True)
        with filler.open("wb") as file:
            file.write(bytes(max(0, shutil.disk_usage(disk).free - free)))
        output = told(project)
        if not output:
            break
        for line in LINE.findall(output):
            assert re.search(r"no space left on the disk.* free on the disk of |not enough space", line), output
            stopped.add(re.split("[@:]", line)[0])
        free += 256 << 10
        assert free < 30 << 20, output
    assert len(stopped) >= 4, stopped
    assert project.results() == reproduced.results()


@pytest.mark.slow
def test_too_little_space_and_a_read_only_disk_are_found_at_once(disk: Path, reproduced: Project) -> None:
    project = place(reproduced, disk / "project")
    with (disk / "filler").open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - (4 << 20)))
    assert re.search(
        r"plan@small: not enough space .* about 8.4 MB needed \(at the least\), 4\.\d MB free", told(project)
    )
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert "run of small: the disk is read-only at " in told(project)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert told(project) == ""
    assert project.results() == reproduced.results()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "limit", "says"), [
    ("RLIMIT_FSIZE", 2000, "no file may grow as large as this one .*allowed: 2.0 kB a file"),
    ("RLIMIT_NOFILE", 12, "too many open files"),
    ("RLIMIT_AS", 700_000_000, "of address space|out of memory|no further thread"),
])  # fmt: skip
def test_limits_of_a_process(tmp_path: Path, reproduced: Project, name: str, limit: int, says: str) -> None:
    project = place(reproduced, tmp_path / "project")
    assert re.search(says, told(project, lambda: resource.setrlimit(getattr(resource, name), (limit, limit))))
    assert told(project) == ""
    assert project.results() == reproduced.results()
