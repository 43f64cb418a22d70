"""params.yaml, an entry of `datasets:`. The modules beside this one hold its sections: every key, its bounds, its default.

Plain dataclasses, so that a machine with torch but without pydantic can build them; `tasks.config.loader` reads the file.
"""

from dataclasses import field
from typing import Annotated, Literal

from tasks.config.clean import Clean
from tasks.config.encoders import SentenceTransformer
from tasks.config.evaluate import CrossValidate, Evaluate, Report
from tasks.config.fields import RESERVED, Share, check_names
from tasks.config.ingest import Ingest
from tasks.config.mine import Mine
from tasks.config.parsing import Between, frozen
from tasks.config.source import Input, Source
from tasks.config.train import Extract, Train
from tasks.config.validate import Validate

Objective = Literal["auto", "classification", "regression", "forecasting", "autoencoder"]


@frozen
class Dataset:
    """An entry under `datasets:` with the defaults filled in."""

    source: Source
    inputs: dict[str, Input] = field(default_factory=lambda: {"image": Input()})
    objective: Objective = "auto"
    ingest: Ingest = field(default_factory=Ingest)
    validate: Validate = field(default_factory=Validate)
    clean: Clean = field(default_factory=Clean)
    train: Train = field(default_factory=Train)
    extract: Extract = field(default_factory=Extract)
    mine: Mine = field(default_factory=Mine)
    crossvalidate: CrossValidate = field(default_factory=CrossValidate)
    evaluate: Evaluate = field(default_factory=Evaluate)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        check_names("inputs", self.inputs, "an input")
        for name in self.inputs:
            if name in RESERVED:
                raise ValueError(f"inputs: '{name}' cannot name an input: every row has a column of this name")
        plain = self.clean.text.tokens == "byte" and not self.train.augment.text.word_dropout
        if isinstance(self.train.encoders.text, SentenceTransformer) and not plain:
            raise ValueError(
                "train.encoders.text: sentence_transformer has a vocabulary of its own and needs the text as it is; "
                "set clean.text.tokens: byte and train.augment.text.word_dropout: 0"
            )

    @property
    def chain(self) -> "Chain | None":
        """What the rows of a fold go through, where there are folds."""
        if not self.crossvalidate.folds:
            return None
        window = self.source.window
        return Chain(
            inputs=self.inputs, objective=self.objective, val=self.ingest.val,
            span=window.length + window.horizon if window else 0,
            clean=self.clean, train=self.train, extract=self.extract, mine=self.mine,
        )  # fmt: skip


@frozen
class Chain:
    """What `crossvalidate` repeats for every fold: the stages from `clean` to `mine`, as the dataset has them.

    ``val`` is the share of the rows that choices are made on, ``span`` the steps that one window covers.
    """

    inputs: dict[str, Input]
    objective: Objective = "auto"
    val: Share = 0.1
    span: Annotated[int, Between(0)] = 0
    clean: Clean = field(default_factory=Clean)
    train: Train = field(default_factory=Train)
    extract: Extract = field(default_factory=Extract)
    mine: Mine = field(default_factory=Mine)
