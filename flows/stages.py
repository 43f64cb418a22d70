"""One stage in a process of its own: what dvc.yaml calls."""

import inspect
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, get_type_hints

from flows import project
from flows.watchdog import die_with_parent
from tasks.config.dataset import Chain, Dataset
from tasks.config.parsing import parse
from tasks.config.source import Input, Source
from tasks.core.cpu import cores
from tasks.core.errors import Damaged, DeepmineError
from tasks.core.faults import assert_addresses, assert_writable, machine_faults
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.core.space import Roomy, assert_room, folder_bytes, stored_bytes
from tasks.core.text import many
from tasks.sources.listing_file import read_listing

LIBRARIES = (
    "torch",
    "scikit-learn",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "soundfile",
    "great-expectations",
    "skops",
)


def run_stage(stage: str, name: str) -> None:
    """Run one stage of one dataset in the working directory, and leave a record of it.

    The verb is given, by the names in its signature, the paths of dvc.yaml, its parameters as the plan resolved
    them, and what else it asks for.

    Raises:
        DeepmineError: anything a person can mend.
    """
    die_with_parent()
    with machine_faults(f"{stage}@{name}"):
        _run(stage, name)


def _run(stage: str, name: str) -> None:
    began, clock = datetime.now(UTC), time.perf_counter()
    doing, records, scratch = f"{stage}@{name}", project.record_folder(name), project.SCRATCH / name / stage
    assert_writable([records, scratch, *(path.parent for path in project.paths(stage, name).values())], doing)
    assert_room(records, 0, doing, "at the least")
    assert_addresses(doing)
    progress = Roomy(records / f"{stage}.progress.json", scratch, doing)
    if stage == "plan":
        facts = _plan(name)
    else:
        _settle_threads()
        # imported after the environment is set: the libraries read it once
        verb = getattr(import_module(f"tasks.{stage}"), stage)
        offered = _offer(stage, name, progress)
        if stage == "ingest":
            _assert_room_for(offered["listing"], scratch, doing)
        facts = verb(**arguments(inspect.signature(verb).parameters, offered))
    record = {
        "stage": stage, "dataset": name, "began": began.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 2), "host": platform.node(), "python": platform.python_version(),
        "platform": platform.platform(), "versions": {n: metadata.version(n) for n in LIBRARIES}, "facts": facts,
    }  # fmt: skip
    write_json(records / f"{stage}.json", record)


def arguments(asked: Mapping[str, inspect.Parameter], offered: dict[str, Any]) -> dict[str, Any]:
    """What of ``offered`` a verb takes; what has a default is left out only where nothing is offered."""
    return {k: offered[k] for k, p in asked.items() if p.default is p.empty or k in offered}


def _assert_room_for(listing: Path, scratch: Path, doing: str) -> None:
    """Whether the listed files fit on the disk, before one of them is read; what is in ``scratch`` is there already."""
    table = read_listing(listing)
    if {"path", "size"} <= set(table.column_names) and not folder_bytes(scratch):
        need = stored_bytes(table["path"].to_pylist(), table["size"].to_pylist())
        assert_room(scratch, need, doing, many(table.num_rows, "file", "files"))


def _plan(name: str) -> dict[str, Any]:
    from tasks.plan import plan

    result = plan(dataset=project.one(name), warn=project.warn, **project.paths("plan", name))
    return dict(result["listing"])


def _offer(stage: str, name: str, progress: Progress) -> dict[str, Any]:
    plan = project.paths("plan", name)
    if not plan["plan"].is_file():
        raise DeepmineError(f"{plan['plan']} does not exist. Start with the first stage: deepmine run {name}")
    values = read_json(plan["plan"])
    if values["dataset"] != name:
        raise Damaged(plan["plan"], f"it is the plan of dataset '{values['dataset']}'")
    if stage == "ingest":
        read_listing(plan["listing"], expected=values["listing"]["digest"])
    kind = get_type_hints(Dataset)[stage]
    part = values[stage]
    offered: dict[str, Any] = {
        **plan, **project.paths(stage, name), "name": name, "progress": progress, "warn": project.warn, "code": part["code"],
        "params": parse(kind, part["params"], f"{plan['plan']}: {stage}"),
        "source": parse(Source, values["source"], f"{plan['plan']}: source"),
        "scratch": project.SCRATCH / name / stage, "records": project.record_folder(name),
    }  # fmt: skip
    if "inputs" in part:
        offered["inputs"] = {k: parse(Input, v, f"{plan['plan']}: inputs") for k, v in part["inputs"].items()}
    if "confidence" in part:
        offered["confidence"] = part["confidence"]
    if "objective" in part:
        offered["objective"] = part["objective"]
    offered["chain"] = parse(Chain, part["chain"], f"{plan['plan']}: chain") if "chain" in part else None
    if stage == "report":
        from tasks.reporting.run import Run

        offered["quality"] = project.paths("validate", name)["quality"]
        offered["run"] = Run(**{field.name: offered[field.name] for field in fields(Run)})
    return offered


def _settle_threads() -> None:
    """The same number of threads in every library and through every door, as sums depend on it."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(cores())
    # MKL of itself rounds by how memory is aligned (seen on AMD EPYC: rows of the raw view differed with their shard)
    os.environ.setdefault("MKL_CBWR", "AUTO")
    # OpenMP threads wait for each other by spinning, 300,000 turns by default: on a busy machine a core that does
    # nothing, and small networks then train many times slower than on one thread. So few turns cost an idle machine
    # about 3 %.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
