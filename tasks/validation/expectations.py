"""Great Expectations behind one function: a frame and checks in, outcomes and Data Docs out."""

import logging
import operator
import os
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.core.content_policy import policy_tag
from tasks.core.errors import DeepmineError, nearest
from tasks.core.files import inside, write_atomically
from tasks.core.time_limit import time_limit

if TYPE_CHECKING:
    from tasks.config.validate import Condition

PLAIN = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.35rem .6rem;text-align:left}
.badge{background:#eee;border-radius:.3rem;padding:.1rem .4rem}nav ol,.breadcrumb{list-style:none;padding:0;display:flex;gap:1rem}
.collapse:not(.show),.modal,.tooltip,#navigation-menu,.navbar-toggler,footer,.footer{display:none}"""


#: Characters that mean something in HTML or to `string.Template`, and what stands for them while GX makes a page:
#: it escapes some of what it is given and not the rest, such as the names of columns. (Signs of Linear A: `repr` lets
#: them through.)
VEIL = {ord(c): 0x10600 + i for i, c in enumerate("<>&\"'`$")}
UNVEIL = {put: f"&#{c};" for c, put in VEIL.items()}
#: What Data Docs bring of their own: scripts, styles, and addresses of outside.
OWN = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<(?:link|img|meta|iframe)\b[^>]*>"
    r"|(?<=\s)(?:style|on\w+|href|data-toggle)=(?!\"#)(?:\"[^\"]*\"|'[^']*')", re.S
)  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda values, wanted: values.isin(wanted), "not in": lambda values, wanted: ~values.isin(wanted),
}  # fmt: skip
#: Seconds that the checks may take, and for each value: what they take without a regular expression gone wild is far
#: below (100,000 rows, 30 checks: 6 s).
SECONDS, SECONDS_A_VALUE = 120.0, 1e-3


@dataclass(frozen=True)
class Check:
    """An expectation by its snake_case name; ``action`` is what follows when it is not met, ``where``: of which rows."""

    expect: str
    arguments: dict[str, Any]
    action: str
    reason: str = ""
    where: "Condition | None" = None


@dataclass(frozen=True)
class Outcome:
    """What came of a check. ``rows`` are positions in the frame, of rows that an unmet expectation names."""

    suite: str
    expect: str
    column: str
    action: str
    reason: str
    success: bool
    observed: str
    rows: list[int] = field(default_factory=list)


def run_suite(name: str, frame: pd.DataFrame, checks: list[Check], docs: Path) -> list[Outcome]:
    """Run ``checks`` on ``frame`` and write a page of Data Docs into the folder ``name`` of ``docs``; where checks are
    about some of the rows, into one folder more for each such set of rows.

    Raises:
        DeepmineError: an expectation does not exist, has wrong arguments, could not be computed
            (a check that crashed says nothing about the rows), or takes far too long.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    found: dict[int, Outcome] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx  # 2 to 5 seconds

        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what went wrong stands in the results
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        asset = context.data_sources.add_pandas("frame").add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name)
        conditions = list(dict.fromkeys(check.where for check in checks))
        for number, where in enumerate(conditions):
            own = {i: check for i, check in enumerate(checks) if check.where == where}
            places = np.arange(len(frame)) if where is None else np.flatnonzero(mask(frame, where))
            if where is not None and not len(places):
                found |= {i: _unasked(name, check) for i, check in own.items()}
                continue
            title = name if where is None else f"{name}-where-{number}"
            expectations = {i: _expectation(gx, check) for i, check in own.items()}
            suite = context.suites.add(gx.ExpectationSuite(name=title, expectations=[*expectations.values()]))
            definition = context.validation_definitions.add(
                gx.ValidationDefinition(name=title, data=batch, suite=suite)
            )
            rows = frame.iloc[places].reset_index(drop=True)
            with time_limit(SECONDS + SECONDS_A_VALUE * len(rows) * len(own), _slow(own.values())):
                result = definition.run(batch_parameters={"dataframe": rows}, result_format="COMPLETE")
            by_id = {r.expectation_config.id: r for r in result.results if r.expectation_config is not None}
            for (i, check), made in zip(own.items(), suite.expectations, strict=True):
                found[i] = _outcome(name, check, by_id[made.id], places)
            write_atomically(inside(docs, title) / "index.html", _page(gx, result).encode())
    return [found[i] for i in range(len(checks))]


def mask(frame: pd.DataFrame, where: "Condition") -> np.ndarray:
    """(N,) the rows that a condition is about.

    Raises:
        DeepmineError: there is no such column, or its values are of another kind than the condition's.
    """
    place = "params.yaml: validate.expectations: where"
    if where.column not in frame:
        raise DeepmineError(f"{place}: no column '{where.column}'.{nearest(where.column, map(str, frame.columns))}")
    values = frame[where.column]
    wanted = where.value if isinstance(where.value, tuple) else (where.value,)
    numeric = pd.api.types.is_numeric_dtype(values)
    odd = [value for value in wanted if isinstance(value, str) == numeric]
    if odd:
        kind = "numbers" if numeric else "text"
        raise DeepmineError(f"{place}: '{where.column}' holds {kind}, which {odd[0]!r} is not.")
    met = COMPARE[where.operator](values, where.value) & values.notna()
    return np.asarray(met, bool)


def _slow(checks: Iterable[Check]) -> str:
    """What to name when the checks take too long: the person's regular expressions, if there are any."""
    regexes = [c.arguments[k] for c in checks for k in ("regex", "regex_list") if k in c.arguments]
    return f"params.yaml: validate.expectations: checking {', '.join(map(repr, regexes)) or 'them'}"


def _page(gx: Any, result: Any) -> str:
    """The outcome of a suite as Data Docs show it: nothing of the data is markup, nothing runs, nothing is loaded."""
    from great_expectations.core import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    veiled = expectationSuiteValidationResultSchema.load(_veiled(result.to_json_dict()))
    text = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(veiled))
    head = f'<head><meta charset="utf-8">{policy_tag([], [PLAIN])}<style>{PLAIN}</style>'
    return OWN.sub("", text).replace("<head>", head, 1).translate(UNVEIL)


def _veiled(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(VEIL)
    if isinstance(value, dict):
        return {_veiled(key): _veiled(inner) for key, inner in value.items()}
    return [_veiled(inner) for inner in value] if isinstance(value, list | tuple) else value


def _expectation(gx: Any, check: Check) -> Any:
    known = {n for n in dir(gx.expectations) if n.startswith("Expect")}
    name = "".join(part.title() for part in check.expect.split("_"))
    if name not in known:
        snake = {"".join("_" + c.lower() if c.isupper() else c for c in n).lstrip("_") for n in known}
        raise DeepmineError(
            f"params.yaml: validate.expectations: unknown '{check.expect}'.{nearest(check.expect, snake)}"
        )
    try:
        return getattr(gx.expectations, name)(**check.arguments)
    except (ValueError, TypeError) as error:
        raise DeepmineError(f"params.yaml: validate.expectations: {check.expect}: {error}") from None


def _unasked(suite: str, check: Check) -> Outcome:
    """No row is one that the check is about."""
    column = str(check.arguments.get("column", ""))
    return Outcome(suite, check.expect, column, check.action, _reason(check), True, "no such row")


def _reason(check: Check) -> str:
    """What a row that fails is set aside for."""
    words = check.expect.removeprefix("expect_").replace("_", " ")
    reason = check.reason or f"{words} ({check.arguments.get('column') or 'table'})"
    if check.where is None:
        return reason
    value = check.where.value
    listed = ", ".join(map(str, value)) if isinstance(value, tuple) else value
    return f"{reason} where {check.where.column} {check.where.operator} {listed}"


def _outcome(suite: str, check: Check, result: Any, places: np.ndarray) -> Outcome:
    column = str(check.arguments.get("column", ""))
    crash = result.exception_info or {}
    nested = [crash, *(v for v in crash.values() if isinstance(v, dict))]
    for info in nested:
        if info.get("raised_exception"):
            raise DeepmineError(
                f"expectation {check.expect} (column '{column}') could not be checked: {info.get('exception_message')}. "
                "Correct it under validate.expectations in params.yaml."
            )
    values = result.result or {}
    # an expectation that passes by `mostly` still lists the rows that fail it: those stay
    rows = [] if result.success else [int(places[i]) for i in values.get("unexpected_index_list") or []]
    observed = values.get("observed_value", values.get("unexpected_count", ""))
    return Outcome(
        suite, check.expect, column, check.action, _reason(check), bool(result.success), str(observed), rows
    )  # fmt: skip
