"""How a long stage says where it is: lines for a person, a small file for whoever watches."""

import sys
import time
from pathlib import Path

from tasks.core.files import write_json
from tasks.core.printable import visible


class Progress:
    """Rate and time left of one stage.

    Args:
        file: JSON rewritten at each report for a watching flow (`done`, `total`, `unit`, `line`), or None.
        quiet: write no lines.
    """

    def __init__(self, file: Path | None = None, quiet: bool = False) -> None:
        self.file, self.quiet = file, quiet
        self._began = self._last = time.monotonic()
        self._first = 0

    def start(self, done: int = 0) -> None:
        """Begin to count time; ``done`` units were there already and say nothing of the rate."""
        self._began, self._last, self._first = time.monotonic(), 0.0, done

    def __call__(self, done: int, total: int, unit: str, note: str = "", always: bool = False) -> None:
        """Report ``done`` of ``total`` units; at most once a second unless ``always`` or at the end."""
        now = time.monotonic()
        if now - self._last < 1 and not always and done < total:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._began, 1e-9)
        left = f", {_clock((total - done) / rate)} left" if rate > 0 and done < total else ""
        line = f"{done:,}/{total:,} {unit} ({rate:,.0f} a second{left})" + (f"  {note}" if note else "")
        if not self.quiet:
            print(visible(line), file=sys.stderr, flush=True)
        if self.file is not None:
            write_json(self.file, {"done": done, "total": total, "unit": unit, "line": line})


class Share(Progress):
    """The part of a longer work that one stage in it makes, told as that work's progress.

    Args:
        whole: of the longer work, ``total`` units long; this part goes from ``start`` over ``size`` of them.
        note: what this part is.
    """

    def __init__(self, whole: Progress, start: int, size: int, total: int, unit: str, note: str) -> None:
        super().__init__(quiet=True)
        self.whole, self.begin, self.size, self.total, self.unit, self.note = whole, start, size, total, unit, note

    def __call__(self, done: int, total: int, unit: str, note: str = "", always: bool = False) -> None:
        """Report ``done`` of ``total`` units of the part."""
        passed = self.begin + self.size * min(done, total) // max(total, 1)
        told = f"{self.note}: {note}" if note else self.note
        # the whole is at its end only when the stage that it is of says so
        self.whole(min(passed, self.total - 1), self.total, self.unit, note=told)


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
