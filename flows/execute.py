"""A run without its record: DVC's stages in DVC's order. Prefect is not imported here, so nothing of it can stop a run."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from flows import child, lock
from flows.crash import crash_line
from flows.graph import PATIENCE, Graph, Node
from flows.lock import project_lock
from flows.project import SCRATCH, paths, pick, read_record
from flows.redact import redact
from flows.screen import Watcher
from tasks.config.dataset import Dataset
from tasks.core.errors import DeepmineError
from tasks.core.faults import fault_in, machine_faults

#: Who watches the run in this process, besides Prefect; set by the command line.
WATCHERS: list[Watcher] = []


@dataclass(frozen=True)
class Outcome:
    """What came of a stage: `Completed`, `Cached`, `Failed`, `NotReady` or `Cancelled`, and a few words."""

    state: str
    text: str
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the stage is up to date now."""
        return self.state in ("Completed", "Cached")


#: One stage's work, to be called with who hears its lines and who says, twice a second, whether to go on.
Work = Callable[[Callable[[str], None], Callable[[], bool]], Outcome]


class Recorder(Protocol):
    """Keeps the record of a run; whatever becomes of the record, `stage` does the work and says what came of it."""

    def stage(self, node: Node, work: Work) -> Outcome:
        """Do ``work`` once, and record it as the stage ``node``."""

    def skipped(self, node: Node) -> None:
        """The stage ``node`` cannot run, as one above it failed."""


class Unrecorded:
    """The `Recorder` that keeps no record."""

    def stage(self, node: Node, work: Work) -> Outcome:
        """Do ``work``."""
        return work(lambda line: None, lambda: True)

    def skipped(self, node: Node) -> None:
        """Nothing to do."""


def run_stages(datasets: list[str] | None, force: bool, recorder: Recorder) -> dict[str, Outcome]:
    """Run every stage of ``datasets`` (none: all) that is not up to date; what came of each, by its name.

    Ends early, with the last stage as `Cancelled`, when ``recorder`` says so.

    Raises:
        DeepmineError: a wrong name, another run that holds the project, or DVC cannot read it.
    """
    picked, wrong = pick(datasets)
    with project_lock(f"run of {', '.join([*picked, *wrong])}"):
        graph, nodes = _nodes(picked, wrong)
        outcomes: dict[str, Outcome] = {}
        for node in nodes:
            if all(outcomes[name].good for name in node.upstream if name in outcomes):
                tell("began", node.name)
                outcome = recorder.stage(node, partial(_attempt, graph, node, force))
            else:
                recorder.skipped(node)
                outcome = Outcome("NotReady", "needs a stage that failed")
            outcomes[node.name] = outcome
            tell("ended", node.name, outcome.state, outcome.seconds, outcome.text)
            if outcome.state == "Cancelled":
                break
        return outcomes


def _nodes(picked: dict[str, Dataset], wrong: dict[str, str]) -> tuple[Graph, list[Node]]:
    """DVC's graph, and what is to run: a stage that fails for each ``wrong`` entry, then all stages of the others.

    Raises:
        DeepmineError: DVC cannot read the project, as with a name that leads out of its folders.
    """
    try:
        graph = Graph()
    except DeepmineError as error:
        raise DeepmineError("\n".join([*wrong.values(), str(error)])) from None
    return graph, [Node(f"plan@{n}", wrong=said) for n, said in wrong.items()] + graph.order(picked)


def _attempt(
    graph: Graph, node: Node, force: bool, on_line: Callable[[str], None], tick: Callable[[], bool]
) -> Outcome:
    """`run_node`, told to the watchers too; an exception is an outcome."""

    def listen(line: str) -> None:
        line = redact(line)
        tell("line", node.name, line)
        on_line(line)

    began = time.monotonic()
    try:
        with machine_faults(node.name):
            return run_node(graph, node, force, listen, tick)
    except DeepmineError as error:
        return Outcome("Failed", redact(str(error)), time.monotonic() - began)
    except Exception as error:  # noqa: BLE001 (of whatever kind: the other datasets go on)
        return Outcome("Failed", crash_line(error), time.monotonic() - began)


def run_node(
    graph: Graph, node: Node, force: bool, on_line: Callable[[str], None], tick: Callable[[], bool]
) -> Outcome:
    """Bring one stage up to date through DVC, if it is not so already."""
    if node.wrong:
        return Outcome("Failed", redact(node.wrong))
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
        if not line.startswith("ERROR: "):  # DVC's last word becomes the outcome's
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
        return Outcome("Failed", redact(_error(node.name, said)), seconds)
    if restored:
        return Outcome("Cached", "same inputs as an earlier run; its results were restored", seconds)
    if always and not force and _outputs(node) == before:
        return Outcome("Cached", "nothing changed", seconds)
    return Outcome("Completed", _words(node), seconds)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher`` what happens in runs of this process."""
    WATCHERS.append(watcher)
    try:
        yield
    finally:
        WATCHERS.remove(watcher)


def tell(event: str, *details: object) -> None:
    """Call the method ``event`` of every watcher."""
    for watcher in WATCHERS:
        getattr(watcher, event)(*details)


def _outputs(node: Node) -> dict[str, tuple[int, int]]:
    found = {}
    for name, path in paths(node.stage, node.dataset).items():
        if Path(path).is_file():
            status = path.stat()
            found[name] = (status.st_mtime_ns, status.st_size)
    return found


def _error(name: str, said: list[str]) -> str:
    mark = "deepmine: error: "
    own = [line.removeprefix(mark) for line in said if line.startswith(mark)]
    return "\n".join(own) or fault_in(said, name) or "\n".join(said[-12:]) or "ended without a message"


def _words(node: Node) -> str:
    facts = read_record(node.dataset, node.stage).get("facts", {})
    shown = {
        k: f"{v:,}" if isinstance(v, int | float) else v for k, v in facts.items()
        if isinstance(v, int | float | str) and k != "verdict"  # which stands in the artifact and ends the run
    }  # fmt: skip
    # rows first; a digest tells a person nothing
    order = sorted(shown, key=lambda k: k != "rows")
    return ", ".join(f"{k.replace('_', ' ')} {shown[k]}" for k in order if k not in ("digest", "bytes"))
