"""params.yaml, section source: where the data lies and what its columns are."""

from typing import Annotated, Literal

from tasks.config.fields import Count
from tasks.config.parsing import Between, frozen


@frozen
class Input:
    """One input of the rows: its modality and the columns that it is made of.

    Of a tabular input, ``categorical`` and ``date`` name those of ``columns`` that are not numbers.
    """

    modality: Literal["image", "audio", "text", "series", "tabular", "basket"] = "image"
    columns: tuple[str, ...] = ("path",)
    categorical: tuple[str, ...] = ()
    date: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.categorical, *self.date):
            if name not in self.columns:
                raise ValueError(f"'{name}' is not among its columns ({', '.join(self.columns)})")


@frozen
class Window:
    """Cuts one long series into rows: steps of each, steps from one to the next, steps ahead to forecast."""

    length: Count
    stride: Count = 1
    horizon: Annotated[int, Between(0)] = 0


@frozen
class Join:
    """A second table, joined on a column of both. Many rows may have one row of it, or each row its own."""

    path: str
    on: str
    how: Literal["many_to_one", "one_to_one"] = "many_to_one"


@frozen
class Source:
    """Where rows come from: a folder, a table (CSV, TSV, Parquet, JSON Lines) or `embedded:mnist`.

    ``id``, ``label``, ``split`` and ``group`` name columns of the table, ``root`` the folder that its paths are
    relative to (default: the table's own). ``pattern`` is a regular expression over the path of a file, whose named
    groups `label`, `group`, `train`, `val` and `test` say what they name. ``time`` orders rows: with ``layout: long``
    those of one ``id`` are a series, with ``window`` the whole table is one, else ``split_by: time`` cuts by it.
    Of baskets, ``layout: long`` has a row for each good of one ``id``, ``layout: baskets`` a basket a line, its goods
    between delimiters, as the column `items`.
    """

    path: str
    root: str | None = None
    id: str | None = None
    label: str = "label"
    split: str | None = None
    group: str | None = None
    pattern: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    names: tuple[str, ...] = ()
    time: str | None = None
    layout: Literal["rows", "long", "baskets"] = "rows"
    window: Window | None = None
    split_by: Literal["hash", "time"] = "hash"
    join: Join | None = None
