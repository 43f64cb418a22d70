"""Texts: what is admitted and what is not, ids and their vocabulary, TF-IDF beside scikit-learn's."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from tasks.config.clean import Clean, CleanText
from tasks.config.ingest import Ingest
from tasks.config.source import Input
from tasks.config.train import AugmentText
from tasks.config.validate import ValidText
from tasks.core.errors import DeepmineError
from tasks.modalities import text, text_tfidf, text_tokens
from tasks.modalities.base import Admitted
from tasks.sources import Unreadable

SPEC = Input(modality="text", columns=("a",))
DATA = Path(os.environ.get("DEEPMINE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
RTL = "\u202e"


def admitted(*cells: Any, **params: Any) -> Admitted:
    return text.admit_columns(pa.table({"a": pa.array(cells)}), SPEC, Ingest(**params))


def raw(*texts: str | None) -> pa.Table:
    return pa.table({"": pa.array(texts, pa.string())})


def settled(train: tuple[str | None, ...], **params: Any) -> dict[str, Any]:
    return text.settle(raw(*train), SPEC, Clean(text=CleanText(**{"min_count": 1} | params)))


def ids(state: dict[str, Any], *texts: str | None) -> np.ndarray:
    column, reasons = text.repair_columns(raw(*texts), SPEC, state)
    assert reasons == [None] * len(texts)
    return text.array(pa.chunked_array([column.slice(0, 1), column.slice(1)]), state)


def sentences(count: int, seed: int = 0, words: int = 50) -> tuple[str, ...]:
    """Texts of 0 to 29 words, of which the first in the alphabet are the most usual."""
    draw = np.random.default_rng(seed)
    return tuple(
        " ".join(f"w{w:02d}" for w in (draw.beta(1, 4, draw.integers(30)) * words).astype(int)) for _ in range(count)
    )


def file(data: bytes) -> tuple[dict[str, Any], str]:
    return text.admit(data, Ingest())


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_by_the_mark_that_it_begins_with(coding: str) -> None:
    facts, item = file("Grüße, 世界".encode(coding))
    assert item == "Grüße, 世界"
    assert facts == file("Grüße, 世界".encode())[0]  # the content, too: copies in other codings are copies
    big_endian = b"\xfe\xff" + "Grüße".encode("utf-16-be")
    assert file(big_endian)[1] == "Grüße"


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"abc\xffdef", "invalid UTF-8", "at byte 3"),
        ("Grüße".encode("latin-1"), "invalid UTF-8", "at byte 2"),
        (b"\xff\xfea\0b", "invalid UTF-16", "at byte 4"),
        (b"", "empty text", ""),
        ("\ufeff \0 \n\u3000\u200b".encode(), "empty text", ""),
    ],
)  # fmt: skip
def test_files_that_are_no_text_are_refused_with_the_place(data: bytes, reason: str, detail: str) -> None:
    with pytest.raises(Unreadable) as caught:
        file(data)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_what_is_repaired_is_told() -> None:
    found = admitted("a\0b\0", "\ufeffmarked", "x" * 50, None, f"{RTL}kept", max_characters=20)
    columns = {name: column.to_pylist() for name, column in found.columns.items()}
    assert columns[""] == ["ab", "marked", "x" * 20, None, f"{RTL}kept"]
    assert columns["nul"] == [2, 0, 0, None, 0]
    assert columns["cut"] == [False, False, True, None, False]
    assert columns["characters"] == [2, 6, 20, None, 5]
    assert found.reasons == [None] * 5
    assert found.content[3] is None
    assert found.content[0] == admitted("ab").content[0] != found.content[1]
    assert {name: column.type for name, column in found.columns.items()} == text.raw_fields(SPEC)


def test_a_line_of_ten_megabytes_is_cut_and_counted() -> None:
    facts, item = file(b"word " * 2_000_000)
    assert len(item) == facts["characters"] == Ingest().max_characters
    assert (facts["cut"], facts["words"]) == (True, 20_000)


def test_empty_cells_are_refused_and_null_ones_missing() -> None:
    found = admitted("", " \t\n", None, "ok")
    assert found.reasons == ["empty text", "empty text", None, None]
    assert [content is None for content in found.content] == [False, False, True, False]


def test_several_columns_are_joined_and_missing_only_together() -> None:
    spec = Input(modality="text", columns=("title", "body", "year"))
    table = pa.table({
        "title": ["T", "T", None, None, ""], "body": ["B", None, "", None, ""], "year": [1999, None, 2001, None, None],
    })  # fmt: skip
    found = text.admit_columns(table, spec, Ingest())
    assert found.columns[""].to_pylist() == ["T\nB\n1999", "T", "2001", None, ""]
    assert found.reasons == [None, None, None, None, "empty text"]


def test_cells_that_are_no_utf8_are_named_row_by_row() -> None:
    cells = pa.array([b"fine", b"ab\xff", None, "é".encode()])
    for column in (cells, cells.cast(pa.string(), safe=False)):  # as CSV gives it; as a Parquet file may claim
        found = text.admit_columns(pa.table({"a": column}), SPEC, Ingest())
        assert found.reasons == [None, "invalid UTF-8", None, None]
        assert found.details[1] == "column 'a', at byte 2"
        assert found.columns[""].to_pylist() == ["fine", None, None, "é"]
    with pytest.raises(DeepmineError, match=r"column 'a'.*list"):
        admitted(["a", "list"])


def test_a_clean_text_is_composed_and_of_single_spaces() -> None:
    found, _ = text.repair_columns(raw(" E\u0301T\x07\r\n\u2028É \u00a0 Ⅷ ", None, RTL), SPEC, {"lower": True})
    assert found.to_pylist() == ["ét é ⅷ", None, RTL]
    kept, _ = text.repair_columns(raw("E\u0301T"), SPEC, {"lower": False})
    assert kept.to_pylist() == ["ÉT"]
    again, _ = text.repair_columns(pa.table({"": found}), SPEC, {"lower": True})
    assert again.equals(found)


def test_the_vocabulary_is_that_of_most_train_rows() -> None:
    state = settled(("b a a a", "b c", "c d", None), min_count=2)
    assert state["vocabulary"] == ["b", "c"]
    assert ids(state, "c b a zz", None, "").tolist() == [[3, 2, 1, 1], [0] * 4, [0] * 4]
    assert text.form(state) == {"kind": "tokens", "shape": (4,), "size": 4}
    many = tuple(" ".join(f"t{j}" for j in range(30)) for _ in range(3))
    assert settled(many, vocabulary=10)["vocabulary"] == sorted(f"t{j}" for j in range(30))[:10]
    assert settled(many) == settled(many[::-1])
    with pytest.raises(DeepmineError, match=r"none of the 3 tokens in 3 train texts is in 2.*min_count"):
        settled(("a", "b", "c"), min_count=2)


def test_words_numbers_and_signs_of_all_scripts() -> None:
    told = {
        "don't pay £5.50!": ["don", "'", "t", "pay", "£", "5", ".", "50", "!"],
        "snake_case a-b": ["snake_case", "a", "-", "b"],
        "हिन्दी है": ["हिन्दी", "है"],  # marks stay with their letters
        "iphone手机です": ["iphone", "手", "机", "で", "す"],
        "مرحبا 🙂🙂": ["مرحبا", "🙂", "🙂"],
        f"a{RTL}b": ["a", RTL, "b"],
    }
    for line, words in told.items():
        state = settled((line,), length=20)
        column, _ = text.repair_columns(raw(line), SPEC, state)
        assert sorted(set(words)) == sorted(state["vocabulary"])
        known = ["", "?", *state["vocabulary"]]
        assert [known[i] for i in ids(state, column[0].as_py())[0]][: len(words)] == words
    # both patterns make the same of what either may be asked for
    every = " ".join(f"x{chr(i)}{chr(i)}1" for i in range(0x20, 0x300) if not 0x7F <= i < 0xA0)
    assert text_tokens._words().findall(every) == text_tokens.LATIN_WORDS.findall(every)


def test_characters_as_tokens() -> None:
    state = settled(("aab", "abé"), tokens="character")
    assert state["vocabulary"] == ["a", "b", "é"]
    assert ids(state, "béx", "aaaa").tolist() == [[3, 4, 1], [2, 2, 2]]


def test_bytes_as_tokens() -> None:
    state = settled(("aé", "b"), tokens="byte", min_count=5)
    assert text.form(state) == {"kind": "tokens", "shape": (3,), "size": 258, "bytes": True}
    assert "bytes" not in text.form(settled(("a",)))
    found = ids(state, "É", "b b b", "\u0800")
    assert [bytes((row[row > 1] - 2).astype(np.uint8)) for row in found] == ["é".encode(), b"b b", "\u0800".encode()]
    assert found[0].tolist() == [0xC3 + 2, 0xA9 + 2, 0]


def test_the_automatic_length_leaves_one_text_in_a_hundred_longer() -> None:
    texts = tuple("w " * n for n in [3] * 197 + [7, 500, 900])
    assert settled(texts)["length"] == 7
    assert settled(("w " * 900,) * 5)["length"] == CleanText().max_auto_length
    assert settled(("w " * 900,) * 5, tokens="character")["length"] == 4 * CleanText().max_auto_length
    assert settled(texts, length=5)["length"] == 5
    long = "w " * 40 + "v"
    state = settled((long,), length=4)
    assert ids(state, long + " x" * 1000).tolist() == [[3, 3, 3, 3]]


def test_ids_of_a_hundred_thousand_short_texts() -> None:
    texts = sentences(20_000) * 5
    state = settled(texts[:5000])
    found = ids(state, *texts)
    assert found.dtype == text.DTYPE
    assert np.array_equal(found[:20_000], found[-20_000:])


def test_word_dropout_makes_known_words_unknown() -> None:
    items = torch.randint(2, 50, (200, 30), dtype=torch.int32)
    items[:, 20:] = 0

    def dropped(rate: float, seed: int = 1) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return text.augment(items, AugmentText(word_dropout=rate), torch.zeros(200).bool(), generator)

    found = dropped(0.25)
    assert found.dtype == torch.int32
    changed = found != items
    assert (found[changed] == text_tokens.UNKNOWN).all()
    assert not changed[:, 20:].any()
    assert 0.22 < changed[:, :20].float().mean() < 0.28
    assert torch.equal(found, dropped(0.25))
    assert not torch.equal(found, dropped(0.25, seed=2))
    assert torch.equal(dropped(0.0), items)
    assert text.tensor(items, {}).dtype == torch.int64


def cleaned(state: dict[str, Any], *texts: str | None) -> pa.Array:
    return text.repair_columns(raw(*texts), SPEC, state)[0]


def fitted(state: dict[str, Any], *train: str) -> dict[str, np.ndarray]:
    return text.fit_raw([cleaned(state, *train)], state)


#: What the raw view is, by scikit-learn.
VECTORIZERS: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2), "tokenizer": lambda text: text_tokens.split(text, "word"), "token_pattern": None},
    "characters": {"ngram_range": (2, 5), "analyzer": "char_wb"},
}


@pytest.mark.parametrize("read", ["word", "character", "byte"])
def test_the_raw_view_is_tf_idf_as_scikit_learn_has_it(read: str) -> None:
    """Of words and of characters, half the length each, whatever the network reads."""
    signs = ("déjà vu! it's 5 o'clock, 中文 here", "déjà vu! it's 6 o'clock, 中文 there", "a ab abc abcd abcde abcdef")
    train, others = (*sentences(300), *signs), (*sentences(100, seed=1), *signs, "", "unheard")
    state = settled(train, tokens=read, length=3)
    made = fitted(state, *train)
    found = text.raw(cleaned(state, *others), made, state)
    assert found.dtype == np.float32
    start = 0
    for kind, own in VECTORIZERS.items():
        wanted = TfidfVectorizer(sublinear_tf=True, min_df=2, **own).fit(cleaned(state, *train).to_pylist())
        expected = wanted.transform(cleaned(state, *others).to_pylist())
        width = len(made[f"{kind}.codes"])
        part = found[:, start : start + width] * 2**0.5
        start += width
        assert width == len(wanted.vocabulary_)
        assert np.allclose(np.sort(made[f"{kind}.idf"]), np.sort(wanted.idf_), atol=1e-5)
        # the columns stand in another order: the products of all rows tell whether they hold the same
        assert abs((part @ part.T) - (expected @ expected.T)).max() < 1e-5
    assert found.shape[1] == start
    lengths = found[:100].power(2).sum(1)
    assert np.isin(np.round(lengths, 5), [0, 0.5, 1]).all()
    assert np.isclose(lengths, 1).mean() > 0.9
    assert found[[-2]].nnz == 0


def test_the_raw_view_reads_whole_texts() -> None:
    """Where the network stops: what tells two classes apart stands behind it."""
    filler = "the same few words stand at the head of every text " * 30
    train = [f"{filler} {'good' if i % 2 else 'bad'} end" for i in range(40)]
    state = settled(tuple(train), length=20)
    assert len({tuple(row) for row in ids(state, *train).tolist()}) == 1
    seen = text.raw(cleaned(state, *train), fitted(state, *train), state)
    gap = abs(seen[[0]] - seen[[1]]).max()
    assert gap > 0.01
    assert abs(seen[[0]] - seen[[2]]).max() == 0
    lost, sizes = text.shortened(pa.chunked_array([["a b c", None, "one , two three" * 10]]), state | {"length": 3})
    assert lost.tolist() == [0, 0, sizes[2] - 3]
    assert sizes.tolist() == [3, 0, 31]


def test_tf_idf_keeps_the_runs_of_most_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    train = sentences(200)
    state = settled(train)
    every = fitted(state, *train)
    monkeypatch.setattr(text_tfidf, "MAX_FEATURES", 40)
    some = fitted(state, *train)
    for kind in text_tfidf.RUNS:
        assert len(some[f"{kind}.codes"]) == 40
        assert some[f"{kind}.idf"].max() <= np.sort(every[f"{kind}.idf"])[40]
        assert np.array_equal(some[f"{kind}.codes"], np.sort(some[f"{kind}.codes"]))
    whole = text.raw(cleaned(state, *train), some, state)
    monkeypatch.setattr(text_tfidf, "BLOCK", 70)  # in other blocks: the same
    monkeypatch.setattr(text_tfidf, "PENDING", 100)
    column = cleaned(state, *train)
    again = text.fit_raw([column.slice(0, 11), column.slice(11)], state)
    assert all(np.array_equal(some[name], again[name]) for name in some)
    assert abs(whole - text.raw(column, again, state)).max() == 0
    assert text.raw(column.slice(0, 0), some, state).shape == (0, 80)
    assert text.raw(pa.nulls(2, pa.string()), some, state).nnz == 0


def test_a_run_that_one_train_row_holds_is_left_out_unless_all_are_such() -> None:
    state = settled(("a b", "b c"))
    assert len(fitted(state, "a b", "b c")["words.codes"]) == 1  # b
    assert len(fitted(state, "a b")["words.codes"]) == 3  # a, b, "a b"
    with pytest.raises(DeepmineError, match="raw view"):
        text.fit_raw([pa.nulls(0, pa.string())], state)


def test_the_commonest_words_are_told_of_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    state = settled(("win a car , now !", "a car", "a 5"), length=1)
    assert text.item_names(state) == ["“a”", "“car”", "“now”", "“win”"]  # no signs, no numbers
    held = text.items(pa.chunked_array([["win now win car unheard", None], ["", "5 a"]]), state)
    assert held.toarray().tolist() == [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    monkeypatch.setattr(text, "TELLING", 2)
    assert text.item_names(state) == ["“a”", "“car”"]
    for kind in ("character", "byte"):
        state = settled(("ab", "b"), tokens=kind)
        assert text.items(pa.chunked_array([["ab"]]), state).shape == (1, 0)


def test_a_shown_text_hides_nothing_and_turns_nothing() -> None:
    row = {"": f"Pay {RTL}evil\u202c now " + "x" * 5000}
    small, large = (text.show("pay evil now", row, {}, side).text for side in (48, 240))
    assert small is not None
    assert large is not None
    assert small.startswith("Pay [U+202E]evil[U+202C] now xxx")
    assert small.endswith("…")
    assert len(small) < 300 < len(large)
    assert text.show("clean only", {}, {}, 48).text == "clean only"


def test_a_data_set_is_described_in_one_line() -> None:
    found = admitted("a b c", "d\0", "e " * 100, None, max_characters=50)
    facts = pa.table({name: found.columns[name] for name in text.FACTS})
    assert text.describe(facts) == "3 words in the middle, 1 to 25, 1 cut, 1 with NUL characters"
    [(expectation, arguments, action, _)] = text.checks(SPEC, ValidText(min_characters=3))
    assert (expectation, action) == ("expect_column_values_to_be_between", "reject")
    assert arguments == {"column": "characters", "min_value": 3}


@pytest.mark.skipif(not (DATA / "sms_spam.csv").exists(), reason=f"no {DATA / 'sms_spam.csv'}")
def test_spam_is_found_as_well_as_by_scikit_learns_own_tf_idf() -> None:
    from sklearn.metrics import f1_score
    from sklearn.svm import LinearSVC

    with (DATA / "sms_spam.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    spam = np.array([row["type"] == "spam" for row in rows])
    texts = [row["text"] for row in rows]
    train = np.random.default_rng(0).permutation(len(rows)) < len(rows) * 0.8
    state = settled(tuple(t for t, chosen in zip(texts, train, strict=True) if chosen), min_count=2)
    found = text.raw(cleaned(state, *texts), fitted(state, *np.array(texts)[train]), state)
    ours = f1_score(spam[~train], LinearSVC().fit(found[train], spam[train]).predict(found[~train]))
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    X = theirs.fit(np.array(texts)[train]).transform(texts)
    assert ours > 0.93
    assert ours > f1_score(spam[~train], LinearSVC().fit(X[train], spam[train]).predict(X[~train])) - 0.01
