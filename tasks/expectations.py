"""Great Expectations behind one function: a frame and checks in, outcomes and Data Docs out."""

import logging
import os
import re
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.errors import DeepmineError, nearest

OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>|<(?:link|img)[^>]*\b(?:href|src)=[\"']https?://[^>]*>"
)
PLAIN = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.35rem .6rem;text-align:left}
.badge{background:#eee;border-radius:.3rem;padding:.1rem .4rem}nav ol,.breadcrumb{list-style:none;padding:0;display:flex;gap:1rem}
.collapse:not(.show),.modal,.tooltip,#navigation-menu,.navbar-toggler,footer,.footer{display:none}"""


@dataclass(frozen=True)
class Check:
    """An expectation by its snake_case name; ``action`` is what follows when it is not met."""

    expect: str
    arguments: dict[str, Any]
    action: str
    reason: str = ""


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
    """Run ``checks`` on ``frame`` and render Data Docs into ``docs``.

    Raises:
        DeepmineError: an expectation does not exist, has wrong arguments, or could not be computed
            (a check that crashed says nothing about the rows).
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx  # 2 to 5 seconds

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        expectations = [_expectation(gx, check) for check in checks]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        asset = context.data_sources.add_pandas("frame").add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name)
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
        backend = {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str((docs / name).absolute()),
        }
        context.add_data_docs_site(
            "docs",
            {  # type: ignore[typeddict-unknown-key]
"class_name": "SiteBuilder", "store_backend": backend, "show_how_to_buttons": False,
             "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}},
        )  # fmt: skip
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name=name, validation_definitions=[definition], result_format="COMPLETE",
                actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["docs"])],
            )
        )  # fmt: skip
        run = checkpoint.run(batch_parameters={"dataframe": frame.reset_index(drop=True)})
        [validation] = run.run_results.values()
        by_id = {r.expectation_config.id: r for r in validation.results if r.expectation_config is not None}
        _make_offline(docs / name)
        return [_outcome(name, c, by_id[e.id]) for c, e in zip(checks, suite.expectations, strict=True)]


def _make_offline(docs: Path) -> None:
    """Data Docs load scripts and styles from outside; without them they show the same tables, plainly styled."""
    shutil.rmtree(docs / "static", ignore_errors=True)  # 3 MB of fonts and pictures of its own
    for page in docs.rglob("*.html"):
        text = OUTSIDE.sub("", page.read_text(encoding="utf-8"))
        page.write_text(text.replace("</head>", f"<style>{PLAIN}</style></head>", 1), encoding="utf-8")


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


def _outcome(suite: str, check: Check, result: Any) -> Outcome:
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
    rows = [] if result.success else [int(i) for i in values.get("unexpected_index_list") or []]
    observed = values.get("observed_value", values.get("unexpected_count", ""))
    reason = check.reason or f"{check.expect.removeprefix('expect_').replace('_', ' ')} ({column or 'table'})"
    return Outcome(suite, check.expect, column, check.action, reason, bool(result.success), str(observed), rows)
