"""The one exception whose text is written for the person who runs deepmine."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class DeepmineError(Exception):
    """A person's mistake or a fault in their data: says what, where, why, and what to do.

    The command line prints it without a traceback and exits with 1.
    """


class Damaged(DeepmineError):
    """A file that deepmine wrote is not as it was written; names it and the command that mends it."""

    def __init__(self, path: Path, why: str = "its content is not what was written") -> None:
        super().__init__(f"{path}: damaged: {why}. Mend it: deepmine doctor --mend, then: deepmine run")
        self.path, self.why = path, why


def nearest(word: str, choices: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the closest of ``choices``, or the list of them when none is close."""
    names = sorted(choices)
    match = [n for n in names if n.lower() == word.lower()] or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f" Did you mean '{match[0]}'?" if match else f" Known: {first_few(names) or 'none'}."


def first_few(names: Sequence[str], most: int = 40) -> str:
    """The first ``most`` of ``names``, and how many there are beyond."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


class Unreadable(Exception):
    """One item cannot be used; ``reason`` is a short phrase to count by, ``detail`` the particulars."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail
