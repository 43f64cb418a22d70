"""Decoding against bare Pillow, the store against bare NumPy files."""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from tasks.config.dataset import Dataset
from tasks.config.source import Source
from tasks.core.cpu import cores
from tasks.core.progress import Progress
from tasks.ingest import ingest
from tasks.plan import plan
from tasks.storage.store import Writer, read, vector_column, vectors
from tests.benchmarks.measure import Result, compare, turns


def decode(small: int = 4000, large: int = 800, repeats: int = 3) -> list[Result]:
    """The stage ingest (read, decode, hash, sketch, split, write, all guarded) on 32 and 256 pixel JPEGs.

    Against reading and decoding the same files with Pillow, nothing kept, on as many threads as there are cores.
    """
    results = []
    for side, count in ((32, small), (256, large)):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            paths = _write_jpegs(home / "source", side, count)
            source = Source(path=str(home / "source"))
            dataset = Dataset(source=source)
            plan(dataset=dataset, listing=home / "listing", plan=home / "plan", warn=print)

            def ours(home: Path = home, dataset: Dataset = dataset) -> None:
                ingest(
                    source=dataset.source, inputs=dataset.inputs, params=dataset.ingest, code="",
                    listing=home / "listing", raw=home / "raw", unreadable=home / "unreadable",
                    scratch=home / "scratch", warn=print, progress=Progress(quiet=True),
                )  # fmt: skip
                shutil.rmtree(home / "scratch")

            def bare(paths: list[Path] = paths) -> None:
                with ThreadPoolExecutor(cores()) as pool:
                    list(pool.map(lambda path: Image.open(BytesIO(path.read_bytes())).load(), paths))

            seconds = turns({"ours": ours, "bare": bare}, repeats)
        name = f"ingest, JPEG {side} x {side}"
        results.append(
            compare(name, seconds["ours"], seconds["bare"], count, "images/s", "Pillow alone, a thread on each core")
        )
    return results


def store(rows: int = 60_000, width: int = 128, repeats: int = 5) -> list[Result]:
    """Feature shards: written with hashes, page checksums and fsync, and read verified; against one NumPy file."""
    values = np.random.default_rng(0).standard_normal((rows, width)).astype(np.float32)
    schema = pa.schema([("id", pa.string()), ("deep", pa.list_(pa.float32(), width))])
    ids = [f"class{i % 10}/{i:06d}.png" for i in range(rows)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        def write() -> None:
            writer = Writer(home / "store", schema, "generated")
            for start in range(0, rows, 2048):
                part = slice(start, start + 2048)
                writer.add(pa.Table.from_arrays([pa.array(ids[part]), vector_column(values[part])], schema=schema))
            writer.finish({"in": rows, "accepted": rows, "quarantined": {}})

        def save() -> None:
            with (home / "values.npy").open("wb") as file:
                np.save(file, values)
                file.flush()
                os.fsync(file.fileno())

        seconds = turns(
            {
                "write": write, "save": save, "load": lambda: np.load(home / "values.npy"),
                "read": lambda: vectors(read(home / "store", ["deep"])["deep"]),
            },
            repeats,
        )  # fmt: skip
    megabytes = values.nbytes / 1e6
    return [
        compare("store, write", seconds["write"], seconds["save"], megabytes, "MB/s", "np.save and fsync, no checksum"),
        compare("store, read", seconds["read"], seconds["load"], megabytes, "MB/s", "np.load, no checksum"),
    ]


def _write_jpegs(root: Path, side: int, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((side, side))
        pixels = np.asarray(coarse).astype(np.int16) + rng.integers(-12, 13, (side, side, 3))
        path = root / f"class{i % 10}" / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    return paths
