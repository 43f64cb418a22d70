"""What a terminal is sent: text of strangers is text there, neither markup nor control."""

import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from flows import artifacts, look, project
from flows import screen as screens
from flows.cli import show_error
from flows.graph import Node
from flows.like import like
from flows.screen import Screen, cell, console
from tasks.core.errors import DeepmineError
from tasks.features.view import View
from tests.core.test_printable import STEERS

HERE = Path(__file__).parents[2]
EVIL = "[red]x[/] \x1b[2J\x1b]0;pwned\x07 \u202egnp \x9b31m :smile: [link=http://evil.example]y[/link]"
TOLD = r"[red]x[/] \x1b[2J\x1b]0;pwned\x07 \u202egnp \x9b31m :smile: [link=http://evil.example]y[/link]"
OWN = re.compile(r"\x1b\[[0-9;]*m")  # colours that are ours


def read(text: str) -> str:
    """What was sent, without our own colours; nothing else in it may steer."""
    plain = OWN.sub("", text)
    assert not STEERS.search(plain), ascii(plain)
    return plain


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What is sent to a terminal of colours and 300 columns."""
    sent = StringIO()

    def made(stderr: bool = False) -> screens.Console:
        return screens.Console(
            file=sent,
            force_terminal=True,
            width=300,
            highlight=False,
            markup=False,
            emoji=False,
            color_system="standard",
        )

    for place in (screens, look):
        monkeypatch.setattr(place, "console", made)
    monkeypatch.setattr("flows.like.console", made)
    return sent


def test_a_run(terminal: StringIO) -> None:
    with Screen() as shown:
        shown.line("ingest@x", f"deepmine: warning: {EVIL}")
        shown.ended("ingest@x", "Failed", 1.0, f"{EVIL}\nmore {EVIL}")
        shown.ended("clean@x", "Completed", 1.0, EVIL)
    assert read(terminal.getvalue()).count(TOLD) == 4


def test_a_dumb_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen() as shown:
        shown.line("ingest@x", EVIL)
    assert TOLD in read(capsys.readouterr().err)


def test_a_plan(terminal: StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Nodes:
        def order(self, names: list[str]) -> list[Node]:
            return [Node("ingest@x", ())]

        def always(self, name: str) -> bool:
            return False

        def changes(self, name: str) -> list[str]:
            return [EVIL]

    monkeypatch.setattr(look, "Graph", Nodes)
    monkeypatch.setattr(look, "_looked_at", lambda names: ({}, {"x": {"ingest": [EVIL]}}, 0))
    monkeypatch.setattr(look, "_counts", lambda node: ("1", EVIL))
    monkeypatch.setattr(project, "paths", lambda stage, name: {"index": tmp_path / "none"})
    monkeypatch.setattr(look, "_cost", lambda name, folds: "")
    look.show_status([])
    assert read(terminal.getvalue()).count(TOLD) == 1
    monkeypatch.setattr(look, "_looked_at", lambda names: (dict.fromkeys("x", _Free()), {"x": {"ingest": [EVIL]}}, 0))
    look.show_plan([])
    assert read(terminal.getvalue()).count(TOLD) == 3


class _Free:
    """A dataset without folds."""

    class crossvalidate:  # noqa: N801
        folds = 0


def test_neighbours(terminal: StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ids, label = np.array([EVIL, f"{EVIL}2"]), np.array([EVIL, "b"], object)
    made = View("deep", ids, np.array(["train"] * 2), label, np.ones(2, bool), np.eye(2, dtype=np.float32), "f", ())
    monkeypatch.setattr("flows.like.load_view", lambda folder, name: made)
    monkeypatch.setattr(project, "one", lambda name: None)
    monkeypatch.setattr(project, "paths", lambda stage, name: {"features": tmp_path})
    like("x", TOLD, 3)  # as it is shown, which can be typed
    told = read(terminal.getvalue())
    assert told.count(TOLD) == 3


def test_errors_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(DeepmineError(f"{EVIL}\nsecond {EVIL}\r\x0bthird\u2028"))
    project.warn(f"{EVIL}\n")
    lines = read(capsys.readouterr().err).splitlines()
    assert len(lines) == 3
    assert lines[0] == f"deepmine: error: {TOLD}"
    assert lines[1] == rf"deepmine: error: second {TOLD}\r\x0bthird\u2028"
    assert lines[2] == rf"deepmine: warning: {TOLD}\n"


def test_descriptions_of_artifacts_mean_nothing_in_markdown() -> None:
    told = artifacts.in_markdown("**<img src=x> [a](javascript:b) `c` # | \x1b &lt;")
    assert told == r"\*\*\<img src=x\> \[a\]\(javascript:b\) \`c\` \# \| \\x1b \&lt;"


def test_names_reach_the_terminal_through_the_doors_alone() -> None:
    doors = {"flows/cli.py", "flows/crash.py", "flows/project.py", "flows/screen.py", "tasks/core/progress.py"}
    for path in sorted([*(HERE / "flows").rglob("*.py"), *(HERE / "tasks").rglob("*.py")]):
        name = path.relative_to(HERE).as_posix()
        found = re.findall(r"(?<![\w.])print\(|(?<!\w)Console\(|sys\.std(?:out|err)\.write|\[/\]", path.read_text())
        assert name in doors or not found, name


def test_the_console_takes_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    made = console()
    made.print("[bold]a[/] :smile:", cell(EVIL), soft_wrap=True)
    assert read(capsys.readouterr().out) == f"[bold]a[/] :smile: {TOLD}\n"
