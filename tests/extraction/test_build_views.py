"""Views made shard by shard by several threads; that they come out the same is seen in test_extract."""

from pathlib import Path

import numpy as np
import pytest

from tasks.core.errors import DeepmineError
from tasks.core.progress import Progress
from tasks.extraction.build_views import Group, write_views
from tasks.features.view import view_schema
from tasks.storage.store import MANIFEST
from tests.verbs.test_extract import even, write_clean


def test_what_a_thread_raises_is_raised(tmp_path: Path) -> None:
    damaged = write_clean(tmp_path / "clean", even(20))
    (damaged / "00002.parquet").write_bytes(b"no shard")
    group = Group({"deep": view_schema("deep", 1, "mark")}, lambda rows: [np.zeros((len(rows), 1), np.float32)], "")
    with pytest.raises(DeepmineError, match=r"00002\.parquet: damaged"):
        write_views([group], damaged, tmp_path / "features", tmp_path / "scratch", Progress(quiet=True), workers=2)
    assert not (tmp_path / "features" / "deep" / MANIFEST).exists()
