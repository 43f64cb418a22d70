"""Rules of a run: what is planted in goods, columns and deep features is found, noise gives none, figures are counts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.config.mine import Mine, Miner, Rules
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.core.text import percent
from tasks.features.item_matrix import from_baskets
from tasks.mine import mine
from tasks.storage.names import RULES, SUMMARY
from tasks.storage.store import read
from tests.fixtures.itemstore import write_items
from tests.fixtures.views import write_view

DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
GROCERIES = DATA / "groceries.csv"
needs_groceries = pytest.mark.skipif(
    not GROCERIES.is_file(), reason=f"the Groceries baskets are not at {GROCERIES} (DEEPMINE_TEST_DATA)"
)
KMEANS = {"groups": Miner(miner="kmeans", views=("deep",), params={"n_clusters": 4})}


def splits(n: int) -> np.ndarray:
    """Six in ten rows to train on, two for each of the others, in turn."""
    return np.resize(np.array(["train", "test", "train", "val", "train", "train", "test", "train", "val", "train"]), n)


def write(
    home: Path, held: np.ndarray, names: Sequence[str], attributes: Sequence[str] | None = None, *,
    label: Sequence[str | None] | None = None, deep: np.ndarray | None = None, split: np.ndarray | None = None,
) -> None:  # fmt: skip
    """The stores that `mine` reads, of N rows; without ``deep``, features that say nothing."""
    n = len(held)
    ids = np.array([f"r{i:05d}" for i in range(n)])
    label = np.array([None] * n if label is None else list(label), object)
    split = splits(n) if split is None else split
    deep = np.random.default_rng(0).normal(size=(n, 3)) if deep is None else deep
    write_items(home / "items", ids.tolist(), split.tolist(), label.tolist(), names, attributes or names, held)
    write_view(home / "features", "deep", deep, ids=ids, split=split, label=label)


def run(
    home: Path,
    *views: str,
    miners: dict[str, Miner] | None = None,
    to: str = "miners",
    sure: float = 0.95,
    **given: Any,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `mine` says of its rules, and the rules."""
    rules = Rules(views=views, **given)  # type: ignore[arg-type]
    at = {"items": home / "items", "features": home / "features", "miners": home / to}
    mine(params=Mine(miners=miners or {}, rules=rules), progress=Progress(quiet=True), confidence=sure, **at)
    summary = read_json(home / to / SUMMARY)["rules"]
    return summary, read(home / to / RULES).to_pylist()


def said(rules: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(" & ".join(sorted(r["antecedent"])), " & ".join(r["consequent"])) for r in rules]


def noise(seed: int, n: int, m: int, share: float = 0.12) -> np.ndarray:
    return np.random.default_rng(seed).random((n, m)) < share


# what is planted


@pytest.mark.parametrize("seed", range(3))
def test_rules_planted_in_baskets_are_found_and_next_to_nothing_else(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    held = noise(seed, 5000, 25)
    held[:, 1] |= held[:, 0] & (rng.random(5000) < 0.5)
    both = rng.random(5000) < 0.05
    held[both, 2:4] = True
    held[:, 4] |= held[:, 2] & held[:, 3] & (rng.random(5000) < 0.7)
    write(tmp_path, held, [f"good {i:02d}" for i in range(25)])
    summary, rules = run(tmp_path, "items", confidence=0.15)
    found = {frozenset((*r["antecedent"], *r["consequent"])) for r in rules}
    planted = [{"good 00", "good 01"}, {"good 02", "good 03"}, {"good 02", "good 03", "good 04"}]
    assert all(frozenset(items) in found for items in planted)
    # goods 2, 3 and 4 go together in pairs, too; beyond that q allows one in twenty
    family = [{"good 00", "good 01"}, {"good 02", "good 03", "good 04"}]
    false = [items for items in found if not any(items <= own for own in family)]
    assert len(false) <= 1
    assert all(
        r["held_up"] for r in rules if frozenset((*r["antecedent"], *r["consequent"])) in map(frozenset, planted)
    )
    told = summary["items"]
    assert (told["kept"], told["rows"], told["test_rows"]) == (len(rules), 3000, 1000)
    assert rules[0]["words"].startswith("who buys ")


def columns(seed: int, n: int) -> tuple[np.ndarray, list[str], list[str], np.ndarray]:
    """Eight columns of three levels, of which one pair of levels goes with the label `bad`."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (n, 8))
    held = np.concatenate([codes[:, [c]] == np.arange(3) for c in range(8)], axis=1)
    bad = np.where((codes[:, 0] == 1) & (codes[:, 1] == 2), 0.75, 0.2)
    names = [f"c{c}={level}" for c in range(8) for level in "xyz"]
    return held, names, [name[:2] for name in names], np.where(rng.random(n) < bad, "bad", "good")


@pytest.mark.parametrize("seed", range(3))
def test_what_goes_with_the_label_is_found_in_columns_and_marked(tmp_path: Path, seed: int) -> None:
    held, names, attributes, label = columns(seed, 3000)
    write(tmp_path, held, names, attributes, label=label.tolist())
    summary, rules = run(tmp_path, "items")
    [rule] = [r for r in rules if r["consequent"] == ["label=bad"] and len(r["antecedent"]) == 2]
    assert sorted(rule["antecedent"]) == ["c0=y", "c1=z"]
    assert rule["held_up"]
    assert {r["about"] for r in rules} == {"label"}
    assert summary["items"]["about_label"] == len(rules)
    # its halves raise the share of `bad` by themselves, and of their absence that of `good`; nothing else does
    assert all({item[:2] for item in r["antecedent"]} <= {"c0", "c1"} for r in rules)
    for r in rules:
        assert "label=bad" not in r["antecedent"]
        assert "label=good" not in r["antecedent"]


def coloured(seed: int, n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four blobs of features, of which the second is mostly red; and one more column that says nothing."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, 4, n)
    deep = rng.normal(size=(n, 6)) + 8 * np.eye(4, 6)[blob]
    red = rng.random(n) < np.where(blob == 1, 0.85, 0.1)
    other = rng.random(n) < 0.4
    return blob, deep, np.stack([red, ~red, other, ~other], axis=1)


NAMED = (["colour=red", "colour=blue", "size=s", "size=l"], ["colour", "colour", "size", "size"])


@pytest.mark.parametrize("seed", range(3))
def test_a_colour_that_goes_with_a_cluster_is_found_and_shown(tmp_path: Path, seed: int) -> None:
    blob, deep, held = coloured(seed)
    write(tmp_path, held, *NAMED, deep=deep)
    summary, rules = run(tmp_path, "deep", miners=KMEANS)
    # colours of the other blobs are told, too; sizes go with nothing
    assert not [r for r in rules if any(item.startswith("size") for item in r["antecedent"] + r["consequent"])]
    best = next(r for r in rules if r["about"] == "other" and "colour=red" in r["antecedent"] + r["consequent"])
    [cluster] = [i for i in best["antecedent"] + best["consequent"] if i != "colour=red"]
    assert cluster.endswith("(groups)")
    assert best["held_up"]
    assert 2 < best["held_out_lift"] < 4
    number = {f"r{i:05d}": i for i in range(len(blob))}
    split = splits(len(blob))
    for ids, red in ((best["exemplars"], True), (best["counterexamples"], best["consequent"] != ["colour=red"])):
        assert 0 < len(ids) <= 8
        assert {split[number[i]] for i in ids} == {"test"}
        assert all(held[number[i], 0] == red for i in ids)
    assert {blob[number[i]] for i in best["exemplars"]} == {1}
    # each rule speaks of one feature, or compares two; what columns say of each other is said over items
    for r in rules:
        items = r["antecedent"] + r["consequent"]
        assert sum(i.startswith(("cluster", "direction")) for i in items) == (2 if r["about"] == "features" else 1)
        assert len(items) == 2 or r["about"] != "features"
        assert not all(item.startswith("direction") for item in items)
    order = ["label", "other", "features"]
    assert [r["about"] for r in rules] == sorted((r["about"] for r in rules), key=order.index)
    assert "% of their variance" in summary["deep"]["meaning"]["direction 2 low"]


def test_leaves_and_clusters_lead_to_the_label_where_it_can_be_seen_on_other_rows(tmp_path: Path) -> None:
    blob, deep, held = coloured(0)
    write(tmp_path, held, *NAMED, deep=deep, label=[f"kind {b}" for b in blob])
    for miners, kind in ((KMEANS, "cluster"), ({}, "leaf")):
        summary, rules = run(tmp_path, "deep", miners=miners)
        about = [r for r in rules if r["about"] == "label"]
        assert len({(a, c) for a, c in said(about) if a.startswith(kind)}) == 4
        assert {r["tested_on"] for r in about} == {"val"}
    assert any(text.startswith("deep ") for text in summary["deep"]["meaning"].values())


# what is not there


def test_independent_items_and_features_give_no_rules(tmp_path: Path) -> None:
    kept = 0
    for seed in range(8):
        rng = np.random.default_rng([9, seed])
        home = tmp_path / str(seed)
        held = noise(seed, 1000, 20, 0.2)
        deep, label = rng.normal(size=(1000, 5)), rng.choice(["a", "b"], 1000)
        write(home, held, [f"i{i}" for i in range(20)], label=label.tolist(), deep=deep)
        summary, rules = run(home, "items", "deep", miners=KMEANS)
        assert summary["items"]["tried"] > 1000
        assert summary["items"]["kept"] + summary["deep"]["kept"] == len(rules)
        # clusters, leaves and directions are made of the same features, and overlap
        kept += len([r for r in rules if r["about"] != "features"])
    assert kept <= 1


def test_labels_that_a_network_learned_by_heart_are_no_rule(tmp_path: Path) -> None:
    """Of train rows the features know the label, of others they know nothing: what an overfit network makes."""
    rng = np.random.default_rng(0)
    n = 2000
    label, split = rng.integers(0, 2, n), splits(n)
    known = np.where(split == "train", label, rng.integers(0, 2, n))
    deep = rng.normal(size=(n, 4)) + 6 * known[:, None]
    write(tmp_path, noise(0, n, 3, 0.3), ["a", "b", "c"], label=[f"k{v}" for v in label], deep=deep)
    _, rules = run(tmp_path, "deep", miners=KMEANS)
    assert not [r for r in rules if r["about"] == "label"]
    assert [r for r in rules if r["about"] == "features"]


def test_what_says_nothing_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 1000
    age = rng.integers(0, 90, n)
    land = rng.choice(["AT", "DE"], n)
    label = np.where(rng.random(n) < np.where(age >= 60, 0.9, 0.3), "old", "new")
    held = np.stack([age >= 30, age >= 60, land == "AT", land == "DE", land == "AT", rng.random(n) < 0.97], axis=1)
    names = ["age >= 30", "age >= 60", "land=AT", "land=DE", "code=43", "there"]
    write(tmp_path, held, names, ["age", "age", "land", "land", "code", "there"], label=label.tolist())
    summary, rules = run(tmp_path, "items")
    found = said(rules)
    assert ("age >= 60", "label=old") in found
    assert not [pair for pair in found if "age" in pair[0] and "age" in pair[1]]
    assert summary["items"]["left_out"] == [
        "“there” is in nearly every row", "“code=43” is in the same rows as “land=AT”",
    ]  # fmt: skip
    # one rule of each set of items
    whole = [frozenset((*r["antecedent"], *r["consequent"])) for r in rules]
    assert len(set(whole)) == len(whole)


# figures


def test_figures_are_counts_and_found_is_what_fp_growth_finds(tmp_path: Path) -> None:
    from mlxtend.frequent_patterns import association_rules, fpgrowth
    from pandas import DataFrame

    held = noise(4, 900, 10, 0.3)
    held[:, 1] |= held[:, 0] & (np.random.default_rng(5).random(900) < 0.6)
    split = splits(900)
    names = [f"i{i}" for i in range(10)]
    write(tmp_path, held, names)
    summary, rules = run(tmp_path, "items", support=0.05, confidence=0.3, max_length=4, q=1.0, min_lift=0.0)
    train, test = held[split == "train"], held[split == "test"]
    sets = fpgrowth(DataFrame(train, columns=names), min_support=0.05, max_len=4, use_colnames=True)
    other = association_rules(sets, metric="confidence", min_threshold=0.3)
    assert summary["items"]["found"] == (other.consequents.map(len) == 1).sum() > 50
    assert len(rules) > 20
    for r in rules:
        a, c = ([names.index(item) for item in r[part]] for part in ("antecedent", "consequent"))
        for cells, prefix in ((train, ""), (test, "held_out_")):
            before, after = cells[:, a].all(1), cells[:, c].all(1)
            assert r[f"{prefix}count"] == (before & after).sum()
            assert r[f"{prefix}confidence"] == pytest.approx(after[before].mean())
            assert r[f"{prefix}lift"] == pytest.approx(after[before].mean() / after.mean())
        assert r["held_out_lift_low"] < r["held_out_lift"] < r["held_out_lift_high"]
        assert r["held_up"] == (r["held_out_lift_low"] > 1)
    assert summary["items"]["held_up"] == sum(r["held_up"] for r in rules)
    assert [r["lift"] for r in rules] == sorted((r["lift"] for r in rules), reverse=True)


def test_the_confidence_of_evaluate_reaches_the_intervals_of_lifts_and_words_tell_of_test_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    held = noise(4, 400, 8, 0.3)
    held[:, 1] |= held[:, 0] & (rng.random(400) < 0.4)
    write(tmp_path, held, [f"good{i}" for i in range(8)])
    found = {}
    for confidence in (0.8, 0.999):
        summary, rules = run(tmp_path, "items", support=0.05, q=1.0, to=f"m{confidence}", sure=confidence)
        found[confidence] = {(*r["antecedent"], *r["consequent"]): r for r in rules}
        assert summary["items"]["confidence"] == confidence
        assert f"the whole {confidence * 100:.4g} % interval of the lift" in summary["items"]["sentence"]
    assert len(found[0.8]) > 3
    for key, rule in found[0.8].items():
        other = found[0.999][key]
        assert (
            other["held_out_lift_low"]
            < rule["held_out_lift_low"]
            < rule["held_out_lift_high"]
            < other["held_out_lift_high"]
        )
        assert f"{percent(rule['held_out_confidence'])} of those" in rule["held_out_words"]
        assert "of the test " in rule["held_out_words"]
    assert sum(r["held_up"] for r in found[0.8].values()) > sum(r["held_up"] for r in found[0.999].values())


def test_two_runs_give_the_same_bytes_and_test_rows_change_no_rule(tmp_path: Path) -> None:
    blob, deep, held = coloured(1)
    label = [f"kind {b}" for b in blob]
    write(tmp_path, held, *NAMED, deep=deep, label=label)
    _, first = run(tmp_path, "items", "deep", miners=KMEANS, to="one")
    run(tmp_path, "items", "deep", miners=KMEANS, to="two")
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path
    test = splits(len(blob)) == "test"
    held[test], deep[test] = held[test][::-1], deep[test] + 1
    other = tmp_path / "other"
    write(other, held, *NAMED, deep=deep, label=label)
    _, second = run(other, "items", "deep", miners=KMEANS)
    assert said(first) == said(second)
    assert [r["q_value"] for r in first] == [r["q_value"] for r in second]
    assert [r["held_out_count"] for r in first] != [r["held_out_count"] for r in second]


@pytest.mark.parametrize(("rows", "items"), [(400, 20), (2000, 60), (800, 200)])
def test_auto_support_gives_neither_nothing_nor_too_much(tmp_path: Path, rows: int, items: int) -> None:
    rng = np.random.default_rng(rows)
    kind = rng.integers(0, 4, rows)
    share = rng.random((4, items)) * 0.8
    write(tmp_path, rng.random((rows, items)) < share[kind], [f"i{i}" for i in range(items)])
    summary, rules = run(tmp_path, "items")
    assert 3 <= len(rules) <= 100
    assert summary["items"]["support"] * summary["items"]["rows"] >= 9
    assert summary["items"]["tried"] < 10**8


def test_a_support_that_a_person_gave_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, noise(0, 500, 30, 0.4), [f"i{i}" for i in range(30)])
    monkeypatch.setattr("tasks.rules.itemsets.MOST_ITEMSETS", 1000)
    with pytest.raises(DeepmineError, match=r"mine\.rules\.support, over items: more than 1,000 .* Or write auto"):
        run(tmp_path, "items", support=0.001)
    summary, rules = run(tmp_path, "items", support=0.99)
    assert rules == []
    assert "Lower the support" in summary["items"]["skipped"]


# nothing to do


def test_where_there_is_nothing_to_do_it_says_so(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).normal(size=(60, 3))
    write(tmp_path / "empty", np.zeros((60, 0), bool), [], label=["a", "b"] * 30, deep=deep)
    summary, rules = run(tmp_path / "empty", "items", "deep")
    assert rules == []
    assert "No rules over items: there are no facts of the rows" in summary["items"]["sentence"]
    assert "kept" in summary["deep"]
    write(tmp_path / "few", np.ones((3, 2), bool), ["a", "b"], label=["x", "y", "x"], deep=deep[:3])
    summary, rules = run(tmp_path / "few", "items", "deep")
    assert rules == []
    assert all(summary[over]["skipped"] for over in ("items", "deep"))
    assert "few" in summary["deep"]["sentence"]
    off, _ = tmp_path / "off", write(tmp_path / "off", np.ones((9, 1), bool), ["a"])
    at = {"items": off / "items", "features": off / "features", "miners": off / "miners"}
    mine(params=Mine(), progress=Progress(quiet=True), **at)
    assert read_json(off / "miners" / SUMMARY)["rules"] == {}
    assert not (off / "miners" / RULES).exists()


def test_labels_of_every_kind(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 600
    tall = rng.random(n) < 0.5
    number = np.where(tall, 10.0, 0.0) + rng.normal(size=n)
    held = np.stack([tall, ~tall], axis=1)
    kinds: dict[str, list[str | None]] = {
        "numbers": [f"{v:.3f}" for v in number], "several": [f"{v:.3f} 1.5" for v in number], "one": ["x"] * n,
        "seldom": [f"{t}" if i % 5 == 0 else None for i, t in enumerate(tall)],
    }  # fmt: skip
    found = {}
    for kind, label in kinds.items():
        home = tmp_path / kind
        write(home, held, ["size=tall", "size=short"], ["size", "size"], label=label, deep=np.c_[number, number])
        schema = "regression" if kind in ("numbers", "several") else "classification"
        columns = np.c_[number] if kind == "numbers" else np.c_[number, number]
        ids, split = np.array([f"r{i:05d}" for i in range(n)]), splits(n)
        write_view(
            home / "features", "network", columns, ids=ids, split=split, label=np.array(label, object), objective=schema
        )
        found[kind] = run(home, "items", "deep")
    numbers = said(found["numbers"][1])
    assert [c for a, c in numbers if a == "size=tall" and c.startswith("label >= ")]
    assert [c for a, c in numbers if a.startswith("leaf") and "label" in c]
    for kind in ("several", "one", "seldom"):
        assert found[kind][0]["items"]["kept"] == 0
        assert found[kind][0]["deep"]["about_label"] == 0
        assert ("direction 1 high", "size=tall") in said(found[kind][1])


def test_without_val_rows_deep_features_and_label_are_not_joined_and_without_test_rows_nothing_is_measured(
    tmp_path: Path,
) -> None:
    blob, deep, held = coloured(2)
    write(tmp_path, held, *NAMED, deep=deep, label=[f"kind {b}" for b in blob], split=np.full(len(blob), "train"))
    summary, rules = run(tmp_path, "items", "deep", miners=KMEANS)
    assert "colour=red" in str(said(rules))
    assert not [r for r in rules if r["over"] == "deep" and r["about"] == "label"]
    assert {r["held_up"] for r in rules} == {None}
    assert {r["held_out_count"] for r in rules} == {None}
    assert {len(r["exemplars"]) for r in rules} == {0}
    assert "no test rows" in summary["items"]["sentence"]
    assert (summary["items"]["judged"], summary["items"]["held_up"]) == (0, 0)


def test_what_no_val_row_has_is_not_borne_out_by_them(tmp_path: Path) -> None:
    blob, deep, held = coloured(2)
    split = splits(len(blob))
    held = np.where((split == "val")[:, None], False, held)
    write(tmp_path, held, *NAMED, deep=deep, label=[f"kind {b}" for b in blob], split=split)
    _, rules = run(tmp_path, "items", "deep", miners=KMEANS)
    joined = [r for r in rules if r["tested_on"] == "val"]
    assert joined, "clusters alone, which val rows have, still lead to the label"
    assert not [r for r in joined if any("=" in item and "label" not in item for item in r["antecedent"])]


# Groceries: Hahsler, Hornik and Reutterer (2006), in arules


def groceries(home: Path, split: np.ndarray | None = None) -> None:
    lines = GROCERIES.read_text().splitlines()
    baskets = from_baskets((str(i), line.split(",")) for i, line in enumerate(lines))
    split = np.full(len(baskets), "train") if split is None else split
    write(home, baskets.matrix.toarray(), list(baskets.names), split=split)


@needs_groceries
def test_groceries_give_the_published_numbers_of_rules_through_mine(tmp_path: Path) -> None:
    groceries(tmp_path)
    for support, confidence, rules in ((0.001, 0.8, 410), (0.006, 0.25, 463), (0.01, 0.5, 15)):
        summary, _ = run(tmp_path, "items", support=support, confidence=confidence, max_length=10)
        assert summary["items"]["found"] == rules
    summary, rules_ = run(tmp_path, "items", support=0.006, confidence=0.25, max_length=10)
    assert said(rules_)[0] == ("herbs", "root vegetables")
    assert summary["items"]["top"][0]["words"].startswith("who buys herbs also buys root vegetables: 0.70 % of the bas")


@needs_groceries
def test_rules_of_groceries_hold_up_on_other_baskets(tmp_path: Path) -> None:
    groceries(tmp_path, np.random.default_rng(0).choice(["train", "test"], 9835, p=[0.75, 0.25]))
    summary, rules = run(tmp_path, "items")
    assert 20 < len(rules) <= 100
    assert summary["items"]["held_up"] > 0.75 * len(rules)
    assert ("flour", "sugar") in said(rules)
