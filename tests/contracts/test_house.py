"""What registries and verbs promise: each entry resolves, the configuration offers all, each argument is supplied."""

import ast
import inspect
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from flows import project
from tasks import STAGES
from tasks.config.clean import Clean
from tasks.config.encoders import Encoders
from tasks.config.source import Input, Source
from tasks.config.train import SGD, Adam, Loss, Muon, Train
from tasks.config.validate import Validate
from tasks.miners import MINERS
from tasks.modalities import MODALITIES
from tasks.plan import ABOVE_THE_WAIST, WITH_OBJECTIVE
from tasks.reporting.run import Run
from tasks.sources import uses_files

ROOT = Path(__file__).parents[2]
#: Functions that stages call, with the arguments that these give.
COMMON = {
    name: tuple(arguments.split())
    for name, arguments in {
        "raw_fields": "spec", "settled_by": "spec", "checked": "spec", "checks": "spec params",
        "settle": "train spec params", "column_type": "state", "array": "column state", "shape": "state",
        "form": "state", "tensor": "items state",
        "augment": "items params mirrored generator", "show": "item row state side", "describe": "facts",
    }.items()
}  # fmt: skip
FILES = {
    "admit": ("data", "params"),
    "item_memory": ("params",),
    "repair": ("data", "state"),
    "memory": ("facts", "state"),
}
COLUMNS = {"admit_columns": ("table", "spec", "params"), "repair_columns": ("table", "spec", "state")}
#: What has values to scale has both of these.
SCALED = {"statistics": ("items", "state"), "normalisation": ("parts",)}
#: What is known of an item in words: figures that are measured, or items that the modality gives by itself.
TOLD = {
    "measure": {"measured_by": ("spec",), "measure": ("facts", "column", "spec", "state")},
    "items": {"items": ("column", "state"), "item_names": ("state",)},
}
#: What the raw view asks for, by how it is made.
RAW = {
    "components": {"flat": ("items", "state")},
    "columns": {"flat": ("items", "state"), "names": ("state",)},
    "statistics": {"flat": ("items", "state"), "names": ("state",)},
    "sparse": {"fit_raw": ("columns", "state"), "raw": ("column", "fitted", "state")},
}


@pytest.mark.parametrize(("name", "target"), MODALITIES.items())
def test_every_modality_has_what_the_stages_call(name: str, target: str) -> None:
    made = import_module(target).MODALITY
    own = {field.name for field in fields(made) if getattr(made, field.name) is not field.default}
    scaled = SCALED if own & set(SCALED) else {}
    told = [functions for one, functions in TOLD.items() if one in own]
    assert told, "nothing that a person could say of its items: see TOLD"
    wanted = COMMON | (FILES if made.sandboxed else COLUMNS) | RAW[made.raw_kind] | scaled
    for functions in told:
        wanted |= functions
    assert set(wanted) <= own, "a capability in part"
    for function, parameters in wanted.items():
        found = inspect.signature(getattr(made, function)).parameters.values()
        needed = [p.name for p in found if p.default is p.empty]
        assert len(needed) <= len(parameters) <= len(found), f"{function}({', '.join(parameters)})"
    assert np.dtype(made.dtype).kind in "iuf"
    spec = Input(modality=name)  # type: ignore[arg-type]
    assert uses_files(Source(path="rows.csv"), spec) == made.sandboxed


@pytest.mark.parametrize(("name", "target"), MODALITIES.items())
def test_the_raw_view_of_every_modality_is_written_down(name: str, target: str) -> None:
    assert f"\n| {name} | {import_module(target).MODALITY.raw_words} |\n" in (ROOT / "docs/miners.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(("name", "target"), MODALITIES.items())
def test_what_a_modality_says_of_its_columns_is_of_columns_that_it_has(name: str, target: str) -> None:
    made = import_module(target).MODALITY
    spec = Input(modality=name, columns=("a", "b"), categorical=("b",))  # type: ignore[arg-type]
    kept = made.raw_fields(spec)
    assert set(made.settled_by(spec)) <= set(kept)
    assert set(made.checked(spec)) <= set(kept) - {""}
    assert set(made.measured_by(spec)) <= set(kept)
    for _, arguments, action, reason in made.checks(spec, getattr(Validate(), name)):
        assert arguments["column"] in made.checked(spec)
        assert action in ("reject", "warn", "fail")
        assert reason
    for section in (Validate(), Clean(), Train().encoders, Train().augment):
        assert hasattr(section, name)


def test_every_encoder_resolves() -> None:
    from tasks.encoders import ENCODERS

    for name, target in ENCODERS.items():
        module, _, attribute = target.partition(":")
        assert inspect.isclass(getattr(import_module(module), attribute)), name


def test_registries_hold_what_the_configuration_offers() -> None:
    from tasks.encoders import ENCODERS
    from tasks.encoders.losses import LOSSES
    from tasks.encoders.optimizers import OPTIMIZERS

    def offered(*kinds: type, key: str = "name") -> set[str]:
        return {value for kind in kinds for value in get_type_hints(kind)[key].__args__}

    kinds = [kind for hint in get_type_hints(Encoders).values() for kind in getattr(hint, "__args__", [hint])]
    assert set(ENCODERS) == offered(*kinds)
    assert set(OPTIMIZERS) == offered(Muon, SGD, Adam)
    assert set(LOSSES) == offered(Loss)
    assert set(MODALITIES) == offered(Input, key="modality")
    assert all(callable(value) for value in (*LOSSES.values(), *OPTIMIZERS.values()))


@pytest.mark.parametrize("name", MINERS)
def test_every_miner_is_made_and_fits(name: str) -> None:
    from tasks.miners import Task
    from tasks.miners.hyperparameters import check

    assert hasattr(MINERS[name](Task()), "fit")
    check(name, {}, "here")


def test_a_folder_that_a_verb_can_do_without_is_handed_to_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `raw` folds of `mine` would know no groups, no times and no copies."""
    from flows import stages

    monkeypatch.chdir(ROOT)
    asked = inspect.signature(import_module("tasks.mine").mine).parameters
    assert asked["raw"].default is None
    assert "raw" in stages.arguments(asked, dict.fromkeys(asked, 0))
    assert "sections" not in stages.arguments(
        inspect.signature(import_module("tasks.report").report).parameters, {"run": 0, "progress": 0}
    )


@pytest.mark.parametrize("stage", ["plan", *STAGES])
def test_every_name_that_a_verb_asks_for_is_offered(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    project._graph.cache_clear()
    verb = getattr(import_module(f"tasks.{stage}"), stage)
    parameters = inspect.signature(verb).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    asked = {p.name: p.annotation for p in parameters if p.default is p.empty}
    if stage == "report":  # a run is made of what is offered
        asked |= {field.name: field.type for field in fields(Run)}
        del asked["run"]
    offered = set(project.paths(stage, "some-data"))
    if stage == "plan":
        offered |= {"dataset", "warn"}
    else:
        # what flows/stages.py adds; `inputs` stands in the plan of those that know modalities
        offered |= {
            "params",
            "code",
            "source",
            "scratch",
            "progress",
            "warn",
            "name",
            "records",
            "plan",
            "listing",
            "chain",
        }
        offered |= {"confidence"} if stage == "mine" else set()
        offered |= {"quality"} if stage == "report" else set()
        offered |= {"inputs"} if stage in ABOVE_THE_WAIST else set()
        offered |= {"objective"} if stage in WITH_OBJECTIVE else set()
    assert set(asked) - offered == set()
    paths = {n for n, kind in asked.items() if kind is Path} - {"scratch", "records", "plan", "listing", "quality"}
    assert paths <= set(project.paths(stage, "some-data"))


def test_json_files_have_one_reader() -> None:
    """What stands in a file is read by `tasks.core.files`, which checks it; text that is no file of ours may be parsed."""
    allowed = {
        "tasks/core/files.py",  # the reader
        "flows/lock.py",  # who holds the lock: nothing hangs on it
        "flows/healing.py",  # a table of DVC's
        "flows/dvc_cache.py",  # its lists of folders, checked against their names
        "tasks/encoders/pretrained.py",  # settings of networks that others have trained
    }
    files = ("read_bytes", "read_text", "read", "open")
    for path in sorted([*(ROOT / "tasks").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if name in allowed or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func) not in ("json.loads", "json.load", "orjson.loads"):
                continue
            inside = {n.attr for a in node.args for n in ast.walk(a) if isinstance(n, ast.Attribute)}
            assert node.func.attr != "load", f"{name}: line {node.lineno}: use tasks.core.files.read_json"
            outside = name == "tasks/core/safe_skops.py"  # the schema in a skops archive, whose own hash is checked
            assert outside or not inside & set(files), f"{name}: line {node.lineno}: use tasks.core.files.read_json"
