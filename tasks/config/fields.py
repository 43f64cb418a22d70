"""Kinds of values that several sections share, and what a name may be."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from tasks.config.parsing import Between

#: Names of datasets, inputs, miners and recipes: they become parts of paths, keys, commands and pages.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

#: The same in words.
NAMED = "starts with a lower-case letter and holds only lower-case letters, digits, '-' and '_', 64 characters at most"

#: Columns of every store, which no input may be called.
RESERVED = {"id", "content", "split", "label", "group", "source", "bytes", "time", "reason", "detail"}

Count = Annotated[int, Between(1)]

Share = Annotated[float, Between(0, 1)]

Positive = Annotated[float, Between(1e-12)]

NotNegative = Annotated[float, Between(0)]

Seed = Annotated[int, Between(0, 2**32 - 1)]

Device = Literal["auto", "cpu", "cuda"]

Precision = Literal["auto", "float32", "bfloat16"]


def check_names(key: str, names: Iterable[str], what: str) -> None:
    """Refuse names that do not match `NAME`.

    Raises:
        ValueError: of the first, in words.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{key}: {name!r} cannot name {what}: a name {NAMED}")
