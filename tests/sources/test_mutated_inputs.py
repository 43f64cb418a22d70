"""Inputs of every format, mutated at random, through the real readers and ingest: each row is accepted or set aside.

Nothing but a `DeepmineError` refuses a whole source; nothing else is ever raised, in this process or in a child.
"""

import gzip
import io
import json
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import sources
from tasks.config.dataset import Dataset
from tasks.config.ingest import Ingest
from tasks.config.source import Input, Join, Source, Window
from tasks.core.errors import DeepmineError
from tasks.core.progress import Progress
from tasks.ingest import _shard as admitted
from tasks.ingest import ingest
from tasks.modalities.raw_schema import raw_schema
from tasks.plan import _listing as list_source
from tasks.splitting.splits import draw
from tasks.storage.store import read, read_manifest
from tests.fixtures.hostile import damaged
from tests.fixtures.images import encode as image
from tests.fixtures.images import noise
from tests.fixtures.sounds import encode, tone
from tests.modalities import test_hostile_audio, test_hostile_images

ROWS = 40
TEXT = {"x": Input(modality="text", columns=("text",))}
CELLS = {"x": Input(modality="tabular", columns=("age", "job", "day"), categorical=("job",), date=("day",))}
SERIES = {"x": Input(modality="series", columns=("v", "w"))}
BASKET = {"x": Input(modality="basket", columns=("items",))}
GOODS = {"x": Input(modality="basket", columns=("good",))}
MIXED = CELLS | {"y": Input(modality="text", columns=("text",))}
#: Mutated inputs of each format, in the fast run and in the slow one.
FILES = {"image": (40, 4500), "audio": (30, 3000), "text": (30, 1500)}
TABLES = (3, 1000)
#: Of tables of values one in so many goes through all of ingest, the others as far as it admits their rows.
EVERY = 5


def rows() -> list[dict[str, Any]]:
    words = ["alpha", "b\u00e9ta", "\u65e5\u672c", "d, e", 'f "g"', "h\ni"]
    return [
        {"text": f"{words[i % 6]} {i}", "age": 20 + i, "job": "abc"[i % 3], "day": f"2024-01-{i % 28 + 1:02d}",
         "v": i / 7, "w": -i, "step": i // 4, "key": f"k{i % 4}", "good": words[i % 4], "label": "xy"[i % 2]}
        for i in range(ROWS)
    ]  # fmt: skip


def delimited(mark: str, *names: str) -> bytes:
    import csv

    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=mark, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows())
    return buffer.getvalue().encode()


def parquet(**options: Any) -> bytes:
    buffer = io.BytesIO()
    lists = {"v": [[row["v"]] * 5 for row in rows()], "w": [[float(i)] * 5 for i in range(ROWS)]}
    pq.write_table(pa.table({**{k: [r[k] for r in rows()] for k in rows()[0]}, **lists}), buffer, **options)
    return buffer.getvalue()


def lines(*names: str) -> bytes:
    return "".join(
        json.dumps({name: row[name] for name in names}, ensure_ascii=False) + "\n" for row in rows()
    ).encode()


def baskets() -> bytes:
    return "".join(",".join(sorted({rows()[(i * k) % ROWS]["text"][:3] for k in range(i % 5 + 1)})) + "\n"
                   for i in range(ROWS)).encode()  # fmt: skip


def lists() -> bytes:
    return "".join(json.dumps({"v": [i, None, 0.5], "w": [1, 2, i], "label": "xy"[i % 2]}) + "\n"
                   for i in range(ROWS)).encode()  # fmt: skip


def paths() -> bytes:
    return ("path,label\n" + "".join(f"{i:02d}.txt,{'ab'[i % 2]}\n" for i in range(ROWS))).encode()


LONG = {"layout": "long", "id": "key", "label": ""}
#: name -> suffix, bytes, keys of the source, inputs.
KINDS: dict[str, tuple[str, Callable[[], bytes], dict[str, Any], dict[str, Input]]] = {
    "csv": (".csv", lambda: delimited(",", "text", "age", "job", "day", "label"), {}, MIXED),
    "csv utf-16": (".csv", lambda: delimited(",", "text", "label").decode().encode("utf-16"), {}, TEXT),
    "tsv": (".tsv", lambda: delimited("\t", "age", "job", "day", "label"), {}, CELLS),
    "csv.gz": (".csv.gz", lambda: gzip.compress(delimited(";", "text", "label"), mtime=0), {}, TEXT),
    "parquet": (".parquet", parquet, {}, MIXED),
    "parquet, plain and uncompressed": (".parquet", lambda: parquet(use_dictionary=False, compression="none"), {}, MIXED),
    "parquet of series": (".parquet", lambda: parquet(compression="zstd", data_page_version="2.0"), {}, SERIES),
    "jsonl": (".jsonl", lambda: lines("text", "age", "job", "day", "label"), {}, MIXED),
    "jsonl.gz": (".jsonl.gz", lambda: gzip.compress(lines("text", "label"), mtime=0), {}, TEXT),
    "jsonl of series": (".jsonl", lists, {}, SERIES),
    "baskets": (".csv", baskets, {"layout": "baskets", "label": ""}, BASKET),
    "long series": (".csv", lambda: delimited(",", "key", "step", "v", "w"), LONG | {"time": "step"}, SERIES),
    "long baskets": (".csv", lambda: delimited(",", "key", "good"), LONG, GOODS),
    "windows": (".csv", lambda: delimited(",", "v", "w"), {"window": Window(length=4, horizon=1)}, SERIES),
    "split by time": (".csv", lambda: delimited(",", "day", "text", "label"), {"time": "day", "split_by": "time"}, TEXT),
    "joined": (".csv", lambda: delimited(",", "age", "text", "label"), {"join": "age"}, CELLS | {"y": TEXT["x"]}),
    "paths": (".csv", paths, {}, {"x": Input(columns=("path",))}),
}  # fmt: skip


def through(home: Path, source: Source, inputs: dict[str, Input]) -> tuple[int, int]:
    """Rows accepted and set aside by plan and ingest; the ledger is checked.

    Raises:
        DeepmineError: the source is refused.
    """
    dataset = Dataset(source=source, inputs=inputs, ingest=Ingest(shard_rows=64, max_pixels=10**6, max_seconds=20))
    list_source(dataset, home / "listing", lambda text: None)  # what else a plan does has to do with no input
    ingest(
        source=source, inputs=inputs, params=dataset.ingest, code="code", listing=home / "listing", raw=home / "raw",
        unreadable=home / "unreadable", scratch=home / "scratch", warn=lambda text: None, progress=Progress(quiet=True),
    )  # fmt: skip
    raw, lost = read_manifest(home / "raw"), read_manifest(home / "unreadable")
    assert raw.counts["in"] == raw.rows + lost.rows == raw.counts["accepted"] + sum(raw.counts["quarantined"].values())
    good, bad = read(home / "raw", ["id", "label"]), read(home / "unreadable")
    ids = good["id"].to_pylist() + bad["id"].to_pylist()
    assert len(ids) == len(set(ids)) == raw.rows + lost.rows
    assert None not in ids
    assert None not in bad["reason"].to_pylist()
    return raw.rows, lost.rows


def through_readers(source: Source, inputs: dict[str, Input]) -> tuple[int, int]:
    """The same without what is written: rows of a table of values as ingest gets and admits them.

    Raises:
        DeepmineError: the source is refused.
    """
    params, schema = Ingest(), raw_schema(inputs)
    drawn = draw(sources.official(source, inputs, sources.listing(source, inputs)), [], params.val, params.test)
    ids: list[str] = []
    accepted = 0
    for batch in sources.tables(source, inputs, 64, (params.val, params.test)):
        good, bad = admitted(batch.table, None, inputs, schema, params, drawn)
        assert good.num_rows + bad.num_rows == batch.table.num_rows
        accepted += good.num_rows
        ids += [*good["id"].to_pylist(), *bad["id"].to_pylist(), *batch.bad["id"].to_pylist()]
    assert len(ids) == len(set(ids))
    assert None not in ids
    return accepted, len(ids) - accepted


def mutate_files(home: Path, kind: str, count: int, seed: int) -> Counter[str]:
    """A folder of mutated files of one modality."""
    rng = np.random.default_rng(seed)
    if kind == "image":
        seeds = test_hostile_images.seeds()
    elif kind == "audio":
        seeds = [encode(tone(), form=form, coding=coding) for form, coding in test_hostile_audio.GOOD]
    else:
        texts = ["some words\nand more " * 20, "caf\u00e9 \u65e5\u672c " * 30]
        seeds = [text.encode(coding) for text in texts for coding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]
    root = home / "source"
    for i in range(count):
        path = root / "ab"[i % 2] / f"{i:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged(seeds[i % len(seeds)], rng, seeds))
    inputs = {kind: Input(modality=kind)}  # type: ignore[arg-type]
    accepted, aside = through(home, Source(path=str(root)), inputs)
    assert accepted + aside == count
    return Counter(accepted=accepted, aside=aside)


def mutate_tables(home: Path, kind: str, count: int, seed: int) -> Counter[str]:
    """Mutated tables of one kind, each a source of its own."""
    suffix, make, keys, inputs = KINDS[kind]
    data, rng, found = make(), np.random.default_rng(seed), Counter[str]()
    others = [other() for _, other, *_ in KINDS.values()]
    home.mkdir(parents=True, exist_ok=True)
    for i in range(ROWS):
        (home / f"{i:02d}.txt").write_bytes(image(noise(i)))
    for i in range(count):
        path = home / f"rows{suffix}"
        if suffix.endswith(".gz") and i % 2:  # what is packed, as a damaged member is refused whole
            path.write_bytes(gzip.compress(damaged(gzip.decompress(data), rng, others, 400), mtime=0))
        else:
            path.write_bytes(damaged(data, rng, others, 400))
        own = dict(keys)
        if "join" in own:  # the second table is the mutated one, every other time
            other = home / "more.csv"
            other.write_bytes(delimited(",", "age", "job", "day"))
            if i % 2:
                other.write_bytes(damaged(other.read_bytes(), rng, others, 400))
                path.write_bytes(data)
            own["join"] = Join(path=str(other), on="age")
        try:
            source = Source(path=str(path), **own)
            whole = i % EVERY == 0 or kind == "paths"
            accepted, aside = through(home, source, inputs) if whole else through_readers(source, inputs)
        except DeepmineError:
            found["refused"] += 1
            continue
        found.update(tables=1, accepted=accepted, aside=aside)
    return found


@pytest.mark.parametrize("kind", list(FILES))
def test_some_mutated_files(tmp_path: Path, kind: str) -> None:
    mutate_files(tmp_path, kind, FILES[kind][0], seed=1)


def test_some_mutated_tables(tmp_path: Path) -> None:
    found = Counter[str]()
    for kind in KINDS:
        found += mutate_tables(tmp_path / kind, kind, TABLES[0], seed=1)
    assert found["tables"] > len(KINDS)
    assert found["accepted"] > 500
    assert found["refused"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*FILES, *KINDS])
def test_many_mutated_inputs(tmp_path: Path, kind: str) -> None:
    """20,000 of them over all formats; the peak of memory is that of this process up to here."""
    files = kind in FILES
    count = FILES[kind][1] if files else TABLES[1] if kind != "parquet" else 2 * TABLES[1]
    found = (mutate_files if files else mutate_tables)(tmp_path, kind, count, seed=2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{kind}: {count:,} inputs, {dict(sorted(found.items()))}, peak {peak} MB")
    assert peak < 1500
