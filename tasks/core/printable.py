"""Text of strangers for a terminal or a log: what would steer it (colours, cursor, direction of writing) is written out."""

import unicodedata
from typing import Any

#: Joiners, which scripts and emoji need and which steer nothing.
HARMLESS = "\u200c\u200d"
#: Control characters, formats such as the overrides of direction, halves of characters, separators of lines.
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: Any) -> str:
    r"""``text`` in one line with each character that a terminal would obey written out: ESC as `\x1b`, a line's end as `\n`."""
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_written, whole))


def visible_lines(text: Any) -> list[str]:
    r"""The lines of ``text``, each as `visible`. Only `\n` ends a line."""
    return [visible(line) for line in str(text).split("\n")]


def _written(character: str) -> str:
    if unicodedata.category(character) not in STEERING or character in HARMLESS:
        return character
    return character.encode("unicode_escape").decode()
