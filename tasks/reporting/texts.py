"""Texts that are longer than the network reads."""

from typing import Any

import numpy as np

from tasks.core.text import percent
from tasks.modalities import modality
from tasks.reporting.row_cards import Rows
from tasks.storage.store import read_shards

#: What tokens are called, by `clean.text.tokens`.
TOKENS = {"word": "words and signs", "character": "characters", "byte": "bytes"}


def shortened(source: Rows) -> list[dict[str, Any]]:
    """For each input of texts of which the network leaves some unread: a sentence, and the share of texts cut short."""
    found = []
    for name, spec in source.inputs.items():
        made, state = modality(spec.modality), source.states[name]
        if made.form(state)["kind"] != "tokens":
            continue
        parts = [made.shortened(table[name].drop_null(), state) for _, table in read_shards(source.clean, [name])]
        lost, sizes = np.concatenate(parts, axis=1)  # (N,) each
        cut, told = int((lost > 0).sum()), TOKENS[state["tokens"]]
        if not cut:
            continue
        text = (
            f"The network reads the first {state['length']:,} {told} of a text of '{name}' (clean.text.length). "
            f"{cut:,} of {len(sizes):,} texts ({percent(cut / len(sizes))}) are longer; of theirs "
            f"{percent(lost.sum() / sizes[lost > 0].sum())} are not read, of all texts' {percent(lost.sum() / sizes.sum())}. "
            "The raw view reads whole texts."
        )
        found.append({"sentence": text, "share": cut / len(sizes)})
    return found
