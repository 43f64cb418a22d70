"""Rules of the house that no single file shows: who may import whom, and what registries and verbs promise."""

import ast
import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from flows import project
from tasks import STAGES, config
from tasks.miners import MINERS
from tasks.modalities import MODALITIES

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tasks").rglob("*.py"))
MODULES = [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in FILES]
#: Libraries that a machine need not have to look at results or to apply a network.
ABSENT = ("prefect", "dvc", "great_expectations", "pydantic", "mlxtend", "skops", "plotly", "ruamel")
#: What sees features and predictions alone.
BELOW_THE_WAIST = [
    ROOT / "tasks" / name
    for name in ("metrics.py", "mine.py", "evaluate.py", "views.py", "miners/__init__.py", "miners/saved.py")
]


def imported(text: str, lazy: bool = True) -> set[str]:
    """Dotted names that a module imports for more than types; without ``lazy``, those at its top alone."""
    tree = ast.parse(text)
    found = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.FunctionDef) and not lazy:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import, which codehash does not follow: {ast.unparse(node)}"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found


def of(path: Path, *packages: str) -> set[str]:
    """What a file imports of ``packages``."""
    return {n for n in imported(path.read_text(encoding="utf-8")) if any(f"{n}.".startswith(f"{p}.") for p in packages)}


def test_imports_are_found() -> None:
    text = "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\ndef f():\n    import g\n"
    assert imported(text) == {"a.b", "c.d", "g"}
    assert imported(text, lazy=False) == {"a.b", "c.d"}
    with pytest.raises(AssertionError, match="relative"):
        imported("from . import x")
    assert of(ROOT / "tasks/expectations.py", "great_expectations") == {"great_expectations"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_tasks_know_no_framework(path: Path) -> None:
    assert of(path, "prefect", "dvc", "flows") == set()
    if path.name != "expectations.py":
        assert of(path, "great_expectations") == set()


@pytest.mark.parametrize("path", BELOW_THE_WAIST, ids=lambda p: str(p.relative_to(ROOT)))
def test_below_the_waist_there_are_features_alone(path: Path) -> None:
    assert path.is_file()
    assert of(path, "tasks.modalities", "tasks.encoders", "torch", "PIL") == set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    words |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    words |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    words |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    named = {w for w in words for m in MODALITIES if re.search(rf"(?<![a-z]){m}s?(?![a-z])", w.lower())}
    assert named == set()


def test_all_of_miners_is_below_the_waist() -> None:
    assert set((ROOT / "tasks/miners").glob("*.py")) <= set(BELOW_THE_WAIST)


def python(code: str) -> list[str]:
    """What another Python prints as JSON."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_module_can_be_imported_on_a_bare_machine() -> None:
    code = f"""
import importlib, json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
try:
    importlib.import_module("pydantic")
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the guard does not guard")
failed = []
for name in {MODULES!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{{name}}: {{error}}")
print(json.dumps(failed))
"""
    assert python(code) == []


def test_stages_without_a_network_do_not_load_torch() -> None:
    light = ["plan", "ingest", "validate", "clean", "mine", "evaluate"]
    code = f"""
import importlib, json, sys
loaded = []
for name in {light!r}:
    importlib.import_module(f"tasks.{{name}}")
    if "torch" in sys.modules:
        loaded.append(name)
        break
importlib.import_module("tasks.train")
assert "torch" in sys.modules
print(json.dumps(loaded))
"""
    assert python(code) == []


@pytest.mark.parametrize(("name", "target"), MODALITIES.items())
def test_every_modality_resolves(name: str, target: str) -> None:
    made = import_module(target)
    assert made.FACTS
    for function in ("decode", "inspect", "settle", "repair", "column_type", "statistics", "normalisation", "tensor"):
        assert callable(getattr(made, function)), function


def test_every_encoder_resolves() -> None:
    from tasks.encoders import ENCODERS

    for name, target in ENCODERS.items():
        module, _, attribute = target.partition(":")
        assert inspect.isclass(getattr(import_module(module), attribute)), name


def test_registries_hold_what_the_configuration_offers() -> None:
    from tasks.encoders import ENCODERS
    from tasks.encoders.training import LOSSES, OPTIMIZERS

    def offered(*kinds: type, key: str = "name") -> set[str]:
        return {value for kind in kinds for value in get_type_hints(kind)[key].__args__}

    assert set(ENCODERS) == offered(config.CNN, config.VGG)
    assert set(OPTIMIZERS) == offered(config.SGD, config.Adam)
    assert set(LOSSES) == offered(config.Loss)
    assert set(MODALITIES) == offered(config.Input, key="modality")
    assert all(callable(value) for value in (*LOSSES.values(), *OPTIMIZERS.values()))


@pytest.mark.parametrize("name", MINERS)
def test_every_miner_is_made_and_fits(name: str) -> None:
    from tasks.miners import check

    assert hasattr(MINERS[name](0, 2), "fit")
    check(name, {}, "here")


@pytest.mark.parametrize("stage", ["plan", *STAGES])
def test_every_name_that_a_verb_asks_for_is_offered(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    project._graph.cache_clear()
    verb = getattr(import_module(f"tasks.{stage}"), stage)
    asked = inspect.signature(verb).parameters
    assert {p.kind for p in asked.values()} == {inspect.Parameter.KEYWORD_ONLY}
    offered = set(project.paths(stage, "some-data"))
    if stage == "plan":
        offered |= {"dataset", "warn"}
    else:
        # what flows/stages.py adds; `inputs` stands in the plan of those that know modalities
        offered |= {"params", "code", "source", "scratch", "progress", "name", "records", "plan", "listing"}
        offered |= {"quality"} if stage == "report" else set()
        offered |= {"inputs"} if stage not in ("mine", "evaluate") else set()
    assert set(asked) - offered == set()
    paths = {n for n, p in asked.items() if p.annotation is Path} - {"scratch", "records", "plan", "listing", "quality"}
    assert paths <= set(project.paths(stage, "some-data"))
