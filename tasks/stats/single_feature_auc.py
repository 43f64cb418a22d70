"""How well one column, or one word of a text, tells the label by itself: near 1, it is likely the label in disguise."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


#: Rows that are looked at, at most; an area under 0.99 is told from one above it by far fewer.
ROWS = 100_000
#: Rows that a class must have: two rows stand first in some column by chance alone.
MIN_CLASS = 5
FOLDS = 5
#: Rows of each class whose words are looked at first, and the share of them that a telling word must be in or not in.
SAMPLE, NEARLY = 200, 0.85


def scores(frame: "pd.DataFrame", label: Any, categorical: Collection[str]) -> dict[str, float]:
    """Area under the ROC curve of each column by itself for the label: the best class against the rest, 0.5 to 1.

    Numbers and dates are ranked as they are, in either direction, with missing ones lowest. A level of a category
    scores as the share of the class among its rows in the other folds, and as that in all rows where those have
    none of it: so a column in which every row has its own level tells nothing.

    Args:
        frame: N rows of the columns.
        label: (N,) texts, None where unknown.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"copy": range(40), "noise": [i % 2 for i in range(40)]})
    >>> {name: round(area, 2) for name, area in scores(frame, ["a"] * 20 + ["b"] * 20, []).items()}
    {'copy': 1.0, 'noise': 0.5}
    """
    import pandas as pd

    codes, classes = pd.factorize(np.asarray(label, dtype=object), sort=True)
    known = np.flatnonzero(codes >= 0)
    draw = np.random.default_rng(0).permutation(known)[:ROWS]  # its order makes the folds, too
    frame, codes = frame.iloc[draw], codes[draw]
    size = np.bincount(codes, minlength=len(classes))
    chosen = [c for c in range(len(classes)) if min(size[c], len(codes) - size[c]) >= MIN_CLASS]
    told = {}
    for name in frame.columns:
        found = (_levels if name in categorical else _ranks)(frame[name], codes, chosen)
        told[name] = max(found, default=0.5)
    return told


def _ranks(values: "pd.Series", codes: np.ndarray, chosen: list[int]) -> list[float]:
    """Mann and Whitney's U of each class as an area, ties at their mean rank."""
    rank = values.rank(method="average", na_option="top").to_numpy()
    size = np.bincount(codes)
    total = np.bincount(codes, weights=rank)
    found = []
    for c in chosen:
        area = (total[c] - size[c] * (size[c] + 1) / 2) / (size[c] * (len(codes) - size[c]))
        found.append(float(max(area, 1 - area)))
    return found


def _levels(values: "pd.Series", codes: np.ndarray, chosen: list[int]) -> list[float]:
    """The area of each class under out-of-fold shares of the levels; all rows of a level in a fold are one tie."""
    import pandas as pd

    level = pd.factorize(values.to_numpy(dtype=object), use_na_sentinel=False)[0]
    levels = int(level.max()) + 1
    cell = level + levels * (np.arange(len(codes)) % FOLDS)
    rows = np.bincount(cell, minlength=FOLDS * levels).reshape(FOLDS, levels)
    others = rows.sum(0) - rows  # (folds, levels)
    found = []
    for c in chosen:
        hits = np.bincount(cell[codes == c], minlength=FOLDS * levels).reshape(FOLDS, levels)
        share = (codes == c).mean()
        # one row's worth of the share of all keeps a level of few rows near it
        score = (hits.sum(0) - hits + share) / (others + 1)
        found.append(max(_area(score.ravel(), hits.ravel(), (rows - hits).ravel()), 0.5))
    return found


def _area(score: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve of cells with so many positive and negative rows each."""
    _, at = np.unique(score.round(12), return_inverse=True)
    p, n = np.bincount(at, weights=positive), np.bincount(at, weights=negative)
    below = np.cumsum(n) - n
    return float((p * (below + n / 2)).sum() / (p.sum() * n.sum()))


def telling_words(
    items: Sequence[Any], label: Sequence[str], words: Callable[[Any], Iterable[str]], above: float
) -> dict[str, float]:
    """Words (or goods) whose presence alone tells a class from the rest with an area over ``above``, at most `ROWS` rows.

    Those that nearly all of some rows of a class have and nearly none of the others, or the reverse, are then counted
    in all rows: of a word that is in a share p of the class and q of the rest, the area is (1 + |p - q|) / 2.

    Args:
        items: N texts or baskets.
        words: an item's own.

    >>> texts, label = ["buy now"] * 20 + ["see you now"] * 20, ["spam"] * 20 + ["ham"] * 20
    >>> telling_words(texts, label, str.split, above=0.99)
    {'buy': 1.0, 'see': 1.0, 'you': 1.0}
    """
    draw = np.random.default_rng(0).permutation(len(items))[:ROWS]
    codes = np.unique(np.asarray(label)[draw], return_inverse=True)[1]
    size = np.bincount(codes)
    chosen = [c for c in range(len(size)) if min(size[c], len(codes) - size[c]) >= MIN_CLASS]
    if not chosen:
        return {}
    first = [np.flatnonzero(codes == c)[:SAMPLE] for c in range(len(size))]
    shares = [Counter(w for i in rows for w in set(words(items[draw[i]]))) for rows in first]
    total, seen = sum(len(rows) for rows in first), Counter[str]()
    for counted in shares:
        seen.update(counted)
    candidates = {
        word
        for c in chosen for word, n in seen.items()
        if abs(shares[c][word] / len(first[c]) - (n - shares[c][word]) / max(total - len(first[c]), 1)) > NEARLY
    }  # fmt: skip
    if not candidates:
        return {}
    hits = {word: np.zeros(len(size), np.int64) for word in candidates}
    for code, i in zip(codes.tolist(), draw.tolist(), strict=True):
        for word in candidates.intersection(words(items[i])):
            hits[word][code] += 1
    found = {}
    for word in sorted(candidates):
        own, rest = hits[word] / size, (hits[word].sum() - hits[word]) / np.maximum(len(codes) - size, 1)
        area = float((1 + np.abs(own - rest)[chosen].max()) / 2)
        if area > above:
            found[word] = area
    return found
