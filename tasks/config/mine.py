"""params.yaml, section mine."""

from dataclasses import field
from typing import Annotated, Literal

from tasks.config.fields import Count, NotNegative, Seed, Share, check_names
from tasks.config.parsing import Between, frozen


@frozen
class Miner:
    """A registry entry, the views (or concatenations, `raw+deep`) it is fitted on, and its own parameters."""

    miner: str
    views: tuple[str, ...]
    max_rows: Annotated[int, Between(2)] | None = None
    params: dict[str, bool | int | float | str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for view in self.views:
            check_names("views", view.split("+"), "a view")
        if "memory" in self.params:  # a folder of pickles, wherever it is
            raise ValueError("params.memory: a cache on disk is not kept; leave it out")


@frozen
class Rules:
    """Association rules: in which ``views`` they are found (none: nowhere), and which of them are kept."""

    views: tuple[Literal["items", "deep"], ...] = ()
    support: Literal["auto"] | Annotated[float, Between(1e-9, 1)] = "auto"
    confidence: Share = 0.25
    min_lift: NotNegative = 1.1
    max_length: Annotated[int, Between(2, 10)] = 3
    directions: Annotated[int, Between(0, 20)] = 3
    bins: Annotated[int, Between(2, 10)] = 3
    most: Count = 100
    q: Share = 0.05


@frozen
class Mine:
    miners: dict[str, Miner] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    seed: Seed = 0
    accelerate: bool = False

    def __post_init__(self) -> None:
        check_names("miners", self.miners, "a miner")
