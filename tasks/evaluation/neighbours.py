"""Nearest train rows of held-out rows: how often they have the same label, and where they all have another one."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.features.view import View

#: Share of the neighbours that must have one other label for a row's own to be doubted, and rows that are named.
DOUBT, NAMED = 0.75, 48


@dataclass(frozen=True)
class DoubtfulLabel:
    """A row whose nearest train rows have another label.

    Attributes:
        other: the label that most of them have; ``share`` how many do.
    """

    id: str
    split: str
    label: str
    other: str
    share: float


@dataclass(frozen=True)
class LabelAgreement:
    """What the nearest train rows say of the labels of held-out rows.

    Attributes:
        rows: with a label.
        agree: mean fraction of a row's neighbours that have its label, None where there are no such rows.
        doubted: how many rows are doubtful; ``doubtful`` are the first of them, the surest first.
    """

    rows: int
    agree: float | None
    doubted: int
    doubtful: list[DoubtfulLabel]


def neighbours(predictions: pa.Table, name: str, view: View) -> LabelAgreement:
    """What the nearest train rows say of the labels of val and test rows.

    Args:
        name: `NAME@VIEW` of what has a column `.like`, the ids of the nearest rows of ``view``.
    """
    label = dict(zip(view.ids.tolist(), view.label.tolist(), strict=True))
    shares, doubtful = [], []
    wanted = ["id", "split", "label", f"{name}.like", f"{name}.distance"]
    for row in predictions.select(wanted).to_pylist():
        near = [label[i] for i in row[f"{name}.like"] if label[i]]
        if row["label"] is None or not near:
            continue
        shares.append(near.count(row["label"]) / len(near))
        other, count = min(Counter(near).items(), key=lambda pair: (-pair[1], pair[0]))
        if other != row["label"] and count >= DOUBT * len(near):
            doubt = DoubtfulLabel(row["id"], row["split"], row["label"], other, count / len(near))
            doubtful.append((-doubt.share, row[f"{name}.distance"][0], doubt))
    # of equal shares first the row whose nearest neighbour is nearest
    named = [row for *_, row in sorted(doubtful, key=lambda found: (*found[:2], found[2].id))]
    agree = float(np.mean(shares)) if shares else None
    return LabelAgreement(len(shares), agree, len(named), named[:NAMED])
