"""`deepmine add`: look at a source, say what it holds, and write its entry."""

import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import tasks
from flows.project import PARAMS
from flows.screen import cell, console
from tasks import sources
from tasks.autodetect.preview import findings
from tasks.autodetect.proposal import Proposal, propose
from tasks.config.loader import check_name, entries, load_defaults, merge, read_yaml
from tasks.config.parsing import plain
from tasks.config.source import Source
from tasks.core.errors import DeepmineError, nearest
from tasks.core.files import write_atomically

#: Text that every reader of YAML takes for the same without quotes: DVC's (libyaml) is stricter than ours.
PLAIN = re.compile(r"[\w./()-][\w ./()-]*(?<! )")
RECIPES = Path(tasks.__file__).with_name("config") / "recipes.yaml"


def add(
    name: str, path: str, options: dict[str, str], recipe: str | None = None, unlabelled: bool = False, items: str = ""
) -> None:
    """Print what ``path`` holds and append a commented entry to params.yaml.

    Args:
        options: keys of `source:` that a person gave.
        recipe: of recipes.yaml, whose entry is laid over what is proposed.
        items: column of the goods of baskets.

    Raises:
        DeepmineError: the name is taken or impossible, the source is no form that is known, or there is no such recipe.
    """
    check_name(name, "command line")
    if any(name in kind for kind in entries(Path(PARAMS))):
        raise DeepmineError(f"{PARAMS} already has a dataset '{name}'. Choose another name, or edit that entry.")
    chosen = _recipe(recipe) if recipe else {}
    known = dict(options)
    if "root" in known:
        known["root"] = _seen_from_here(known["root"])
    made = propose(Source(path=_seen_from_here(path), **known), known, unlabelled, items)  # type: ignore[arg-type]
    _check_recipe(made, chosen, recipe)
    terminal = console()
    own = {**plain(load_defaults(Path(PARAMS)).ingest), **chosen.get("entry", {}).get("ingest", {})}
    for line in findings(made, (own["val"], own["test"])):
        terminal.print(cell(line), soft_wrap=True)
    about = [f"added by: deepmine add {name}" + (f" --recipe {recipe}" if recipe else "")]
    about += [chosen["about"]] if chosen else []
    _write(name, merge(made.entry(), chosen.get("entry", {})), about, made.remarks)
    terminal.print(f"\nwrote datasets.{name} into {PARAMS}; now: deepmine run {name}")


def _seen_from_here(path: str) -> str:
    """``path`` relative to the project when it lies inside, else absolute: the entry must hold from anywhere."""
    if path.startswith(sources.EMBEDDED):
        return path
    typed = Path(os.environ.get("DEEPMINE_FROM", os.getcwd()), os.path.expanduser(path))
    # a symbolic link stays what it is called, as it may lead elsewhere tomorrow; `..` goes up from where it leads today
    up = max((i + 1 for i, part in enumerate(typed.parts) if part == ".."), default=0)
    full = Path(*typed.parts[:up]).resolve() / Path(*typed.parts[up:]) if up else typed.absolute()
    here = Path.cwd().resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) and full != here else str(full)


def _recipe(name: str) -> dict[str, Any]:
    known = read_yaml(RECIPES)
    if name not in known:
        raise DeepmineError(f"no recipe '{name}'.{nearest(name, known)}")
    found: dict[str, Any] = known[name]
    return found


def _check_recipe(made: Proposal, recipe: dict[str, Any], name: str | None) -> None:
    kinds = {spec.modality for spec in made.inputs.values()}
    if recipe and recipe["modality"] not in kinds:
        raise DeepmineError(
            f"the recipe '{name}' is for inputs of modality {recipe['modality']}; {made.source.path} has "
            f"{', '.join(sorted(kinds))}. Add it without a recipe."
        )


def _write(name: str, entry: dict[str, Any], about: list[str], remarks: dict[str, str]) -> None:
    """Append under `datasets:`, leaving every byte before it as it is."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 100
    buffer = StringIO()
    yaml.dump({name: _commented(entry, remarks)}, buffer)
    lines = [f"  {line}" for line in buffer.getvalue().rstrip("\n").split("\n")]
    path = Path(PARAMS)
    text = path.read_text(encoding="utf-8")
    if "\ndatasets:" not in f"\n{text}" or not _datasets_last(text):
        raise DeepmineError(
            f"{PARAMS}: 'datasets:' must be the last section for an entry to be added. Move it to the end."
        )
    head = "".join(f"  # {line}\n" for line in about)
    new = text.rstrip("\n") + "\n\n" + head + "\n".join(lines) + "\n"
    trial = path.with_name(".params.trial.yaml")
    try:
        trial.write_text(new, encoding="utf-8")
        wrong = entries(trial)[1].get(name)
        if wrong:
            raise DeepmineError(wrong)
    finally:
        trial.unlink(missing_ok=True)
    write_atomically(path, new.encode())


def _commented(value: Any, remarks: dict[str, str], prefix: str = "") -> Any:
    """``value`` as YAML that a person would write: lists in one line, remarks behind their keys."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, str) and not PLAIN.fullmatch(value):
        return DoubleQuotedScalarString(value)
    if isinstance(value, list | tuple):
        row = CommentedSeq([_commented(inner, {}) for inner in value])
        row.fa.set_flow_style()
        return row
    if not isinstance(value, dict):
        return value
    made = CommentedMap()
    for key, inner in value.items():
        made[key] = _commented(inner, remarks, f"{prefix}{key}.")
        if f"{prefix}{key}" in remarks:
            made.yaml_add_eol_comment(remarks[f"{prefix}{key}"], key)
    return made


def _datasets_last(text: str) -> bool:
    tops = [line.split(":")[0] for line in text.splitlines() if line and line[0].isalpha()]
    return bool(tops) and tops[-1] == "datasets"
