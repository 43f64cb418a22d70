"""What a newcomer adds is one file and one line: a metric, a format of tables and a leak check, added and run for real."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.flows.conftest import Project, copy_code

#: registry -> the line that is added to it, and the one that it stands behind
LINES = {
    "tasks/metrics/__init__.py": (
        '        "geometric_mean": Metric("tasks.metrics.geometric_mean:geometric_mean", "G-mean", "higher", "share", 1.0),',
        '"f1": Metric("tasks.metrics.classification:f1"',
    ),
    "tasks/sources/readers.py": ('    ".arrow": "tasks.sources.arrow:open_arrow",', '".pq":'),
    "tasks/validation/__init__.py": (
        '    "constant_columns": "tasks.validation.constant_columns",', '"time_overlap":',
    ),
}  # fmt: skip
FILES = {
    "tasks/metrics/geometric_mean.py": '''
"""The geometric mean of the recalls of all classes."""

import numpy as np

from tasks.metrics.classification import ByClass


def geometric_mean(by_class: ByClass) -> float:
    return float(np.prod(by_class.recall) ** (1 / len(by_class.recall)))
''',
    "tasks/sources/arrow.py": '''
"""Arrow files, typed as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.sources.table_file import Block, ReadOptions, TableFile, places


def open_arrow(path: Path, options: ReadOptions) -> TableFile:
    try:
        table = pa.ipc.open_file(path).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DeepmineError(f"{path}: cannot be read as Arrow: {error}.") from None

    def read(columns: Sequence[str]) -> Iterator[Block]:
        numbers, size = np.arange(table.num_rows), path.stat().st_size
        yield Block(table.select(list(columns)), numbers, places(f"{path.name}:row ", numbers), [], size, size)

    return TableFile(path, tuple(table.column_names), read)
''',
    "tasks/validation/constant_columns.py": '''
"""Constant columns: columns of tables with a single value, which tell nothing."""

from collections.abc import Iterator

from tasks.validation.context import Context
from tasks.validation.finding import WARNING, Finding


def check(context: Context) -> Iterator[Finding]:
    names = tuple(name for key, name in context.columns.items() if context.rows[key].nunique(dropna=False) == 1)
    if names:
        yield Finding(WARNING, "Constant columns", "Columns with a single value tell nothing.", names)
''',
}
MINERS = {"linear_svm": {"miner": "linear_svm", "views": ["raw"]}}
#: Small enough that the run takes as long as its processes take to start.
SMALL = {
    "train": {"epochs": 1, "encoders": {"tabular": {"hidden": [4]}}},
    "evaluate": {"resamples": 100},
    "report": {"map_points": 10},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A clone with the three additions, after a run of a table in the new format."""
    home = tmp_path_factory.mktemp("newcomer")
    copy_code(home)
    for name, text in FILES.items():
        (home / name).write_text(text.lstrip())
    for name, (line, before) in LINES.items():
        lines = (home / name).read_text().splitlines()
        [place] = [i for i, other in enumerate(lines) if other.strip().startswith(before)]
        (home / name).write_text("\n".join([*lines[: place + 1], line, *lines[place + 1 :], ""]))
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b", "c"], 150)
    table = pa.table(
        {"x": rng.normal(size=150) + (label == "a"), "y": rng.normal(size=150), "still": [1.5] * 150, "label": label}
    )
    with pa.ipc.new_file(str(home / "rows.arrow"), table.schema) as file:
        file.write_table(table)
    made = Project(home)
    made.run("git", "init", "-q")
    source, inputs = (
        {"path": "rows.arrow", "label": "label"},
        {"table": {"modality": "tabular", "columns": ["x", "y", "still"]}},
    )

    def small(data: dict[str, Any]) -> None:
        data["defaults"]["mine"]["miners"] = MINERS
        data["datasets"] = {"new": {"source": source, "inputs": inputs, **SMALL}}

    made.edit(small)
    made.run(sys.executable, "-m", "flows.cli", "run", "new", "--no-server")
    yield made
    made.end()


def test_a_metric_is_computed_and_shown(project: Project) -> None:
    metrics = json.loads((project.path / "data/reports/new/metrics.json").read_text())
    assert 0 <= metrics["fusion"]["network"]["geometric_mean"] <= 1
    assert '<th scope="col" class="n">G-mean</th>' in page(project)


def test_a_format_is_read_and_offered(project: Project, tmp_path: Path) -> None:
    assert "150 rows were read from" in page(project)
    (project.path / "rows.xlsx").write_bytes(b"PK")
    assert ".arrow" in project.run(sys.executable, "-m", "flows.cli", "add", "other", "rows.xlsx", code=1)


def test_a_finding_stands_in_the_report(project: Project) -> None:
    assert "<strong>Constant columns.</strong>" in page(project)
    assert "For example <bdi>still</bdi>." in page(project)


def page(project: Project) -> str:
    return (project.path / "data/reports/new/index.html").read_text()
