"""Configurations that want to run, read or write what is not theirs: refused in words, or harmless.

Every place where a person's text reaches an interpreter stands here: YAML, DVC's interpolation and shell, pandas' query,
SQL, GX parameters and Markdown, regular expressions, formats of dates, JSON schemas, types, scikit-learn's steps and
parameters, joblib's cache, codecs, names of networks, paths.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from flows.cli import show_error
from tasks.config.clean import Clean
from tasks.config.loader import entries
from tasks.config.parsing import parse
from tasks.core.errors import DeepmineError
from tasks.encoders.pretrained import refuse_code
from tasks.modalities import tabular_steps
from tasks.plan import plan
from tests.core.test_printable import STEERS
from tests.flows.conftest import Project, new_project

CANARY = "canary"
RUN = f"@pd.io.common.os.system('touch {CANARY}')"
ESC = "\x1b[2J\x1b]0;pwned\x07\u202e"
TABLE = {"table": {"modality": "tabular", "columns": ["a", "b"], "categorical": ["b"]}}


def expect(**arguments: Any) -> dict[str, Any]:
    where = arguments.pop("where", None)
    name = arguments.pop("expect", "expect_column_values_to_not_be_null")
    entry: dict[str, Any] = {"expect": name, "arguments": arguments} | ({"where": where} if where else {})
    return {"validate": {"expectations": [entry]}}


def miner(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"mine": {"miners": {name: {"miner": "kmeans", "views": ["deep"], **more}}}}


def step(**more: Any) -> dict[str, Any]:
    return {"clean": {"tabular": {"numeric": ["median", more]}}}


#: Name -> what is laid over an entry that is right, and a part of what is said, or None where it does no harm.
ENTRIES: dict[str, tuple[dict[str, Any], str | None]] = {
    "query": (expect(column="a", row_condition=f"{RUN} == 0", condition_parser="pandas"), "row_condition"),
    "parser": (expect(column="a", condition_parser="python"), "condition_parser"),
    "sql": (expect(expect="unexpected_rows_expectation", unexpected_rows_query="DROP TABLE x"), "no database"),
    "comparison": (expect(expect="expect_query_results_to_match_comparison", base_query="x"), "needs a database"),
    "parameter": (expect(expect="expect_column_max_to_be_between", column="a", max_value={"$PARAMETER": "now()"}), "max_"),
    "notes": (expect(column="a", notes="<script>alert(1)</script>"), "notes"),
    "meta": (expect(column="a", meta={"notes": {"format": "markdown", "content": ["<b>"]}}), "meta"),
    "format": (expect(column="a", strftime_format="%f" * 500), "strftime_format"),
    "type": (expect(column="a", type_="io.common.os.system"), "type_"),
    "schema-file": (expect(column="a", json_schema={"$ref": "file:///etc/passwd"}), "json_schema"),
    "schema-address": (expect(column="a", json_schema={"allOf": [{"$ref": "http://127.0.0.1:1/x"}]}), "json_schema"),
    "schema-regex": (expect(column="a", json_schema={"pattern": "(a+)+$"}), "json_schema"),
    "no-regex": (expect(column="a", regex="(?P<x>"), "regex"),
    "unknown-expectation": (expect(expect="__import__('os').system"), None),  # refused by validate
    "where-operator": (expect(column="a", where={"column": "a", "operator": "; import os", "value": 1}), "operator"),
    "where-text": (expect(column="a", where=f"{RUN} == 0"), "where"),
    "where-column": (expect(column="a", where={"column": RUN, "operator": "==", "value": 1}), None),
    "miner-path": (miner("../../../../escaped/evil"), "cannot name a miner"),
    "miner-absolute": (miner("/tmp/evil"), "cannot name a miner"),
    "miner-at": (miner("a@b"), "cannot name a miner"),
    "miner-score": (miner("x.score"), "cannot name a miner"),
    "miner-markup": (miner("<img src=x onerror=alert(1)>"), "cannot name a miner"),
    "miner-escape": (miner(ESC), "cannot name a miner"),
    "miner-module": (miner(miner="os.system"), "unknown miner"),
    "view-path": (miner(views=["deep+../../../outside"]), "cannot name a view"),
    "memory": (miner(miner="agglomerative", params={"memory": "../outside"}), "memory"),
    "metric": (miner(miner="nearest_neighbours", params={"metric": "__import__('os').system"}), "metric"),
    "input-path": ({"inputs": {"../outside": TABLE["table"]}}, "cannot name an input"),
    "input-markup": ({"inputs": {"<b>": TABLE["table"]}}, "cannot name an input"),
    "input-reserved": ({"inputs": {"content": TABLE["table"]}}, "cannot name an input"),
    "interpolation": ({"source": {"path": "rows.csv", "label": "${source.path} #{x} {0.__class__} %(x)s"}}, None),
    "shell-path": ({"source": {"path": f"rows.csv; touch {CANARY} |"}}, "no such file"),
    "embedded": ({"source": {"path": "embedded:../../outside"}}, "no such embedded"),
    "codec": ({"source": {"path": "rows.csv", "encoding": "../outside/evil"}}, None),
    "pattern": ({"source": {"path": "rows.csv", "pattern": "(?P<__class__>.)"}}, None),
    "positive": ({"evaluate": {"positive": f"{ESC}<script>{{{{7*7}}}}"}}, None),
}  # fmt: skip
#: Name -> the whole of a params.yaml, and what is said.
FILES: dict[str, tuple[str, str]] = {
    "tag": (f"datasets: {{d: !!python/object/apply:os.system ['touch {CANARY}']}}", "not valid YAML"),
    "module-tag": ("datasets: {d: !!python/name:os.system }", "not valid YAML"),
    "bomb": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{x}: &{x} [{','.join(['*' + y] * 9)}]\n" for y, x in zip("abcdefgh", "bcdefghi", strict=True))
        + "datasets: {d: {source: *i}}",
        "",
    ),
    "loop": ("datasets: {d: {source: x, validate: {expectations: [{expect: x, arguments: &l {column: *l}}]}}}", ""),
    "name-shell": (f'datasets: {{"a;touch {CANARY};b": {{source: x}}}}', "cannot name a dataset"),
    "name-command": (f'datasets: {{"$(touch {CANARY})": {{source: x}}}}', "cannot name a dataset"),
    "name-path": ('datasets: {"../../outside/x": {source: x}}', "cannot name a dataset"),
    "name-long": (f"datasets: {{{'a' * 300}: {{source: x}}}}", "cannot name a dataset"),
    "name-escape": ('datasets: {"\\e[31m": {source: x}}', "cannot name a dataset"),
    "key-escape": ('datasets: {d: {source: x, "\\e[31m\\u202e": 1}}', "unknown key"),
}
STEPS: dict[str, dict[str, Any]] = {
    "function": step(name="FunctionTransformer", func="os.system"),
    "open-files": step(name="CountVectorizer", input="filename"),
    "step-memory": step(name="FeatureAgglomeration", n_clusters=1, memory="../outside"),
    "step-module": step(name="os.system"),
    "step-dunder": step(name="KBinsDiscretizer", __class__="x"),
    "step-estimator": step(name="SelectFromModel", estimator="os.system"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a table, beside a folder that must stay as it is; nothing may have run or be written."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (home / "rows.csv").write_text(
        "a,b,label\n" + "".join(f"{i},{'xy'[i % 2]},{['no', 'yes'][i % 2]}\n" for i in range(60))
    )
    monkeypatch.chdir(home)
    before = tree(tmp_path)
    yield home
    after = {
        name: mark for name, mark in tree(tmp_path).items() if not name.startswith(("home/data/", "home/params.yaml"))
    }
    assert after == before


def tree(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*")) if p.is_file()
    }  # fmt: skip


def tried(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a person is told of a params.yaml: by its check and, of what is right, by the first stage."""
    Path("params.yaml").write_text(text, encoding="utf-8")
    try:
        good, wrong = entries(Path("params.yaml"))
        for said in wrong.values():
            show_error(DeepmineError(said))
        for name, dataset in good.items():
            files = {"plan": Path("data/plan.json"), "listing": Path("data/plan.listing.parquet")}
            plan(dataset=dataset, warn=lambda text: None, **files)
            for made in (dataset.clean.tabular.numeric, dataset.clean.tabular.categorical):
                tabular_steps.pipeline([s for s in made if s != "rare"], "numeric", name, 0)
    except DeepmineError as error:
        show_error(error)
    told = capsys.readouterr().err
    assert not STEERS.search(told), ascii(told)
    assert "Traceback" not in told
    return told


def written(over: dict[str, Any]) -> str:
    entry = {"source": {"path": "rows.csv"}, "inputs": TABLE, **over}
    sink = StringIO()
    YAML().dump({"datasets": {"d": entry}}, sink)
    return sink.getvalue()


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    over, says = ENTRIES[name]
    told = tried(written(over), capsys)
    assert (says in told and told.startswith("deepmine: error: ")) if says is not None else told == "", told


@pytest.mark.parametrize("name", FILES)
def test_a_file(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text, says = FILES[name]
    told = tried(text, capsys)
    assert told.startswith("deepmine: error: ")
    assert says in told, told


@pytest.mark.parametrize("name", STEPS)
def test_a_step(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    params = parse(Clean, STEPS[name]["clean"], "clean")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 1.0, 2.0]})
    with pytest.raises(DeepmineError):
        tabular_steps.fit(tabular_steps.pipeline(params.tabular.numeric, "numeric", "clean", 0), frame, "clean")


def test_how_many() -> None:
    assert len(ENTRIES) + len(FILES) + len(STEPS) >= 50


@pytest.mark.parametrize(
    "files",
    [
        {"modules.json": '[{"idx": 0, "path": "", "type": "os.system"}]'}, {"modeling.py": "import os"},
        {"modules.json": r'[{"t\u0079pe": "os\u002esystem"}]'}, {"config.json": r'{"a": [{"auto\u005fmap": {}}]}'},
        {"router_config.json": '{"types": {"q": "joblib.numpy_pickle"}, "structure": {"q": ["q"]}}', "q": "a pickle"},
        {"pytorch_model.bin": "x"}, {"config.json": '{"auto_map": {"AutoModel": "evil.Model"}}'}, {"a/b.pkl": ""},
    ],
)  # fmt: skip
def test_a_folder_of_a_network_that_brings_code_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DeepmineError, match="code"):
        refuse_code(tmp_path)


def test_a_folder_of_a_network_without_code_is_let_through(tmp_path: Path) -> None:
    kind = "sentence_transformers.models."
    (tmp_path / "modules.json").write_text(json.dumps([{"type": f"{kind}Transformer"}, {"type": f"{kind}Router"}]))
    (tmp_path / "router_config.json").write_text(json.dumps({"types": {"q": f"{kind}Pooling"}}))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"normalizer": {"type": "Bert.Normalizer"}, "types": {"a": 1}}))
    refuse_code(tmp_path)


@pytest.mark.slow
def test_what_is_let_through_does_no_harm_in_a_whole_run(tmp_path: Path) -> None:
    """The entries that the check lets pass, each a data set of one project, through every stage."""
    project: Project = new_project(tmp_path / "project", tmp_path)
    rows = "".join(f"{i % 7},{'xy'[i % 2]},{['no', 'yes'][i % 2]}\n" for i in range(150))
    (project.path / "rows.csv").write_text("a,b,label\n" + rows)
    small = {"train": {"epochs": 1}, "report": {"map_points": 20}, "validate": {"max_rejected": 0.5, "copies": "keep"}}
    passing = {n: over for n, (over, says) in ENTRIES.items() if says is None}
    regex = expect(expect="expect_column_values_to_match_regex", column="label", regex="(n+)+$|(y|e|s)+")
    passing["regex"] = regex

    def change(data: dict[str, Any]) -> None:
        made = {n: {"source": {"path": "rows.csv"}, "inputs": TABLE, **small, **over} for n, over in passing.items()}
        data["datasets"] = made

    project.edit(change)
    before = tree(tmp_path)
    told = project.run("deepmine", "plan", code=None) + project.run(
        "deepmine", "run", "--no-server", code=None, timeout=1500
    )
    told += project.run("deepmine", "status", code=None)
    assert not STEERS.search(told), ascii(told)
    assert "Traceback" not in told
    ours = ("project/data/", "project/dvc.lock", "project/.dvc/", "project/.git")
    assert {n: m for n, m in tree(tmp_path).items() if not n.startswith(ours) and "__pycache__" not in n} == {
        n: m for n, m in before.items() if not n.startswith(ours) and "__pycache__" not in n
    }
    assert not (project.path / CANARY).exists()
    assert os.listdir(tmp_path) == ["project"]
