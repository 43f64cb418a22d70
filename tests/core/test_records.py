"""Dataclasses as JSON and back: what is written is read again, and what a file lacks has its default."""

from dataclasses import dataclass, field

import pytest

from tasks.core.records import as_json, from_json
from tests.fixtures.written import written


@dataclass(frozen=True)
class Part:
    size: int
    note: str | None = None


@dataclass(frozen=True)
class Whole:
    name: str
    best: Part | None
    parts: list[Part]
    by_name: dict[str, Part] = field(default_factory=dict)
    pairs: tuple[tuple[int, float], ...] = ()


def test_what_is_written_is_read_again() -> None:
    whole = Whole("a", None, [Part(1), Part(2, "two")], {"b": Part(3)}, ((1, 0.5), (2, 0.25)))
    assert from_json(Whole, written(whole)) == whole


def test_none_is_left_out_where_it_is_the_default_alone() -> None:
    assert written(Whole("a", None, [Part(1)])) == {
        "name": "a", "best": None, "parts": [{"size": 1}], "by_name": {}, "pairs": [],
    }  # fmt: skip


def test_other_keys_are_passed_over_and_missing_ones_are_a_fault() -> None:
    assert from_json(Part, {"size": 1, "files": {}}) == Part(1)
    with pytest.raises(KeyError, match="size"):
        from_json(Part, {})
    with pytest.raises(TypeError, match="object has no form in JSON"):
        as_json(object())
