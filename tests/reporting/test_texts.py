"""What the report says of texts that are longer than the network reads."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.config.source import Input
from tasks.reporting.row_cards import Rows
from tasks.reporting.texts import shortened
from tasks.storage.store import Writer

TEXTS = ["one two three", "one two, three four five six", None, "one", "a b c d e f g h i j"]


def source(place: Path, tokens: str, length: int) -> Rows:
    """Five rows in two shards, one without a text."""
    table = pa.table({"id": list("abcde"), "note": TEXTS, "age": [1.0] * 5})
    writer = Writer(place, table.schema, "mark")
    writer.add(table.slice(0, 2))
    writer.add(table.slice(2))
    writer.finish({"in": 5, "accepted": 5, "quarantined": {}})
    state: dict[str, Any] = {
        "modality": "text",
        "tokens": tokens,
        "length": length,
        "vocabulary": ["one"],
        "lower": True,
    }
    inputs = {"note": Input(modality="text", columns=("note",))}
    return Rows(inputs, {"note": state}, place, place)


def test_how_many_texts_lose_how_much(tmp_path: Path) -> None:
    [told] = shortened(source(tmp_path, "word", 4))
    assert told["share"] == 0.5
    # 7 and 10 words and signs, of which 4 each are read; 3 + 7 + 1 + 10 in all
    assert told["sentence"] == (
        "The network reads the first 4 words and punctuation marks of each text of 'note' (clean.text.length). 2 of 4 texts "
        "(50.0 %) are longer: 52.9 % of their words and punctuation marks are not read, 42.9 % of those of all "
        "texts. The raw view reads whole texts."
    )


@pytest.mark.parametrize(("tokens", "name"), [("character", "characters"), ("byte", "bytes")])
def test_other_tokens_are_called_what_they_are(tokens: str, name: str, tmp_path: Path) -> None:
    [told] = shortened(source(tmp_path, tokens, 19))
    assert f"the first 19 {name} of each text" in told["sentence"]
    assert told["share"] == 0.25


def test_nothing_is_said_where_all_is_read(tmp_path: Path) -> None:
    assert shortened(source(tmp_path, "word", 10)) == []
