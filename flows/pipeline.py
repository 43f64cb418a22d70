"""The pipeline as Prefect sees it: a flow, and a task for each of DVC's stages; nothing of the graph is said here again."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.states import Cancelled, Completed, Failed, State

from flows import artifacts
from flows.crash import crash_line
from flows.execute import Outcome, Work, run_stages, tell
from flows.graph import Node
from flows.project import find_root, record_folder
from flows.recording import Reporting
from flows.redact import redact
from tasks.core.errors import DeepmineError

#: How often a stage asks whether its run was cancelled, seconds.
ASK = 3.0


@dataclass
class Ending:
    """How the flow run of this process went, whatever Prefect could record of it.

    Neither outcomes nor an error: Prefect failed before the flow began.
    """

    outcomes: dict[str, Outcome] | None = None
    error: DeepmineError | None = None
    #: Prefect's id of the run, and whether all of it is recorded.
    run: UUID | None = None
    complete: bool = True


#: Set by `run_flow`; a worker starts the flow itself.
ENDINGS: list[Ending] = []


def run_flow(names: list[str], force: bool) -> Ending:
    """Run the flow in this process, which does its work also where Prefect fails."""
    ending = Ending()
    ENDINGS.append(ending)
    try:
        flow_run: Any = pipeline.with_options(flow_run_name=" ".join(names))
        flow_run(names, force, return_state=True)
    except Exception:  # noqa: BLE001 (Prefect's own: those of the work are in `ending`)
        if ending.complete:
            ending.complete = False
            _warn("the Prefect server became unavailable: the run is not, or only partly, recorded there.")
    finally:
        ENDINGS.remove(ending)
    return ending


@flow(name="pipeline", log_prints=False, persist_result=False)
def pipeline(datasets: list[str] | None = None, force: bool = False) -> Any:
    """Run every stage that is not up to date.

    Args:
        datasets: names from params.yaml; none: all of them.
        force: run the stages even where nothing changed.
    """
    ending = ENDINGS[-1] if ENDINGS else Ending()
    reporting = Reporting(_api(), _warn)
    ending.run = _run_id()
    try:
        os.chdir(find_root())
        outcomes = ending.outcomes = run_stages(datasets, force, Recorded(reporting))
    except DeepmineError as error:
        ending.error = error
    except Exception as error:  # noqa: BLE001 (it ends as a line and a full log, here as at every door)
        ending.error = DeepmineError(crash_line(error))
    ending.complete = reporting.lost is None
    if ENDINGS and not ending.complete:
        _hang_up_if_gone()
    if ending.error is not None:
        return Failed(message=redact(str(ending.error)))
    return _final(outcomes)


def _final(outcomes: dict[str, Outcome]) -> State[Any]:
    if any(outcome.state == "Cancelled" for outcome in outcomes.values()):
        return Cancelled(message="stopped on request")
    failed = [f"{name}: {o.text}" for name, o in outcomes.items() if o.state == "Failed"]
    if failed:
        return Failed(message="; ".join(failed))
    cached = sum(outcome.state == "Cached" for outcome in outcomes.values())
    all_cached = cached == len(outcomes)
    return Completed(name="Cached" if all_cached else None, message=f"{cached} of {len(outcomes)} cached")


class Recorded:
    """The `Recorder` that shows each stage as a Prefect task run."""

    def __init__(self, reporting: Reporting) -> None:
        self.reporting = reporting
        self._states: dict[str, State[Any]] = {}

    def stage(self, node: Node, work: Work) -> Outcome:
        """Do ``work`` in a task run; if Prefect fails before it has begun, without one."""
        self.reporting.stage = node.name
        done: list[Outcome] = []

        def once(on_line: Callable[[str], None], tick: Callable[[], bool]) -> Outcome:
            done.append(work(on_line, tick))
            return done[0]

        if self.reporting.lost is None:
            self._run(node, once)
        return done[0] if done else work(lambda line: _log("info", line, self.reporting), lambda: True)

    def skipped(self, node: Node) -> None:
        """A task run that waits for one that failed, which Prefect shows as NotReady."""
        if self.reporting.lost is None:
            self._run(node, lambda on_line, tick: Outcome("NotReady", ""))

    def _run(self, node: Node, work: Work) -> None:
        step = stage_task.with_options(name=node.name, task_run_name=node.name)
        above = [self._states[name] for name in node.upstream if name in self._states]
        try:
            self._states[node.name] = step(node, work, self.reporting, wait_for=above, return_state=True)
        except Exception:  # noqa: BLE001 (Prefect's own: what it was to record is done or will be)
            self.reporting.give_up()


@task(cache_policy=NO_CACHE, persist_result=False)
def stage_task(node: Node, work: Work, reporting: Reporting) -> State[Any]:
    """One stage as Prefect shows it: its log, progress, artifacts and state."""
    progress = artifacts.Progress(node, record_folder(node.dataset) / f"{node.stage}.progress.json")
    cancelled = _cancellation(reporting)
    last_logged = 0.0

    def on_line(line: str) -> None:
        nonlocal last_logged
        if not progress.is_progress(line) or time.monotonic() - last_logged > 10 or " done" in line:
            _log("info", line, reporting)
            last_logged = time.monotonic()

    def tick() -> bool:
        _show(progress.update, node, reporting)
        return not cancelled()

    outcome = work(on_line, tick)
    if outcome.state == "Failed":
        _log("error", outcome.text, reporting)
        return Failed(message=outcome.text)
    if outcome.state == "Cancelled":
        return Cancelled(message=outcome.text)
    if outcome.state == "Completed":
        _show(progress.finish, node, reporting)
        _show(lambda: artifacts.publish(node), node, reporting)
    return Completed(name=outcome.state, message=outcome.text)


def _show(call: Callable[[], None], node: Node, reporting: Reporting) -> None:
    """Let ``call`` show something of a stage; what a person looks at must not fail it."""
    try:
        reporting(call)
    except Exception:  # noqa: BLE001
        get_run_logger().warning("the artifacts of %s could not be created", node.name, exc_info=True)


def _log(level: str, text: str, reporting: Reporting) -> None:
    # what cannot be sent would only pile up
    getattr(get_run_logger(), level)("%s", text, extra={"send_to_api": reporting.lost is None})


def _warn(text: str) -> None:
    """To whoever watches at a terminal, and into the log of this process; the server's cannot be reached."""
    tell("line", "", f"deepmine: warning: {text}")
    if FlowRunContext.get() is not None:
        get_run_logger().warning("%s", text, extra={"send_to_api": False})


def _api() -> str:
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value() or "of this process"


def _hang_up_if_gone() -> None:
    """Close the connection to a server that still does not answer, as Prefect would wait a minute to tell it the end."""
    context = FlowRunContext.get()
    once_more = Reporting(_api(), lambda text: None, patience=5)
    if context is not None and once_more(_ask) is None:
        client: Any = context.client
        with suppress(Exception):  # an attribute of Prefect's own: without it the end only takes longer
            client._client.close()


def _ask() -> bool:
    """Whether the run was cancelled in the UI."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(_run_id()).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def _run_id() -> UUID:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise MissingContextError("a stage runs inside the pipeline flow")
    return context.flow_run.id


def _cancellation(reporting: Reporting) -> Callable[[], bool]:
    """A function that says whether the run was cancelled in the UI; it asks the server every few seconds.

    A worker ends a cancelled run by a signal; a run that a person started in a terminal has no worker. That it
    cannot be asked also tells that the server is gone.
    """
    asked = time.monotonic()

    def cancelled() -> bool:
        nonlocal asked
        if time.monotonic() - asked < ASK:
            return False
        try:
            return bool(reporting(_ask))
        except Exception:  # noqa: BLE001 (whatever the server answers must not stop the work)
            return False
        finally:
            asked = time.monotonic()

    return cancelled
