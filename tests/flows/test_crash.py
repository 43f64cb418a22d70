"""An unexpected exception, at each door, ends in one line and a full log without passwords."""

import re
import stat
from pathlib import Path

import pytest

from flows import crash
from tests.flows.conftest import Project

RAISE = '\n\nraise RuntimeError("no such thing: http://me:hushhush@host/x")\n'


def logs(output: str) -> list[Path]:
    """The logs that ``output`` names, each in one line, and no traceback beside them."""
    assert "Traceback" not in output
    assert "hushhush" not in output
    assert "unexpected RuntimeError: no such thing: http://***@host/x. Full log to send us: " in output
    found = re.findall(r"Full log to send us: (.+?\.log)", output)
    return [Path(path) for path in dict.fromkeys(found)]


def check(log: Path, command: str) -> None:
    text = log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "Traceback (most recent call last)" in text
    assert 'RuntimeError("no such thing' in text
    assert re.search(rf"^command: .*{command}", text, re.M)
    assert re.search(r"^versions: deepmine \d.*prefect 3.*pyarrow \d", text, re.M)
    assert "hushhush" not in text


def test_a_command(finished: Project) -> None:
    with (finished.path / "flows/look.py").open("a") as file:
        file.write(RAISE)
    output = finished.run("deepmine", "status", code=1)
    assert len(output.splitlines()) == 1
    [log] = logs(output)
    assert log.parent == finished.path / "data/records/crashes"
    check(log, "status")


def test_a_stage_of_a_run(finished: Project) -> None:
    with (finished.path / "tasks/evaluate.py").open("a") as file:
        file.write(RAISE)
    output = finished.run("deepmine", "run", "--no-server", code=1)
    [log] = logs(output)
    check(log, "stage evaluate small")
    assert "- report@small         NotReady" in output


def test_the_run_itself(finished: Project) -> None:
    """A fault between the stages: the stage fails in one line, what needs it is not run."""
    with (finished.path / "flows/child.py").open("a") as file:
        file.write(RAISE.replace("\n\n", "\n\ndef repro(*args):\n    "))
    output = finished.run("deepmine", "run", "--no-server", code=1)
    assert output.count("Full log") == 1
    [log] = logs(output)
    check(log, "run --no-server")
    assert "- report@small         NotReady" in output


def test_a_log_that_cannot_lie_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("a file where a folder should be")
    monkeypatch.setattr(crash.tempfile, "tempdir", str(tmp_path / "elsewhere"))
    line = crash.crash_line(KeyError("x"))
    assert line.startswith("unexpected KeyError: 'x'. Full log to send us: ")
    assert Path(line.rpartition(": ")[2]).parent == tmp_path / "elsewhere"


def test_what_reads_our_output_may_stop_early(finished: Project) -> None:
    output = finished.run("bash", "-c", "set -o pipefail; deepmine plan | true; echo ended", code=None)
    assert "Traceback" not in output
    assert "unexpected" not in output
