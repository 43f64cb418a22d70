"""Every kind of file that a finished project holds, damaged in every way: named, or made anew; never taken for true."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows import project
from flows.dvc_cache import object_findings
from tasks.checkup import Hashes
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.encoders.network import load_network
from tasks.miners.persistence import load_miner
from tasks.plan import read_plan
from tasks.sources import snapshot
from tasks.sources.listing_file import read_listing
from tasks.storage.names import SUMMARY
from tasks.storage.scratch import Scratch
from tasks.storage.store import MANIFEST, read, read_manifest
from tests.fixtures.damage import CHANGES, overwrite, swap
from tests.flows.conftest import SMALL, Project, make_images, new_project

CACHE = Path(".dvc/cache/files/md5")
#: What a reader gives where what is damaged is made anew by whoever asked.
ANEW = object()
ALL = ("flip", "flip", "zero", "cut", "empty", "swap", "delete")

Reader = Callable[[], Any]


def store_of(folder: Path) -> Any:
    """All that a store says, less the mark of what made it: two empty stores are alike in the rest."""
    return repr((replace(read_manifest(folder), made_by=""), read(folder).to_pydict()))


def network_of(folder: Path) -> Any:
    network, card = load_network(folder)
    return repr((card, {k: v.tolist() for k, v in network.state_dict().items()}))


def miner_of(path: Path) -> Any:
    """By the summary, which names every miner with its hash, as `evaluate` reads it."""
    found, made = read_json(path.parent / SUMMARY)["files"][path.name], load_miner(path)
    return found, made.view, made.fingerprint


def scratch_of(path: Path) -> Any:
    found = Scratch(path.parent).find(path.name.rpartition("-")[0])
    return ANEW if found is None else found[0].read_bytes()


def objects_of() -> Any:
    found = list(object_findings(CACHE, [], Hashes()))
    if found:
        raise DeepmineError(found[0].what)
    return "sound"


def reader_of(path: Path) -> tuple[str, Reader] | None:
    """The kind of a file, and what its consumers make of it; None where no stage reads it."""
    if CACHE in path.parents:
        return "DVC cache object", objects_of
    part = path.parts[1]
    if part == "scratch":
        return ("scratch shard", lambda: scratch_of(path)) if path.suffix == ".parquet" else None
    if part == "records":
        if path.name.endswith(".progress.json") or len(path.parts) < 4:
            return None
        return "run record", lambda: project.read_record(path.parent.name, path.stem) or ANEW
    if path.name.endswith(".listing.parquet"):
        return "listing", lambda: repr(read_listing(path).to_pydict())
    if path.name.endswith(".listing.files.parquet"):
        return "snapshot of the source", lambda: repr(t.to_pydict()) if (t := snapshot.load(path)).num_rows else ANEW
    if part == "plan":
        return "plan", lambda: read_plan(path) or ANEW
    if "quality" in path.parts:
        return None
    if (path.parent / MANIFEST).is_file() and path.suffix in (".parquet", ".json"):
        if path.name == MANIFEST or path.suffix == ".parquet":
            return ("manifest" if path.name == MANIFEST else "shard"), lambda: store_of(path.parent)
        return path.name, lambda: repr(read_json(path))
    if path.suffix == ".skops":
        return "miner", lambda: miner_of(path)
    if path.parent.name == "encoder":
        return ("weights" if path.suffix == ".safetensors" else path.name), lambda: (
            network_of(path.parent), repr(read_json(path.parent / "history.json")),
        )  # fmt: skip
    if path.name == "metrics.json":  # which the evaluation names
        return path.name, lambda: repr((read_json(path.parent / "evaluation.json"), read_json(path)))
    return (path.name, lambda: repr(read_json(path))) if path.suffix == ".json" else None


def sibling_of(path: Path, files: list[Path]) -> Path | None:
    """A file that could stand in its place: of the same name in another dataset, else of the same kind beside it."""
    for other in files:
        if other != path and other.parent != path.parent and other.suffix == path.suffix:
            same = [a for a, b in zip(path.parts, other.parts, strict=False) if a == b]
            if len(other.parts) == len(path.parts) == len(same) + (1 if other.name == path.name else 2):
                return other
    beside = [p for p in files if p.parent == path.parent and p.suffix == path.suffix and p != path]
    return beside[0] if beside else None


def outcome_of(reader: Reader, sound: Any) -> str:
    try:
        found = reader()
    except DeepmineError:
        return "named"
    except Exception as error:  # noqa: BLE001 (what the harness counts)
        return f"traceback: {type(error).__name__}: {error}"
    return "made anew" if found is ANEW else "same" if found == sound else "silent"


def damages(
    path: Path, files: list[Path], kinds: tuple[str, ...], rng: np.random.Generator
) -> Iterator[tuple[str, Path | None]]:
    """Do each damage in turn, and undo it: its name, and the sibling that it changed places with."""
    for kind in kinds:
        other = sibling_of(path, files) if kind == "swap" else None
        was = {p: (p.read_bytes(), p.stat()) for p in (path, other) if p is not None}
        if len(was) == 2 and len({data for data, _ in was.values()}) == 1:
            continue
        if not _damage(path, kind, other, rng):
            continue
        yield kind, other
        for file, (data, status) in was.items():
            file.unlink(missing_ok=True)
            file.write_bytes(data)
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _damage(path: Path, kind: str, other: Path | None, rng: np.random.Generator) -> bool:
    """Whether there was something to damage in this way."""
    data = path.read_bytes()
    if not data or (kind == "swap" and other is None):
        return False
    if kind == "delete":
        path.unlink()
    elif other is not None:
        swap(path, other)
    else:
        overwrite(path, CHANGES[kind](data, rng))
    return True


def try_readers(wanted: int | None, seed: int = 0) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Damage files of the project in the working directory; (kind of file, damage, outcome) -> how often, and faults."""
    rng = np.random.default_rng(seed)
    files = sorted(p for p in [*Path("data").rglob("*"), *CACHE.rglob("*")] if p.is_file())
    asked = [(p, r) for p in files if (r := reader_of(p)) is not None]
    told: Counter[tuple[str, str, str]] = Counter()
    faults = []
    chosen = range(len(asked)) if wanted is None else sorted(rng.permutation(len(asked))[:wanted].tolist())
    for i in chosen:
        path, (what, reader) = asked[i]
        sound = reader()
        kinds = ALL if wanted is None else tuple(rng.permutation(ALL)[:1].tolist())
        if CACHE in path.parents:
            kinds = tuple(k for k in kinds if k not in ("swap", "delete"))  # of objects DVC itself sees them
        if what == "snapshot of the source":
            kinds = tuple(k for k in kinds if k != "swap")  # held against the files themselves, row by row
        for kind, other in damages(path, files, kinds, rng):
            outcome = outcome_of(reader, sound)
            told[what, kind, outcome.partition(":")[0]] += 1
            if outcome.startswith(("silent", "traceback")):
                faults.append(f"{path} {kind} {other or ''}: {outcome}")
        assert outcome_of(reader, sound) == "same", path  # all was undone
    return told, faults


def shown(told: Counter[tuple[str, str, str]]) -> str:
    """A line for each kind of file."""
    lines = []
    for what in sorted({key[0] for key in told}):
        counts: Counter[str] = Counter()
        for (kind, _, outcome), n in told.items():
            counts[outcome] += n if kind == what else 0
        lines.append(f"{what}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()) if n))
    return "\n".join([*lines, f"all: {sum(told.values())}"])


def test_a_sample_of_damages_is_named_or_made_anew(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.path)
    told, faults = try_readers(wanted=100)
    assert faults == []
    assert sum(told.values()) > 80


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project of two datasets alike, so that files can be taken for those of the other one."""
    home = tmp_path_factory.mktemp("two")
    sources = {name: make_images(home / name, each=24, seed=seed) for seed, name in enumerate(("small", "other"))}
    (sources["small"] / "class0" / "broken.png").write_bytes(b"no image at all")
    made = new_project(home / "project", sources["small"])

    def both(data: dict) -> None:
        own = {**SMALL, "ingest": {"shard_rows": 24}, "train": {**SMALL["train"], "epochs": 2}}
        data["datasets"] = {name: {"source": str(source), **own} for name, source in sources.items()}

    made.edit(both)
    made.run("dvc", "repro", timeout=1200)
    return made


@pytest.mark.slow
def test_every_damage_is_named_or_made_anew(two: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(two.path, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    total: Counter[tuple[str, str, str]] = Counter()
    for seed in range(8):
        told, faults = try_readers(None, seed)
        assert faults == [], "\n".join(faults[:20])
        total += told
        if sum(total.values()) >= 2000:
            break
    print(shown(total))
    assert sum(total.values()) >= 2000


#: Whole runs: so many damages in each, so many runs.
AT_ONCE, RUNS = 10, 10


@pytest.mark.slow
def test_damages_are_healed_by_doctor_and_a_run(two: Project, tmp_path: Path) -> None:
    """In each run ten files at once: what the run before doctor says, doctor's finding of each, and all bits back."""
    rng = np.random.default_rng(1)
    before = two.results()
    kinds: Counter[str] = Counter()
    for number in range(RUNS):
        shutil.copytree(two.path, tmp_path / "project", copy_function=os.link)
        made = Project(tmp_path / "project")
        _own_inodes(made.path)
        made.run("dvc", "status", code=None)  # so that DVC trusts the times of these files as it does after a run
        files = sorted(p for p in [*(made.path / "data").rglob("*"), *(made.path / CACHE).rglob("*")] if p.is_file())
        files = [p for p in files if p.stat().st_size]
        for i in rng.permutation(len(files))[:AT_ONCE].tolist():
            kind = str(rng.choice(ALL))
            other = sibling_of(files[i], [p for p in files if p.is_file()]) if kind == "swap" else None
            if files[i].is_file() and _damage(files[i], kind, other, rng):
                kinds[f"{files[i].relative_to(made.path).parts[1]} {kind}"] += 1
        said = made.run("dvc", "repro", code=None, timeout=900) if number % 2 else ""
        assert "Traceback" not in said, said
        made.run("deepmine", "doctor", "--mend", timeout=300)
        made.run("dvc", "repro", timeout=900)
        assert made.results() == before
        assert "all is well" in made.run("deepmine", "doctor", timeout=300)
        shutil.rmtree(made.path)
    print(dict(kinds))
    assert sum(kinds.values()) >= 0.9 * RUNS * AT_ONCE


def _own_inodes(root: Path) -> None:
    """Bytes of a copy's own, linked among its files as in the first project."""
    fresh: dict[int, Path] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        inode, status = path.stat().st_ino, path.stat()
        if inode in fresh:
            path.unlink()
            os.link(fresh[inode], path)
            continue
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        path.chmod(status.st_mode)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        fresh[inode] = path
