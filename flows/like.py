"""`deepmine like`: the rows of a dataset whose deep features are nearest to those of one of them."""

import numpy as np
from rich.table import Table

from flows import project
from flows.screen import cell, console
from tasks.core.errors import DeepmineError, nearest
from tasks.core.printable import visible
from tasks.features.view import View, load_view

#: The view that likeness is told in.
VIEW = "deep"


def like(name: str, row: str, top: int) -> None:
    """Print the ``top`` rows nearest to the row ``row`` of dataset ``name``, of whatever split.

    Raises:
        DeepmineError: there is no such dataset or row, or no features yet.
    """
    project.one(name)
    view = load_view(project.paths("extract", name)["features"], VIEW)
    if row not in view.ids:  # perhaps as it is shown, with what steers a terminal written out
        row = next((i for i in view.ids.tolist() if visible(i) == row), row)
    places, distances = nearest_rows(view, row, top)
    terminal = console()
    own = int(np.flatnonzero(view.ids == row)[0])
    terminal.print(cell(f"{row}  {_label(view, own)}  {view.split[own]}"), soft_wrap=True)
    table = Table("id", "label", "split", "distance", box=None, pad_edge=False)
    for place, distance in zip(places.tolist(), distances.tolist(), strict=True):
        told = (str(view.ids[place]), _label(view, place), str(view.split[place]))
        table.add_row(*map(cell, told), f"{distance:.4g}")
    terminal.print(table)


def nearest_rows(view: View, row: str, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the ``top`` rows nearest to ``row`` by Euclidean distance, itself left out, and their distances.

    Raises:
        DeepmineError: no row is called so.
    """
    [*found] = np.flatnonzero(view.ids == row).tolist()
    if not found:
        raise DeepmineError(f"no row '{row}' among the {len(view.ids):,} rows.{_near(row, view)}")
    X = view.X
    distances = np.sqrt(((X - X[found[0]]) ** 2).sum(1, dtype=np.float64))  # (N,)
    distances[found[0]] = np.inf
    order = np.lexsort((view.ids, distances))[: min(top, len(X) - 1)]
    return order, distances[order]


def _near(row: str, view: View) -> str:
    """The nearest id in words; of many only those that begin or end alike are compared."""
    ids = view.ids.tolist()
    alike = [i for i in ids if i.endswith(row) or i[:3] == row[:3] or i[-3:] == row[-3:]] if len(ids) > 5000 else ids
    said = nearest(row, alike)
    return said if said.startswith(" Did") else f" A valid id is, for example, '{ids[0]}'."


def _label(view: View, place: int) -> str:
    return str(view.label[place]) if view.known[place] else "no label"
