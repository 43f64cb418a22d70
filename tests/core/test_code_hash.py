"""What changes a stage's code hash, on a copy of the real package, and what does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import STAGES
from tasks.core.code_hash import PACKAGE, code_hash
from tasks.modalities import MODALITIES

CHOSEN = {
    "MODALITIES": {"image"},
    "ENCODERS": {"vgg"},
    "OPTIMIZERS": {"sgd"},
    "LOSSES": {"cross_entropy"},
    "MINERS": {"linear_svm"},
    "CHAIN": set(),
}


KNOW_MODALITIES = {"ingest", "validate", "clean", "train", "extract", "report"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__")))


def changed(package: Path, file: str, edit: Callable[[str], str]) -> set[str]:
    """The stages whose hash another text of one file changes."""
    before = {stage: code_hash(stage, CHOSEN, package) for stage in STAGES}
    path = package / file
    old = path.read_text(encoding="utf-8")
    new = edit(old)
    assert new != old
    path.write_text(new, encoding="utf-8")
    return {stage for stage in STAGES if code_hash(stage, CHOSEN, package) != before[stage]}


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert text.count(old) == 1
        return text.replace(old, new)

    return edit


def test_a_copy_has_the_same_hash(package: Path) -> None:
    assert [code_hash(s, CHOSEN, package) for s in STAGES] == [code_hash(s, CHOSEN) for s in STAGES]
    assert len({code_hash(s, CHOSEN) for s in STAGES}) == len(STAGES)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "\n# a comment\n",
        lambda text: text.replace("\n\n\n", "\n\n\n\n\n"),
        swap('"""One Parquet file of a store."""', '"""Another docstring\n\n    over lines.\n    """'),
        lambda text: text.replace('"""Sharded Parquet', '"""More of sharded Parquet', 1),
        lambda text: text.replace("def _text(metadata:", "def _text(\n    metadata:"),
    ],
    ids=["comment", "blank lines", "docstring", "module docstring", "layout"],
)
def test_what_cannot_change_a_result_changes_no_hash(package: Path, edit: Callable[[str], str]) -> None:
    assert changed(package, "storage/store.py", edit) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        ("storage/store.py", "compression_level=1", "compression_level=2", set(STAGES)),
        ("core/errors.py", "cutoff=0.5", "cutoff=0.6", set(STAGES)),
        ("validation/expectations.py", "logging.CRITICAL", "logging.DEBUG", {"validate"}),
        ("clean.py", "SECONDS = 300.0", "SECONDS = 301.0", {"clean"}),
        # how folders and tables are read is nothing to those that find rows in the store
        ("sources/folders.py", '"thumbs.db"', '"thumbs"', {"ingest"}),
        ("sources/delimited.py", "ignore_empty_lines=False", "ignore_empty_lines=True", {"ingest"}),
        ("modalities/image.py", "BILINEAR", "BICUBIC", KNOW_MODALITIES),
        ("modalities/text.py", "BLOCK = 4096", "BLOCK = 4095", set()),
        ("encoders/vgg.py", "class VGG", "class Vgg", {"train", "extract"}),
    ],
)  # fmt: skip
def test_a_helper_reaches_only_what_uses_it(package: Path, file: str, old: str, new: str, stages: set[str]) -> None:
    assert changed(package, file, swap(old, new)) == stages


def test_every_function_body_counts(package: Path) -> None:
    assert changed(
        package, "metrics/classification.py", lambda text: text + "\n\ndef more() -> None:\n    print(1)\n"
    ) >= {"evaluate"}


@pytest.mark.parametrize(
    ("file", "old", "chosen", "stages"),
    [
        ("miners/__init__.py", ' KMeans(**{"n_clusters": task.classes, "n_init": 3', {"kmeans"}, {"mine"}),
        ("miners/__init__.py", '"linear_svm": lambda task, **kw: machine', {"linear_svm"}, {"mine"}),
        ("encoders/__init__.py", "tasks.encoders.cnn:CNN", {"cnn"}, {"train", "extract"}),
    ],
)
def test_registry_entries_count_where_they_are_chosen(
    package: Path, file: str, old: str, chosen: set[str], stages: set[str]
) -> None:
    other = {"kmeans": "linear_svm", "linear_svm": "kmeans", "cnn": "vgg"}[next(iter(chosen))]

    def hashes(entries: set[str]) -> dict[str, str]:
        picked = {**CHOSEN, "MINERS": entries, "ENCODERS": entries}
        return {stage: code_hash(stage, picked, package) for stage in STAGES}

    before, before_other = hashes(chosen), hashes({other})
    path = package / file
    path.write_text(swap(old, old + "0" if old[-1].isdigit() else old + "x")(path.read_text()))
    after, after_other = hashes(chosen), hashes({other})
    assert {s for s in STAGES if after[s] != before[s]} >= stages
    assert after_other == before_other


def test_an_unchosen_entrys_module_is_not_reached(package: Path) -> None:
    assert changed(package, "encoders/cnn.py", lambda text: text + "\nX = 1\n") == set()
    assert changed(package, "encoders/vgg.py", lambda text: text + "\nX = 1\n") == {"train", "extract"}


def test_a_new_entry_that_nobody_chose_changes_nothing(package: Path) -> None:
    (package / "encoders/novel.py").write_text("class Novel:\n    pass\n")
    line = '    "vgg": "tasks.encoders.vgg:VGG",\n'
    edit = swap(line, line + '    "novel": "tasks.encoders.novel:Novel",\n')
    assert changed(package, "encoders/__init__.py", edit) == set()


def test_imports_for_the_type_checker_are_not_followed(package: Path) -> None:
    # every stage names its section of config.py as a type, none needs it to run
    assert changed(package, "config/dataset.py", lambda text: text + "\nMORE = 1\n") == set()
    edit = swap("if TYPE_CHECKING:\n", "if TYPE_CHECKING:\n    from tasks.plan import plan\n")
    assert changed(package, "clean.py", edit) == set()
    line = "from tasks.modalities import modality\n"
    edit = swap(line, f"from tasks.config.dataset import RESERVED\n{line}")
    assert changed(package, "clean.py", edit) == {"clean"}
    assert changed(package, "config/dataset.py", lambda text: text + "\nYET = 1\n") == {"clean"}


@pytest.mark.parametrize("suffix", [".html", ".css", ".js"])
def test_the_pages_templates_are_the_reports_alone(package: Path, suffix: str) -> None:
    names = sorted(p.name for p in (package / "reporting").glob(f"*{suffix}"))
    assert names
    for name in names:
        assert changed(package, f"reporting/{name}", lambda text: text + "\n ") == {"report"}, name


def test_another_text_file_is_no_code(package: Path) -> None:
    before = code_hash("report", CHOSEN, package)
    (package / "reporting" / "notes.txt").write_text("x")
    (package / "reporting" / "unused.py").write_text("x = 1\n")
    assert code_hash("report", CHOSEN, package) == before


def test_every_modality_reaches_what_it_is_made_of() -> None:
    hashes = {name: code_hash("clean", {**CHOSEN, "MODALITIES": {name}}) for name in MODALITIES}
    assert len(set(hashes.values())) == len(MODALITIES)


@pytest.mark.parametrize("other", ["tabular", "text"])
def test_a_second_input_is_another_reason_to_run(package: Path, other: str) -> None:
    both = {**CHOSEN, "MODALITIES": {"image", other}}
    before = {stage: code_hash(stage, both, package) for stage in STAGES}
    assert {s for s in STAGES if before[s] != code_hash(s, CHOSEN, package)} == KNOW_MODALITIES
    path = package / f"modalities/{other}.py"
    path.write_text(path.read_text() + "\n\ndef more() -> None:\n    print(1)\n")
    assert {s for s in STAGES if before[s] != code_hash(s, both, package)} == KNOW_MODALITIES


@pytest.mark.parametrize(
    "file", ["clean.py", "train.py", "extract.py", "mine.py", "encoders/vgg.py", "modalities/image.py"]
)
def test_crossvalidate_reaches_what_its_folds_repeat_where_there_are_any(package: Path, file: str) -> None:
    def hashes() -> dict[str, str]:
        chosen: dict[str, set[str]] = {"off": set(), "on": {"clean", "train", "extract", "mine"}}
        return {
            name: code_hash("crossvalidate", {**CHOSEN, "CHAIN": entries}, package) for name, entries in chosen.items()
        }

    before = hashes()
    path = package / file
    path.write_text(path.read_text() + "\n\ndef more() -> None:\n    print(1)\n")
    after = hashes()
    assert after["off"] == before["off"]
    assert after["on"] != before["on"]
