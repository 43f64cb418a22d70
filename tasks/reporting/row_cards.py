"""Rows as a person sees them: each input drawn by its modality's own function, made ready for the page."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from tasks.core.errors import Unreadable
from tasks.modalities import modality
from tasks.modalities.base import Shown
from tasks.reporting import pictures, sounds
from tasks.reporting.captions import short
from tasks.storage.store import read_manifest, read_shards

if TYPE_CHECKING:
    from tasks.config.source import Input

#: Characters of a text below an example, and of all texts (or tables) of the map together.
TEXT, MAP_TEXT = 360, 600_000
#: Cells of a row that stand open, and characters of one cell.
CELLS, CELL = 8, 60
#: Cells of a row beside the map.
HOVERED = 12
#: A picture this many times wider than high is given more room: 1; a text or a table: 2.
WIDE = 1.4


@dataclass(frozen=True)
class Rows:
    """Where the rows of a run are, and how they are drawn.

    Attributes:
        inputs: name -> what it is; ``states`` holds what `clean` fitted for each.
    """

    inputs: "dict[str, Input]"
    states: dict[str, dict[str, Any]]
    clean: Path
    raw: Path

    def draw(self, sides: dict[str, int], heard: Iterable[str] = ()) -> dict[str, dict[str, Shown]]:
        """id -> input -> how it looks, for the ids in ``sides`` (pixels); sounds only for those in ``heard``.

        Inputs that a row lacks are left out.

        Raises:
            DeepmineError: a shard of a store is missing or damaged.
        """
        # what was made of a file is all in its clean item; a row of a table is known by its own columns
        named = [name for name, spec in self.inputs.items() if not modality(spec.modality).sandboxed]
        facts = self.columns(named, sides)
        heard = set(heard)
        found: dict[str, dict[str, Shown]] = {}
        for table in _chosen(self.clean, ["id", *self.inputs], sides):
            for row in table.to_pylist():
                i = row["id"]
                shown = {
                    name: self._show(name, row[name], facts.get(i, {}).get(name, {}), sides[i])
                    for name in self.inputs if row[name] is not None
                }  # fmt: skip
                found[i] = {n: s if i in heard else replace(s, sound=None) for n, s in shown.items()}
        return found

    def draw_raw(self, ids: list[str], side: int) -> dict[str, dict[str, Shown]]:
        """The same for rows that were set aside before they were cleaned."""
        found: dict[str, dict[str, Shown]] = {}
        for i, parts in self.columns(list(self.inputs), ids).items():
            found[i] = {}
            for name, row in parts.items():
                with suppress(Unreadable):  # shown beside its reason, or not at all
                    if any(v is not None for v in row.values()):
                        found[i][name] = self._show(name, None, row, side)
        return found

    def columns(self, names: list[str], ids: Iterable[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """id -> input -> its raw columns by suffix, for those ids that are in the raw data."""
        own = [c for c, _ in read_manifest(self.raw).schema]
        wanted = {n: {c.removeprefix(n).removeprefix("."): c for c in own if c.partition(".")[0] == n} for n in names}
        columns = [c for parts in wanted.values() for c in parts.values()]
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for table in _chosen(self.raw, ["id", *columns], ids) if columns else ():
            for row in table.to_pylist():
                found[row["id"]] = {n: {s: row[c] for s, c in parts.items()} for n, parts in wanted.items()}
        return found

    def sequences(self, ids: list[str]) -> tuple[str, dict[str, np.ndarray]] | None:
        """The first input that is a sequence of numbers, and for each id its (L, C) steps, those of padding left out."""
        for name, spec in self.inputs.items():
            made, state = modality(spec.modality), self.states[name]
            if made.form(state)["kind"] != "sequence":
                continue
            found = {}
            for table in _chosen(self.clean, ["id", name], ids):
                table = table.filter(pc.is_valid(table[name]))
                steps = made.array(table[name], state)  # (N, L, C)
                for i, item in zip(table["id"].to_pylist(), steps, strict=True):
                    found[i] = item[np.isfinite(item).any(1)]
            return name, found
        return None

    def _show(self, name: str, item: Any, row: dict[str, Any], side: int) -> Shown:
        shown: Shown = modality(self.inputs[name].modality).show(item, row, self.states[name], side)
        return shown


@dataclass(frozen=True)
class Cards:
    """Rows as the templates show them.

    Attributes:
        of: id -> its inputs, each a mapping with what there is to see of it (`_piece`).
        sounds: data URIs, to which these point by number; each lasts ``seconds`` at most.
    """

    of: dict[str, list[dict[str, Any]]]
    sounds: list[str]
    seconds: float

    @property
    def room(self) -> int:
        """What the roomiest input needs: 0 a small square, 1 a broad picture or a player, 2 text or a table."""
        return max((piece["room"] for pieces in self.of.values() for piece in pieces), default=0)

    def replace_pictures(self, drawings: dict[str, tuple[str, Markup]]) -> None:
        """Put a drawing in the place of an input's own picture, or beside the inputs where it is of none of them."""
        for i, (name, drawing) in drawings.items():
            known = [piece for piece in self.of[i] if piece["name"] == name]
            if not known:
                known = [_piece("forecast", Shown(), None)]
                self.of[i] += known
            known[0] |= {"svg": drawing, "picture": None, "text": None, "room": 2}


def arrange(drawn: dict[str, dict[str, Shown]], names: Iterable[str]) -> Cards:
    """Drawn rows as the templates show them; inputs that a row lacks are named as missing."""
    recorded = [(i, n, s.sound) for i, parts in drawn.items() for n, s in parts.items() if s.sound is not None]
    heard, seconds = sounds.embed([wav for _, _, wav in recorded])
    place = {(i, n): k for k, (i, n, _) in enumerate(recorded[: len(heard)])}
    pieces = {
        i: [_piece(n, parts.get(n, Shown()), place.get((i, n)), lacks=n not in parts) for n in names]
        for i, parts in drawn.items()
    }
    return Cards(pieces, heard, seconds)


def map_cards(
    drawn: dict[str, dict[str, Shown]], ids: list[str], names: Iterable[str], side: int
) -> list[dict[str, Any]]:
    """What the map shows of each row, input by input: one sheet of pictures no larger than ``side``, texts or cells."""
    room = max(60, min(TEXT, MAP_TEXT // max(len(ids), 1)))
    found = []
    for name in names:
        items = [drawn.get(i, {}).get(name) for i in ids]
        texts = [short(s.text, room) if s and s.text is not None else None for s in items]
        cells = [_cells(s.cells) if s and s.cells is not None else [] for s in items]
        most = min(HOVERED, room // 5)
        found.append({
            "name": name,
            "has": [int(s is not None) for s in items],
            "sprite": pictures.sprite([s.picture if s else None for s in items], side),
            "texts": texts if any(t is not None for t in texts) else None,
            "cells": [c[:most] for c in cells] if any(cells) else None,
            "more": [max(len(c) - most, 0) for c in cells] if any(cells) else None,
        })  # fmt: skip
    return found


def _piece(name: str, shown: Shown, sound: int | None, lacks: bool = False) -> dict[str, Any]:
    cells = None if shown.cells is None else _cells(shown.cells)
    picture = None if shown.picture is None else pictures.embed(shown.picture)
    broad = bool(picture and picture["width"] > WIDE * picture["height"])
    reads = cells is not None or (shown.text is not None and picture is None)
    return {
        "name": name, "picture": picture, "sound": sound, "svg": None, "lacks": lacks,
        "text": None if shown.text is None else short(shown.text, TEXT),
        "cells": None if cells is None else cells[:CELLS],
        "more": [] if cells is None else cells[CELLS:],
        "room": 2 if reads else 1 if broad or sound is not None else 0,
    }  # fmt: skip


def _cells(cells: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(short(str(column), CELL), short(str(cell), CELL)) for column, cell in cells]


def _chosen(folder: Path, columns: list[str], ids: Iterable[str]) -> Iterable[pa.Table]:
    """The rows of ``ids`` that a store holds, shard by shard."""
    wanted = pa.array(sorted(set(ids)), pa.string())
    for _, table in read_shards(folder, columns) if len(wanted) else ():
        kept = table.filter(pc.is_in(table["id"], wanted))
        if kept.num_rows:
            yield kept
