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
    found = [one for one in run.validated["findings"] if one["section"] == "leaks"]
    notes = [one for one in found if one["severity"] == "note"]
    return Leaks([one for one in found if one not in notes], notes) if found else None
