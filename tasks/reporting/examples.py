"""Which rows are shown: typical, confused, far off, unlike the rest, in the middle of a cluster."""

from typing import Any

import numpy as np

from tasks.reporting.formatting import cut, isolated, percent, significant
from tasks.reporting.test_rows import RMS, Judged
from tasks.storage.names import NOISE

#: Rows of examples in one gallery at most; with more classes or clusters the least pure are shown.
MOST_ROWS = 30
#: Parts of the range of a number that are each given a row of examples.
PARTS = 5
#: Characters of a label in a sentence.
LABEL = 40
Group = dict[str, Any]


def galleries(rows: Judged, count: int) -> list[dict[str, Any]]:
    """The galleries of the objective: title, note, groups of examples, and what to say where there are none."""
    if rows.objective == "classification":
        return [typical(rows, count), confused(rows, 3 * count)]
    if rows.numbers is None:
        return [unlike(rows, 2 * count)]
    if rows.objective == "forecasting":
        return [spread(rows, count), far_off(rows, count)]
    return [nearest(rows, count), far_off(rows, 2 * count)]


def typical(rows: Judged, count: int) -> dict[str, Any]:
    """For each class, the right ones that the network is surest of."""
    found = []
    for label in sorted(set(rows.truth.tolist())):
        members = rows.truth == label
        right = np.flatnonzero(members & ~rows.wrong())
        order = right[np.argsort(-rows.score[right], kind="stable")][:count]
        share = len(right) / int(members.sum())
        items = [rows.caption(i, "probability") for i in order]
        found.append(_group(label, f"{percent(share)} right", items, share))
    kept = _least(found)
    note = f"The {len(kept)} of {len(found):,} classes with the largest share of mistakes." if kept != found else ""
    return _gallery("Typical: right, and the network is surest", note, kept, "")


def confused(rows: Judged, count: int) -> dict[str, Any]:
    """The wrong ones that the network is surest of."""
    wrong = np.flatnonzero(rows.wrong())
    order = wrong[np.argsort(-rows.score[wrong], kind="stable")][:count]
    items = [rows.caption(i, "probability", pair=True) for i in order]
    note = "True class → predicted class, and the network's probability of the latter. A sure mistake may be a wrong label."
    return _gallery(
        "Confused: wrong, and the network is surest", note, [_group("", "", items)] if items else [],
        "The network is right on every test row.",
    )  # fmt: skip


def nearest(rows: Judged, count: int) -> dict[str, Any]:
    """For each part of the range of the truth, the rows predicted best."""
    assert rows.numbers is not None
    truth = rows.numbers[:, 0]
    if not len(truth):
        return _gallery("Closest to the truth", "", [], "There are no test rows.")
    bounds = np.unique(np.quantile(truth, np.linspace(0, 1, PARTS + 1)))
    part = np.clip(np.searchsorted(bounds, truth, "right") - 1, 0, max(len(bounds) - 2, 0))
    found = []
    for k in sorted(set(part.tolist())):
        members = np.flatnonzero(part == k)
        order = members[np.argsort(rows.score[members], kind="stable")][:count]
        items = [rows.caption(i, "true", "predicted") for i in order]
        told = f"mean error {significant(rows.score[members].mean())}, {len(members):,} rows"
        found.append(_group(f"{significant(truth[members].min())} to {significant(truth[members].max())}", told, items))
    note = "The test rows in five parts by their true value; of each part those that are predicted best."
    return _gallery("Closest to the truth", note, found, "")


def far_off(rows: Judged, count: int) -> dict[str, Any]:
    """The rows with the largest error."""
    order = np.argsort(-rows.score, kind="stable")[:count]
    told = (RMS,) if rows.objective == "forecasting" else ("true", "predicted", "error", RMS)
    items = [rows.caption(i, *told) for i in order]
    note = "The test rows with the largest errors. An error that nothing in the row explains may be a wrong label."
    return _gallery("Furthest off", note, [_group("", "", items)], "")


def spread(rows: Judged, count: int) -> dict[str, Any]:
    """Rows at equal steps of rank from the smallest to the largest error."""
    order = np.argsort(rows.score, kind="stable")
    steps = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    items = [rows.caption(i, RMS) for i in order[steps]]
    note = "Test rows at equal steps of rank, from the smallest error (root mean square over the steps) to the largest."
    return _gallery("From the best forecast to the worst", note, [_group("", "", items)], "")


def unlike(rows: Judged, count: int) -> dict[str, Any]:
    """The rows that an autoencoder rebuilds worst."""
    order = np.argsort(-rows.score, kind="stable")[: count if len(set(rows.score.tolist())) > 1 else 0]
    items = [rows.caption(i, "reconstruction error") for i in order]
    usual = f" The median over all test rows is {significant(float(np.median(rows.score)))}." if items else ""
    note = "The test rows that the network rebuilds worst from their features: outliers, or damaged." + usual
    return _gallery("Unlike the rest", note, [_group("", "", items)] if items else [], "No reconstruction errors.")


def centres(rows: Judged, cluster_of: dict[str, str], count: int) -> list[Group]:
    """For each cluster what it holds and the rows nearest to its mean."""
    assigned = np.array([cluster_of[i] for i in rows.ids.tolist()])
    found = []
    for cluster in sorted(set(assigned.tolist()) - {NOISE}, key=lambda c: (len(c), c)):
        members = np.flatnonzero(assigned == cluster)
        distance = np.linalg.norm(rows.X[members] - rows.X[members].mean(0), axis=1)
        order = members[np.argsort(distance, kind="stable")][:count]
        share, told = _holds(rows, members)
        told_of = {"classification": "true class", "regression": "true", "forecasting": RMS}.get(
            rows.objective, "label"
        )
        items = [rows.caption(i, told_of) for i in order]
        found.append(_group(cluster, f"{told}{len(members):,} rows", items, share))
    return _least(found)


def _holds(rows: Judged, members: np.ndarray) -> tuple[float, str]:
    """How pure a cluster is (of rows without labels: how large), and its commonest label or mean number."""
    if rows.numbers is not None:
        numbers = rows.numbers[members, 0]
        return -float(
            numbers.std()
        ), f"mean {significant(float(numbers.mean()))} ± {significant(float(numbers.std()))}, "
    if not rows.labelled:
        return -float(len(members)), ""
    names, counts = np.unique(rows.truth[members], return_counts=True)
    share, most = float(counts.max() / len(members)), str(names[counts.argmax()])
    return share, f"{percent(share)} {f'“{isolated(cut(most, LABEL))}”' if most else 'without a label'}, "


def ids(parts: list[dict[str, Any]]) -> list[str]:
    """The ids of all examples of some galleries, each once; the last gallery first, as mistakes are to be heard."""
    groups = [group for part in reversed(parts) for group in part["groups"]]
    return list(dict.fromkeys(item["id"] for group in groups for item in group["items"]))


def _gallery(title: str, note: str, groups: list[Group], empty: str) -> dict[str, Any]:
    return {"title": title, "note": note, "groups": groups, "empty": empty}


def _group(label: str, told: str, items: list[dict[str, Any]], share: float = 0.0) -> Group:
    return {"label": label, "told": told, "items": items, "share": share}


def _least(groups: list[Group]) -> list[Group]:
    if len(groups) <= MOST_ROWS:
        return groups
    worst = sorted(range(len(groups)), key=lambda g: groups[g]["share"])[:MOST_ROWS]
    return [groups[g] for g in sorted(worst)]
