"""What a killed process leaves: DVC's locks, a half-written dvc.lock, temporary files. Found, and removed."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from flows.lock import CLOCK
from flows.project import own_folders
from tasks.core.files import write_atomically
from tasks.core.text import many

DVC_TMP, LOCKFILE = Path(".dvc/tmp"), Path("dvc.lock")
#: What DVC writes is nested 7 deep, and as deep as a parameter is.
DEEPEST = 100
#: Temporary files: ours, `.NAME.PID` (of `write_atomically`) and `.KEY.PID.THREAD` (of a scratch); DVC's own.
OURS, DVCS = re.compile(r"\..+?\.(\d+)(\.\d+)?"), re.compile(r".*\.[\w-]{22}\.tmp")


def heal() -> list[str]:
    """Mend what would block or burden the next run, in the working directory; what was done, a sentence each.

    The caller holds the project (`flows.lock`).
    """
    told = heal_rwlock(DVC_TMP)
    found = leftovers(Path("."))
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        told.append(f"removed {many(len(found), 'temporary file', 'temporary files')} of processes that were killed")
    return told


def heal_rwlock(folder: Path) -> list[str]:
    """Take from DVC's table of who reads and writes what the processes that are gone; what was done, in words.

    DVC itself takes out a process that is not alive, but neither one whose number another process has got since, nor a
    table of another shape; both block every command.
    """
    path = folder / "rwlock"
    if not path.is_file():
        return []
    from dvc.lock import LockError, make_lock

    try:
        with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
            table, changed = without_the_dead(path)
            if changed:
                write_atomically(path, json.dumps(table).encode())
    except LockError:
        return []  # a dvc command edits it in this moment: it is alive
    return [f"removed stale locks from {path}"] if changed else []


def without_the_dead(path: Path) -> tuple[dict[str, Any], bool]:
    """The table, and whether anything was taken out of it."""
    when = path.stat().st_mtime
    try:
        table = json.loads(path.read_bytes())
        write = {k: who for k, who in table.get("write", {}).items() if at_work(who, when)}
        read = {k: [who for who in several if at_work(who, when)] for k, several in table.get("read", {}).items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}, True
    kept = {k: v for k, v in {"write": write, "read": {k: v for k, v in read.items() if v}}.items() if v}
    return kept, kept != {k: v for k, v in table.items() if v}


def at_work(who: dict[str, Any], written: float) -> bool:
    """Whether an entry of DVC's table, ``written`` at that time or before, is of a process that is at work here.

    Raises:
        TypeError, AttributeError: it is no entry.
    """
    if set(who) != {"pid", "cmd"} or type(who["pid"]) is not int or not isinstance(who["cmd"], str):
        raise TypeError(who)
    try:
        process = psutil.Process(who["pid"])
        if process.pid == os.getpid():
            return True
        if process.create_time() > written + CLOCK or process.status() == psutil.STATUS_ZOMBIE:
            return False  # younger than the entry: the number was given again
        return uses_dvc(process)
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def uses_dvc(process: psutil.Process) -> bool:
    """Whether a process may hold DVC's locks of this project: dvc, deepmine or a Prefect flow, started in it."""
    words = " ".join(process.cmdline())
    if not re.search(r"\b(dvc|deepmine|prefect)\b", words):
        return False
    try:
        return Path(process.cwd()).resolve().is_relative_to(Path.cwd()) or "--cd" in words
    except (psutil.AccessDenied, OSError):
        return True


def busy(folder: Path = DVC_TMP) -> list[str]:
    """The dvc commands that are at work on the project, as `dvc repro (process 12)`."""
    path = folder / "rwlock"
    try:
        table, when = json.loads(path.read_bytes()), path.stat().st_mtime
        entries = [*table.get("write", {}).values(), *(w for ws in table.get("read", {}).values() for w in ws)]
        alive = {(w["pid"], w["cmd"]) for w in entries if at_work(w, when) and w["pid"] != os.getpid()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return []
    return [f"{_command(cmd)} (process {pid})" for pid, cmd in sorted(alive)]


def _command(cmd: str) -> str:
    first, *rest = cmd.split() or ["?"]
    name = Path(first).name
    return " ".join(["dvc" if name == "__main__.py" else name, *rest])


def set_aside_lockfile() -> str | None:
    """Move a dvc.lock that cannot be read out of the way; what was done, or None where it can be read.

    DVC's run cache gives back what it knew: the next run restores every result without computing it again.
    """
    if lockfile_is_sound() or busy():
        return None
    time.sleep(0.5)  # in this moment it may be on its way
    if lockfile_is_sound():
        return None
    aside = DVC_TMP / f"{LOCKFILE}.damaged"
    aside.parent.mkdir(parents=True, exist_ok=True)
    os.replace(LOCKFILE, aside)
    return f"{LOCKFILE} was damaged and is now {aside}; its records are restored from DVC's run cache"


def lockfile_is_sound(path: Path = LOCKFILE) -> bool:
    """Whether dvc.lock is absent or what DVC can read."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    if not path.exists():
        return True
    if nested_too_deeply(path):
        return False
    try:
        return bool(COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(path.read_text(encoding="utf-8"))))
    except (YAMLError, Invalid, ValueError, TypeError, AttributeError, RecursionError):
        return False


def nested_too_deeply(path: Path = LOCKFILE) -> bool:
    """Whether a YAML file is nested so deeply that DVC's reader, which is written in C, would end the process."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    indented = max((len(line) - len(line.lstrip(" -?:")) for line in text.splitlines()), default=0)
    if indented + text.count("[") + text.count("{") <= DEEPEST:  # so deep it is at most
        return False
    depth = 0
    try:
        for event in YAML(typ="safe").parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST:
                return True
    except YAMLError:
        pass
    return False


def leftovers(root: Path) -> list[Path]:
    """Temporary files of processes that are gone, in the project at ``root``: ours and DVC's. Never one of a source."""
    dvc_rests = not busy(root / DVC_TMP)
    found = []
    for folder in (*(root / own for own in own_folders()), root / DVC_TMP, root / ".dvc/cache"):
        for path in _files(folder):
            if (own := OURS.fullmatch(path.name)) and folder.name != "cache":
                if not wrote(int(own[1]), path):
                    found.append(path)
            elif dvc_rests and DVCS.fullmatch(path.name):
                found.append(path)
    beside = [*root.glob("*.tmp"), *root.glob("data/.*.tmp")]
    found += [p for p in beside if dvc_rests and DVCS.fullmatch(p.name) and p.is_file()]
    return sorted(found)


def wrote(pid: int, path: Path) -> bool:
    """Whether the process ``pid`` is alive and may be writing ``path``: one that began later is another."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= path.stat().st_mtime + CLOCK
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except (psutil.Error, OSError):
        return True


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") or name.endswith(".tmp"):
                yield Path(parent, name)
