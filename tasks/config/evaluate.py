"""params.yaml, sections crossvalidate, evaluate and report."""

from dataclasses import field
from typing import Annotated, Literal

from tasks.config.fields import Positive, Seed
from tasks.config.parsing import Between, frozen
from tasks.core.text import CONFIDENCE


@frozen
class CrossValidate:
    """Cross-validation; ``scheme: auto`` is `group` where a group is declared, `time` where time splits, else stratified."""

    folds: Annotated[int, Between(0, 100)] = 0
    scheme: Literal["auto", "stratified", "group", "time"] = "auto"
    seed: Seed = 0

    def __post_init__(self) -> None:
        if self.folds == 1:
            raise ValueError("folds: 1 leaves nothing to learn from; take 0 (none), or 2 and more")


@frozen
class Costs:
    """What each mistake costs, of two classes, in any unit: a false alarm, and a positive row that is missed."""

    false_positive: Positive
    false_negative: Positive


@frozen
class Slices:
    """Which attributes of rows are looked at (empty: all), how small a slice may be, and the share of false findings."""

    columns: tuple[str, ...] = ()
    min_rows: Annotated[int, Between(5)] = 20
    q: Annotated[float, Between(0.0001, 0.5)] = 0.05


@frozen
class Evaluate:
    confidence: Annotated[float, Between(0.5, 0.999)] = CONFIDENCE
    resamples: Annotated[int, Between(100, 100_000)] = 2000
    silhouette_rows: Annotated[int, Between(10)] = 2000
    positive: str | None = None
    costs: Costs | None = None
    bins: Annotated[int, Between(2, 100)] = 10
    slices: Slices = field(default_factory=Slices)
    seed: Seed = 0


@frozen
class Report:
    map_points: Annotated[int, Between(10, 20_000)] = 1500
    examples: Annotated[int, Between(1, 100)] = 8
    seed: Seed = 0
