"""What may make test scores too good, and what else is worth knowing of the splits, before anything is believed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run


@dataclass(frozen=True)
class Leaks(Content):
    """Findings that may make test scores too good; ``notes`` were expected, or fixed automatically."""

    findings: list[dict[str, Any]]
    notes: list[dict[str, Any]]


def build(run: "Run") -> Leaks | None:
    """None where the checks found nothing."""
    findings, notes = leaks(run.validated), run.validated.get("notes", [])
    return Leaks(findings, notes) if findings or notes else None


def leaks(validated: dict[str, Any]) -> list[dict[str, Any]]:
    """What may make test scores too good, less near-duplicates: the data quality section has these with their pictures."""
    return [leak for leak in validated["leaks"] if leak.get("kind") != "near-duplicates"]
