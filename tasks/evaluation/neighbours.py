"""Nearest train rows of held-out rows: how often they have the same label, and where they all have another one."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.features.view import View

#: Share of the neighbours that must have one other label for a row's own to be doubted, and rows that are named.
DOUBT, NAMED = 0.75, 48


def neighbours(predictions: pa.Table, name: str, view: View) -> dict[str, Any]:
    """What the nearest train rows say of the labels of val and test rows.

    Args:
        name: `NAME@VIEW` of what has a column `.like`, the ids of the nearest rows of ``view``.

    Returns:
        `rows` with a label, the share of their neighbours that `agree`, how many are `doubted`, and of these the
        `doubtful` ones, the surest first: `id`, `split`, `label`, the `other` label and its `share` of the neighbours.
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
            told = {key: row[key] for key in ("id", "split", "label")}
            share = count / len(near)
            doubtful.append((-share, row[f"{name}.distance"][0], {**told, "other": other, "share": share}))
    # of equal shares first the row whose nearest neighbour is nearest
    named = [row for *_, row in sorted(doubtful, key=lambda found: (*found[:2], found[2]["id"]))]
    agree = float(np.mean(shares)) if shares else None
    return {"rows": len(shares), "agree": agree, "doubted": len(named), "doubtful": named[:NAMED]}
