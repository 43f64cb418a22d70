"""Whether test rows are like train rows: each item's share in the one against that in the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.features.item_encoding import facts_of, fit, held, named
from tasks.modalities import modality
from tasks.validation.crossing import NOTE, WARNING, WORDS, Finding, finding, in_order

if TYPE_CHECKING:
    from tasks.config.source import Input

#: Rows that either side must have: of fewer, no share is known well.
LEAST = 100
#: Share of false alarms among what is told, at most (Benjamini and Hochberg, 1995): one random split in a thousand.
FALSE = 0.001
#: Rows expected in each cell, at least: of fewer, the far tail of chi-square is not that of the counts.
EXPECTED = 10
#: Cohen's h below which a difference is of no consequence, however sure: 20 % against 29 %, 50 % against 60 %.
SMALL = 0.2
#: Cells that splits are compared by, and rows.
CELLS, ROWS = 10_000_000, 100_000
#: Facts that the sentence names, and those that stand beside it.
TOLD, SHOWN = 3, 20


@dataclass(frozen=True)
class Shifted:
    """An item that is more, or less, frequent in test: its place, and its share of train and of test rows."""

    item: int
    train: float
    test: float
    h: float


def shifted(train: np.ndarray, test: np.ndarray, rows: tuple[int, int]) -> list[Shifted]:
    """Items whose share of train rows is not that of test rows, the largest difference first.

    Pearson's chi-square of each two by two table, false discoveries controlled over all of them, and of those that
    are sure the ones that are not small (Cohen 1988, h = 2 asin sqrt p - 2 asin sqrt q).

    Args:
        train, test: (M,) rows that have each item.
        rows: of train and of test.
    """
    from scipy.stats import chi2

    if min(rows) < LEAST or not len(train):
        return []
    p, q = train / rows[0], test / rows[1]
    both = (train + test) / sum(rows)
    spread = both * (1 - both) * (1 / rows[0] + 1 / rows[1])
    fit = (both * min(rows) >= EXPECTED) & ((1 - both) * min(rows) >= EXPECTED)
    statistic = np.divide((p - q) ** 2, spread, out=np.zeros(len(p)), where=fit)
    h = 2 * np.abs(np.arcsin(np.sqrt(p)) - np.arcsin(np.sqrt(q)))
    chance = np.where(fit, chi2.sf(statistic, 1), 1.0)
    order = np.argsort(chance, kind="stable")
    below = np.flatnonzero(chance[order] <= FALSE * np.arange(1, len(order) + 1) / len(order))
    sure = order[: below[-1] + 1] if len(below) else order[:0]
    found = [Shifted(int(i), float(p[i]), float(q[i]), float(h[i])) for i in sure if fit[i] and h[i] >= SMALL]
    return sorted(found, key=lambda one: (-one.h, one.item))


def differing(rows: pd.DataFrame, inputs: "dict[str, Input]", labelled: bool) -> Iterator[Finding]:
    """Facts, levels and labels whose shares in train and test differ."""
    rows = rows[rows["split"].isin(("train", "test"))]
    columns = {
        _told(n, c, inputs): f"{n}.{c}" for n, spec in inputs.items() for c in modality(spec.modality).checked(spec)
    }
    columns |= {"label": "label"} if labelled else {}
    columns |= {"brightness": "brightness"} if "brightness" in rows else {}
    most = min(ROWS, CELLS // max(len(columns), 1))
    if len(rows) > most:
        rows = rows.iloc[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
    table = facts_of({name: pa.array(rows[c], from_pandas=True) for name, c in columns.items()})
    train = pa.array(rows["split"].to_numpy() == "train")
    fitted = fit(table.filter(train))
    sides = [held(table.filter(side), fitted) for side in (train, pc.invert(train))]
    counts = [np.asarray(side.sum(axis=0), float).ravel() for side in sides]
    found = shifted(counts[0], counts[1], (sides[0].shape[0], sides[1].shape[0]))
    if not found:
        return
    names, attributes = named(fitted, {})
    first: dict[str, Shifted] = {}  # of each fact the largest difference
    for one in found:
        first.setdefault(attributes[one.item], one)
    best = list(first.values())
    told = [f"`{names[s.item]}` holds for {s.train:.0%} of train and {s.test:.0%} of test" for s in best[:TOLD]]
    natural = "group" if rows["group"].notna().any() else "time" if in_order(rows) else ""
    why = {
        "group": "Rows of a group stay together, so this is no wonder where groups are few.",
        "time": "The split goes by time, and times change.",
        "": "Test figures are then of other rows than were learned from: was the split drawn at random?",
    }[natural]
    more = f", and {len(best) - TOLD} more facts" if len(best) > TOLD else ""
    figures = [{"item": names[s.item], "train": round(s.train, 4), "test": round(s.test, 4)} for s in best[:SHOWN]]
    yield finding(
        "shift", NOTE if natural else WARNING, f"The splits differ: {'; '.join(told)}{more}. {why}",
        facts=len(best), examples=figures,
    )  # fmt: skip


def _told(name: str, fact: str, inputs: "dict[str, Input]") -> str:
    """A fact as a person calls it, with its input where there are several; columns of tables keep their names."""
    told = fact if fact in inputs[name].columns else WORDS.get(fact, fact)
    return f"{told} of {name}" if len(inputs) > 1 else told
