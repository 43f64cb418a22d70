"""Figures of cross-validation: what is planted in the verdicts is found, and nothing where nothing is."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ttest_1samp

from tasks.core.files import write_json
from tasks.evaluation.cross_validation import _r2, figures, scalars
from tasks.evaluation.sentences import misled
from tasks.metrics.classification import classification
from tasks.reporting.cross_validation import CrossValidation, cross_validation
from tasks.stats.intervals import NADEAU_BENGIO, Interval
from tasks.stats.paired_tests import corrected_t
from tasks.stats.resampling import Resampling
from tasks.storage.names import SUMMARY
from tasks.storage.store import Writer
from tests.fixtures.pages import html
from tests.fixtures.written import written

K, EACH = 5, 80
N = K * EACH
FOLD = np.arange(N) % K
SAMPLING = Resampling(0.95, 400, 0)
KINDS = {
    "one": {"miner": "linear_svm", "clusterer": False, "kind": "classifier"},
    "two": {"miner": "rbf_svm", "clusterer": False, "kind": "classifier"},
    "groups": {"miner": "kmeans", "clusterer": True, "kind": "clusterer"},
}
SIZES = [{"fold": k, "train": 300, "val": 20, "test": EACH} for k in range(K)]


def write(
    home: Path, columns: dict[str, Any], label: list[str | None], unit: list[str] | None = None, **more: Any
) -> None:
    """The store of `crossvalidate` with these columns of verdicts."""
    table = pa.table(
        {"id": [f"{i:04d}" for i in range(N)], "fold": pa.array(FOLD), "unit": unit or [f"u{i}" for i in range(N)],
         "label": pa.array(label, pa.string()), **columns}
    )  # fmt: skip
    writer = Writer(home, table.schema, "made by hand")
    writer.add(table)
    writer.finish({"in": N, "accepted": N, "quarantined": {}})
    summary = {
        "folds": K, "asked": K, "why": "", "scheme": "stratified", "rows": N, "set_aside": 0, "grouped": unit is not None,
        "sizes": SIZES, "aim": "classification", "kinds": KINDS, "clusterers": ["groups@deep"], "merits": [{}] * K,
    }  # fmt: skip
    write_json(home / SUMMARY, summary | more)


def said(label: list[str], share: float, seed: int) -> list[str]:
    """``label`` with that share of it right."""
    right = np.random.default_rng(seed).permutation(N) < round(share * N)
    return [t if r else ("b" if t == "a" else "a") for t, r in zip(label, right, strict=True)]


LABEL = [str(v) for v in np.random.default_rng(3).choice(["a", "b"], N)]


def test_planted_optimism_is_found_and_the_raw_view_has_none(tmp_path: Path) -> None:
    raw = said(LABEL, 0.7, 1)
    write(tmp_path, {
        "nested.one@deep": said(LABEL, 0.75, 2), "naive.one@deep": said(LABEL, 0.95, 4),
        "nested.one@raw": raw, "naive.one@raw": raw, "nested.network": said(LABEL, 0.8, 5),
    }, LABEL)  # fmt: skip
    found = written(figures(tmp_path, SAMPLING))
    deep, control = found["ways"]["deep_svm"], found["ways"]["raw_svm"]
    assert (deep["accuracy"], deep["naive"], deep["optimism"]["difference"]) == (0.75, 0.95, pytest.approx(0.2))
    low, high = deep["optimism"]["interval"]
    assert 0.1 < low < 0.2 < high < 0.3
    assert len(deep["folds"]) == K
    assert np.mean(deep["folds"]) == pytest.approx(0.75)
    assert (control["optimism"]["difference"], control["optimism"]["folds"]) == (0, [0] * K)
    assert control["optimism"]["interval"] == control["optimism"]["over_folds"] == [0, 0]
    assert "optimism" not in found["ways"]["network"], "nothing naive was said"
    assert found["chosen"] == ["raw_svm", "network", "deep_svm"]
    assert found["sentence"].startswith(
        "Cross-validated, with an encoder of its own in each of 5 folds, right on: raw → SVM 70.0 %"
    )
    assert "Judged naively, deep → SVM looks 20.0 points (" in found["sentence"]
    pair = found["pairs"]["network - deep_svm"]
    assert pair["difference"] == pytest.approx(0.05)
    assert pair["interval"][0] < 0.05 < pair["interval"][1]
    told = scalars(figures(tmp_path, SAMPLING))["deep_svm"]
    assert told["optimism_low"] < told["optimism"] < told["optimism_high"]
    assert found == written(figures(tmp_path, SAMPLING))


def test_without_optimism_none_is_claimed(tmp_path: Path) -> None:
    write(tmp_path, {"nested.one@deep": said(LABEL, 0.8, 1), "naive.one@deep": said(LABEL, 0.8, 2)}, LABEL)
    found = written(figures(tmp_path, SAMPLING))
    low, high = found["ways"]["deep_svm"]["optimism"]["interval"]
    assert low < 0 < high
    assert "looks as good as it is, as far as can be told: 0.0 points (-" in found["sentence"]


def test_val_rows_of_each_fold_choose_and_the_same_miner_stands_for_both(tmp_path: Path) -> None:
    good, bad = LABEL, ["b" if t == "a" else "a" for t in LABEL]
    merits = [
        {"one@deep": [1.0], "two@deep": [0.0]} if k < 2 else {"one@deep": [0.0], "two@deep": [1.0]} for k in range(K)
    ]
    columns = {"nested.one@deep": good, "nested.two@deep": bad, "naive.one@deep": good, "naive.two@deep": good}
    write(tmp_path, columns, LABEL, merits=merits)
    way = written(figures(tmp_path, SAMPLING))["ways"]["deep_svm"]
    assert way["folds"] == [1, 1, 0, 0, 0]
    assert way["optimism"]["folds"] == [0, 0, 1, 1, 1]


def test_rows_of_a_group_are_drawn_together(tmp_path: Path) -> None:
    unit = [f"g{i // 20}" for i in range(N)]
    hit = [t if int(u[1:]) % 2 else "b" if t == "a" else "a" for t, u in zip(LABEL, unit, strict=True)]
    width = []
    for name, units in (("rows", None), ("groups", unit)):
        write(tmp_path / name, {"nested.one@deep": hit, "nested.network": LABEL}, LABEL, units)
        found = written(figures(tmp_path / name, SAMPLING))
        low, high = found["ways"]["deep_svm"]["interval"]
        width.append(high - low)
        over = "t over groups, cluster-robust" if units else "t"
        assert found["methods"]["pairs"] == {"interval": over, "over_folds_interval": NADEAU_BENGIO}
    assert width[1] > 3 * width[0], "twenty groups tell less than four hundred rows"


def test_numbers_forecasts_and_rows_that_a_way_lacks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(N, 2))
    label = [f"{a!r} {b!r}" for a, b in truth.tolist()]

    def off(by: float, lacks: bool = False) -> pa.Array:
        rows = (truth + rng.normal(size=(N, 2)) * by).tolist()
        return pa.array([None if lacks and i < 7 else row for i, row in enumerate(rows)], pa.list_(pa.float64(), 2))

    columns = {"nested.one@deep": off(1.0, lacks=True), "naive.one@deep": off(0.2), "nested.naive": off(2.0)}
    write(tmp_path, columns, label, aim="regression", kinds=KINDS)
    found = written(figures(tmp_path, SAMPLING))
    deep = found["ways"]["deep_svm"]
    assert (found["lacking"], found["judged_rows"]) == (7, N - 7)
    assert deep["mae"] == pytest.approx(0.8, abs=0.1)
    assert deep["optimism"]["interval"][0] > 0.4, "an error that looks smaller than it is counts as optimism"
    assert set(deep) >= {"rmse", "r2"}
    assert "deep → SVM looks 0." in found["sentence"]
    assert "nearer to the truth than it is" in found["sentence"]
    assert found["titles"]["naive"] == "seasonal naive"


def test_clusters_are_judged_fold_by_fold(tmp_path: Path) -> None:
    # each fold numbers its clusters anew, so that all folds together would agree with nothing
    names = [str((LABEL[i] == "a") ^ bool(FOLD[i] % 2)) for i in range(N)]
    write(tmp_path, {"nested.groups@deep": names, "naive.groups@deep": names, "nested.network": LABEL}, LABEL)
    found = written(figures(tmp_path, SAMPLING))
    assert found["clusters"]["groups@deep"]["nested"]["folds"] == [1] * K
    assert found["clusters"]["groups@deep"]["optimism"]["mean"] == 0
    assert list(found["ways"]) == ["network"]


@pytest.mark.parametrize(
    ("summary", "why"),
    [({"folds": 0, "asked": 0, "why": "off", "rows": 0}, ""), ({"folds": 0, "asked": 5, "why": "1 class", "rows": 0}, "1 class")],
)  # fmt: skip
def test_without_folds_there_is_a_reason_and_no_table(tmp_path: Path, summary: dict[str, Any], why: str) -> None:
    write_json(tmp_path / SUMMARY, summary)
    found = figures(tmp_path, SAMPLING)
    assert (found.ways, scalars(found)) == ({}, {})
    assert cross_validation(written(found)) == CrossValidation(0, why, {})
    assert cross_validation({}) == CrossValidation(0, "", {})


def test_without_labels_or_a_way_nothing_fails(tmp_path: Path) -> None:
    write(tmp_path / "a", {"nested.groups@deep": LABEL}, [None] * N, aim="clusters")
    assert written(figures(tmp_path / "a", SAMPLING))["why"] == "no row has a label to judge by"
    write(tmp_path / "b", {"nested.groups@deep": LABEL}, LABEL)
    assert written(figures(tmp_path / "b", SAMPLING))["sentence"] == "No way to a verdict was judged in every fold."


def test_the_corrected_test_is_wider_than_students_by_what_folds_share() -> None:
    values = np.array([0.1, 0.3, 0.2, 0.25, 0.15])
    plain = ttest_1samp(values, 0)
    assert corrected_t(values, 0.0, 0.95)[1] == pytest.approx(plain.pvalue)
    low, high = corrected_t(values, 0.25, 0.95)[0].as_json()
    narrow = plain.confidence_interval(0.95)
    assert (high - low) / (narrow.high - narrow.low) == pytest.approx(1.5), "the root of (1/5 + 1/4) / (1/5)"
    assert corrected_t(np.zeros(3), 0.5, 0.95) == (Interval(0, 0, 0, NADEAU_BENGIO), 1)
    assert corrected_t(np.ones(3), 0.5, 0.95)[1] == 0


@pytest.mark.parametrize(
    ("optimism", "share", "words_"),
    [
        ((0.032, [0.021, 0.043]), True, "looks 3.2 points (2.1 to 4.3) better than it is."),
        ((-0.032, [-0.043, -0.021]), True, "looks 3.2 points (2.1 to 4.3) worse than it is."),
        ((0.5, [0.25, 0.75]), False, "looks 0.5 (0.25 to 0.75) nearer to the truth than it is."),
        ((0.001, [-0.003, 0.005]), True, "looks as good as it is, as far as can be told: +0.1 points (-0.3 to +0.5)."),
    ],
)
def test_what_it_comes_to_is_said_in_a_sentence(optimism: tuple[float, list[float]], share: bool, words_: str) -> None:
    said_ = misled("deep → SVM", Interval(optimism[0], *optimism[1], "by hand"), share)
    assert said_ == f"Judged naively, deep → SVM {words_}"


def test_the_page_draws_every_fold_and_hides_what_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, {
        "nested.<b>@deep": said(LABEL, 0.75, 2), "naive.<b>@deep": said(LABEL, 0.95, 4), "nested.network": LABEL,
        "nested.groups@deep": LABEL, "naive.groups@deep": LABEL,
    }, LABEL, kinds=KINDS | {"<b>": {"miner": "linear_svm", "clusterer": False, "kind": "classifier"}})  # fmt: skip
    text = html("cross-validation", cross_validation(written(figures(tmp_path, SAMPLING))))
    assert text.count('class="fold"') == 3 * K, "of two ways, and of the optimism of one"
    assert "+20.0" in text
    assert "<b>@" not in text
    assert "Over rows: t, of paired rows; the fitted models are taken as given." in text
    assert "bootstrap" not in text, "none is made"
    off = html("cross-validation", cross_validation({"folds": 0, "asked": 0, "why": "x", "ways": {}}))
    assert "crossvalidate: {folds: 5}" in off
    assert "<table" not in off
    assert "1 class" in html("cross-validation", CrossValidation(0, "1 class", {}))


def test_all_rows_of_one_group_count_by_themselves(tmp_path: Path) -> None:
    write(tmp_path, {"nested.one@deep": said(LABEL, 0.75, 2)}, LABEL, unit=["group machine 1"] * N)
    low, high = written(figures(tmp_path, SAMPLING))["ways"]["deep_svm"]["interval"]
    assert 0.6 < low < 0.75 < high < 0.9


def test_six_speakers_are_six_facts(tmp_path: Path) -> None:
    """Speakers that differ, few as they are: 95 % intervals cover the mean of all speakers about that often."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        share = rng.beta(8, 2, 6)[np.arange(N) % 6]
        hit = rng.random(N) < share
        verdicts = [t if h else ("b" if t == "a" else "a") for t, h in zip(LABEL, hit, strict=True)]
        write(tmp_path / str(seed), {"nested.one@deep": verdicts}, LABEL, unit=[f"s{i % 6}" for i in range(N)])
        low, high = written(figures(tmp_path / str(seed), SAMPLING))["ways"]["deep_svm"]["interval"]
        covered.append(low <= 0.8 <= high)
    assert np.mean(covered) > 0.87


def test_a_fold_whose_numbers_are_all_equal_has_no_r2() -> None:
    assert _r2(np.full((100, 1), 0.1), np.full((100, 1), 0.6)) is None
    assert _r2(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])) == 1


def test_f1_is_that_of_evaluate_where_a_class_is_said_that_no_row_has(tmp_path: Path) -> None:
    verdicts = ["c" if i % 10 == 0 else t for i, t in enumerate(LABEL)]
    write(tmp_path, {"nested.one@deep": verdicts}, LABEL)
    folds = written(figures(tmp_path, SAMPLING))["ways"]["deep_svm"]["f1"]["folds"]
    here = FOLD == 0
    truth, own = np.array(LABEL)[here], np.array(verdicts)[here]
    assert folds[0] == pytest.approx(classification(truth, own, ["a", "b"], SAMPLING)["f1"])
