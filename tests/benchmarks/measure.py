"""How time is taken: contestants turn by turn, medians, and the machine that it was taken on."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIBRARIES = ("torch", "numpy", "scikit-learn", "pandas", "pyarrow", "pillow", "prefect", "dvc")


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        name: what was measured.
        ours, reference: medians in ``unit``, for a person; None where there is nothing to compare with.
        ratio: how much of the reference's speed ours comes to (1 = as fast); None likewise.
        low, high: the ratio of the worst and of the best turn.
    """

    name: str
    ours: float
    unit: str
    what: str = ""
    reference: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def turns(contestants: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every contestant, each run ``repeats`` times in turn (A B A B ...) after one run to warm up."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def compare(name: str, ours: list[float], reference: list[float], amount: float, unit: str, what: str) -> Result:
    """A result in ``amount`` a second, from the seconds of turns taken together.

    Args:
        what: the reference, in words.
    """
    ratios = [r / o for o, r in zip(ours, reference, strict=True)]
    return Result(
        name, amount / statistics.median(ours), unit, what, amount / statistics.median(reference),
        statistics.median(ratios), min(ratios), max(ratios),
    )  # fmt: skip


def table(results: list[Result]) -> str:
    """Results as a table of plain text."""
    rows = [("benchmark", "ours", "reference", "unit", "ratio", "spread", "compared with")]
    for r in results:
        spread = f"{r.low:.2f}-{r.high:.2f}" if r.low is not None else ""
        ratio = f"{r.ratio:.1%}" if r.ratio is not None else ""
        rows.append((r.name, _number(r.ours), _number(r.reference), r.unit, ratio, spread, r.what))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = (1, 2, 4, 5)
    lines = [
        "  ".join(f"{c:>{w}}" if i in right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in [lines[0], "-" * len(lines[0]), *lines[1:]])


def machine(device: str) -> dict[str, Any]:
    """Hardware, versions, commit and date, for the record."""
    import torch

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        names = [li for li in Path("/proc/cpuinfo").read_text().splitlines() if li.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
