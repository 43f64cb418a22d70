"""What killed processes leave is found and removed, and nothing of a living one."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import healing, lock
from tasks.core.errors import DeepmineError
from tests.flows.conftest import ROOT, Project

#: No process has it: above the largest number that Linux gives.
NOBODY = 2**22 + 1


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project's folder, the working directory."""
    monkeypatch.chdir(tmp_path)
    healing.DVC_TMP.mkdir(parents=True)
    (tmp_path / "data/scratch").mkdir(parents=True)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def living(here: Path) -> Iterator[int]:
    """A process of the project whose command line names dvc."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc", "repro"]) as child:
        yield child.pid
        child.kill()


def entry(pid: object) -> dict:
    return {"pid": pid, "cmd": "dvc repro"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", '"x"', "null", '{"write": []}', '{"write": {"a": 3}}', '{"write": {"a": {"pid": "x"}}}',
     '{"read": {"a": 3}}', '{"read": {"a": [[]]}}', '{"write"', "[" * 100_000, '{"write": {"a": {"pid": 1e99, "cmd": ""}}}'],
)  # fmt: skip
def test_a_table_of_locks_of_an_odd_shape_blocks_nothing(here: Path, text: str) -> None:
    path = healing.DVC_TMP / "rwlock"
    path.write_text(text)
    assert healing.busy() == []
    assert healing.heal_rwlock(healing.DVC_TMP) != []
    assert json.loads(path.read_bytes()) == {}
    assert healing.heal_rwlock(healing.DVC_TMP) == []


def test_locks_of_the_dead_go_and_those_of_the_living_stay(here: Path, living: int) -> None:
    path = healing.DVC_TMP / "rwlock"
    # 1 is alive and no dvc, as a number that was given again
    write = {"gone": entry(NOBODY), "another": entry(1), "at work": entry(living)}
    path.write_text(json.dumps({"write": write, "read": {"x": [entry(NOBODY), entry(living)], "y": [entry(1)]}}))
    assert healing.busy() == [f"dvc repro (process {living})"]
    healing.heal_rwlock(healing.DVC_TMP)
    assert json.loads(path.read_bytes()) == {"write": {"at work": entry(living)}, "read": {"x": [entry(living)]}}


def test_a_process_younger_than_the_table_has_only_the_number(here: Path, living: int) -> None:
    path = healing.DVC_TMP / "rwlock"
    path.write_text(json.dumps({"write": {"x": entry(living)}}))
    os.utime(path, (time.time() - 60, time.time() - 60))
    healing.heal_rwlock(healing.DVC_TMP)
    assert json.loads(path.read_bytes()) == {}


def test_temporary_files_of_the_dead_alone_are_removed(here: Path, living: int) -> None:
    scratch = here / "data/scratch"
    gone = [scratch / f".checkpoint.safetensors.{NOBODY}", scratch / f".ab12.rows.{NOBODY}.14", scratch / ".a.json.1"]
    gone += [here / "data/.AbCdEfGhIjKlMnOpQrSt-_.tmp", here / "dvc.lock.AbCdEfGhIjKlMnOpQrSt-_.tmp"]
    source = here / "data/photos"
    source.mkdir()
    kept = [source / f".mine.{NOBODY}", source / ".AbCdEfGhIjKlMnOpQrSt-_.tmp"]  # a person's own
    kept += [scratch / f".a.json.{living}", scratch / ".gitignore", scratch / "a.1", scratch / ".hidden.tmp"]
    for path in (*gone, *kept):
        path.write_text("x")
    os.utime(gone[2], (1, 1))  # from before the process that has the number 1 now began
    assert healing.leftovers(here) == sorted(gone)
    (healing.DVC_TMP / "rwlock").write_text(json.dumps({"write": {"x": entry(living)}}))
    assert healing.leftovers(here) == sorted(gone[:3])  # a dvc that is at work may still need its own
    assert healing.heal() == ["removed 3 temporary files of processes that were killed"]
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize(
    "text",
    [b"", b"schema: '2.0'\nstages:\n  a: {cmd", b"stages: []\n", b"\xff\xfe", b"\0" * 9, b"[]",
     b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000, b"\n".join(b" " * i + b"a:" for i in range(200))],
    ids=lambda text: repr(text[:30]),
)  # fmt: skip
def test_a_damaged_dvc_lock_is_set_aside(here: Path, text: bytes) -> None:
    healing.LOCKFILE.write_bytes(text)
    assert "are restored from DVC's run cache" in (healing.set_aside_lockfile() or "")
    assert not healing.LOCKFILE.exists()
    assert (healing.DVC_TMP / "dvc.lock.damaged").read_bytes() == text


def test_a_sound_dvc_lock_stays(here: Path) -> None:
    assert healing.set_aside_lockfile() is None
    lists = "\n".join(f"      b{i}: []" for i in range(300))
    healing.LOCKFILE.write_text(f"schema: '2.0'\nstages:\n  a:\n    cmd: x\n    params:\n     params.yaml:\n{lists}\n")
    assert healing.set_aside_lockfile() is None
    assert healing.LOCKFILE.exists()


def test_a_run_is_named_with_its_stage_and_a_second_one_refused(here: Path) -> None:
    path = here / "data/records/run.lock"
    assert lock.running(path) is None
    with lock.project_lock("run of a", path):
        lock.note("train@a")
        run = lock.running(path)
        assert run is not None
        assert f"process {os.getpid()} (run of a, since " in run["words"]
        assert run["words"].endswith(", now at train@a)")
        with lock.if_free(path) as free:
            assert free
        with (
            pytest.raises(DeepmineError, match=r"another run holds this project: process \d+ .* now at train@a"),
            lock.project_lock("again", path),
        ):
            pass
    assert lock.running(path) is None
    # of a killed run the text stays; its number may be another's now
    path.write_text(json.dumps({"pid": 1, "started": 12.5, "what": "x", "since": "then", "stage": ""}))
    assert lock.running(path) is None


def test_a_run_heals_what_kills_left_and_restores_all_from_the_cache(finished: Project) -> None:
    before, lockfile = finished.results(), (finished.path / "dvc.lock").read_bytes()
    (finished.path / "dvc.lock").write_bytes(b"schema: '2.0'\nstages:\n  ingest@sm")
    (finished.path / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {str(finished.path / "data"): entry(1)}}))
    left = finished.path / f"data/scratch/small/train/.checkpoint.safetensors.{NOBODY}"
    left.write_bytes(b"x" * 1000)
    output = finished.run("deepmine", "run", "--no-server")
    assert "dvc.lock was damaged" in output
    assert not left.exists()
    assert output.count("Cached") == 10, output
    assert finished.results() == before
    assert (finished.path / "dvc.lock").read_bytes() == lockfile


def test_status_answers_while_another_command_is_at_work_and_names_it(finished: Project) -> None:
    table = finished.path / ".dvc/tmp/rwlock"
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "dvc", "repro"], cwd=finished.path
    ) as other:
        text = json.dumps({"write": {str(finished.path / "data/models/small/encoder"): entry(other.pid)}})
        table.write_text(text)
        output = finished.run("deepmine", "status")
        other.kill()
    assert f"a run is in progress: dvc repro (process {other.pid})" in output
    assert re.search(r"train +current", output), output
    assert table.read_text() == text


@pytest.mark.parametrize("of_dvc", [True, False])
def test_a_stage_whose_dvc_was_killed_before_it_looked_ends(here: Path, of_dvc: bool) -> None:
    code = (
        "import sys; from pathlib import Path; from flows.watchdog import die_with_parent; Path('began').touch(); "
        "die_with_parent(); Path('went on').touch(); Path('over').touch()"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("DVC_STAGE", "DEEPMINE_RUN_PID")} | {
        "PYTHONPATH": str(ROOT)
    }
    env |= {"DVC_STAGE": "train@x"} if of_dvc else {}
    # the shell ends at once, so that nothing but the environment tells who started the stage
    begun = f'{{ sleep 0.3; "{sys.executable}" -c "{code}"; touch over; }} &'
    subprocess.run(["sh", "-c", begun], env=env, check=True)
    until = time.monotonic() + 60
    while not (here / "over").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert (here / "began").exists()
    assert (here / "went on").exists() is not of_dvc
