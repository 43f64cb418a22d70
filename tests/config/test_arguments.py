"""What a person's expectations may hold: nothing that an interpreter reads, nothing that never ends."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tasks.config.dataset import Dataset
from tasks.config.parsing import parse
from tasks.config.validate import Condition, Expectation
from tasks.core.errors import DeepmineError
from tasks.core.time_limit import time_limit
from tasks.validation.expectations import Check, mask, run_suite

SHELL = "@pd.io.common.os.system('touch {}') == 0"


def entry(**expectation: Any) -> dict[str, Any]:
    return {"source": {"path": "x"}, "validate": {"expectations": [expectation]}}


@pytest.mark.parametrize(
    ("expect", "arguments", "says"),
    [
        ("expect_column_values_to_not_be_null", {"column": "a", "row_condition": SHELL}, "row_condition: it would be run"),
        ("expect_column_values_to_not_be_null", {"column": "a", "condition_parser": "pandas"}, "condition_parser"),
        ("expect_column_values_to_not_be_null", {"column": "a", "notes": "<script>"}, "notes: no argument"),
        ("expect_column_values_to_not_be_null", {"column": "a", "meta": {"x": 1}}, "meta: no argument"),
        ("expect_column_values_to_not_be_null", {"colum": "a"}, "Did you mean 'column'"),
        ("expect_column_max_to_be_between", {"column": "a", "max_value": {"$PARAMETER": "now()"}}, "max_value: must be"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": {"$PARAMETER": "x"}}, "must be a list"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [{"$PARAMETER": "x"}]}, "each entry must"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT 1"}, "no database"),
        ("expect_query_results_to_match_comparison", {"base_query": "SELECT 1"}, "needs a database"),
        ("expect_column_values_to_match_like_pattern", {"column": "a"}, "needs a database"),
        ("expect_column_values_to_match_regex", {"column": "a", "regex": "("}, "must be a regular expression"),
        ("expect_column_values_to_match_regex", {"column": "a", "regex": "a" * 1001}, "at most 1,000"),
        ("expect_column_values_to_match_strftime_format", {"column": "a", "strftime_format": "%f" * 99}, "at most 64"),
        ("expect_column_values_to_be_of_type", {"column": "a", "type_": "io.common.os"}, "name of a type"),
        ("expect_column_values_to_match_json_schema", {"column": "a", "json_schema": {"$ref": "file:///etc/x"}}, "refer"),
        ("expect_column_values_to_match_json_schema", {"column": "a", "json_schema": {"items": {"pattern": "(a+)+$"}}},
         "must not use 'pattern'"),
        ("expect_column_quantile_values_to_be_between", {"column": "a", "quantile_ranges": {"$PARAMETER": [1]}}, "lists"),
    ],
)  # fmt: skip
def test_what_reaches_an_interpreter_is_refused_where_it_is_written(
    expect: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(DeepmineError, match=re.escape(says)) as caught:
        parse(Dataset, entry(expect=expect, arguments=arguments), "params.yaml: datasets.x")
    assert "validate.expectations" in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"column": "a", "min_value": 0, "max_value": "2024-01-01", "strict_min": True, "mostly": 0.9},
        {"column_list": ["a", "b"], "sum_total": 3, "ignore_row_if": "any_value_is_missing"},
        {"column": "a", "quantile_ranges": {"quantiles": [0.1, 0.9], "value_ranges": [[0, 1], [None, 9]]}},
        {"column": "a", "json_schema": {"type": "object", "properties": {"b": {"$ref": "#/$defs/c"}}}},
        {"column_A": "a", "column_B": "b", "value_pairs_set": [["x", "y"]]},
    ],
)
def test_what_expectations_need_is_let_through(arguments: dict[str, Any]) -> None:
    parse(Dataset, entry(expect="expect_x", arguments=arguments), "params.yaml")


FRAME = pd.DataFrame({"age": [10.0, 20.0, None, 40.0], "job": ["cook", None, "nurse", "cook"]})


@pytest.mark.parametrize(
    ("column", "operator", "value", "rows"),
    [
        ("age", ">", 10, [1, 3]), ("age", "<=", 20, [0, 1]), ("age", "!=", 10, [1, 3]), ("age", "in", (10, 40), [0, 3]),
        ("job", "==", "cook", [0, 3]), ("job", "not in", ("cook",), [2]), ("job", ">", "d", [2]), ("job", "==", "x", []),
    ],
)  # fmt: skip
def test_a_condition_picks_rows_and_a_missing_value_meets_none(
    column: str, operator: Any, value: Any, rows: list[int]
) -> None:
    assert mask(FRAME, Condition(column=column, operator=operator, value=value)).nonzero()[0].tolist() == rows


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"column": "agee", "operator": ">", "value": 1}, "Did you mean 'age'"),
        ({"column": "age", "operator": ">", "value": "@pd.io"}, "holds numbers"),
        ({"column": "job", "operator": "==", "value": 1}, "holds text"),
    ],
)
def test_a_condition_that_fits_no_column(where: dict[str, Any], says: str) -> None:
    with pytest.raises(DeepmineError, match=says):
        mask(FRAME, Condition(**where))


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"column": "a", "operator": "==", "value": [1]}, "'==' takes one value"),
        ({"column": "a", "operator": "in", "value": 1}, "'in' takes a list"),
        ({"column": "a", "operator": "; import os", "value": 1}, "operator"),
        ({"column": "a", "operator": "==", "value": {"$PARAMETER": "x"}}, "value"),
        ("age > 1", "where"),
    ],
)
def test_a_condition_is_typed(where: Any, says: str) -> None:
    with pytest.raises(DeepmineError, match=says):
        parse(Dataset, entry(expect="expect_x", where=where), "params.yaml")


def test_expectations_of_some_rows(tmp_path: Path) -> None:
    cook = Condition(column="job", operator="==", value="cook")
    nobody = Condition(column="job", operator="==", value="<b>")
    between = ("expect_column_values_to_be_between", {"column": "age", "max_value": 15}, "reject", "")
    count = ("expect_table_row_count_to_equal", {"value": 2}, "fail", "")
    checks = [Check(*count, cook), Check(*between), Check(*between, cook), Check(*between, nobody)]
    found = run_suite("rows", FRAME, checks, tmp_path)
    assert [(o.success, o.rows) for o in found] == [(True, []), (False, [1, 3]), (False, [3]), (True, [])]
    assert found[2].reason == "column values to be between (age) where job == cook"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows", "rows-where-0"]


def test_a_regular_expression_that_never_ends_is_stopped() -> None:
    with pytest.raises(DeepmineError, match=r"'\(a\+\)\+\$' takes more than 0.2 s"), time_limit(0.2, "'(a+)+$'"):
        re.search("(a+)+$", "a" * 60 + "!")


def test_a_slow_expectation_names_the_expression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.validation.expectations.SECONDS", 1.0)
    frame = pd.DataFrame({"a": ["a" * 60 + "\n!"]})
    check = Check("expect_column_values_to_match_regex", {"column": "a", "regex": "(a+)+$"}, "reject")
    with pytest.raises(DeepmineError, match=r"validate\.expectations: checking '\(a\+\)\+\$' takes more"):
        run_suite("rows", frame, [check], tmp_path)


def test_a_where_stands_in_an_expectation() -> None:
    made = parse(Dataset, entry(expect="e", where={"column": "c", "operator": "in", "value": ["x", 1]}), "params.yaml")
    wanted = Condition(column="c", operator="in", value=("x", 1))
    assert made.validate.expectations == (Expectation(expect="e", where=wanted),)
