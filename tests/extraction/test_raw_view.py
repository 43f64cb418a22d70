"""What the raw view is fitted on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.core.files import fingerprint
from tasks.extraction.raw_view import train_rows, train_texts
from tasks.storage.store import Writer
from tests.verbs.test_extract import SIDE, SPLIT, STATE_OF_ROWS, even, write_clean


def test_large_images_are_fitted_on_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = write_clean(tmp_path / "clean", even(20))
    everything = train_rows(clean, "image", STATE_OF_ROWS, 1000)
    assert len(everything) == SPLIT.count("train")
    monkeypatch.setattr("tasks.extraction.raw_view.FIT_VALUES", 5 * SIDE * SIDE)
    assert np.array_equal(train_rows(clean, "image", STATE_OF_ROWS, 1000), everything[:5])


def write_texts(place: Path, sizes: list[int]) -> Path:
    """Sixty texts of ten characters in shards of these sizes; every third is held out, every seventh missing."""
    table = pa.table({
        "id": [f"t{i:02d}" for i in range(60)],
        "split": ["test" if i % 3 == 0 else "train" for i in range(60)],
        "note": [None if i % 7 == 0 else f"{i:010d}" for i in range(60)],
    })  # fmt: skip
    writer, start = Writer(place, table.schema, "mark"), 0
    for size in sizes:
        writer.add(table.slice(start, size))
        start += size
    writer.finish({"in": 60, "accepted": 60, "quarantined": {}})
    return place


@pytest.mark.parametrize("most", [1, 55, 10_000])
def test_texts_are_train_rows_alone_the_same_however_sharded(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.extraction.raw_view.FIT_CHARACTERS", most)
    found = []
    for name, sizes in {"one": [60], "four": [7, 0, 33, 20]}.items():
        clean = write_texts(tmp_path / name, sizes)
        found.append([text for part in train_texts(clean, "note") for text in part.to_pylist()])
    assert found[0] == found[1]
    train = [i for i in range(60) if i % 3 and i % 7]
    count = min(max(most // 10, 1), len(train))
    wanted = sorted(sorted(train, key=lambda i: fingerprint(f"t{i:02d}"))[:count])
    assert found[0] == [f"{i:010d}" for i in wanted]
