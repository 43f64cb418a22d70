"""The pipeline: DVC's stages in DVC's order, each one Prefect task; nothing of the graph is said here again."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.states import Cancelled, Completed, Failed, State

from flows import artifacts, child, lock
from flows.graph import PATIENCE, Graph, Node
from flows.lock import project_lock
from flows.project import SCRATCH, find_root, paths, pick, read_record, record_folder
from flows.screen import Watcher
from tasks.errors import DeepmineError

#: Who watches the run in this process, besides Prefect; set by the command line.
WATCHERS: list[Watcher] = []


@dataclass
class Outcome:
    """What came of a stage: `Completed`, `Cached`, `Failed`, `NotReady` or `Cancelled`, and a few words."""

    state: str
    text: str
    seconds: float = 0.0


def run_node(
    graph: Graph, node: Node, force: bool, on_line: Callable[[str], None], tick: Callable[[], bool]
) -> Outcome:
    """Bring one stage up to date through DVC, if it is not so already."""
    if node.wrong:
        return Outcome("Failed", node.wrong)
    began = time.monotonic()
    lock.note(node.name)
    always = graph.always(node.name)
    reasons = graph.changes(node.name)
    if not reasons and not force:
        return Outcome("Cached", "up to date")
    if force:  # again means again: not from a finished checkpoint or finished shards
        shutil.rmtree(SCRATCH / node.dataset / node.stage, ignore_errors=True)
    before = _outputs(node) if always else None
    said: list[str] = []

    def listen(line: str) -> None:
        said.append(line)
        on_line(line)

    while True:
        try:
            code, restored = child.repro(node.name, force, listen, tick)
            break
        except child.Busy:
            if time.monotonic() - began > PATIENCE:
                return Outcome("Failed", "another dvc command kept the project busy; try again")
            time.sleep(1)
    graph.forget()
    seconds = time.monotonic() - began
    if code == -1:
        return Outcome("Cancelled", "stopped on request", seconds)
    if code:
        return Outcome("Failed", _error(said), seconds)
    if restored:
        return Outcome("Cached", "same inputs as an earlier run; its results were restored", seconds)
    if always and not force and _outputs(node) == before:
        return Outcome("Cached", "nothing changed", seconds)
    return Outcome("Completed", _words(node), seconds)


@flow(name="pipeline", log_prints=False, persist_result=False)
def pipeline(datasets: list[str] | None = None, force: bool = False) -> Any:
    """Run every stage that is not up to date.

    Args:
        datasets: names from params.yaml; none: all of them.
        force: run the stages even where nothing changed.
    """
    os.chdir(find_root())
    log = get_run_logger()
    picked, wrong = pick(datasets)
    with project_lock(f"pipeline run of {', '.join([*picked, *wrong])}"):
        graph, nodes = _nodes(picked, wrong)
        states: dict[str, State[Any]] = {}
        for node in nodes:
            step = stage_task.with_options(name=node.name, task_run_name=node.name)
            before = [states[name] for name in node.upstream if name in states]
            states[node.name] = step(graph, node, force, wait_for=before, return_state=True)
            if states[node.name].name == "NotReady":
                _tell("ended", node.name, "NotReady", 0.0, "needs a stage that failed")
            elif isinstance(states[node.name].data, BaseException) or states[node.name].is_crashed():
                _tell("ended", node.name, "Failed", 0.0, str(states[node.name].message))
            if states[node.name].is_cancelled():
                return Cancelled(message="stopped on request")
        bad = [name for name, state in states.items() if not state.is_completed()]
        if bad:
            return Failed(message="; ".join(f"{n}: {states[n].message}" for n in bad if states[n].name != "NotReady"))
        cached = sum(state.name == "Cached" for state in states.values())
        log.info("%d stages, %d of them cached", len(states), cached)
        return Completed(name="Cached" if cached == len(states) else None, message=f"{cached} of {len(states)} cached")


@task(cache_policy=NO_CACHE, persist_result=False)
def stage_task(graph: Graph, node: Node, force: bool) -> State[Any]:
    """One stage as Prefect shows it: its log, progress, artifacts and state."""
    log = get_run_logger()
    progress = artifacts.Progress(node, record_folder(node.dataset) / f"{node.stage}.progress.json")
    cancelled = _cancellation()
    last_logged = 0.0

    def on_line(line: str) -> None:
        nonlocal last_logged
        _tell("line", node.name, line)
        if not progress.is_progress(line) or time.monotonic() - last_logged > 10 or " done" in line:
            log.info(line)
            last_logged = time.monotonic()

    def tick() -> bool:
        progress.update()
        return not cancelled()

    _tell("began", node.name)
    outcome = run_node(graph, node, force, on_line, tick)
    _tell("ended", node.name, outcome.state, outcome.seconds, outcome.text)
    if outcome.state == "Failed":
        log.error(outcome.text)
        return Failed(message=outcome.text)
    if outcome.state == "Cancelled":
        return Cancelled(message=outcome.text)
    if outcome.state == "Completed":
        progress.finish()
        try:
            artifacts.publish(node)
        except Exception:  # what a person looks at must not fail a finished stage
            log.warning("what was to be shown of %s could not be made", node.name, exc_info=True)
    return Completed(name=outcome.state, message=outcome.text)


def run_without_server(datasets: list[str], force: bool) -> bool:
    """The same loop without Prefect; true if every stage is up to date at the end."""
    picked, wrong = pick(datasets)
    with project_lock(f"run of {', '.join([*picked, *wrong])}"):
        graph, nodes = _nodes(picked, wrong)
        bad: set[str] = set()
        for node in nodes:
            if bad & set(node.upstream):
                bad.add(node.name)
                _tell("ended", node.name, "NotReady", 0.0, "needs a stage that failed")
                continue
            _tell("began", node.name)
            outcome = run_node(graph, node, force, partial(_tell, "line", node.name), lambda: True)
            _tell("ended", node.name, outcome.state, outcome.seconds, outcome.text)
            if outcome.state not in ("Completed", "Cached"):
                bad.add(node.name)
        return not bad


def _nodes(picked: dict[str, Any], wrong: dict[str, str]) -> tuple[Graph, list[Node]]:
    """DVC's graph, and what is to run: a stage that fails for each ``wrong`` entry, then all stages of the others.

    Raises:
        DeepmineError: DVC cannot read the project, as with a name that leads out of its folders.
    """
    try:
        graph = Graph()
    except DeepmineError as error:
        raise DeepmineError("\n".join([*wrong.values(), str(error)])) from None
    return graph, [Node(f"plan@{n}", wrong=said) for n, said in wrong.items()] + graph.order(picked)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher`` what happens in runs of this process."""
    WATCHERS.append(watcher)
    try:
        yield
    finally:
        WATCHERS.remove(watcher)


def _tell(event: str, *details: Any) -> None:
    for watcher in WATCHERS:
        getattr(watcher, event)(*details)


def _cancellation() -> Callable[[], bool]:
    """A function that says whether the run was cancelled in the UI; it asks the server every few seconds.

    A worker ends a cancelled run by a signal; a run that a person started in a terminal has no worker.
    """
    from prefect.client.orchestration import get_client

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise MissingContextError("a stage runs inside the pipeline flow")
    run = context.flow_run.id
    asked = time.monotonic()

    def cancelled() -> bool:
        nonlocal asked
        if time.monotonic() - asked < 3:
            return False
        asked = time.monotonic()
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(run).state
        except Exception:  # noqa: BLE001 (a server that is away must not stop the work)
            return False
        return state is not None and (state.is_cancelling() or state.is_cancelled())

    return cancelled


def _outputs(node: Node) -> dict[str, tuple[int, int]]:
    found = {}
    for name, path in paths(node.stage, node.dataset).items():
        if Path(path).is_file():
            status = path.stat()
            found[name] = (status.st_mtime_ns, status.st_size)
    return found


def _error(said: list[str]) -> str:
    mark = "deepmine: error: "
    own = [line.removeprefix(mark) for line in said if line.startswith(mark)]
    return "\n".join(own or said[-12:]) or "ended without a word"


def _words(node: Node) -> str:
    facts = read_record(node.dataset, node.stage).get("facts", {})
    shown = {
        k: f"{v:,}" if isinstance(v, int | float) else v for k, v in facts.items()
        if isinstance(v, int | float | str) and k != "verdict"  # which stands in the artifact and ends the run
    }  # fmt: skip
    # rows first; a digest tells a person nothing
    order = sorted(shown, key=lambda k: k != "rows")
    return ", ".join(f"{k.replace('_', ' ')} {shown[k]}" for k in order if k not in ("digest", "bytes"))
