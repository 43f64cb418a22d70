"""A finished run as the sections read it: its files, each read when it is first asked for, and what sections share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tasks.core.files import read_json
from tasks.features.view import View, columns_of, load_view, trained_for
from tasks.reporting import forecasts, pictures, row_cards, run_record, sounds
from tasks.reporting.test_rows import PredictedRows
from tasks.storage.names import STATE, SUMMARY
from tasks.storage.store import read_manifest

if TYPE_CHECKING:
    from tasks.config.evaluate import Report
    from tasks.config.source import Input

Part = TypeVar("Part")


@dataclass(frozen=True)
class Run:
    """The files of a run, and what they hold.

    Attributes:
        objective: as `params.yaml` asks for it; what the network was trained for is that of `test_rows`.
        quality, index: the Data Docs and the page, which links to them by a relative path.
        records: the untracked records of the stages; those that are missing are shown as not recorded.
    """

    name: str
    params: "Report"
    inputs: "dict[str, Input]"
    objective: str
    plan: Path
    raw: Path
    unreadable: Path
    rejected: Path
    cleaned: Path
    clean: Path
    encoder: Path
    features: Path
    miners: Path
    metrics: Path
    evaluation: Path
    quality: Path
    records: Path
    index: Path

    def part(self, build: "Callable[[Run], Part]") -> Part:
        """What ``build`` makes of this run, made once however many sections need it."""
        if build not in self._parts:
            self._parts[build] = build(self)
        made: Part = self._parts[build]
        return made

    @cached_property
    def _parts(self) -> dict[Callable[..., Any], Any]:
        return {}

    @cached_property
    def planned(self) -> dict[str, Any]:
        """The plan: source, listing, and the parameters of each stage."""
        return read_json(self.plan)

    @cached_property
    def validated(self) -> dict[str, Any]:
        """What `validate` found."""
        return read_json(self.rejected / SUMMARY)

    @cached_property
    def mined(self) -> dict[str, Any]:
        """What `mine` says of its miners."""
        return read_json(self.miners / SUMMARY)

    @cached_property
    def evaluated(self) -> dict[str, Any]:
        """What `evaluate` found."""
        return read_json(self.evaluation)

    @cached_property
    def recorded(self) -> dict[str, dict[str, Any]]:
        """stage -> its record, where there is one."""
        return run_record.records(self.records, run_record.RECORDED)

    @cached_property
    def view(self) -> View:
        """Deep features and the network's predictions of all rows, joined by id."""
        return load_view(self.features, "deep+network")

    @cached_property
    def test_rows(self) -> PredictedRows:
        """The test rows with the network's predictions."""
        test = self.view.rows("test")
        deep, prediction = (self.view.X[test][:, columns] for columns in columns_of(self.view.parts))
        objective = trained_for(self.features)
        classes = json.loads(read_manifest(self.features / "network").metadata.get("labels", "[]"))
        return PredictedRows(
            objective=objective,
            ids=self.view.ids[test],
            y_true=self.view.label[test],
            prediction=prediction.astype(np.float64),
            X=deep,
            numbers=self.view.targets(test) if objective in ("regression", "forecasting") else None,
            classes=np.array(classes, dtype=str),
        )

    @cached_property
    def source(self) -> row_cards.Rows:
        """Where the rows are, and how they are drawn."""
        return row_cards.Rows(self.inputs, read_json(self.clean / STATE)["inputs"], self.clean, self.raw)

    def cards(self, ids: list[str]) -> row_cards.Cards:
        """The cards of rows, of those that were set aside too; only the first ones can be heard."""
        ids = list(dict.fromkeys(ids))
        side = pictures.side(pictures.EXAMPLE_SIDE, len(ids) * len(self.inputs))
        drawn = self.source.draw(dict.fromkeys(ids, side), heard=ids[: sounds.MOST])
        drawn = {i: drawn[i] for i in ids if i in drawn}
        drawn |= self.source.draw_raw([i for i in ids if i not in drawn], side)
        cards = row_cards.arrange(drawn, self.inputs)
        cards.replace_pictures(self._forecasts(list(drawn)))
        return cards

    def _forecasts(self, ids: list[str]) -> dict[str, Any]:
        """id -> input and drawing of the forecast of a test row, with the steps before it where an input has them."""
        rows = self.test_rows
        if rows.objective != "forecasting" or rows.numbers is None:
            return {}
        place = {i: k for k, i in enumerate(rows.ids.tolist())}
        ids = [i for i in ids if i in place]
        name, windows = self.source.sequences(ids) or ("", {})
        return {
            i: (name, forecasts.draw(windows.get(i), rows.numbers[place[i]], rows.prediction[place[i]])) for i in ids
        }
