"""Texts: one clean form, a vocabulary of the train rows, padded token ids, word dropout, TF-IDF."""

import codecs
import hashlib
import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import DeepmineError, Unreadable
from tasks.modalities.base import Admitted, Modality, Shown
from tasks.modalities.text_tfidf import MAX_FEATURES, RUNS
from tasks.modalities.text_tfidf import fit_raw as fit_raw
from tasks.modalities.text_tfidf import raw as raw
from tasks.modalities.text_tokens import BYTES, PADDING, UNKNOWN, size, split

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array

    from tasks.config.clean import Clean
    from tasks.config.ingest import Ingest
    from tasks.config.source import Input
    from tasks.config.train import AugmentText
    from tasks.config.validate import ValidText

DTYPE = np.int32
#: What every text tells of itself: `nul` NUL characters were removed, and it was `cut` at the largest length.
FACTS = {"characters": pa.int64(), "words": pa.int64(), "nul": pa.int64(), "cut": pa.bool_()}
#: Characters that `measure` counts.
COUNTED = {"digits": r"\p{Nd}", "letters": r"\p{L}", "capitals": r"\p{Lu}"}
#: Words that are told of each text. Rarer ones are in too few rows for much to be found out about them.
TELLING = 200
#: Texts that are split at once.
BLOCK = 4096
#: UTF-32 before UTF-16, as the mark of the one begins with that of the other.
MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
MARK = "\ufeff"
#: Characters (or bytes) to a word, roughly.
LETTERS = 4
SEEN = r"[^\s\p{Z}\p{Cc}\p{Cf}]"
SPACE = r"[\s\p{Z}\p{Cc}]+"
#: Characters that turn the direction of what follows them.
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def raw_fields(spec: "Input") -> dict[str, pa.DataType]:
    """What the raw data keeps of each text, by suffix; "" is the text itself."""
    return {**FACTS, "": pa.string()}


def settled_by(spec: "Input") -> list[str]:
    """Those of them that `settle` asks for."""
    return [""]


def checked(spec: "Input") -> list[str]:
    """Those of them that expectations may name."""
    return list(FACTS)


def checks(spec: "Input", params: "ValidText") -> list[tuple[str, dict[str, Any], str, str]]:
    """Expectations of the facts: name, arguments, action and reason."""
    least = {"column": "characters", "min_value": params.min_characters}
    return [("expect_column_values_to_be_between", least, "reject", "text too short")]


def item_memory(params: "Ingest") -> int:
    """Bytes that reading one text file may take: more than one of 32 MB does, of which the rest is cut off."""
    return (1 << 28) + 16 * params.max_characters


def admit(data: bytes, params: "Ingest") -> tuple[dict[str, Any], str]:
    """The facts and the text of one file: UTF-8, or UTF-16 and UTF-32 that begin with their mark.

    Raises:
        Unreadable: the bytes are no such text, or the text is empty.
    """
    coding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    admitted = _admitted(pa.array([_decoded(data, coding)], pa.string()), params)
    if admitted.reasons[0] is not None:
        raise Unreadable(admitted.reasons[0], admitted.details[0] or "")
    row = {suffix: column[0].as_py() for suffix, column in admitted.columns.items()}
    item: str = row.pop("")
    return {"content": admitted.content[0], **row}, item


def admit_columns(table: pa.Table, spec: "Input", params: "Ingest") -> Admitted:
    """N rows' text: what `spec.columns` hold, joined by newlines; missing where all of them are null.

    Raises:
        DeepmineError: a column holds lists or records.
    """
    parts: list[pa.Array] = []
    bad: dict[int, str] = {}
    for name in spec.columns:
        column, faults = _texts(table[name].combine_chunks(), name)
        parts.append(column)
        bad |= faults
    text = parts[0] if len(parts) == 1 else _joined(parts)
    admitted = _admitted(text, params)
    for i, detail in bad.items():
        admitted.reasons[i], admitted.details[i] = "invalid UTF-8", detail
    return admitted


def _joined(parts: list[pa.Array]) -> pa.Array:
    """Columns' texts below each other, less empty ones; null where all are null."""
    there = np.any([part.is_valid().to_numpy(zero_copy_only=False) for part in parts], axis=0)
    full = [pc.if_else(pc.equal(part, ""), None, part) for part in parts]
    # Arrow drops a row where there is nothing to join
    bare = ~np.any([part.is_valid().to_numpy(zero_copy_only=False) for part in full], axis=0)
    full[0] = pc.if_else(pa.array(bare), "", full[0])
    return pc.if_else(pa.array(there), pc.binary_join_element_wise(*full, "\n", null_handling="skip"), None)


def _texts(column: pa.Array, name: str) -> tuple[pa.Array, dict[int, str]]:
    """A column as text (null stays null) and what is wrong with the cells that are no UTF-8, by row."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        text = column.cast(pa.string())
        text.validate(full=True)
        return text, {}
    except pa.ArrowNotImplementedError:
        raise DeepmineError(
            f"column '{name}': holds {column.type}, which is no text. Name columns of text, or write it as text."
        ) from None
    except pa.ArrowInvalid:
        pass  # not UTF-8: found out row by row
    cells: list[str | None] = []
    bad: dict[int, str] = {}
    for i, cell in enumerate(column.cast(pa.large_binary()).to_pylist()):
        try:
            cells.append(None if cell is None else cell.decode())
        except UnicodeDecodeError as error:
            cells.append(None)
            bad[i] = f"column '{name}', at byte {error.start}"
    return pa.array(cells, pa.string()), bad


def _decoded(data: bytes, coding: str) -> str:
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"invalid {coding.upper()}", f"at byte {error.start}") from None


def _admitted(text: pa.Array, params: "Ingest") -> Admitted:
    """Texts less marks, NULs and what is too long, with their facts."""
    nul = pc.count_substring(text, "\0")
    text = pc.utf8_ltrim(pc.replace_substring(text, "\0", ""), MARK)
    long = pc.greater(pc.utf8_length(text), params.max_characters)
    if pc.any(long).as_py():
        text = pc.utf8_slice_codeunits(text, 0, params.max_characters)
    empty = pc.invert(pc.match_substring_regex(text, SEEN)).to_pylist()
    columns = {
        "characters": pc.cast(pc.utf8_length(text), pa.int64()),
        "words": pc.cast(pc.count_substring_regex(text, r"[^\s\p{Z}]+"), pa.int64()),
        "nul": pc.cast(nul, pa.int64()), "cut": long, "": text,
    }  # fmt: skip
    content = [None if t is None else hashlib.sha256(t.encode()).hexdigest() for t in text.to_pylist()]
    return Admitted(columns, content, ["empty text" if e else None for e in empty], [None] * len(text))


def settle(train: pa.Table, spec: "Input", params: "Clean") -> dict[str, Any]:
    """The vocabulary and the length of every row of ids, from the train rows' texts.

    The vocabulary holds the tokens that most rows have, ties in the order of their characters; of bytes it holds
    all. A length of ``auto`` is what 99 % of the train rows do not exceed.

    Raises:
        DeepmineError: no token is in enough rows.
    """
    wanted = params.text
    state: dict[str, Any] = {"lower": wanted.lower, "tokens": wanted.tokens}
    rows: Counter[str] = Counter()
    counts = []
    for batch in train[""].chunks:
        for text in _clean(batch, state).drop_null().to_pylist():
            found = split(text, wanted.tokens)
            rows.update(set(found))
            counts.append(len(found))
    often = sorted((-n, token) for token, n in rows.items() if n >= wanted.min_count)
    vocabulary = BYTES if wanted.tokens == "byte" else [token for _, token in often[: wanted.vocabulary]]
    if not vocabulary:
        raise DeepmineError(
            f"clean.text: none of the {len(rows):,} tokens in {len(counts):,} train texts is in {wanted.min_count} of "
            "them, so there is nothing to learn from. Lower clean.text.min_count, or set clean.text.tokens: character."
        )
    length = wanted.length
    if length == "auto":
        most = wanted.max_auto_length * (1 if wanted.tokens == "word" else LETTERS)
        length = max(1, min(int(np.percentile(counts, 99, method="inverted_cdf")), most))
    return state | {"length": length, "vocabulary": vocabulary}


def repair_columns(table: pa.Table, spec: "Input", state: dict[str, Any]) -> tuple[pa.Array, list[str | None]]:
    """Raw texts in Unicode's composed form (NFC), lower-cased where that is settled, white space and control
    characters as single spaces."""
    return _clean(table[""].combine_chunks(), state), [None] * table.num_rows


def _clean(text: pa.Array, state: dict[str, Any]) -> pa.Array:
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, SPACE, " "))
    return pc.utf8_normalize(pc.utf8_lower(text) if state["lower"] else text, "NFC")


def column_type(state: dict[str, Any]) -> pa.DataType:
    """The Arrow type of a cleaned text."""
    return pa.string()


def shape(state: dict[str, Any]) -> tuple[int]:
    """(tokens,) of a row of ids."""
    return (state["length"],)


def array(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """A cleaned column as (N, L) int32 ids: 0 = no more tokens, 1 = one that the vocabulary does not hold."""
    length = state["length"]
    ids = {token: i for i, token in enumerate(state["vocabulary"], 2)}
    items = np.full((len(column), length), PADDING, DTYPE)
    texts = [text or "" for text in column.to_pylist()]
    for start in range(0, len(texts), BLOCK):
        rows = [split(text, state["tokens"], length) for text in texts[start : start + BLOCK]]
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = np.fromiter((ids.get(token, UNKNOWN) for token in chain.from_iterable(rows)), DTYPE, int(sizes.sum()))
        items[start : start + len(rows)][np.arange(length) < sizes[:, None]] = flat
    return items


def shortened(column: pa.ChunkedArray, state: dict[str, Any]) -> np.ndarray:
    """(2, N) how many tokens of each cleaned text the network does not read, and how many there are."""
    sizes = np.array([len(split(text or "", state["tokens"])) for text in column.to_pylist()], np.int64)
    return np.stack([np.maximum(sizes - state["length"], 0), sizes])


def form(state: dict[str, Any]) -> dict[str, Any]:
    """What `tensor` gives."""
    made = {"kind": "tokens", "shape": shape(state), "size": size(state)}
    return made | {"bytes": True} if state["tokens"] == "byte" else made


def tensor(items: "torch.Tensor", state: dict[str, Any]) -> "torch.Tensor":
    """(N, L) int32 ids as int64, as embeddings are looked up."""
    return items.long()


def augment(
    items: "torch.Tensor", params: "AugmentText", mirrored: "torch.Tensor", generator: "torch.Generator"
) -> "torch.Tensor":
    """Word dropout: each token of (N, L) ids is made unknown with the given probability (Iyyer et al. 2015).

    Random numbers come from a CPU ``generator``, so that every device sees the same augmentation.
    """
    import torch

    if not params.word_dropout:
        return items
    dropped = torch.rand(items.shape, generator=generator) < params.word_dropout
    return items.masked_fill(dropped.to(items.device) & (items != PADDING), UNKNOWN)


def measured_by(spec: "Input") -> list[str]:
    """Those of `raw_fields` that `measure` asks for."""
    return ["words", ""]


def measure(facts: pa.Table, column: pa.ChunkedArray, spec: "Input", state: dict[str, Any]) -> dict[str, Any]:
    """What a person can say of N texts as they came."""
    count = {what: pc.count_substring_regex(facts[""], kind) for what, kind in COUNTED.items()}
    letters = pc.if_else(pc.equal(count["letters"], 0), None, count["letters"])  # no letters: no share of them
    capitals = pc.divide(pc.multiply(pc.cast(count["capitals"], pa.float64()), 100.0), letters)
    return {"words": facts["words"], "digits": count["digits"], "capitals in % of letters": capitals}


def item_names(state: dict[str, Any]) -> list[str]:
    """What `items` calls the M commonest words of the train rows; nothing where tokens are no words."""
    words = [token for token in state["vocabulary"] if token.isalpha()] if state["tokens"] == "word" else []
    return [f"“{word}”" for word in words[:TELLING]]


def items(column: pa.ChunkedArray, state: dict[str, Any]) -> "csr_array":
    """(N, M) bool: which of the words of `item_names` each of N cleaned texts holds, however long it is."""
    from scipy.sparse import csr_array

    number = {name[1:-1]: i for i, name in enumerate(item_names(state))}
    places: list[int] = []
    starts = [0]
    for text in column.to_pylist():
        if number and text:
            places += sorted({number[token] for token in split(text, "word") if token in number})
        starts.append(len(places))
    return csr_array((np.ones(len(places), bool), places, starts), shape=(len(starts) - 1, len(number)))


def show(item: str | None, row: dict[str, Any], state: dict[str, Any], side: int) -> Shown:
    """The text as it came, so much of it as fits a square of ``side`` pixels or so, with what turns its direction
    written out: a hidden override would turn what stands beside it in a report, too."""
    text = row.get("") or item or ""
    room = 5 * side
    text = text if len(text) <= room else text[: room - 1].rstrip() + "…"
    return Shown(text=DIRECTIONS.sub(lambda match: f"[U+{ord(match.group()):04X}]", text))


def describe(facts: pa.Table) -> str:
    """The usual length and what was repaired, for a person who adds a data set."""
    words = facts["words"].drop_null().to_numpy()
    if not len(words):
        return "no text"
    told = f"{np.median(words):.0f} words in the middle, {words.min()} to {words.max()}"
    for suffix, what in (("cut", "cut"), ("nul", "with NUL characters")):
        count = pc.sum(pc.cast(pc.greater(pc.cast(facts[suffix], pa.int64()), 0), pa.int64())).as_py()
        told += f", {count:,} {what}" if count else ""
    return told


MODALITY = Modality(
    raw_kind="sparse",
    raw_words=(
        f"TF-IDF of the whole text, {MAX_FEATURES:,} of each at most: words and pairs of words; "
        f"runs of {RUNS['characters'][0]} to {RUNS['characters'][-1]} characters within words"
    ),
    dtype=DTYPE,
    raw_fields=raw_fields, settled_by=settled_by, checked=checked, checks=checks, settle=settle,
    column_type=column_type, array=array, shape=shape, form=form, tensor=tensor, augment=augment, show=show,
    describe=describe, admit=admit, item_memory=item_memory, admit_columns=admit_columns,
    repair_columns=repair_columns, fit_raw=fit_raw, raw=raw, measured_by=measured_by, measure=measure,
    item_names=item_names, items=items, shortened=shortened,
)  # fmt: skip
