"""`deepmine doctor`: what is wrong is named, what it mends is healed by the next run, and nothing else is touched."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows.doctor import doctor
from flows.dvc_cache import object_findings
from flows.installation import extras, installation
from tasks.checkup import Hashes
from tasks.checkup.outputs import faults
from tasks.checkup.scratch import scratch_faults
from tasks.core.files import named, write_json
from tasks.storage.names import SUMMARY
from tasks.storage.scratch import Scratch
from tasks.storage.store import MANIFEST, Writer
from tests.fixtures.damage import flip, overwrite
from tests.flows.conftest import ROOT, Project

TABLE = pa.table({"id": ["a", "b"], "n": [1, 2]})


def store(folder: Path) -> Path:
    """Two shards and a summary."""
    writer = Writer(folder, TABLE.schema, "test")
    writer.add(TABLE)
    writer.add(TABLE)
    writer.finish({"in": 4, "accepted": 4, "quarantined": {}})
    write_json(folder / SUMMARY, {"x": 1, "files": named(folder, MANIFEST)})
    return folder


def test_every_file_of_an_output_is_looked_at(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("00000.parquet", "00001.parquet", MANIFEST, SUMMARY):
        folder = store(tmp_path / name)
        assert list(faults(folder, Hashes())) == []
        overwrite(folder / name, flip((folder / name).read_bytes(), rng))
        assert folder / name in {path for path, _ in faults(folder, Hashes())}
        (folder / name).unlink()
        found = {path.name for path, _ in faults(folder, Hashes())}
        assert found if name != SUMMARY else not found  # which nothing else names
    folder = store(tmp_path / "none")
    write_json(folder / MANIFEST, {"x": 1})
    assert (folder / MANIFEST, "no manifest") in set(faults(folder, Hashes()))
    folder = store(tmp_path / "more")
    shutil.copy(folder / "00000.parquet", folder / "00002.parquet")
    assert [why for _, why in faults(folder, Hashes())] == ["it is no shard of its store"]


def test_damaged_scratch_is_found(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "some" / "ingest")
    sound, _ = scratch.put("one", TABLE)
    broken, _ = scratch.put("two", TABLE.slice(1))
    store(tmp_path / "some" / "crossvalidate" / "work" / "fold" / "raw")
    assert list(scratch_faults(tmp_path, Hashes())) == []
    overwrite(broken, flip(broken.read_bytes(), np.random.default_rng(1)))
    overwrite(tmp_path / "some/crossvalidate/work/fold/raw" / MANIFEST, b"{}")
    assert [p for p, _ in scratch_faults(tmp_path, Hashes())] == [broken, tmp_path / "some/crossvalidate/work/fold"]
    assert sound.is_file()


def test_a_damaged_object_goes_with_what_is_linked_to_it(tmp_path: Path) -> None:
    cache, outputs = tmp_path / "md5", [tmp_path / "linked", tmp_path / "copied"]
    data = b"some bytes"
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    listing = b"[]"
    listed = hashlib.md5(listing, usedforsecurity=False).hexdigest()
    for name, content in ((md5, data), (f"{listed}.dir", listing)):
        (cache / name[:2]).mkdir(parents=True, exist_ok=True)
        (cache / name[:2] / name[2:]).write_bytes(content)
    for output in outputs:
        output.mkdir()
    os.link(cache / md5[:2] / md5[2:], outputs[0] / "file")
    (outputs[1] / "file").write_bytes(data)
    assert list(object_findings(cache, outputs, Hashes())) == []
    overwrite(cache / md5[:2] / md5[2:], b"some bytez")
    [found] = object_findings(cache, outputs, Hashes())
    assert found.remove == (cache / md5[:2] / md5[2:], outputs[0])
    overwrite(cache / listed[:2] / f"{listed[2:]}.dir", b"[")
    assert len(list(object_findings(cache, outputs, Hashes()))) == 2


def test_libraries_are_held_against_pyproject(tmp_path: Path) -> None:
    text = '[project]\ndependencies = ["numpy>=999", "nonesuch-library>=1", "pytest"]\n'
    (tmp_path / "pyproject.toml").write_text(f'{text}[project.optional-dependencies]\nfast = ["nonesuch-fast"]\n')
    found = [f"{f.where}: {f.what}" for f in installation(tmp_path)]
    assert found[0].startswith("numpy: version ")
    assert "nonesuch-library: not installed" in found
    assert not any(line.startswith("pytest") for line in found)
    assert extras(tmp_path) == {"fast": ["nonesuch-fast"]}


def test_a_flipped_bit_of_raw_is_healed_by_what_is_printed(finished: Project) -> None:
    """Its DVC cache object is the same inode, and its time is kept: DVC sees nothing, and would link it back."""
    before = finished.results()
    shard = finished.path / "data/raw/small/00001.parquet"
    md5 = hashlib.md5(shard.read_bytes(), usedforsecurity=False).hexdigest()
    shard.unlink()
    os.link(finished.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:], shard)  # as DVC does; a copied project has none
    assert "all is well" in finished.run("deepmine", "doctor")
    overwrite(shard, flip(shard.read_bytes(), np.random.default_rng(2)))
    said = finished.run("deepmine", "stage", "clean", "small", code=1)
    assert "data/raw/small/00001.parquet: damaged" in said
    assert "deepmine doctor --mend" in said
    assert "Traceback" not in said
    found = finished.run("deepmine", "doctor", code=1)
    assert "data/raw/small/00001.parquet" in found
    assert "doctor --mend" in found
    assert ".dvc/cache/files/md5/" in found
    assert shard.is_file()  # nothing is removed without --mend
    finished.run("deepmine", "doctor", "--mend")
    finished.run("deepmine", "run", "--no-server")
    assert finished.results() == before
    assert "all is well" in finished.run("deepmine", "doctor")


def test_locks_and_leftovers_are_named_and_mended(finished: Project) -> None:
    path = finished.path
    before = finished.results()
    (path / "dvc.lock").write_text("")
    (path / ".dvc/tmp").mkdir(exist_ok=True)
    (path / ".dvc/tmp/rwlock").write_text('{"write": {"data/raw/small": {"pid": 1, "cmd": "dvc repro"}}}')
    (path / "data/records/server.json").write_text("[]")
    (path / "data/plan/small.json").write_text("{}")
    said = finished.run("deepmine", "doctor", code=1)
    for name in ("dvc.lock", ".dvc/tmp/rwlock", "data/records/server.json", "data/plan/small.json"):
        assert name in said
    finished.run("deepmine", "doctor", "--mend")
    finished.run("deepmine", "run", "--no-server")
    assert finished.results() == before
    assert "all is well" in finished.run("deepmine", "doctor")


def test_names_that_are_paths_lead_mending_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, victim = tmp_path / "project", tmp_path / "victim/own.json"
    for folder in (here / "data/raw", here / "data/plan", victim.parent):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "dvc.yaml", here)
    victim.write_text("{}")
    (here / "data/plan/...json").write_text("{}")  # as of a dataset called `..`
    (here / "params.yaml").write_text("datasets: {../../../victim: {source: {path: x}}}")
    monkeypatch.chdir(here)
    assert doctor(mend=True) == 1  # the name is a finding, which nothing mends
    assert victim.is_file()
    assert (here / "data/plan").is_dir()


def test_a_cache_on_another_disk_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, cached = tmp_path / "project", tmp_path / "shared/files/md5/ab" / ("c" * 30)
    for folder in (here / ".dvc", cached.parent):
        folder.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, here)
    (here / ".dvc/config").write_text("[core]\n no_scm = true\n analytics = false\n[cache]\n dir = ../../shared\n")
    cached.write_bytes(b"what DVC would link back")
    monkeypatch.chdir(here)
    assert doctor(mend=False) == 1
    assert cached.is_file()
    doctor(mend=True)
    assert not cached.exists()


def test_it_waits_for_no_run(finished: Project) -> None:
    code = (
        "from flows.lock import project_lock; import sys, time\n"
        "with project_lock('a test'): print('held', flush=True); time.sleep(120)\n"
    )
    holder = finished.start(sys.executable, "-c", code)
    while "held" not in (finished.path / "output.txt").read_text():
        assert holder.poll() is None
    assert "another run holds this project" in finished.run("deepmine", "doctor", "--mend", code=1)
    holder.kill()
    holder.wait()
