"""A stage must not outlive who started it: an orphan would write the same outputs as the rerun."""

import os
import threading
import time

import psutil

RUN = "DEEPMINE_RUN_PID"
#: What DVC sets for the commands that it runs.
OF_DVC = "DVC_STAGE"


def die_with_parent(interval: float = 1.0) -> None:
    """Watch, in a daemon thread, the dvc process and the pipeline run above this process; exit when one is gone.

    One that was gone before this was called leaves no trace among the parents, but in the environment.
    """
    parents = psutil.Process().parents()
    watched = [p for p in parents if _is_dvc(p)]
    if OF_DVC in os.environ and not watched and not any(map(_is_python, parents)):
        os._exit(1)
    if os.environ.get(RUN, "").isdigit():
        try:
            watched.append(psutil.Process(int(os.environ[RUN])))
        except psutil.NoSuchProcess:
            os._exit(1)
    if not watched:
        return

    def watch() -> None:
        while all(_alive(p) for p in watched):
            time.sleep(interval)
        os._exit(1)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any(os.path.basename(part) == "dvc" for part in process.cmdline()[:3])
    except psutil.Error:
        return False


def _is_python(process: psutil.Process) -> bool:
    """Whether it may hold DVC as a library; what an orphan falls to is no such process."""
    try:
        return "python" in os.path.basename(process.exe())
    except psutil.Error:
        return False


def _alive(process: psutil.Process) -> bool:
    # is_running compares start times, so a reused PID counts as gone
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
