"""What `deepmine run` shows while it runs: a line a stage, and where the running one is."""

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from flows.redact import redact
from tasks.core.printable import visible, visible_lines

MARKS = {"Completed": ("✓", "green"), "Cached": ("=", "dim"), "Failed": ("✗", "red"), "NotReady": ("-", "yellow")}


def console(stderr: bool = False) -> Console:
    """The terminal. What is printed is text, not markup; names and whatever else others wrote go through `cell`."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def cell(text: Any, style: str = "") -> Text:
    """``text`` as it is in one line: nothing in it is markup or steers the terminal, and passwords are masked."""
    return Text(visible(redact(str(text))), style)


class Watcher(Protocol):
    """Told what happens in a run."""

    def began(self, name: str) -> None:
        """A stage starts."""

    def line(self, name: str, text: str) -> None:
        """A stage said something."""

    def ended(self, name: str, state: str, seconds: float, text: str) -> None:
        """A stage is over: `Completed`, `Cached`, `Failed`, `NotReady` or `Cancelled`, and a few words on it."""


class Screen:
    """A `Watcher` for a terminal; on anything else plain lines, so that logs stay readable."""

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self._status: Status | None = None
        self._last = 0.0
        #: Stages that are up to date, as `train@mnist`.
        self.current: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def began(self, name: str) -> None:
        """Show the stage as running."""
        self._clear()
        self._last = 0.0
        if self.console.is_terminal:
            self._status = self.console.status(cell(f"{name:<20} …"))
            self._status.start()

    def line(self, name: str, text: str) -> None:
        """Progress replaces the running line; warnings stay."""
        if "warning:" in text:
            self.console.print(cell(f"  {text}", "yellow"), soft_wrap=True)
        elif self._status is not None:
            self._status.update(cell(f"{name:<20} {text}"))
        elif time.monotonic() - self._last > 5 and not text.startswith("deepmine: error"):
            self._last = time.monotonic()
            self.console.print(cell(f"  {name:<20} {text}"), soft_wrap=True)

    def ended(self, name: str, state: str, seconds: float, text: str) -> None:
        """The stage's line, which stays."""
        self._clear()
        if state in ("Completed", "Cached"):
            self.current.add(name)
        mark = MARKS.get(state, MARKS["Failed"])
        took = f"{seconds:6.1f} s" if state in ("Completed", "Failed") else f"{state:>8}"
        first, *more = visible_lines(text)
        self.console.print(cell(*mark), cell(f"{name:<20} {took}  {first}"), soft_wrap=True)
        for line in more:
            self.console.print(cell(line), soft_wrap=True)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
