"""Checks of rows and splits before anything is learned.

Each entry of `CHECKS` is a module with `check(context) -> Iterator[Finding]`, named after what it finds; `context.py` says
what a check is given, `finding.py` what it gives. `group_overlap.py` is the one to read first.
"""

from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.validation.context import Context

CHECKS = {
    "train_test_overlap": "tasks.validation.train_test_overlap",
    "repeated_rows": "tasks.validation.repeated_rows",
    "near_duplicates": "tasks.validation.near_duplicates",
    "group_overlap": "tasks.validation.group_overlap",
    "target_leakage": "tasks.validation.target_leakage",
    "column_order": "tasks.validation.column_order",
    "recording_leakage": "tasks.validation.recording_leakage",
    "word_leakage": "tasks.validation.word_leakage",
    "undeclared_groups": "tasks.validation.undeclared_groups",
    "time_overlap": "tasks.validation.time_overlap",
    "split_drift": "tasks.validation.split_drift",
}


def run_checks(context: "Context") -> list[dict[str, Any]]:
    """What every check finds, as mappings with the name of the `check`; the most severe first, then in order of `CHECKS`."""
    from tasks.validation.finding import SEVERITIES

    found = [
        {"check": name, **asdict(one)}
        for name, module in CHECKS.items()
        for one in import_module(module).check(context)
    ]
    return sorted(found, key=lambda one: SEVERITIES.index(one["severity"]))
