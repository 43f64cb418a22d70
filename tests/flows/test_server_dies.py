"""The Prefect server is killed, stopped or locked in the middle of a run: the work is done, and it is said once."""

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from ruamel.yaml import YAML

from flows import serving
from tasks import STAGES
from tests.flows.conftest import Project, Stranger, copied, copy_code, listening, post
from tests.flows.test_doors import wait_for

#: Said once where the server is known to be away.
GONE = "no longer recorded there"


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project of 150 rows of two numbers, whose stages take as long as their libraries to load."""
    path = tmp_path_factory.mktemp("table") / "project"
    path.mkdir()
    copy_code(path)
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a + b > 0 else 'no'}" for a, b in rng.normal(size=(150, 2))]
    (path / "rows.csv").write_text("\n".join(["a,b,label", *rows, ""]))
    made = Project(path)
    made.run("deepmine", "add", "small", "rows.csv", "--label", "label")
    made.edit(lambda data: data.update(datasets={"small": data["datasets"]["small"]}))
    made.edit(lambda data: data["datasets"]["small"].update(train={"epochs": 2}, evaluate={"resamples": 100}))
    made.run("dvc", "repro", timeout=900)
    return made


@pytest.fixture
def again(tmp_path: Path, table: Project) -> Iterator[Project]:
    """A copy of it with its own server up."""
    made = copied(table, tmp_path / "project")
    made.run("deepmine", "server")
    yield made
    made.end()
    server = process_of(made)
    if server is not None:
        server.kill()


def process_of(project: Project) -> psutil.Process | None:
    note = json.loads((project.path / "data/records/server.json").read_text())
    try:
        return psutil.Process(note["pid"])
    except psutil.NoSuchProcess:
        return None


def undo(project: Project, stage: str) -> None:
    """Remove what a stage made, so that it runs again; those above and below stay as they are."""
    for out in YAML(typ="safe").load(project.path / "dvc.lock")["stages"][f"{stage}@small"].get("outs", []):
        path = project.path / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        (project.path / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]).unlink(missing_ok=True)
    # nor is it to be put together from an earlier run, or from finished parts
    shutil.rmtree(project.path / ".dvc/cache/runs", ignore_errors=True)
    shutil.rmtree(project.path / "data/scratch/small" / stage, ignore_errors=True)


def running(project: Project, stage: str) -> bool:
    """Whether the stage's own process is at work."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(project.path) and words[-3:] == ["stage", stage, "small"]:
            return True
    return False


def disturbed(project: Project, stage: str, disturb: Callable[[], object]) -> str:
    """What a run says during whose ``stage`` the server is disturbed; its work must be that of an undisturbed one."""
    before = project.results()
    undo(project, stage)
    run = project.start("deepmine", "run")
    wait_for(lambda: running(project, stage) or run.poll() is not None, 200)
    disturb()
    code = run.wait(400)
    output = (project.path / "output.txt").read_text()
    assert code == 0, output
    assert project.results() == before
    assert "done in " in output
    assert "Traceback" not in output
    assert "Error" not in output
    return output


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["plan", *STAGES])
def test_killed_in_each_stage(again: Project, stage: str) -> None:
    output = disturbed(again, stage, process_of(again).kill)
    assert output.count("the Prefect server http") == 1, output
    assert output.count("(incomplete)") == 1


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["ingest", "train", "report"])
def test_hung_it_accepts_and_never_answers(again: Project, stage: str) -> None:
    server = process_of(again)
    output = disturbed(again, stage, server.suspend)
    assert output.count("the Prefect server http") == 1, output
    server.resume()


@pytest.mark.slow
def test_its_database_is_locked(again: Project) -> None:
    lock = sqlite3.connect(again.path / "data/records/prefect.db", isolation_level=None)
    try:
        output = disturbed(again, "extract", lambda: lock.execute("BEGIN EXCLUSIVE"))
        assert output.count("the Prefect server http") <= 1, output
    finally:
        lock.close()


@pytest.mark.slow
def test_killed_under_a_worker(again: Project) -> None:
    """A run that a worker started: the stages are done, and the worker's log says it."""
    before = again.results()
    undo(again, "train")
    again.run("sh", "-c", 'eval "$(deepmine server)" && prefect work-pool create "$DEEPMINE_PROJECT" --type process '
              "&& prefect deploy --all")  # fmt: skip
    worker = again.start(
        "sh", "-c", 'eval "$(deepmine server)" && exec prefect worker start --pool "$DEEPMINE_PROJECT"'
    )
    name = f"pipeline/nightly-{serving.project_name(again.path)}"
    again.run("sh", "-c", f'eval "$(deepmine server)" && prefect deployment run {name}')
    wait_for(lambda: running(again, "train"), 200)
    process_of(again).kill()
    wait_for(lambda: again.results() == before, 400)
    # Prefect itself goes on for minutes to tell a server that is gone
    for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
        process.kill()
    output = (again.path / "output.txt").read_text()
    assert output.count(GONE) == 1, output


@pytest.mark.slow
def test_a_worker_records_a_run(again: Project) -> None:
    """The README's way onto a schedule, with the server that asks for a password."""
    again.run("sh", "-c", 'eval "$(deepmine server)" && prefect work-pool create "$DEEPMINE_PROJECT" --type process '
              "&& prefect deploy --all")  # fmt: skip
    worker = again.start(
        "sh", "-c", 'eval "$(deepmine server)" && exec prefect worker start --pool "$DEEPMINE_PROJECT"'
    )
    name = f"pipeline/nightly-{serving.project_name(again.path)}"
    again.run("sh", "-c", f'eval "$(deepmine server)" && prefect deployment run {name} --watch', timeout=300)
    runs = post(again.server(), "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    assert [r["state"]["name"] for r in runs] == ["Cached"]
    worker.send_signal(signal.SIGINT)
    worker.wait(60)


@pytest.mark.slow
def test_a_fault_of_our_own_in_the_flow_is_one_line(again: Project) -> None:
    with (again.path / "flows/execute.py").open("a") as file:
        file.write("\n\ndef _nodes(*args):\n    raise RuntimeError('no such thing')\n")
    output = again.run("deepmine", "run", code=1)
    assert "Traceback" not in output
    assert output.count("deepmine: error: unexpected RuntimeError: no such thing. Full log to send us: ") == 1
    [run] = post(again.server(), "/flow_runs/filter", {})
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"].startswith("unexpected RuntimeError: no such thing. Full log")


class Nothing(Stranger):
    """Gives Prefect's version as its answer."""

    body = b'"3.8.8"'


def test_a_server_that_is_none_does_not_stop_the_work(finished: Project) -> None:
    """Prefect fails before the flow has begun."""
    with listening(Nothing) as port:
        finished.env["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        output = finished.run("deepmine", "run")
    assert output.count("Cached") == 10, output
    assert output.count("the Prefect server") == 1
    assert "Traceback" not in output
