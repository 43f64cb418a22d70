"""`deepmine run`: the pipeline under a Prefect server or without one, seen from a terminal."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import execute, project, server, serving
from flows.screen import Screen, cell

#: Seconds that Prefect's client waits for one answer, and how often it asks again: a server that went away shall not
#: hold up the end of a run for minutes, as it would with Prefect's own 60 and 5.
TIMEOUT, RETRIES = 10.0, 2


@dataclass
class Record:
    """Where a run is recorded: its page (empty: nowhere), whether all of it is there, whether our password opens it."""

    url: str = ""
    complete: bool = True
    password: bool = False


def run(names: list[str], force: bool, with_server: bool) -> int:
    """Run the pipeline; the exit code. Does not return if Prefect's server went away: Prefect would wait for it.

    Raises:
        DeepmineError: a wrong name or configuration, a server that cannot be used, or another run on the project.
    """
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _terminate)
    # the terminal shows the run in its own way; the full log goes to the server
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL"}
    os.environ.update(serving.QUIET)
    known, wrong = project.pick(names)
    picked = [*known, *wrong]
    with Screen() as screen, execute.watched_by(screen):
        if with_server:
            outcomes, record = _recorded(server.obtain(screen.console.print), picked, force)
        else:
            outcomes, record = execute.run_stages(picked, force, execute.Unrecorded()), Record()
        good = all(outcome.good for outcome in outcomes.values())
        _summary(screen, list(known), good, record, time.monotonic() - began)
    if not record.complete:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if good else 1)  # at exit Prefect tries for minutes to send what it could not
    return 0 if good else 1


def _terminate(*_: Any) -> None:
    """What a SIGTERM does: the stage that runs is ended with all that it started, as by Ctrl-C."""
    sys.exit(128 + signal.SIGTERM)


def _recorded(found: server.Server, names: list[str], force: bool) -> tuple[dict[str, execute.Outcome], Record]:
    os.environ["PREFECT_API_URL"] = found.api
    from prefect import settings

    from flows import pipeline

    values: dict[Any, Any] = {
        settings.PREFECT_API_URL: found.api, settings.PREFECT_API_REQUEST_TIMEOUT: TIMEOUT,
        settings.PREFECT_CLIENT_MAX_RETRIES: RETRIES,
    }  # fmt: skip
    if found.ours:
        values[settings.PREFECT_API_AUTH_STRING] = found.password
        os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost,::1"]))
    with settings.temporary_settings(values):
        ending = pipeline.run_flow(names, force)
    if ending.error is not None:
        raise ending.error
    if ending.outcomes is None:  # Prefect failed before the flow began
        ending.outcomes = execute.run_stages(names, force, execute.Unrecorded())
    url = server.run_url(found.api, ending.run) if ending.run else ""
    return ending.outcomes, Record(url, ending.complete, found.ours)


def _summary(screen: Screen, names: list[str], good: bool, record: Record, seconds: float) -> None:
    say = screen.console.print
    say()
    say(cell("done") if good else cell("not done", "red"), f"in {seconds:.1f} s")
    for name in names:
        report = project.paths("report", name)["index"]
        current = f"{project.STAGES[-1]}@{name}" in screen.current
        verdict = project.read_record(name, "evaluate").get("facts", {}).get("verdict")
        if current and verdict:
            say(cell(name, "bold"), cell(f" {verdict}"), soft_wrap=True)
        if report.is_file():
            say(cell(f"  report  {_shown(report)}" + ("" if current else "  (of an earlier run)")), soft_wrap=True)
    if record.url:
        say(cell(f"  run     {record.url}" + ("" if record.complete else "  (incomplete)")), soft_wrap=True)
        if record.complete and record.password:
            say(cell(f"  login   the line in {_shown(serving.PASSWORD)} (the page asks once)"), soft_wrap=True)
            say(cell(f"          {server.login_url(record.url)}"), soft_wrap=True)
    elif record.complete:
        say("  run     not recorded: --no-server was given")


def _shown(path: Path) -> str:
    """A path as a person would type it from where they called us."""
    return os.path.relpath(path.resolve(), os.environ.get("DEEPMINE_FROM", os.getcwd()))
