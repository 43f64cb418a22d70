"""A hash of the code that a stage can reach, so that changed code reruns what uses it and nothing else.

DVC sees parameters and files, not imports. Here the modules reachable from a stage's own are parsed and their
syntax trees hashed: without comments, layout and docstrings, without imports that are for the type checker
alone, and in registries (module-level dicts) without the entries that the dataset has not chosen.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
ASSETS = (".html", ".css", ".js")
Chosen = Mapping[str, frozenset[str]]
Keys = tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True)
class _Module:
    """What of a module counts: its stripped syntax tree as text, and the modules of the package that it names."""

    text: str
    imports: tuple[str, ...]


def code_hash(stage: str, chosen: Mapping[str, set[str]], package: Path = PACKAGE) -> str:
    """sha256 over all modules of ``package`` that the module ``stage`` reaches.

    Args:
        chosen: registry name (say `ENCODERS`) -> the keys in use; registries not named count whole.
    """
    keys = tuple(sorted((name, frozenset(entries)) for name, entries in chosen.items()))
    digest = hashlib.sha256()
    found: dict[str, Path] = {}
    waiting = [f"{package.name}.{stage}"]
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if name not in found and path is not None:
            found[name] = path
            waiting += _module(path, keys, package.name).imports
    for name, path in sorted(found.items()):
        module = _module(path, keys, package.name)
        digest.update(f"{name}\n{module.text}\n".encode())
        if path.name == "__init__.py":
            for asset in sorted(p for p in path.parent.iterdir() if p.suffix in ASSETS):
                digest.update(asset.read_bytes())
    return digest.hexdigest()


def _file(name: str, package: Path) -> Path | None:
    parts = name.split(".")
    base = package.joinpath(*parts[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _module(path: Path, keys: Keys, package: str) -> _Module:
    """Parsed once a process for each state of the file and choice among its own registries: stages and datasets
    share most of their modules."""
    text = _text(path, path.stat().st_mtime_ns, path.stat().st_size)
    return _parsed(path, text, tuple(key for key in keys if key[0] in text), package)


@cache
def _text(path: Path, changed: int, size: int) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _parsed(path: Path, text: str, keys: Keys, package: str) -> _Module:
    tree = _Strip(dict(keys)).visit(ast.parse(text, str(path)))
    names = [n for n in _imports(tree, package) if n == package or n.startswith(f"{package}.")]
    return _Module(ast.dump(tree), tuple(dict.fromkeys(names)))


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{package}."):
            yield node.value.partition(":")[0]  # a registry's lazy entry, "tasks.encoders.cnn:CNN"


class _Strip(ast.NodeTransformer):
    """Removes what cannot change what the code does for this dataset."""

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        return self._registry(node, node.targets[0], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return self._registry(node, node.target, node.value)

    def _registry(self, node: ast.AST, target: ast.expr, value: ast.expr | None) -> ast.AST:
        if isinstance(target, ast.Name) and target.id in self.chosen and isinstance(value, ast.Dict):
            keep = [
                (k, v) for k, v in zip(value.keys, value.values, strict=True)
                if not isinstance(k, ast.Constant) or k.value in self.chosen[target.id]
            ]  # fmt: skip
            value.keys, value.values = [k for k, _ in keep], [v for _, v in keep]
        return self.generic_visit(node)
