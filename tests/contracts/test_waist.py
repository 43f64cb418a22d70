"""The waist: below the views nobody imports modalities or encoders, or names a modality."""

import ast
from pathlib import Path

import pytest

from tasks.modalities import MODALITIES

ROOT = Path(__file__).parents[2]
ABOVE = ("tasks.modalities", "tasks.encoders")
#: What sees features and predictions alone; of the flows `child` and the others see not even those.
BELOW = [
    *sorted((ROOT / "tasks" / "miners").glob("*.py")),
    *sorted((ROOT / "tasks" / "rules").glob("*.py")),
    *(
        ROOT / "tasks" / f"{name}.py"
        for name in (
            "views", "items", "mine", "evaluate", "judges", "fusion", "sentences", "ledger", "metrics", "intervals",
            "page/results", "page/words", "rulemining", "ruletable", "deepitems", "shares", "clusterings", "profiles",
            "conclusions", "figures", "curves", "calibration", "costs", "residuals", "slices", "comparisons", "grouped",
            "page/clusters",
            "unlike", "alike", "judge", "folds", "verdicts", "optimism", "page/folds",
        )
    ),
    *sorted((ROOT / "flows").glob("*.py")),
]  # fmt: skip


def faults(text: str) -> list[str]:
    """Imports of what stands above the waist (for types too), and literals that are a modality's name, with their line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # a registry's lazy entry, "tasks.encoders.cnn:CNN", is an import too
            names = [node.value.partition(":")[0]] if node.value.startswith("tasks.") else []
            if node.value in MODALITIES:
                found.append(f"{node.lineno}: '{node.value}'")
        else:
            continue
        found += [f"{node.lineno}: {n}" for n in names if any(f"{n}.".startswith(f"{room}.") for room in ABOVE)]
    return found


def test_faults_are_found() -> None:
    text = """
from tasks.modalities import modality
import tasks.encoders.cnn
from tasks import encoders
x = {"audio": 1}
lazy = "tasks.encoders.cnn:CNN"
fine = "an audio file"
def f():
    from tasks.modalities.image import flat
"""
    assert [line.partition(":")[0] for line in sorted(faults(text))] == ["2", "3", "4", "5", "6", "9"]


@pytest.mark.parametrize("path", BELOW, ids=lambda p: str(p.relative_to(ROOT)))
def test_below_the_waist_there_are_features_alone(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_what_the_verbs_below_reach_is_below() -> None:
    """A module that `mine` or `evaluate` imports is on the list, or knows no features at all (`config`: for types)."""
    plain = {"store", "files", "digests", "errors", "progress", "cores", "safe", "splits", "visible"}
    waiting, seen = ["mine", "evaluate"], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name == "config":
            continue
        seen.add(name)
        path = ROOT / "tasks" / name
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert name in plain or path in BELOW, name
        assert faults(path.read_text(encoding="utf-8")) == []
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tasks":
                inner = (node.module or "").split(".")[1:]
                waiting += ["/".join(inner)] if inner else [alias.name for alias in node.names]
    assert {"views", "miners", "miners/saved", "fusion", "judges"} <= seen
