"""Tokens of a text (words and signs, characters, or the bytes of UTF-8) and their ids."""

import re
import unicodedata
from functools import cache
from itertools import islice
from typing import Any

#: Ids of what is not there and of what the vocabulary does not hold.
PADDING, UNKNOWN = 0, 1
#: The vocabulary of bytes, each as the character of its number: its id is the byte + 2.
BYTES = [chr(i) for i in range(256)]
#: Tokens of texts that hold nothing from here on: letters of Latin and what goes with them (`_words` for the others).
LATIN_WORDS = re.compile(r"\w+|[^\w\s]")
BEYOND_LATIN = re.compile("[^\0-\u02ff]")


def size(state: dict[str, Any]) -> int:
    """How many ids there are: the vocabulary's begin at 2."""
    return len(state["vocabulary"]) + 2


def split(text: str, tokens: str, length: int | None = None) -> list[str]:
    """The tokens of a cleaned text, the first ``length`` of them: bytes, characters, or words and signs."""
    if tokens == "byte":
        return list(text.encode()[:length].decode("latin-1"))
    if tokens == "character":
        return list(text[:length])
    words = LATIN_WORDS if text.isascii() or not BEYOND_LATIN.search(text) else _words()
    if length is None or len(text) <= 16 * length:
        return words.findall(text)[:length]
    return [match.group() for match in islice(words.finditer(text), length)]


@cache
def _words() -> re.Pattern[str]:
    r"""`LATIN_WORDS` for all scripts: marks belong to their letter, which `\w` of `re` does not know, and each sign of
    Chinese and Japanese is a token, as no spaces stand between their words."""
    apart = [
        chr(i) for i in range(0x323B0)
        if (unicodedata.category(chr(i))[0] in "PSZC" and chr(i) != "_")
        or 0x3040 <= i <= 0x30FF or 0x3400 <= i <= 0x9FFF or i >= 0x20000
    ]  # fmt: skip
    starts = [c for c, before in zip(apart, ["", *apart], strict=False) if not before or ord(c) != ord(before) + 1]
    ends = [c for c, after in zip(apart, [*apart[1:], ""], strict=True) if not after or ord(after) != ord(c) + 1]
    ranges = "".join(f"{re.escape(a)}-{re.escape(b)}" for a, b in zip(starts, ends, strict=True))
    return re.compile(rf"[^{ranges}]+|\S")
