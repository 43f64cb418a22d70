"""What every section of the report promises, and that one file, one template and one line are all that a new one takes."""

import re
import sys
from dataclasses import FrozenInstanceError, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

from tasks.config.clean import Clean, CleanTabular, Outliers
from tasks.config.dataset import Dataset
from tasks.config.evaluate import Costs, Evaluate
from tasks.config.mine import Mine, Miner, Rules
from tasks.config.source import Input, Source
from tasks.config.validate import Validate
from tasks.core.progress import Progress
from tasks.report import report
from tasks.reporting.page import fragment
from tasks.reporting.run import Run
from tasks.reporting.section import Content, Section
from tasks.reporting.sections import SECTIONS
from tests.fixtures.runs import finish, finished

HOSTILE = "<i onload=alert(1)>"
COLUMNS = ("age", "balance", f"{HOSTILE}kind", "height")
MINERS = {
    "linear_svm": Miner(miner="linear_svm", views=("raw", "deep")),
    "kmeans": Miner(miner="kmeans", views=("deep",)),
    "near": Miner(miner="nearest_neighbours", views=("deep",)),
    "forest": Miner(miner="isolation_forest", views=("deep",)),
    "tree": Miner(miner="decision_tree", views=("raw", "deep")),
}
DATASET = Dataset(
    source=Source(path=f"/{HOSTILE}"), inputs={"table": Input(modality="tabular", columns=COLUMNS, categorical=COLUMNS[2:3])},
    validate=Validate(max_rejected=0.2), clean=Clean(tabular=CleanTabular(outliers=Outliers(method="z_score", columns=("age",)))),
    mine=Mine(miners=MINERS, rules=Rules(views=("items", "deep"), q=1.0, confidence=0.1, min_lift=0.0)),
    evaluate=Evaluate(resamples=100, positive=f"yes {HOSTILE}", costs=Costs(false_positive=1, false_negative=3)),
)  # fmt: skip
SPLITS = ["train"] * 36 + ["val"] * 9 + ["test"] * 15
BARE = Dataset(
    source=Source(path="/x"), inputs={"words": Input(modality="text", columns=("body",))},
    mine=Mine(miners={"linear_svm": MINERS["linear_svm"]}), evaluate=Evaluate(resamples=100),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose ids, labels, columns and values are all markup, with something for every section."""
    home = tmp_path_factory.mktemp("full")
    rows = [
        {
            "id": f"t{i:02d} {HOSTILE}", "split": split, "label": f"{['no', 'yes'][i % 2]} {HOSTILE}",
            "table": dict(zip(COLUMNS, (99_999 if i == 3 else i % 7, i % 2 + i / 1000, "abc"[i % 3] + HOSTILE, i % 5), strict=True)),
        }
        for i, split in enumerate(SPLITS)
    ]  # fmt: skip
    finish(home, DATASET, rows)
    return finished(home, DATASET, "full")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without labels and with one miner, which needs some."""
    home = tmp_path_factory.mktemp("bare")
    rows = [
        {"id": f"m{i}", "split": split, "label": None, "words": {"body": f"word{i % 3} number {i}"}}
        for i, split in enumerate(SPLITS)
    ]
    finish(home, BARE, rows)
    return finished(home, BARE, "bare")


def page(run: Run, sections: tuple[Section, ...] = SECTIONS) -> str:
    report(run=run, progress=Progress(quiet=True), sections=sections)
    return run.index.read_text(encoding="utf-8")


def test_each_section_has_a_key_a_module_and_a_template_of_its_own() -> None:
    for values in (
        [section.key for section in SECTIONS],
        [section.title for section in SECTIONS],
        [section.build.__module__ for section in SECTIONS],
        [section.template for section in SECTIONS],
    ):
        assert len(values) == len(set(values))
    for section in SECTIONS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", section.key)
        assert section.template == f"{section.build.__module__.rpartition('.')[2]}.html"
        assert (section.folder / section.template).is_file()


def test_no_template_is_left_without_a_section() -> None:
    shared = {"report.html", "macros.html", "charts.html"}
    found = {path.name for path in SECTIONS[0].folder.glob("*.html")}
    assert found - shared == {section.template for section in SECTIONS}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.key)
def test_a_section_shows_what_there_is_and_escapes_it(section: Section, run: Run) -> None:
    content = run.part(section.build)
    assert isinstance(content, Content)
    assert is_dataclass(content)
    with pytest.raises(FrozenInstanceError):
        content.row_ids = []  # type: ignore[misc]
    assert all(isinstance(i, str) for i in content.row_ids)
    text = fragment(section, content, run.cards(content.row_ids))
    assert f'id="{section.key}"' in text
    assert "<i onload" not in text


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.key)
def test_a_section_with_nothing_to_show_is_none_or_stands_empty(section: Section, bare: Run) -> None:
    content = bare.part(section.build)
    assert content is None or f'id="{section.key}"' in fragment(section, content, bare.cards(content.row_ids))


@pytest.mark.parametrize("which", ["run", "bare"])
def test_contents_and_links_lead_somewhere(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    text = page(made)
    text = re.sub("(?s)<script.*?</script>|<style.*?</style>", "", text)
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    contents = re.findall(r'<li><a href="#([^"]*)">', text.partition("</nav>")[0])
    assert contents == [section.key for section in SECTIONS if made.part(section.build) is not None]
    assert which == "bare" or len(contents) == len(SECTIONS)


MODULE = """
from dataclasses import dataclass
from tasks.reporting.section import Content


@dataclass(frozen=True)
class Largest(Content):
    ids: list

    @property
    def row_ids(self):
        return self.ids


def build(run):
    return Largest(run.test_rows.ids[:2].tolist())
"""
TEMPLATE = """{% from "macros.html" import gallery %}
<section id="{{ key }}"><h2>First rows</h2>{% for i in section.ids %}<p>{{ i }}</p>{% endfor %}
{{ gallery([{"id": section.ids[0], "of": "", "pair": [], "facts": []}], cards) }}</section>
"""


def test_a_section_is_one_file_one_template_and_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first_rows.py").write_text(MODULE)
    (tmp_path / "first_rows.html").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(tmp_path)
    mine = Section("first-rows", "First rows", import_module("first_rows").build, "first_rows.html")
    monkeypatch.delitem(sys.modules, "first_rows")
    text = page(run, (*SECTIONS, mine))
    assert '<a href="#first-rows">First rows</a>' in text
    shown = text[text.index('<section id="first-rows">') :].partition("</section>")[0]
    assert shown.count('<table class="cells"') >= 1, "its rows are drawn"
    assert "&lt;i onload" in shown
    alone = page(run, (mine,))
    assert "<nav" in alone
    assert "feature-map" not in alone.partition("<main>")[2].partition("</main>")[0]
