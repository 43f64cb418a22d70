"""Splits by hash: shares as asked for, the same row the same split, and no split without a group."""

from collections import Counter

import pytest

from tasks.core.files import fingerprint
from tasks.splitting.splits import FEW, draw, split_of, splits_of_few


def test_shares_are_about_what_was_asked() -> None:
    found = Counter(split_of(f"{i}", 0.1, 0.2) for i in range(5000))
    assert abs(found["val"] - 500) < 100
    assert abs(found["test"] - 1000) < 130
    assert {split_of(f"{i}", 0.0, 0.0) for i in range(100)} == {"train"}


@pytest.mark.parametrize(
    "key", ["", "a", "0" * 64, 'q"uote', "back\\slash", "two\nlines", "zażółć", "猫", "😀", "\x7f\0"]
)
def test_the_place_of_a_row_is_its_fingerprints(key: str) -> None:
    place = int(fingerprint("split", key)[:16], 16) / 2**64
    expected = "test" if place < 0.3 else "val" if place < 0.6 else "train"
    assert split_of(key, 0.3, 0.3) == expected


@pytest.mark.parametrize("count", range(2, 12))
def test_few_groups_leave_no_split_empty(count: int) -> None:
    found = splits_of_few([f"speaker {i}" for i in range(count)], 0.1, 0.2)
    assert {"train", "test"} <= set(found.values())
    assert ("val" in found.values()) == (count > 2)
    assert list(splits_of_few([f"speaker {i}" for i in range(count)], 0.0, 0.0).values()) == ["train"] * count


def test_what_the_source_settles_is_not_drawn() -> None:
    groups = [f"speaker {i}" for i in range(6)]
    drawn = draw({"test"}, groups, 0.2, 0.2)
    assert (drawn.official, drawn.val, drawn.test) == (["test"], 0.2, 0.0)
    assert {drawn.split("train", group, "content") for group in groups} == {"train", "val"}
    assert drawn.split("test", groups[0], "content") == "test"
    assert drawn.split("val", groups[0], None) == "val"


def test_many_groups_and_rows_without_one_are_drawn_by_hash() -> None:
    many = draw(set(), [f"{i}" for i in range(FEW + 1)], 0.3, 0.3)
    assert many.few == draw(set(), [], 0.3, 0.3).few == {}
    assert {many.split(None, "a", f"{i}") for i in range(30)} == {split_of("a", 0.3, 0.3)}
    assert [many.split("train", None, f"{i}") for i in range(30)] == [split_of(f"{i}", 0.3, 0.3) for i in range(30)]
    assert list(draw(set(), [f"{i}" for i in range(FEW)], 0.3, 0.3).few.values()).count("test") == 15
