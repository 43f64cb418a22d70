"""The guard, with children that really crash, stall and swell: each costs its own item."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.core.errors import DeepmineError
from tasks.core.sandbox import CHUNK_BYTES, CHUNK_ITEMS, Guard, Limits, split

LIMITS = Limits(memory=256 << 20, seconds=2.0)
SCHEMA = pa.schema([("n", pa.int64()), ("says", pa.string())])


def work(rows: Iterator[dict[str, Any]]) -> pa.Table:
    """Twice each number; what is in words is done instead."""
    result = []
    for row in rows:
        match row["do"]:
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(3)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                time.sleep(600)
            case "spin":
                while True:
                    pass
            case "hog":
                bytearray(1 << 30)
            case "noise":
                os.write(1, b"a C library speaks")
                os.write(2, b"and complains")
            case "bug":
                raise ZeroDivisionError("a fault of ours")
        result.append({"n": 2 * row["n"], "says": "fine"})
    return pa.Table.from_pylist(result, SCHEMA)


def fault(row: pa.Table, reason: str, detail: str) -> pa.Table:
    return pa.Table.from_pylist([{"n": row["n"][0].as_py(), "says": f"{reason}: {detail}"}], SCHEMA)


def numbers(n: int, **special: int) -> pa.Table:
    do = dict.fromkeys(range(n), "") | {place: what for what, place in special.items()}
    return pa.table({"n": list(range(n)), "do": list(do.values())})


def run(table: pa.Table, workers: int = 2, each: int = 10, limits: Limits = LIMITS) -> dict[int, str]:
    """Of every item that is not well what is said of it; the order of the rest is checked."""
    parts = [table.slice(i, each) for i in range(0, table.num_rows, each)]
    with Guard(work, fault, limits, workers) as guard:
        found = [row for job, results in guard.map((part, [part]) for part in parts)
                 for row in pa.concat_tables(results).to_pylist()]  # fmt: skip
    assert len(found) == table.num_rows
    for i, row in enumerate(found):
        assert row["n"] == (2 * i if row["says"] == "fine" else i)
    return {i: row["says"] for i, row in enumerate(found) if row["says"] != "fine"}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_child_that_dies_costs_the_item_that_killed_it(workers: int) -> None:
    table = numbers(50, segfault=3, exit=4, killed=22, hog=29, noise=35, spin=49)
    assert run(table, workers) == {
        3: "decoder crashed: SIGSEGV", 4: "decoder crashed: exit status 3",
        22: "decoder crashed: killed, most often for lack of memory",
        29: "out of memory: decoding takes more memory than one item may use",
        49: "decoder too slow: stopped at its time limit",
    }  # fmt: skip


def test_a_child_that_sleeps_is_woken() -> None:
    assert run(numbers(3, sleep=1)) == {1: "decoder too slow: stopped at its time limit"}


def test_the_clock_is_of_one_item_not_of_the_chunk() -> None:
    with Guard(nap, fault, LIMITS, 1) as guard:
        [(_, [result])] = guard.map([(None, [numbers(8)])])
    assert result["says"].to_pylist() == ["fine"] * 8


def nap(rows: Iterator[dict[str, Any]]) -> pa.Table:
    result = []
    for row in rows:
        time.sleep(0.3)
        result.append({"n": row["n"], "says": "fine"})
    return pa.Table.from_pylist(result, SCHEMA)


def test_an_error_in_our_own_code_is_raised_with_its_place() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)in work.*ZeroDivisionError: a fault of ours"):
        run(numbers(5, bug=2))


def test_children_that_cannot_start_are_no_fault_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DeepmineError, match=r"cannot start: .*No such file"):
        run(numbers(5))


def test_a_child_that_ends_before_it_is_ready_is_no_fault_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "soon_gone.py").write_text("def work(rows): ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        import soon_gone  # type: ignore[import-not-found]

        (tmp_path / "soon_gone.py").write_text("raise SystemExit('no luck today')\n")
        with (
            Guard(soon_gone.work, fault, LIMITS) as guard,
            pytest.raises(DeepmineError, match="Its message: no luck today"),
        ):
            list(guard.map([(None, [numbers(3)])]))
    finally:
        sys.path.remove(str(tmp_path))


def test_nothing_to_do_starts_no_child() -> None:
    with Guard(work, fault, LIMITS) as guard:
        assert list(guard.map([("a", []), ("b", [])])) == [("a", []), ("b", [])]
        assert guard.children == []


def test_chunks_end_at_items_or_bytes() -> None:
    table = pa.table({"n": list(range(2 * CHUNK_ITEMS + 5))})

    def sizes(*of: int) -> list[int]:
        return [part.num_rows for part in split(table.slice(0, len(of)), of)]

    assert sizes(*[1] * table.num_rows) == [CHUNK_ITEMS, CHUNK_ITEMS, 5]
    assert sizes(*[CHUNK_BYTES // 2] * 5) == [2, 2, 1]
    assert sizes(1, CHUNK_BYTES * 9, 1, 1) == [1, 1, 2]
    assert sizes(-1, -1) == [2]
    assert sizes() == []
    assert pa.concat_tables(split(table, [1] * table.num_rows)).equals(table)


PARENT = """
import os, sys, time
from tasks.core.sandbox import Guard
from tests.core.test_sandbox import fault, numbers, work, Limits

with Guard(work, fault, Limits(memory=1 << 30, seconds=500), 2) as guard:
    import threading
    def tell():
        while len(guard.children) < 2 or not all(child.ready for child in guard.children):
            time.sleep(0.01)
        print(*(child.process.pid for child in guard.children), flush=True)
    threading.Thread(target=tell, daemon=True).start()
    list(guard.map([(None, [numbers(2, sleep=1), numbers(2, sleep=1)])]))
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_their_parent(how: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    # as Ctrl-C in a terminal: to the whole group
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.send_signal(how)
    _, errors = parent.communicate(timeout=20)
    assert parent.returncode == -how
    assert errors.count("Traceback") == (how == signal.SIGINT)  # the parent's own, of KeyboardInterrupt
    while not all(gone(pid) for pid in children):  # as long as the test may take
        time.sleep(0.01)


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    def found(workers: int) -> pa.Table:
        with Guard(work, fault, LIMITS, workers) as guard:
            jobs = [(i, [numbers(7), numbers(3, exit=1)]) for i in range(4)]
            return pa.concat_tables(t for _, tables in guard.map(iter(jobs)) for t in tables)

    assert found(1).equals(found(3))
