"""The page of a run: escaped, complete and alone, whatever its rows are and whatever the network was to learn."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from PIL import Image

from tasks.config.clean import Clean, CleanTabular, Outliers
from tasks.config.dataset import Dataset
from tasks.config.evaluate import Evaluate
from tasks.config.mine import Mine, Miner, Rules
from tasks.config.source import Input, Source
from tasks.config.validate import Validate
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.report import report
from tasks.reporting import (
    captions,
    clusters,
    confusion,
    examples,
    feature_map,
    forecasts,
    formatting,
    pictures,
    quality,
    run_record,
    sounds,
    training,
)
from tasks.reporting.test_rows import PredictedRows
from tasks.storage.names import SUMMARY
from tasks.storage.store import read_manifest
from tests.fixtures.images import encode
from tests.fixtures.opened import look, needs_browser, with_probe
from tests.fixtures.runs import STORES, finish, finished, stage

OVERRIDE = "\u202e"
LABELS = ["plain", f"<script>alert(1)</script>\"' {OVERRIDE}gnp.exe", "<img src=http://evil.example onerror=alert(1)>"]
MINERS = {
    "linear_svm": Miner(miner="linear_svm", views=("raw", "deep", "raw+deep")),
    "kmeans": Miner(miner="kmeans", views=("deep", "raw")),
    "near": Miner(miner="nearest_neighbours", views=("deep", "raw")),
    "unlike": Miner(miner="local_outlier_factor", views=("deep",)),
    "forest": Miner(miner="isolation_forest", views=("deep",)),
    "tree": Miner(miner="decision_tree", views=("raw", "deep")),
}
#: Of so few rows nothing stands; the page is to show rules all the same.
RULES = Rules(views=("items", "deep"), q=1.0, confidence=0.1, min_lift=0.0)
SPLITS = ["train"] * 36 + ["val"] * 9 + ["test"] * 15
Row = dict[str, Any]


def hostile(i: int) -> str:
    return f"{i:02d} </script><script>alert({i})</script> \" onload=' {OVERRIDE}x"


def dataset(inputs: dict[str, Input], **more: Any) -> Dataset:
    return Dataset(
        source=Source(path="/somewhere"), inputs=inputs, mine=Mine(miners=MINERS, rules=RULES),
        evaluate=Evaluate(resamples=100), **{"validate": Validate(max_rejected=0.2), **more},
    )  # fmt: skip


def stripes(i: int, seed: int = 0) -> np.ndarray:
    """A grey (12, 12) picture of one of three kinds."""
    pixels = np.random.default_rng([seed, i]).integers(0, 90, (12, 12))
    pixels[:, 4 * (i % 3) : 4 * (i % 3) + 4] += 120
    return pixels.astype(np.uint8)


def image_rows() -> list[Row]:
    """60 images of three classes, one more that is broken, a copy, one without a label, and a test row's like."""
    rows = [
        {"id": hostile(i), "split": split, "label": LABELS[i % 3], "image": encode(stripes(i))}
        for i, split in enumerate(SPLITS)
    ]
    more = [b"no image", rows[0]["image"], encode(stripes(62, seed=1)), encode(stripes(47) // 2)]
    labels = [LABELS[0], LABELS[0], None, LABELS[0]]
    return rows + [
        {"id": hostile(60 + k), "split": "train", "label": labels[k], "image": item} for k, item in enumerate(more)
    ]


def text_rows() -> list[Row]:
    said = {"ham": "see you at <b>noon</b> & bring tea", "spam": f"{OVERRIDE}WIN a </script> prize now " + "再见" * 300}
    return [
        {"id": f"m{i}", "split": split, "label": label, "words": {"body": f"{i} {said[label]}"}}
        for i, split in enumerate(SPLITS) if (label := ["ham", "spam"][i % 2])
    ]  # fmt: skip


COLUMNS = ("age", "balance", f"{OVERRIDE}<b>kind_of_thing", *(f"c{i}" for i in range(9)))


def table_row(i: int, told: float) -> Row:
    rng = np.random.default_rng(i)
    return dict(zip(COLUMNS, [i % 7, told, "abc"[i % 3] + "<i>", *rng.normal(size=9).round(2).tolist()], strict=True))


def table_rows() -> list[Row]:
    rows = [
        {"id": f"t{i:02d}", "split": split, "label": "ny"[i % 2], "table": table_row(i, i % 2 + i / 1000)}
        for i, split in enumerate(SPLITS)
    ]
    rows[3]["table"]["age"] = 99_999  # an outlier, which `clean` sets aside
    return rows


def sound_rows() -> list[Row]:
    rows = []
    for i, split in enumerate(SPLITS):
        wav = BytesIO()
        wave = (
            np.sin(np.arange(22_050 // 2) * (i % 3 + 1) / 9) * 0.4 + np.random.default_rng(i).normal(size=11_025) / 99
        )
        soundfile.write(wav, wave, 22_050, format="WAV")
        rows.append({"id": f"s{i}.wav", "split": split, "label": "abc"[i % 3], "audio": wav.getvalue()})
    return [*rows, {**rows[0], "id": "copy.wav"}]


def mixed_rows() -> list[Row]:
    return [
        {
            "id": f"p{i}", "split": split, "label": "ab"[i % 2], "photo": encode(stripes(i)) if i % 3 else None,
            "words": {"body": f"word{i % 2} number {i}"}, "facts": {"price": float(i), "colour": "red"},
        }
        for i, split in enumerate(SPLITS)
    ]  # fmt: skip


def number_rows() -> list[Row]:
    return [
        {"id": f"n{i:02d}", "split": split, "label": str(1000 + 37 * i % 400), "table": table_row(i, i)}
        for i, split in enumerate(SPLITS)
    ]


def forecast_rows() -> list[Row]:
    level = 10 + np.sin(np.arange(200) / 2)
    return [
        {
            "id": f"w{i:02d}", "split": split, "label": " ".join(f"{v:.4f}" for v in level[2 * i + 20 : 2 * i + 24]),
            "load": {"value": level[2 * i : 2 * i + 20].tolist()},
        }
        for i, split in enumerate(SPLITS)
    ]  # fmt: skip


TABLE = Input(modality="tabular", columns=COLUMNS, categorical=(COLUMNS[2],))
WORDS = Input(modality="text", columns=("body",))
FACTS = Input(modality="tabular", columns=("price", "colour"), categorical=("colour",))
OUTLIERS = Clean(tabular=CleanTabular(outliers=Outliers(method="z_score", columns=("age",))))
IMAGE = {"image": Input()}
RUNS: dict[str, tuple[Dataset, list[Row]]] = {
    "image": (dataset(IMAGE, validate=Validate(max_rejected=0.1, labels=tuple(LABELS))), image_rows()),
    "text": (dataset({"words": WORDS}), text_rows()),
    "tabular": (dataset({"table": TABLE}, clean=OUTLIERS), table_rows()),
    "audio": (dataset({"audio": Input(modality="audio")}), sound_rows()),
    "mixed": (dataset({"photo": Input(), "words": WORDS, "facts": FACTS}), mixed_rows()),
    "numbers": (dataset({"table": TABLE}, objective="regression"), number_rows()),
    "forecast": (
        dataset({"load": Input(modality="series", columns=("value",))}, objective="forecasting"),
        forecast_rows(),
    ),
    "unlabelled": (dataset(IMAGE), [row | {"label": None} for row in image_rows()[:60]]),
    "hidden": (dataset(IMAGE, objective="autoencoder"), image_rows()[:60]),
}


class Made:
    """The stores of each run, made when they are first asked for, and its page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[str, str] = {}

    def home(self, name: str) -> Path:
        home = self.folder / name
        if not home.exists():
            home.mkdir()
            finish(home, *RUNS[name])
        return home

    def page(self, name: str) -> str:
        if name not in self.pages:
            self.pages[name] = write(self.home(name), name)
        return self.pages[name]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def write(home: Path, name: str) -> str:
    run = finished(home, RUNS[name][0], name)
    facts = report(run=run, progress=Progress(quiet=True))
    assert facts["bytes"] == run.index.stat().st_size
    return run.index.read_text(encoding="utf-8")


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
        self.charts: list[dict[str, Any]] = []
        self._isolated, self._id = 0, ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [v for k, v in found.items() if k in ("src", "href", "srcset", "action", "data")]
        self.handlers += [k for k in found if k.startswith("on")]
        self.bare += [v for v in found.values() if OVERRIDE in v and not re.search("\u2068.*\u2069", v)]
        self.charts += [json.loads(found["data-chart"])] if "data-chart" in found else []
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

    def points(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data["map-data"])
        return found

    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def part(page: str, start: str, end: str) -> str:
    return page[page.index(start) : page.index(end, page.index(start))]


def gallery(page: str, title: str) -> str:
    """The examples under one heading."""
    return re.split("<h3>|</section>", page[page.index(f"<h3>{title}") + 4 :])[0]


@pytest.mark.parametrize("name", RUNS)
def test_the_page_is_alone_and_what_people_wrote_stays_text(made: Made, name: str) -> None:
    page = made.page(name)
    reader = Reader(page)
    assert reader.links
    assert [u for u in reader.links if not re.match(r"data:|#|quality/[a-z]+/index\.html$", u)] == []
    assert not {"iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert "default-src 'none'" in page
    assert "unsafe-inline" not in page.partition("</style>")[0]
    assert named_by_hash(page) == {"script-src": 2, "style-src": 2}  # Plotly and our own; the style sheet, and none
    assert " style=" not in re.sub("(?s)<script.*?</script>", "", page)
    assert re.findall(r"url\((?!data:|\$)[^)]*\)", page.partition("</style>")[0]) == []
    assert reader.handlers == []
    assert reader.tags.count("script") == 4  # map, sounds, plotly, our own
    assert reader.bare == []
    assert not re.search("[<>&]", reader.data["map-data"])
    assert len(page) < 15e6


def named_by_hash(page: str) -> dict[str, int]:
    """How many of its inline scripts and styles (and "") the page's policy names by their hash, and no more of them."""
    parts = {
        "script-src": re.findall("(?s)<script>(.*?)</script>", page),
        "style-src": [*re.findall("(?s)<style>(.*?)</style>", page), ""],
    }
    found = {}
    for directive, texts in parts.items():
        listed = re.findall("'sha256-([^']+)'", part(page, directive, ";"))
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert listed == hashes
        found[directive] = len(listed)
    return found


PROBE = """document.getElementById("feature-map").emit("plotly_click", {points: [{customdata: 0}]});
document.querySelectorAll(".switch input")[1].click();
document.title = [document.getElementById("map-facts").hidden, document.querySelectorAll("#map-facts dd").length > 1,
  document.querySelectorAll(".approach:not([hidden])").length, document.querySelectorAll(".js-plotly-plot").length > 1,
  getComputedStyle(document.querySelector(".range .dot")).left !== "0px"].join(" ")"""


@pytest.mark.slow
@needs_browser
def test_the_page_works_under_its_own_policy_in_a_browser(made: Made) -> None:
    made.page("image")
    seen = look(with_probe(made.home("image") / "index.html", PROBE))
    assert seen.title == "false true 1 true true"
    assert [line for line in seen.console if "maplibregl" not in line and "inline style" not in line] == []


def test_rules_are_told_and_counted(made: Made) -> None:
    page, metrics = made.page("text"), read_json(made.home("text") / "metrics")
    section = part(page, '<section id="rules">', "</section>")
    assert '<a href="#rules">Rules</a>' in page
    assert set(metrics["rules"]) == {"items", "deep"}
    assert metrics["rules"]["deep"]["kept"] >= metrics["rules"]["deep"]["held_up"]
    assert "About the label" in section
    assert re.search(r"<b><bdi>cluster \d", section)
    assert "see you at &lt;b&gt;noon&lt;/b&gt;" in section  # a text that bears a rule out
    assert "for it" in section


def test_labels_and_ids_of_strangers_are_shown_as_they_are(made: Made) -> None:
    reader = Reader(made.page("image"))
    assert LABELS[1] in reader.text()
    assert hostile(60) in reader.text()
    points = reader.points()
    assert set(points["labels"]) <= set(LABELS)
    assert set(points["ids"]) <= {hostile(i) for i in range(64)}


def test_the_page_says_what_was_found(made: Made) -> None:
    page, text = made.page("image"), Reader(made.page("image")).text()
    verdict = read_json(made.home("image") / "evaluation")
    assert verdict["fusion"]["sentence"] in text
    for reason in ("not an image", "copy", "label missing"):
        assert f"{reason}: 1 row" in text
    assert "64 rows were read" in text
    assert "61 were accepted and 3 quarantined" in text
    assert "deepmine run image" in text
    assert 'href="quality/rows/index.html"' in page
    assert text.count("cluster ") >= 3


def test_rejected_rows_are_shown_and_unreadable_ones_not(made: Made) -> None:
    shown = part(made.page("image"), "Quarantine</h3>", "Near-duplicates</h3>")
    assert shown.count("<img") == 2
    assert shown.count("not shown") == 1


def test_rows_that_cleaning_set_aside_are_shown(made: Made) -> None:
    shown = part(made.page("tabular"), "Quarantine</h3>", "Accepted rows")
    assert "set aside by clean" in shown
    assert "99999" in shown
    text = Reader(made.page("tabular")).text()
    assert "59 were accepted and 1 quarantined" in text


def test_near_duplicates_are_shown_in_pairs(made: Made) -> None:
    page = made.page("image")
    shown = part(page, "Near-duplicates</h3>", "Accepted rows of each class")
    assert "1 of the 15 test rows has its like in train or val" in shown
    assert shown.count("<img") == 2
    assert "test and train" in shown
    for i in (47, 63):
        assert captions.middle(hostile(i), 28) in Reader(shown).text()
    assert 'href="#near-duplicates"' in page[: page.index("</header>")]


def test_where_near_duplicates_are_not_looked_for_nothing_is_said_of_them(made: Made) -> None:
    assert "ear-duplicates" not in Reader(made.page("text")).text()


def test_the_same_run_gives_the_same_page(made: Made) -> None:
    first = made.page("audio")
    assert write(made.home("audio"), "audio") == first


def test_text_is_shown_as_text_and_cut(made: Made) -> None:
    page = made.page("text")
    shown = gallery(page, "Typical")
    assert "see you at &lt;b&gt;noon&lt;/b&gt; &amp; bring tea" in shown
    assert "再见再见" in shown
    assert 100 < max(len(t) for t in Reader(shown).texts) <= 360
    [words] = Reader(page).points()["inputs"]
    assert words["sprite"] is None
    assert len(words["texts"]) == 14
    assert "<img" not in shown


def test_a_table_row_is_a_small_table_of_what_a_person_wrote(made: Made) -> None:
    shown = gallery(made.page("tabular"), "Typical")
    assert shown.count('<table class="cells"') == 2 * shown.count("<figure>")  # the first columns, and the rest
    assert "4 more columns" in shown
    assert "<td><bdi>a&lt;i&gt;</bdi></td>" in shown
    assert "&lt;b&gt;kind_<wbr>of_<wbr>thing" in shown
    [table] = Reader(made.page("tabular")).points()["inputs"]
    assert table["cells"][0][0][0] == "age"
    assert table["more"] == [0] * 14


def test_a_column_that_gives_the_label_away_stands_at_the_top(made: Made) -> None:
    page = made.page("tabular")
    shown = part(page, 'id="leaks"', 'id="fusion"')
    assert "The column &#39;balance&#39; alone predicts the label" in shown
    assert 'id="leaks"' not in made.page("image")


def test_sounds_can_be_heard_and_are_small(made: Made) -> None:
    page = made.page("audio")
    heard = json.loads(Reader(page).data["sounds-data"])
    places = [int(k) for k in re.findall(r'<audio controls[^>]* data-sound="(\d+)"', page)]
    assert set(places) == set(range(len(heard)))
    assert len(heard) > 9
    wave, rate = soundfile.read(BytesIO(base64.b64decode(heard[0].partition(",")[2])))
    assert rate <= 8000
    assert wave.shape == (rate // 2,)
    assert 0.2 < np.abs(wave).max() < 0.6
    assert "<audio" in part(page, "Quarantine</h3>", "Accepted rows")
    [audio] = Reader(page).points()["inputs"]
    assert audio["sprite"]["width"] > audio["sprite"]["height"]
    assert "media-src data:" in page


def test_every_input_of_a_row_is_shown_and_a_missing_one_named(made: Made) -> None:
    page = made.page("mixed")
    shown = gallery(page, "Typical")
    for what in ("<img", 'class="cells"', 'class="text"', "<bdi>photo</bdi> <span", "missing"):
        assert what in shown
    photo, text, facts = Reader(page).points()["inputs"]
    assert [i["name"] for i in (photo, text, facts)] == ["photo", "words", "facts"]
    assert 0 < sum(photo["has"]) < 14
    assert sum(text["has"]) == sum(facts["has"]) == 14
    assert "One network with a branch for each input" in page


def test_numbers_are_shown_beside_what_was_predicted(made: Made) -> None:
    page = made.page("numbers")
    points = Reader(page).points()
    assert points["labels"] == []
    assert points["wrong"] == []
    assert [f["name"] for f in points["facts"]] == ["true", "predicted", "error"]
    assert len(points["number"]) == 14
    assert points["ends"][0] < points["ends"][1]
    assert gallery(page, "Smallest errors").count('<p class="of">') == examples.PARTS
    errors = [abs(number(e)) for e in re.findall(r"error <b><bdi>([^<]*)", gallery(page, "Largest errors"))]
    assert len(errors) == 6
    assert errors == sorted(errors, reverse=True)
    assert 'id="confusion"' not in page
    assert "<h3>Accepted rows</h3>" in page


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def test_forecasts_are_drawn_with_the_steps_before_them(made: Made) -> None:
    page = made.page("forecast")
    shown = gallery(page, "From the best forecast to the worst")
    assert shown.count("<svg") == shown.count("<figure>") == 3
    assert shown.count('class="seen"') == shown.count("<polyline") // 3 + 1  # one more in the key
    errors = [number(e) for e in re.findall(r"RMSE <b><bdi>([^<]*)", shown)]
    assert errors == sorted(errors)
    assert "<svg" in gallery(page, "<bdi>kmeans")
    assert Reader(page).points()["coloured"] == "true value"


def test_without_labels_clusters_colour_the_map(made: Made) -> None:
    points = Reader(made.page("unlabelled")).points()
    assert points["coloured"] == "cluster"
    assert points["labels"] == sorted(points["labels"], key=int)
    assert [f["name"] for f in points["facts"]] == ["reconstruction error", "cluster"]
    errors = [
        number(e)
        for e in re.findall(r"error <b><bdi>([^<]*)", gallery(made.page("unlabelled"), "Largest reconstruction errors"))
    ]
    assert len(errors) == 6
    assert errors == sorted(errors, reverse=True)
    assert "No view has seen a label." in Reader(made.page("unlabelled")).text()


def test_labels_that_the_network_did_not_see_colour_the_map(made: Made) -> None:
    points = Reader(made.page("hidden")).points()
    assert points["coloured"] == "label"
    assert set(points["labels"]) <= set(LABELS)
    assert points["wrong"] == []


def altered(made: Made, tmp_path: Path) -> Path:
    home = tmp_path / "altered"
    shutil.copytree(made.home("image"), home)
    return home


def edit(path: Path, **changes: object) -> None:
    write_json(path, {**read_json(path), **changes})


def test_missing_and_damaged_records_are_shown_as_unknown(made: Made, tmp_path: Path) -> None:
    home = altered(made, tmp_path)
    (home / "records" / "train.json").write_text("{")
    assert "1.5" in write(home, "image")
    shutil.rmtree(home / "records")
    assert "all stages, each as last run</dt><dd>–" in write(home, "image")


def test_no_clusterers_no_val_rows_and_no_docs(made: Made, tmp_path: Path) -> None:
    home = altered(made, tmp_path)
    edit(home / "evaluation", clusters={})
    shutil.rmtree(home / "quality")
    history = read_json(home / "encoder" / "history.json")["epochs"]
    bare = [{**epoch, "val_loss": None, "val_accuracy": None} for epoch in history]
    write_json(home / "encoder" / "history.json", {"epochs": bare})
    page = write(home, "image")
    assert "no clusterer was fitted, or" in page
    assert "There are no val rows" in page
    assert "Data Docs" not in page
    assert [list(chart["lines"]) for chart in Reader(page).charts] == [["train"], ["train"]]


def test_rows_are_counted_as_they_came_out_of_clean(made: Made) -> None:
    home = made.home("tabular")
    summary = read_json(home / "rejected" / SUMMARY)
    assert read_manifest(home / "clean").rows == summary["accepted"] - 1
    rows = pa.table({"split": ["train", "test", "train"], "label": ["a", "a", None]})
    found = quality.splits(rows, ["a", "b"])
    assert [r["counts"] for r in found["rows"]] == [[1, 0, 1], [0, 0, 0]]
    assert (found["totals"], found["total"]) == ([2, 0, 1], 3)


def test_the_rate_of_a_stage_is_its_rows_or_what_it_measured() -> None:
    records = {
        "clean": {"seconds": 2.0, "facts": {"rows": 50}},
        "train": {"seconds": 9.0, "facts": {"rows": 50, "rows_per_second": 70}},
        "mine": {"seconds": 0.0, "facts": {"rows": 50}},
    }  # fmt: skip
    assert [line["rate"] for line in run_record.times(records, ("ingest", *records))] == [None, 25, 70, None]


def test_curves_show_whatever_an_epoch_measured() -> None:
    history = [
        {"epoch": 1, "lr": 0.1, "train_loss": 2.0, "val_loss": 3.0, "train_accuracy": None, "val_r2": 0.5},
        {"epoch": 2, "lr": 0.1, "train_loss": float("nan"), "val_loss": 1.0, "train_accuracy": None, "val_r2": 0.75},
    ]
    found = training.curves(history)
    assert [(c["title"], c["x"], c["lines"]) for c in found["charts"]] == [
        ("Loss", [1, 2], {"train": [2.0, None], "val": [3.0, 1.0]}),
        ("R²", [1, 2], {"val": [0.5, 0.75]}),
    ]
    assert found["best"] == {"epoch": 2, "values": [("loss", "1"), ("R²", "0.75")]}


def test_how_many_clusters_is_drawn_and_noise_is_no_cluster(made: Made, tmp_path: Path) -> None:
    home = altered(made, tmp_path)
    curve = {"parameter": "n_clusters", "measure": "bic", "rows": 40, "values": [[2, 9.5], [3, 7.0]], "chosen": 3}
    evaluation = read_json(home / "evaluation")
    name, found = next((k, v) for k, v in evaluation["clusters"].items() if k.endswith("@deep"))
    edit(home / "evaluation", counts_tried={name: curve}, clusters={name: {**found, "noise": 0.25}})
    page = write(home, "image")
    chart = Reader(page).charts[-1]
    assert (chart["x"], chart["lines"]) == ([2, 3], {"BIC (lower is better)": [9.5, 7.0]})
    assert "25.0 % noise" in page


def test_the_links_follow_the_place_of_the_page(made: Made) -> None:
    found = quality.data_docs(made.home("image") / "quality", made.folder / "elsewhere" / "index.html")
    assert "../image/quality/classes/index.html" in [doc["href"] for doc in found]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (formatting.percent(0.98123), "98.1 %"), (formatting.percent(1.0), "100 %"), (formatting.percent(0.9999), "99.99 %"),
        (formatting.percent(None), "–"), (formatting.points(-0.0302), "−3.0"), (formatting.points(-0.0001), "0.0"),
        (formatting.seconds(0.01), "< 0.1 s"), (formatting.seconds(94.2), "94 s"), (formatting.seconds(400), "6 min 40 s"),
        (formatting.seconds(7260), "2 h 1 min"),
        (formatting.rate(2069.4), "2,069"), (formatting.rate(3.21), "3.2"),
        (formatting.count(None), "–"), (formatting.number(-0.05), "−0.05"),
        (str(formatting.bdi("<b>")), "<bdi>&lt;b&gt;</bdi>"), (str(formatting.bdi(0)), "<bdi>0</bdi>"),
        (formatting.flatten({"a": {"b": [1, True]}, "c": None, "d": {}}),
         [("a.b", "[1, true]"), ("c", "null"), ("d", "{}")]),
        (captions.short("one two  three\n\0four", 14), "one two three…"), (captions.short("one two", 20), "one two"),
        (captions.short("x" * 30, 10), "x" * 9 + "…"), (captions.short("one two three", 11), "one two…"),
        (captions.middle("train/airplane/0058.jpg", 14), "train…0058.jpg"), (captions.middle("a.jpg", 14), "a.jpg"),
        (str(captions.joints("width < 15.17 a.b")), "<bdi>width &lt; 15.17 a.<wbr>b</bdi>"),
        (str(captions.joints("fire-engine_<2>")), "<bdi>fire-<wbr>engine_<wbr>&lt;2&gt;</bdi>"),
        (captions.values([1.5, -2, 3, 4, 5]), "1.5, −2, 3, 4, …"), (formatting.significant(float("nan")), "–"),
    ],
)  # fmt: skip
def test_words(text: object, wanted: object) -> None:
    if isinstance(text, str):
        text = text.replace("\u00a0", " ")
    assert text == wanted


@pytest.mark.parametrize(("rows", "width", "method"), [(1, 4, "PCA"), (2, 1, "PCA"), (29, 4, "PCA"), (40, 4, "t-SNE")])
def test_a_map_of_any_size(rows: int, width: int, method: str) -> None:
    X = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    places, how = feature_map.layout(X, 0)
    assert (places.shape, how) == ((rows, 2), method)
    assert np.isfinite(places).all()
    assert np.isfinite(feature_map.layout(np.ones_like(X), 0)[0]).all()


def judged(truth: str, predicted: str) -> PredictedRows:
    """Rows r0, r1, ... of the classes a and b, on each of which the network is surer than on the one before."""
    n = len(truth)
    sure = np.linspace(0.6, 0.9, n)
    said = np.array([[p, 1 - p] if w == "a" else [1 - p, p] for p, w in zip(sure, predicted, strict=True)])
    ids = np.array([f"r{i}" for i in range(n)])
    X = np.arange(n, dtype=np.float32)[:, None]
    return PredictedRows("classification", ids, np.array(list(truth)), said, X, None, np.array(["a", "b"]))


def items(group: dict[str, Any]) -> list[str]:
    return [item["id"] for item in group["items"]]


def test_examples_are_the_surest() -> None:
    rows = judged("aaabb", "aabba")
    assert [items(g) for g in examples.typical(rows, 1)["groups"]] == [["r1"], ["r3"]]
    [group] = examples.confused(rows, 2)["groups"]
    assert items(group) == ["r4", "r2"]
    assert examples.confused(judged("ab", "ab"), 2)["groups"] == []


def test_a_cluster_shows_the_rows_at_its_middle() -> None:
    rows = judged("aaabb", "aaabb")
    found = clusters.centres(rows, dict(zip(rows.ids.tolist(), "0" * 4 + "1", strict=True)), 2)
    assert [(g["label"], g["text"].translate({0x2068: "", 0x2069: ""})) for g in found] == [
        ("0", "75.0 % “a”, 4 rows"),
        ("1", "100 % “b”, 1 row"),
    ]
    assert items(found[0]) == ["r1", "r2"]


def test_labels_as_good_as_one_a_row_do_not_colour_a_map() -> None:
    def rows(truth: list[str]) -> PredictedRows:
        n = len(truth)
        return PredictedRows("autoencoder", np.arange(n).astype(str), np.array(truth), np.ones((n, 1)), np.ones((n, 1)), None,
                      np.empty(0, str))  # fmt: skip

    assert not rows([str(i) for i in range(90)]).labelled
    assert rows([str(i % 45) for i in range(90)]).labelled
    assert rows(["a", "b", ""]).labelled
    assert not rows(["", ""]).labelled


def predicted(truth: list[float], said: list[float], objective: str = "regression") -> PredictedRows:
    n = len(truth)
    numbers, ids = np.array(truth)[:, None], np.array([f"r{i}" for i in range(n)])
    labels = np.array([str(v) for v in truth])
    return PredictedRows(objective, ids, labels, np.array(said)[:, None], np.zeros((n, 1)), numbers, np.empty(0, str))


def test_numbers_are_ranked_by_their_errors() -> None:
    rows = predicted([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0.1, 1, 2.2, 3, 4, 5, 6, 7.3, 8, 5])
    [group] = examples.far_off(rows, 2)["groups"]
    assert items(group) == ["r9", "r7"]
    assert [fact["text"] for fact in group["items"][0]["facts"]] == ["9", "5", "−4"]
    near = examples.nearest(rows, 1)["groups"]
    assert [items(g) for g in near] == [["r1"], ["r3"], ["r4"], ["r6"], ["r8"]]
    assert [items(g) for g in examples.nearest(predicted([3, 3], [3, 4]), 1)["groups"]] == [["r0"]]
    assert items(examples.spread(rows, 3)["groups"][0])[-1] == "r9"


def test_a_forecast_is_drawn_in_as_many_panels_as_it_has_channels() -> None:
    window = np.stack([np.arange(30.0), np.full(30, 5.0)], 1)
    svg = str(forecasts.draw(window, np.arange(6.0), np.arange(6.0) + 1))
    assert svg.count("<polyline") == 6
    seen = re.findall(r'class="seen" points="([^"]*)"', svg)[0].split()
    assert len(seen) == forecasts.LEAST
    heights = [float(p.split(",")[1]) for p in seen]
    assert heights == sorted(heights, reverse=True)  # a rising series rises
    truth = re.findall(r'class="true" points="([^"]*)"', svg)[0].split()
    assert truth[0] == seen[-1]
    assert len(truth) == 4
    assert "nan" not in str(forecasts.draw(None, np.array([1.0, np.nan]), np.array([1.0, 1.0])))


def test_many_classes_are_listed_in_pairs() -> None:
    n = confusion.MATRIX_CLASSES + 1
    matrix = np.diag([5] * n)
    matrix[2, 1], matrix[3, 0] = 3, 4
    verdict = {"labels": [f"c{i}" for i in range(n)], "confusion": {"network": matrix.tolist()}, "best": "network"}
    [way] = confusion.matrices(verdict, {"network": "the network"})
    assert way["rows"] == []
    assert [(p["truth"], p["predicted"], p["n"]) for p in way["pairs"]] == [("c3", "c0", 4), ("c2", "c1", 3)]


def test_a_sprite_keeps_the_place_of_each_row() -> None:
    red, wide = Image.new("RGB", (10, 10), "red"), Image.new("RGB", (96, 48), "blue")
    sheet = pictures.sprite([red, None, wide], 48)
    assert sheet is not None
    assert (sheet["width"], sheet["height"], sheet["columns"]) == (48, 24, 2)
    drawn = Image.open(BytesIO(base64.b64decode(sheet["uri"].partition(",")[2]))).convert("RGB")
    assert drawn.size == (96, 48)
    colours = [drawn.getpixel(place) for place in ((24, 12), (72, 12), (24, 36))]
    assert [np.argmax(c) if max(c) - min(c) > 50 else None for c in colours] == [0, None, 2]
    assert wide.size == (96, 48)
    assert pictures.sprite([None], 48) is None


def test_many_pictures_are_smaller_and_many_sounds_shorter() -> None:
    assert pictures.side(192, 10) == 192
    assert pictures.SMALLEST <= pictures.side(192, 5000) < 60
    wav = BytesIO()
    soundfile.write(wav, np.zeros((16_000 * 12, 2)), 16_000, format="WAV")
    few, seconds = sounds.embed([wav.getvalue()])
    assert (len(few), seconds) == (1, 10.0)
    assert len(base64.b64decode(few[0].partition(",")[2])) == 44 + 2 * 8000 * 10
    many, seconds = sounds.embed([wav.getvalue()] * (sounds.MOST + 5))
    assert (len(many), seconds) == (sounds.MOST, sounds.SHORTEST)
    assert sum(map(len, many)) < 6e6


@pytest.mark.parametrize("name", RUNS)
def test_like_and_unlike_rows_and_directions_are_shown_whatever_the_rows_are(made: Made, name: str) -> None:
    page = made.page(name)
    near = part(page, '<section id="neighbours">', "</section>")
    assert f"deepmine like {name} ROW_ID" in near
    assert near.count("this row") >= 3
    assert near.count("distance") >= 3 * 7
    assert "not shown" not in near  # train rows are drawn, too
    assert "Highest scores by <bdi>forest</bdi> on the deep view" in part(page, '<section id="novelty">', "</section>")
    directions = part(page, '<section id="components">', "</section>")
    assert directions.count("<svg") == 2
    assert "deep view, component 1" in directions
    assert "not shown" not in directions
    labelled = name != "unlabelled"
    assert ('<section id="trees">' in page) == labelled
    assert ("Probabilities were calibrated" in page) == (labelled and name not in ("numbers", "forecast"))


def test_directions_of_a_table_are_told_by_its_columns_and_its_tree_asks_for_them(made: Made) -> None:
    """`runs.finish` makes its views up, without names; here the raw view has some, hostile ones among them."""
    home = made.home("tabular").parent / "named"
    shutil.copytree(made.home("tabular"), home)
    manifest = read_json(home / "features" / "raw" / "_manifest.json")
    names = [f"{OVERRIDE}<b>age</b>", "balance", "c", "d", "e", "f"]
    manifest["metadata"]["names"] = json.dumps(names)
    write_json(home / "features" / "raw" / "_manifest.json", manifest)
    stage("mine", RUNS["tabular"][0], {n: home / n for n in STORES}, home)
    stage("evaluate", RUNS["tabular"][0], {n: home / n for n in STORES}, home)
    page = write(home, "tabular")
    assert Reader(page).bare == []
    assert "<b>age" not in page
    assert "balance" in part(page, '<section id="components">', "</section>")
    assert "&lt;b&gt;age" in part(page, '<section id="trees">', "</section>")


def test_a_page_without_these_miners_has_none_of_their_sections(made: Made) -> None:
    home = made.home("text").parent / "bare"
    shutil.copytree(made.home("text"), home)
    few = {"linear_svm": MINERS["linear_svm"]}
    bare = Dataset(source=Source(path="/x"), inputs={"words": WORDS}, mine=Mine(miners=few))
    stage("mine", bare, {n: home / n for n in STORES}, home)
    stage("evaluate", bare, {n: home / n for n in STORES}, home)
    page = write(home, "text")
    assert not re.findall(r'(?:id="|#)(?:neighbours|novelty|trees)"', page)
