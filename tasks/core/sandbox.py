"""Work on bytes that nobody vouches for, in child processes with limits: a child that dies costs one item alone.

`concurrent.futures` tells neither which worker died nor why, and loses all of them with it; pebble does better but
knows no limit of memory and none of time within a chunk. So: one thread for each child, which hands it a chunk at a
time as Arrow over a pipe. If the child dies, the items of the chunk are done again one by one, and those that kill
their child alone too are the faulty ones.
"""

import errno
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa

from tasks.core.cpu import cores
from tasks.core.errors import DeepmineError
from tasks.core.sandbox_worker import DONE, FAILED, OUT_OF_MEMORY, READY, Limits, Work, pack, receive, send, unpack

T = TypeVar("T")

#: One row that killed its child, the reason in a few words and the particulars -> what stands for it in the result.
Fault = Callable[[pa.Table, str, str], pa.Table]

#: A chunk ends at so many items or bytes, whichever comes first: many share the cost of a message, few are repeated.
CHUNK_ITEMS, CHUNK_BYTES = 128, 16 << 20
#: Address space beyond the pixels: the interpreter's own growth, and a chunk coming in and going out.
SPARE = 512 << 20


class Died(Exception):
    """A child ended before it answered."""

    def __init__(self, status: int, ready: bool, words: str) -> None:
        super().__init__(status)
        self.status, self.ready, self.words = status, ready, words


class Guard:
    """A pool of children that run ``work``; a context manager, so that none is left behind.

    Args:
        work: called in a child with an iterator of rows; it must step through them one by one, as each step starts
            the clock anew.
        fault: makes the row that stands for an item that killed its child.
        workers: children; None: as many as there are cores. The results do not depend on it.
    """

    def __init__(self, work: Work, fault: Fault, limits: Limits, workers: int | None = None) -> None:
        self.fault = fault
        self.recipe = pickle.dumps((limits, work))
        self.workers = workers or cores()
        self.pool = ThreadPoolExecutor(self.workers, "guard")
        self.idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self.children: list[_Child] = []
        self.closed = False

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self.pool.shutdown(wait=False, cancel_futures=True)
        for child in list(self.children):
            child.kill()
        self.pool.shutdown()
        for child in self.children:
            child.close()

    def map(self, jobs: Iterable[tuple[T, Sequence[pa.Table]]]) -> Iterator[tuple[T, list[pa.Table]]]:
        """The result of each chunk of each job, in order; while one job is in use the next is worked on.

        Raises:
            DeepmineError: a child cannot be started.
            RuntimeError: ``work`` raised; the text is the child's traceback.
        """
        waiting: deque[tuple[T, list[Future[pa.Table]]]] = deque()
        for job, parts in jobs:
            waiting.append((job, [self.pool.submit(self._chunk, part) for part in parts]))
            if len(waiting) > 1:
                yield _results(*waiting.popleft())
        while waiting:
            yield _results(*waiting.popleft())

    def _chunk(self, chunk: pa.Table) -> pa.Table:
        try:
            return self._ask(chunk)
        except Died:
            return pa.concat_tables(self._single(chunk.slice(i, 1)) for i in range(chunk.num_rows))

    def _single(self, row: pa.Table) -> pa.Table:
        try:
            return self._ask(row)
        except Died as death:
            return self.fault(row, *_verdict(death.status))

    def _ask(self, chunk: pa.Table) -> pa.Table:
        try:
            child = self.idle.get_nowait()
        except queue.Empty:
            child = _Child(self.recipe)
            self.children.append(child)
            if self.closed:
                child.kill()
        try:
            result = child.ask(chunk)
        except Died as death:
            self.children.remove(child)
            if self.closed:
                raise RuntimeError("closed") from None  # nobody waits for this answer
            if not death.ready:
                raise DeepmineError(
                    f"a child process that reads the data cannot start ({_verdict(death.status)[1]}). {death.words}"
                    "Free some memory or processes and run again."
                ) from None
            raise
        self.idle.put(child)
        return result


def split(table: pa.Table, sizes: Iterable[int]) -> list[pa.Table]:
    """``table`` in chunks of at most `CHUNK_ITEMS` rows and, by ``sizes`` of the rows, about `CHUNK_BYTES`."""
    starts, weight = [0], 0
    for i, size in enumerate(sizes):
        weight += size
        if i - starts[-1] == CHUNK_ITEMS or (weight > CHUNK_BYTES and i > starts[-1]):
            starts.append(i)
            weight = size
    ends = [*starts[1:], table.num_rows]
    return [table.slice(a, b - a) for a, b in zip(starts, ends, strict=True) if b > a]


def _results(job: T, parts: "list[Future[pa.Table]]") -> tuple[T, list[pa.Table]]:
    return job, [part.result() for part in parts]


def _verdict(status: int) -> tuple[str, str]:
    """Reason and particulars of a child's exit status."""
    if status == OUT_OF_MEMORY:
        return "out of memory", "decoding takes more memory than one item may use"
    if status == -signal.SIGALRM:
        return "decoder too slow", "stopped at its time limit"
    if status == -signal.SIGKILL:
        return "decoder crashed", "killed, most often for lack of memory"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
    return "decoder crashed", name


class _Child:
    """The parent's side of one child."""

    def __init__(self, recipe: bytes) -> None:
        self.ready = False
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, open as long as the child
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        # arrow's own allocator reserves address space far beyond what it uses; more threads only cost start-up
        quiet = {"PYTHONPATH": path, "ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from tasks.core.sandbox_worker import serve; serve({os.getpid()})"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env={**os.environ, **quiet},
            )  # fmt: skip
        except OSError as error:
            self.errors.close()
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):
                raise  # the machine's fault, and told as such
            raise DeepmineError(f"a child process that reads the data cannot start: {error}.") from None
        self.greeting = recipe

    def ask(self, chunk: pa.Table) -> pa.Table:
        """What the child makes of ``chunk``.

        Raises:
            Died: it ended.
            RuntimeError: the work raised.
        """
        pipes = self.process.stdin, self.process.stdout
        assert pipes[0] is not None and pipes[1] is not None  # noqa: PT018, as both were asked for
        try:
            if not self.ready:
                send(pipes[0], READY, self.greeting)
                kind, answer = receive(pipes[1])
                self.ready = kind == READY
            if self.ready:
                send(pipes[0], DONE, pack(chunk))
                kind, answer = receive(pipes[1])
        except (EOFError, BrokenPipeError):
            status, words = self.process.wait(), self._last_words()
            self.close()
            raise Died(status, self.ready, words) from None
        if kind == FAILED:
            raise RuntimeError(bytes(answer).decode())
        return unpack(answer)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):  # what was not yet sent goes nowhere
                if pipe is not None:
                    pipe.close()

    def _last_words(self) -> str:
        """The last line that it wrote before it was ready, as a sentence."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"Its message: {lines[-1]}. " if lines else ""
