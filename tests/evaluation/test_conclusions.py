"""What is said of fusion: true of the planted figures, and never two things that deny each other."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tasks.evaluation.conclusions import NO_DEEP, NO_RAW, Table, conclude, in_words
from tasks.evaluation.fusion import BASELINES, WAYS, fusion, titles
from tasks.evaluation.scorers import Classes, Difference, Numbers, Said
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling
from tasks.storage.summaries import MinerKind
from tests.fixtures.written import written

#: What approaches are by, as the registry calls it.
KINDS = {name: MinerKind(miner, False, "classifier") for name, miner in
         {"svm": "rbf_svm", "boost": "gradient_boosting", "near": "nearest_neighbours"}.items()}  # fmt: skip
ROWS = 300
SAMPLING = Resampling(0.95, 200, 0)


def judged(
    right: dict[str, float],
    test: int = ROWS,
    val: int = 150,
    seed: int = 0,
    constant: float = 0.5,
    groups: np.ndarray | None = None,
    **favoured: float,
) -> dict[str, Any]:
    """What `fusion` makes of verdicts that are right so often, each on rows of its own; ``favoured`` those of val rows."""

    def said(rows: int, shares: dict[str, float], seed: int) -> Said:
        rng = np.random.default_rng(seed)
        truth = np.where(np.arange(rows) < round(constant * rows), "a", "b")
        by = {"constant": np.full(rows, "a")}
        for name, share in shares.items():
            hit = rng.permutation(rows) < round(share * rows)
            by[name] = np.where(hit, truth, np.where(truth == "a", "b", "a"))
        return Said(np.array([f"r{i}" for i in range(rows)]), truth, by, {})

    judge = Classes(said(test, right, seed), ["a", "b"], None, SAMPLING)
    scores = {name: judge.score(name) for name in judge.test.by}
    rows = replace(said(val, {**right, **favoured}, seed + 1), groups=groups)
    found: dict[str, Any] = {}
    for part in fusion(judge, rows, KINDS, scores):
        found |= written(part)
    return found


def test_fusion_paid_only_where_it_beats_all_that_needs_no_network() -> None:
    """Boosting on the raw view is the best; an SVM on deep features beats the network and the raw SVM alone."""
    found = judged({"svm@raw": 0.6, "boost@raw": 0.9, "network": 0.7, "svm@deep": 0.8})
    assert not found["conclusion"]["paid"]
    assert "Fusion paid" not in found["sentence"]
    assert found["sentence"].startswith(
        "Fusion did not pay: raw → gradient boosting does better than deep → SVM, +10.0 points ("
    )
    assert found["sentence"].count("Train no network here.") == 1


@pytest.mark.parametrize("best", ["boost@raw", "near@raw"])
def test_whatever_needs_no_network_is_the_yardstick(best: str) -> None:
    found = judged({"svm@raw": 0.6, "network": 0.7, "svm@deep": 0.8, best: 0.95})
    assert found["raw"] in ("raw_boosting", "raw_other")
    assert found["ways"][found["raw"]]["by"] == best
    assert "Fusion did not pay" in found["sentence"]


def test_fusion_paid_where_deep_features_help() -> None:
    found = judged({"svm@raw": 0.6, "boost@raw": 0.65, "network": 0.8, "svm@deep": 0.9})
    assert found["conclusion"]["paid"]
    assert found["sentence"] == (
        "Fusion paid: deep → SVM beats raw → gradient boosting, the best approach without a network, "
        f"{shown(found, 'deep_svm - raw_boosting')}, and the network alone, {shown(found, 'deep_svm - network')}."
    )


def test_a_poor_pick_of_val_rows_flatters_no_network() -> None:
    """Val rows favour the raw SVM, but on test rows boosting is as good as deep features."""
    right = {"svm@raw": 0.6, "boost@raw": 0.9, "network": 0.7, "svm@deep": 0.9}
    found = judged(right, **{"svm@raw": 0.8, "boost@raw": 0.5})
    assert found["raw"] == "raw_svm"
    assert not found["conclusion"]["paid"]
    assert "deep → SVM beats raw → SVM, +30.0 points" in found["sentence"]
    assert "but raw → gradient boosting needs no network and cannot be told from deep → SVM" in found["sentence"]
    assert "worth its training" not in found["sentence"]


def test_what_does_not_beat_the_commonest_class_is_named() -> None:
    found = judged({"svm@raw": 0.75, "boost@raw": 0.76, "network": 0.9, "svm@deep": 0.74}, constant=0.75)
    assert found["conclusion"]["baselines"]["constant"] == ["raw_svm", "raw_boosting", "deep_svm"]
    told = found["sentence"].split(
        "Some approaches are not shown to beat always the commonest class (75.0 %), which needs no model: "
    )[1]
    assert told.startswith("raw → SVM, +0.0 points (")
    assert "the network alone" not in told.split(". ")[0]
    worse = judged(dict.fromkeys(("svm@raw", "network", "svm@deep"), 0.5), constant=0.9)
    assert "No approach is shown to beat always the commonest class (90.0 %)" in worse["sentence"]
    assert "Fusion did not pay: always the commonest class does better than deep → SVM" in worse["sentence"]
    assert "commonest" not in judged({"svm@raw": 0.8, "network": 0.9, "svm@deep": 0.9})["sentence"]


def test_without_anything_to_hold_it_against_nothing_is_said_of_fusion() -> None:
    assert judged({"network": 0.9, "svm@deep": 0.95})["sentence"].startswith(NO_RAW)
    assert NO_DEEP in judged({"network": 0.9, "svm@raw": 0.6})["sentence"]
    nothing = judged({})
    assert (nothing["best"], nothing["sentence"], nothing["pairs"]) == ("", "", {})


def test_the_best_by_val_rows_that_is_none_on_test_rows_is_told_of() -> None:
    right = {"svm@raw": 0.9, "network": 0.7, "svm@deep": 0.8}
    found = judged(right, **{"svm@raw": 0.5, "network": 0.9, "svm@deep": 0.6})
    assert found["best"] == "network"
    assert (
        "150 val rows favour the network alone, by more than a standard error over what is simpler; on the test rows raw "
        "→ SVM does better, +20.0 points" in found["sentence"]
    )
    assert found["reason"] in found["sentence"]
    close = judged({"svm@raw": 0.82, "network": 0.8, "svm@deep": 0.81}, **{"network": 0.9})
    assert (
        "over what is simpler; it is the last of those that learn on the test rows, but cannot be told from the first "
        "there, raw → SVM: +2.0 points" in close["sentence"]
    )
    assert "favour" not in judged(right)["sentence"]


def test_the_simplest_within_a_standard_error_is_chosen_and_the_reason_says_so() -> None:
    """Seven val rows that every approach gets right favour none."""
    right = {"svm@raw": 0.9, "network": 0.98, "svm@deep": 1.0}
    found = judged(right, val=7, **dict.fromkeys(right, 1.0))
    assert found["best"] == "raw_svm"
    assert found["reason"] == (
        "7 val rows favour raw → SVM among what needs no network, and by 7 val rows nothing with a network is a standard "
        "error better"
    )
    assert f"{found['reason']}; on the test rows deep → SVM does better" in found["sentence"]


def test_one_group_of_val_rows_tells_nothing_of_another() -> None:
    """All val rows are of one speaker: the network that does better on them is not chosen for that."""
    said = judged({"svm@raw": 0.9, "network": 0.7}, **{"svm@raw": 0.5, "network": 0.9})
    assert said["best"] == "network"
    groups = np.zeros(150, np.int64)
    assert (
        judged({"svm@raw": 0.9, "network": 0.7}, groups=groups, **{"svm@raw": 0.5, "network": 0.9})["best"] == "raw_svm"
    )
    groups = np.arange(150) // 5
    found = judged({"svm@raw": 0.9, "network": 0.7}, groups=groups, **{"svm@raw": 0.5, "network": 0.9})
    assert found["reason"].startswith("150 val rows of 30 groups favour the network alone")


def test_no_network_is_advised_against_that_is_not_shown_to_be_worse() -> None:
    found = judged({"boost@raw": 0.9, "network": 0.89, "svm@deep": 0.7})
    assert "Fusion did not pay: raw → gradient boosting does better than deep → SVM" in found["sentence"]
    assert "The network alone cannot be told from raw → gradient boosting, which needs none" in found["sentence"]
    assert "Train no network" not in found["sentence"]


def test_numbers_are_told_in_their_own_unit_and_less_is_better() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(ROWS, 1))
    off = {"svm@raw": 1.0, "network": 0.6, "svm@deep": 0.4}
    by = {name: truth + size * rng.choice([-1, 1], (ROWS, 1)) for name, size in off.items()}
    test = Said(np.arange(ROWS).astype(str), truth, by | {"constant": np.zeros((ROWS, 1))}, {})
    judge = Numbers(test, None, SAMPLING)
    found, _ = fusion(judge, test, KINDS, {name: judge.score(name) for name in judge.test.by})
    assert found.sentence.startswith("Fusion paid: deep → SVM beats always the train median, the best approach without")
    assert "-0.2 in mean absolute error (-0.2 to -0.2)" in found.sentence
    assert "Some approaches are not shown to beat always the train median (0.8" in found.sentence


def shown(found: dict[str, Any], pair: str) -> str:
    made = found["pairs"][pair]
    middle, low, high = (f"{v * 100:+.1f}" for v in (made["difference"], *made["interval"]))
    return f"{middle} points ({low} to {high})"


# every combination of signs

SIZE = {1: 0.05, 0: 0.001, -1: -0.05}
EACH = ("constant", "naive", "raw_svm", "raw_boosting", "network", "deep_svm", "both_svm")


def tables() -> Iterator[tuple[Table, dict[str, str], dict[tuple[str, str], int]]]:
    """Approaches with any signs between them, also such as no ranking would have, and any pick."""
    names = ("network", "deep_svm")
    plain = ("constant", "raw_svm", "raw_boosting")
    asked = [*itertools.product(names, plain), ("deep_svm", "network")]
    for lacking in ((), ("network",), ("deep_svm",)):
        pairs = [pair for pair in asked if not set(pair) & set(lacking)]
        ways = [way for way in (*plain, *names) if way not in lacking]
        for signs in itertools.product((1, 0, -1), repeat=len(pairs)):
            held = dict(zip(pairs, signs, strict=True))
            for best_plain in plain:
                picked = {"fused": "deep_svm", "network": "network", "plain": best_plain}
                yield (
                    made(ways, held, plain),
                    {role: way for role, way in picked.items() if way not in lacking},
                    held,
                )


def made(ways: list[str], held: dict[tuple[str, str], int], plain: tuple[str, ...]) -> Table:
    """The best is the one with the highest figure; real figures are drawn below."""

    def compared(a: str, b: str) -> Difference:
        size = SIZE[held[a, b] if (a, b) in held else -held.get((b, a), -1)]
        return Difference.of(Interval(size, size - 0.01, size + 0.01, "by hand"))

    measure = {"key": "accuracy", "title": "accuracy", "better": "higher", "unit": "share"}
    figures = {way: {"accuracy": 0.5 + i / 100} for i, way in enumerate(ways)}
    return Table(figures, titles(measure), measure, compared, plain, ("constant",), ways[-1])


def test_no_two_sentences_deny_each_other_whatever_the_signs() -> None:
    count = 0
    for table, picked, held in tables():
        found, count = conclude(table, picked), count + 1
        text = in_words(found, table)
        paid, worth = "Fusion paid" in text, "worth its training" in text
        none = "Train no network here" in text or ", which needs none: " in text
        same = "needs no network and cannot be told" in text
        assert paid + worth + none + same == 1, text
        fused, alone = picked.get("fused"), picked.get("network")
        beats = {way: all(held[way, p] == 1 for p in table.plain) for way in (fused, alone) if way}
        assert paid == found.paid == bool(fused and beats[fused] and held.get((fused, "network"), 1) == 1)
        assert (paid or worth) == any(beats.values())
        agree(text, table.titles)
    assert count > 6000


def agree(text: str, titles: dict[str, str]) -> None:
    """The same two approaches are not told apart in one clause and cannot be told apart in another."""
    found: dict[tuple[str, str], set[str]] = {}
    learned = [titles[way] for way in WAYS if way not in BASELINES]
    for clause in re.split(r"[.:;] |, but ", text):
        named = [title for title in learned if re.search(rf"(?<!\+ ){re.escape(title)}", clause)]
        said = {w for w in (*APART, *TOGETHER) if w in clause}
        if len(named) == 2 and "not shown to beat" not in clause:
            found.setdefault((named[0], named[1]), set()).update(said)
    for pair, words in found.items():
        assert not (words & APART and words & TOGETHER), f"{pair}: {text}"


APART, TOGETHER = {" beats ", "does better", "is worse"}, {"cannot be told", "is not shown"}


@pytest.mark.parametrize("seed", range(60))
def test_no_two_sentences_deny_each_other_whatever_the_figures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["svm@raw", "boost@raw", "near@raw", "network", "svm@deep", "near@deep", "svm@raw+deep"]
    some = [name for name in names if rng.random() < 0.8]
    right = {name: float(rng.uniform(0.5, 0.8) if seed % 2 else rng.uniform(0.7, 0.76)) for name in some}
    test, val = (int(rng.choice(sizes)) for sizes in ([20, 200, 1000], [0, 3, 40, 300]))
    found = judged(right, test=test, val=val, seed=seed, constant=float(rng.uniform(0.5, 0.75)))
    text = found["sentence"]
    heads = (
        "Fusion paid",
        "worth its training",
        "Train no network here",
        "needs no network and cannot be told",
        ", which needs none: ",
        NO_RAW,
    )
    assert sum(head in text for head in heads) == (0 if not some else 1), text
    agree(text, found["titles"])
    best, ways = found["best"], found["ways"]
    values = {way: figures["accuracy"] for way, figures in ways.items() if way not in BASELINES}
    if best and values[best] == min(values.values()) < max(values.values()):
        assert found["reason"] in text
        assert found["titles"][best] in found["reason"]
