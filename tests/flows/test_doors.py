"""One stage definition, several doors, equal results; a real Prefect server and a real DVC remote."""

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.rest import Server
from tests.flows.conftest import Project, free_port, new_project, post

Served = tuple[Project, Server, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Served]:
    """A project brought up to date by `deepmine run` with the server that it started, that server, the output."""
    project = new_project(tmp_path_factory.mktemp("served") / "project", images)
    output = project.run("deepmine", "run")
    server = project.server()
    yield project, server, output
    project.run("deepmine", "stop")
    with pytest.raises(OSError, match=r"refused|timed out"):
        urllib.request.urlopen(f"{server.api}/health", timeout=2)


def test_dvc_alone_and_prefect_give_the_same_bytes(served: Served, reproduced: Project) -> None:
    ours, theirs = served[0].results(), reproduced.results()
    assert len(ours) > 40
    assert ours.keys() == theirs.keys()
    assert [k for k in ours if ours[k] != theirs[k]] == []


@pytest.mark.slow
def test_forced_again_gives_the_same_bytes(finished: Project) -> None:
    before = finished.results()
    shutil.rmtree(finished.path / "data/scratch")
    finished.run("dvc", "repro", "--force", "--no-run-cache")
    again = finished.results()
    assert [k for k in before if before[k] != again[k]] == []


def test_the_run_ends_with_a_summary(served: Served) -> None:
    _, server, output = served
    assert "done in " in output
    assert "data/reports/small/index.html" in output
    assert f"run     {server.api.removesuffix('/api')}/runs/flow-run/" in output
    assert "login   the line in data/records/server.auth" in output
    assert f"\n          {server.api.removesuffix('/api')}/login?redirect=/runs/flow-run/" in output


def test_stages_artifacts_and_cached_states_stand_in_prefect(served: Served) -> None:
    project, server, _ = served
    output = project.run("deepmine", "run")
    assert output.count("Cached") == 10, output
    runs = post(server, "/flow_runs/filter", {"sort": "START_TIME_DESC"})
    runs = [r for r in runs if r["name"] == "small"]
    assert [r["state"]["name"] for r in runs] == ["Cached", "Completed"]
    tasks = post(server, "/task_runs/filter", {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}})
    assert {t["state"]["name"] for t in tasks} == {"Cached"}
    names = ["plan", "ingest", "validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate", "report"]
    assert {t["name"] for t in tasks} == {f"{n}@small" for n in names}
    artifacts = {
        a["key"]: a["type"] for a in post(server, "/artifacts/filter", {"limit": 200}) if a["key"].endswith("-small")
    }
    assert artifacts == {
        "quality-small": "table", "metrics-small": "table", "report-small": "markdown", "times-small": "markdown",
        "train-small": "progress", "extract-small": "progress",
    }  # fmt: skip


def test_a_second_dataset_of_another_kind_changes_nothing_for_the_first_and_is_shown_in_prefect(
    served: Served, finished: Project
) -> None:
    """On the server of the other project; what has no pictures has no near-duplicates to tell of there."""
    finished.env |= {"PREFECT_API_URL": served[1].api, "PREFECT_API_AUTH_STRING": served[1].password}
    before = finished.results()
    rows = [f"{i % 7},{i % 2 + i % 3},{'yes' if i % 2 else 'no'}" for i in range(120)]
    (finished.path / "rows.csv").write_text("\n".join(["a,b,label", *rows]))
    text = finished.run("deepmine", "add", "rows", "rows.csv", "--label", "label")
    assert "120 rows" in text
    assert "2: no 60, yes 60" in text
    finished.edit(lambda data: data["datasets"]["rows"].update({"train": {"epochs": 2}}))
    assert finished.run("deepmine", "plan", "rows").count("has not run yet") == 9
    output = finished.run("deepmine", "run", "rows")
    assert "run     http" in output
    assert {k: v for k, v in finished.results().items() if "rows" not in k} == before
    assert (finished.path / "data/reports/rows/index.html").is_file()
    shown = {a["key"]: a["description"] for a in post(served[1], "/artifacts/filter", {"limit": 200})}
    assert "120 rows in" in shown["quality-rows"]
    assert {"metrics-rows", "report-rows", "times-rows"} <= set(shown)
    assert "could not be made" not in output


def test_a_run_cancelled_in_the_ui_stops_its_children(
    served: Served, images: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _, server, _ = served
    project = new_project(tmp_path / "long", images)

    def forever(data: dict) -> None:
        data["datasets"]["small"]["train"]["epochs"] = 5000

    project.edit(forever)
    project.env |= {"PREFECT_API_URL": server.api, "PREFECT_API_AUTH_STRING": server.password}
    run = project.start("deepmine", "run")
    request.addfinalizer(project.end)
    wait_for(lambda: (project.path / "data/scratch/small/train/checkpoint.safetensors").is_file(), 120)
    [current] = post(server, "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}})
    post(server, f"/flow_runs/{current['id']}/set_state", {"state": {"type": "CANCELLING"}, "force": False})
    assert run.wait(30) == 1, (project.path / "output.txt").read_text()
    assert stages_of(project) == []
    [ended] = post(server, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [current["id"]]}}})
    assert ended["state"]["name"] == "Cancelled"


def test_without_a_server(finished: Project) -> None:
    # none at all: not the configured one either, which is down
    finished.env["PREFECT_API_URL"] = f"http://127.0.0.1:{free_port()}/api"
    output = finished.run("deepmine", "run", "--no-server", "small")
    assert output.count("Cached") == 10, output
    assert "not recorded: --no-server was given" in output


def test_a_second_run_says_who_holds_the_lock(project: Project) -> None:
    first = project.start("deepmine", "run", "--no-server")
    lock = project.path / "data/records/run.lock"
    wait_for(lambda: lock.is_file() and lock.read_text() != "", 30)
    output = project.run("deepmine", "run", "--no-server", code=1)
    assert f"another run holds this project: process {first.pid} (run of small" in output
    first.send_signal(signal.SIGINT)
    assert first.wait(15) == 130
    assert stages_of(project) == []


def test_a_killed_run_leaves_no_orphan(project: Project) -> None:
    run = project.start("deepmine", "run", "--no-server")
    wait_for(lambda: any("train" in s or "clean" in s for s in stages_of(project)), 60)
    run.kill()
    run.wait()
    wait_for(lambda: stages_of(project) == [], 15)
    # and the next run finds a project that it can go on with
    assert "clean@small" in project.run("dvc", "repro", "clean@small")


def test_push_then_pull_in_another_clone(finished: Project) -> None:
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a run"]):
        finished.run("git", *command)
    tracked = finished.run("git", "ls-files", "data")
    assert {Path(line).name for line in tracked.split()} <= {".gitignore"}
    finished.run("dvc", "push")
    assert (finished.path.parent / "deepmine-storage").is_dir()
    clone = finished.path.parent / "clone"
    finished.run("git", "clone", "-q", ".", str(clone))
    other = Project(clone)
    other.run("dvc", "pull")
    assert other.results() == finished.results()
    assert (clone / "data/reports/small/index.html").is_file()
    assert (clone / "data/reports/small/quality/rows/index.html").is_file()


def stages_of(project: Project) -> list[str]:
    """Stages and dvc commands alive in the project's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        if process.info["cwd"] == str(project.path) and (" stage " in line or " repro " in line):
            found.append(line)
    return found


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_help_is_at_hand(project: Project) -> None:
    done = subprocess.run(["deepmine", "--help"], cwd=os.sep, env=project.env, capture_output=True, text=True)
    assert done.returncode == 0
    for verb in ("run", "add", "plan", "status", "stop"):
        assert f"  {verb} " in done.stdout


def test_in_a_terminal_only_our_own_lines_show(finished: Project) -> None:
    """DVC draws progress bars when it sees a terminal; they once ran through the list of stages."""
    screen = finished.run("script", "-qec", "deepmine run --no-server", "/dev/null")
    assert screen.count("Cached") == 10
    assert "Waiting to acquire lock" not in screen
    assert "Collecting files" not in screen
