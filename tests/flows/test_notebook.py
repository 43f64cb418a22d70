"""The examples of docs/notebook.md, each run as it stands on a finished project."""

import re
import subprocess
import sys

import pytest

from tests.flows.conftest import ROOT, Project

TEXT = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.M)


def test_every_part_has_an_example() -> None:
    assert [len(re.findall("^```python", part, re.M)) > 0 for part in re.split(r"^## ", TEXT, flags=re.M)[1:]] == [
        True
    ] * len(HEADINGS)
    assert {m for block in BLOCKS for m in re.findall(r"^import (pandas|polars|duckdb)", block, re.M)} == {
        "pandas",
        "polars",
        "duckdb",
    }


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_runs(block: str, reproduced: Project) -> None:
    code = block.replace("mnist", "small")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=reproduced.path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr
