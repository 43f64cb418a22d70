"""What a check of `CHECKS` finds."""

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["leak", "warning", "note"]
#: The most severe first. A leak makes test scores too good, and fails the stage with `validate.leaks: fail`; a warning is
#: worth a look; a note was expected, or fixed automatically.
SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "note")
LEAK, WARNING, NOTE = SEVERITIES
#: Examples of a finding at most.
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One finding, with all that the terminal and the report show of it.

    Attributes:
        title: a few words, `Copies across splits`.
        text: whole sentences: what was found, why it matters, and what to do.
        examples: ids or names of at most `MOST_EXAMPLES` cases, which the report lists after the text.
        details: the numbers and names of the text, for whoever reads the summary of validate by program.
        section: key of the report's section that shows it.
    """

    severity: Severity
    title: str
    text: str
    examples: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    section: str = "leaks"


def in_words(finding: dict[str, Any]) -> str:
    """A finding, as the summary of validate has it, in one paragraph."""
    examples = f" For example {', '.join(finding['examples'])}." if finding["examples"] else ""
    return f"{finding['title']}: {finding['text']}{examples}"
