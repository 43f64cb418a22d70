"""What the miners and the network say of rows, side by side: a column for each way, by id."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.features.label_values import as_numbers, parse_numbers
from tasks.features.view import View, has_view, load_view, rows_of, trained_for
from tasks.splitting.folds import rank
from tasks.storage.names import PREDICTIONS
from tasks.storage.store import read, read_manifest, vector_column
from tasks.storage.summaries import FoldSummary, read_mine_summary

#: What stands beside a verdict in the store of predictions, and is kept.
BESIDE = ("score", "probability")
#: Kinds of miners whose verdicts can be judged.
JUDGED = ("classifier", "regressor", "clusterer")


def verdicts(features: Path, miners: Path) -> tuple[pa.Table, FoldSummary]:
    """The val and test rows: `id`, `split`, `label` and a column a way, with `.score` and `.probability` where there are.

    Ways are the miners on their views, `network`, and of forecasts `naive`, the value of one season before.

    Returns:
        the table, and what there is to know of it.
    """
    said, mined = read(miners / PREDICTIONS), read_mine_summary(miners)
    columns = {name: said[name].combine_chunks() for name in ("id", "split", "label")}
    clusterers = []
    for name in said.column_names:
        miner, _, view = name.partition("@")
        if not view or name.rpartition(".")[0] in said.column_names:  # `NAME@VIEW.score` and its like
            continue
        kind = mined.miners[miner].kind
        if kind in JUDGED:
            beside = [f"{name}.{what}" for what in BESIDE if f"{name}.{what}" in said.column_names]
            columns |= {column: said[column].combine_chunks() for column in (name, *beside)}
            clusterers += [name] if kind == "clusterer" else []
    objective, ids = trained_for(features), np.array(columns["id"].to_pylist(), dtype=str)
    if mined.aim == "classification" and objective == "classification":
        columns |= _classes(features, ids)
    elif mined.aim == "regression":
        for name in ("naive", *(("network",) if objective != "autoencoder" else ())):
            if has_view(features, name):
                values = _rows(load_view(features, name), ids).astype(np.float64)
                columns[name] = vector_column(values) if values.shape[1] > 1 else pa.array(values[:, 0])
    table = pa.table(columns)
    folds = {name: made.score for name, made in mined.folds.items()}
    found = merits(table, mined.aim, clusterers, folds)
    return table, FoldSummary(mined.aim, mined.miners, sorted(clusterers), mined.skipped, found)


def _classes(features: Path, ids: np.ndarray) -> dict[str, pa.Array]:
    """The network's most probable class, and of two classes the probability of the second."""
    view = load_view(features, "network")
    labels = json.loads(read_manifest(features / "network").metadata["labels"])
    shares = _rows(view, ids)
    found = {"network": pa.array(np.array(labels, dtype=object)[shares.argmax(1)].tolist(), pa.string())}
    if len(labels) == 2:
        found["network.score"] = pa.array(shares[:, 1].astype(np.float64))
    return found


def _rows(view: View, ids: np.ndarray) -> np.ndarray:
    """The features of ``ids``, all of which are in the view."""
    found: np.ndarray = view.X[rows_of(view, ids)]
    return found


def merits(table: pa.Table, aim: str, clusterers: list[str], folds: dict[str, float]) -> dict[str, list[float]]:
    """What choices among miners of one view go by, higher is better: `folds.rank` of each by val rows and ``folds``."""
    val = table.filter(pc.and_(pc.equal(table["split"], "val"), table["label"].is_valid()))
    if aim == "clusters" or not (val.num_rows or folds):
        return {}
    names = [n for n in ways(table) if n not in clusterers]
    truth: np.ndarray
    if not val.num_rows:
        on_val = dict.fromkeys(names, 0.0)
    elif aim == "classification":
        truth = np.array(val["label"].to_pylist(), dtype=str)
        on_val = {n: float((np.array(val[n].to_pylist(), dtype=str) == truth).mean()) for n in names}
    else:
        truth = parse_numbers(val["label"].to_pylist())
        on_val = {n: -float(np.abs(as_numbers(val[n]) - truth).mean()) for n in names}
    return {n: list(rank(n.partition("@")[2], on_val[n], folds.get(n))) for n in names}


def ways(table: pa.Table) -> list[str]:
    """The columns of ``table`` that are verdicts."""
    return [
        n for n in table.column_names if n in ("network", "naive") or ("@" in n and n.rpartition(".")[2] not in BESIDE)
    ]
