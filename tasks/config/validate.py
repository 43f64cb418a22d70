"""params.yaml, section validate."""

from dataclasses import field
from typing import Annotated, Any, Literal

from tasks.config.arguments import wrong_arguments
from tasks.config.fields import Count, NotNegative, Share
from tasks.config.parsing import Between, frozen

Scalar = bool | int | float | str


@frozen
class Condition:
    """The rows whose value of ``column`` stands so to ``value``. A missing value stands so to nothing."""

    column: str
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]
    value: Scalar | tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if isinstance(self.value, tuple) != (self.operator in ("in", "not in")):
            wanted = "a list of values" if self.operator in ("in", "not in") else "one value"
            raise ValueError(f"'{self.operator}' takes {wanted}")


@frozen
class Expectation:
    """One expectation of Great Expectations, by its snake_case name; ``where``: of these rows only."""

    expect: str
    arguments: dict[str, Any] = field(default_factory=dict)
    where: Condition | None = None
    action: Literal["reject", "fail", "warn"] = "reject"

    def __post_init__(self) -> None:
        if why := wrong_arguments(self.expect, self.arguments):
            raise ValueError(why)


@frozen
class ValidImage:
    min_side: Count = 2
    max_side: Count = 16_384


@frozen
class ValidAudio:
    max_clipped: Share = 0.01
    min_seconds: NotNegative = 0.02
    min_level: float = -70.0


@frozen
class ValidText:
    min_characters: Count = 1


@frozen
class ValidSeries:
    min_length: Count = 2


@frozen
class ValidTabular:
    max_missing: Share = 1.0


@frozen
class ValidBasket:
    """Bounds of the distinct items of a basket."""

    min_items: Annotated[int, Between(0)] = 1
    max_items: Count = 1000


@frozen
class Validate:
    max_rejected: Share = 0.05
    min_class_rows: Count = 2
    max_imbalance: Annotated[float, Between(1)] = 100.0
    labels: tuple[str, ...] = ()
    copies: Literal["auto", "reject", "keep"] = "auto"
    near_duplicates: Annotated[float, Between(0.9, 1)] = 0.99
    leak: Annotated[float, Between(0.5, 1)] = 0.99
    leaks: Literal["warn", "fail"] = "warn"
    expectations: tuple[Expectation, ...] = ()
    image: ValidImage = field(default_factory=ValidImage)
    audio: ValidAudio = field(default_factory=ValidAudio)
    text: ValidText = field(default_factory=ValidText)
    series: ValidSeries = field(default_factory=ValidSeries)
    tabular: ValidTabular = field(default_factory=ValidTabular)
    basket: ValidBasket = field(default_factory=ValidBasket)
