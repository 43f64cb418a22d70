"""60,000 real images from add to report. Slow: about four minutes on two cores."""

import os
import tarfile
from pathlib import Path

import pytest

from tasks.core.files import read_json
from tests.flows.conftest import ROOT, Project, new_project

ARCHIVE = Path(os.environ.get("DEEPMINE_TEST_DATA", ROOT.parent / "shared" / "data")) / "cifar10.tar.gz"


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"{ARCHIVE} is not there; set DEEPMINE_TEST_DATA")
def test_sixty_thousand_rows_are_accounted_for(tmp_path: Path, images: Path) -> None:
    source = tmp_path / "cifar"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(source, filter="data")
    project: Project = new_project(tmp_path / "project", images)
    assert "60,000 items" in project.run("deepmine", "add", "cifar", str(source))

    def short(data: dict) -> None:
        data["datasets"]["cifar"]["train"] = {"epochs": 3}

    project.edit(short)
    project.run("deepmine", "run", "--no-server", "cifar", timeout=1800)
    metrics = read_json(project.path / "data/reports/cifar/metrics.json")
    for stage in ("ingest", "validate", "clean", "extract"):
        rows = metrics["rows"][stage]
        assert rows["in"] == rows["accepted"] + rows["quarantined"]
    assert metrics["rows"]["ingest"]["in"] == 60_000
    # three epochs of the default net; a broken chain (labels shuffled, features misaligned) falls to 0.1
    assert metrics["fusion"]["deep_svm"]["accuracy"] > 0.8
    assert metrics["fusion"]["raw_svm"]["accuracy"] > 0.4
    assert (project.path / "data/reports/cifar/index.html").stat().st_size < 15e6
    assert project.run("deepmine", "run", "--no-server", "cifar").count("Cached") == 10
