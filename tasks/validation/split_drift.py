"""Split drift: facts, levels and labels that are more, or less, frequent in test rows than in train rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.features.item_encoding import facts_of, fit, held, named
from tasks.modalities import modality
from tasks.validation.context import Context
from tasks.validation.fact_names import FACT_NAMES
from tasks.validation.finding import NOTE, WARNING, Finding

#: Rows that train and test must have each: of fewer, no share is known well.
LEAST = 100
#: False discovery rate (Benjamini and Hochberg, 1995): one random split in a thousand is reported.
FALSE = 0.001
#: Rows expected in each cell, at least: of fewer, the far tail of chi-square is not that of the counts.
EXPECTED = 10
#: Cohen's h below which a difference is of no consequence, however sure: 20 % against 29 %, 50 % against 60 %.
SMALL = 0.2
#: Values that are compared at most, and rows.
CELLS, ROWS = 10_000_000, 100_000
#: Facts that the text names, and those in the details.
NAMED, LISTED = 3, 20


@dataclass(frozen=True)
class Drift:
    """An item that is more, or less, frequent in test: its place, and its share of train and of test rows."""

    item: int
    train: float
    test: float
    h: float


def drifts(train: np.ndarray, test: np.ndarray, rows: tuple[int, int]) -> list[Drift]:
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
    found = [Drift(int(i), float(p[i]), float(q[i]), float(h[i])) for i in sure if fit[i] and h[i] >= SMALL]
    return sorted(found, key=lambda one: (-one.h, one.item))


def check(context: Context) -> Iterator[Finding]:
    """A warning; a note where groups stay together, or the split goes by time, which make splits differ."""
    rows = context.rows[context.rows["split"].isin(("train", "test"))]
    columns = {
        _name(name, fact, context): f"{name}.{fact}"
        for name, spec in context.inputs.items() for fact in modality(spec.modality).checked(spec)
    }  # fmt: skip
    columns |= {"label": "label"} if context.objective == "classification" else {}
    columns |= {"brightness": "brightness"} if "brightness" in rows else {}
    most = min(ROWS, CELLS // max(len(columns), 1))
    if len(rows) > most:
        rows = rows.iloc[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
    table = facts_of({name: pa.array(rows[c], from_pandas=True) for name, c in columns.items()})
    train = pa.array(rows["split"].to_numpy() == "train")
    fitted = fit(table.filter(train))
    sides = [held(table.filter(side), fitted) for side in (train, pc.invert(train))]
    counts = [np.asarray(side.sum(axis=0), float).ravel() for side in sides]
    found = drifts(counts[0], counts[1], (sides[0].shape[0], sides[1].shape[0]))
    if not found:
        return
    names, attributes = named(fitted, {})
    largest: dict[str, Drift] = {}  # of each fact
    for one in found:
        largest.setdefault(attributes[one.item], one)
    best = list(largest.values())
    shares = [f"`{names[d.item]}` holds for {d.train:.0%} of train and {d.test:.0%} of test" for d in best[:NAMED]]
    more = f", and {len(best) - NAMED} more facts" if len(best) > NAMED else ""
    if rows["group"].notna().any():
        severity, why = NOTE, "Rows of a group stay together, so this is expected where groups are few."
    elif context.split_by_time:
        severity, why = NOTE, "The split goes by time, and the data change over time."
    else:
        severity, why = (
            WARNING,
            "Test scores are then of other rows than the model learned from: was the split drawn at random?",
        )
    listed = [{"item": names[d.item], "train": round(d.train, 4), "test": round(d.test, 4)} for d in best[:LISTED]]
    details = {"facts": len(best), "largest": listed}
    yield Finding(severity, "Split drift", f"{'; '.join(shares)}{more}. {why}", details=details)


def _name(name: str, fact: str, context: Context) -> str:
    """A fact in words, with its input where there are several; columns of tables keep their names."""
    words = fact if fact in context.inputs[name].columns else FACT_NAMES.get(fact, fact)
    return f"{words} of {name}" if len(context.inputs) > 1 else words
