"""The first page: what matters is said, what does not matter is not."""

from typing import Any

from tasks.reporting.summary import front


def page(**more: Any) -> dict[str, Any]:
    """The sections of a run in which nothing is wrong."""
    best = {
        "title": "deep → SVM", "value": 0.9, "interval": [0.88, 0.92], "positive": None,
    }  # fmt: skip
    fusion = {
        "best": best, "measure": {"unit": "share"}, "positive": None, "sentence": "Fusion paid.", "confidence": 0.95,
        "differences": [{"interval": [0.01, 0.02]}, {"interval": [-0.1, 0.2]}],
    }  # fmt: skip
    made = {
        "fusion": fusion, "clusters": [], "test_rows": 1000, "classes": [{"label": "a", "rows": 500}], "leaks": [],
        "alike": {"leaked": 0, "test": 1000, "conflicts": 0}, "quarantine": [], "expectations": [],
        "shortened": [], "splits": {"total": 5000, "totals": [3500, 500, 1000], "rows": [{"total": 2500}, {"total": 2500}]},
    }  # fmt: skip
    return made | more


VERDICT: dict[str, Any] = {
    "best": "deep_svm", "labels": ["a", "b", "c"], "confusion": {"deep_svm": [[9, 1, 0], [0, 7, 3], [0, 0, 10]]},
}  # fmt: skip


def texts(group: str, sections: dict[str, Any], verdict: dict[str, Any] = VERDICT) -> str:
    return "\n".join(line["text"] for line in front(sections, verdict)[group])


def test_clean_data_have_nothing_wrong_with_them() -> None:
    assert texts("wrong", page()) == "Nothing that the checks look for was found."


def test_what_was_found_is_the_best_way_the_verdict_and_the_commonest_mistake() -> None:
    told = texts("found", page())
    assert "Deep → SVM, chosen without a look at test rows, is right on 90.0 % of the test rows" in told
    assert "Fusion paid." in told
    assert "taken for “\u2068c\u2069”, 3 of 10 times" in told
    right = {**VERDICT, "confusion": {"deep_svm": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}}
    assert "makes no mistake" in texts("found", page(), right)


def test_each_thing_that_is_wrong_is_said_once_with_where_to_look() -> None:
    sections = page(
        leaks=[{"sentence": "The column 'x' alone tells the label."}],
        alike={"leaked": 7, "test": 1000, "conflicts": 2},
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
    lines = front(sections, VERDICT)["wrong"]
    told = [line["text"] for line in lines]
    assert any("'x' alone" in t for t in told)
    assert any(t.startswith("7 of the 1,000 test rows look almost the same") for t in told)
    assert any("2 groups of near-duplicates" in t for t in told)
    assert any(t.startswith("100 rows (1.8 %) could not be used, most for: not an image") for t in told)
    assert any(t.startswith("400 rows (7.3 %) are copies of others") for t in told)
    assert any(t.startswith("4 rows are equal to others of another label") for t in told)
    assert any("9 times the rows" in t for t in told)
    assert any("no val rows" in t for t in told)
    assert any("x is constant" in t for t in told)
    assert len(told) == len(set(told)) == 9
    assert {line["href"] for line in lines} == {"#leaks", "#near-duplicates", "#quality"}


def test_a_few_copies_are_no_fault() -> None:
    assert "Nothing" in texts("wrong", page(quarantine=[{"reason": "copy", "rows": 40}]))


def test_how_sure_depends_on_the_rows() -> None:
    assert "1 of 2 differences" in texts("sure", page())
    assert "few" in texts("sure", page(test_rows=80))
    folds = VERDICT | {"cross_validation": {"sentence": "Judged naively, it looks better than it is."}}
    assert "Judged naively" in texts("sure", page(), folds)
    few = page(classes=[{"label": "a", "rows": 500}, {"label": "b", "rows": 4}])
    assert "“\u2068b\u2069” has under 20 test rows" in texts("sure", few)


def test_without_labels_it_says_that_nothing_could_be_judged() -> None:
    sections = page(test_rows=50)
    sections["fusion"] = sections["fusion"] | {"best": None, "differences": []}
    nothing = {"best": None, "labels": [], "confusion": {}}
    assert "no test row has a label" in texts("sure", sections, nothing)
    assert texts("found", sections, nothing) == "Fusion paid."


def test_rules_that_held_up_and_what_to_trust_are_told() -> None:
    rule = {
        "words": "a and b: 99.6 % in train",
        "held_out_words": "who buys a also buys b: 92.6 % in test",
        "held_up": True,
    }
    tables = [{"rules": [{"words": "chance", "held_up": False}, rule]}, {"rules": [rule]}]
    trust = {
        "groups": "",
        "calibration": {"sentence": "Too sure of itself."},
        "slices": {"lines": ["Worst: x.", "y.", "z."]},
    }
    sections = page(rules=[{"title": "Among items", "tables": tables}], trust=trust)
    assert "2 rules among items held up on test rows, the first: who buys a also buys b: 92.6 % in test." in texts(
        "found", sections
    )
    assert texts("sure", sections).endswith("Too sure of itself.\nWorst: x.\ny.")
    assert "rules" not in texts("found", page(rules=[{"title": "t", "tables": []}], trust=None))


def test_without_labels_clusters_and_rules_are_what_one_can_be_sure_of() -> None:
    plain = page()
    nothing = {**plain["fusion"], "best": None}
    clusters = [{"name": "kmeans", "view": v, "stability": s, "ari": None, "silhouette": 0.1, "clusters": 3}
                for v, s in (("raw", 0.5), ("deep", 0.9), ("raw+deep", None))]  # fmt: skip
    rules = [
        {
            "tables": [{"rules": [{"held_up": h, "held_out_words": "a comes b"} for h in (True, False, None)]}],
            "title": "Among x",
        }
    ]
    told = texts("sure", page(fusion=nothing, clusters=clusters, rules=rules)).splitlines()
    assert told[0] == "No verdict could be judged: no test row has a label."
    assert told[1].startswith("kmeans on the deep view, made again from half of the rows, agrees with itself by 0.9")
    assert "on the raw view" in told[2]
    assert told[3] == "Test rows, in which no rule was looked for, bear out 1 of 3 rules."
    assert texts("sure", page(fusion=nothing, test_rows=0)) == "No verdict could be judged: there are no test rows."


def test_texts_that_the_network_reads_in_part_are_told_where_they_are_many() -> None:
    told = {"sentence": "The network reads the first 9 words.", "share": 0.2}
    assert "The network reads the first 9 words." in texts("wrong", page(shortened=[told]))
    assert "The network reads" not in texts("wrong", page(shortened=[told | {"share": 0.01}]))
