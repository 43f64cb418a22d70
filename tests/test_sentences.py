"""Numbers and names in README, docs, params.yaml and the page are those of the code that uses them."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.autodetect import column_types
from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.loader import read_yaml
from tasks.config.parsing import plain
from tasks.config.source import Source
from tasks.config.train import Train
from tasks.encoders.training import schedule
from tasks.evaluation import cluster_profiles
from tasks.extraction import deep_view
from tasks.miners import MINERS, MOST_ROWS, crossvalidation, n_clusters, stability
from tasks.miners.kernel_approximation import CHEAP, COMPONENTS, KERNEL_ROWS
from tasks.modalities import audio, image, tabular_steps, text
from tasks.reporting.sections import SECTIONS
from tasks.rules import search
from tasks.splitting.folds import ENOUGH
from tasks.validation import near_duplicates

ROOT = Path(__file__).parents[1]


def source(name: str) -> str:
    """A file in one line."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def comment(key: str, value: str) -> str:
    """The comment of a line of params.yaml."""
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    [found] = {line.partition("#")[2].strip() for line in lines if re.match(rf" *{key}: {re.escape(value)} +#", line)}
    return found


def docs() -> str:
    """README and the pages of docs/, in one line."""
    return " ".join(
        source(str(p.relative_to(ROOT))) for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    )


def percent(share: float) -> str:
    return f"{share * 100:.4g} %"


def test_the_defaults_of_params_yaml_are_those_of_the_code() -> None:
    """But for what the file adds on purpose: miners, rules, smoothing, and an encoder of each modality."""
    given = read_yaml(ROOT / "params.yaml")["defaults"]
    own = plain(Dataset(source=Source(path=".")))
    differ = []

    def compare(one: object, other: object, where: str) -> None:
        if isinstance(one, dict) and isinstance(other, dict) and where not in ("train.encoders", "mine.miners"):
            for key in one:
                compare(one[key], other[key], f"{where}.{key}".lstrip("."))
        elif where not in ("train.encoders", "mine.miners") and one != (
            list(other) if isinstance(other, tuple) else other
        ):
            differ.append(where)

    for stage, values in given.items():
        compare(values, own[stage], stage)
    assert differ == ["train.loss.label_smoothing", "mine.rules.views"]


def test_shares_of_splits() -> None:
    ingest = Ingest()
    val, test, train = percent(ingest.val), percent(ingest.test), percent(1 - ingest.val - ingest.test)
    readme = docs()
    assert f"else by hash: {train} train, {val} val, {test} test |" in readme
    assert f"by hash of the content, {test} test, {val} val" in readme
    assert len(re.findall(r"(?<![.\d])\d+ % (?:test|val|train)\b", readme)) == 5, (
        "another sentence names a share: hold it here"
    )


def test_comments_of_params_yaml_name_what_the_code_uses() -> None:
    assert f"{audio.LONGEST:g} at most" in comment("seconds", "auto")
    assert {2: "two", 4: "four"}[text.LETTERS] + " times that" in comment("max_auto_length", "256")
    listed = {}
    for names, rows in re.findall(r"((?:\w+(?:, | and ))*\w+): ([\d,]+\d)", _limits()):
        listed |= dict.fromkeys(re.split(", | and ", names), int(rows.replace(",", "")))
    assert listed == MOST_ROWS
    told = source("params.yaml")
    assert f"auto: {deep_view.ROWS['cpu']} on a CPU, {deep_view.ROWS['cuda']} on a GPU" in told
    assert f"null: exact up to {KERNEL_ROWS:,} train rows, and above where an estimated {CHEAP:g} seconds" in told
    assert f"the lowest with few enough combinations, {search.FEWEST} rows at least" in told
    assert f"correlation of two images at {image.SKETCH}x{image.SKETCH} grey" in told
    epochs = read_yaml(ROOT / "params.yaml")["datasets"]["mnist"]["train"]["epochs"]
    auto = schedule(Train(), 3500)[0]
    assert f"epochs: {epochs} # enough for digits; `auto` would take {auto}" in told


def _limits() -> str:
    return re.search(r"null: all \((.*?)\)", source("params.yaml"))[1]  # type: ignore[index]


def test_what_auto_comes_to_while_training() -> None:
    said = re.search(r"(\d+) at ([\d,]+) rows and above, up to (\d+) for fewer", comment("epochs", "auto"))
    batches = re.search(r"a thirty-second of the train rows, (\d+) to (\d+)", source("params.yaml"))
    assert said
    assert batches
    few, many, most = int(said[1]), int(said[2].replace(",", "")), int(said[3])
    assert [schedule(Train(), n)[0] for n in (many, 10 * many, 10)] == [few, few, most]
    assert schedule(Train(), int(many * 0.8))[0] > few
    assert [schedule(Train(), n)[1] for n in (64 * 32, 64, 10**6)] == [64, int(batches[1]), int(batches[2])]


def test_the_page_on_clusters() -> None:
    page = source("tasks/reporting/clusters.html")
    assert (
        f"refitted on {stability.REFITS} random halves of the train rows (of {stability.MOST_TRAIN:,} rows at most)"
        in page
    )
    assert f"the range of the middle {percent(stability.SPREAD[1] - stability.SPREAD[0])}." in page
    assert f"also puts together) is at least {n_clusters.STRONG:g};" in page
    assert f"false discovery rate at most {percent(cluster_profiles.FALSE)})" in page
    stable, dissolves = (
        f"{share:.2g}".removeprefix("0") for share in (cluster_profiles.STABLE, cluster_profiles.DISSOLVES)
    )
    assert f"Jaccard index over refits is at least {stable}, and dissolves below {dissolves}" in page
    assert f"less than the {n_clusters.STRONG:g} from which" in source("tasks/evaluation/sentences.py").replace(
        '" "', ""
    )


def test_numbers_of_miners_in_the_readme() -> None:
    readme = docs()
    assert f"train rows choose from {n_clusters.TRIED[0]} to {n_clusters.TRIED[-1]} by silhouette" in readme
    assert f"is exact up to {KERNEL_ROWS:,} train rows, and above as long as an estimated {CHEAP:g} seconds" in readme
    assert f"a kernel map (Nystroem, {COMPONENTS:,} components)" in readme
    folds = f"{crossvalidation.FOLDS} folds"
    groups = f"or val rows of fewer than {crossvalidation.GROUPS} groups"
    assert f"With fewer than {ENOUGH} labelled val rows, {groups}, {folds} of train and val rows " in readme
    assert f"below {crossvalidation.FEW} of these rows {folds}, three times" in readme
    assert crossvalidation.TIMES == 3
    assert f"miners of up to {crossvalidation.REFIT:,} train rows" in readme
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|.*\| ([\d,]+) train rows;",
        (ROOT / "docs/miners.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert {name: int(n.replace(",", "")) for names, n in rows for name in re.findall(r"`(\w+)`", names)} == {
        name: MOST_ROWS[name] for name in ("agglomerative",)
    }
    named = re.search(r"## Miners\n(.*?)\n\n(?!\|)", (ROOT / "docs/miners.md").read_text(encoding="utf-8"), re.S)
    assert named
    assert set(MINERS) <= set(re.findall(r"`(\w+)`", named[1]))


def test_names_schedule_and_remote_in_the_readme() -> None:
    readme = docs()
    *first, last = (f"`{name}`" for name in column_types.USUAL["split"])
    assert f"| {', '.join(first)} or {last}, else by hash" in readme
    for use in ("label", "group"):
        said = re.search(rf"\| `--{use}` \|[^|]*\|[^|`]*((?:`\w+`(?:, )?)+)", readme)
        assert said
        assert set(re.findall(r"`(\w+)`", said[1])) <= set(column_types.USUAL[use])
    table = re.search(
        r"\| for \| short names \|(.*?)(?:\n\n|$)", (ROOT / "docs/data.md").read_text(encoding="utf-8"), re.S
    )
    assert table
    assert set(re.findall(r"`(\w+)`", table[1])) == {*tabular_steps.SHORT, *tabular_steps.WORDS}
    prefect = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    [schedule_] = prefect["deployments"][0]["schedules"]
    minute, hour = (int(part) for part in schedule_["cron"].split()[:2])
    assert f"each night at {hour:02d}:{minute:02d} {schedule_['timezone']}" in readme
    url = re.search(r"url = (\S+)", (ROOT / ".dvc/config").read_text(encoding="utf-8"))
    assert url
    assert f"default remote `storage` is the folder `{url[1].removeprefix('../')}`" in readme


def test_the_page_on_the_report_names_its_sections() -> None:
    page = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    listed = re.search(r"## Sections\n(.*?)\n\n`dvc", page, re.S)
    assert listed
    assert set(re.findall(r"\*\*([^*]+)\*\*", listed[1])) == {section.title for section in SECTIONS}


def test_recipes_in_the_readme() -> None:
    said = re.search(r"There are ((?:`[\w-]+`(?:, | and )?)+);", docs())
    assert said
    recipes = YAML(typ="safe").load((ROOT / "tasks/config/recipes.yaml").read_text(encoding="utf-8"))
    assert re.findall(r"`([\w-]+)`", said[1]) == list(recipes)


def test_the_sentence_on_near_duplicates() -> None:
    rows = {"threshold": 0.99, "pairs": 0, "natural": 0}
    assert f"at {image.SKETCH} x {image.SKETCH} grey" in near_duplicates._sentence(rows)
    assert f"at {image.SKETCH} x {image.SKETCH} grey" in docs()


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "tasks/reporting").glob("*.html")))
def test_no_template_names_a_method_of_an_interval_or_a_confidence(name: str) -> None:
    """Both come with the intervals; of tests and error bars that a template explains, see what stands there."""
    told = source(f"tasks/reporting/{name}")
    named = re.findall(
        r"(?i)bootstrap|delong|newcombe|welch|clopper|\b(?:t|percentile) interval|9\d(?:\.\d)? % interval", told
    )
    assert named == []
