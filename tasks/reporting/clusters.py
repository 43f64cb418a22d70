"""The clusters: their scores, how many there are, what each holds in words and in rows, how far two clusterings agree."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.text import many
from tasks.metrics import METRICS, Metric
from tasks.reporting.examples import LABEL, Group, group, least_pure
from tasks.reporting.formatting import bounds, cut, isolated, number, percent, significant
from tasks.reporting.run_record import seconds_of
from tasks.reporting.section import Content
from tasks.reporting.test_rows import RMS, PredictedRows
from tasks.storage.names import NOISE, PREDICTIONS
from tasks.storage.store import read

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Metrics in the first table; all others stand below it.
FIRST = ("ari", "nmi", "purity", "accuracy", "silhouette")
#: Clusters of a clustering that are described at most.
MOST_DESCRIBED = 100
#: The style of a word for how stable a cluster is.
TAGS = {"stable": "good", "dissolves": "bad"}
Profiles = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Clusters(Content):
    """The clusterings.

    Attributes:
        objective: what the network was trained for: whether it saw the labels.
        clusterings: each clusterer on each view; `columns` and `more_columns` are title -> value and interval of its metrics.
        charts: the score of each number of clusters that was tried.
        profiles: clustering -> cluster -> what it holds more often than the rest, in words.
        agreement: of every two clusterings.
        centres: clusterer on the deep view -> the rows in the middle of each cluster.
    """

    objective: str
    clusterings: list[dict[str, Any]]
    charts: list[dict[str, Any]]
    profiles: Profiles
    agreement: list[dict[str, Any]]
    centres: dict[str, list[Group]]

    @property
    def row_ids(self) -> list[str]:
        return [item["id"] for found in self.centres.values() for part in found for item in part["items"]]


def build(run: "Run") -> Clusters:
    found = run.evaluated
    return Clusters(
        objective=run.test_rows.objective, clusterings=clusterings(found, run.recorded), charts=counts(found),
        profiles=profiles(found), agreement=agreement(found),
        centres={name: centres(run.test_rows, of, run.params.examples) for name, of in run.part(assignments).items()},
    )  # fmt: skip


def assignments(run: "Run") -> dict[str, dict[str, str]]:
    """clusterer -> id -> its cluster, of those that were fitted on the deep view."""
    names = sorted(n for n in run.evaluated["clusters"] if n.partition("@")[2] == "deep")
    if not names:
        return {}
    table = read(run.miners / PREDICTIONS, ["id", *names])
    ids = table["id"].to_pylist()
    return {name.partition("@")[0]: dict(zip(ids, table[name].to_pylist(), strict=True)) for name in names}


def clusterings(evaluated: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of each clusterer on each view, and its seconds; metrics that no clustering has are left out."""
    found = sorted(evaluated["clusters"].items())
    shown = {
        name: metric for name, metric in METRICS["clustering"].items()
        if any(values.get(name) is not None for _, values in found)
    }  # fmt: skip
    nothing = dict.fromkeys(("ari", "noise", "stability", "stability_interval"))
    return [
        {"name": key.partition("@")[0], "view": key.partition("@")[2], **nothing, **values, "seconds": seconds_of(key, records),
         "columns": {m.title: _cell(n, m, values) for n, m in shown.items() if n in FIRST},
         "more_columns": {m.title: _cell(n, m, values) for n, m in shown.items() if n not in FIRST}}
        for key, values in found
    ]  # fmt: skip


def _cell(name: str, metric: Metric, values: dict[str, Any]) -> tuple[str, str]:
    """A metric, and its interval where it has one."""
    value, interval = values.get(name), values.get(f"{name}_interval")
    if metric.unit == "share":
        return percent(value), bounds(interval, "share") if interval else ""
    under = f"{number(interval[0])} to {number(interval[1])}" if interval else ""
    return (number(value) if metric.best == 1 else significant(value)), under


def counts(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """A chart for each clusterer whose number of clusters train rows chose: the score of each number that was tried."""
    charts = []
    for key, curve in sorted(evaluated["counts_tried"].items()) if evaluated["clusters"] else ():
        name, _, view = key.partition("@")
        measure = {"bic": "BIC (lower is better)", "stability": "prediction strength"}.get(
            curve["measure"], curve["measure"]
        )
        x = [k for k, _ in curve["values"]]
        errors, reference = dict(curve.get("errors", ())), dict(curve.get("reference", ()))
        lines = {measure: [value for _, value in curve["values"]]}
        if set(reference) & set(x):
            lines["the same for uniformly random rows"] = [reference.get(k) for k in x]
        charts.append(
            {"title": f"{name} on the {view} view: {curve['chosen']} clusters, tried on {curve['rows']:,} train rows",
             "axis": "clusters", "x": x, "lines": lines, "errors": {measure: [errors.get(k, 0.0) for k in x]},
             "sentence": curve.get("sentence", "")}
        )  # fmt: skip
    return charts


def profiles(evaluated: dict[str, Any]) -> Profiles:
    """`NAME@VIEW` -> cluster -> its profile, with the style of its stability; empty where nothing was profiled."""
    return {
        key: {one["cluster"]: {**one, "tag": TAGS.get(one.get("called"), "")} for one in found[:MOST_DESCRIBED]}
        for key, found in sorted(evaluated.get("profiles", {}).items())
    }


def agreement(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """Every two clusterings with their adjusted Rand index, the highest first."""
    pairs = [
        {"pair": [name.replace("@", " on ") for name in key.split(" - ")], **values}
        for key, values in evaluated.get("agreement", {}).items()
    ]
    return sorted(pairs, key=lambda pair: (-pair["ari"], pair["pair"]))


def centres(rows: PredictedRows, cluster_of: dict[str, str], count: int) -> list[Group]:
    """For each cluster what it holds and the rows nearest to its mean."""
    assigned = np.array([cluster_of[i] for i in rows.ids.tolist()])
    found = []
    for cluster in sorted(set(assigned.tolist()) - {NOISE}, key=lambda c: (len(c), c)):
        members = np.flatnonzero(assigned == cluster)
        distance = np.linalg.norm(rows.X[members] - rows.X[members].mean(0), axis=1)
        order = members[np.argsort(distance, kind="stable")][:count]
        share, text = _holds(rows, members)
        name = {"classification": "true class", "regression": "true", "forecasting": RMS}.get(rows.objective, "label")
        items = [rows.caption(i, name) for i in order]
        found.append(group(cluster, text + many(len(members), "row", "rows"), items, share))
    return least_pure(found)


def _holds(rows: PredictedRows, members: np.ndarray) -> tuple[float, str]:
    """How pure a cluster is (of rows without labels: how large), and its commonest label or mean number."""
    if rows.numbers is not None:
        numbers = rows.numbers[members, 0]
        mean, deviation = float(numbers.mean()), float(numbers.std())
        return -deviation, f"mean {significant(mean)} ± {significant(deviation)}, "
    if not rows.labelled:
        return -float(len(members)), ""
    names, counts = np.unique(rows.y_true[members], return_counts=True)
    share, most = float(counts.max() / len(members)), str(names[counts.argmax()])
    return share, f"{percent(share)} {f'“{isolated(cut(most, LABEL))}”' if most else 'without a label'}, "
