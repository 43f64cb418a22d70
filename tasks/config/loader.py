"""params.yaml: read without trust, defaults merged in, every dataset checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks import STAGES
from tasks.config.dataset import Dataset
from tasks.config.fields import NAME, NAMED
from tasks.config.parsing import parse
from tasks.core.errors import DeepmineError, nearest

#: More YAML nodes than any person writes: an alias bomb expands to billions.
MAX_NODES = 100_000
#: Sections by the names that they had before.
RENAMED = {"judge": "crossvalidate"}


def load(path: Path) -> dict[str, Dataset]:
    """Every dataset of a params.yaml, defaults merged in, fully checked.

    Raises:
        DeepmineError: as `entries` has it, and for every wrong entry; the text names file, key and the nearest known key.
    """
    datasets, wrong = entries(path)
    if wrong:
        raise DeepmineError("\n".join(wrong.values()))
    return datasets


def entries(path: Path) -> tuple[dict[str, Dataset], dict[str, str]]:
    """The datasets of a params.yaml, and by its name what is wrong with each entry that is none: it stops no other.

    Raises:
        DeepmineError: the file is missing or no YAML 1.2, or what holds for all datasets is wrong: the top level, or
            `defaults:` with an unknown key, a wrong type or an impossible value.
    """
    data = read_yaml(path)
    for key in data:
        if key not in ("defaults", "datasets"):
            raise DeepmineError(f"{path}: unknown key '{key}'.{nearest(str(key), ['defaults', 'datasets'])}")
    defaults, datasets = data.get("defaults") or {}, data.get("datasets") or {}
    if not isinstance(defaults, dict) or not isinstance(datasets, dict):
        raise DeepmineError(f"{path}: 'defaults' and 'datasets' must be mappings of name to value.")
    if not datasets:
        raise DeepmineError(f"{path}: no datasets. Add one: deepmine add NAME PATH")
    for key in defaults:
        _renamed(f"{path}: defaults", key)
        if key not in STAGES:
            raise DeepmineError(f"{path}: defaults.{key}: unknown section.{nearest(str(key), STAGES)}")
    _defaults(path, defaults)  # a mistake here is named where it stands, also where every dataset overrides it
    good: dict[str, Dataset] = {}
    wrong: dict[str, str] = {}
    for name, entry in datasets.items():
        try:
            good[check_name(name, path)] = _dataset(path, name, defaults, entry)
        except DeepmineError as error:
            wrong[str(name)] = str(error)
    return good, wrong


def load_defaults(path: Path) -> Dataset:
    """What holds for a dataset whose entry says nothing but its source (here ".").

    Raises:
        DeepmineError: as `entries`.
    """
    return _defaults(path, read_yaml(path).get("defaults") or {})


def _defaults(path: Path, defaults: dict[str, Any]) -> Dataset:
    return parse(Dataset, {"source": {"path": "."}, **defaults}, f"{path}: defaults")


def _renamed(where: str, key: Any) -> None:
    """Refuse the name that a section had in an older deepmine, in words that say the new one."""
    if key in RENAMED:
        raise DeepmineError(f"{where}.{key}: this section is called '{RENAMED[key]}' now. Rename the key.")


def check_name(name: Any, where: Path | str) -> str:
    """``name`` if it may name a dataset; it becomes part of paths, commands and stage names."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DeepmineError(f"{where}: '{name}' cannot name a dataset. A name {NAMED} (for example: my-images).")
    return name


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML 1.2 mapping read without executing tags or expanding alias bombs."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeepmineError(f"{path}: no such file. Run deepmine in the folder that contains it.") from None
    except OSError as error:
        raise DeepmineError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise DeepmineError(f"{path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    except RecursionError:
        raise DeepmineError(f"{path}: nested too deeply to be read.") from None
    except DuplicateKeyError as error:
        key = str(error.problem).partition('"')[2].partition('"')[0]
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise DeepmineError(f"{path}: line {line}: the key '{key}' is there twice; merge the two entries.") from None
    except YAMLError as error:
        raise DeepmineError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise DeepmineError(f"{path}: expected a mapping with 'defaults:' and 'datasets:'.")
    for count, node in enumerate(_nodes(data)):
        if count > MAX_NODES:
            raise DeepmineError(
                f"{path}: over {MAX_NODES:,} values once its aliases are expanded. Write them out, or use fewer."
            )
        odd = [key for key in node if not isinstance(key, str | int | float | None)] if isinstance(node, dict) else []
        if odd:
            raise DeepmineError(f"{path}: the key {odd[0]!r} is not text. Write it in quotes.")
    return data


def merge(base: Any, over: Any) -> Any:
    """``over`` laid on ``base`` key by key; a mapping with another `name` replaces the whole of the old one."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    if "name" in over and over["name"] != base.get("name"):
        return over
    return {**base, **{key: merge(base[key], value) if key in base else value for key, value in over.items()}}


def _dataset(path: Path, name: str, defaults: dict[str, Any], entry: Any) -> Dataset:
    where = f"{path}: datasets.{name}"
    if not isinstance(entry, dict):
        raise DeepmineError(f"{where}: expected a mapping with at least 'source: {{path: ...}}'.")
    for key in entry:
        _renamed(where, key)
    if isinstance(entry.get("source"), str):
        entry = {**entry, "source": {"path": entry["source"]}}
    return parse(Dataset, merge(defaults, entry), where)


def _nodes(value: Any) -> Iterator[Any]:
    # no recursion: an alias may stand inside what it names
    waiting = [iter([value])]
    while waiting:
        for node in waiting[-1]:
            yield node
            if isinstance(node, dict | list):
                waiting.append(iter(node.values() if isinstance(node, dict) else node))
                break
        else:
            waiting.pop()
