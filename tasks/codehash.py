"""A hash of the code that a stage can reach, so that changed code reruns what uses it and nothing else.

DVC sees parameters and files, not imports. Here the modules reachable from a stage's own are parsed and their
syntax trees hashed: without comments, layout and docstrings, without imports that are for the type checker
alone, and in registries (module-level dicts) without the entries that the dataset has not chosen.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parent
ASSETS = (".html", ".css", ".js")


def code_hash(stage: str, chosen: Mapping[str, set[str]], package: Path = PACKAGE) -> str:
    """sha256 over all modules of ``package`` that the module ``stage`` reaches.

    Args:
        chosen: registry name (say `ENCODERS`) -> the keys in use; registries not named count whole.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_reach(f"{package.name}.{stage}", chosen, package).items()):
        digest.update(f"{name}\n{ast.dump(_tree(path, chosen))}\n".encode())
        if path.name == "__init__.py":
            for asset in sorted(p for p in path.parent.iterdir() if p.suffix in ASSETS):
                digest.update(asset.read_bytes())
    return digest.hexdigest()


def _reach(start: str, chosen: Mapping[str, set[str]], package: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if name not in found and path is not None:
            found[name] = path
            waiting += _imports(_tree(path, chosen), package.name)
    return found


def _file(name: str, package: Path) -> Path | None:
    parts = name.split(".")
    base = package.joinpath(*parts[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{package}."):
            yield node.value.partition(":")[0]  # a registry's lazy entry, "tasks.encoders.cnn:CNN"


def _tree(path: Path, chosen: Mapping[str, set[str]]) -> ast.Module:
    tree: ast.Module = _Strip(chosen).visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return tree


class _Strip(ast.NodeTransformer):
    """Removes what cannot change what the code does for this dataset."""

    def __init__(self, chosen: Mapping[str, set[str]]) -> None:
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
