"""What an expectation may be given: arguments of a closed list, each of a checked form.

Great Expectations hands some arguments on to interpreters: `row_condition` to `DataFrame.query`, which runs any Python,
queries to a database, `$PARAMETER` to a parser, `notes` to Markdown. None of these is let through.
"""

import re
from collections.abc import Callable
from typing import Any

from tasks.core.errors import nearest

#: Arguments of Great Expectations that an interpreter reads, and what to write instead.
REFUSED = {
    "row_condition": "it would be run as code; write `where: {column: ..., operator: '==', value: ...}` beside 'arguments'",
    "condition_parser": "it says how code is run; write `where: {column: ..., operator: '==', value: ...}` beside 'arguments'",
    "unexpected_rows_query": "there is no database to ask",
    "base_query": "there is no database to ask",
    "comparison_query": "there is no database to ask",
}
#: Parts of the names of expectations that only a database can check.
NEEDS_DATABASE = ("like_pattern", "query", "other_table")
#: Keywords of JSON Schema that fetch files or addresses, and those whose regular expressions nothing would stop.
SCHEMA_REFUSED = ("$dynamicRef", "$recursiveRef", "$schema", "$id", "pattern", "patternProperties")
TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
LONGEST_FORMAT, LONGEST_REGEX, DEEPEST = 64, 1000, 32


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _number(value: Any) -> str | None:
    return None if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number"


def _scalar(value: Any) -> str | None:
    return None if value is None or isinstance(value, str | int | float) else "must be a number or text"


def _list_of(kind: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if not isinstance(value, list | tuple):
            return "must be a list"
        return next((f"each entry {why}" for entry in value if (why := kind(entry))), None)

    return check


def _regex(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > LONGEST_REGEX:
        return f"must be text of at most {LONGEST_REGEX:,} characters"
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        return f"must be a regular expression, but {value!r} is none: {error}"
    return None


def _format(value: Any) -> str | None:
    short = isinstance(value, str) and len(value) <= LONGEST_FORMAT
    return None if short else f"must be text of at most {LONGEST_FORMAT} characters"


def _type(value: Any) -> str | None:
    return None if isinstance(value, str) and TYPE.fullmatch(value) else "must be the name of a type, say int64"


def _lists(value: Any) -> str | None:
    """A mapping of words to lists of numbers, or of lists of them."""
    if not isinstance(value, dict):
        return "must be a mapping of lists"
    pair = _list_of(_scalar)
    wrong = [k for k, v in value.items() if k.startswith("$") or (pair(v) and _list_of(pair)(v))]
    return f"must be a mapping of lists, which '{wrong[0]}' is not" if wrong else None


def _schema(value: Any, depth: int = 0) -> str | None:
    if depth == 0 and not isinstance(value, dict):
        return "must be a mapping"
    if depth > DEEPEST:
        return f"must not be nested more than {DEEPEST} deep"
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in SCHEMA_REFUSED or key.startswith("$PARAMETER"):
                return f"must not use '{key}'"
            if key == "$ref" and not (isinstance(inner, str) and inner.startswith("#")):
                return "must not refer to another file or address ('$ref')"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((why for part in parts if (why := _schema(part, depth + 1))), None)


#: Argument -> what is wrong with a value, if anything.
ARGUMENTS: dict[str, Callable[[Any], str | None]] = {
    **dict.fromkeys(("column", "column_A", "column_B", "match_on", "ignore_row_if", "method"), _text),
    **dict.fromkeys(("column_list", "column_set"), _list_of(_text)),
    **dict.fromkeys(
        ("strict_min", "strict_max", "or_equal", "strictly", "double_sided", "ties_okay", "exact_match",
         "allow_relative_error", "bucketize_data"), _flag
    ),
    **dict.fromkeys(
        ("column_index", "value", "sum_total", "mostly", "threshold", "multiplier", "tail_weight_holdout",
         "internal_weight_holdout"), _number
    ),
    "min_value": _scalar, "max_value": _scalar,  # numbers, or dates as text
    "value_set": _list_of(_scalar), "value_pairs_set": _list_of(_list_of(_scalar)),
    "regex": _regex, "regex_list": _list_of(_regex), "strftime_format": _format,
    "type_": _type, "type_list": _list_of(_type), "json_schema": _schema,
    "quantile_ranges": _lists, "partition_object": _lists,
}  # fmt: skip


def wrong_arguments(expect: str, arguments: dict[str, Any]) -> str | None:
    """Why an expectation of a person cannot be taken; None where it can."""
    if any(part in expect for part in NEEDS_DATABASE):
        return f"{expect} needs a database, and rows here are no database"
    for name, value in arguments.items():
        if name in REFUSED:
            return f"arguments.{name}: {REFUSED[name]}"
        if name not in ARGUMENTS:
            return f"arguments.{name}: no argument of an expectation.{nearest(name, ARGUMENTS)}"
        if why := ARGUMENTS[name](value):
            return f"arguments.{name}: {why}"
    return None
