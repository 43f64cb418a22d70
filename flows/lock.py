"""One pipeline run at a time on a project, and who it is."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil

from flows.project import RECORDS
from tasks.core.errors import DeepmineError
from tasks.core.faults import assert_writable

LOCK = RECORDS / "run.lock"
#: A process whose start time differs by more than this from the recorded one has only got the same number, seconds
#: (start times come from the boot time, which the kernel gives in whole seconds).
CLOCK = 2.5
#: What this process holds: the open lock file and what stands in it.
_held: dict[str, Any] = {}


@contextmanager
def project_lock(what: str, path: Path = LOCK) -> Iterator[None]:
    """Hold the project for one run; the kernel lets go of it however the process ends.

    Raises:
        DeepmineError: another run holds it; says which, since when, and what to do. Or nothing can be written here.
    """
    assert_writable([path.parent, Path(".dvc/tmp"), Path(".dvc/cache"), Path(".")], what)
    path.parent.mkdir(parents=True, exist_ok=True)
    # not "a+": every write would go to the end, whatever the position
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            run = running(path)
            name = run["words"] if run else "another process"
            raise DeepmineError(f"another run holds this project: {name}. Wait until it ends, or stop it.") from None
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            _held.update(file=file, note={"pid": os.getpid(), "started": _started(), "what": what, "since": since})
            note("")
            yield
        finally:
            _held.clear()
            with suppress(OSError):  # a full disk; the lock itself goes with the process
                file.seek(0)
                file.truncate()


def note(stage: str) -> None:
    """Write beside who holds the project the stage that it is at; nothing where this process holds none."""
    if not _held:
        return
    file: IO[str] = _held["file"]
    file.seek(0)
    # as long each time, so that a reader never finds an empty file or the end of an older text
    file.write(json.dumps({**_held["note"], "stage": stage}).ljust(600))
    file.truncate()


def held() -> bool:
    """Whether this process holds the project."""
    return bool(_held)


@contextmanager
def if_free(path: Path = LOCK) -> Iterator[bool]:
    """Whether no other run holds the project; where it is free, it is kept from others for the moment of mending."""
    if held():
        yield True
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def running(path: Path = LOCK) -> dict[str, Any] | None:
    """The run that is on, if there is one: `pid`, `what`, `since`, `stage`, and all that as `words`."""
    try:
        who = dict(json.loads(path.read_text()))
        if not same_process(int(who["pid"]), float(who["started"])):
            return None
        at = f", now at {who['stage']}" if who.get("stage") else ""
        return {**who, "words": f"process {who['pid']} ({who['what']}, since {who['since']}{at})"}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def same_process(pid: int, started: float) -> bool:
    """Whether the process ``pid`` is alive and the one that began at ``started``, no later one of the same number."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < CLOCK
    except (psutil.Error, ValueError, OverflowError):
        return False


def _started() -> float:
    return float(psutil.Process().create_time())
