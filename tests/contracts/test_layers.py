"""The floors of the house: a room imports rooms of lower floors only, and what knows no modality stays that way."""

import ast
from pathlib import Path

import pytest

from tasks import STAGES
from tasks.modalities import MODALITIES

ROOT = Path(__file__).parents[2]
#: Rooms of `tasks/` from the ground up. A file imports its own room and rooms of lower floors; the verbs are on top.
FLOORS = (
    ("core", "stats"),
    ("config", "storage"),
    ("splitting",),
    ("sources", "modalities", "encoders", "features", "metrics"),
    ("autodetect", "validation", "extraction", "checkup", "miners", "rules", "evaluation", "reporting"),
)
VERBS = ("plan", *STAGES)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms} | dict.fromkeys(VERBS, len(FLOORS))
#: Above the waist an input has a modality and an encoder; below it there are features and predictions alone.
ABOVE = ("sources", "modalities", "encoders")
BELOW = ("stats", "splitting", "features", "metrics", "miners", "rules", "evaluation", "mine", "evaluate")
FILES = sorted((ROOT / "tasks").rglob("*.py"))


def room_of(path: Path) -> str:
    """The room of a file of `tasks/`, or the verb that it is."""
    return path.relative_to(ROOT / "tasks").with_suffix("").parts[0]


def imports(text: str) -> list[tuple[int, str]]:
    """(line, room or verb) of every import from `tasks`, for types too, and of a registry's "tasks.encoders.cnn:CNN"."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("tasks."):
            names = [node.value.partition(":")[0]]
        else:
            continue
        found += [(node.lineno, name.split(".")[1]) for name in names if name.startswith("tasks.")]
    return [(line, name) for line, name in found if name in FLOOR]


def modalities_named(text: str) -> list[str]:
    """Literals that are a modality's name, with their lines."""
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [
        f"{node.lineno}: '{node.value}'" for node in nodes if isinstance(node.value, str) and node.value in MODALITIES
    ]


def test_faults_are_found() -> None:
    text = """
from tasks.modalities import modality
import tasks.encoders.cnn
from tasks import encoders, STAGES
x = {"audio": 1}
lazy = "tasks.encoders.cnn:CNN"
fine = "an audio file"
def f():
    from tasks.modalities.image import flat
"""
    assert sorted(imports(text)) == [
        (2, "modalities"),
        (3, "encoders"),
        (4, "encoders"),
        (6, "encoders"),
        (9, "modalities"),
    ]
    assert modalities_named(text) == ["5: 'audio'"]


def test_every_file_is_a_verb_or_stands_in_a_room() -> None:
    assert {room_of(path) for path in FILES} - {"__init__"} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_lower_floors_alone(path: Path) -> None:
    own = room_of(path)
    text = path.read_text(encoding="utf-8")
    if own == "crossvalidate":  # which runs the verbs themselves for each fold, named as texts in `CHAIN`
        text = text.replace('"tasks.', '"')
    reached = [
        f"line {line}: {room}" for line, room in imports(text) if room != own and FLOOR[room] >= FLOOR.get(own, 0)
    ]
    assert reached == []


@pytest.mark.parametrize(
    "path",
    [*(p for p in FILES if room_of(p) in BELOW), *sorted((ROOT / "flows").glob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_below_the_waist_there_are_features_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    above = ABOVE[1:] if path.parent.name == "flows" else ABOVE  # which may look whether a source is there
    assert [f"line {line}: {room}" for line, room in imports(text) if room in above] == []
    assert modalities_named(text) == []
