"""What deepmine stands on: its libraries and the room on the disk."""

import shutil
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tasks.checkup import Finding

#: Bytes below which the next stage is likely to fail.
LEAST_FREE = 1 << 30


def installation(root: Path = Path()) -> Iterator[Finding]:
    """Libraries that are missing or of another version than pyproject.toml allows, and a disk that is almost full."""
    todo = "pip install --editable . --constraint constraints.txt"
    for text in _project(root).get("dependencies", []):
        wanted = Requirement(text)
        found = version(wanted.name)
        if found is None:
            yield Finding(wanted.name, "not installed", todo)
        elif not wanted.specifier.contains(found, prereleases=True):
            yield Finding(wanted.name, f"version {found} is installed, {wanted.specifier} is needed", todo)
    free = shutil.disk_usage(root).free
    if free < LEAST_FREE:
        yield Finding(str(root.resolve()), f"{free / 1e6:,.0f} MB free on the disk", "free at least 1 GB")


def extras(root: Path = Path()) -> dict[str, list[str]]:
    """Optional groups of pyproject.toml and what of each is not installed."""
    groups = _project(root).get("optional-dependencies", {})
    lacking = {
        group: [n for n in (Requirement(text).name for text in texts) if version(n) is None]
        for group, texts in groups.items()
    }
    return {group: names for group, names in lacking.items() if names}


def _project(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.is_file() else {}
    return found


def version(name: str) -> str | None:
    """The installed version of a library."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
