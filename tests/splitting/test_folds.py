"""Folds of every scheme: what must share one does, time runs forward, and order and sharding decide nothing."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from tasks.splitting.folds import NONE, Cases, Folds, make_folds, told


def cases(n: int = 120, **columns: object) -> Cases:
    """``n`` different rows of two classes, one row in four of the rarer."""
    ids = np.array([f"r{i:03d}" for i in range(n)], dtype=object)
    made = {
        "content": np.array([f"c{i:03d}" for i in range(n)], dtype=object), "group": np.full(n, "", dtype=object),
        "label": np.array(["ab"[i % 4 == 0] for i in range(n)], dtype=object), "time": np.full(n, np.nan),
    }  # fmt: skip
    return Cases(ids, **{**made, **columns})  # type: ignore[arg-type]


def by_id(made: Cases, folds: Folds) -> dict[str, tuple[int, ...]]:
    """id -> its fold, and its split in each."""
    return {
        i: (int(f), *row) for i, f, *row in zip(made.ids, folds.fold, *folds.split, strict=True)
    }  # fmt: skip


def test_every_row_is_judged_once_and_classes_are_spread_evenly() -> None:
    made = cases()
    folds = make_folds(made, 5, "auto", 0.1, 0)
    assert (folds.scheme, folds.count, folds.why) == ("stratified", 5, "")
    assert Counter(folds.fold.tolist()) == dict.fromkeys(range(5), 24)
    for k in range(5):
        assert Counter(made.label[folds.fold == k].tolist()) == {"a": 18, "b": 6}
        assert ((folds.split[k] == "test") == (folds.fold == k)).all()
        val = (folds.split[k] == "val").sum()
        assert 4 <= val <= 20
        assert (folds.split[k] == "train").sum() + val == 96
    assert next(told(folds)) == {"fold": 0, "train": int((folds.split[0] == "train").sum()),
                                    "val": int((folds.split[0] == "val").sum()), "test": 24}  # fmt: skip


@pytest.mark.parametrize("scheme", ["stratified", "group", "time"])
def test_the_order_of_the_rows_decides_nothing(scheme: str) -> None:
    group = np.array([f"g{i % 17}" for i in range(120)], dtype=object)
    made = cases(group=group, time=np.arange(120.0) % 40)
    order = np.random.default_rng(0).permutation(120)
    other = Cases(*(getattr(made, name)[order] for name in ("ids", "content", "label", "group", "time")))
    first, again = (make_folds(x, 4, scheme, 0.1, 0) for x in (made, other))
    assert by_id(made, first) == by_id(other, again)
    assert (first.scheme, first.count) == (scheme, 4)


def test_another_seed_makes_other_folds() -> None:
    first, other = (make_folds(cases(), 5, "auto", 0.1, seed) for seed in (0, 1))
    assert 60 < (first.fold != other.fold).sum() < 120


def test_copies_share_a_fold_in_every_scheme() -> None:
    content = np.array([f"c{i % 40}" for i in range(120)], dtype=object)
    folds = make_folds(cases(content=content), 5, "auto", 0.2, 0)
    for k in range(5):
        seen = set(content[np.isin(folds.split[k], ["train", "val"])])
        assert not seen & set(content[folds.split[k] == "test"])
        assert not set(content[folds.split[k] == "train"]) & set(content[folds.split[k] == "val"])
    later = make_folds(cases(content=content, time=np.arange(120.0)), 3, "time", 0.1, 0)
    for k in range(3):
        assert not set(content[np.isin(later.split[k], ["train", "val"])]) & set(content[later.split[k] == "test"])


def test_groups_never_straddle_not_even_by_a_copy_in_two_of_them() -> None:
    group = np.array([f"g{i % 23}" if i % 5 else "" for i in range(120)], dtype=object)
    content = np.array([f"c{i:03d}" for i in range(120)], dtype=object)
    content[1] = content[2]  # of g1 and g2
    made = cases(group=group, content=content)
    folds = make_folds(made, 4, "auto", 0.2, 0)
    assert (folds.scheme, folds.count) == ("group", 4)
    for k in range(4):
        where = defaultdict(set)
        for g, s in zip(group, folds.split[k], strict=True):
            where[g].add(s)
        assert all(len(splits) == 1 for g, splits in where.items() if g)
    assert folds.fold[1] == folds.fold[2]
    assert (folds.fold != NONE).all()
    # a person may ask what it costs to leave groups out of account
    assert any(
        len(set(make_folds(made, 4, "stratified", 0.2, 0).fold[group == g])) > 1 for g in ("g3", "g4", "g6")
    )  # fmt: skip


def test_time_never_runs_backwards_and_no_window_straddles() -> None:
    rng = np.random.default_rng(0)
    time = rng.permutation(np.repeat(np.arange(60.0) * 5, 2))
    made = cases(time=time)
    folds = make_folds(replace(made, span=12.0), 4, "auto", 0.2, 0)
    assert (folds.scheme, folds.count) == ("time", 4)
    assert (folds.fold == NONE).sum() == 24
    before = 0
    for k in range(4):
        train, val, test = (time[folds.split[k] == name] for name in ("train", "val", "test"))
        assert train.max() + 12 <= val.min()
        assert val.max() + 12 <= test.min()
        assert test.max() < min(time[folds.fold == k + 1], default=np.inf)
        assert len(train) > before, "what is learned from grows"
        before = len(train)
    plain = make_folds(made, 4, "auto", 0.0, 0)
    assert all(((time < time[plain.fold == k].min()) == (plain.split[k] == "train")).all() for k in range(4))


def test_numbers_are_spread_evenly_too() -> None:
    numbers = np.arange(120) ** 2
    made = cases(label=np.array([f"{v} 1" for v in numbers], dtype=object), numbers=True)
    folds = make_folds(made, 4, "auto", 0.1, 0)
    for k in range(4):
        assert numbers[folds.fold == k].max() > np.quantile(numbers, 0.9)
        assert numbers[folds.fold == k].min() < np.quantile(numbers, 0.1)


@pytest.mark.parametrize(
    ("made", "asked", "count", "why"),
    [
        (cases(3, label=np.array(["a", "b", "b"], dtype=object)), 5, 0, "do not make two folds"),
        (cases(label=np.full(120, "a", dtype=object)), 5, 0, "1 class"),
        (cases(label=np.array(["b"] * 3 + ["a"] * 117, dtype=object)), 5, 3, "3 folds in place of 5: "),
        (cases(group=np.array(["g1"] * 60 + ["g2"] * 60, dtype=object)), 5, 2, "2 folds in place of 5: more do not go into 2 groups"),
        (cases(group=np.array(["g1"] * 120, dtype=object)), 5, 0, "1 group"),
        (cases(time=np.array([1.0, 2.0, 3.0] * 40)), 5, 2, "3 moments in time"),
        (cases(0), 5, 0, "0 different rows"),
        (cases(content=np.full(120, "same", dtype=object)), 5, 0, "1 different row "),
    ],
)  # fmt: skip
def test_too_little_for_so_many_folds_is_said_in_words(made: Cases, asked: int, count: int, why: str) -> None:
    folds = make_folds(made, asked, "auto", 0.1, 0)
    assert folds.count == count
    assert why in folds.why
    assert len(folds.split) == count
    for row in folds.split:
        assert len(set(made.label[row == "train"])) > 1


@pytest.mark.parametrize(("scheme", "why"), [("time", "no time of the rows is kept"), ("group", "no row has a group")])
def test_a_scheme_that_the_data_does_not_allow_is_named(scheme: str, why: str) -> None:
    folds = make_folds(cases(), 5, scheme, 0.1, 0)
    assert folds.count == 0
    assert why in folds.why
