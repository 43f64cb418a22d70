"""params.yaml, section ingest."""

from tasks.config.fields import Count, Positive, Share
from tasks.config.parsing import frozen


@frozen
class Ingest:
    shard_rows: Count = 2048
    val: Share = 0.1
    test: Share = 0.2
    max_pixels: Count = 50_000_000
    max_samples: Count = 50_000_000
    max_characters: Count = 100_000
    max_seconds: Positive = 60.0

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}, which leaves nothing to train on")
