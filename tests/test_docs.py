"""README, the pages of docs/, CHANGELOG and the comments of params.yaml say what the code does."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from flows.cli import app
from flows.project import STAGES
from flows.project import outputs as outputs_of
from tasks.config.loader import load
from tasks.sources.readers import CODECS, READERS

ROOT = Path(__file__).parents[1]
PAGES = {
    p.relative_to(ROOT): p.read_text(encoding="utf-8")
    for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES[Path("README.md")]
DOCS = "\n".join(PAGES.values())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
VERBS = typer.main.get_command(app).commands
TARGETS = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
REGISTRIES = ("pypi", "pythonhosted", "anaconda", "conda-forge", "npmjs", "docker", "ghcr", "quay.io")


def blocks(language: str) -> list[str]:
    """The fenced blocks of README and docs in ``language``."""
    # found in pairs, or a closing fence would be taken for the opening one of a block without a language
    return [code for found, code in re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, re.M | re.S) if found == language]


def section(title: str) -> str:
    """What stands under a heading of the README, up to the next one."""
    return re.split(r"^## ", README.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.M)[0]


def tree() -> list[str]:
    """Every path that the README's tree names, two spaces a level."""
    [block] = re.findall(r"^```\n(.*?)^```$", section("Where things are"), re.M | re.S)
    folders: list[str] = []
    found = []
    for line in block.splitlines():
        name = line.split()[0]
        del folders[(len(line) - len(line.lstrip())) // 2 :]
        folders.append(name)
        found.append("".join(folders))
    return found


def uncommented(text: str) -> list[str]:
    """Dotted keys of `defaults:` with a value and no comment.

    Said once is enough: a key that repeats one of the same name needs none, and `name`, `miner` and `views` are
    explained by the mapping that they stand in.
    """
    said: set[str] = set()
    open_keys: list[tuple[int, str, bool]] = []
    bare = []
    for line in text.partition("\ndefaults:\n")[2].partition("\ndatasets:")[0].splitlines():
        match = re.match(r"( *)([\w+-]+):(.*)", line)
        if not match:
            continue
        indent, key, rest = len(match[1]), match[2], match[3].strip()
        open_keys = [entry for entry in open_keys if entry[0] < indent]
        has_comment = "#" in rest
        if not rest.partition("#")[0]:
            open_keys.append((indent, key, has_comment))
        elif not (has_comment or key in said or (key in ("name", "miner", "views") and any(e[2] for e in open_keys))):
            bare.append(".".join([*(e[1] for e in open_keys), key]))
        said |= {key} if has_comment else set()
    return bare


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_stands_in_the_readme(verb: str) -> None:
    assert VERBS[verb].help
    assert re.search(rf"^\| `deepmine {verb}\b", section("Commands"), re.M)
    for parameter in VERBS[verb].params:
        assert getattr(parameter, "help", None), f"{verb}: {parameter.name} has no help"


def test_every_command_in_the_docs_exists() -> None:
    prose = re.sub(r"^```.*?^```$", "", DOCS, flags=re.M | re.S)
    code = "\n".join(re.findall(r"`([^`\n]+)`", prose) + blocks("sh") + blocks(""))
    named = re.findall(r"(?<![\w/-])deepmine (?!#)([a-z]+)([^\n#&;]*)", code)
    assert len(named) > 10
    for verb, rest in named:
        assert verb in VERBS, f"deepmine {verb}"
        known = {o for p in VERBS[verb].params for o in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"deepmine {verb}{rest}"


def test_make_targets_and_readme_agree() -> None:
    named = set(re.findall(r"(?:`|^|; |&& )make ([a-z-]+)", DOCS, re.M))
    assert named <= TARGETS.keys(), "a target with a `##` help for each"
    assert {"run", "test"} <= named & TARGETS.keys()
    assert {"run", "test"} <= {line.split()[1] for b in blocks("sh") for line in b.splitlines() if line[:5] == "make "}


def test_the_tree_names_what_exists() -> None:
    paths = tree()
    assert {"flows/", "tasks/miners/", "data/"} <= set(paths)
    missing = [p for p in paths if not p.startswith("data/") and not (ROOT / p).exists()]
    assert missing == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        other = Path(os.path.normpath(page.parent / path)) if path else page
        assert (ROOT / other).exists(), target
        assert not anchor or anchor in anchors(other), target


def test_paths_exist() -> None:
    # the one file that the docs ask a reader to write
    named = set(re.findall(r"`((?:tasks|flows|tests)/[\w/.]+)`", DOCS)) - {"tasks/encoders/patches.py"}
    assert [n for n in named if not (ROOT / n).exists()] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) <= 200
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", README)}
    assert {str(page) for page in PAGES} - {"README.md"} <= linked


def test_every_format_of_tables_is_named() -> None:
    page = PAGES[Path("docs/data.md")]
    assert [suffix for suffix in (*READERS, *CODECS) if f"`{suffix}`" not in page] == []


def test_pages_that_the_program_names_exist() -> None:
    files = [p for folder in ("flows", "tasks") for p in (ROOT / folder).rglob("*.py")]
    named = {n for p in files for n in re.findall(r"docs/\w+\.md", p.read_text(encoding="utf-8") + PARAMS)}
    assert named
    assert [n for n in named if not (ROOT / n).is_file()] == []


@pytest.mark.parametrize("text", [*PAGES.values(), CHANGELOG], ids=[*map(str, PAGES), "CHANGELOG"])
def test_no_registry_and_no_path_of_one_machine(text: str) -> None:
    for link in re.findall(r"https?://[^\s)`]+", text):
        assert not any(host in link for host in REGISTRIES), link
    assert str(ROOT) not in text


def test_outputs_stand_where_the_docs_say() -> None:
    outputs = [str(path) for stage in STAGES for path in outputs_of(stage, "NAME")]
    named = re.findall(r"`(data/[^`]*\bNAME\b[^`]*)`", DOCS)
    assert len(named) > 2
    assert [path for path in named if not any(f"{path}/".startswith(f"{own}/") for own in outputs)] == []


def test_the_version_is_the_newest_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    entries = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", CHANGELOG, re.M)
    assert entries[:1] == [version]
    assert len(entries) == len(re.findall(r"^## \[\d", CHANGELOG, re.M)), "an entry without a date"


def test_every_number_of_params_yaml_is_explained() -> None:
    assert uncommented(PARAMS) == []


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("    resamples: 9\n", ["evaluate.resamples"]),
        ("    resamples: 9  # of the test rows\n", []),
        ("    views: [raw]\n", ["evaluate.views"]),
        ("    inner:  # which\n      name: x\n      share: 1\n", ["evaluate.inner.share"]),
    ],
)
def test_an_unexplained_number_is_found(line: str, bare: list[str]) -> None:
    assert uncommented(f"# \ndefaults:\n  evaluate:\n{line}\ndatasets:\n  x:\n    epochs: 3\n") == bare


def test_the_yaml_of_the_docs_is_accepted(tmp_path: Path) -> None:
    examples = blocks("yaml")
    assert examples
    for example in examples:
        path = tmp_path / "params.yaml"
        path.write_text(PARAMS.partition("\ndatasets:")[0] + "\n" + example, encoding="utf-8")
        assert list(load(path)) == list(YAML(typ="safe").load(example)["datasets"])


def test_the_python_of_the_docs_is_python() -> None:
    for example in blocks("python"):
        # a registry's line is an entry of a dict literal
        compile(re.sub(r'^(".*),$', r"{\1}", example, flags=re.M), "docs", "exec")
