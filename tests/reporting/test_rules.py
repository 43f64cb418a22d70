"""Rules on the page: what a person reads of them, test rows for and against, and nothing where there is none."""

import re
from typing import Any

import numpy as np
import pytest

from tasks.reporting import rules
from tasks.reporting.test_rows import PredictedRows
from tests.fixtures.pages import html


def row(over: str, about: str, antecedent: list[str], consequent: list[str], **more: Any) -> dict[str, Any]:
    """A row of the store of rules, as far as the page reads it."""
    return {
        "over": over, "about": about, "antecedent": antecedent, "consequent": consequent, "words": "with a comes b",
        "support": 0.1, "confidence": 0.5, "lift": 2.0, "held_out_support": 0.09,
        "held_out_confidence": 0.4, "held_out_lift": 1.9, "held_out_lift_low": 1.2,
        "held_out_lift_high": 2.9, "held_up": True, "exemplars": [], "counterexamples": [], **more,
    }  # fmt: skip


def judged(n: int = 4) -> PredictedRows:
    ids = np.array([f"t{i}" for i in range(n)])
    said = np.tile([0.9, 0.1], (n, 1))
    return PredictedRows(
        "classification", ids, np.array(["yes"] * n), said, np.zeros((n, 2)), None, np.array(["no", "yes"])
    )


def told(**more: Any) -> dict[str, Any]:
    return {"sentence": "Some stand.", "left_out": [], "meaning": {}, **more}


def test_rules_stand_by_what_they_are_about_items_before_features() -> None:
    stored = [
        row("deep", "label", ["cluster 1"], ["label=yes"], exemplars=["t2", "t0"], counterexamples=["t1"]),
        row("deep", "features", ["cluster 1"], ["direction 1 low"], exemplars=["t3"]),
        row("items", "other", ["milk"], ["bread"], exemplars=["t3"]),
    ]
    found = rules.parts({"deep": told(meaning={"leaf 1": "so"}), "items": told()}, stored, judged(), 8)
    assert [part["over"] for part in found] == ["items", "deep"]
    assert [[t["about"] for t in part["tables"]] for part in found] == [["other"], ["label", "features"]]
    # rows are shown for items, and for features that tell something else; without a label none is spoken of
    assert [item["id"] for shown in found[0]["examples"] for item in shown["for"]] == ["t3"]
    assert found[1]["title"] == "Between deep features, the label and the items of the rows"
    [alone] = rules.parts({"deep": told()}, [row("deep", "other", ["cluster 1"], ["milk"])], judged(), 8)
    assert alone["title"] == "Between deep features and the items of the rows"
    [shown] = found[1]["examples"]
    assert [item["id"] for item in shown["for"]] == ["t2", "t0"]
    assert [item["facts"] for item in shown["against"]] == [[{"name": "true", "text": "yes"}]]
    assert rules.Rules(found).row_ids == ["t3", "t2", "t0", "t1"]


def test_no_more_examples_than_the_person_wants() -> None:
    stored = [row("deep", "other", [f"x{i}"], ["y"], exemplars=["t0", "t1", "t2", "t3"]) for i in range(9)]
    [part] = rules.parts({"deep": told()}, stored, judged(), 2)
    assert len(part["examples"]) == rules.WITH_ROWS
    assert {len(e["for"]) for e in part["examples"]} == {2}


@pytest.mark.parametrize(
    ("held_up", "low", "words", "interval"),
    [
        (True, 1.234, "replicated", "1.23 to 2.9"),
        (False, 0.8, "not replicated", "0.8 to 2.9"),
        (None, None, "not tested", None),
    ],
)
def test_what_other_rows_say_is_told_apart(
    held_up: bool | None, low: float | None, words: str, interval: str | None
) -> None:
    lift = float("nan") if low is None else 1.9
    stored = [row("items", "other", ["a"], ["b" * 200], held_up=held_up, held_out_lift_low=low, held_out_lift=lift)]
    [part] = rules.parts({"items": told()}, stored, judged(), 8)
    [rule] = part["tables"][0]["rules"]
    assert (rule["held"], rule["interval"]) == (words, interval)
    assert rule["held_text"] == ("–" if low is None else "1.9")
    assert len(rule["consequent"][0]) <= rules.ITEM


def test_the_chart_places_rules_by_their_figures() -> None:
    stored = [
        row("items", "other", ["a"], [name], support=support, confidence=confidence, lift=lift)
        for name, support, confidence, lift in (("p", 0.01, 1.0, 4.0), ("q", 0.1, 0.5, 2.0), ("r", 1.0, 0.0, 1.0))
    ]
    chart = rules.parts({"items": told()}, stored, judged(), 8)[0]["chart"]
    assert [(dot["x"], dot["y"], dot["tint"]) for dot in chart["dots"]] == [(0, 0, 100), (50, 28, 50), (100, 56, 0)]
    assert chart["ends"] == pytest.approx((0.01, 1))
    assert chart["lift"] == pytest.approx(4)
    assert rules.chart([]) is None
    assert rules.parts({"items": told(skipped="why")}, [], judged(), 8)[0]["bounds"] is None


def test_what_held_up_is_shown_with_the_figures_of_test_rows_and_those_of_train_rows_are_called_so() -> None:
    stored = [
        row("items", "other", ["a"], ["b"], confidence=0.996, held_out_confidence=0.926, lift=5.0, held_out_lift=4.5)
    ]
    stored.append(row("items", "other", ["c"], ["d"], confidence=0.71, lift=3.3, held_up=None, held_out_lift_low=None))
    parts = rules.parts(
        {"items": told(confidence=0.9, max_length=3, support=0.01, rows=9, items=4)}, stored, judged(), 8
    )
    page = html("rules", rules.Rules(parts))
    cells = [
        " ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in re.findall(r'<td class="n">(.*?)</td>', page, re.S)
    ]
    assert cells[:3] == ["9.0 % train 10.0 %", "92.6 % train 99.6 %", "4.5 1.2 to 2.9; train 5"]
    assert cells[3:6] == ["train 10.0 %", "train 71.0 %", "train 3.3"]
    assert "the whole 90 % interval of its lift" in page
