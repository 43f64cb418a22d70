"""An unexpected exception: a full log for those who mend deepmine, one line for the person at the terminal."""

import os
import platform
import sys
import tempfile
import time
import traceback
from importlib import metadata
from pathlib import Path

from flows.project import RECORDS
from flows.redact import redact
from tasks.core.printable import visible_lines

CRASHES = RECORDS / "crashes"
#: How much of the exception's own words the one line repeats.
WORDS = 200
LIBRARIES = ("deepmine", "prefect", "dvc", "torch", "scikit-learn", "numpy", "pandas", "pyarrow", "great-expectations")
HEAD = """\
deepmine stopped at an unexpected error. Please send this file with a short description of what you did.
Passwords in addresses are masked; paths and names of your data may appear below: read it before you send it.
"""


def crash_line(error: BaseException) -> str:
    """Write the log of ``error`` and say in one line what happened and where the log is."""
    words = " ".join(redact(str(error)).split())
    words = words if len(words) <= WORDS else f"{words[: WORDS - 1]}…"
    return f"unexpected {type(error).__name__}{f': {words}' if words else ''}. Full log to send us: {_write(error)}"


def _write(error: BaseException) -> str:
    """The log's path: below data/records, in the temporary folder where that cannot be written."""
    text = redact(_log(error))
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    for folder in (CRASHES, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # made for this user alone, under a name that nobody can have put there before
            number, path = tempfile.mkstemp(prefix=f"deepmine-{name}-", suffix=".log", dir=folder)
            with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return str(Path(path).resolve())
    sys.stderr.write("\n".join(visible_lines(text)) + "\n")
    return "above; no folder could be written"


def _log(error: BaseException) -> str:
    told = {
        "command": " ".join(sys.argv),
        "folder": os.getcwd(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "python": sys.version.replace("\n", " "),
        "platform": platform.platform(),
        "versions": ", ".join(f"{name} {_version(name)}" for name in LIBRARIES),
        # their names only: what they hold may be secret
        "variables set": ", ".join(sorted(n for n in os.environ if n.startswith(("DEEPMINE", "PREFECT", "DVC")))),
    }
    lines = [f"{key}: {value}" for key, value in told.items()]
    return "\n".join([HEAD, *lines, "", "".join(traceback.format_exception(error))])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
