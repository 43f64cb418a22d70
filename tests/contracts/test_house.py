"""What registries and verbs promise: each entry resolves, the configuration offers all, each argument is supplied."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from flows import project
from tasks import STAGES, config
from tasks.miners import MINERS
from tasks.modalities import MODALITIES

ROOT = Path(__file__).parents[2]


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
    assert set(OPTIMIZERS) == offered(config.Muon, config.SGD, config.Adam)
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
        offered |= {"params", "code", "source", "scratch", "progress", "warn", "name", "records", "plan", "listing"}
        offered |= {"quality"} if stage == "report" else set()
        offered |= {"inputs"} if stage not in ("mine", "evaluate") else set()
    assert set(asked) - offered == set()
    paths = {n for n, p in asked.items() if p.annotation is Path} - {"scratch", "records", "plan", "listing", "quality"}
    assert paths <= set(project.paths(stage, "some-data"))
