"""Wrong configurations and commands: plain words, an exit code, nothing lost."""

from pathlib import Path

import pytest

from flows import project
from tasks.core.errors import DeepmineError
from tests.flows.conftest import Project, make_images


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "    epochs: auto",
            "    epoch: auto",
            "params.yaml: defaults.train.epoch: unknown key. Did you mean 'epochs'?",
        ),
        (
            "    epochs: auto",
            "    epochs: -1",
            "defaults.train.epochs: should be 'auto' or should be greater than or equal to 1, but it is -1",
        ),
        (
            "    batch: auto",
            "    batch: many",
            "defaults.train.batch: should be 'auto' or should be a valid integer, but it is 'many'",
        ),
        ("miner: kmeans", "miner: kmean", "unknown miner 'kmean'. Did you mean 'kmeans'?"),
        ("{C: null}", "{c: 0.01}", "unknown parameter 'c'. Did you mean 'C'?"),
        ("{C: null}", "{C: -1.0}", "mine.miners.linear_svm.params: "),
        ("  small:", "  a;touch pwned;b:", "'a;touch pwned;b' cannot name a dataset"),
        ("  small:", "  ../../escaped:", "'../../escaped' cannot name a dataset"),
    ],
)
def test_a_wrong_params_yaml(finished: Project, old: str, new: str, says: str) -> None:
    params = finished.path / "params.yaml"
    before = finished.results()
    text = params.read_text()
    assert old in text
    params.write_text(text.replace(old, new, 1))
    output = finished.run("deepmine", "run", "--no-server", code=1)
    assert says in output, output
    assert "Traceback" not in output
    assert "✓" not in output
    assert finished.results() == before
    assert not (finished.path / "pwned").exists()


def test_bare_dvc_refuses_a_name_that_a_shell_would_run(finished: Project) -> None:
    params = finished.path / "params.yaml"
    params.write_text(params.read_text().replace("  small:", "  a;touch pwned;b:", 1))
    assert "cannot name a dataset" in finished.run("dvc", "repro", code=255)
    assert not (finished.path / "pwned").exists()


@pytest.mark.parametrize("text", ["stages: 3\n", "", "[", "stages: {plan: {do: {}}}\n"])
def test_a_dvc_yaml_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(text)
    project._graph.cache_clear()
    with pytest.raises(DeepmineError, match=r"dvc.yaml is missing or was changed. Restore it: git checkout dvc.yaml"):
        project.own_folders()
    project._graph.cache_clear()


WRONG = {
    "mistyped": {"source": "x", "train": {"epochs": -1}},
    "none": None,
    "a;touch pwned;b": {"source": "x"},
    "A b": {"source": "x"},
}


def test_a_wrong_entry_stops_its_own_dataset_alone(finished: Project) -> None:
    """Through every door, from a finished project, so that nothing but the looking takes time."""
    finished.edit(lambda data: data.update(datasets={**WRONG, **data["datasets"]}))
    says = [
        "datasets.mistyped.train.epochs: should be 'auto'", "datasets.none: expected a mapping",
        "'a;touch pwned;b' cannot name a dataset", "'A b' cannot name a dataset",
    ]  # fmt: skip
    before = finished.results()
    ran = finished.run("deepmine", "run", "--no-server", code=1)
    assert ran.count("@small") == ran.count("Cached") == 10, ran
    assert ran.count("✗ plan@") == len(WRONG)
    assert "not done" in ran
    assert "small  " in ran, "the verdict of what went well is told"
    assert "(of an earlier run)" not in ran
    repro = finished.run("dvc", "repro", "--keep-going", code=255)
    assert "Running stage 'plan@small'" in repro
    assert "skipped due to this failure" in repro
    finished.edit(lambda data: data["datasets"].update(lost={"source": "no/such/folder"}))
    state = finished.run("deepmine", "status", code=1)
    assert state.count("current") == 9, state
    looked = finished.run("deepmine", "plan", code=1)
    assert looked.count("up to date") == 9, looked
    assert "deepmine: error: lost: no/such/folder: no such file or folder" in looked, looked
    for output in (ran, looked, state, repro):
        assert [text for text in says if text not in output] == [], output
        assert "Traceback" not in output
    assert finished.run("deepmine", "check", "small") == ""
    assert finished.results() == before
    assert not (finished.path / "pwned").exists()


def test_a_dataset_is_added_beside_a_wrong_entry(finished: Project, tmp_path: Path) -> None:
    finished.edit(lambda data: data.update(datasets={**WRONG, **data["datasets"]}))
    folder = make_images(tmp_path / "pets", each=20)
    assert "wrote datasets.pets" in finished.run("deepmine", "add", "pets", str(folder))
    assert "already has a dataset 'none'" in finished.run("deepmine", "add", "none", str(folder), code=1)


def test_a_misspelt_section(finished: Project) -> None:
    params = finished.path / "params.yaml"
    params.write_text(params.read_text().replace("\ndatasets:", "\ndataset:"))
    output = finished.run("deepmine", "run", "--no-server", code=1)
    assert "unknown key 'dataset'. Did you mean 'datasets'?" in output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["run", "smal"], "no dataset 'smal' in params.yaml. Did you mean 'small'?"),
        (["add", "a;b", "."], "'a;b' cannot name a dataset"),
        (["add", "small", "."], "params.yaml already has a dataset 'small'"),
        (["add", "pets", "/no/such/folder"], "/no/such/folder: no such file or folder"),
        (["add", "pets", "embedded:cifar"], "no such embedded data set"),
        (["stage", "trian", "small"], "no stage 'trian'. Did you mean 'train'?"),
        (["stage", "train", "nothing"], "Start with the first stage"),
    ],
)
def test_a_wrong_command(finished: Project, command: list[str], says: str) -> None:
    params = (finished.path / "params.yaml").read_text()
    output = finished.run("deepmine", *command, code=1)
    assert says in output, output
    assert "Traceback" not in output
    assert (finished.path / "params.yaml").read_text() == params


def test_folders_that_cannot_be_learned_from(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no items" in project.run("deepmine", "add", "pets", str(tmp_path / "empty"), code=1)
    one = make_images(tmp_path / "one", classes=1, each=5)
    assert "1 class (class0)" in project.run("deepmine", "add", "pets", str(one), code=1)
    (one / "class1").mkdir()
    assert "an empty class folder" in project.run("deepmine", "add", "pets", str(one), code=1)


def test_too_many_unreadable_files_stop_the_run_with_their_reasons(project: Project, tmp_path: Path) -> None:
    bad = make_images(tmp_path / "bad", each=30)
    for i in range(10):
        (bad / "class0" / f"x{i}.png").write_bytes(b"")

    def use(data: dict) -> None:
        data["datasets"]["small"]["source"] = str(bad)

    project.edit(use)
    output = project.run("deepmine", "run", "--no-server", code=1)
    assert "10 of 100 rows (10.0%) cannot be used, over max_rejected 5.0%: 10 unreadable" in output
    assert "- train@small          NotReady" in output
    assert (project.path / "data/quarantine/small/unreadable/_manifest.json").is_file()


def test_outside_a_project(project: Project, tmp_path: Path) -> None:
    elsewhere = Project(tmp_path)
    assert "no deepmine project here" in elsewhere.run("deepmine", "status", code=1)


def test_add_writes_an_entry_and_leaves_the_rest_alone(project: Project, tmp_path: Path) -> None:
    before = (project.path / "params.yaml").read_text()
    folder = make_images(tmp_path / "pets", each=20)
    output = project.run("deepmine", "add", "pets", str(folder))
    after = (project.path / "params.yaml").read_text()
    assert after.startswith(before.rstrip("\n"))
    assert "60 items" in output
    assert "problem  none seen" in output


def test_add_of_files_without_a_label(project: Project, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for i, path in enumerate((make_images(tmp_path / "some", classes=2, each=3)).rglob("*.png")):
        path.rename(tmp_path / "flat" / f"{i}.png")
    output = project.run("deepmine", "add", "pets", str(tmp_path / "flat"))
    assert "label    none: features are learned by an autoencoder" in output
    assert "objective: autoencoder" in (project.path / "params.yaml").read_text()
