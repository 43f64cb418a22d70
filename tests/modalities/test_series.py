"""Series: what is admitted and what is not, repairs, exact sums, tensors, augmentation and pictures."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.config.clean import Clean, CleanSeries
from tasks.config.ingest import Ingest
from tasks.config.source import Input
from tasks.config.train import AugmentSeries
from tasks.config.validate import ValidSeries
from tasks.core.errors import DeepmineError
from tasks.modalities import series
from tasks.modalities.base import Admitted

Rows = list[list[float | None] | None]


def spec(count: int) -> Input:
    return Input(modality="series", columns=tuple("abcdefgh"[:count]))


def wide(*columns: Any, **params: Any) -> Admitted:
    """Columns that are time steps."""
    table = pa.table({name: pa.array(column) for name, column in zip("abcdefgh", columns, strict=False)})
    return series.admit_columns(table, spec(len(columns)), Ingest(**params))


def listed(*channels: Any, kind: pa.DataType | None = None, **params: Any) -> Admitted:
    """Columns that are channels."""
    columns = [pa.array(channel, kind or pa.list_(pa.float64())) for channel in channels]
    table = pa.table(dict(zip("abcdefgh", columns, strict=False)))
    return series.admit_columns(table, spec(len(channels)), Ingest(**params))


def values(items: pa.Array, channels: int) -> list[Any]:
    return [None if i is None else np.frombuffer(i, "<f4").reshape(-1, channels).tolist() for i in items.to_pylist()]


def settled(found: Admitted, **params: Any) -> dict[str, Any]:
    train = pa.table(found.columns)
    train = train.filter(train["length"].is_valid())
    return series.settle(train, spec(1), Clean(series=CleanSeries(**params)))


def repaired(found: Admitted, **params: Any) -> list[Any]:
    state = settled(found, **params)
    column, reasons = series.repair_columns(pa.table(found.columns), spec(1), state)
    assert reasons == [None] * len(column)
    return values(column, state["channels"])


def walks(count: int = 30, channels: int = 2, seed: int = 0) -> Admitted:
    """Random walks of 5 to 40 steps around 1000, a tenth of the values missing."""
    draw = np.random.default_rng(seed)
    made = [1000 + draw.normal(size=(draw.integers(5, 41), channels)).cumsum(0) for _ in range(count)]
    for walk in made:
        walk[draw.random(walk.shape) < 0.1] = np.nan
    return listed(*([walk[:, c].tolist() for walk in made] for c in range(channels)))


def cleaned(found: Admitted, **params: Any) -> tuple[np.ndarray, dict[str, Any]]:
    state = settled(found, **params)
    column, _ = series.repair_columns(pa.table(found.columns), spec(1), state)
    items = series.array(pa.chunked_array([column.slice(0, 3), column.slice(3)]), state)
    return items, state | series.normalisation([series.statistics(items, {})])


def test_columns_of_steps_as_text_and_as_numbers_are_the_same() -> None:
    typed = wide([1, 4, None], [None, 5, None], [3.0, None, None])
    text = wide(["1", "4", ""], ["NA", " 5 ", None], ["3e0", "nan", "?"])
    for name, column in typed.columns.items():
        assert column.equals(text.columns[name]), name
    assert typed.content == text.content
    assert typed.content[2] is None
    got = values(typed.columns[""], 1)
    assert got[0][0] == [1]
    assert math.isnan(got[0][1][0])  # inside: missing
    assert got[1:] == [[[4], [5]], None]  # at the end: shorter; everywhere: no series
    facts = {name: column.to_pylist() for name, column in typed.columns.items() if name}
    assert facts["length"] == [3, 2, None]
    assert facts["channels"] == [1, 1, None]
    assert facts["missing"][:2] == pytest.approx([1 / 3, 0])
    assert (facts["minimum"], facts["maximum"]) == ([1, 4, None], [3, 5, None])
    assert {name: column.type for name, column in typed.columns.items()} == series.raw_fields(spec(3))


def test_bad_cells_of_steps_are_named() -> None:
    found = wide(["1", "1", "1", "1", "1"], ["2", "2,5", "inf", "1e39", "1_0"], [1, 2, 3, 4, 5])
    assert found.reasons == [None, "not a number", "infinite value", "infinite value", "not a number"]
    assert found.details[1] == "column 'b': '2,5'"
    assert found.details[2] == "column 'b'"
    damaged = wide(pa.array([b"1", b"\xff", b"2"]), [1, 1, 1])
    assert damaged.reasons == [None, "not a number", None]
    assert values(damaged.columns[""], 1)[2] == [[2], [1]]


def test_columns_of_lists_are_channels() -> None:
    found = listed(
        [[1, 2], [1], [], None, [None, None], [1, math.inf], None, [1, math.nan]],
        [[3, 4], [1, 2], [], None, [None, math.nan], [1, 2], [7, 8], [5, 6]],
    )
    assert found.reasons == [
        None, "channels of unequal length", "empty series", None, None, "infinite value", None, None,
    ]  # fmt: skip
    assert found.details[1] == "a 1, b 2"
    assert found.details[5] == "column 'a', step 2"
    got = values(found.columns[""], 2)
    assert got[0] == [[1, 3], [2, 4]]
    assert got[3] is got[4] is found.content[3] is found.content[4] is None
    assert [row[1] for row in got[6]] == [7, 8]  # a channel that is not there is missing throughout
    assert found.columns["missing"].to_pylist()[6:] == [0.5, 0.25]
    assert found.columns["length"].to_pylist()[3:] == [None, None, 2, 2, 2]


def test_lists_of_other_kinds() -> None:
    one = listed([["1", "x"], ["2", "NA"]], kind=pa.list_(pa.string()))
    assert (one.reasons, one.details[0]) == (["not a number", None], "column 'a', step 2: 'x'")
    whole = [[1, 2], [3, 4]]
    kinds = pa.list_(pa.int64()), pa.large_list(pa.float32()), pa.list_(pa.float64(), 2), pa.list_(pa.bool_())
    contents = [listed(whole, kind=kind).content for kind in kinds[:3]]
    assert contents[0] == contents[1] == contents[2]
    sliced = pa.table({"a": pa.array([[9.0], *map(list, whole)]).slice(1)})
    assert series.admit_columns(sliced, spec(1), Ingest()).content == contents[0]
    assert listed([[True]], kind=kinds[3]).columns["maximum"].to_pylist() == [1]
    with pytest.raises(DeepmineError, match=r"columns b: single numbers"):
        series.admit_columns(pa.table({"a": [[1.0]], "b": [1.0]}), spec(2), Ingest())
    with pytest.raises(DeepmineError, match=r"column 'a': holds timestamp"):
        wide(pa.array([0], pa.timestamp("s")))


def test_a_series_longer_than_the_cap_is_refused() -> None:
    found = listed([[1.0] * 5, [1.0] * 6], [[1.0] * 5, [1.0] * 6], max_samples=10)
    assert found.reasons == [None, "too many samples"]
    assert found.details[1] == "12, over 10"


def test_content_tells_values_channels_and_gaps_apart() -> None:
    one = listed([[1.0, 2.0, 3.0, 4.0], [1.0, None, 3.0, 4.0], [1.0, math.nan, 3.0, 4.0], [1.0, 2.0, 3.0]]).content
    two = listed([[1.0, 3.0]], [[2.0, 4.0]]).content
    assert len({*one, *two}) == 4
    assert one[1] == one[2]


def test_gaps_are_filled_within_their_own_series_and_channel() -> None:
    nan = math.nan
    found = listed(
        [[nan, 1, nan, nan, 4, nan], [nan, 9], [nan, nan], None],
        [[0, 10, 20, 30, 40, 50], [nan, nan], [5, 6], None],
    )
    assert repaired(found) == [
        [[1, 0], [1, 10], [2, 20], [3, 30], [4, 40], [4, 50]],
        [[9, 15], [9, 15]],  # nothing known of the second channel: its median of the train rows
        [[4, 5], [4, 6]],
        None,
    ]
    assert repaired(found, missing="zero")[0] == [[0, 0], [1, 10], [0, 20], [0, 30], [4, 40], [0, 50]]
    assert repaired(found, missing="zero")[2] == [[0, 5], [0, 6]]


def test_of_a_long_series_the_last_steps_stay() -> None:
    found = listed([[1, 2, 3, 4], [5, 6], [1, None, 3, None]])
    assert repaired(found, length=3) == [[[2], [3], [4]], [[5], [6]], [[2], [3], [3]]]
    assert settled(found)["length"] == 4
    assert settled(found, max_auto_length=3)["length"] == 3
    with pytest.raises(DeepmineError, match=r"no train row has a series"):
        settled(listed([None]))


def test_interpolation_agrees_with_numpy() -> None:
    found = walks()
    before, after = values(found.columns[""], 2), repaired(found)
    for raw, clean in zip(before, after, strict=True):
        for c in range(2):
            line = np.array(raw)[:, c]
            known = ~np.isnan(line)
            wanted = np.interp(np.arange(len(line)), np.flatnonzero(known), line[known])
            assert np.allclose(np.array(clean)[:, c], wanted, rtol=1e-6)


def test_arrays_are_padded_at_the_end() -> None:
    found = listed([[1, 2], None, [3], [4, 5, 6]], [[1, 2], None, [3], [4, 5, 6]])
    items, state = cleaned(found)
    assert items.shape == (4, *series.shape(state)) == (4, 3, 2)
    assert items.dtype == series.DTYPE
    nan = math.nan
    assert np.array_equal(items[..., 1], [[1, 2, nan], [0, 0, 0], [3, nan, nan], [4, 5, 6]], equal_nan=True)
    assert series.array(pa.chunked_array([], pa.binary()), state).shape == (0, 3, 2)
    assert series.form(state) == {"kind": "sequence", "shape": (3, 2)}
    assert series.column_type(state) == pa.binary()


def test_sums_are_exact_however_the_rows_are_parted() -> None:
    draw = np.random.default_rng(0)
    items = (draw.normal(size=(500, 7, 2)) * 10.0 ** draw.integers(-42, 18, (500, 7, 2))).astype(np.float32)
    items[draw.random((500, 7)) < 0.2] = np.nan
    items[0, 0] = 0, -0.0
    whole = series.normalisation([series.statistics(items, {})])
    parts = [series.statistics(part, {}) for part in np.array_split(items[draw.permutation(500)], 13)]
    assert series.normalisation(parts[::-1]) == whole
    known = [column[~np.isnan(column)].astype(float) for column in items.reshape(-1, 2).T]
    assert whole["mean"] == [math.fsum(column) / len(column) for column in known]
    assert whole["std"] == pytest.approx([column.std() for column in known])
    assert whole["minimum"] == [column.min() for column in known]
    assert whole["maximum"] == [column.max() for column in known]


def test_a_large_offset_costs_no_precision_and_a_constant_no_division() -> None:
    values = np.float32(1e7) + np.arange(4, dtype=np.float32)
    items = np.stack([values, np.full(4, 0.1, np.float32)], 1)[None]
    found = series.normalisation([series.statistics(items, {})])
    assert found["std"] == [math.sqrt(1.25), 0.0]
    state = {"channels": 2, "scale": "standard", **found}
    assert torch.equal(series.tensor(torch.from_numpy(items), state)[..., 1], torch.zeros(1, 4))


@pytest.mark.parametrize("scale", ["standard", "min_max", "robust", "none"])
def test_tensors_are_scaled_and_padding_stays(scale: str) -> None:
    items, state = cleaned(walks(), scale=scale)
    found = series.tensor(torch.from_numpy(items), state)
    assert found.dtype == torch.float32
    assert torch.equal(found.isnan(), torch.from_numpy(items).isnan())
    assert found.isnan().any()
    known = found[~found.isnan().any(2)].double()  # (steps, C)
    if scale == "standard":
        assert torch.allclose(known.mean(0), torch.zeros(2).double(), atol=1e-4)
        assert torch.allclose(known.std(0, correction=0), torch.ones(2).double(), atol=1e-4)
    elif scale == "min_max":
        assert torch.allclose(known.amin(0), torch.zeros(2).double(), atol=1e-5)
        assert torch.allclose(known.amax(0), torch.ones(2).double(), atol=1e-5)
    elif scale == "robust":  # of the raw values, before gaps were filled
        low, high = known.quantile(torch.tensor([0.25, 0.75]).double(), dim=0)
        assert torch.allclose(high - low, torch.ones(2).double(), atol=0.1)
    else:
        assert torch.equal(known.float(), torch.from_numpy(items)[~torch.from_numpy(items).isnan().any(2)])


def test_the_raw_view_has_no_gaps_and_tells_the_length() -> None:
    items, state = cleaned(walks(), scale="standard")
    rows = series.flat(items, state)
    length, channels = series.shape(state)
    assert rows.shape == (30, length * channels + 1)
    assert rows.dtype == np.float32
    steps = (~np.isnan(items[..., 0])).sum(1)
    assert np.allclose(rows[:, -1] * length, steps)
    wanted = series.tensor(torch.from_numpy(items), state).nan_to_num().flatten(1)
    assert np.allclose(rows[:, :-1], wanted, atol=1e-6)
    assert np.isnan(items).any()  # the rows given are left alone


def augmented(items: np.ndarray, seed: int = 1, **params: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    given = torch.from_numpy(items)
    found = series.augment(given, AugmentSeries(**params), torch.zeros(len(items)).bool(), generator)
    assert found.dtype == torch.float32
    assert torch.equal(found.isnan(), given.isnan())  # padding stays padding, and nothing else becomes it
    return found


def test_augmentation_changes_values_and_never_lengths() -> None:
    items, _ = cleaned(walks(200))
    given = torch.from_numpy(items)
    known = ~given.isnan()
    for params in ({"noise": 0.1}, {"shift": 0.3}, {"time_mask": 0.5}, {"noise": 0.1, "shift": 0.3, "time_mask": 0.5}):
        found = augmented(items, **params)
        assert not torch.equal(found[known], given[known])
        assert torch.equal(found.nan_to_num(), augmented(items, **params).nan_to_num())
        assert not torch.equal(found.nan_to_num(), augmented(items, seed=2, **params).nan_to_num())
    assert torch.equal(augmented(items)[known], given[known])
    deviation = given[known].reshape(-1, 2).std(0)
    noise = (augmented(items, noise=0.1) - given)[known].reshape(-1, 2).std(0)
    assert torch.allclose(noise / deviation, torch.full((2,), 0.1), atol=0.01)


def test_shifts_and_masks() -> None:
    items = np.tile(np.arange(20, dtype=np.float32)[None, :, None], (100, 1, 1))
    items[:50, 10:] = np.nan
    moved = augmented(items, shift=0.2)[..., 0]
    by = moved[:, 5] - 5
    assert set(by[:50].tolist()) == {-2, -1, 0, 1, 2}
    assert set(by[50:].tolist()) == {-4, -3, -2, -1, 0, 1, 2, 3, 4}
    for row, steps in zip(moved, by, strict=True):
        row = row[~row.isnan()]
        assert torch.equal(row, (torch.arange(len(row)) + steps).clamp(0, len(row) - 1))
    covered = augmented(items, time_mask=0.4)[..., 0] == np.float32(np.nanmean(items))
    width = covered.sum(1)
    assert set(width[:50].tolist()) == {0, 1, 2, 3, 4}
    assert width[50:].max() == 8
    assert all((row.nonzero().diff(dim=0) == 1).all() for row in covered)  # each in one piece


def drawn(found: Any) -> np.ndarray:
    """The pixels of a picture that a line and not the grid has."""
    pixels = np.asarray(found.picture).astype(int)
    return pixels.max(2) - pixels.min(2) > 60


@pytest.mark.parametrize("side", [48, 240])
def test_a_picture_has_a_colour_for_each_channel(side: int) -> None:
    up, down = np.linspace(0, 1, 50), np.linspace(500, 100, 50)
    item = np.stack([up, down], 1).astype("<f4").tobytes()
    state = {"channels": 2, "scale": "standard", "mean": [0.5, 300], "std": [0.3, 120]}
    found = series.show(item, {}, state, side)
    assert found.text == "2 channels, 50 steps, 0 to 500"
    assert found.picture is not None
    assert found.picture.size == (side, round(side * 0.6))
    blue, red = (np.asarray(found.picture).astype(int)[..., k] for k in (2, 0))
    left = slice(0, side // 4)
    assert (blue - red)[:, left].max(1).argmax() > (red - blue)[:, left].max(1).argmax()  # blue rises from below
    assert drawn(found)[:, side // 8 : -side // 8].any(0).mean() > 0.9  # less where the lines cross and mix


def test_gaps_long_series_and_single_values_are_drawn() -> None:
    raw = np.sin(np.arange(100) / 3).astype("<f4")
    raw[40:60] = np.nan
    state = {"channels": 1}
    row = {"": raw.tobytes(), "channels": 1}
    gap = drawn(series.show(None, row, {}, 240)).any(0)
    assert not gap[105:135].any()
    assert gap[:90].any()
    assert gap[150:].any()
    spike = np.zeros(100_000, "<f4")
    spike[70_001] = 9
    high = drawn(series.show(spike.tobytes(), {}, state, 48))
    assert high[:8].any(0).argmax() == pytest.approx(0.7 * 48, abs=3)  # one step in 100,000 is seen
    assert drawn(series.show(np.float32([5]).tobytes(), {}, state, 48)).any()
    assert series.show(np.float32([math.nan]).tobytes(), {}, state, 48).picture is None


def test_a_data_set_is_described_in_one_line() -> None:
    found = walks()
    facts = pa.table({name: found.columns[name] for name in series.FACTS})
    assert series.describe(facts).startswith("2 channels of ")
    assert series.describe(facts).endswith("% missing")
    same = listed([[1.0, 2.0]])
    assert series.describe(pa.table(same.columns)) == "1 channel of 2 steps"
    [(_, arguments, action, _)] = series.checks(spec(1), ValidSeries(min_length=7))
    assert (arguments, action) == ({"column": "length", "min_value": 7}, "reject")
    assert set(series.settled_by(spec(1)) + series.checked(spec(1))) <= set(series.raw_fields(spec(1)))
