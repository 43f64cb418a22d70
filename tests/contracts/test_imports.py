"""Which room may know which: read from the syntax trees, and tried in a fresh process."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import STAGES, crossvalidate
from tasks.plan import CHAIN
from tests.fixtures.images import class_folders

ROOT = Path(__file__).parents[2]
#: module name -> file, of everything under tasks/
MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for p in sorted((ROOT / "tasks").rglob("*.py"))
}
#: What a machine with torch, scikit-learn, pandas, pyarrow, pillow, safetensors and jinja2 alone does not have.
ABSENT = (
    "prefect", "dvc", "great_expectations", "pydantic", "pydantic_core", "mlxtend", "skops", "plotly", "ruamel",
    "typer", "rich", "psutil", "sklearnex", "flows",
)  # fmt: skip


def imported(text: str) -> set[str]:
    """Dotted names that a module imports for more than types, wherever in it the statement stands."""
    tree = ast.parse(text)
    found = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
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
    with pytest.raises(AssertionError, match="relative"):
        imported("from . import x")
    assert "great_expectations" in of(ROOT / "tasks/validation/expectations.py", "great_expectations")


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda p: str(p.relative_to(ROOT)))
def test_tasks_know_no_framework(path: Path) -> None:
    assert of(path, "prefect", "dvc", "flows") == set()
    if path.name != "expectations.py":
        assert of(path, "great_expectations") == set()


def run(code: str, *arguments: str) -> str:
    """What ``code`` prints in a fresh process of the repository's root; fails with its errors."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_stage_is_a_module_with_its_verb() -> None:
    for stage in ("plan", *STAGES):
        tree = ast.parse(MODULES[f"tasks.{stage}"].read_text(encoding="utf-8"))
        assert stage in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_verb_imports_another_and_crossvalidate_alone_calls_some() -> None:
    """`crossvalidate` is the chain once more for every fold, so it runs the verbs themselves and not something like them. It
    names them as texts in `CHAIN`: they are imported where there are folds, and count in its code hash only then."""
    verbs = ("plan", *STAGES)
    for verb in verbs:
        assert of(MODULES[f"tasks.{verb}"], *(f"tasks.{other}" for other in verbs if other != verb)) == set(), verb
        named = re.findall(r'"tasks\.(\w+):\w+"', MODULES[f"tasks.{verb}"].read_text(encoding="utf-8"))
        assert named == (list(CHAIN) if verb == "crossvalidate" else [])
    assert [f"tasks.{stage}:{stage}" for stage in CHAIN] == list(crossvalidate.CHAIN.values())


BLOCK = """
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder

absent = [name for name in sys.argv[1].split(",") if name]

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in absent:
    try:
        import_module(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} was to be blocked")
"""

IMPORT = """
for name in sys.argv[2].split(","):
    import_module(name)
    print(name)
"""

#: Stages of a small dataset in the folder argv[2]; prints each with whether torch was there after it.
WORK = """
import inspect
from pathlib import Path

from tasks.config.dataset import Dataset
from tasks.config.encoders import CNN, Encoders
from tasks.config.evaluate import Evaluate
from tasks.config.mine import Mine, Miner
from tasks.config.source import Source
from tasks.config.train import Train
from tasks.core.progress import Progress

home = Path(sys.argv[2])
dataset = Dataset(
    source=Source(path=str(home / "images")),
    train=Train(encoders=Encoders(image=CNN(channels=(2,), dense=(4,))), epochs=1, batch=8),
    mine=Mine(miners={
        "svm": Miner(miner="linear_svm", views=("raw", "deep")),
        "groups": Miner(miner="kmeans", views=("deep",)),
    }),
    evaluate=Evaluate(resamples=100),
)
for stage in sys.argv[3].split(","):
    verb = getattr(import_module(f"tasks.{stage}"), stage)
    known = {name: home / name for name in inspect.signature(verb).parameters}
    known |= {"dataset": dataset, "source": dataset.source, "inputs": dataset.inputs, "code": "code", "warn": print,
          "objective": dataset.objective}
    known |= {"params": getattr(dataset, stage, None), "scratch": home / "scratch" / stage}
    known |= {"progress": Progress(quiet=True), "chain": dataset.chain}
    verb(**{name: known[name] for name in inspect.signature(verb).parameters})
    print(stage, "torch" in sys.modules)
"""


def test_every_module_can_be_imported_on_a_gpu_box() -> None:
    assert run(BLOCK + IMPORT, ",".join(ABSENT), ",".join(MODULES)).split() == list(MODULES)


def test_torch_is_there_for_the_network_alone_and_the_network_needs_no_framework(tmp_path: Path) -> None:
    def work(*stages: str, absent: tuple[str, ...] = ()) -> list[str]:
        return run(BLOCK + WORK, ",".join(absent), str(tmp_path), ",".join(stages)).splitlines()

    class_folders(tmp_path / "images" / "train", each=20)
    class_folders(tmp_path / "images" / "test", each=4, seed=100)
    before, after = ("plan", "ingest", "validate", "clean"), ("mine", "crossvalidate", "evaluate")
    assert work(*before) == [f"{stage} False" for stage in before]
    # the machine with the GPU
    assert work("train", "extract", absent=ABSENT) == ["train True", "extract True"]
    assert work(*after) == [f"{stage} False" for stage in after]
