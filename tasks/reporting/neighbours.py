"""More like this: some test rows with their nearest train rows beside them, and rows whose label these doubt."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.features.view import View, rows_of
from tasks.reporting.formatting import percent, significant

#: Rows of each kind that are shown with their neighbours, those whose label is doubted, and neighbours: with the row
#: itself they fill a line.
EACH, DOUBTED, NEAR = 3, 6, 7
#: Characters of a label in a sentence.
LABEL = 40
Wanted = list[tuple[str, str]]  # id and why it is shown


def wanted(galleries: list[dict[str, Any]], unlike: list[str], doubtful: list[dict[str, Any]]) -> Wanted:
    """Which rows are shown: doubted ones, and the first of each gallery, and the most unlike; each once."""
    found = [(row["id"], "Likely wrong label?") for row in doubtful[:DOUBTED]]
    for part in galleries:
        first = [group["items"][0]["id"] for group in part["groups"] if group["items"]]
        more = [item["id"] for group in part["groups"][:1] for item in group["items"]]
        ids = first if len(first) >= EACH else list(dict.fromkeys([*first, *more]))
        found += [(i, part["title"].partition(":")[0]) for i in ids[:EACH]]
    found += [(i, "Unlike the rest") for i in unlike[:EACH]]
    kept: dict[str, str] = {}
    for row, why in found:
        kept.setdefault(row, why)
    return list(kept.items())


def lines(rows: Wanted, said: pa.Table, key: str, view: View) -> list[dict[str, Any]]:
    """Each row with its neighbours, the nearest first, as captions for a gallery.

    Args:
        said: columns `id`, ``key``.like and ``key``.distance of the held-out rows.
    """
    wanted = pa.array([row for row, _ in rows], pa.string())
    near = {row["id"]: row for row in said.filter(pc.is_in(said["id"], wanted)).to_pylist()}
    shown = np.unique([i for row in near.values() for i in (row["id"], *row[f"{key}.like"])]).astype(str)
    places = rows_of(view, shown)
    label = dict(zip(shown.tolist(), np.where(view.known[places], view.label[places], "").tolist(), strict=True))
    found = []
    for row, why in rows:
        if row not in near:
            continue
        ids, distances = near[row][f"{key}.like"], near[row][f"{key}.distance"]
        items = [_item(row, label[row], "this row", "")]
        items += [_item(i, label[i], "", significant(d, 3)) for i, d in zip(ids[:NEAR], distances[:NEAR], strict=True)]
        found.append({"why": why, "told": _told(label[row], [label[i] for i in ids]), "items": items})
    return found


def _item(row: str, label: str, name: str, distance: str) -> dict[str, Any]:
    told = [{"name": name, "text": label}] if label or name else []
    told += [{"name": "distance", "text": distance}] if distance else []
    return {"id": row, "of": label, "pair": [], "told": told}


def _told(own: str, near: list[str]) -> str:
    """How many of the neighbours have the row's own label, and which they have in its place."""
    known = [label for label in near if label]
    if not own or not known:
        return ""
    same = known.count(own)
    if len(set(known)) > len(known) / 2 and not same:  # numbers, or as good as a label a row
        return ""
    told = f"{same} of {len(known)} neighbours have its label"
    other, count = min(Counter(known).items(), key=lambda pair: (-pair[1], pair[0]))
    return told if other == own else f"{told}, {count} have “{other if len(other) <= LABEL else other[:LABEL] + '…'}”"


def sentence(found: dict[str, Any]) -> str:
    """What the neighbours say of all labels."""
    if not found or found["agree"] is None:
        return ""
    told = f"Of the nearest train rows of the val and test rows {percent(found['agree'])} have the same label. "
    if not found["doubted"]:
        return told + "No row has neighbours that agree on another one."
    rows = "One row has" if found["doubted"] == 1 else f"{found['doubted']:,} rows have"
    return told + (
        f"{rows} neighbours of which three quarters or more agree on another one: a wrong label, or a hard row."
    )
