"""Figures beyond the table of ways: curves, calibration, costs, residuals, slices, every two verdicts compared."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from tasks.core.errors import DeepmineError, nearest
from tasks.evaluation.comparisons import Comparisons, comparisons
from tasks.evaluation.scorers import Classes, Numbers, Said
from tasks.evaluation.slices import Slices, slices
from tasks.features.item_matrix import ItemMatrix
from tasks.features.items import load_items
from tasks.features.view import rows_of
from tasks.metrics import curves
from tasks.metrics.calibration import calibration
from tasks.metrics.costs import Prices, costs
from tasks.metrics.residuals import residuals
from tasks.stats import cluster_robust
from tasks.stats.intervals import methods
from tasks.stats.roc_auc import has_auc
from tasks.storage.store import MANIFEST, read, read_manifest

if TYPE_CHECKING:
    from tasks.config.evaluate import Evaluate

#: Figures of the calibration and of the costs that are numbers of a way.
CALIBRATION, COSTS = ("ece", "ece_interval", "brier", "log_loss"), ("cost", "cost_interval", "threshold")


@dataclass(frozen=True)
class Groups:
    """Groups of the test rows: how many, of how many ``rows``, and whether they are so ``few`` that little is known."""

    groups: int
    rows: int
    few: bool


@dataclass(frozen=True)
class Analyses:
    """Figures beyond the table of approaches; by approach where nothing else is said.

    Attributes:
        slices: metric -> parts of the test rows in which the best approach is better or worse.
        costs: None where nobody said what mistakes cost.
        curves: of classes; ``class_auc`` are the areas of the best approach by class, ``methods`` those of the intervals.
        residuals: of numbers, of the best approach.
    """

    comparisons: Comparisons
    slices: dict[str, Slices]
    costs: dict[str, Any] | None
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    class_auc: dict[str, float] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, dict[str, Any]] = field(default_factory=dict)
    residuals: dict[str, Any] | None = None


def groups_of(raw: Path, ids: np.ndarray) -> np.ndarray:
    """(N,) the group of each row as ingest read it, "" where it has none."""
    nothing = np.full(len(ids), "", dtype=object)
    if not len(ids) or "group" not in [name for name, _ in read_manifest(raw).schema]:
        return nothing
    table = read(raw, ["id", "group"])
    places = pc.index_in(pa.array(ids.tolist(), pa.string()), table["id"].combine_chunks())
    return np.array(table["group"].take(places).fill_null("").to_pylist(), dtype=object)


def group_numbers(groups: np.ndarray) -> np.ndarray | None:
    """(N,) numbers of the groups, of one group alone too; None where each row is one of its own."""
    numbers = cluster_robust.codes(groups.astype(str))
    return numbers if len(np.unique(numbers)) < len(groups) else None


def in_groups(groups: np.ndarray) -> tuple[np.ndarray | None, Groups | None]:
    """(N,) numbers of the groups where there are several rows in some and several groups; and what a page says of them."""
    numbers = group_numbers(groups)
    if numbers is None:
        return None, None
    count = int(numbers.max()) + 1
    return numbers if count > 1 else None, Groups(count, len(groups), count < cluster_robust.FEW)


def figures(
    judge: Classes | Numbers, val: Said, chosen: dict[str, str], best: str, items: Path, params: "Evaluate"
) -> Analyses:
    """Every figure; what has nothing to do here is empty, or says why.

    Args:
        chosen: way -> the verdict that stands for it; ``best`` is the way that val rows favour.
    """
    test, sampling = judge.test, judge.sampling
    names = {name: judge.values(name) for name in test.by if name != "constant"}
    higher = judge.measure["better"] == "higher"
    planned = [name for way, name in chosen.items() if way != "constant"]
    compared = comparisons(names, chosen[best], higher, sampling, planned)
    found = Analyses(compared, _slices(judge, chosen[best], items, params), None)
    if isinstance(judge, Numbers):
        return replace(found, residuals=residuals(test.truth, test.by[chosen[best]], judge.some, sampling))
    drawn = _curves(judge, chosen)
    calibrations = {
        way: calibration(test.truth, test.probabilities[name], judge.classes, judge.positive, params.bins, sampling)
        for way, name in chosen.items() if name in test.probabilities
    }  # fmt: skip
    return replace(
        found, curves=drawn, class_auc=drawn.get(best, {}).get("classes", {}), methods=methods(drawn.values()),
        calibration=calibrations, costs=_costs(judge, val, chosen, params),
    )  # fmt: skip


def _curves(judge: Classes, chosen: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Of two classes the curves of the positive one, of more the mean of each against the rest."""
    test, found = judge.test, dict[str, dict[str, Any]]()
    for way, name in chosen.items():
        if judge.positive is not None:
            true, scores = test.truth == judge.positive, judge.rank(name)
            if scores is not None and has_auc(true):
                found[way] = curves.one(true, scores)
        elif name in test.probabilities:
            made = curves.several(test.truth, test.probabilities[name], judge.classes, judge.sampling)
            found |= {way: made} if made else {}
    return found


def _costs(judge: Classes, val: Said, chosen: dict[str, str], params: "Evaluate") -> dict[str, Any] | None:
    """None where nobody said what mistakes cost; else of each way that has probabilities."""
    if params.costs is None:
        return None
    prices = Prices(params.costs.false_positive, params.costs.false_negative)
    told = {"false_positive": prices.false_positive, "false_negative": prices.false_negative}
    if judge.positive is None:
        return {**told, "ways": {}, "best": None, "why": "there are not two classes"}
    place = judge.classes.index(judge.positive)
    ways = {
        way: costs(
            _sides(val, name, judge.positive, place), _sides(judge.test, name, judge.positive, place), prices,
            judge.sampling,
        )
        for way, name in chosen.items() if name in judge.test.probabilities
    }  # fmt: skip
    best = min(ways, key=lambda way: ways[way]["val_cost"] or 0.0, default=None)
    return {**told, "ways": ways, "best": best, "why": None if ways else "no way gives probabilities"}


def _sides(said: Said, name: str, positive: str, place: int) -> tuple[np.ndarray, np.ndarray]:
    return said.truth == positive, said.probabilities[name][:, place]


def _slices(judge: Classes | Numbers, name: str, items: Path, params: "Evaluate") -> dict[str, Slices]:
    """Slices of what the best way's rows are worth; of two classes also of how many of the positive rows it finds."""
    test, wanted = judge.test, params.slices
    known = _known(items, test.ids, wanted.columns)
    values = judge.values(name)
    classes = test.truth if isinstance(judge, Classes) else None
    found = {judge.measure["key"]: slices(values, known, wanted.min_rows, wanted.q, judge.sampling, classes)}
    if isinstance(judge, Classes) and judge.positive is not None:
        rows = np.flatnonzero(test.truth == judge.positive)
        groups = judge.sampling.groups
        if groups is not None:
            own = np.unique(groups[rows], return_inverse=True)[1]
            groups = own if len(set(own.tolist())) > 1 else None
        if len(rows):
            found["recall"] = slices(
                values[rows], known.take(rows), wanted.min_rows, wanted.q, replace(judge.sampling, groups=groups)
            )
    return found


def _known(items: Path, ids: np.ndarray, columns: tuple[str, ...]) -> ItemMatrix:
    """What the store of items knows of the rows ``ids``, of the attributes ``columns`` (empty: of all).

    Raises:
        DeepmineError: one of ``columns`` is no attribute of it.
    """
    if not (items / MANIFEST).is_file():
        return ItemMatrix(csr_array((len(ids), 0)), (), ())
    known = load_items(items)
    for column in columns:
        if column not in known.attributes:
            near = nearest(column, sorted(set(known.attributes)))
            raise DeepmineError(f"evaluate.slices.columns: nothing is known of '{column}'.{near}")
    keep = [i for i, attribute in enumerate(known.attributes) if not columns or attribute in columns]
    names, attributes = (tuple(told[i] for i in keep) for told in (known.names, known.attributes))
    matrix = csr_array(known.view.X)[rows_of(known.view, ids)][:, keep]
    return ItemMatrix(csr_array(matrix, dtype=np.float64), names, attributes)


def numbers(found: Analyses | None) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What metrics.json says of it: figures of each way, and those of the whole."""
    ways: dict[str, dict[str, Any]] = {}
    if found is None:
        return ways, {}
    for way, made in found.curves.items():
        if "auc" in made:
            ways.setdefault(way, {}).update({k: made[k] for k in ("auc", "auc_interval", "average_precision")})
    for way, made in found.calibration.items():
        ways.setdefault(way, {}).update({k: made[k] for k in CALIBRATION})
    for way, made in (found.costs or {}).get("ways", {}).items():
        ways.setdefault(way, {}).update({k: made[k] for k in COSTS})
    parts = {}
    for measure, part in found.slices.items():
        own = {"tried": part.tried + part.pairs_tried, "stand": part.stand}
        worst = {f"worst_{measure}": part.worst.value, "worst_rows": part.worst.rows} if part.worst else {}
        parts[measure] = own | worst
    return ways, parts
