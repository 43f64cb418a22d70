"""mine: every miner on every view it is asked for, fitted on train rows; its verdict on the held-out rows."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from sklearn.base import is_clusterer
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tasks.cores import cores
from tasks.miners import MINERS, accelerate
from tasks.miners.saved import Fitted, save_miner
from tasks.progress import Progress
from tasks.store import PREDICTIONS, SUMMARY, Writer, fingerprint, write_json
from tasks.views import View, load_view

if TYPE_CHECKING:
    from tasks.config import Mine, Miner


def mine(*, params: "Mine", features: Path, miners: Path, progress: Progress) -> dict[str, Any]:
    """Fit each miner on each of its views; write `NAME@VIEW.skops` files and a store of predictions to ``miners``.

    The predictions hold `id`, `split`, `label` of val and test rows and a column `NAME@VIEW` for each.
    """
    if params.accelerate:
        accelerate.require()
    jobs = [(name, miner, view) for name, miner in params.miners.items() for view in miner.views]
    views = {name: load_view(features, name) for name in sorted({view for _, _, view in jobs})}
    first = next(iter(views.values()))
    held_out = first.rows("val", "test")
    miners.mkdir(parents=True, exist_ok=True)
    progress.start()
    columns: dict[str, np.ndarray] = {}
    seconds: dict[str, Any] = {}
    # one thread a fit: sums over threads come in any order, and their low bits with them
    with threadpool_limits(1):
        for done, (key, fitted, predicted, times) in enumerate(_run(jobs, views, params), 1):
            save_miner(miners / f"{key}.skops", fitted)
            columns[key] = predicted
            seconds[key] = times
            progress(done, len(jobs), "fits", note=f"{key} in {times['fit']:.1f} s", always=True)
    names = [f"{name}@{view}" for name, _, view in jobs]
    schema = pa.schema([(c, pa.string()) for c in ("id", "split", "label", *names)])
    writer = Writer(
        miners / PREDICTIONS,
        schema,
        fingerprint("mine", repr(params), [v.fingerprint for v in views.values()]),
    )
    rows = {"id": first.ids[held_out], "split": first.split[held_out], "label": first.label[held_out]}
    rows |= {key: columns[key].astype(str) for key in names}
    writer.add(pa.table({k: pa.array(v.tolist(), pa.string()) for k, v in rows.items()}, schema=schema))
    writer.finish({"in": int(held_out.sum()), "accepted": int(held_out.sum()), "quarantined": {}})
    kinds = {
        name: {"miner": m.miner, "clusterer": is_clusterer(MINERS[m.miner](0, 2))} for name, m in params.miners.items()
    }
    write_json(miners / SUMMARY, kinds)
    return {"rows": len(first.ids), "fits": len(jobs), "seconds_of": seconds}


def train_rows(view: View, limit: int | None) -> np.ndarray:
    """(M,) positions of train rows; over ``limit``, those whose id hashes lowest, the same on every view."""
    rows = np.flatnonzero(view.rows("train"))
    if limit is None or len(rows) <= limit:
        return rows
    ranks = np.array([fingerprint(i) for i in view.ids[rows].tolist()])
    return np.sort(rows[np.argsort(ranks)[:limit]])


def _run(
    jobs: list[tuple[str, "Miner", str]], views: dict[str, View], params: "Mine"
) -> Iterator[tuple[str, Fitted, np.ndarray, dict[str, float]]]:
    parallel = Parallel(n_jobs=cores(), prefer="threads", return_as="generator_unordered")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield from parallel(delayed(_fit)(name, miner, views[view], params) for name, miner, view in jobs)


def _fit(name: str, miner: "Miner", view: View, params: "Mine") -> tuple[str, Fitted, np.ndarray, dict[str, float]]:
    rows = train_rows(view, miner.max_rows)
    labels = view.label[rows]
    estimator = MINERS[miner.miner](params.seed, len(set(labels.tolist())), **miner.params)
    if params.accelerate:
        estimator = accelerate.accelerated(estimator)
    began = time.perf_counter()
    fitted = Fitted(estimator.fit(view.X[rows], labels), view.name, view.fingerprint)
    middle = time.perf_counter()
    predicted = fitted.predict(view, view.rows("val", "test"))
    times = {
        "fit": round(middle - began, 3),
        "predict": round(time.perf_counter() - middle, 3),
        "train_rows": len(rows),
    }
    return f"{name}@{view.name}", replace(fitted, estimator=accelerate.plain(fitted.estimator)), predicted, times
