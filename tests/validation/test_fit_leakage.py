"""What is learned knows train rows alone: of every modality, and a planted fault is caught."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks import clean
from tasks.config.clean import Clean
from tasks.config.train import Extract
from tasks.core.errors import DeepmineError
from tasks.extraction import raw_view as rawview
from tasks.features.item_encoding import fit
from tasks.modalities import MODALITIES, modality
from tasks.modalities.raw_schema import column_name
from tasks.storage.store import read
from tasks.validation.fit_leakage import digest, moved
from tests.fixtures.runs import write_raw
from tests.validation.test_checks import INPUTS, only, rows
from tests.verbs import test_clean

PARAMS = Clean()


@pytest.fixture(scope="module", params=MODALITIES)
def cleaned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A modality, and its rows cleaned."""
    home = tmp_path_factory.mktemp(request.param)
    write_raw(home / "raw", home / "unreadable", only(request.param), rows(request.param, count=60))
    test_clean.again(home, only(request.param), PARAMS)
    return request.param, home


def test_held_out_rows_are_moved_and_others_not(cleaned: tuple[str, Path]) -> None:
    kind, home = cleaned
    before = read(home / "raw", ["id", "content", "split", *asked(kind)])
    after = moved(before)
    train = pc.equal(before["split"], "train")
    assert after.filter(train).equals(before.filter(train))
    assert after.schema == before.schema
    for name in before.column_names[3:]:
        assert not after[name].filter(pc.invert(train)).equals(before[name].filter(pc.invert(train)))


def asked(kind: str) -> list[str]:
    return [column_name(kind, suffix) for suffix in modality(kind).settled_by(INPUTS[kind])]


def test_a_settling_that_knows_held_out_rows_is_caught(
    cleaned: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, home = cleaned
    everything = lambda raw, gone, limit: read(raw, ["id"])["id"].combine_chunks()  # noqa: E731
    made = modality(kind)
    # a state that any statistic of all rows is part of, as of a modality whose sizes happen not to move
    leaky = replace(made, settle=lambda train, spec, params: made.settle(train, spec, params) | {"known": known(train)})
    monkeypatch.setattr(clean, "fit_rows", everything)
    monkeypatch.setattr(import_module(MODALITIES[kind]), "MODALITY", leaky)
    with pytest.raises(DeepmineError, match=f"what is learned of the input '{kind}' changes"):
        test_clean.again(home, only(kind), PARAMS)


def known(train: pa.Table) -> list[Any]:
    return [
        train.num_rows,
        *(column.null_count for column in train.columns),
        str(pc.min(pc.cast(column_of(train), pa.string()))),
    ]


def column_of(train: pa.Table) -> pa.ChunkedArray:
    """The first column whose values are plain."""
    return next((c for c in train.columns if not pa.types.is_nested(c.type)), pa.chunked_array([["-"]]))


def test_scaling_knows_train_rows_alone(cleaned: tuple[str, Path]) -> None:
    kind, home = cleaned
    if not modality(kind).scaled:
        pytest.skip("has nothing to scale")
    state, table = test_clean.state(home, kind), read(home / "clean")
    other = moved(table)
    assert clean._sums(table, kind, INPUTS[kind], state) == clean._sums(other, kind, INPUTS[kind], state)
    flipped = table.set_column(2, "split", pa.chunked_array([pa.array(["train"] * table.num_rows)]))
    assert clean._sums(table, kind, INPUTS[kind], state) != clean._sums(flipped, kind, INPUTS[kind], state)


def raw_view(kind: str, home: Path, table: pa.Table) -> list[np.ndarray]:
    """What the raw view learns of a clean store of these rows."""
    place = home / "other"
    test_clean.write_raw(place, table, [table.num_rows])
    state = test_clean.state(home, kind)
    fitted = rawview.fit_raw({kind: state}, place / "raw", Extract(components=4))
    return [value for _, value in sorted(fitted[kind].items())]


def test_the_raw_view_knows_train_rows_alone(cleaned: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, home = cleaned
    table = read(home / "clean")
    other = moved(table)
    first, second = raw_view(kind, home, table), raw_view(kind, home, other)
    assert len(first) == len(second)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    if not first:
        return  # nothing is learned
    # planted: every row is one to learn from
    monkeypatch.setattr(rawview.pc, "equal", lambda column, value: pa.array([True] * len(column)))
    first, second = raw_view(kind, home, table), raw_view(kind, home, other)
    same = [a.shape == b.shape and np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    assert not all(same)


def test_digests_tell_states_apart() -> None:
    assert digest({"a": float("nan"), "files": {"x": b"1"}}) == digest({"a": float("nan"), "files": {"x": b"1"}})
    assert digest({"a": 1, "files": {"x": b"1"}}) != digest({"a": 1, "files": {"x": b"2"}})
    assert digest({"a": 1}) != digest({"a": 2})


def test_items_are_fitted_on_what_is_given() -> None:
    table = pa.table({"": ["1", "2", "3", "4"], "c": ["x", "y", "x", "z"]})
    assert fit(table.slice(0, 3)) == {"c": {"levels": ["x", "y"]}}
