"""Some test rows with their nearest train rows, and rows whose neighbours agree on another label."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.features.view import View, load_view, rows_of
from tasks.reporting import examples, novelty
from tasks.reporting.formatting import percent, significant
from tasks.reporting.section import Content
from tasks.storage.names import PREDICTIONS
from tasks.storage.store import read, read_manifest

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Rows of each kind that are shown with their neighbours, those with a suspicious label, and neighbours: with
#: the row itself they fill a line.
EACH, SUSPICIOUS, NEAR = 3, 6, 7
#: Characters of a label in a sentence.
LABEL = 40
Wanted = list[tuple[str, str]]  # id and why it is shown


@dataclass(frozen=True)
class Neighbours(Content):
    """Each of some rows with its neighbours; ``view`` is the one in which they are near."""

    name: str
    view: str
    agreement: str
    lines: list[dict[str, Any]]

    @property
    def row_ids(self) -> list[str]:
        return [item["id"] for line in self.lines for item in line["items"]]


def build(run: "Run") -> Neighbours | None:
    """None where no miner keeps the nearest train rows."""
    key = _key(run)
    if not key:
        return None
    found = (run.evaluated.get("neighbours") or {}).get(key, {})
    outliers = run.part(novelty.build)
    ids = [item["id"] for item in outliers.examples] if outliers else []
    rows = wanted(run.part(examples.build).galleries, ids, found.get("doubtful", []))
    near = read(run.miners / PREDICTIONS, ["id", f"{key}.like", f"{key}.distance"])
    view = key.partition("@")[2]
    shown = lines(rows, near, key, load_view(run.features, view))
    return Neighbours(run.name, view, sentence(found), shown) if shown else None


def _key(run: "Run") -> str:
    """The miner that keeps the nearest train rows, one on the deep view first; "" where there is none."""
    columns = [column for column, _ in read_manifest(run.miners / PREDICTIONS).schema]
    keys = [column.removesuffix(".like") for column in columns if column.endswith(".like")]
    return min(keys, key=lambda key: (key.partition("@")[2] != "deep", key), default="")


def wanted(galleries: list[dict[str, Any]], outliers: list[str], suspicious: list[dict[str, Any]]) -> Wanted:
    """Which rows are shown: those with a suspicious label, the first of each gallery, and outliers; each once."""
    found = [(row["id"], "Likely wrong label?") for row in suspicious[:SUSPICIOUS]]
    for part in galleries:
        first = [group["items"][0]["id"] for group in part["groups"] if group["items"]]
        more = [item["id"] for group in part["groups"][:1] for item in group["items"]]
        ids = first if len(first) >= EACH else list(dict.fromkeys([*first, *more]))
        found += [(i, part["title"].partition(":")[0]) for i in ids[:EACH]]
    found += [(i, "Outlier") for i in outliers[:EACH]]
    kept: dict[str, str] = {}
    for row, why in found:
        kept.setdefault(row, why)
    return list(kept.items())


def lines(rows: Wanted, stored: pa.Table, key: str, view: View) -> list[dict[str, Any]]:
    """Each row with its neighbours, the nearest first, as captions for a gallery.

    Args:
        stored: columns `id`, ``key``.like and ``key``.distance of the held-out rows.
    """
    wanted = pa.array([row for row, _ in rows], pa.string())
    near = {row["id"]: row for row in stored.filter(pc.is_in(stored["id"], wanted)).to_pylist()}
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
        found.append({"why": why, "agree": _agree(label[row], [label[i] for i in ids]), "items": items})
    return found


def _item(row: str, label: str, name: str, distance: str) -> dict[str, Any]:
    facts = [{"name": name, "text": label}] if label or name else []
    facts += [{"name": "distance", "text": distance}] if distance else []
    return {"id": row, "of": label, "pair": [], "facts": facts}


def _agree(own: str, near: list[str]) -> str:
    """How many of the neighbours have the row's own label, and which they have in its place."""
    known = [label for label in near if label]
    if not own or not known:
        return ""
    same = known.count(own)
    if len(set(known)) > len(known) / 2 and not same:  # numbers, or as good as a label a row
        return ""
    text = f"{same} of {len(known)} neighbours have its label"
    other, count = min(Counter(known).items(), key=lambda pair: (-pair[1], pair[0]))
    return text if other == own else f"{text}, {count} have “{other if len(other) <= LABEL else other[:LABEL] + '…'}”"


def sentence(found: dict[str, Any]) -> str:
    """How far the labels agree with those of the neighbours."""
    if not found or found["agree"] is None:
        return ""
    text = f"{percent(found['agree'])} of the nearest train rows of val and test rows have the same label. "
    if not found["doubted"]:
        return text + "No row has neighbours that agree on another label."
    rows = "One row has" if found["doubted"] == 1 else f"{found['doubted']:,} rows have"
    return text + (
        f"{rows} neighbours of which at least three quarters agree on another label: a wrong label, or a hard row."
    )
