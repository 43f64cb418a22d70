"""Whole runs of a small project in a temporary folder: what is left when there is nothing to compute."""

import statistics
import tempfile
import time
from pathlib import Path

from tasks import STAGES
from tasks.core.files import read_json
from tests.benchmarks.measure import Result


def runs(repeats: int = 5) -> list[Result]:
    """A first run of 240 small images, whose stages take next to nothing, and runs with nothing to do.

    `between stages` is the first run's time less what its stages took by their own clocks: starting processes,
    importing libraries, DVC's bookkeeping, Prefect.
    """

    from tests.flows.conftest import make_images, new_project

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        project = new_project(home / "project", make_images(home / "images"))
        try:
            first = _seconds(lambda: project.run("deepmine", "run"))
            records = project.path / "data" / "records" / "small"
            inside = sum(read_json(records / f"{s}.json")["seconds"] for s in ("plan", *STAGES))
            idle = [_seconds(lambda: project.run("deepmine", "run")) for _ in range(repeats)]
        finally:
            project.run("deepmine", "stop", code=None)
        bare = [_seconds(lambda: project.run("dvc", "repro")) for _ in range(repeats)]
    return [
        Result("first run, 240 images", first, "s"),
        Result("  between stages", first - inside, "s", "the whole of that run", first, (first - inside) / first),
        Result("deepmine run, nothing to do", statistics.median(idle), "s", low=min(idle), high=max(idle)),
        Result("dvc repro, nothing to do", statistics.median(bare), "s", low=min(bare), high=max(bare)),
    ]


def _seconds(run: object) -> float:
    began = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - began
