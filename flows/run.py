"""`deepmine run`: the pipeline flow under a Prefect server, seen from a terminal."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from flows import project, server
from flows.screen import Screen


def run(names: list[str], force: bool, may_start: bool) -> int:
    """Run the pipeline; the exit code.

    Raises:
        DeepmineError: a wrong name or configuration, a server that cannot be used, or another run on the project.
    """
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _terminate)
    # the terminal shows the run in its own way; the full log goes to the server
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    os.environ.update(server.QUIET)
    known, wrong = project.pick(names)
    picked = [*known, *wrong]
    with Screen() as screen:
        api = server.find()
        if api is None and may_start:
            screen.console.print("starting a Prefect server (stop it with: deepmine stop)")
            api = server.start()
        if api is None:
            from flows import pipeline

            with pipeline.watched_by(screen):
                good = pipeline.run_without_server(picked, force)
            url = None
        else:
            good, url = _recorded(api, picked, force, screen)
        _summary(screen, list(known), good, url, time.monotonic() - began)
    return 0 if good else 1


def _terminate(*_: Any) -> None:
    """What a SIGTERM does: the stage that runs is ended with all that it started, as by Ctrl-C."""
    sys.exit(128 + signal.SIGTERM)


def _recorded(api: str, names: list[str], force: bool, screen: Screen) -> tuple[bool, str]:
    os.environ["PREFECT_API_URL"] = api
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import pipeline

    with temporary_settings({PREFECT_API_URL: api}), pipeline.watched_by(screen):
        flow: Any = pipeline.pipeline.with_options(flow_run_name=" ".join(names))
        state = flow(names, force, return_state=True)
    if not state.is_completed():
        error = state.result(raise_on_failure=False)
        if isinstance(error, BaseException):
            raise error
    return state.is_completed(), server.run_url(api, state.state_details.flow_run_id)


def _summary(screen: Screen, names: list[str], good: bool, url: str | None, seconds: float) -> None:
    say = screen.console.print
    say()
    say(f"{'done' if good else '[red]not done[/]'} in {seconds:.1f} s")
    for name in names:
        report = project.paths("report", name)["index"]
        current = f"{project.STAGES[-1]}@{name}" in screen.current
        verdict = project.read_record(name, "evaluate").get("facts", {}).get("verdict")
        if current and verdict:
            say(f"[bold]{name}[/]  {verdict}", soft_wrap=True)
        if report.is_file():
            say(f"  report  {_shown(report)}" + ("" if current else "  (of an earlier run)"), soft_wrap=True)
    if url:
        say(f"  run     {url}", soft_wrap=True)
    else:
        say("  run     not recorded: no Prefect server is up, and --no-server forbids to start one")


def _shown(path: Path) -> str:
    """A path as a person would type it from where they called us."""
    return os.path.relpath(path.resolve(), os.environ.get("DEEPMINE_FROM", os.getcwd()))
