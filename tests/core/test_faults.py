"""The machine's faults, real ones where they can be had, each told in one line with need, have and what to do."""

import errno
import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.core import faults, space
from tasks.core.errors import DeepmineError
from tasks.core.faults import assert_writable, fault_in, machine_fault, machine_faults
from tasks.core.files import write_atomically

ROOT = Path(__file__).parents[2]


def raised(work: Callable[[], object]) -> BaseException:
    try:
        work()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "work",
    [lambda: np.empty(2**55), lambda: torch.empty(2**55), lambda: pa.allocate_buffer(2**55), lambda: bytearray(2**55)],
)
def test_memory_of_every_library(work: Callable[[], object]) -> None:
    told = machine_fault(raised(work), "train@x") or ""
    assert re.fullmatch(
        r"train@x: out of memory \((asked for .*, )?[\d.]+ [GM]B available.*\)\. End other programs.*", told
    )
    assert "\n" not in told


@pytest.mark.parametrize(("number", "says"), [
    (errno.ENOSPC, "no space left on the disk at {0} (.* free on the disk of {1})"),
    (errno.EDQUOT, "no space left on the disk at {0}"), (errno.EROFS, "the disk is read-only at {0}"),
    (errno.EACCES, "writing is not allowed at {0}"), (errno.EIO, "the disk reports an error of its own at {0}"),
    (errno.EFBIG, "no file may grow as large as this one at {0}"), (errno.EMFILE, "too many open files"),
    (errno.ENOMEM, "out of memory"), (errno.EAGAIN, "no further thread or process can be started"),
])  # fmt: skip
def test_what_the_system_refuses(number: int, says: str, tmp_path: Path) -> None:
    told = machine_fault(OSError(number, os.strerror(number), str(tmp_path / "a" / "b")), "clean@x") or ""
    assert re.match("clean@x: " + says.format(re.escape(str(tmp_path / "a/b")), re.escape(str(tmp_path))), told) or (
        "(" in says and "free on the disk of" in told
    )
    assert told.endswith("and run again: what was finished is kept.")


def test_what_another_library_wrapped_is_still_the_machines() -> None:
    error = RuntimeError("a shard could not be written")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "no space left" in (machine_fault(error, "x") or "")
    child = RuntimeError(
        "Traceback ...\n  File ...\nOSError: [Errno 28] No space left on device: '/data/some/x.parquet'"
    )
    assert "at /data/some/x.parquet (" in (machine_fault(child, "x") or "")


@pytest.mark.parametrize(
    "error",
    [ValueError("12 rows"), KeyError("memory"), FileNotFoundError(2, "No such file", "a"), RuntimeError("diverged")],
)
def test_other_errors_are_not_the_machines(error: Exception) -> None:
    assert machine_fault(error, "x") is None
    with pytest.raises(type(error)), machine_faults("x"):
        raise error


@pytest.mark.parametrize(("line", "says"), [
    ("libgomp: Thread creation failed: Resource temporarily unavailable", "no further thread"),
    ("OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 2: Resource temporarily unavailable", "no further thread"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "out of memory"),
    ("ImportError: libx.so: failed to map segment from shared object", "out of memory"),
    ("ERROR: failed to reproduce 'train@x': failed to run: deepmine stage train x, exited with -9", "out of memory"),
    ("ERROR: unexpected error - [Errno 28] No space left on device: '/p/.dvc/tmp/x'", "no space left on the disk at /p/.dvc/tmp/x"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "the GPU's memory is full (asked for 2.00 GiB"),
])  # fmt: skip
def test_a_process_that_ended_without_an_exception(line: str, says: str) -> None:
    told = fault_in(["1/4 parts", line, "1 more line"], "train@x") or ""
    assert told.startswith(f"train@x: {says}")
    assert fault_in(["1/4 parts", "done"], "train@x") is None


def limited(code: str, name: str, limit: int) -> str:
    """What ``code`` says on standard error in a process with a resource limit."""

    def set_limit() -> None:
        resource.setrlimit(getattr(resource, name), (limit, limit))

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, preexec_fn=set_limit)
    return done.stderr.strip()


TELL = """
import os, sys, threading, time
from tasks.core.faults import machine_fault
try:
    {}
except Exception as error:
    sys.exit(machine_fault(error, "mine@x"))
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    code = TELL.format(
        f"from tasks.core.files import write_atomically as w; from pathlib import Path; w(Path({str(path)!r}), bytes(9999))"
    )
    told = limited(code, "RLIMIT_FSIZE", 5000)
    assert told == (
        f"mine@x: no file may grow as large as this one at {path} (allowed: 5.0 kB a file). Raise the limit (ulimit -f "
        "unlimited), and run again: what was finished is kept."
    )
    assert list(tmp_path.iterdir()) == []  # no half file either


def test_a_database_that_may_not_grow(tmp_path: Path) -> None:
    """SQLite says of this what it says of a broken disk."""
    code = TELL.format(f"import sqlite3; sqlite3.connect({str(tmp_path / 'x.db')!r}).execute('create table t (a)')")
    assert "mine@x: no file may grow as large as this one (allowed: 2.0 kB a file)" in limited(
        code, "RLIMIT_FSIZE", 2000
    )
    assert "the disk reports an error of its own" in (
        machine_fault(sqlite3.OperationalError("disk I/O error"), "x") or ""
    )


def test_a_database_that_no_open_file_is_left_for(tmp_path: Path) -> None:
    take = "kept = [os.dup(0) for _ in range(31 - len(os.listdir('/proc/self/fd')))]"
    code = TELL.format(f"{take}; sqlite3.connect({str(tmp_path / 'x.db')!r}).execute('create table t (a)')")
    code = code.replace("import os,", "import os, sqlite3,")
    assert "mine@x: too many open files (allowed: 30 open files)" in limited(code, "RLIMIT_NOFILE", 30)
    assert machine_fault(sqlite3.OperationalError("unable to open database file"), "x") is None


def test_too_many_open_files() -> None:
    told = limited(TELL.format("kept = [open('/dev/null') for _ in range(99)]"), "RLIMIT_NOFILE", 30)
    assert "mine@x: too many open files" in told
    assert "(allowed: 30 open files)" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="a limit of processes is for a user of its own")
def test_no_further_thread() -> None:
    start = "[threading.Thread(target=time.sleep, args=(1,), daemon=True).start() for _ in range(50)]"
    told = limited(TELL.format(f"os.setuid(54321); {start}"), "RLIMIT_NPROC", 8)
    assert "mine@x: no further thread or process can be started (allowed: 8 threads and processes of this user)" in told


@pytest.fixture
def small_disk(mounted: Callable[[str], Path]) -> Path:
    """A disk of its own, 1 MB."""
    return mounted("1m")


def test_a_full_disk_leaves_no_half_file(small_disk: Path) -> None:
    with (
        pytest.raises(DeepmineError, match=r"no space left on the disk at .*big.bin \(\d.* free on the disk of "),
        machine_faults("x"),
    ):
        write_atomically(small_disk / "big.bin", os.urandom(2 << 20))
    assert list(small_disk.iterdir()) == []


def test_a_read_only_folder_is_found_before_anything_is_computed(small_disk: Path) -> None:
    assert_writable([small_disk / "data/raw"], "ingest@x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DeepmineError, match=rf"^ingest@x: the disk is read-only at {small_disk} "):
        assert_writable([small_disk / "data/raw"], "ingest@x")


def test_need_and_have_before_a_stage_begins(small_disk: Path) -> None:
    with pytest.raises(DeepmineError, match=r"about 12.0 GB needed \(3 files\), 1.0 MB free"):
        space.assert_room(small_disk / "data", 12e9, "ingest@x", "3 files")
    with pytest.raises(DeepmineError, match=r"about 8.4 MB needed \(at the least\), 1.0 MB free"):
        space.assert_room(small_disk, 0, "ingest@x", "at the least")
    assert space.stored_bytes(["a.jpg", "b.WAV", None], [1000, 1000, None]) == pytest.approx(1250)


def test_shards_that_grow_beyond_the_disk_stop_the_stage_early(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    progress = space.Roomy(tmp_path / "progress.json", scratch, "clean@x")
    progress(1, 100, "rows")
    scratch.mkdir()
    with (scratch / "a.parquet").open("wb") as file:
        file.truncate(1 << 42)  # 4 TB, none of them on the disk
    progress.looked = 0.0
    progress(1, 100, "rows", always=True)  # one in a hundred says too little
    progress.looked = 0.0
    with pytest.raises(
        DeepmineError, match=r"clean@x: not enough space .*about 215.5 TB needed \(98% of it is still to be written\)"
    ):
        progress(2, 100, "rows", always=True)


def test_every_kind_has_its_words() -> None:
    assert set(faults.NUMBERS.values()) | set(faults.WORDS) | {"denied"} == set(faults.TOLD)
