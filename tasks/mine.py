"""mine: every miner on every view it is asked for, fitted on train rows; its verdict on the held-out rows."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tasks.core.cpu import cores
from tasks.core.files import fingerprint, inside, named, write_json
from tasks.core.progress import Progress
from tasks.core.records import as_json
from tasks.core.text import CONFIDENCE
from tasks.features.items import load_items
from tasks.features.label_values import parse_numbers
from tasks.features.view import View, has_view, load_view, trained_for
from tasks.miners import LEAST_ROWS, MOST_ROWS, Task, accelerate, clusters, kind, unfit
from tasks.miners.crossvalidation import choose, folds_for, held_out, out_of_fold, refitted
from tasks.miners.fitting import Fit, Job, fit, fit_best, part_of
from tasks.miners.n_clusters import Curve, count
from tasks.miners.pca import components
from tasks.miners.persistence import Fitted, save_miner
from tasks.miners.predictions import Said, columns, of_test, verdicts
from tasks.miners.probability_calibration import Calibrated
from tasks.miners.stability import stability
from tasks.miners.tree_text import Tree, read_tree
from tasks.rules.mining import mine_rules
from tasks.splitting.folds import Cases, cases_of
from tasks.storage.names import PREDICTIONS, RULES, SUMMARY
from tasks.storage.store import MANIFEST, Writer
from tasks.storage.summaries import CalibratedOn, MinerKind, MineSummary, OutOfFold, Stability

if TYPE_CHECKING:
    from tasks.config.mine import Mine

HELD_OUT = ("val", "test")
#: Clusters to look for where there are no classes to count and nothing else says how many.
CLUSTERS = 10


@dataclass(frozen=True)
class Result:
    """A fitted miner, what val rows chose for it, how many clusters train rows, and what it says of held-out rows.

    Of a clusterer also how stable that is, as `stability` has it; where val rows are few what folds say of the miner.
    """

    key: str
    made: Fit
    fitted: Fitted
    chosen: dict[str, Any]
    curve: Curve | None
    said: Said
    calibrated: Calibrated | None
    tree: Tree | None
    times: dict[str, float]
    stable: Stability | None = None
    folds: OutOfFold | None = None


def mine(
    *,
    params: "Mine",
    items: Path,
    features: Path,
    miners: Path,
    progress: Progress,
    confidence: float = CONFIDENCE,
    raw: Path | None = None,
) -> dict[str, Any]:
    """Fit each miner on each of its views; write `NAME@VIEW.skops` files and a store of predictions to ``miners``.

    What is said of val rows is said by a miner that was fitted on train rows alone, so that choices, calibration and
    thresholds may go by it. What is said of test rows, and the file, is by the same miner fitted again on both
    (`crossvalidation.refitted` has where not). ``raw`` tells which rows are of one group or follow in time; None: none.

    The predictions hold `id`, `split`, `label` of val and test rows and a column `NAME@VIEW` for each: a class, a
    cluster or a detector's mark as text, a number, or a list of numbers. After it come, where there are such:
    `.score`, which grows with the later of two classes' names or with how unlike the train rows a row is;
    `.probability` of each of the summary's `classes`; `.like` and `.distance` of the nearest train rows. What has
    nothing to do (no labels, sparse features) is skipped, and the summary says why. It holds, too, how probabilities
    were calibrated, what a kernel map was held against, trees as text, the components of each view, what each number
    of clusters is worth where train rows chose it, how far each clustering comes out again from other rows, and what
    became of the search for association rules, which stand in a store of their own, `rules`; the intervals of their
    lifts have a ``confidence`` as those of `evaluate`.
    """
    if params.accelerate:
        accelerate.require()
    names = sorted({view for miner in params.miners.values() for view in miner.views} or {"deep"})
    views = {name: load_view(features, name) for name in names}
    first = views[names[0]]
    task = aim(trained_for(features), first, params.seed)
    numbers = task.aim == "regression"
    cases = cases_of(raw, first.ids, first.label, first.split, numbers) if raw else None
    jobs, skipped = _jobs(params, views, task, cases)
    miners.mkdir(parents=True, exist_ok=True)
    progress.start()
    results: dict[str, Result] = {}
    # one thread a fit: sums over threads come in any order, and their low bits with them
    with threadpool_limits(1):
        for done, result in enumerate(_run(jobs, params.accelerate), 1):
            save_miner(inside(miners, f"{result.key}.skops"), result.fitted)
            results[result.key] = result
            progress(done, len(jobs), "fits", note=_note(result), always=True)
    if skipped:
        progress(len(jobs), len(jobs), "fits", note=f"skipped: {_listed(skipped)}", always=True)
    found = [results[job.key] for job in jobs]
    mark = fingerprint("mine", repr(params), [v.fingerprint for v in views.values()])
    write_predictions(miners / PREDICTIONS, first, found, mark)
    plain_views = {name: view for name, view in views.items() if "+" not in name}
    rules: dict[str, Any] = {}
    if params.rules.views:
        fitted = {
            job.name: results[job.key].fitted for job in jobs if job.view.name == "deep" and job.kind == "clusterer"
        }
        rules = _rules(params, items, features, views.get("deep"), fitted, task, miners / RULES, confidence)
    written = [
        str(p.relative_to(miners)) for p in sorted(miners.rglob("*")) if p.suffix == ".skops" or p.name == MANIFEST
    ]
    shown = components(plain_views, items, params.seed)
    summary = MineSummary(task.aim, _kinds(params, task), skipped, list(task.names), shown, **_told(found), rules=rules)
    write_json(miners / SUMMARY, as_json(summary) | {"files": named(miners, *written)})
    seconds = {key: results[key].times for key in results}
    kept = {over: told.get("kept", 0) for over, told in rules.items()}
    told = {
        "rows": len(first.ids),
        "fits": len(jobs),
        "seconds_of": seconds,
        "chosen": summary.chosen,
        "skipped": skipped,
    }
    return told | ({"rules": kept} if kept else {})


def _kinds(params: "Mine", task: Task) -> dict[str, MinerKind]:
    return {name: MinerKind(m.miner, clusters(m.miner), kind(m.miner, task)) for name, m in params.miners.items()}


def _told(results: list[Result]) -> dict[str, Any]:
    """What the summary tells of each fit, by its key."""
    return {
        "chosen": {r.key: r.chosen for r in results if r.chosen},
        "curves": {
            r.key: {**asdict(r.curve), "chosen": r.curve.best, "structure": r.curve.structure}
            for r in results if r.curve
        },
        "stability": {r.key: r.stable for r in results if r.stable},
        "folds": {r.key: r.folds for r in results if r.folds},
        "calibrated": {
            r.key: CalibratedOn(r.calibrated.method, r.calibrated.rows, r.calibrated.on)
            for r in results if r.calibrated
        },
        "kernel_maps": {r.key: asdict(r.made.weighed) for r in results if r.made.weighed},
        "trees": {r.key: r.tree.text for r in results if r.tree},
        "tree_nodes": {r.key: r.tree.nodes for r in results if r.tree},
    }  # fmt: skip


def _jobs(params: "Mine", views: dict[str, View], task: Task, cases: Cases | None) -> tuple[list[Job], dict[str, str]]:
    """Every fit that is wanted; and `NAME@VIEW` of those that have nothing to do here, with the reason."""
    jobs, skipped = [], {}
    for name, miner in params.miners.items():
        for view in miner.views:
            own = replace(task, parts=views[view].parts)
            limit = miner.max_rows or MOST_ROWS.get(miner.miner)
            job = Job(name, miner.miner, views[view], own, dict(miner.params), limit, cases=cases)
            why = unfit(miner.miner, own)
            if why is None and job.kind == "outlier_detector" and views[view].rows("train").sum() < LEAST_ROWS:
                why = "too few training rows for an outlier detector"
            if why is None:
                jobs.append(job)
            else:
                skipped[job.key] = why
    return jobs, skipped


def _rules(
    params: "Mine", items: Path, features: Path, deep: View | None, clusterers: dict[str, Fitted], task: Task, folder: Path,
    confidence: float,
) -> dict[str, Any]:  # fmt: skip
    """Association rules, to a store of their own; what is told of them."""
    if deep is None and has_view(features, "deep"):
        deep = load_view(features, "deep")
    known = load_items(items)
    mark = fingerprint(
        "rules", repr(params.rules), params.seed, confidence, known.view.fingerprint, deep and deep.fingerprint
    )
    with threadpool_limits(1):
        return mine_rules(
            params.rules, known, deep, clusterers, task.aim, confidence, seed=params.seed, folder=folder, mark=mark
        )


def aim(objective: str, view: View, seed: int) -> Task:
    """What miners can learn of these rows: classes, numbers, or without labels only clusters.

    An autoencoder leaves it to the labels: numbers of which most stand once are no classes.
    """
    train = view.rows("train")
    known = view.label[train & view.known]
    distinct, groups = len(set(known.tolist())), min(CLUSTERS, int(train.sum()))
    if distinct < 2:
        return Task(seed, "clusters", groups)
    numbers = objective in ("regression", "forecasting")
    if objective == "autoencoder" and 2 * distinct > len(known):
        numbers = _numbers(known.tolist())
    if numbers:
        return Task(seed, "regression", groups, view.targets(train & view.known).shape[1])
    return Task(seed, "classification", distinct, names=tuple(sorted(set(known.tolist()))))


def write_predictions(folder: Path, view: View, results: list[Result], mark: str) -> None:
    """The store of what was said of the held-out rows of ``view``."""
    rows = view.rows(*HELD_OUT)
    made = {
        "id": pa.array(view.ids[rows], pa.string()),
        "split": pa.array(view.split[rows], pa.string()),
        "label": pa.array(view.label[rows], pa.string(), mask=~view.known[rows]),
    }
    for result in results:
        made |= columns(result.said, result.key)
    table = pa.table(made)
    writer = Writer(folder, table.schema, mark)
    writer.add(table)
    writer.finish({"in": table.num_rows, "accepted": table.num_rows, "quarantined": {}})


def _run(jobs: list[Job], accelerated: bool) -> Iterator[Result]:
    parallel = Parallel(n_jobs=cores(), prefer="threads", return_as="generator_unordered")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # with fewer rows it takes as many as there are
        warnings.filterwarnings("ignore", "n_components > n_samples")
        # filters are those of the whole process: threads that make folds put each other's back in any order
        warnings.filterwarnings("ignore", "The least populated class")
        yield from parallel(delayed(_limited)(job, accelerated) for job in jobs)


def _limited(job: Job, accelerated: bool) -> Result:
    # OpenMP counts for each thread by itself; two fits that share two cores by it wait for each other all the time
    with threadpool_limits(1, user_api="openmp"):
        return _one(job, accelerated)


def _one(job: Job, accelerated: bool) -> Result:
    view, held, faster = job.view, job.view.rows(*HELD_OUT), accelerate.accelerated if accelerated else None
    train = view.rows("train") & view.known if job.labelled else view.rows("train")
    rows = part_of(job, np.flatnonzero(train), job.limit)
    clock = Clock()
    chosen, curve = choose(job, rows), count(job, rows)
    more = {**chosen, **({curve.parameter: curve.best} if curve else {})}
    parts = folds_for(job, rows)
    folds = out_of_fold(job, parts, more) if parts else None
    clock.lap("choose")
    made = fit_best(job, rows, more, held_out(job, rows), faster)
    clock.lap("fit")
    fitted = Fitted(made.estimator, view.name, view.fingerprint)
    said, fitted, calibrated = verdicts(made, fitted, held, job.task.names, more)
    clock.lap("predict")
    both = refitted(made.job, rows, made.rows)
    if both is not None:
        made = Fit(made.job, both, fit(made.job, both, more, faster), made.weighed)
        clock.lap("fit")
        fitted = replace(fitted, estimator=made.estimator)
        said = of_test(made, fitted, held, job.task.names, said)
        clock.lap("predict")
    stable = None
    if job.kind == "clusterer":
        stable = stability(job, rows, more, fitted.estimator)
        clock.lap("stability")
    times = {name: round(seconds, 3) for name, seconds in clock.laps.items() if name != "choose" or more or folds}
    tree = read_tree(made.estimator, view)
    plain = replace(fitted, estimator=accelerate.plain(fitted.estimator))
    times["train_rows"] = len(made.rows)
    return Result(job.key, made, plain, chosen, curve, said, calibrated, tree, times, stable, folds)


class Clock:
    """Seconds of each part of some work, by its name."""

    def __init__(self) -> None:
        self.laps, self.last = dict[str, float](), time.perf_counter()

    def lap(self, name: str) -> None:
        """Add what passed since the last lap to ``name``."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now


def _note(result: Result) -> str:
    told = f"{result.key} in {result.times['fit']:.1f} s"
    if result.made.weighed:
        told += f", a kernel map of {result.made.weighed.rows:,} rows weighed: the {result.made.weighed.used} is used"
    return f"{told}, {result.curve.best} clusters by {result.curve.measure}" if result.curve else told


def _numbers(labels: list[str]) -> bool:
    """Whether `View.targets` can read them all."""
    try:
        return bool(np.isfinite(parse_numbers(labels)).all())
    except ValueError:
        return False


def _listed(skipped: dict[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for key, why in skipped.items():
        reasons.setdefault(why, []).append(key)
    return "; ".join(f"{', '.join(keys)}: {why}" for why, keys in reasons.items())
