"""The untracked records of a run: when, where, with what, how long. Any of them may be missing."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import STAGES
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.reporting.section import Content
from tasks.storage.store import read_manifest

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: The stages whose records the page shows; its own is written after it.
RECORDED = tuple(stage for stage in STAGES if stage != "report")
#: Characters of a fact at most; longer ones are sentences, which stand elsewhere on the page.
LONGEST = 60


@dataclass(frozen=True)
class RunRecord(Content):
    """What it takes to repeat the run, and how long each stage took.

    Attributes:
        trained, asked: the objective of the network, and the one that `params.yaml` asks for.
        about: hosts, devices and versions.
        parameters: stage -> its parameters.
    """

    name: str
    source: str
    listing: dict[str, Any]
    fingerprint: str
    trained: str
    asked: str
    stages: list[dict[str, Any]]
    seconds: float | None
    about: dict[str, str]
    parameters: dict[str, dict[str, Any]]


def build(run: "Run") -> RunRecord:
    return RunRecord(
        name=run.name, source=run.planned["source"]["path"], listing=run.planned["listing"],
        fingerprint=read_manifest(run.features / "deep").metadata["fingerprint"],
        trained=run.test_rows.objective, asked=run.objective, stages=times(run.recorded, RECORDED),
        seconds=total(run.recorded), about=gathered(run.recorded),
        parameters={stage: run.planned[stage]["params"] for stage in STAGES if stage in run.planned},
    )  # fmt: skip


def records(folder: Path, order: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """stage -> its record, for those that are there and whole."""
    found = {}
    for stage in order:
        with suppress(DeepmineError):
            found[stage] = read_json(folder / f"{stage}.json")
    return found


def times(found: dict[str, dict[str, Any]], order: tuple[str, ...]) -> list[dict[str, Any]]:
    """One line a stage: seconds, rows a second, beginning and the facts that are single values.

    The rate of training is that of its passes, as the stage measured it.
    """
    lines = []
    for stage in order:
        record = found.get(stage, {})
        facts = {
            k: v
            for k, v in (record.get("facts") or {}).items()
            if not isinstance(v, dict | list) and len(str(v)) <= LONGEST
        }
        began = str(record.get("began") or "").replace("T", " ")[:19]
        seconds = record.get("seconds")
        measured = next((v for k, v in facts.items() if k.endswith("_per_second")), None)
        rate = measured or (facts["rows"] / seconds if seconds and "rows" in facts else None)
        lines.append({"stage": stage, "seconds": seconds, "rate": rate, "began": began, "facts": facts})
    return lines


def total(found: dict[str, dict[str, Any]]) -> float | None:
    """Seconds of all recorded stages, None where none is."""
    known = [r["seconds"] for r in found.values() if r.get("seconds") is not None]
    return sum(known) if known else None


def gathered(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Hosts, platforms, devices, precisions and library versions over all stages; several where the stages differ."""
    facts = [r.get("facts") or {} for r in found.values()]
    about = {
        **{name: [r.get(name) for r in found.values()] for name in ("host", "platform", "python")},
        "device": [f.get("device") for f in facts],
        "precision": [f.get("precision") for f in facts],
    }
    libraries = {name for r in found.values() for name in r.get("versions") or {}}
    for name in sorted(libraries, key=str.lower):
        about[name] = [(r.get("versions") or {}).get(name) for r in found.values()]
    return {name: ", ".join(dict.fromkeys(str(v) for v in values if v is not None)) for name, values in about.items()}


def seconds_of(by: str, records: dict[str, Any]) -> dict[str, float]:
    """Fit and predict where a miner was timed; for the network the whole training."""
    times: dict[str, float] = records.get("mine", {}).get("facts", {}).get("seconds_of", {}).get(by, {})
    if by == "network" and "seconds" in records.get("train", {}):
        return {"train": records["train"]["seconds"]}
    return {key: times[key] for key in ("choose", "fit", "predict", "stability") if key in times}
