"""Folders of files: a folder a class, a folder a split, names that say it all, or files without a label."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.errors import DeepmineError, nearest
from tasks.core.time_limit import time_limit
from tasks.sources.base import SPLITS, cannot_look, state_of

if TYPE_CHECKING:
    from tasks.config.source import Source

JUNK = {"thumbs.db", "desktop.ini"}
#: What a group of `source.pattern` may be called.
GROUPS = ("label", "group", "train", "val", "test")
#: Seconds that a pattern may take, and for each name: an honest one takes microseconds.
SECONDS, SECONDS_A_NAME = 10.0, 1e-3


def folder(source: "Source") -> list[tuple[Any, ...]]:
    """Id, path, label, split, group and state of each file.

    A folder per class holds its files at any depth; where there is no such folder, files have no label. What the
    names of `source.pattern` say goes before what the folders say. A file that does not match is listed without
    either, and set aside when it is read.

    Raises:
        DeepmineError: an empty class folder, split folders beside others, a pattern that is none, or a folder that
            cannot be looked into.
    """
    try:
        return _folder(source)
    except OSError as error:
        raise cannot_look(os.fspath(error.filename or source.path), error) from None


def _folder(source: "Source") -> list[tuple[Any, ...]]:
    root = Path(source.path)
    pattern = compiled(source.pattern) if source.pattern else None
    tops = _folders(root)
    named = [name for name in tops if name.lower() in SPLITS]
    if named and len(named) < len(tops):
        other = ", ".join(name for name in tops if name.lower() not in SPLITS)
        raise DeepmineError(f"{root}: holds both split folders and others ({other}). Move the others away.")
    homes: list[tuple[str | None, str]] = [(SPLITS[name.lower()], str(root / name)) for name in named]
    rows = []
    for split, home in homes or [(None, str(root))]:
        rows += [_row(entry, root, label, split) for label, entry in _labelled(home, pattern)]
    return _told_apart(_named(rows, pattern) if pattern else rows)


def _named(rows: list[tuple[Any, ...]], pattern: re.Pattern[str]) -> list[tuple[Any, ...]]:
    """``rows`` with what the names of their files say in the place of what the folders say."""
    found = said(pattern, [row[1] for row in rows])
    return [
        (name, path, own.get("label", label), own.get("split") or split, own.get("group"), state)
        for own, (name, path, label, split, _, state) in zip(found, rows, strict=True)
    ]


def _told_apart(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """``rows`` with ids that are all different: names may differ in their Unicode normalisation alone.

    The file whose name is composed (NFC) is called by it; the others have `~` and a hash of their own name after it.
    """
    if len({row[0] for row in rows}) == len(rows):
        return rows
    count = Counter(row[0] for row in rows)
    return [(own_id(*row[:2]), *row[1:]) if count[row[0]] > 1 and row[0] != row[1] else row for row in rows]


def own_id(name: str, path: str) -> str:
    """The id of a file whose composed name is also another's."""
    return f"{name}~{hashlib.sha256(path.encode()).hexdigest()[:8]}"


@lru_cache(8)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern whose named groups are known ones.

    Raises:
        DeepmineError: it is no regular expression, or names nothing.
    """
    try:
        made = re.compile(pattern)
    except re.error as error:
        raise DeepmineError(f"source.pattern: {pattern!r} is no regular expression: {error}.") from None
    for name in made.groupindex:
        if name not in GROUPS:
            raise DeepmineError(f"source.pattern: the group '{name}' says nothing.{nearest(name, GROUPS)}")
    if not made.groupindex:
        raise DeepmineError(
            f"source.pattern: {pattern!r} names nothing. Name a part of it, for example (?P<label>[a-z]+)_.*"
        )
    return made


def said(pattern: re.Pattern[str], paths: Sequence[str]) -> list[dict[str, str | None]]:
    """`label`, `group` and `split` as far as the name of each of ``paths`` says them.

    Raises:
        DeepmineError: the pattern tries exponentially many ways on one of them.
    """
    with time_limit(SECONDS + SECONDS_A_NAME * len(paths), f"source.pattern: trying {pattern.pattern!r} on the names"):
        return [_said(pattern, path) for path in paths]


def _said(pattern: re.Pattern[str], path: str) -> dict[str, str | None]:
    match = pattern.search(path)
    found = {key: value for key, value in match.groupdict().items() if value} if match else {}
    result: dict[str, str | None] = {key: found.get(key) for key in ("label", "group") if key in pattern.groupindex}
    if {"train", "val", "test"} & pattern.groupindex.keys():
        result["split"] = next((s for s in ("test", "val", "train") if s in found), None)
    return result


def _labelled(home: str, pattern: re.Pattern[str] | None) -> Iterator[tuple[str | None, os.DirEntry[str]]]:
    """Files below ``home`` with the class folder that they are in."""
    labels = [] if pattern and "label" in pattern.groupindex else _folders(home)
    for label in labels:
        empty = True
        for entry in _files(os.path.join(home, label)):
            yield label, entry
            empty = False
        if empty:
            raise DeepmineError(f"{os.path.join(home, label)}: an empty class folder. Fill or remove it.")
    if not labels:
        yield from ((None, entry) for entry in _files(home))


def _folders(home: str | Path) -> list[str]:
    return sorted(e.name for e in os.scandir(home) if e.is_dir() and e.name[0] != ".")


def _files(home: str) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(home):
        if entry.name[0] == "." or entry.name.lower() in JUNK:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry


def _row(entry: os.DirEntry[str], root: Path, label: str | None, split: str | None) -> tuple[Any, ...]:
    path = _text(entry.path[len(str(root)) + 1 :])
    own = _text(label) if label is not None else None
    return (unicodedata.normalize("NFC", path), path, own, split, None, state_of(entry))


def _text(name: str) -> str:
    """``name`` with what is no UTF-8 written out: no table can hold it."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")
