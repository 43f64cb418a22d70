"""Evaluation: what is said of fusion, who stands for each way, and the ledger of rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as sk

from tasks.config.evaluate import Evaluate
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json, write_json
from tasks.core.progress import Progress
from tasks.evaluate import evaluate
from tasks.evaluation.fusion import TITLES, WAYS, table
from tasks.evaluation.sentences import CLUSTERS
from tasks.metrics.classification import classification
from tasks.reporting.clusters import clusterings
from tasks.reporting.confusion import confusion
from tasks.reporting.fusion import fusion
from tasks.stats.resampling import Resampling
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import Writer, vector_column
from tests.fixtures.itemstore import write_items
from tests.fixtures.pages import html
from tests.fixtures.views import write_view

LABELS = ["a", "b", "c"]
TRAIN, VAL, TEST = 3, 40, 200
N = TRAIN + VAL + TEST
IDS = np.array([f"r{i:03d}" for i in range(N)])
SPLIT = np.array(["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST)
TRUTH = np.array([LABELS[i % 3] for i in range(N)])
KINDS = {
    "one_svm": {"miner": "linear_svm", "clusterer": False, "kind": "classifier"},
    "two_svm": {"miner": "rbf_svm", "clusterer": False, "kind": "classifier"},
    "forest": {"miner": "random_forest", "clusterer": False, "kind": "classifier"},
    "groups": {"miner": "kmeans", "clusterer": True, "kind": "clusterer"},
}
MINED = {"aim": "classification", "miners": KINDS, "chosen": {}, "curves": {}, "skipped": {}}
#: rows that a miner gets wrong: (of the val rows, of the test rows)
WRONG = {
    "one_svm@deep": (10, 10),
    "two_svm@deep": (2, 30),  # the better one on val rows, the worse one on test rows
    "one_svm@raw": (12, 60),
    "one_svm@raw+deep": (2, 26),
    "forest@deep": (14, 50),
    "forest@raw": (13, 70),
}
NETWORK = (4, 20)
#: What is measured of clusters where there are no classes.
FIGURES = {"silhouette", "clusters", "davies_bouldin", "calinski_harabasz"}


def said(wrong: tuple[int, int]) -> np.ndarray:
    """The truth, but for the last so many rows of val and of test."""
    out = TRUTH.copy()
    for end, count in zip((TRAIN + VAL, N), wrong, strict=True):
        out[end - count : end] = [LABELS[(LABELS.index(t) + 1) % 3] for t in out[end - count : end]]
    return out


def write_store(folder: Path, rows: int, counts: dict[str, Any]) -> None:
    """A store of ``rows`` rows of which only the manifest matters."""
    writer = Writer(folder, pa.schema([("id", pa.string())]), "made by hand")
    writer.add(pa.table({"id": [str(i) for i in range(rows)]}, schema=writer.schema))
    writer.finish(counts)


def ledger(home: Path, rows: int = N) -> None:
    """What the stages before `mine` leave behind: ten rows not readable, four rejected."""
    read = rows + 4
    write_store(home / "raw", read, {"in": read + 10, "accepted": read, "quarantined": {"not an image": 10}})
    summary = {"in": read, "accepted": rows, "quarantined": {"copy": 3, "label missing": 1}, "more": 1}
    write_json(home / "rejected" / SUMMARY, summary)
    write_store(home / "clean", rows, {"in": read, "accepted": rows, "quarantined": {"rejected by validate": 4}})


def predictions(home: Path, columns: dict[str, Any], mined: dict[str, Any]) -> None:
    """The predictions of held-out rows, by column; text where no type is plain."""
    held_out = columns["split"] != "train"
    made = {
        k: vector_column(v[held_out]) if v.ndim == 2 else
        pa.array(v[held_out].tolist(), pa.float64() if v.dtype.kind == "f" else pa.string())
        for k, v in columns.items()
    }  # fmt: skip
    writer = Writer(home / "miners" / PREDICTIONS, pa.table(made).schema, "made by hand")
    writer.add(pa.table(made))
    writer.finish({"in": int(held_out.sum()), "accepted": int(held_out.sum()), "quarantined": {}})
    write_json(home / "miners" / SUMMARY, mined)
    rows = [columns[name].tolist() for name in ("id", "split", "label")]
    write_items(home / "items", *rows, [], [], np.zeros((len(rows[0]), 0)))


def world(home: Path, wrong: dict[str, tuple[int, int]] = WRONG, network: tuple[int, int] = NETWORK) -> None:
    """What every stage before leaves behind, where the task is to tell three classes apart."""
    ledger(home)
    rows = {"ids": IDS, "split": SPLIT, "label": TRUTH}
    order = np.random.default_rng(0).permutation(N)
    far = np.array([[LABELS.index(t) * 10.0, i % 5] for i, t in enumerate(TRUTH)])
    for view in ("deep", "raw"):
        write_view(home / "features", view, far, order=order, **rows)
    # the network numbers the classes in an order of its own
    names = ["c", "a", "b"]
    sure = np.array([[0.8 if n == s else 0.1 for n in names] for s in said(network)])
    write_view(home / "features", "network", sure, order=order[::-1], labels=json.dumps(names), **rows)
    columns = {"id": IDS, "split": SPLIT, "label": TRUTH, **{k: said(v) for k, v in wrong.items()}}
    columns["groups@deep"] = np.array([str(LABELS.index(t)) for t in TRUTH])
    predictions(home, columns, MINED)


def run(home: Path, **params: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The facts, `metrics` and `evaluation`."""
    names = ("raw", "rejected", "clean", "items", "features", "miners", "crossvalidation", "metrics", "evaluation")
    write_json(home / "crossvalidation" / SUMMARY, {"folds": 0, "asked": 0, "why": "", "rows": 0})
    facts = evaluate(
        params=Evaluate(**{"resamples": 500, **params}),
        progress=Progress(quiet=True),
        **{n: home / n for n in names},
    )
    return facts, *(read_json(home / n) for n in ("metrics", "evaluation"))


def test_each_approach_is_stood_for_by_the_miner_that_val_rows_favour(tmp_path: Path) -> None:
    world(tmp_path)
    facts, metrics, verdict = run(tmp_path)
    ways = verdict["fusion"]["ways"]
    assert {way: v["by"] for way, v in ways.items()} == {
        "constant": "constant", "raw_svm": "one_svm@raw", "raw_other": "forest@raw", "network": "network",
        "deep_svm": "two_svm@deep", "deep_other": "forest@deep", "both_svm": "one_svm@raw+deep",
    }  # fmt: skip
    assert ways["deep_svm"]["accuracy"] == pytest.approx(1 - 30 / TEST)
    assert ways["network"]["accuracy"] == pytest.approx(1 - 20 / TEST)
    assert metrics["fusion"]["deep_svm"]["accuracy"] == ways["deep_svm"]["accuracy"]
    assert verdict["fusion"]["sentence"] == facts["verdict"]
    assert facts["rows"] == verdict["test_rows"] == TEST
    assert set(ways) == set(WAYS) - {"naive", "raw_boosting", "both_other"}
    assert list(TITLES) == list(WAYS)
    # two_svm@deep and both_svm have the same val accuracy; the first of them stands
    assert verdict["best"] == "deep_svm"


def test_the_choice_turns_with_val_rows_and_not_with_test_rows(tmp_path: Path) -> None:
    world(tmp_path / "val", {**WRONG, "two_svm@deep": (11, 0)})
    assert run(tmp_path / "val")[2]["fusion"]["ways"]["deep_svm"]["by"] == "one_svm@deep"
    world(tmp_path / "test", {**WRONG, "two_svm@deep": (9, 199)})
    assert run(tmp_path / "test")[2]["fusion"]["ways"]["deep_svm"]["by"] == "two_svm@deep"


def test_what_is_called_svm_is_one_and_other_miners_have_a_row_of_their_own(tmp_path: Path) -> None:
    world(tmp_path, {k: v for k, v in WRONG.items() if not k.endswith("svm@raw")} | {"forest@raw": (0, 0)})
    _, metrics, verdict = run(tmp_path)
    assert "raw_svm" not in verdict["fusion"]["ways"]
    assert verdict["scores"]["forest@raw"]["accuracy"] == metrics["fusion"]["raw_other"]["accuracy"] == 1
    assert verdict["best"] == verdict["fusion"]["raw"] == "raw_other"
    assert verdict["fusion"]["sentence"].startswith("Fusion did not pay: raw → other miner does better than deep → SVM")
    assert "groups@deep" not in verdict["scores"]
    assert verdict["clusters"]["groups@deep"]["ari"] == pytest.approx(1)
    assert verdict["clusters"]["groups@deep"]["silhouette"] > 0.5


def test_the_figures_are_those_of_the_test_rows(tmp_path: Path) -> None:
    world(tmp_path)
    _, metrics, verdict = run(tmp_path)
    test = SPLIT == "test"
    wrong = {**WRONG, "network": NETWORK}
    assert set(verdict["scores"]) == {*wrong, "constant"}
    # all three are equally many in train
    assert verdict["scores"]["constant"]["accuracy"] == pytest.approx((TRUTH[test] == "a").mean())
    for name, counts in wrong.items():
        found = classification(TRUTH[test], said(counts)[test], LABELS, Resampling(0.95, 500, 0))
        assert verdict["scores"][name] == {**found, "interval": found["interval"].as_json()}
    interval = Resampling(0.95, 500, 0).proportion(np.arange(TEST) < 180)
    assert metrics["fusion"]["network"]["low"] == pytest.approx(interval.low)
    assert metrics["fusion"]["network"]["high"] == pytest.approx(interval.high)
    matrix = np.array(verdict["confusion"]["network"])
    assert matrix.sum() == TEST
    assert np.trace(matrix) == 180
    pairs = verdict["fusion"]["pairs"]
    # deep_svm is the best by val rows, raw_svm the best of what needs no network
    assert set(pairs) == {"deep_svm - network", "deep_svm - raw_svm", "both_svm - deep_svm", "network - raw_svm"}
    assert not any("auc" in pair for pair in pairs.values())
    assert pairs["deep_svm - network"]["difference"] == pytest.approx(-10 / TEST)
    assert metrics["fusion"]["differences"]["deep_svm_minus_raw_svm"]["difference"] == pytest.approx(30 / TEST)
    assert set(metrics["clusters"]) == {"groups"}


def test_the_ledger_accounts_for_every_row(tmp_path: Path) -> None:
    world(tmp_path)
    _, metrics, verdict = run(tmp_path)
    assert metrics["rows"] == {
        "ingest": {"in": N + 14, "accepted": N + 4, "quarantined": 10},
        "validate": {"in": N + 4, "accepted": N, "quarantined": 4},
        "clean": {"in": N, "accepted": N, "quarantined": 0},
        "extract": {"in": N, "accepted": N, "quarantined": 0},
        "mine": {"in": VAL + TEST, "accepted": VAL + TEST, "quarantined": 0},
    }
    assert verdict["counts"]["validate"]["quarantined"] == {"copy": 3, "label missing": 1}


def lose_before_validate(home: Path) -> None:
    write_store(home / "raw", N + 5, {"in": N + 5, "accepted": N + 5, "quarantined": {}})


def lose_in_clean(home: Path) -> None:
    write_store(home / "clean", N - 1, {"in": N - 1, "accepted": N - 1, "quarantined": {}})


def lose_in_extract(home: Path) -> None:
    keep = slice(None, -1)
    rows = {"ids": IDS[keep], "split": SPLIT[keep], "label": TRUTH[keep]}
    write_view(home / "features", "deep", np.zeros((N - 1, 2)), **rows)


@pytest.mark.parametrize(
    ("lose", "stage"), [(lose_before_validate, "validate"), (lose_in_clean, "extract"), (lose_in_extract, "extract")]
)
def test_rows_that_vanish_are_noticed(lose: Any, stage: str, tmp_path: Path) -> None:
    world(tmp_path, {k: v for k, v in WRONG.items() if k.endswith("svm@raw")})
    # no clusters on the view that is changed: it is the ledger that must notice
    write_json(
        tmp_path / "miners" / SUMMARY,
        {**MINED, "miners": {**KINDS, "groups": {"miner": "other", "clusterer": False, "kind": "classifier"}}},
    )
    run(tmp_path)
    lose(tmp_path)
    (tmp_path / "metrics").unlink()
    with pytest.raises(ValueError, match=f"rows unaccounted for before {stage}"):
        run(tmp_path)
    assert not (tmp_path / "metrics").exists()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    world(tmp_path)
    run(tmp_path)
    first = [(tmp_path / n).read_bytes() for n in ("metrics", "evaluation")]
    run(tmp_path)
    assert [(tmp_path / n).read_bytes() for n in ("metrics", "evaluation")] == first


def test_without_val_rows_the_first_svm_stands(tmp_path: Path) -> None:
    world(tmp_path)
    predictions = tmp_path / "miners" / PREDICTIONS
    table = pq.read_table(predictions / "00000.parquet")
    table = table.filter(pc.equal(table["split"], "test"))
    writer = Writer(predictions, table.schema, "made by hand")
    writer.add(table)
    writer.finish({"in": TEST, "accepted": TEST, "quarantined": {}})
    assert run(tmp_path)[2]["fusion"]["ways"]["deep_svm"]["by"] == "one_svm@deep"


def classes_world(home: Path, positive: str = "spam") -> np.ndarray:
    """Two classes, a quarter of them positive; the raw miner's scores rank them better than the deep one's do."""
    ledger(home)
    rng = np.random.default_rng(0)
    other = "ham" if positive == "spam" else "zebra"
    truth = np.where(np.arange(N) % 4 == 1, positive, other)
    second = truth == max(positive, other)
    rows = {"ids": IDS, "split": SPLIT, "label": truth}
    far = np.stack([second * 3.0, np.arange(N) % 5], axis=1)
    for view in ("deep", "raw"):
        write_view(home / "features", view, far, **rows)
    chance = np.clip(second * 0.5 + rng.random(N) * 0.5, 0, 1)
    names = sorted([positive, other])
    write_view(home / "features", "network", np.stack([1 - chance, chance], axis=1), labels=json.dumps(names), **rows)
    columns: dict[str, Any] = {"id": IDS, "split": SPLIT, "label": truth}
    for name, noise in {"one_svm@raw": 0.4, "one_svm@deep": 0.8}.items():
        scores = second - 0.5 + rng.normal(0, noise, N)
        columns[name] = np.where(scores > 0, names[1], names[0])
        columns[f"{name}.score"] = scores
    predictions(home, columns, MINED)
    return truth


@pytest.mark.parametrize("positive", ["spam", "ham"])
def test_of_two_classes_the_rarer_is_looked_for(positive: str, tmp_path: Path) -> None:
    """Whether it comes first or last in the alphabet, scores are turned so that it ranks high."""
    truth = classes_world(tmp_path, positive)
    _, metrics, verdict = run(tmp_path)
    test = SPLIT == "test"
    table_of = pq.read_table(tmp_path / "miners" / PREDICTIONS / "00000.parquet").filter(
        pc.equal(pq.read_table(tmp_path / "miners" / PREDICTIONS / "00000.parquet")["split"], "test")
    )
    assert verdict["positive"] == positive
    sign = 1 if positive == "spam" else -1
    for name in ("one_svm@raw", "one_svm@deep"):
        found = verdict["scores"][name]["positive"]
        scores = sign * table_of[f"{name}.score"].to_numpy()
        assert found["auc"] == pytest.approx(sk.roc_auc_score(truth[test] == positive, scores))
        assert found["average_precision"] == pytest.approx(sk.average_precision_score(truth[test] == positive, scores))
        assert found["f1"] == pytest.approx(
            sk.f1_score(truth[test], table_of[name].to_numpy(False), pos_label=positive)
        )
        assert found["auc"] > 0.75
    assert verdict["scores"]["network"]["positive"]["auc"] > 0.75
    ways, pairs = verdict["fusion"]["ways"], verdict["fusion"]["pairs"]
    difference = pairs["deep_svm - raw_svm"]["auc"]
    assert difference["difference"] == pytest.approx(
        ways["deep_svm"]["positive"]["auc"] - ways["raw_svm"]["positive"]["auc"]
    )
    assert difference["interval"][1] < 0
    numbers = metrics["fusion"]["raw_svm"]
    assert numbers["positive_auc_low"] < numbers["positive_auc"] < numbers["positive_auc_high"]
    assert {"positive_f1", "positive_f1_low", "positive_precision", "positive_recall"} < set(numbers)
    assert metrics["fusion"]["differences"]["deep_svm_minus_raw_svm"]["auc_difference"] == difference["difference"]
    assert f"The approach chosen, {TITLES[verdict['best']]}, has an AUC of" in verdict["fusion"]["sentence"]
    assert positive not in verdict["fusion"]["sentence"]  # a person's word stands only where it is escaped
    rows = table(verdict)
    told = {"always the commonest class", "raw → SVM", "the network alone", "deep → SVM"}
    assert {row["way"] for row in rows} == told
    assert all(("AUC (positive class)" in row) == (row["by"] != "constant") for row in rows)


def test_the_positive_class_may_be_named(tmp_path: Path) -> None:
    classes_world(tmp_path)
    assert run(tmp_path, positive="ham")[2]["positive"] == "ham"
    with pytest.raises(DeepmineError, match=r"evaluate.positive: 'eggs' is not a class of this dataset \(ham, spam\)"):
        run(tmp_path, positive="eggs")


def test_gradient_boosting_on_the_raw_view_is_a_way_of_its_own(tmp_path: Path) -> None:
    """Where it does better on val rows than the SVM, it stands for the raw view in what is said."""
    kinds = {**KINDS, "forest": {"miner": "gradient_boosting", "clusterer": False, "kind": "classifier"}}
    world(tmp_path, {**WRONG, "forest@raw": (0, 2)})
    write_json(tmp_path / "miners" / SUMMARY, {**MINED, "miners": kinds})
    _, _, verdict = run(tmp_path)
    assert verdict["fusion"]["ways"]["raw_boosting"]["by"] == "forest@raw"
    assert verdict["best"] == verdict["fusion"]["raw"] == "raw_boosting"
    assert "raw → gradient boosting does better than deep → SVM" in verdict["fusion"]["sentence"]
    assert verdict["fusion"]["pairs"]["deep_svm - raw_boosting"]["difference"] == pytest.approx(-28 / TEST)


OFF = {"one_svm@deep": 0.5, "two_svm@deep": 0.8, "one_svm@raw": 1.0, "one_svm@raw+deep": 0.45}


def numbers_world(home: Path, outputs: int = 1, off: dict[str, float] = OFF, **naive: float) -> np.ndarray:
    """Numbers that each miner misses by so much, up and down; the network by 0.6."""
    ledger(home)
    truth = np.random.default_rng(0).normal(10, 4, (N, outputs))
    turn = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    label = np.array([" ".join(repr(float(v)) for v in row) for row in truth])
    rows = {"ids": IDS, "split": SPLIT, "label": label}
    order = np.random.default_rng(1).permutation(N)
    for view in ("deep", "raw"):
        write_view(home / "features", view, truth + turn, order=order, **rows)
    objective = "regression" if outputs == 1 else "forecasting"
    write_view(home / "features", "network", truth + 0.6 * turn, order=order, objective=objective, **rows)
    if naive:
        size = np.where(SPLIT == "train", naive["train"], naive["test"])[:, None]
        write_view(home / "features", "naive", truth + size * turn, order=order, **rows)
    columns: dict[str, Any] = {"id": IDS, "split": SPLIT, "label": label}
    for name, size in off.items():
        # the second output is missed by twice as much
        said = truth + size * turn * np.arange(1, outputs + 1)
        columns[name] = said if outputs > 1 else said[:, 0]
    columns["groups@deep"] = np.array([str(i % 3) for i in range(N)])
    predictions(home, columns, {**MINED, "aim": "regression", "skipped": {"forest@raw": "it is told why"}})
    return truth


def test_numbers_are_judged_by_their_errors(tmp_path: Path) -> None:
    numbers_world(tmp_path)
    facts, metrics, verdict = run(tmp_path)
    ways, pairs = verdict["fusion"]["ways"], verdict["fusion"]["pairs"]
    assert {way: v["by"] for way, v in ways.items()} == {
        "raw_svm": "one_svm@raw", "network": "network", "deep_svm": "one_svm@deep", "both_svm": "one_svm@raw+deep",
        "constant": "constant",
    }  # fmt: skip
    assert {way: v["mae"] for way, v in ways.items()} == pytest.approx(
        {"raw_svm": 1.0, "network": 0.6, "deep_svm": 0.5, "both_svm": 0.45, "constant": ways["constant"]["mae"]},
        abs=1e-5,
    )
    assert ways["raw_svm"]["rmse"] == pytest.approx(1)
    assert 0.9 < ways["raw_svm"]["r2"] < ways["both_svm"]["r2"] < 1
    assert verdict["best"] == "both_svm"
    assert pairs["deep_svm - network"]["difference"] == pytest.approx(-0.1, abs=1e-5)
    assert facts["verdict"].startswith(
        "Fusion paid: raw + deep → SVM beats raw → SVM, the best approach without a network, -0.55 in mean absolute error"
    )
    assert ", and the network alone, -0.15 in mean absolute error (" in facts["verdict"]
    numbers = metrics["fusion"]["deep_svm"]
    assert numbers["low"] <= numbers["mae"] <= numbers["high"]
    assert {"rmse_low", "rmse_high", "r2", "r2_low", "r2_high"} < set(numbers)
    assert "mase" not in numbers
    assert set(metrics["clusters"]["groups"]) == FIGURES
    assert verdict["skipped"] == {"forest@raw": "it is told why"}
    assert len(verdict["scatter"]["truth"]) == len(verdict["scatter"]["predicted"]) == TEST
    assert sum(band["rows"] for band in verdict["bands"]) == TEST
    titles = dict(verdict["titles"])
    assert titles == {**TITLES, "constant": "always the train median"}
    assert [row["way"] for row in table(verdict)] == [titles[way] for way in verdict["fusion"]["ways"]]
    assert {"RMSE", "R²", "mean absolute error"} < set(table(verdict)[0])


def test_the_choice_of_numbers_turns_with_val_rows_too(tmp_path: Path) -> None:
    numbers_world(tmp_path, off={**OFF, "two_svm@deep": 0.3})
    assert run(tmp_path)[2]["fusion"]["ways"]["deep_svm"]["by"] == "two_svm@deep"


def test_forecasts_are_measured_by_the_naive_one(tmp_path: Path) -> None:
    numbers_world(tmp_path, outputs=2, train=2.0, test=0.3)
    facts, metrics, verdict = run(tmp_path)
    assert verdict["outputs"] == 2
    assert verdict["steps"]["deep_svm"] == pytest.approx([0.5, 1.0], abs=1e-4)
    assert metrics["fusion"]["deep_svm"]["mae"] == pytest.approx(0.75, abs=1e-4)
    # the scale is the naive error on train rows, as Hyndman and Koehler have it
    assert metrics["fusion"]["deep_svm"]["mase"] == pytest.approx(0.75 / 2, abs=1e-4)
    assert metrics["fusion"]["naive"]["mae"] == pytest.approx(0.3, abs=1e-4)
    assert verdict["best"] == "network"  # never the naive one
    assert facts["verdict"].startswith("Fusion did not pay: seasonal naive does better than raw + deep → SVM, ")
    assert "No approach is shown to beat seasonal naive (0.3), which needs no model: " in facts["verdict"]
    assert metrics["fusion"]["differences"]["network_minus_naive"]["difference"] == pytest.approx(0.3, abs=1e-4)


def auto_world(home: Path, labelled: bool) -> None:
    """An autoencoder's features: clusters on `deep` are the classes but for ten rows, on `raw` for half of all."""
    ledger(home)
    label = TRUTH if labelled else np.array([None] * N)
    rows = {"ids": IDS, "split": SPLIT, "label": label}
    far = np.array([[LABELS.index(t) * 10.0, i % 5] for i, t in enumerate(TRUTH)])
    for view in ("deep", "raw"):
        write_view(home / "features", view, far, **rows)
    write_view(home / "features", "network", np.zeros((N, 1)), objective="autoencoder", **rows)
    columns: dict[str, Any] = {"id": IDS, "split": SPLIT, "label": label}
    for view, wrong in {"deep": (0, 10), "raw": (0, 100)}.items():
        columns[f"groups@{view}"] = np.array([str(LABELS.index(t)) for t in said(wrong)])
        if labelled:
            columns[f"one_svm@{view}"] = said(WRONG[f"one_svm@{view}"])
    predictions(home, columns, {**MINED, "aim": "classification" if labelled else "clusters"})


def test_an_autoencoder_is_judged_by_clusters_and_a_linear_probe(tmp_path: Path) -> None:
    auto_world(tmp_path, labelled=True)
    facts, metrics, verdict = run(tmp_path)
    assert set(verdict["fusion"]["ways"]) == {"constant", "raw_svm", "deep_svm"}
    assert "network" not in verdict["scores"]
    assert metrics["clusters"]["groups"]["accuracy"] == pytest.approx(190 / TEST)
    assert metrics["clusters"]["groups@raw"]["accuracy"] == pytest.approx(100 / TEST)
    gain = metrics["cluster_differences"]["groups"]
    assert 0 < gain["low"] < gain["difference"] < gain["high"]
    assert gain["difference"] == pytest.approx(
        metrics["clusters"]["groups"]["ari"] - metrics["clusters"]["groups@raw"]["ari"]
    )
    assert facts["verdict"].startswith(CLUSTERS[0].split(":")[0])
    assert (
        "Fusion paid: deep → SVM beats raw → SVM, the best approach without a network, +25.0 points" in facts["verdict"]
    )


def test_without_labels_the_silhouette_is_told_and_nothing_more(tmp_path: Path) -> None:
    auto_world(tmp_path, labelled=False)
    facts, metrics, verdict = run(tmp_path)
    assert facts["verdict"].startswith("There are no classes to judge by. Clusters found: 3 by groups on the view deep")
    assert (verdict["scores"], verdict["best"], verdict["fusion"]["ways"], verdict["test_rows"]) == ({}, None, {}, TEST)
    assert set(metrics["clusters"]["groups@raw"]) == FIGURES
    assert "cluster_differences" not in metrics
    assert metrics["rows"]["clean"]["accepted"] == N


@pytest.mark.parametrize("kind", ["classes", "numbers", "auto", "bare"])
def test_the_page_shows_what_was_evaluated(kind: str, tmp_path: Path) -> None:
    """The templates name nothing that is not there, under every objective."""
    {
        "classes": lambda: classes_world(tmp_path), "numbers": lambda: numbers_world(tmp_path, 2, train=2.0, test=0.3),
        "auto": lambda: auto_world(tmp_path, True), "bare": lambda: auto_world(tmp_path, False),
    }[kind]()  # fmt: skip
    _, _, verdict = run(tmp_path)
    compared, classes = fusion(verdict, {}), confusion(verdict)
    text = html("fusion", compared) + (html("confusion", classes) if classes else "")
    for told in {
        "classes": ["AUC", "AP (average precision)", "Confusion"],
        "numbers": ["mean absolute error", "MASE", "seasonal naive", "Errors of the best approach", "each step"],
        "auto": ["accuracy", "Confusion"],
        "bare": ["There are no classes to judge by"],
    }[kind]:
        assert told in text, told
    assert ("Confusion" in text) == (kind in ("classes", "auto"))
    clusters = clusterings(verdict, {})
    assert len(clusters) == len(verdict["clusters"])
    labelled = {"ARI", "NMI", "purity"} if kind in ("classes", "auto") else set()
    assert all(set(row["columns"]) >= {"silhouette", *labelled} for row in clusters)


def test_probabilities_without_val_rows(tmp_path: Path) -> None:
    world(tmp_path)
    keep = SPLIT == "test"
    sure = np.array([[0.8 if t == c else 0.1 for c in LABELS] for t in said((0, 0))[keep]])
    columns = {
        "id": IDS[keep], "split": SPLIT[keep], "label": TRUTH[keep], "forest@deep": said((0, 0))[keep],
        "forest@deep.probability": sure,
    }  # fmt: skip
    shutil.rmtree(tmp_path / "miners")
    predictions(tmp_path, columns, MINED | {"classes": LABELS})
    verdict = run(tmp_path)[2]
    assert verdict["scores"]["forest@deep"]["accuracy"] == 1
