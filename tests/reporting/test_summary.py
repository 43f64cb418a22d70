"""The first page: what matters is said, what does not matter is not."""

from typing import Any

from tasks.reporting.clusters import Clusters
from tasks.reporting.confusion import Confusion
from tasks.reporting.cross_validation import CrossValidation
from tasks.reporting.fusion import Fusion, fusion
from tasks.reporting.leaks import Leaks
from tasks.reporting.quality import Quality
from tasks.reporting.reliability import Reliability
from tasks.reporting.rules import Rules
from tasks.reporting.summary import Parts, certainty, found, problems

PAIRS = {
    "b - a": {"interval": [0.01, 0.02], "difference": 0.015},
    "c - a": {"interval": [-0.1, 0.2], "difference": 0.1},
}
MEASURE = {"key": "accuracy", "title": "accuracy", "better": "higher", "unit": "share"}
EVALUATED: dict[str, Any] = {
    "best": "deep_svm", "titles": [["deep_svm", "deep → SVM"]], "labels": ["a", "b", "c"],
    "confusion": {"deep_svm": [[9, 1, 0], [0, 7, 3], [0, 0, 10]]}, "positive": None, "aim": "classification",
    "objective": "classification", "chosen": {}, "skipped": {}, "scores": {}, "test_rows": 1000,
    "fusion": {
        "ways": {"deep_svm": {"accuracy": 0.9, "interval": [0.88, 0.92], "by": "one_svm@deep", "precision": 0.9,
                              "recall": 0.9, "f1": 0.9}},
        "pairs": PAIRS, "measure": MEASURE, "sentence": "Fusion paid.", "confidence": 0.95,
    },
}  # fmt: skip
NOTHING = EVALUATED | {
    "best": None,
    "confusion": {},
    "fusion": EVALUATED["fusion"] | {"ways": {}, "pairs": {}, "measure": None},
}
SPLITS = {"total": 5000, "totals": [3500, 500, 1000], "rows": [{"total": 2500}, {"total": 2500}]}


def compared(evaluated: dict[str, Any] = EVALUATED, **more: Any) -> Fusion:
    return fusion(evaluated | more, {})


def parts(evaluated: dict[str, Any] = EVALUATED, **more: Any) -> Parts:
    """The sections of a run in which nothing is wrong."""
    given: dict[str, Any] = {
        "fusion": compared(evaluated), "quality": quality(), "clusters": Clusters("classification", [], [], {}, [], {}),
        "confusion": Confusion([], [{"label": "a", "rows": 500}], ""),
    }  # fmt: skip
    return Parts(**given | more)


def quality(**more: Any) -> Quality:
    given: dict[str, Any] = {
        "expectations": [], "data_docs": [], "shortened": [], "ledger": [], "quarantine": [], "splits": SPLITS,
        "near_duplicates": {"leaked": 0, "test": 1000, "conflicts": 0},
    }  # fmt: skip
    return Quality(**given | more)


def reliability(**more: Any) -> Reliability:
    names = ("equivalent", "slices", "calibration", "costs", "curves", "residuals", "positive")
    given = dict.fromkeys(names) | {"groups": "", "over_groups": False, "confidence": 0.95, "unit": "share"}
    return Reliability(**given | more)


def texts(lines: list[dict[str, str]]) -> str:
    return "\n".join(line["text"] for line in lines)


def test_clean_data_have_nothing_wrong_with_them() -> None:
    assert texts(problems(parts())) == "The checks found no problem."


def test_what_was_found_is_the_best_approach_whether_fusion_paid_and_the_commonest_mistake() -> None:
    text = texts(found(parts(), EVALUATED))
    assert "Deep → SVM, chosen without using test rows, classifies 90.0 % of the test rows correctly." in text
    assert "Fusion paid." in text
    assert "predicted as “\u2068c\u2069”, 3 of 10 times" in text
    right = {**EVALUATED, "confusion": {"deep_svm": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}}
    assert "makes no mistake" in texts(found(parts(), right))


def test_each_thing_that_is_wrong_is_said_once_with_where_to_look() -> None:
    made = quality(
        near_duplicates={"leaked": 7, "test": 1000, "conflicts": 2},
        quarantine=[
            {"reason": "copy", "rows": 300},
            {"reason": "copy across splits", "rows": 100},
            {"reason": "copies with different labels", "rows": 4},
            {"reason": "not an image", "rows": 90},
            {"reason": "label missing", "rows": 10},
        ],
        splits={"total": 5000, "totals": [4000, 0, 1000], "rows": [{"total": 4500}, {"total": 500}]},
        expectations=[{"success": False, "action": "warn", "reason": "x is constant", "words": "w"}],
    )
    leaks = Leaks([{"title": "Target leakage", "text": "The column 'x' alone predicts the label."}], [])
    lines = problems(parts(quality=made, leaks=leaks))
    said = [line["text"] for line in lines]
    assert any("'x' alone" in t for t in said)
    assert any(t.startswith("7 of the 1,000 test rows are near-duplicates") for t in said)
    assert any("2 groups of near-duplicates" in t for t in said)
    assert any(t.startswith("100 rows (1.8 %) could not be used; the most frequent reason: not an image") for t in said)
    assert any(t.startswith("400 rows (7.3 %) are copies of others") for t in said)
    assert any(t.startswith("4 rows are identical but have different labels") for t in said)
    assert any("9 times the rows" in t for t in said)
    assert any("no val rows" in t for t in said)
    assert any("x is constant" in t for t in said)
    assert len(said) == len(set(said)) == 9
    assert {line["href"] for line in lines} == {"#leaks", "#near-duplicates", "#quality"}


def test_a_few_copies_are_no_fault() -> None:
    assert "no problem" in texts(problems(parts(quality=quality(quarantine=[{"reason": "copy", "rows": 40}]))))


def test_how_certain_depends_on_the_rows() -> None:
    assert "1 of 2 differences" in texts(certainty(parts()))
    assert "only 80 test rows" in texts(certainty(parts(fusion=compared(test_rows=80))))
    folds = CrossValidation(5, "", {"sentence": "Judged naively, it looks better than it is."})
    assert "Judged naively" in texts(certainty(parts(cross_validation=folds)))
    few = Confusion([], [{"label": "a", "rows": 500}, {"label": "b", "rows": 4}], "")
    assert "“\u2068b\u2069” has fewer than 20 test rows" in texts(certainty(parts(confusion=few)))


def test_without_labels_it_says_that_nothing_could_be_scored() -> None:
    assert "no test row has a label" in texts(certainty(parts(NOTHING, confusion=None)))
    assert texts(found(parts(NOTHING, confusion=None), NOTHING)) == "Fusion paid."


def test_rules_that_were_replicated_and_what_is_reliable() -> None:
    rule = {
        "words": "a and b: 99.6 % in train",
        "held_out_words": "who buys a also buys b: 92.6 % in test",
        "held_up": True,
    }
    tables = [{"rules": [{"words": "chance", "held_up": False}, rule]}, {"rules": [rule]}]
    made = parts(
        rules=Rules([{"title": "Among items", "tables": tables}]),
        reliability=reliability(
            calibration={"sentence": "Overconfident."},
            slices={"lines": ["Worst: x.", "y.", "z."]},
            costs={"why": "none"},
        ),
    )
    assert (
        "2 rules among items were replicated on test rows, the first: who buys a also buys b: 92.6 % in test."
        in texts(found(made, EVALUATED))
    )
    assert texts(certainty(made)).endswith("Overconfident.\nWorst: x.\ny.")
    assert "rules" not in texts(found(parts(rules=Rules([{"title": "t", "tables": []}])), EVALUATED))


def test_without_labels_clusters_and_rules_are_what_one_can_be_certain_of() -> None:
    groups = [{"name": "kmeans", "view": v, "stability": s, "ari": None, "silhouette": 0.1, "clusters": 3}
              for v, s in (("raw", 0.5), ("deep", 0.9), ("raw+deep", None))]  # fmt: skip
    rules = [
        {
            "tables": [{"rules": [{"held_up": h, "held_out_words": "a comes b"} for h in (True, False, None)]}],
            "title": "Among x",
        }
    ]
    clusters = Clusters("autoencoder", groups, [], {}, [], {})
    lines = texts(certainty(parts(NOTHING, clusters=clusters, rules=Rules(rules)))).splitlines()
    assert lines[0] == "No prediction could be scored: no test row has a label."
    assert lines[1].startswith(
        "kmeans on the deep view, fitted again on random halves of the rows, has a stability of 0.9"
    )
    assert "on the raw view" in lines[2]
    assert lines[3] == "1 of 3 rules found on train rows was replicated on test rows."
    none = NOTHING | {"test_rows": 0}
    assert texts(certainty(parts(none, confusion=None))) == "No prediction could be scored: there are no test rows."


def test_texts_that_the_network_truncates_are_mentioned_where_they_are_many() -> None:
    text = {"sentence": "The network reads the first 9 words.", "share": 0.2}
    assert "The network reads the first 9 words." in texts(problems(parts(quality=quality(shortened=[text]))))
    assert "The network reads" not in texts(problems(parts(quality=quality(shortened=[text | {"share": 0.01}]))))
