"""TF-IDF of whole texts: words and pairs of words, and runs of characters within words; those that most train rows hold.

Written for speed: the runs are made by whole blocks of texts, five times as fast as by scikit-learn's vectorizers, whose
values these are.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.modalities.text_tokens import split

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: What is counted, with the lengths of its runs; how many runs of each there are at most, and in how many train rows.
RUNS = {"words": (1, 2), "characters": (2, 3, 4, 5)}
MAX_FEATURES, MIN_ROWS = 50_000, 2
#: Characters of the texts that are cut into runs at once.
BLOCK = 1 << 18
#: The code of a run is a number to this base, modulo 2**64: of millions of runs hardly two share one.
BASE = np.uint64(0x9E3779B97F4A7C15)
#: Counts that are kept apart until they are added up.
PENDING = 1 << 22
Counts = tuple[np.ndarray, np.ndarray]  # codes (D,) uint64, sorted, and the rows that hold each


def fit_raw(columns: Iterable[pa.Array], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """What TF-IDF takes from the cleaned texts of train rows: for words and for characters the runs that most hold.

    Texts are whole, however few of their tokens the network reads.

    Returns:
        `words.codes` (D,) uint64, sorted, `words.idf` (D,) float32, smoothed as scikit-learn does it, and the same
        two of `characters`.

    Raises:
        DeepmineError: there is no word and no run of characters.
    """
    found: dict[str, list[Counts]] = {kind: [] for kind in RUNS}
    total = 0
    for texts in chain.from_iterable(map(blocks, columns)):
        total += len(texts)
        for kind, parts in found.items():
            parts.append(np.unique(runs(texts, kind)[1], return_counts=True))
            if sum(len(codes) for codes, _ in parts) > PENDING:
                found[kind] = [_added(parts)]
    fitted = {}
    for kind, parts in found.items():
        codes, rows = _added(parts)
        often = np.flatnonzero(rows >= min(MIN_ROWS, rows.max(initial=0)))
        kept = np.sort(often[np.lexsort((codes[often], -rows[often]))[:MAX_FEATURES]])
        fitted[f"{kind}.codes"] = codes[kept]
        fitted[f"{kind}.idf"] = (np.log((1 + total) / (1 + rows[kept])) + 1).astype(np.float32)
    if not any(len(fitted[f"{kind}.codes"]) for kind in RUNS):
        raise DeepmineError("the raw view: no train text has a word. Check the column of the input.")
    return fitted


def raw(column: pa.Array, fitted: dict[str, np.ndarray], state: dict[str, Any]) -> "csr_array":
    """TF-IDF of N cleaned texts, (N, D) float32: 1 + log(count), times idf; words of length 1, characters likewise,
    and both together of length 1 again. A row without a text is empty."""
    from scipy.sparse import csr_array, hstack, vstack

    width = sum(len(fitted[f"{kind}.codes"]) for kind in RUNS)
    parts = [csr_array((0, width), dtype=np.float32)]
    for texts in blocks(column):
        parts.append(csr_array(hstack([_weighted(texts, kind, fitted) for kind in RUNS], format="csr")))
    return csr_array(vstack(parts, format="csr", dtype=np.float32))


def blocks(column: pa.Array) -> Iterator[list[str]]:
    """The texts of a column in order, "" for null, in lists of about `BLOCK` characters."""
    texts, size = [], 0
    for text in column.to_pylist():
        texts.append(text or "")
        size += len(texts[-1])
        if size >= BLOCK:
            yield texts
            texts, size = [], 0
    if texts:
        yield texts


def runs(texts: list[str], kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which runs the texts hold: row, code and count of each, by row and code.

    Runs of characters stay within a word, whose ends count as spaces (`char_wb` of scikit-learn).
    """
    symbols, row, inner = _words(texts) if kind == "words" else _characters(texts)
    spaces = np.concatenate([[0], np.cumsum(inner)])
    rows, codes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    code = symbols
    for n in range(1, max(RUNS[kind]) + 1):
        count = len(symbols) - n + 1
        if count <= 0:
            break
        code = code[:count] * BASE + symbols[n - 1 :] if n > 1 else symbols
        if n not in RUNS[kind]:
            continue
        whole = row[:count] == row[n - 1 :]
        if n > 2:  # a space stands at an end, or nowhere
            whole &= spaces[n - 1 : n - 1 + count] == spaces[1 : 1 + count]
        rows.append(row[:count][whole])
        codes.append(code[whole] * np.uint64(2 * n + 1) + np.uint64(n))
    return _counted(np.concatenate(rows), np.concatenate(codes))


def _words(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words of all texts as (M,) hashes, the text of each, and zeros."""
    known: dict[str, int] = {}
    found = [split(text, "word") for text in texts]
    for word in set(chain.from_iterable(found)):
        known[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    symbols = np.fromiter((known[word] for word in chain.from_iterable(found)), np.uint64)
    return symbols, np.repeat(np.arange(len(texts)), [len(words) for words in found]), np.zeros(len(symbols), np.int64)


def _characters(texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Characters of all texts, a space before and after each, as (M,) numbers; the text of each; which are spaces."""
    padded = [f" {text} " if text else "" for text in texts]
    symbols = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32)
    row = np.repeat(np.arange(len(texts)), [len(text) for text in padded])
    return symbols.astype(np.uint64) + np.uint64(1), row, (symbols == ord(" ")).astype(np.int64)


def _counted(row: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.lexsort((code, row))
    row, code = row[order], code[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (code[1:] != code[:-1])
    starts = np.flatnonzero(first)
    return row[starts], code[starts], np.diff(starts, append=len(row))


def _added(parts: list[Counts]) -> Counts:
    codes, places = np.unique(np.concatenate([c for c, _ in parts] or [np.empty(0, np.uint64)]), return_inverse=True)
    rows = np.bincount(places, np.concatenate([n for _, n in parts] or [np.empty(0)]), len(codes))
    return codes, rows.astype(np.int64)


def _weighted(texts: list[str], kind: str, fitted: dict[str, np.ndarray]) -> "csr_array":
    """(N, D) of one kind, each row of length 1 over the root of the kinds, or empty."""
    from scipy.sparse import csr_array

    known, idf = fitted[f"{kind}.codes"], fitted[f"{kind}.idf"]
    if not len(known):
        return csr_array((len(texts), 0), dtype=np.float32)
    rows, found, counts = runs(texts, kind)
    columns = np.minimum(np.searchsorted(known, found), len(known) - 1)
    there = known[columns] == found
    rows, columns = rows[there], columns[there]
    weights = (1 + np.log(counts[there])) * idf[columns]
    lengths = np.sqrt(np.bincount(rows, weights**2, len(texts)) * len(RUNS))
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(texts)))])
    values = (weights / lengths[rows]).astype(np.float32)
    return csr_array((values, columns.astype(np.int32), ends.astype(np.int32)), shape=(len(texts), len(known)))
