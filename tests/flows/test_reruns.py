"""What reruns after a change, and that nothing else does."""

import re
import shutil
from pathlib import Path

from tests.flows.conftest import Project, make_images


def ran(output: str) -> set[str]:
    """Stages that DVC really ran (the plan always does)."""
    return set(re.findall(r"Running stage '(\w+@\w+)'", output)) - {"plan@small", "plan@other"}


def append(project: Project, file: str, text: str) -> None:
    path = project.path / file
    path.write_text(path.read_text() + text)


def test_nothing_to_do(finished: Project) -> None:
    assert ran(finished.run("dvc", "repro")) == set()
    assert "nothing to do" in finished.run("deepmine", "plan")


def test_a_miners_parameter_reruns_mining_and_what_follows(finished: Project) -> None:
    def change(data: dict) -> None:
        data["defaults"]["mine"]["miners"]["rbf_svm"]["params"]["C"] = 3.0

    finished.edit(change)
    plan = finished.run("deepmine", "plan")
    assert "miners.rbf_svm.params.C: null -> 3.0" in plan
    assert "deepmine" not in (finished.path / "dvc.lock").read_text().split("plan@small")[0]
    assert ran(finished.run("dvc", "repro")) == {"mine@small", "evaluate@small", "report@small"}


def test_comments_and_unchosen_entries_rerun_nothing(finished: Project) -> None:
    append(finished, "tasks/metrics/classification.py", "\n# a remark\n")
    append(finished, "tasks/storage/store.py", '\n\n"""A remark."""\n')
    append(finished, "tasks/encoders/cnn.py", "\n\ndef unused() -> None:\n    pass\n")
    assert ran(finished.run("dvc", "repro")) == set()


def test_a_changed_helper_reruns_what_uses_it(finished: Project) -> None:
    append(finished, "tasks/extraction/deep_view.py", "\n\ndef unused() -> None:\n    pass\n")
    # extract runs; its outputs come out the same, so nothing after it needs to run again
    assert ran(finished.run("dvc", "repro")) == {"extract@small"}


def test_new_images_read_only_their_own_shard(finished: Project, images: Path, tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(images, grown)
    extra = make_images(tmp_path / "extra", each=3, seed=7)
    for path in extra.glob("*/*.png"):
        shutil.copy(path, grown / path.parent.name / f"new-{path.name}")

    def move(data: dict) -> None:
        data["datasets"]["small"]["source"] = str(grown)

    finished.edit(move)
    finished.run("dvc", "repro", "ingest@small")
    # copytree kept times and sizes, so known items keep shard and result
    record = (finished.path / "data/records/small/ingest.json").read_text()
    assert '"read": 9,' in record


def test_an_absent_source_keeps_the_recorded_listing(finished: Project) -> None:
    def away(data: dict) -> None:
        data["datasets"]["small"]["source"] = "/not/mounted"

    finished.edit(away)
    output = finished.run("dvc", "repro")
    assert "does not exist; continuing with the 242 items recorded last time" in output
    assert ran(output) == set()


def test_a_parameter_of_training_reruns_the_folds_where_there_are_any(finished: Project) -> None:
    def folds(count: int, epochs: int) -> None:
        def change(data: dict) -> None:
            data["datasets"]["small"]["crossvalidate"] = {"folds": count}
            data["datasets"]["small"]["train"]["epochs"] = epochs

        finished.edit(change)
        finished.run("deepmine", "stage", "plan", "small")

    folds(0, 3)
    assert "up to date" in finished.run("dvc", "status", "crossvalidate@small")
    folds(2, 3)
    assert "crossvalidate: 2 folds + 1, about 3 x (clean + train + extract) + 4 x mine = " in finished.run(
        "deepmine", "plan"
    )
    finished.run("dvc", "commit", "-f", "crossvalidate@small")  # as if it had run
    assert "up to date" in finished.run("dvc", "status", "crossvalidate@small")
    folds(2, 4)
    assert "data/plan/small.json" in finished.run("dvc", "status", "crossvalidate@small")
