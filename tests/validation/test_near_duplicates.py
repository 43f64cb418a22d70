"""Near-duplicates: all of them and no others, whatever there is of them."""

import numpy as np
import pandas as pd
import pytest

from tasks.validation import near_duplicates


def noise(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, 256), dtype=np.uint8)


def photos(rows: int) -> np.ndarray:
    """Smooth pictures, alike by chance now and then as photos are: few waves, some grain."""
    rng = np.random.default_rng(1)
    waves = np.cos(np.outer(np.arange(1, 3), np.arange(16) / 16 * np.pi))  # (2, 16)
    amounts = rng.normal(size=(rows, 2, 2))
    pictures = np.einsum("nij,iy,jx->nyx", amounts, waves, waves).reshape(rows, 256) * 25
    return np.clip(128 + pictures + rng.normal(size=(rows, 256)), 0, 255).astype(np.uint8)


def table(splits: list[str], labels: list[str] | None = None) -> pd.DataFrame:
    ids = [f"r{i}" for i in range(len(splits))]
    return pd.DataFrame({"id": ids, "split": splits, "label": labels or ["a"] * len(ids), "source": ids})


@pytest.mark.parametrize("threshold", [0.97, 0.99])
def test_the_pairs_are_those_of_the_full_matrix(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "BY_NATURE", np.inf)
    sketches = photos(1000)
    links = near_duplicates.find(sketches, threshold)
    first, second = np.nonzero(np.triu(np.corrcoef(sketches.astype(float)) > threshold, 1))
    assert len(first) > 3
    assert not links.crowded
    assert list(zip(links.first, links.second, strict=True)) == list(zip(first, second, strict=True))
    assert links.pairs == len(first)
    exact = [np.corrcoef(sketches[i].astype(float), sketches[j])[0, 1] for i, j in zip(first, second, strict=True)]
    np.testing.assert_allclose(links.correlation, exact, rtol=1e-12)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    again = near_duplicates.find(sketches, threshold)
    np.testing.assert_array_equal(again.first, links.first)
    np.testing.assert_array_equal(again.correlation, links.correlation)


def shapes(rows: int, seed: int = 0) -> np.ndarray:
    """Images that are alike by nature, as digits of one class are: one shape that varies in six ways, and grain."""
    rng = np.random.default_rng(7)
    shape, ways = rng.normal(size=256) * 60, rng.normal(size=(6, 256)) * 6
    rng = np.random.default_rng(seed)
    grain = rng.normal(size=(rows, 256)) * 2
    return np.clip(128 + shape + rng.normal(size=(rows, 6)) @ ways + grain, 0, 255).astype(np.uint8)


def test_images_that_are_alike_by_nature_are_no_near_duplicates() -> None:
    sketches = shapes(2000)
    correlation = np.corrcoef(sketches.astype(np.float32))
    above = int((np.triu(correlation, 1) > 0.99).sum())
    links = near_duplicates.find(sketches, 0.99)
    assert above > 1000
    assert len(links.first) < 0.01 * above
    assert links.natural > 1000


@pytest.mark.parametrize("images", [shapes, photos], ids=["alike", "photos"])
def test_near_duplicates_among_them_are_found(images) -> None:
    """As a re-encoded, a brighter and a slightly noisy image have them: off by a grey level or two."""
    rng = np.random.default_rng(1)
    sketches = images(1000)
    chosen = np.flatnonzero(sketches.std(1) > 25)[:60]
    again = sketches[chosen].astype(float) * rng.uniform(0.8, 1, (len(chosen), 1)) + rng.normal(size=(len(chosen), 256))
    links = near_duplicates.find(np.concatenate([sketches, np.clip(again, 0, 255).astype(np.uint8)]), 0.99)
    planted = set(zip(chosen.tolist(), range(1000, 1000 + len(chosen)), strict=True))
    found = set(zip(links.first.tolist(), links.second.tolist(), strict=True))
    assert len(planted & found) >= 0.95 * len(planted)
    assert len(planted) == 60


def test_the_sentence_tells_of_those_left_out() -> None:
    links = near_duplicates.find(shapes(1000), 0.99)
    told = near_duplicates.summary(table(["train"] * 1000), links, 0.99)
    assert told["natural"] == links.natural
    assert f"{links.natural:,} pairs left out that are so by nature" in told["sentence"]


def test_brightness_and_contrast_do_not_matter() -> None:
    [picture] = noise(1)
    sketches = np.stack([picture, picture // 2, picture // 3 + 100, 255 - picture])
    assert near_duplicates.find(sketches, 0.99).pairs == 3


def test_flat_images_are_counted_and_not_compared() -> None:
    flat = np.full((50, 256), 7, np.uint8) + (noise(50) > 200)
    links = near_duplicates.find(np.concatenate([flat, np.zeros((2, 256), np.uint8), noise(3)]), 0.99)
    assert (links.flat, links.pairs, len(links.first)) == (52, 0, 0)


@pytest.mark.parametrize("sketches", [noise(0), noise(1), np.zeros((5, 256), np.uint8)], ids=["none", "one", "flat"])
def test_nothing_to_compare(sketches: np.ndarray) -> None:
    rows = table(["train"] * len(sketches))
    links = near_duplicates.find(sketches, 0.99)
    assert len(near_duplicates.members(rows, links)) == 0
    found = near_duplicates.summary(rows, links, 0.99)
    assert found["sentence"] == "No two images are near-duplicates (correlation above 0.99 at 16 x 16 grey)."
    assert (found["rows"], found["groups"], found["largest"], found["examples"]) == (0, 0, 0, [])


def test_equal_sketches_cost_no_square() -> None:
    sketches = np.concatenate([noise(5), np.repeat(noise(1, seed=1), 3000, axis=0)])
    links = near_duplicates.find(sketches, 0.99)
    assert links.pairs == 3000 * 2999 // 2
    assert len(links.first) == 2999
    assert links.crowded == 0
    assert near_duplicates.groups(links, 3005).tolist() == [0] * 5 + [1] * 3000


def test_many_alike_are_one_group_and_said_to_be_crowded() -> None:
    rng = np.random.default_rng(2)
    alike = np.clip(noise(1)[0] + rng.normal(0, 2, (2000, 256)), 0, 255).astype(np.uint8)
    links = near_duplicates.find(np.concatenate([noise(20, seed=3), alike]), 0.99)
    assert links.crowded == 2000
    assert len(links.first) <= 2000 * near_duplicates.MOST
    assert near_duplicates.groups(links, 2020).tolist() == [0] * 20 + [1] * 2000
    found = near_duplicates.summary(table(["train"] * 2020), links, 0.99)
    assert f"at least {links.pairs:,} pairs" in found["sentence"]


def test_leaks_and_conflicts_are_counted_by_row_and_group() -> None:
    a, b, c, d, other = noise(5, seed=4)
    sketches = np.stack([a, a, a // 2, b, b // 2, c, c, d, d, other])
    splits = ["test", "train", "test", "val", "test", "val", "train", "train", "train", "test"]
    labels = ["x", "x", "x", "x", "y", "x", "x", "x", "y", "x"]
    rows, links = table(splits, labels), near_duplicates.find(sketches, 0.99)
    found = near_duplicates.summary(rows, links, 0.99)
    wanted = {
        "rows": 9, "groups": 4, "largest": 3, "pairs": 6, "test": 4, "leaked": 3, "val_leaked": 1, "conflicts": 2,
    }  # fmt: skip
    assert {k: found[k] for k in wanted} == wanted
    shown = [(p["across"], p["differ"]) for p in found["examples"]]
    assert shown == sorted(shown, reverse=True)
    assert [r["id"] for r in found["examples"][0]["rows"]] == ["r3", "r4"]
    listed = near_duplicates.members(rows, links)
    assert listed["group"].tolist() == [1, 1, 1, 2, 2, 3, 3, 4, 4]
    assert listed["like"].tolist()[3:] == ["r4", "r3", "r6", "r5", "r8", "r7"]


def test_images_without_labels_have_no_different_ones() -> None:
    rows = table(["train", "train", "test"])
    rows["label"] = pd.Series([None, None, None], dtype="str")
    sketches = photos(1).repeat(3, axis=0)
    found = near_duplicates.summary(rows, near_duplicates.find(sketches, 0.99), 0.99)
    assert found["conflicts"] == 0
    assert {pair["differ"] for pair in found["examples"]} == {False}
    assert {row["label"] for pair in found["examples"] for row in pair["rows"]} == {None}
