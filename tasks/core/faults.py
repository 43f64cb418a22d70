"""What the machine refuses (space, memory, threads, files), told in one line: what, where, need and have, what to do."""

import errno
import re
import resource  # here, as little can be imported any more when a limit is reached
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core.errors import DeepmineError
from tasks.core.space import existing, size

#: errno -> the kind of fault.
NUMBERS = {
    errno.ENOSPC: "full", errno.EDQUOT: "full", errno.EFBIG: "file size", errno.EROFS: "read-only",
    errno.EMFILE: "open files", errno.ENFILE: "open files", errno.ENOMEM: "memory", errno.EAGAIN: "threads",
    errno.EIO: "device",
}  # fmt: skip
#: How libraries in other languages say the same. The first that fits counts.
WORDS = {
    "full": r"No space left on device|database or disk is full|[Dd]isk quota exceeded",
    "file size": r"File too large",
    "read-only": r"[Rr]ead-only file system|attempt to write a readonly database",
    "open files": r"[Tt]oo many open files",
    "gpu": r"CUDA out of memory|CUDA error: out of memory",
    "threads": r"can't start new thread|Resource temporarily unavailable|Thread creation failed|pthread_create failed"
    r"|fork: retry",
    "memory": r"[Cc](?:an't|annot) allocate memory|bad_alloc|MemoryError|failed to map segment|[Oo]ut of memory"
    r"|Memory allocation still failed|malloc of size \d+ failed|[Uu]nable to allocate|exited with -9\b|exited with 137\b",
    "device": r"Input/output error|disk I/O error",
}
#: Kind -> what the machine lacks, and what to do.
TOLD = {
    "full": ("no space left on the disk", "Free some space, or move the project to a larger disk"),
    "file size": ("no file may grow as large as this one", "Raise the limit (ulimit -f unlimited)"),
    "read-only": ("the disk is read-only", "Make it writable (mount -o remount,rw), or move the project"),
    "denied": ("writing is not allowed", "Give yourself the right to write there (chown, chmod)"),
    "open files": ("too many open files", "Raise the limit (ulimit -n 1024)"),
    "gpu": ("the GPU's memory is full", "Set a smaller train.batch or extract.batch, or device: cpu"),
    "threads": ("no further thread or process can be started", "Raise the limits (ulimit -u: their number; ulimit -v: their memory), "
                "or end other programs"),
    "memory": ("out of memory", "End other programs, set a smaller train.batch, extract.batch or ingest.shard_rows, "
               "or use a machine with more memory"),
    "device": ("the disk reports an error of its own", "Look at its health (dmesg), and move the project to another"),
}  # fmt: skip

#: Address space with which the libraries start, bytes (torch 2.13: 0.9 GB; OpenBLAS below 0.5 GB asks for ever).
ADDRESSES = 1_000_000_000
#: A limit on open files below this one is what keeps a database from being opened.
FILES = 64


def machine_fault(error: BaseException, doing: str) -> str | None:
    """What to tell a person of an error that is the machine's: one line, or None where it is another's.

    Args:
        doing: what was at work, say `train@digits`; the line begins with it.
    """
    cause: BaseException | None = error
    for _ in range(10):  # as a library may have wrapped it
        if cause is None:
            break
        if kind := _kind(cause):
            path = getattr(cause, "filename", None)
            return sentence(kind, doing, str(path) if path else _path_in(str(cause)), _asked(str(cause)))
        cause = cause.__cause__
    return None


@contextmanager
def machine_faults(doing: str) -> Iterator[None]:
    """Have the machine's faults told in one line.

    Raises:
        DeepmineError: instead of what was raised, where that is the machine's fault.
    """
    try:
        yield
    except DeepmineError:
        raise
    except Exception as error:
        if told := machine_fault(error, doing):
            raise DeepmineError(told) from error
        raise


def fault_in(lines: list[str], doing: str) -> str | None:
    """The same of what a process said before it ended, as C libraries end a process without an exception."""
    for line in reversed(lines):
        if kind := _kind_of(line):
            return sentence(kind, doing, _path_in(line), _asked(line))
    return None


def assert_writable(folders: Iterable[Path], doing: str) -> None:
    """Refuse to begin where a result could not be written; leaves nothing behind.

    Raises:
        DeepmineError: a folder is read-only, or its disk full.
    """
    for folder in sorted({existing(f) for f in folders}):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x")
                file.flush()
        except OSError as error:
            error.filename = str(folder)  # not that of the trial file
            raise DeepmineError(
                machine_fault(error, doing) or f"{doing}: {folder} cannot be written: {error}"
            ) from None


def assert_addresses(doing: str) -> None:
    """Refuse to begin where a limit leaves too little for the libraries: one of them then waits for ever for more.

    Raises:
        DeepmineError: the limit on a process's address space is below `ADDRESSES`.
    """
    limit = _limit("RLIMIT_AS")
    if limit is not None and limit < ADDRESSES:
        raise DeepmineError(
            f"{doing}: a process may use {size(limit)} of address space, and the libraries alone need about "
            f"{size(ADDRESSES)}. Raise the limit (ulimit -v unlimited), and run again: what was finished is kept."
        )


def sentence(kind: str, doing: str, path: str = "", asked: str = "") -> str:
    """One line of a fault of that ``kind``; ``path`` is where it was met, ``asked`` what was asked for."""
    lacks, remedy = TOLD[kind]
    where = f" at {path}" if path else ""
    return (
        f"{doing}: {lacks}{where} ({', '.join(x for x in (asked, have(kind, path)) if x)}). {remedy}, and run again: "
        "what was finished is kept."
    )


def have(kind: str, path: str = "") -> str:
    """What there is of what was lacking, as far as the system tells."""
    if kind in ("full", "read-only", "denied", "device"):
        folder = existing(Path(path or "."))
        return f"{size(shutil.disk_usage(folder).free)} free on the disk of {folder}"
    if kind == "memory":
        limit = _limit("RLIMIT_AS")
        allowed = f", {size(limit)} of address space allowed to a process" if limit else ""
        return f"{size(available_memory())} available{allowed}"
    if kind == "gpu":
        return "see nvidia-smi"
    name, unit = {
        "file size": ("RLIMIT_FSIZE", "a file"), "open files": ("RLIMIT_NOFILE", "open files"),
        "threads": ("RLIMIT_NPROC", "threads and processes of this user"),
    }[kind]  # fmt: skip
    limit = _limit(name)
    if limit is None:
        return f"no limit is set on {unit}, so the system's own applies"
    return f"allowed: {size(limit)} {unit}" if kind == "file size" else f"allowed: {limit:,} {unit}"


def available_memory() -> int:
    """Bytes that a program may still take without others being swapped out; 0 where the system does not tell."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _kind(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno in (errno.EACCES, errno.EPERM):
            return "denied" if error.filename else None
        if kind := NUMBERS.get(error.errno):
            return kind
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, FileNotFoundError | KeyError):
        return None
    # of a long text (a child's traceback) the last lines say what it was
    return _kind_of("\n".join(f"{type(error).__name__}: {error}".splitlines()[-3:]))


def _kind_of(text: str) -> str | None:
    kind = next((kind for kind, pattern in WORDS.items() if re.search(pattern, text)), None)
    # SQLite has one word for several
    if kind == "device" and "disk I/O" in text and _limit("RLIMIT_FSIZE") is not None:
        return "file size"
    if kind is None and "unable to open database file" in text and (_limit("RLIMIT_NOFILE") or FILES) < FILES:
        return "open files"
    return kind


def _path_in(text: str) -> str:
    found = re.search(r"['\"](/?[\w@.+-]+(?:/[\w@.+-]+)+)['\"]", text)
    return found[1] if found else ""


def _asked(text: str) -> str:
    """What an allocator says that it was asked for."""
    found = re.search(r"allocate (\d+) bytes|malloc of size (\d+) failed", text)
    if found:
        return f"asked for {size(int(found[1] or found[2]))}"
    found = re.search(r"allocate ([\d.]+ [KMGT]i?B)", text)
    return f"asked for {found[1]}" if found else ""


def _limit(name: str) -> int | None:
    """The soft limit of a resource; None where there is none."""
    limit = resource.getrlimit(getattr(resource, name))[0]
    return None if limit == resource.RLIM_INFINITY else limit
