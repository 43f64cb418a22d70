"""`plan` and `status` on damaged files: words, where `run` heals or says what to do, and no traceback."""

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from flows import look
from flows.graph import Node
from tasks.storage.store import Writer
from tests.flows.conftest import ROOT, Project

LOOK = """
import io, sys, traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from flows import look
from tasks.core.errors import DeepmineError
found = [Path("dvc.lock"), Path(".dvc/tmp/rwlock")]
found += [p for p in sorted(Path("data").rglob("*")) if p.suffix in (".json", ".parquet") and "scratch" not in p.parts]
found = [p for p in found if p.suffix != ".parquet" or "plan" in p.parts]
tried = refused = 0
for path in found:
    data = path.read_bytes() if path.is_file() else b"{}"
    flipped = bytearray(data)
    if flipped:
        flipped[len(flipped) // 2] ^= 4
    for what in (b"", data[: len(data) // 2], b"[]", b"{}", b"null", b"3", b"[" * 100_000, bytes(flipped), bytes(len(data))):
        before = {p: p.read_bytes() for p in (path, Path("dvc.lock")) if p.is_file()}
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(what)
        for show in (look.show_plan, look.show_status):
            tried += 1
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    show(["small"])
            except DeepmineError as error:
                refused += 1
            except BaseException:
                print(path, what[:20], show.__name__, traceback.format_exc()[-700:])
        for p in {path, *before}:
            p.unlink(missing_ok=True)
        for p, old in before.items():
            p.write_bytes(old)
print("tried", tried, "refused", refused)
"""


def test_an_output_that_is_not_whole_stops_no_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    table = pa.table({"id": ["a"]})
    writer = Writer(Path("data/quarantine/small/rejected"), table.schema, "test")
    writer.add(table)
    writer.finish({"in": 1, "accepted": 1, "quarantined": {}})
    assert look._counts(Node("validate@small")) == ("-", "-")  # killed before its summary was written


@pytest.mark.slow
def test_nothing_that_is_damaged_ends_in_a_traceback(finished: Project, tmp_path: Path) -> None:
    script = tmp_path / "look.py"
    script.write_text(LOOK)
    words = finished.run(sys.executable, str(script), timeout=1800)
    print(words.splitlines()[-1])
    assert "Traceback" not in words, words
    assert int(words.split("tried ")[1].split()[0]) > 300
