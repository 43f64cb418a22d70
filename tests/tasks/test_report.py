"""The report of a small hostile dataset, made by the real stages: escaped, complete, and alone."""

import inspect
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks import config
from tasks.page import atlas, examples, quality, results, runs, words
from tasks.page.pictures import sprite
from tasks.progress import Progress
from tasks.report import report

OVERRIDE = "\u202e"
LABELS = ["plain", f"<script>alert(1)</script>\"' {OVERRIDE}gnp.exe", "<img src=http://evil.example onerror=alert(1)>"]
MINERS = {
    "linear_svm": config.Miner(miner="linear_svm", views=("raw", "deep", "raw+deep")),
    "kmeans": config.Miner(miner="kmeans", views=("deep", "raw")),
}


def hostile(i: int) -> str:
    return f"{i:02d} </script><script>alert({i})</script> \" onload=' {OVERRIDE}x"


def write_source(folder: Path) -> Path:
    """60 images of three classes, one more that is broken, a copy, one without a label, and a test row's like."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    splits = ["train"] * 36 + ["val"] * 9 + ["test"] * 15
    rows = []
    for i, split in enumerate(splits):
        pixels = rng.integers(0, 90, (12, 12))
        pixels[:, 4 * (i % 3) : 4 * (i % 3) + 4] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        rows.append((hostile(i), f"{i}.png", LABELS[i % 3], split))
    (folder / "60.png").write_bytes(b"no image")
    shutil.copy(folder / "0.png", folder / "61.png")
    darker = np.asarray(Image.open(folder / "47.png")) // 2
    Image.fromarray(darker).save(folder / "63.png")
    Image.fromarray(rng.integers(0, 90, (12, 12)).astype(np.uint8)).save(folder / "62.png")
    rows += [
        (hostile(60), "60.png", LABELS[0], "train"),
        (hostile(61), "61.png", LABELS[0], "train"),
        (hostile(62), "62.png", None, "train"),
        (hostile(63), "63.png", LABELS[0], "train"),
    ]
    table = pa.Table.from_pylist([dict(zip(("id", "path", "label", "split"), r, strict=True)) for r in rows])
    pq.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outputs of every stage before the report."""
    from tasks.clean import clean
    from tasks.evaluate import evaluate
    from tasks.extract import extract
    from tasks.ingest import ingest
    from tasks.mine import mine
    from tasks.plan import plan
    from tasks.train import train
    from tasks.validate import validate

    home = tmp_path_factory.mktemp("made")
    at = {name: home / name for name in STORES} | {"scratch": home / "scratch", "listing": home / "listing"}
    dataset = config.Dataset(
        source=config.Source(path=str(write_source(home / "source")), id="id", split="split"),
        train=config.Train(encoder=config.CNN(channels=(4,), dense=(8,)), epochs=2, batch=16),
        validate=config.Validate(max_rejected=0.1, labels=tuple(LABELS)),
        mine=config.Mine(miners=MINERS),
        evaluate=config.Evaluate(resamples=100),
    )
    plan(dataset=dataset, listing=at["listing"], plan=at["plan"], warn=pytest.fail)
    facts: dict[str, object] = {}
    warnings: list[str] = []
    for stage in (ingest, validate, clean, train, extract, mine, evaluate):
        known = {**at, "source": dataset.source, "inputs": dataset.inputs, "code": "code"}
        known |= {"params": getattr(dataset, stage.__name__), "scratch": home / "scratch" / stage.__name__}
        known |= {"progress": Progress(quiet=True), "warn": warnings.append}
        facts[stage.__name__] = stage(**{name: known[name] for name in inspect.signature(stage).parameters})
    assert len(warnings) == 1
    at["records"].mkdir()
    for name, found in facts.items():
        record = {"stage": name, "dataset": "tiny", "began": "2026-01-02T03:04:05", "seconds": 1.5,
                  "host": LABELS[1], "versions": {"numpy": "2.3.0"}, "facts": found}  # fmt: skip
        (at["records"] / f"{name}.json").write_text(json.dumps(record))
    return home


STORES = (
    "plan", "raw", "unreadable", "rejected", "quality", "clean", "encoder", "features", "miners", "metrics",
    "evaluation", "records",
)  # fmt: skip


def write(home: Path, index: Path | None = None) -> str:
    index = index or home / "index.html"
    params = config.Report(map_points=40, examples=3)
    paths = {name: home / name for name in STORES}
    facts = report(name="tiny", params=params, index=index, progress=Progress(quiet=True), **paths)
    assert facts["bytes"] == index.stat().st_size
    return index.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(made: Path) -> str:
    return write(made)


class Reader(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.bare: list[str] = []
        self.data: dict[str, str] = {}
        self._isolated, self._id = 0, ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [v for k, v in found.items() if k in ("src", "href", "srcset", "action", "data")]
        self.handlers += [k for k in found if k.startswith("on")]
        self.bare += [v for v in found.values() if OVERRIDE in v and not re.search("\u2068.*\u2069", v)]
        self._isolated += tag == "bdi"
        self._id = found.get("id", "") if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._isolated -= tag == "bdi"
        self._id = ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.data[self._id] = self.data.get(self._id, "") + data
        if OVERRIDE in data and not self._isolated:
            self.bare.append(data)
        self.texts.append(data)


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    reader = Reader(page)
    assert reader.links
    assert [u for u in reader.links if not re.match(r"data:|#|quality/[a-z]+/index\.html$", u)] == []
    assert not {"iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert "default-src 'none'" in page
    assert re.findall(r"url\((?!data:|\$)[^)]*\)", page.partition("</style>")[0]) == []


def test_what_people_wrote_stays_text(page: str) -> None:
    reader = Reader(page)
    assert reader.handlers == []
    assert reader.tags.count("script") == 4  # curves, map, plotly, our own
    assert reader.bare == []
    text = "".join(reader.texts)
    assert LABELS[1] in text
    assert hostile(60) in text
    points = json.loads(reader.data["map-data"])
    assert set(points["labels"]) <= set(LABELS)
    assert hostile(45) in points["ids"]
    assert not re.search("[<>&]", reader.data["map-data"] + reader.data["curves-data"])


def test_the_page_says_what_was_found(page: str, made: Path) -> None:
    text = "".join(Reader(page).texts)
    verdict = json.loads((made / "evaluation").read_text())
    assert verdict["fusion"]["sentence"] in text
    for reason in ("not an image", "copy", "label missing"):
        assert f"{reason}: 1 row" in text
    assert "64 items were found" in text
    assert "61 rows were accepted and 3 quarantined" in " ".join(text.split())
    assert "deepmine run tiny" in text
    assert 'href="quality/rows/index.html"' in page
    assert text.count("cluster ") >= 3


def test_rejected_rows_have_pictures_and_unreadable_ones_none(page: str) -> None:
    start = page.index("Quarantine</h3>")
    part = page[start : page.index("Near-duplicates</h3>")]
    assert part.count("<img") == 2
    assert part.count("no picture") == 1


def test_near_duplicates_are_shown_in_pairs(page: str) -> None:
    start = page.index("Near-duplicates</h3>")
    part = page[start : page.index("Accepted rows of each class")]
    assert "1 of the 15 test rows has its like in train or val" in part
    assert part.count("<img") == 2
    assert "test and train" in part
    text = "".join(Reader(part).texts)
    assert hostile(47)[:39] in text
    assert hostile(63)[:39] in text
    assert 'href="#near-duplicates"' in page[: page.index("</header>")]


def test_the_same_run_gives_the_same_page(page: str, made: Path) -> None:
    assert write(made) == page


def altered(made: Path, tmp_path: Path) -> Path:
    home = tmp_path / "altered"
    shutil.copytree(made, home)
    return home


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_missing_and_damaged_records_are_shown_as_unknown(made: Path, tmp_path: Path) -> None:
    home = altered(made, tmp_path)
    (home / "records" / "train.json").write_text("{")
    assert "1.5" in write(home)
    shutil.rmtree(home / "records")
    assert "all stages together</dt><dd>–" in write(home)


def test_no_clusterers_no_val_rows_and_no_docs(made: Path, tmp_path: Path) -> None:
    home = altered(made, tmp_path)
    edit(home / "evaluation", clusters={})
    shutil.rmtree(home / "quality")
    history = json.loads((home / "encoder" / "history.json").read_text())
    bare = [{**epoch, "val_loss": None, "val_accuracy": None} for epoch in history]
    (home / "encoder" / "history.json").write_text(json.dumps(bare))
    page = write(home)
    assert "No clusterer was fitted." in page
    assert "There are no val rows" in page
    assert "Data Docs" not in page
    assert json.loads(Reader(page).data["curves-data"])["loss"]["val"] == []


def test_the_rate_of_a_stage_is_its_rows_or_what_it_measured() -> None:
    records = {
        "clean": {"seconds": 2.0, "facts": {"rows": 50}},
        "train": {"seconds": 9.0, "facts": {"rows": 50, "images_per_second": 70}},
        "mine": {"seconds": 0.0, "facts": {"rows": 50}},
    }  # fmt: skip
    assert [line["rate"] for line in runs.times(records, ("ingest", *records))] == [None, 25, 70, None]


def test_the_links_follow_the_place_of_the_page(made: Path) -> None:
    [first, _] = quality.data_docs(made / "quality", made / "elsewhere" / "index.html")
    assert first["href"] == "../quality/classes/index.html"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (words.percent(0.98123), "98.1 %"), (words.percent(1.0), "100 %"), (words.percent(0.9999), "99.99 %"),
        (words.percent(None), "–"), (words.points(-0.0302), "−3.0"), (words.points(-0.0001), "0.0"),
        (words.seconds(0.01), "< 0.1 s"), (words.seconds(94.2), "94 s"), (words.seconds(400), "6 min 40 s"),
        (words.seconds(7260), "2 h 1 min"),
        (words.rate(2069.4), "2,069"), (words.rate(3.21), "3.2"),
        (words.count(None), "–"), (words.number(-0.05), "−0.05"),
        (str(words.bdi("<b>")), "<bdi>&lt;b&gt;</bdi>"), (str(words.bdi(0)), "<bdi>0</bdi>"),
        (words.flatten({"a": {"b": [1, True]}, "c": None, "d": {}}),
         [("a.b", "[1, true]"), ("c", "null"), ("d", "{}")]),
    ],
)  # fmt: skip
def test_words(text: object, wanted: object) -> None:
    if isinstance(text, str):
        text = text.replace("\u00a0", " ")
    assert text == wanted


@pytest.mark.parametrize(("rows", "width", "method"), [(1, 4, "PCA"), (2, 1, "PCA"), (29, 4, "PCA"), (40, 4, "t-SNE")])
def test_a_map_of_any_size(rows: int, width: int, method: str) -> None:
    X = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    places, how = atlas.layout(X, 0)
    assert (places.shape, how) == ((rows, 2), method)
    assert np.isfinite(places).all()
    assert np.isfinite(atlas.layout(np.ones_like(X), 0)[0]).all()


def judged(truth: str, predicted: str) -> examples.Judged:
    n = len(truth)
    return examples.Judged(
        np.array([f"r{i}" for i in range(n)]), np.array(list(truth)), np.array(list(predicted)),
        np.linspace(0.5, 0.9, n), np.arange(n, dtype=np.float32)[:, None],
    )  # fmt: skip


def test_examples_are_the_surest() -> None:
    rows = judged("aaabb", "aabba")
    assert [[i["id"] for i in g["items"]] for g in examples.typical(rows, 1)] == [["r1"], ["r3"]]
    assert [i["id"] for i in examples.confused(rows, 2)] == ["r4", "r2"]


def test_a_cluster_shows_the_rows_at_its_middle() -> None:
    rows = judged("aaabb", "aaabb")
    found = examples.centres(rows, dict(zip(rows.ids.tolist(), "0" * 4 + "1", strict=True)), 2)
    assert [(g["cluster"], g["rows"], g["label"], g["share"]) for g in found] == [
        ("0", 4, "a", 0.75),
        ("1", 1, "b", 1.0),
    ]
    assert [i["id"] for i in found[0]["items"]] == ["r1", "r2"]


def test_many_classes_are_listed_in_pairs() -> None:
    n = results.MATRIX_CLASSES + 1
    matrix = np.diag([5] * n)
    matrix[2, 1], matrix[3, 0] = 3, 4
    verdict = {"labels": [f"c{i}" for i in range(n)], "confusion": {"network": matrix.tolist()}, "best": "network"}
    [way] = results.confusions(verdict, {"network": "the network"})
    assert way["rows"] == []
    assert [(p["truth"], p["predicted"], p["n"]) for p in way["pairs"]] == [("c3", "c0", 4), ("c2", "c1", 3)]


def test_a_sprite_keeps_the_place_of_each_row() -> None:
    red, wide = Image.new("RGB", (10, 10), "red"), Image.new("RGB", (96, 48), "blue")
    sheet = sprite([red, None, wide])
    assert sheet is not None
    assert (sheet["side"], sheet["columns"]) == (48, 2)
    assert sprite([None]) is None
