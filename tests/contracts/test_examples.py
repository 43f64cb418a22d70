"""Public functions of the rooms that anybody may reuse have an example in their docstring, and it is true."""

import ast
import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("stats", "metrics", "features", "rules")
FILES = [path for room in ROOMS for path in sorted((ROOT / "tasks" / room).glob("*.py"))]


def needs_stores(function: ast.FunctionDef) -> bool:
    """Whether it reads or writes a folder of the project, which no line makes."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return any(a.annotation is not None and ast.unparse(a.annotation) in ("Path", "Items") for a in arguments)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_function_has_an_example(path: Path) -> None:
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    lacking = [
        node.name
        for node in functions
        if not node.name.startswith("_") and not needs_stores(node) and ">>> " not in (ast.get_docstring(node) or "")
    ]
    assert lacking == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_are_true(path: Path) -> None:
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    failed, _ = doctest.testmod(module)
    assert failed == 0
