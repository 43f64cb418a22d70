"""`dvc repro` of one stage in a child process that never outlives this one."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.watchdog import RUN
from tasks.core.printable import visible

#: What DVC itself says at each stage; the run shows that in its own way.
NOISE = (
    "Running stage ", "> deepmine ", "Updating lock file", "Generating lock file", "To track the changes", "\tgit add ",
    "To enable auto staging", "\tdvc config core.autostage", "Use `dvc push`", "Data and pipelines are up to date",
    "Building workspace index", "Comparing indexes", "Applying changes", "Verifying outputs",
)  # fmt: skip


#: How DVC says that a result stood in its run cache, and that another of its commands is at work; a stage's own lines,
#: which may hold any text of the data, do not begin so.
CACHED = re.compile(r"Stage '[\w@.:-]+' is cached - skipping run")
BUSY = re.compile(r"ERROR: .*' is busy, it is being blocked by|ERROR: .*Unable to acquire lock")


class Busy(Exception):
    """Another dvc command holds the project."""


def environment() -> dict[str, str]:
    """This process's environment, with our own interpreter's commands first and every telemetry off.

    Nothing of Prefect's: a stage does not speak to it, and has no use for its password.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    quiet = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "PYTHONUNBUFFERED": "1"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return {**inherited, **quiet, "PATH": path, RUN: str(os.getpid())}


def repro(name: str, force: bool, on_line: Callable[[str], None], tick: Callable[[], bool]) -> tuple[int, bool]:
    """Run `dvc repro --single-item NAME`.

    Args:
        on_line: told each line of output that is not DVC's own chatter.
        tick: called about twice a second; false ends the child with all that it started.

    Returns:
        The exit code (-1 if ``tick`` ended it) and whether DVC found the result in its run cache.

    Raises:
        Busy: another dvc command holds the project.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item"]
    command += ["--force"] * force + [name]
    lines: queue.Queue[str | None] = queue.Queue()
    cached = busy = False
    child = None
    try:
        with _signals_held():
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", env=environment(), start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=_pump, args=(child, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=0.5)
            except queue.Empty:
                line = ""
            if line is None:
                break
            cached |= bool(CACHED.match(line))
            busy |= bool(BUSY.match(line))
            if line.strip() and not is_noise(line):
                on_line(visible(line.rstrip()))
            if not tick():
                end(child)
                return -1, False
        code = child.wait()
    except BaseException:
        if child is not None:
            end(child)
        raise
    if code and busy:
        raise Busy(name)
    return code, cached


def is_noise(line: str) -> bool:
    """Whether a line is DVC's own chatter, or says only that the stage failed, which has told why itself."""
    failed = line.startswith("ERROR: failed to reproduce") and line.rstrip().endswith("exited with 1")
    return failed or line.startswith(NOISE) or bool(CACHED.match(line))


def end(child: "subprocess.Popen[str]", grace: float = 5.0) -> None:
    """Stop a child and everything in its process group: first asked, then killed."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
            child.wait(grace)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the end: between a child's start and its name it could not be stopped."""
    if threading.current_thread() is not threading.main_thread():  # where Python delivers no signal
        yield
        return
    held: list[int] = []
    handlers = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    for sign in handlers:
        signal.signal(sign, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        for sign, handler in handlers.items():
            signal.signal(sign, handler)
        for number in held:
            signal.raise_signal(number)


def _pump(child: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    if child.stdout is not None:
        for line in child.stdout:
            lines.put(line)
    lines.put(None)
