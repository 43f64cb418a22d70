"""`deepmine plan` and `deepmine status`: what stands where, for a person. Neither runs a stage."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from flows import healing, lock, project
from flows.cli import show_error
from flows.graph import Graph, Node
from flows.screen import cell, console
from tasks.config.dataset import Dataset
from tasks.core.errors import Damaged, DeepmineError
from tasks.core.files import read_json
from tasks.core.text import many
from tasks.plan import CHAIN, read_plan
from tasks.plan import plan as make_plan
from tasks.sources import snapshot
from tasks.storage.names import SUMMARY
from tasks.storage.store import MANIFEST, read_manifest

STYLES = {"current": "green", "stale": "yellow", "never run": "dim", "waits": "dim"}


def show_plan(names: list[str]) -> int:
    """A line for each stage: what would run, and why; the exit code, 1 if a dataset's entry is wrong."""
    picked, changed, code = _looked_at(names)
    graph = Graph()
    terminal = console()
    for name in changed:
        table = Table("stage", "", "why", "rows", title=name, title_justify="left", box=None, pad_edge=False)
        running: set[str] = set()
        for node in (n for n in graph.order([name]) if not graph.always(n.name)):
            reasons = _reasons(graph, node, changed[name])
            above = sorted(n.partition("@")[0] for n in running & set(node.upstream))
            if reasons:
                what, why = "run", "; ".join(reasons)
            elif above:
                what, why = "run if changed", f"its input from {', '.join(above)} may change"
            else:
                what, why = "-", "up to date"
            if what != "-":
                running.add(node.name)
            table.add_row(node.stage, what, cell(why), cell(_rows_to_do(node, what)))
        terminal.print(table)
        if cost := _cost(name, picked[name].crossvalidate.folds):
            terminal.print(cell(f"  {cost}"), soft_wrap=True)
        terminal.print(f"  {_seconds(name, running)}\n")
    return code


def show_status(names: list[str]) -> int:
    """A line for each stage: current or stale, rows, quarantined, when it last ran; the exit code as of `show_plan`."""
    _, changed, code = _looked_at(names)
    graph = Graph()
    terminal = console()
    for name in changed:
        table = Table("stage", "state", "rows", "quarantined", "last run", "seconds", title=name, title_justify="left",
                      box=None, pad_edge=False)  # fmt: skip
        stale: set[str] = set()
        for node in (n for n in graph.order([name]) if not graph.always(n.name)):
            record = project.read_record(name, node.stage)
            reasons = _reasons(graph, node, changed[name])
            state = "stale" if reasons else "waits" if stale & set(node.upstream) else "current"
            if reasons and not record:
                state = "never run"
            if state != "current":
                stale.add(node.name)
            rows, gone = _counts(node)
            last = record.get("began", "-")[:16].replace("T", " ")
            seconds = f"{record['seconds']:.1f}" if record else "-"
            table.add_row(node.stage, cell(state, STYLES[state]), rows, cell(gone), cell(last), seconds)
        terminal.print(table)
        report = project.paths("report", name)["index"]
        terminal.print(f"  report: {report if report.is_file() else 'none yet (deepmine run)'}\n")
    return code


def _looked_at(names: list[str]) -> tuple[dict[str, Dataset], dict[str, dict[str, list[str]]], int]:
    """The datasets, what changed in the plan of each that can be planned, and 1 where one cannot: that is told."""
    picked, wrong = project.pick(names)
    _say_what_is_on()
    changed = {}
    for name, dataset in picked.items():
        try:
            changed[name] = _changes_of_plan(name, dataset)
        except DeepmineError as error:
            wrong[name] = f"{name}: {error}"
    for said in wrong.values():
        show_error(DeepmineError(said))
    return picked, changed, int(bool(wrong))


def _say_what_is_on() -> None:
    """A line where a run or another dvc command is at work: what is shown below is of this moment."""
    run = lock.running()
    on = [run["words"]] if run else healing.busy()
    if on:
        project.warn(f"a run is in progress: {', '.join(on)}. The state below may change.")


def _changes_of_plan(name: str, dataset: Dataset) -> dict[str, list[str]]:
    """Stage -> keys that differ between the plan of this moment and the recorded one, which is left as it is."""
    files = project.paths("plan", name)
    old = read_plan(files["plan"])
    with TemporaryDirectory(prefix="deepmine-") as trial:  # not in the project, where a run may be on
        copies = {key: Path(trial, path.name) for key, path in files.items()}
        for path in (*files.values(), snapshot.beside(files["listing"])):
            if path.is_file():
                Path(trial, path.name).write_bytes(path.read_bytes())
        new = make_plan(dataset=dataset, warn=project.warn, **copies)
    return {stage: sorted(_difference(old.get(stage, {}), new[stage])) for stage in project.STAGES[1:] if old}


def _difference(old: Any, new: Any, where: str = "") -> list[str]:
    """Keys at which two trees differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            d
            for k in sorted(old.keys() | new.keys())
            for d in _difference(old.get(k), new.get(k), f"{where}.{k}" if where else k)
        ]
    if old == new:
        return []
    if where == "code":
        return ["its code changed"]
    if where == "listing.digest":
        return ["the source changed"]
    if where == "listing.rows":
        return [f"items: {old or 0:,} -> {new:,}"]
    return [f"{where.removeprefix('params.')}: {json.dumps(old)} -> {json.dumps(new)}"]


def _reasons(graph: Graph, node: Node, changed: dict[str, list[str]]) -> list[str]:
    found = [r for r in graph.changes(node.name) if "of the plan changed" not in r]
    return (
        changed.get(node.stage, []) + [r for r in found if not r.startswith("data/plan/")]
        if changed
        else found or ["new"]
    )


def _rows_to_do(node: Node, what: str) -> str:
    rows, _ = _counts(node)
    if node.stage in ("ingest", "clean", "extract") and what != "-" and rows != "-":
        return f"{rows} cached; only new or changed shards are processed"
    return rows


def _counts(node: Node) -> tuple[str, str]:
    files = project.paths(node.stage, node.dataset)
    own = {
        "ingest": "raw",
        "validate": "rejected",
        "clean": "clean",
        "extract": "features",
        "crossvalidate": "crossvalidation",
    }.get(node.stage)
    folder = files[own] / "deep" if own == "features" else files[own] if own else None
    if folder is None or not (folder / MANIFEST).is_file():
        return "-", "-"
    try:
        counts = read_json(folder / SUMMARY) if node.stage == "validate" else read_manifest(folder).counts
    except Damaged:
        return "damaged", "deepmine doctor"
    except DeepmineError:  # of an output that is not whole: DVC sees it, and the next run makes it anew
        return "-", "-"
    if node.stage in ("clean", "crossvalidate"):
        return f"{counts['accepted']:,}", "-"
    return f"{counts['accepted']:,}", ", ".join(f"{n:,} {why}" for why, n in counts["quarantined"].items()) or "0"


def _seconds(name: str, running: set[str]) -> str:
    if not running:
        return "nothing to do"
    last = [project.read_record(name, node.partition("@")[0]).get("seconds") for node in running]
    known = [s for s in last if s is not None]
    stages = many(len(running), "stage", "stages")
    if not known:
        return stages
    which = "" if len(known) == len(running) else f" {len(known)} of them"
    return f"{stages};{which or ' they'} took {sum(known):.0f} s when {'it' if len(known) == 1 else 'they'} last ran"


def _cost(name: str, folds: int) -> str:
    """About how long the folds of `crossvalidate` take, by the seconds of the stages that it repeats; nothing without folds."""
    if not folds:
        return ""
    records = {stage: project.read_record(name, stage) for stage in CHAIN}
    told = f"crossvalidate: {folds} folds + 1, about {folds + 1} x (clean + train + extract) + {2 * folds} x mine"
    if not all(records.values()):
        return f"{told}; no record of these yet"
    times = {stage: 2 * folds if stage == "mine" else folds + 1 for stage in CHAIN}
    total = sum(times[stage] * float(record["seconds"]) for stage, record in records.items())
    clock = f"{total:.0f} s" if total < 100 else f"{total / 60:.0f} min"
    return f"{told} = {clock} by the last run's seconds"
