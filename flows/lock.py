"""One pipeline run at a time on a project."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.project import RECORDS
from tasks.errors import DeepmineError


@contextmanager
def project_lock(what: str, path: Path = RECORDS / "run.lock") -> Iterator[None]:
    """Hold the project for one run; the kernel lets go of it however the process ends.

    Raises:
        DeepmineError: another run holds it; says which, since when, and what to do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise DeepmineError(_holder(file.read())) from None
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "what": what, "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _holder(text: str) -> str:
    try:
        who = json.loads(text)
        name = f"process {who['pid']} ({who['what']}, since {who['since']})"
    except (ValueError, KeyError):
        name = "another process"
    return f"another run holds this project: {name}. Wait until it ends, or stop it."
