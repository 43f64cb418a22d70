"""Texts that are longer than the network reads."""

from typing import Any

import numpy as np

from tasks.core.text import percent
from tasks.modalities import modality
from tasks.reporting.row_cards import Rows
from tasks.storage.store import read_shards

#: What tokens are called, by `clean.text.tokens`.
TOKENS = {"word": "words and punctuation marks", "character": "characters", "byte": "bytes"}


def shortened(source: Rows) -> list[dict[str, Any]]:
    """For each text input that the network truncates: a sentence, and the fraction of truncated texts."""
    found = []
    for name, spec in source.inputs.items():
        made, state = modality(spec.modality), source.states[name]
        if made.form(state)["kind"] != "tokens":
            continue
        parts = [made.shortened(table[name].drop_null(), state) for _, table in read_shards(source.clean, [name])]
        lost, sizes = np.concatenate(parts, axis=1)  # (N,) each
        cut, unit = int((lost > 0).sum()), TOKENS[state["tokens"]]
        if not cut:
            continue
        text = (
            f"The network reads the first {state['length']:,} {unit} of each text of '{name}' (clean.text.length). "
            f"{cut:,} of {len(sizes):,} texts ({percent(cut / len(sizes))}) are longer: "
            f"{percent(lost.sum() / sizes[lost > 0].sum())} of their {unit} are not read, "
            f"{percent(lost.sum() / sizes.sum())} of those of all texts. "
            "The raw view reads whole texts."
        )
        found.append({"sentence": text, "share": cut / len(sizes)})
    return found
