"""Evaluation: what is said of fusion, who stands for each way, and the ledger of rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks import config
from tasks.evaluate import TITLES, WAYS, evaluate, sentence
from tasks.metrics import classification, wilson
from tasks.progress import Progress
from tasks.store import PREDICTIONS, SUMMARY, Writer, write_json
from tests.tasks.test_views import write_view

LABELS = ["a", "b", "c"]
TRAIN, VAL, TEST = 3, 40, 200
N = TRAIN + VAL + TEST
IDS = np.array([f"r{i:03d}" for i in range(N)])
SPLIT = np.array(["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST)
TRUTH = np.array([LABELS[i % 3] for i in range(N)])
KINDS = {
    "one_svm": {"miner": "linear_svm", "clusterer": False},
    "two_svm": {"miner": "rbf_svm", "clusterer": False},
    "forest": {"miner": "random_forest", "clusterer": False},
    "groups": {"miner": "kmeans", "clusterer": True},
}
#: rows that a miner gets wrong: (of the val rows, of the test rows)
WRONG = {
    "one_svm@deep": (10, 10),
    "two_svm@deep": (2, 30),  # the better one on val rows, the worse one on test rows
    "one_svm@raw": (12, 60),
    "one_svm@raw+deep": (2, 26),
    "forest@deep": (0, 0),
    "forest@raw": (0, 0),
}
NETWORK = (4, 20)


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


def world(home: Path, wrong: dict[str, tuple[int, int]] = WRONG, network: tuple[int, int] = NETWORK) -> None:
    """What every stage before leaves behind: ten rows not readable, four rejected."""
    read = N + 4
    write_store(home / "raw", read, {"in": read + 10, "accepted": read, "quarantined": {"not an image": 10}})
    (home / "unreadable").mkdir()
    summary = {"in": read, "accepted": N, "quarantined": {"copy": 3, "label missing": 1}, "more": 1}
    (home / "rejected").mkdir()
    write_json(home / "rejected" / SUMMARY, summary)
    write_store(home / "clean", N, {"in": read, "accepted": N, "quarantined": {"rejected by validate": 4}})
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
    held_out = SPLIT != "train"
    table = pa.table({k: pa.array(v[held_out].tolist(), pa.string()) for k, v in columns.items()})
    writer = Writer(home / "miners" / PREDICTIONS, table.schema, "made by hand")
    writer.add(table)
    writer.finish({"in": table.num_rows, "accepted": table.num_rows, "quarantined": {}})
    write_json(home / "miners" / SUMMARY, KINDS)


def run(home: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The facts, `metrics` and `evaluation`."""
    names = ("raw", "unreadable", "rejected", "clean", "features", "miners", "metrics", "evaluation")
    facts = evaluate(
        params=config.Evaluate(resamples=500), progress=Progress(quiet=True), **{n: home / n for n in names}
    )
    return facts, *(json.loads((home / n).read_text()) for n in ("metrics", "evaluation"))


def test_each_way_is_stood_for_by_the_svm_that_val_rows_favour(tmp_path: Path) -> None:
    world(tmp_path)
    facts, metrics, verdict = run(tmp_path)
    ways = verdict["fusion"]["ways"]
    assert {way: v["by"] for way, v in ways.items()} == {
        "raw_svm": "one_svm@raw", "network": "network", "deep_svm": "two_svm@deep", "both_svm": "one_svm@raw+deep",
    }  # fmt: skip
    assert ways["deep_svm"]["accuracy"] == pytest.approx(1 - 30 / TEST)
    assert ways["network"]["accuracy"] == pytest.approx(1 - 20 / TEST)
    assert metrics["fusion"]["deep_svm"]["accuracy"] == ways["deep_svm"]["accuracy"]
    assert verdict["fusion"]["sentence"] == facts["verdict"]
    assert facts["rows"] == verdict["test_rows"] == TEST
    assert set(ways) == set(WAYS) == set(TITLES)
    # two_svm@deep and both_svm have the same val accuracy; the first of them stands
    assert verdict["best"] == "deep_svm"


def test_the_choice_turns_with_val_rows_and_not_with_test_rows(tmp_path: Path) -> None:
    world(tmp_path / "val", {**WRONG, "two_svm@deep": (11, 0)})
    assert run(tmp_path / "val")[2]["fusion"]["ways"]["deep_svm"]["by"] == "one_svm@deep"
    world(tmp_path / "test", {**WRONG, "two_svm@deep": (9, 199)})
    assert run(tmp_path / "test")[2]["fusion"]["ways"]["deep_svm"]["by"] == "two_svm@deep"


def test_only_svms_stand_for_a_way(tmp_path: Path) -> None:
    world(tmp_path, {k: v for k, v in WRONG.items() if not k.endswith("svm@raw")})
    _, metrics, verdict = run(tmp_path)
    assert "raw_svm" not in verdict["fusion"]["ways"]
    assert verdict["scores"]["forest@raw"]["accuracy"] == metrics["miners"]["forest@deep"]["accuracy"] == 1
    assert "forest@deep" not in {v["by"] for v in verdict["fusion"]["ways"].values()}
    assert "groups@deep" not in verdict["scores"]
    assert verdict["clusters"]["groups@deep"]["ari"] == pytest.approx(1)
    assert verdict["clusters"]["groups@deep"]["silhouette"] > 0.5


def test_the_figures_are_those_of_the_test_rows(tmp_path: Path) -> None:
    world(tmp_path)
    _, metrics, verdict = run(tmp_path)
    test = SPLIT == "test"
    wrong = {**WRONG, "network": NETWORK}
    assert set(verdict["scores"]) == set(wrong)
    for name, counts in wrong.items():
        assert verdict["scores"][name] == classification(TRUTH[test], said(counts)[test], LABELS, 0.95)
    low, high = wilson(180, TEST, 0.95)
    assert metrics["fusion"]["network"]["low"] == pytest.approx(low)
    assert metrics["fusion"]["network"]["high"] == pytest.approx(high)
    matrix = np.array(verdict["confusion"]["network"])
    assert matrix.sum() == TEST
    assert np.trace(matrix) == 180
    pairs = verdict["fusion"]["pairs"]
    assert set(pairs) == {"deep_svm - network", "deep_svm - raw_svm", "both_svm - deep_svm", "network - raw_svm"}
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
    write_json(tmp_path / "miners" / SUMMARY, {**KINDS, "groups": {"miner": "other", "clusterer": False}})
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


UP, DOWN, EVEN = (0.021, [0.01, 0.032]), (-0.021, [-0.032, -0.01]), (0.001, [-0.009, 0.011])
SHOWN = {"up": "+2.1 points (+1.0 to +3.2)", "down": "-2.1 points (-3.2 to -1.0)", "even": "+0.1 points (-0.9 to +1.1)"}
CASES = {"up": UP, "down": DOWN, "even": EVEN}
SAID = {
    "deep_svm - network": {
        "up": "Fusion paid: an SVM on the deep features beats the network alone by {}.",
        "down": "Fusion did not pay: an SVM on the deep features is worse than the network alone, {}.",
        "even": "An SVM on the deep features and the network alone cannot be told apart, {}: "
        "the network alone is the simpler choice.",
    },
    "deep_svm - raw_svm": {
        "up": "Deep features are worth their training: {} over the raw view.",
        "down": "The raw view alone does better than deep features: {}. Train no network here.",
        "even": "The raw view alone is as good as deep features, {}, and far cheaper.",
    },
    "both_svm - deep_svm": {
        "up": "Laying the raw view beside the deep one adds {}.",
        "down": "Laying the raw view beside the deep one costs {}.",
        "even": "Laying the raw view beside the deep one changes nothing that can be measured: {}.",
    },
}


def pair(case: str) -> dict[str, Any]:
    difference, interval = CASES[case]
    return {"difference": difference, "interval": interval}


@pytest.mark.parametrize("third", CASES)
@pytest.mark.parametrize("second", CASES)
@pytest.mark.parametrize("first", CASES)
def test_the_sentence_follows_the_intervals(first: str, second: str, third: str) -> None:
    cases = dict(zip(SAID, (first, second, third), strict=True))
    ways: dict[str, dict[str, Any]] = {way: {} for way in WAYS}
    found = sentence(ways, {name: pair(case) for name, case in cases.items()})
    assert found == " ".join(SAID[name][case].format(SHOWN[case]) for name, case in cases.items())


def test_what_was_not_fitted_is_not_spoken_of() -> None:
    only = {"deep_svm - network": pair("up")}
    assert sentence({"deep_svm": {}, "network": {}}, only) == SAID["deep_svm - network"]["up"].format(SHOWN["up"])
    assert sentence({"network": {}, "raw_svm": {}}, {}).startswith("No SVM was fitted on the deep view")
