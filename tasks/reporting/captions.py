"""What stands below an example: short, and never broken inside a word where that can be helped."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup, escape

from tasks.reporting.formatting import NONE, significant

#: Numbers of a long label that are written out.
MOST_NUMBERS = 4
#: Where a name may be broken into lines besides its spaces.
JOINTS = re.compile(r"(?<=[/_.\-])(?=[^/_.\-\s])(?<!\d\.(?=\d))")


def short(text: str, length: int) -> str:
    """``text`` in one line of at most ``length`` characters, cut between words where there are any.

    Control characters, which a browser shows as boxes, are left out.
    """
    whole = " ".join("".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc").split())
    if len(whole) <= length:
        return whole
    head = whole[: length - 1]
    word = head if whole[length - 1] == " " else head.rpartition(" ")[0]
    return (word if len(word) > length * 0.6 else head).rstrip(" ,;:.") + "…"


def undirected(text: str) -> str:
    """Without characters that turn the direction of writing: in a drawing nothing can keep them to themselves."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def middle(text: Any, length: int) -> str:
    """At most ``length`` characters of a name, cut in the middle: ids differ at their ends."""
    whole = str(text)
    if len(whole) <= length:
        return whole
    tail = (length - 1) * 2 // 3
    return f"{whole[: length - 1 - tail]}…{whole[-tail:]}"


def joints(text: Any) -> Markup:
    """What a person wrote, escaped, with its own direction, to be broken at its joints alone."""
    whole = NONE if text is None or text == "" else str(text)
    return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(escape(part) for part in JOINTS.split(whole)))


def values(numbers: Iterable[float]) -> str:
    """Several numbers, those after the first few as "…"."""
    every = [significant(float(n)) for n in numbers]
    return ", ".join(every[:MOST_NUMBERS]) + (", …" if len(every) > MOST_NUMBERS else "")


FILTERS: dict[str, Callable[..., Any]] = {"middle": middle, "joints": joints}
