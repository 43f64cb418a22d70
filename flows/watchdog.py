"""A stage must not outlive who started it: an orphan would write the same outputs as the rerun."""

import os
import threading
import time

import psutil

RUN = "DEEPMINE_RUN_PID"


def die_with_parent(interval: float = 1.0) -> None:
    """Watch, in a daemon thread, the dvc process and the pipeline run above this process; exit when one is gone."""
    watched = [p for p in psutil.Process().parents() if _is_dvc(p)]
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


def _alive(process: psutil.Process) -> bool:
    # is_running compares start times, so a reused PID counts as gone
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
