"""Near-duplicates: images that are almost the same without being copies, found from their sketches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tasks.core.text import many
from tasks.validation.context import Context
from tasks.validation.finding import LEAK, WARNING, Finding

#: Sketches whose grey levels deviate by less are not compared: rounding to whole levels alone takes the
#: correlation of two equal pictures at this contrast down to .98, and a blank image has none at all.
FLAT = 2.0
#: Directions that the search runs in. On 60,000 photos 8 take 1.0 s and leave 10,800 candidates, 12 take 1.5 s
#: and leave 1,100, 24 take 2.6 s and leave 400.
DIRECTIONS = 12
#: Candidates of one row at most, so that many alike images cost no square of their number.
MOST = 32
#: Rows whose directions are fitted, and rows or pairs worked on at once.
FIT_ROWS, BLOCK = 20_000, 50_000
#: Where many images are alike without being copies (a "1" is like hundreds of others), some pairs come above any fixed
#: correlation. An image with k others at a distance between `WIDER` times the threshold's (squared) and the threshold's
#: own has k * (its distance to the nearest / that outer one) ** `DIMENSIONS` of them as near by nature; pairs with more
#: than `BY_NATURE` expected are not reported. Pairs of handwritten digits grow more rare by the 5.7th to 7.4th power of
#: their distance. No pair of different classes comes near them (5,000 digits: none above .95, 281 of one class above
#: .98), so that classes cannot tell.
WIDER, DIMENSIONS, BY_NATURE = 5, 6, 0.05
#: Pairs of images that this is counted in, and rows at once.
COUNTED, COUNT_BLOCK = 200_000_000, 2_000
#: Pairs that are shown.
SHOWN = 12


@dataclass(frozen=True)
class Links:
    """Pairs of rows that are near-duplicates.

    Attributes:
        first, second: (M,) positions, ``first`` < ``second``, sorted, each pair once. Rows with equal sketches are
            all linked to the first of them and not to each other: that joins the same rows into groups.
        correlation: (M,) of their sketches.
        pairs: all pairs, counting those of equal sketches; a lower bound where there are ``crowded`` rows.
        flat: rows that were not compared, for want of contrast.
        crowded: different sketches with at least `MOST` candidates, of which only the nearest were looked at.
        natural: pairs above the threshold that are none, as about so many are expected among images like these.
    """

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray
    pairs: int
    flat: int
    crowded: int
    natural: int = 0


def check(context: Context) -> Iterator[Finding]:
    """A leak where test rows have near-duplicates in other splits; a warning where val rows have, or labels differ."""
    found = context.near_duplicates
    if found and (found["leaked"] or found["val_leaked"] or found["conflicts"]):
        details = {"rows": found["leaked"], "val_rows": found["val_leaked"], "conflicts": found["conflicts"]}
        severity = LEAK if found["leaked"] else WARNING
        # with the pictures of the pairs
        yield Finding(severity, "Near-duplicates", found["sentence"], details=details, section="quality")


def find(sketches: np.ndarray, threshold: float) -> Links:
    """The rows whose (N, D) uint8 ``sketches`` have a Pearson correlation above ``threshold``.

    Between standardised rows of length one, a correlation above t is a squared distance below 2(1 - t). A projection
    to orthonormal directions shrinks distances, so that a k-d tree in the leading principal directions loses no
    pair; what it offers is then computed from the sketches, in whole numbers.
    """
    compared = np.flatnonzero(sketches.std(axis=1, dtype=np.float32) >= FLAT)
    flat = len(sketches) - len(compared)
    nothing = np.zeros(0, int)
    if threshold >= 1 or len(compared) < 2:
        return Links(nothing, nothing, np.zeros(0), 0, flat, 0)
    whole = np.ascontiguousarray(sketches[compared]).view(f"V{sketches.shape[1]}").ravel()
    _, one, which = np.unique(whole, return_index=True, return_inverse=True)
    first, second, crowded = _candidates(sketches[compared[one]], threshold)
    correlation = _correlation(sketches, compared[one[first]], compared[one[second]])
    above = correlation > threshold
    natural = np.zeros(len(above), bool)
    natural[above] = _by_nature(sketches[compared[one]], first[above], second[above], correlation[above], threshold)
    above &= ~natural
    first, second, correlation = first[above], second[above], correlation[above]
    times = np.bincount(which)
    pairs = int((times[first] * times[second]).sum() + (times * (times - 1) // 2).sum())

    again = np.flatnonzero(one[which] != np.arange(len(which)))
    a = np.concatenate([compared[one[first]], compared[one[which[again]]]])
    b = np.concatenate([compared[one[second]], compared[again]])
    value = np.concatenate([correlation, np.ones(len(again))])
    a, b = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((b, a))
    return Links(a[order], b[order], value[order], pairs, flat, crowded, int(natural.sum()))


def groups(links: Links, rows: int) -> np.ndarray:
    """(N,) number of the group of each of N rows, 0 for those without a near-duplicate; groups are chains of links."""
    graph = coo_array((np.ones(len(links.first), bool), (links.first, links.second)), shape=(rows, rows))
    _, part = connected_components(graph, directed=False)
    large = np.bincount(part, minlength=1)[part] > 1
    found = np.zeros(rows, int)
    found[large] = np.unique(part[large], return_inverse=True)[1] + 1
    return found


def members(rows: pd.DataFrame, links: Links) -> pd.DataFrame:
    """Every row that has a near-duplicate, with its group and the row most like it.

    Args:
        rows: the N rows that were searched: `id`, `split`, `label`, `source`.
    """
    ends = pd.DataFrame(
        {
            "row": np.concatenate([links.first, links.second]),
            "like": np.concatenate([links.second, links.first]),
            "correlation": np.concatenate([links.correlation, links.correlation]),
        }
    )
    best = ends.sort_values(["row", "correlation", "like"], ascending=[True, False, True]).drop_duplicates("row")
    at = best["row"].to_numpy()
    found = rows[["id", "split", "label", "source"]].iloc[at].reset_index(drop=True)
    found.insert(0, "group", groups(links, len(rows))[at])
    found["like"] = rows["id"].to_numpy()[best["like"].to_numpy()]
    found["correlation"] = best["correlation"].to_numpy()
    return found.sort_values(["group", "id"], ignore_index=True)


def summary(rows: pd.DataFrame, links: Links, threshold: float) -> dict[str, Any]:
    """Counts, a sentence, and the first pairs to look at: with a test row across splits, across others, of different
    labels, and then the most alike.
    """
    found = members(rows, links)
    by = found["group"]
    tests, vals, train = (found["split"] == name for name in ("test", "val", "train"))
    with_train, seen = (part.groupby(by).transform("any") for part in (train, train | vals))
    sizes, labels = by.value_counts(), found["label"].groupby(by).nunique()
    counts = {
        "threshold": threshold, "compared": len(rows) - links.flat, "flat": links.flat, "crowded": links.crowded,
        "natural": links.natural, "pairs": links.pairs, "rows": len(found), "groups": len(sizes),
        "largest": int(sizes.max()) if len(sizes) else 0,
        "test": int((rows["split"] == "test").sum()), "leaked": int((tests & seen).sum()),
        "val_leaked": int((vals & with_train).sum()), "conflicts": int((labels > 1).sum()),
    }  # fmt: skip
    return counts | {"examples": _examples(rows, links), "sentence": _sentence(counts)}


def _candidates(sketches: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Pairs of positions that may be above ``threshold``, and how many rows have more of them than are looked at."""
    sample = _unit(sketches[:: max(1, len(sketches) // FIT_ROWS)])
    _, directions = np.linalg.eigh(sample.T @ sample)  # ascending
    places = np.concatenate(
        [_unit(sketches[i : i + BLOCK]) @ directions[:, -DIRECTIONS:] for i in range(0, len(sketches), BLOCK)]
    )  # (N, 12)
    tree = cKDTree(places)
    radius = (2 * (1 - threshold)) ** 0.5 + 1e-4  # more than the rounding of float32
    keys, crowded = [np.zeros(0, np.int64)], 0
    for start in range(0, len(places), BLOCK):
        _, near = tree.query(places[start : start + BLOCK], MOST + 1, distance_upper_bound=radius, workers=-1)
        crowded += int((near[:, -1] < len(places)).sum())
        row, place = np.nonzero(near < len(places))
        row, other = row + start, near[row, place]
        keys.append(np.unique((np.minimum(row, other) * len(places) + np.maximum(row, other))[row != other]))
    first, second = np.divmod(np.unique(np.concatenate(keys)), len(places))
    return first, second, crowded


def _by_nature(
    sketches: np.ndarray, first: np.ndarray, second: np.ndarray, correlation: np.ndarray, threshold: float
) -> np.ndarray:
    """(M,) whether a pair is as alike as some must be among so many that are nearly so."""
    rows = np.unique(np.concatenate([first, second]))
    if not len(rows):
        return np.zeros(0, bool)
    outer = 1 - WIDER * (1 - threshold)
    step = max(1, len(sketches) * len(rows) // COUNTED)
    others = _unit(sketches[::step]).T
    near = np.zeros(len(sketches))
    for start in range(0, len(rows), COUNT_BLOCK):
        part = rows[start : start + COUNT_BLOCK]
        alike = _unit(sketches[part]) @ others
        near[part] = step * ((alike > outer) & (alike <= threshold)).sum(1)
    expected = np.maximum(near[first], near[second]) * ((1 - correlation) / (1 - outer)) ** (DIMENSIONS / 2)
    return np.asarray(expected > BY_NATURE)


def _unit(sketches: np.ndarray) -> np.ndarray:
    """(N, D) as float32 rows of mean zero and length one."""
    rows = sketches.astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _correlation(sketches: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M,) Pearson correlations of pairs of rows; sums of whole numbers, equal on every machine."""
    values = []
    for start in range(0, len(first), BLOCK):
        a, b = (sketches[side[start : start + BLOCK]].astype(np.int32) for side in (first, second))
        sums = a.sum(1, dtype=np.int64), b.sum(1, dtype=np.int64)
        squares = [np.einsum("nd,nd->n", x, x).astype(np.int64) for x in (a, b)]
        product = np.einsum("nd,nd->n", a, b).astype(np.int64)  # at most 256 * 255 squared: fits an int32
        width = sketches.shape[1]
        spread = [(width * s2 - s * s).astype(np.float64) for s2, s in zip(squares, sums, strict=True)]
        values.append((width * product - sums[0] * sums[1]) / np.sqrt(spread[0] * spread[1]))
    return np.concatenate([np.zeros(0), *values])


def _examples(rows: pd.DataFrame, links: Links) -> list[dict[str, Any]]:
    splits, labels = (
        rows["split"].to_numpy(),
        rows["label"].astype(object).where(rows["label"].notna(), None).to_numpy(),
    )
    across = splits[links.first] != splits[links.second]
    differ = labels[links.first] != labels[links.second]
    judged = across & ((splits[links.first] == "test") | (splits[links.second] == "test"))
    order = np.lexsort((-links.correlation, ~differ, ~across, ~judged))[:SHOWN]
    told = rows[["id", "split"]].assign(label=labels)
    return [
        {
            "rows": told.iloc[[links.first[i], links.second[i]]].to_dict("records"),
            "correlation": round(float(links.correlation[i]), 4),
            "across": bool(across[i]), "differ": bool(differ[i]),
        }
        for i in order
    ]  # fmt: skip


def _sentence(counts: dict[str, Any]) -> str:
    how = f"correlation above {counts['threshold']:g} at 16 x 16 grey"
    left = many(counts["natural"], "pair left out that is so", "pairs left out that are so")
    more = f", {left} by nature, as many images here are nearly as alike"
    how += more if counts["natural"] else ""
    if not counts["pairs"]:
        return f"No two images are near-duplicates ({how})."
    least = "at least " if counts["crowded"] else ""
    pairs = many(counts["pairs"], "pair", "pairs")
    parts = [f"{counts['rows']:,} images are near-duplicates of others: {least}{pairs} ({how})."]
    if counts["leaked"]:
        tests = f"of the {counts['test']:,} test rows"
        has = many(counts["leaked"], f"{tests} has its", f"{tests} have their")
        parts.append(f"{has} like in train or val, so test figures may be too good.")
    if counts["val_leaked"]:
        parts.append(f"{many(counts['val_leaked'], 'val row has its', 'val rows have their')} like in train.")
    if counts["conflicts"]:
        parts.append(f"In {many(counts['conflicts'], 'group', 'groups')} of near-duplicates the labels differ.")
    return " ".join(parts)
