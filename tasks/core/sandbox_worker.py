"""The child's side of `tasks.core.sandbox`: rows in, a table out, under limits of memory and time; and what the pipe carries."""

import ctypes
import os
import pickle
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from typing import Any, BinaryIO, NoReturn

import pyarrow as pa

#: Rows of one column set in, a table with one row for each out; it runs in the child, so it must be picklable.
Work = Callable[[Iterator[dict[str, Any]]], pa.Table]

OUT_OF_MEMORY = 86  # exit status of a child; no shell or library uses it
READY, DONE, FAILED = b"R", b"D", b"F"
PR_SET_PDEATHSIG = 1
HEAD = struct.Struct("<cQ")


@dataclass(frozen=True)
class Limits:
    """What one item may take: ``memory`` in bytes beyond what the idle child holds, ``seconds`` of wall time."""

    memory: int
    seconds: float


def serve(parent: int) -> NoReturn:
    """The child's side: answer chunks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends us
    _die_with(parent)
    sys.meta_path.insert(0, _WithoutPandas())
    read, write = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _, recipe = receive(read)
    limits, work = pickle.loads(recipe)  # noqa: S301, from the process that started this one
    warnings.simplefilter("ignore")
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nothing, handle)  # C libraries write where they like
    _limit_memory(limits.memory)
    send(write, READY, b"")
    while True:
        try:
            _, job = receive(read)
            rows = unpack(job).to_pylist()
            result = work(_timed(rows, limits.seconds))
            signal.setitimer(signal.ITIMER_REAL, 0)
            if result.num_rows != len(rows):
                raise ValueError(f"{result.num_rows} results for {len(rows)} items")
            answer = DONE, pack(result)
        except EOFError:
            os._exit(0)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except Exception:  # noqa: BLE001, whatever it is, the parent says it
            signal.setitimer(signal.ITIMER_REAL, 0)
            answer = FAILED, traceback.format_exc().encode()
        try:
            send(write, *answer)
        except BrokenPipeError:
            os._exit(0)


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas, where there is one, at the first list that it is given: most of a second a child."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def _timed(rows: list[dict[str, Any]], seconds: float) -> Iterator[dict[str, Any]]:
    """``rows``, each with a clock of its own: when it runs out the signal ends the process, in C code too."""
    for row in rows:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield row


@contextmanager
def clock_stopped() -> Iterator[None]:
    """A stretch that does not count towards an item's seconds: a slow disk or share says nothing of a file."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went before we could ask
        os._exit(1)


def _limit_memory(more: int) -> None:
    """An allocation over the limit fails here, instead of the machine running out; no core file either."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/statm", "rb") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return  # no Linux: other systems keep no such limit either
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = held + more
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def pack(table: pa.Table) -> pa.Buffer:
    """A table as `unpack` reads it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def unpack(data: Any) -> pa.Table:
    """The table that `pack` wrote."""
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def send(pipe: Any, kind: bytes, data: Any) -> None:
    """One message: its kind (`READY`, `DONE` or `FAILED`), its length, and ``data``."""
    pipe.write(HEAD.pack(kind, len(data)))
    pipe.write(data)
    pipe.flush()


def receive(pipe: Any) -> tuple[bytes, bytes]:
    """Kind and data of the next message.

    Raises:
        EOFError: the other side is gone.
    """
    kind, size = HEAD.unpack(_exactly(pipe, HEAD.size))
    return kind, _exactly(pipe, size)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
