"""Which test rows are shown: typical, confused, far off, or badly reconstructed ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reporting.formatting import percent, significant
from tasks.reporting.section import Content
from tasks.reporting.test_rows import RMS, PredictedRows

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Rows of examples in one gallery at most; with more classes or clusters the least pure are shown.
MOST_ROWS = 30
#: Parts of the range of a number that each have a row of examples.
PARTS = 5
#: Characters of a label in a sentence.
LABEL = 40
Group = dict[str, Any]


@dataclass(frozen=True)
class Examples(Content):
    """The galleries; ``forecasts`` have a key to the lines of their drawings."""

    galleries: list[dict[str, Any]]
    forecasts: bool

    @property
    def row_ids(self) -> list[str]:
        # the last gallery first: only the first rows can be heard, and mistakes are to be
        groups = [part for gallery in reversed(self.galleries) for part in gallery["groups"]]
        return [item["id"] for part in groups for item in part["items"]]


def build(run: "Run") -> Examples:
    rows = run.test_rows
    return Examples(galleries(rows, run.params.examples), rows.objective == "forecasting")


def galleries(rows: PredictedRows, count: int) -> list[dict[str, Any]]:
    """The galleries of the objective: title, note, groups of examples, and what to say where there are none."""
    if rows.objective == "classification":
        return [typical(rows, count), confused(rows, 3 * count)]
    if rows.numbers is None:
        return [reconstructed_worst(rows, 2 * count)]
    if rows.objective == "forecasting":
        return [spread(rows, count), far_off(rows, count)]
    return [nearest(rows, count), far_off(rows, 2 * count)]


def typical(rows: PredictedRows, count: int) -> dict[str, Any]:
    """For each class, the correct ones with the highest probability."""
    found = []
    for label in sorted(set(rows.y_true.tolist())):
        members = rows.y_true == label
        right = np.flatnonzero(members & ~rows.wrong())
        order = right[np.argsort(-rows.score[right], kind="stable")][:count]
        share = len(right) / int(members.sum())
        items = [rows.caption(i, "probability") for i in order]
        found.append(group(label, f"{percent(share)} correct", items, share))
    kept = least_pure(found)
    note = f"The {len(kept)} of {len(found):,} classes with the lowest accuracy." if kept != found else ""
    return _gallery("Typical: correct, with the highest probability", note, kept, "")


def confused(rows: PredictedRows, count: int) -> dict[str, Any]:
    """The misclassified ones with the highest probability."""
    wrong = np.flatnonzero(rows.wrong())
    order = wrong[np.argsort(-rows.score[wrong], kind="stable")][:count]
    items = [rows.caption(i, "probability", pair=True) for i in order]
    note = (
        "True class → predicted class, with the network's probability of the predicted class. "
        "A confident mistake may be a wrong label."
    )
    return _gallery(
        "Confused: wrong, with the highest probability", note, [group("", "", items)] if items else [],
        "The network classifies every test row correctly.",
    )  # fmt: skip


def nearest(rows: PredictedRows, count: int) -> dict[str, Any]:
    """For each fifth of the true values, the rows with the smallest errors."""
    assert rows.numbers is not None
    y_true = rows.numbers[:, 0]
    if not len(y_true):
        return _gallery("Smallest errors", "", [], "There are no test rows.")
    bounds = np.unique(np.quantile(y_true, np.linspace(0, 1, PARTS + 1)))
    part = np.clip(np.searchsorted(bounds, y_true, "right") - 1, 0, max(len(bounds) - 2, 0))
    found = []
    for k in sorted(set(part.tolist())):
        members = np.flatnonzero(part == k)
        order = members[np.argsort(rows.score[members], kind="stable")][:count]
        items = [rows.caption(i, "true", "predicted") for i in order]
        text = f"mean error {significant(rows.score[members].mean())}, {len(members):,} rows"
        found.append(
            group(f"{significant(y_true[members].min())} to {significant(y_true[members].max())}", text, items)
        )
    note = "The test rows in five bins by their true value; from each bin those with the smallest errors."
    return _gallery("Smallest errors", note, found, "")


def far_off(rows: PredictedRows, count: int) -> dict[str, Any]:
    """The rows with the largest error."""
    order = np.argsort(-rows.score, kind="stable")[:count]
    names = (RMS,) if rows.objective == "forecasting" else ("true", "predicted", "error", RMS)
    items = [rows.caption(i, *names) for i in order]
    note = (
        "The test rows with the largest errors. An error that nothing in the row explains may come from a wrong label."
    )
    return _gallery("Largest errors", note, [group("", "", items)], "")


def spread(rows: PredictedRows, count: int) -> dict[str, Any]:
    """Rows at equal steps of rank from the smallest to the largest error."""
    order = np.argsort(rows.score, kind="stable")
    steps = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    items = [rows.caption(i, RMS) for i in order[steps]]
    note = "Test rows evenly spaced by rank, from the smallest error (root mean square over the steps) to the largest."
    return _gallery("From the best forecast to the worst", note, [group("", "", items)], "")


def reconstructed_worst(rows: PredictedRows, count: int) -> dict[str, Any]:
    """The rows with the largest reconstruction errors."""
    order = np.argsort(-rows.score, kind="stable")[: count if len(set(rows.score.tolist())) > 1 else 0]
    items = [rows.caption(i, "reconstruction error") for i in order]
    usual = f" The median over all test rows is {significant(float(np.median(rows.score)))}." if items else ""
    note = "The test rows with the largest reconstruction errors: outliers, or damaged." + usual
    return _gallery(
        "Largest reconstruction errors", note, [group("", "", items)] if items else [], "No reconstruction errors."
    )


def _gallery(title: str, note: str, groups: list[Group], empty: str) -> dict[str, Any]:
    return {"title": title, "note": note, "groups": groups, "empty": empty}


def group(label: str, text: str, items: list[dict[str, Any]], share: float = 0.0) -> Group:
    """Rows shown together, under a label and a text about them; ``share`` says how pure they are."""
    return {"label": label, "text": text, "items": items, "share": share}


def least_pure(groups: list[Group]) -> list[Group]:
    """At most `MOST_ROWS` groups, in their order."""
    if len(groups) <= MOST_ROWS:
        return groups
    worst = sorted(range(len(groups)), key=lambda g: groups[g]["share"])[:MOST_ROWS]
    return [groups[g] for g in sorted(worst)]
