"""The summaries that `mine` and `crossvalidate` leave beside their stores, and that later stages read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.core.files import read_json
from tasks.core.records import from_json
from tasks.storage.names import SUMMARY


@dataclass(frozen=True)
class MinerKind:
    """A miner of the configuration.

    Attributes:
        miner: its entry in the registry.
        clusterer: whether it forms groups of rows.
        kind: classifier, regressor, clusterer, neighbours or outlier_detector.
    """

    miner: str
    clusterer: bool
    kind: str


@dataclass(frozen=True)
class Stability:
    """How far a clustering comes out again where it is fitted on random halves of the train rows.

    Attributes:
        mean, low, high: adjusted Rand index of the refits, and between which most of them lie.
        refits: how many there were, each on so many ``rows``.
        clusters: cluster -> mean Jaccard index with the cluster of a refit that is most like it.
    """

    mean: float
    low: float
    high: float
    refits: int
    rows: int
    clusters: dict[str, float]


@dataclass(frozen=True)
class OutOfFold:
    """What folds say of a miner.

    Attributes:
        score: accuracy, or minus the mean absolute error, on rows that the miner had not seen; higher is better.
        rows: that were judged, each as often as any other, in so many ``folds``.
    """

    score: float
    rows: int
    folds: int


@dataclass(frozen=True)
class CalibratedOn:
    """How probabilities were calibrated: the method, and on how many rows of which split."""

    method: str
    rows: int
    on: str


@dataclass(frozen=True)
class MineSummary:
    """What `mine` says of its fits; `NAME@VIEW` is the key of each.

    Attributes:
        aim: classification, regression or clusters.
        miners: name -> its kind.
        skipped: key -> why it had nothing to do.
        classes: in the order of probabilities.
        components: view -> its principal components.
        chosen: key -> hyperparameters that val rows or folds chose.
        curves: key -> what each number of clusters is worth.
        kernel_maps: key -> what a kernel map was held against.
        trees, tree_nodes: key -> a tree as text, and its size.
        rules: over which items -> what became of the search.
    """

    aim: str
    miners: dict[str, MinerKind]
    skipped: dict[str, str]
    classes: list[str] = field(default_factory=list)
    components: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    stability: dict[str, Stability] = field(default_factory=dict)
    folds: dict[str, OutOfFold] = field(default_factory=dict)
    calibrated: dict[str, CalibratedOn] = field(default_factory=dict)
    kernel_maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    trees: dict[str, str] = field(default_factory=dict)
    tree_nodes: dict[str, int] = field(default_factory=dict)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of_kind(self, kind: str, names: list[str]) -> list[str]:
        """Those of ``names`` (`NAME@VIEW`) whose miner is of that kind."""
        return [name for name in names if self.miners[name.partition("@")[0]].kind == kind]


@dataclass(frozen=True)
class FoldSummary:
    """What there is to know of the predictions of one fold.

    Attributes:
        clusterers: names of predictions that are clusters.
        merits: prediction -> what choices among miners of one view go by; higher is better.
    """

    aim: str
    kinds: dict[str, MinerKind]
    clusterers: list[str]
    skipped: dict[str, str]
    merits: dict[str, list[float]]


@dataclass(frozen=True)
class CrossValidationSummary:
    """How folds were made; without any, ``why`` there are none.

    Attributes:
        folds: how many there are, of which so many were ``asked`` for.
        set_aside: rows that were to be judged and that cleaning left out.
        grouped: whether several rows are of one unit.
        sizes: of each fold its train, val and test rows.
        aim, kinds, clusterers: as in `FoldSummary`, the same in all folds; ``skipped`` and ``merits`` of each.
    """

    folds: int
    asked: int
    why: str
    rows: int
    scheme: str = ""
    set_aside: int = 0
    grouped: bool = False
    sizes: list[dict[str, int]] = field(default_factory=list)
    aim: str = ""
    kinds: dict[str, MinerKind] = field(default_factory=dict)
    clusterers: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    merits: list[dict[str, list[float]]] = field(default_factory=list)


def read_mine_summary(miners: Path) -> MineSummary:
    """The summary in the folder of `mine`; raises as `read_json` does."""
    return from_json(MineSummary, read_json(miners / SUMMARY))


def read_cross_validation_summary(crossvalidation: Path) -> CrossValidationSummary:
    """The summary in the store of `crossvalidate`; raises as `read_json` does."""
    return from_json(CrossValidationSummary, read_json(crossvalidation / SUMMARY))
