"""TF-IDF of texts from their ids: the n-grams that most train rows hold, weighted by how few do."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import DeepmineError
from tasks.modalities.tokens import UNKNOWN, size

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Lengths of the n-grams of the raw view, and how many of them it has at most.
NGRAMS = {"word": (1, 2), "character": (2, 3, 4), "byte": (2, 3, 4)}
MAX_FEATURES = 50_000
#: Characters in a vocabulary of characters at most, so that four of them fit a 64-bit number.
MAX_ALPHABET = 50_000
#: Rows of which n-grams are made at once.
BLOCK = 4096


def fit_raw(items: np.ndarray, state: dict[str, Any]) -> dict[str, np.ndarray]:
    """What TF-IDF takes from (N, L) ids of train rows: the n-grams that most rows hold, and their weights.

    Returns:
        `codes` (D,) int64, sorted (`_ngrams`), and `idf` (D,) float32, smoothed as scikit-learn does it.

    Raises:
        DeepmineError: no row has a known n-gram.
    """
    parts = []
    for start in range(0, len(items), BLOCK):
        _, codes, _ = _ngrams(items[start : start + BLOCK], state)
        parts.append(np.unique(codes, return_counts=True))
    codes, places = np.unique(np.concatenate([c for c, _ in parts] or [np.empty(0, np.int64)]), return_inverse=True)
    if not len(codes):
        raise DeepmineError(
            "the raw view: no train text has a run of known tokens. Lower clean.text.min_count or raise "
            "clean.text.vocabulary."
        )
    rows = np.bincount(places, np.concatenate([n for _, n in parts]), len(codes))
    kept = np.sort(np.lexsort((codes, -rows))[:MAX_FEATURES])
    return {
        "codes": codes[kept],
        "idf": (np.log((1 + len(items)) / (1 + rows[kept])) + 1).astype(np.float32),
    }


def raw(items: np.ndarray, fitted: dict[str, np.ndarray], state: dict[str, Any]) -> "csr_array":
    """TF-IDF of (N, L) ids, (N, D) float32: 1 + log(count), times idf, each row of length 1 (or empty)."""
    from scipy.sparse import csr_array

    codes, idf = fitted["codes"], fitted["idf"]
    parts = [(np.empty(0, np.float32), np.empty(0, np.int32), np.zeros(1, np.int64))]
    for start in range(0, len(items), BLOCK):
        block = items[start : start + BLOCK]
        rows, found, counts = _ngrams(block, state)
        columns = np.minimum(np.searchsorted(codes, found), len(codes) - 1)
        known = codes[columns] == found
        rows, columns = rows[known], columns[known]
        weights = (1 + np.log(counts[known])) * idf[columns]
        norms = np.sqrt(np.bincount(rows, weights**2, len(block)))
        ends = np.cumsum(np.bincount(rows, minlength=len(block)))
        parts.append(((weights / norms[rows]).astype(np.float32), columns.astype(np.int32), ends + parts[-1][2][-1]))
    values, columns, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
    if ends[-1] <= np.iinfo(np.int32).max:  # which is all that scikit-learn takes
        ends = ends.astype(np.int32)
    return csr_array((values, columns, ends), shape=(len(items), len(codes)))


def _ngrams(items: np.ndarray, state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which runs of known tokens the rows of (N, L) ids hold: row, code and count of each, by row and code.

    The code of a run is its ids as the digits of one number, so that runs of other lengths have other codes.
    """
    rows, codes = [], []
    for n in NGRAMS[state["tokens"]]:
        if n > items.shape[1]:
            break
        windows = np.lib.stride_tricks.sliding_window_view(items, n, axis=1)  # (N, L - n + 1, n)
        whole = (windows > UNKNOWN).all(2)
        rows.append(np.nonzero(whole)[0])
        codes.append(windows[whole].astype(np.int64) @ (size(state) ** np.arange(n - 1, -1, -1)))
    row, code = np.concatenate([[], *rows]).astype(np.int64), np.concatenate([np.empty(0, np.int64), *codes])
    order = np.lexsort((code, row))
    row, code = row[order], code[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (code[1:] != code[:-1])
    starts = np.flatnonzero(first)
    return row[starts], code[starts], np.diff(starts, append=len(row))
