"""Where things stand in a project: its root, and the paths of a stage as dvc.yaml writes them."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import tasks
from flows.redact import redact
from tasks.config.dataset import Dataset
from tasks.config.loader import check_name, entries
from tasks.core.errors import DeepmineError, nearest
from tasks.core.files import read_json
from tasks.core.printable import visible

PARAMS, GRAPH = "params.yaml", "dvc.yaml"
RECORDS, SCRATCH = Path("data/records"), Path("data/scratch")
STAGES = ("plan", *tasks.STAGES)


def warn(text: str) -> None:
    """Say something to the person at the terminal, beside what a command gives out."""
    print(f"deepmine: warning: {visible(redact(text))}", file=sys.stderr, flush=True)


def find_root(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` that holds params.yaml and dvc.yaml.

    Raises:
        DeepmineError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / PARAMS).is_file() and (folder / GRAPH).is_file():
            return folder
    raise DeepmineError(
        f"{here}: no deepmine project here (no {PARAMS} beside {GRAPH}). Change to your clone's folder."
    )


def pick(names: list[str] | None) -> tuple[dict[str, Dataset], dict[str, str]]:
    """The datasets of these ``names`` (all of the project when none is named), and what is wrong with each other entry.

    Raises:
        DeepmineError: a name is not in params.yaml, or that is wrong as a whole.
    """
    known, wrong = entries(Path(PARAMS))
    for name in names or []:
        if name not in known and name not in wrong:
            check_name(name, "command line")
            raise DeepmineError(
                f"no dataset '{name}' in {PARAMS}.{nearest(name, [*known, *wrong])} Or add it: deepmine add {name} PATH"
            )
    chosen = names or [*known, *wrong]
    return {n: known[n] for n in chosen if n in known}, {n: wrong[n] for n in chosen if n in wrong}


def one(name: str) -> Dataset:
    """The dataset ``name``.

    Raises:
        DeepmineError: it is not in params.yaml, or its entry is wrong.
    """
    known, wrong = pick([name])
    if wrong:
        raise DeepmineError(wrong[name])
    return known[name]


@cache
def _graph() -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        stages: dict[str, Any] = YAML(typ="safe").load(Path(GRAPH).read_text(encoding="utf-8"))["stages"]
        if all(isinstance(stages[stage]["do"]["outs"], list) for stage in STAGES):
            return stages
    except (OSError, ValueError, TypeError, KeyError, YAMLError):
        pass
    raise DeepmineError(f"{GRAPH} is missing or was changed. Restore it: git checkout {GRAPH}")


def paths(stage: str, dataset: str) -> dict[str, Path]:
    """Inputs and outputs of a stage by name: the last part of the path that is not the dataset's own name."""
    found = {}
    for path in _named(stage, dataset, "deps", "outs", "metrics"):
        suffixes = path.name.split(".")
        # data/raw/NAME, data/plan/NAME.json: `raw`, `plan`; data/plan/NAME.listing.parquet: `listing`
        own = suffixes[1] if len(suffixes) > 2 else path.parent.name
        found[own if suffixes[0] == dataset else suffixes[0]] = path
    return found


def outputs(stage: str, dataset: str) -> list[Path]:
    """What a stage makes."""
    return _named(stage, dataset, "outs", "metrics")


def own_folders() -> list[Path]:
    """The folders of `data` that deepmine writes to; what a person keeps beside them is theirs."""
    made = {Path(*path.parts[:2]) for stage in STAGES for path in outputs(stage, "any")}
    return sorted({*made, RECORDS, SCRATCH})


def _named(stage: str, dataset: str, *kinds: str) -> list[Path]:
    body = _graph()[stage]["do"]
    entries = [entry for kind in kinds for entry in body.get(kind, [])]
    texts = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    return [Path(text.replace("${key}", dataset)) for text in texts]


def record_folder(dataset: str) -> Path:
    """Where the untracked records of a dataset's runs lie (times, hosts, progress)."""
    return RECORDS / dataset


def read_record(dataset: str, stage: str) -> dict[str, Any]:
    """The record of a stage's last execution, empty if there is none, or a damaged one, or that of another dataset."""
    try:
        record = read_json(record_folder(dataset) / f"{stage}.json")
    except DeepmineError:
        return {}
    return record if record["dataset"] == dataset else {}
