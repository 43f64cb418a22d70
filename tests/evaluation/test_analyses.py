"""Figures in `evaluate` and on the page: planted in the stores of the stages before, read from what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from tasks.config.evaluate import Costs, Slices
from tasks.core.errors import DeepmineError
from tasks.reporting.confusion import classes, confusion
from tasks.reporting.reliability import Reliability, reliability
from tasks.storage.store import Writer
from tests.fixtures.itemstore import write_items
from tests.fixtures.pages import html
from tests.fixtures.views import write_view
from tests.verbs.test_evaluate import (
    IDS,
    MINED,
    SPLIT,
    TEST,
    auto_world,
    classes_world,
    numbers_world,
    predictions,
    run,
    world,
)

OVERRIDE = "\u202e"
N = len(IDS)
ODD = np.arange(N) % 3 == 0
TITLES = {"mine": {"facts": {"seconds_of": {"one_svm@raw": {"fit": 1.0}, "one_svm@deep": {"fit": 2.0}}}},
          "train": {"seconds": 60.0}}  # fmt: skip


def items(home: Path, held: np.ndarray, names: list[str], attributes: list[str]) -> None:
    write_items(home / "items", list(IDS), list(SPLIT), [None] * N, names, attributes, held)


def spam(home: Path, hard: np.ndarray | None = None, sharp: float = 1.0, spread: float = 2.5) -> dict[str, np.ndarray]:
    """Two classes with probabilities, true at ``sharp`` 1; rows that are ``hard`` are guessed by chance, at the same odds."""
    classes_world(home)
    rng = np.random.default_rng(5)
    columns: dict[str, Any] = {"id": IDS, "split": SPLIT}
    odds = rng.normal(0, spread, N)
    truth = rng.random(N) < 1 / (1 + np.exp(-odds))
    if hard is not None:
        truth = np.where(hard, rng.random(N) < 0.5, truth)
    columns["label"] = np.where(truth, "spam", "ham")
    for name in ("one_svm@raw", "one_svm@deep"):
        said = 1 / (1 + np.exp(-sharp * odds))
        columns[name] = np.where(said > 0.5, "spam", "ham")
        columns[f"{name}.score"] = odds
        columns[f"{name}.probability"] = np.stack([1 - said, said], axis=1)
    predictions(home, columns, {**MINED, "classes": ["ham", "spam"]})
    # the network says the same, less sharply
    said = 1 / (1 + np.exp(-0.5 * odds))
    shares = np.stack([1 - said, said], axis=1)
    write_view(
        home / "features", "network", shares, ids=IDS, split=SPLIT, label=columns["label"], labels='["ham", "spam"]'
    )
    return columns


def page(verdict: dict[str, Any], records: dict[str, Any] | None = None) -> tuple[Reliability | None, str]:
    """The section on reliability, and its HTML with that of the classes."""
    made, classes = reliability(verdict, records or {}), confusion(verdict)
    return made, "".join([html("reliability", made) if made else "", html("confusion", classes) if classes else ""])


def test_two_classes_have_every_figure(tmp_path: Path) -> None:
    columns = spam(tmp_path, spread=1.2)
    _, metrics, verdict = run(tmp_path, costs=Costs(false_positive=1, false_negative=5), positive="spam")
    test, way = SPLIT == "test", metrics["fusion"]["raw_svm"]
    truth, said = columns["label"][test], columns["one_svm@raw.probability"][test][:, 1]
    assert way["brier"] == pytest.approx(sk.brier_score_loss(truth, said, pos_label="spam"))
    assert way["log_loss"] == pytest.approx(sk.log_loss(truth, said))
    assert way["ece_low"] <= way["ece"]
    wrong = np.where(truth == "spam", 5.0 * (said < way["threshold"]), said >= way["threshold"])
    assert way["cost"] == pytest.approx(wrong.mean())
    assert way["cost_low"] < way["cost"] < way["cost_high"]
    figures = verdict["figures"]
    assert set(figures["curves"]) == set(figures["calibration"]) == {"raw_svm", "network", "deep_svm"}
    assert figures["costs"]["ways"]["raw_svm"]["less_half"]["interval"][1] < 0
    made, text = page(verdict, TITLES)
    assert made is not None
    assert "Reliability curves" in text
    assert "A false positive costs 1, a false negative 5." in made.costs["sentence"]
    assert "less than the default threshold of 50 %" in made.costs["sentence"]
    assert "no miscalibration is detected" in made.calibration["sentence"]
    for value in metrics["slices"]["accuracy"].values():
        assert isinstance(value, int | float)


def test_too_sure_a_miner_is_told_so(tmp_path: Path) -> None:
    spam(tmp_path, sharp=4)
    made, _ = page(run(tmp_path)[2])
    assert made is not None
    assert "overconfident by" in made.calibration["sentence"]


def test_without_probabilities_or_costs_there_is_less(tmp_path: Path) -> None:
    classes_world(tmp_path)
    _, metrics, verdict = run(tmp_path)
    assert verdict["figures"]["costs"] is None
    assert set(verdict["figures"]["calibration"]) == {"network"}
    assert set(verdict["figures"]["curves"]) == {"raw_svm", "network", "deep_svm"}
    assert "ece" not in metrics["fusion"]["raw_svm"]
    made, text = page(verdict)
    assert made is not None
    assert "Cost of mistakes" not in text
    assert "not differ significantly from it" in text or "significantly worse" in text


def test_many_classes_are_averaged_and_costs_need_two(tmp_path: Path) -> None:
    world(tmp_path)
    _, metrics, verdict = run(tmp_path, costs=Costs(false_positive=1, false_negative=5))
    assert metrics["fusion"]["network"]["auc"] > 0.8
    assert set(verdict["figures"]["curves"]["network"]["classes"]) == {"a", "b", "c"}
    made, text = page(verdict)
    assert made is not None
    assert "Costs were given but not used: there are not two classes." in text
    assert "averaged over the classes" in text
    # the classes of the best way, an SVM, have no probabilities here
    assert [row["auc"] for row in classes(verdict)] == [None] * 3


def test_the_slice_that_was_planted_is_named_and_its_words_stay_text(tmp_path: Path) -> None:
    name = f"kind=<script>{OVERRIDE}"
    spam(tmp_path, hard=ODD)
    rng = np.random.default_rng(0)
    items(tmp_path, np.stack([ODD, ~ODD, *(rng.random((6, N)) < 0.5)], axis=1), [name, "kind=b", *"uvwxyz"],
          ["kind", "kind", *"uvwxyz"])  # fmt: skip
    _, metrics, verdict = run(tmp_path, positive="spam")
    made, text = page(verdict)
    assert made is not None
    [worst] = [line for line in made.slices["lines"] if line.startswith("Worst where")]
    assert name in worst
    assert "accuracy" in worst
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert metrics["slices"]["accuracy"]["worst_rows"] == (ODD & (SPLIT == "test")).sum()
    standing = [s for s in verdict["figures"]["slices"]["accuracy"]["slices"] if s["stands"] and s["kind"] == "item"]
    assert {item for s in standing for item in s["items"]} == {name, "kind=b"}
    only = Slices(columns=("u", "v"))
    assert run(tmp_path, slices=only)[1]["slices"]["accuracy"]["tried"] == 2 + 2 + 1  # with the classes and their pair
    with pytest.raises(DeepmineError, match=r"nothing is known of 'kin'.*kind"):
        run(tmp_path, slices=Slices(columns=("kin",)))


def test_numbers_have_residuals_slices_and_comparisons(tmp_path: Path) -> None:
    truth = numbers_world(tmp_path, off={"one_svm@deep": 0.5, "one_svm@raw": 0.2})
    items(tmp_path, np.stack([ODD, ~ODD], axis=1), ["odd=yes", "odd=no"], ["odd", "odd"])
    _, metrics, verdict = run(tmp_path)
    assert len(verdict["figures"]["residuals"]["residual"]) == TEST
    assert (
        verdict["figures"]["residuals"]["bias_interval"][0] <= 0 <= verdict["figures"]["residuals"]["bias_interval"][1]
    )
    assert metrics["slices"]["mae"]["worst_mae"] > 0
    assert verdict["figures"]["comparisons"]["best"] == "one_svm@raw"
    assert truth.shape[1] == 1
    made, text = page(verdict)
    assert made is not None
    assert "No significant bias" in text
    assert "Histogram" in text
    assert "Calibration" not in text


def test_forecasts_and_rows_without_labels(tmp_path: Path) -> None:
    numbers_world(tmp_path / "steps", outputs=2, train=2.0, test=0.3)
    _, text = page(run(tmp_path / "steps")[2])
    assert "Residuals of the best approach" in text
    auto_world(tmp_path / "bare", labelled=False)
    verdict = run(tmp_path / "bare")[2]
    assert verdict["figures"] is None
    assert page(verdict) == (None, "")


def test_one_test_row_of_one_class(tmp_path: Path) -> None:
    """Nothing to rank, to bin or to slice; the page still stands."""
    columns = spam(tmp_path)
    keep = (SPLIT != "test") | (IDS[-1] == IDS)
    columns["split"] = np.where(keep, SPLIT, "train")
    predictions(tmp_path, columns, {**MINED, "classes": ["ham", "spam"]})
    _, metrics, verdict = run(tmp_path, costs=Costs(false_positive=1, false_negative=5))
    assert verdict["figures"]["curves"] == {}
    assert metrics["slices"]["accuracy"] == {"tried": 0, "stand": 0}
    made, text = page(verdict)
    assert made is not None
    assert "Reliability of the scores" in text


@pytest.mark.parametrize("groups", [12, 1])
def test_rows_of_one_speaker_are_not_independent(groups: int, tmp_path: Path) -> None:
    world(tmp_path)
    alone = run(tmp_path)
    assert alone[2]["groups"] is None
    # rows of the raw store, with more of them than are cleaned; one group of wrong rows stands at the end
    speakers = [f"s{i * groups // N}" for i in range(N)]
    writer = Writer(tmp_path / "raw", pa.schema([("id", pa.string()), ("group", pa.string())]), "made by hand")
    rows = {"id": [*IDS[::-1], *(f"x{i}" for i in range(4))], "group": [*speakers[::-1], *[None] * 4]}
    writer.add(pa.table(rows, schema=writer.schema))
    writer.finish({"in": N + 14, "accepted": N + 4, "quarantined": {"not an image": 10}})
    _, metrics, verdict = run(tmp_path)
    made, text = page(verdict)
    assert made is not None
    (low, high), (was_low, was_high) = (
        (m["fusion"]["network"]["low"], m["fusion"]["network"]["high"]) for m in (metrics, alone[1])
    )
    if groups == 1:
        assert (low, high) == (was_low, was_high)
        assert "All test rows belong to one group" in text
        assert "McNemar" in text
    else:
        assert high - low > 1.3 * (was_high - was_low)
        assert f"come from {len(set(np.array(speakers)[SPLIT == 'test']))} groups" in text
        assert "With so few groups" in text
        assert "t tests over groups" in text
        pair = verdict["fusion"]["pairs"]["deep_svm - raw_svm"]["interval"]
        assert np.ptp(pair) > 1.3 * np.ptp(alone[2]["fusion"]["pairs"]["deep_svm - raw_svm"]["interval"])


def test_the_cheapest_that_is_as_good_is_named(tmp_path: Path) -> None:
    """Both miners say the same; the one on the raw view needs no network."""
    spam(tmp_path)
    verdict = run(tmp_path)[2]
    verdict["figures"]["comparisons"]["best"] = "one_svm@deep"
    verdict["figures"]["comparisons"]["alike"] = [
        {"name": "one_svm@raw", "difference": -0.005, "interval": [-0.02, 0.01], "p": 0.7, "better": False}
    ]
    made, text = page(verdict, TITLES)
    assert made is not None
    assert (
        "does not differ significantly from it, −0.5 points (−2.0 to +1.0), and takes 1.0 s instead of 62 s."
        in made.equivalent["sentence"]
    )
    assert "All pairwise comparisons (3)" in text
    # where nothing was timed nothing is said of it
    untimed, _ = page(verdict)
    assert untimed is not None
    assert (untimed.equivalent or {})["sentence"].endswith("one other does not differ significantly from it.")
