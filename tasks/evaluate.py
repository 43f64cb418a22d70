"""evaluate: how good each miner is on rows that nothing was fitted on, and whether fusion paid."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.core.errors import DeepmineError
from tasks.core.files import named, write_json
from tasks.core.progress import Progress
from tasks.core.records import as_json
from tasks.evaluation import cross_validation, sentences
from tasks.evaluation.analyses import figures, group_numbers, groups_of, in_groups
from tasks.evaluation.analyses import numbers as of_figures
from tasks.evaluation.clusterings import clusterings
from tasks.evaluation.evaluation import Evaluation
from tasks.evaluation.fusion import TITLES, Fusion, fusion
from tasks.evaluation.neighbours import LabelAgreement, neighbours
from tasks.evaluation.novelty import agreement, detectors
from tasks.evaluation.scorers import Classes, Difference, Numbers, Said, aligned, of_split
from tasks.features.view import View, has_view, load_view, rows_of, trained_for
from tasks.miners.probability_calibration import calibrate_network, of_network, probabilities
from tasks.stats.intervals import Interval
from tasks.stats.resampling import Resampling
from tasks.storage.ledger import ledger
from tasks.storage.names import BESIDE, PREDICTIONS
from tasks.storage.store import read, read_manifest
from tasks.storage.summaries import CalibratedOn, MineSummary, read_mine_summary

if TYPE_CHECKING:
    from tasks.config.evaluate import Evaluate

SPLITS = ("val", "test")


def evaluate(
    *, params: "Evaluate", raw: Path, rejected: Path, clean: Path, items: Path, features: Path, miners: Path,
    crossvalidation: Path, metrics: Path, evaluation: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Test-set figures to ``metrics`` (numbers for DVC) and ``evaluation`` (tables and sentences for the report).

    Of several miners that an approach could have, the one that does best on val rows stands for it.

    Raises:
        DeepmineError: `evaluate.positive` names no class of two.
    """
    predictions, sampling = read(miners / PREDICTIONS), Resampling(params.confidence, params.resamples, params.seed)
    objective, mined = trained_for(features), read_mine_summary(miners)
    names = [c for c in predictions.column_names if "@" in c and not c.endswith(BESIDE)]
    clusterers = sorted(mined.of_kind("clusterer", names))
    outliers = sorted(mined.of_kind("outlier_detector", names))
    learned = [n for n in names if n not in (*clusterers, *outliers)]
    said = {split: of_split(predictions, split, learned, mined.aim == "regression") for split in SPLITS}
    grouped = clusterings(clusterers, predictions, features, items, mined, sampling, params.silhouette_rows)
    unsupervised = objective == "autoencoder" or mined.aim == "clusters"
    about_clusters = sentences.clusters(grouped.cluster_pairs, grouped.clusters, mined.curves) if unsupervised else ""
    if mined.aim == "clusters" or not len(said["test"].ids):
        judged = _nothing(about_clusters or "No test row has a label, so nothing can be evaluated.", params.confidence)
    else:
        groups, in_words = in_groups(groups_of(raw, said["test"].ids))
        said["test"] = replace(said["test"], groups=groups)
        said["val"] = replace(said["val"], groups=group_numbers(groups_of(raw, said["val"].ids)))
        judged = {"groups": in_words} | _judged(said, mined, features, items, objective, params, sampling)
        sentence = " ".join(filter(None, [about_clusters, judged["fusion"].sentence]))
        judged["fusion"] = replace(judged["fusion"], sentence=sentence)
    fused, best = judged["fusion"], judged["best"]
    crossed = cross_validation.figures(crossvalidation, sampling)
    result = Evaluation(
        objective=objective, aim=mined.aim, test_rows=predictions["split"].to_pylist().count("test"),
        counts=ledger(raw, rejected, clean, features, miners),
        verdict=" ".join(filter(None, [fused.sentence, crossed.sentence])), **judged,
        clusters=grouped.clusters, cluster_pairs=grouped.cluster_pairs, agreement=grouped.agreement,
        profiles=grouped.profiles,
        counts_tried={k: {**curve, "sentence": sentences.counted(k, curve)} for k, curve in mined.curves.items()},
        neighbours=_neighbours(predictions, features, mined.aim),
        detectors=detectors(predictions, outliers, (said["test"], fused.ways[best]["by"]) if best else None, sampling),
        detector_pairs=agreement(predictions, outliers), cross_validation=crossed,
        chosen=mined.chosen, skipped=mined.skipped, rules=mined.rules, kernel_maps=mined.kernel_maps,
    )  # fmt: skip
    write_json(metrics, numbers(result))
    write_json(evaluation, as_json(result) | {"files": named(evaluation.parent, metrics.name)})
    progress(result.test_rows, result.test_rows, "test rows")
    return {"rows": result.test_rows, "verdict": result.verdict}


def _neighbours(predictions: pa.Table, features: Path, aim: str) -> dict[str, LabelAgreement]:
    """What the nearest train rows say of the labels, where these are classes."""
    names = [c.removesuffix(".like") for c in predictions.column_names if c.endswith(".like")]
    if aim != "classification":
        return {}
    return {name: neighbours(predictions, name, load_view(features, name.partition("@")[2])) for name in names}


def _nothing(words: str, confidence: float) -> dict[str, Any]:
    """What stands in the evaluation where no prediction can be judged."""
    empty = Fusion({}, {}, words, confidence, None, {"ways": {}, "pairs": {}}, None, None, "")
    nothing: dict[str, Any] = {
        "labels": [],
        "scores": {},
        "confusion": {},
        "calibrated": {},
        "titles": list(TITLES.items()),
    }
    return nothing | {"fusion": empty} | dict.fromkeys(("positive", "best", "figures", "groups"))


def _judged(
    said: dict[str, Said],
    mined: MineSummary,
    features: Path,
    items: Path,
    objective: str,
    params: "Evaluate",
    sampling: Resampling,
) -> dict[str, Any]:
    view = load_view(features, "network")
    judge: Classes | Numbers
    positive, calibrated = None, dict[str, CalibratedOn]()
    known = view.rows("train", "val") & view.known
    folds = {name: made.score for name, made in mined.folds.items()}
    if mined.aim == "regression":
        views = {"naive": load_view(features, "naive")} if has_view(features, "naive") else {}
        naive = views.get("naive")
        if objective in ("regression", "forecasting"):
            views["network"] = view
        _add_numbers(said, views)
        constant = np.median(view.targets(view.rows("train") & view.known), axis=0)
        if folds:
            baselines = {"constant": constant} | ({} if naive is None else {"naive": naive.X[known]})
            folds |= {n: -float(np.abs(view.targets(known) - made).mean()) for n, made in baselines.items()}
        judge = Numbers(said["test"], _scale(naive) if naive is not None else None, sampling)
    else:
        counts = Counter(view.label[view.rows("train") & view.known].tolist())
        classes = sorted(counts)
        positive = _positive(classes, counts, params.positive)
        for rows in said.values():
            for name, shares in rows.probabilities.items():
                rows.probabilities[name] = aligned(shares, mined.classes, classes)
        calibrated = dict(mined.calibrated)
        if objective == "classification":
            calibrated |= _add_network(said, view, features, classes)
        constant = np.array(max(classes, key=lambda label: counts[label]))
        folds |= {"constant": float((view.label[known] == constant).mean())} if folds else {}
        judge = Classes(said["test"], classes, positive, sampling)
    _add_constant(said, constant)
    scores = {name: judge.score(name) for name in said["test"].by}
    fused, approaches = fusion(judge, said["val"], mined.miners, scores, folds)
    # confusions and curves of a constant tell nothing
    best, chosen = approaches.best, {way: name for way, name in approaches.chosen.items() if way != "constant"}
    details: dict[str, Any] = {"confusion": {}, "figures": None}
    if best:
        details |= judge.details(chosen, best)
        details["figures"] = figures(judge, said["val"], chosen, best, items, params)
    return {"labels": judge.labels, "positive": positive, "scores": scores, "fusion": fused, "best": best,
            "titles": list(approaches.titles.items()), "calibrated": calibrated, **details}  # fmt: skip


def _positive(classes: list[str], counts: dict[str, int], named: str | None) -> str | None:
    """Of two classes the one that figures are told of: the one ``named``, else the rarer in train."""
    if named is not None and named not in classes:
        raise DeepmineError(f"evaluate.positive: '{named}' is not a class of this dataset ({', '.join(classes)}).")
    if len(classes) != 2:
        return None
    return named or min(reversed(classes), key=lambda label: counts[label])


def _add_network(said: dict[str, Said], view: View, features: Path, classes: list[str]) -> dict[str, CalibratedOn]:
    """The network's own verdict: its most probable class, and of two the probability of the second.

    Its probabilities are calibrated on val rows as those of miners are; how, is returned.
    """
    labels = json.loads(read_manifest(features / "network").metadata["labels"])
    shares = {split: view.X[rows_of(view, rows.ids)] for split, rows in said.items()}
    made = calibrate_network(of_network(shares["val"]), said["val"].truth, labels)
    for split, rows in said.items():
        own = shares[split]
        rows.by["network"] = np.array(labels)[own.argmax(1)]
        better = probabilities(made.calibrator, of_network(own))
        rows.probabilities["network"] = aligned(own if better is None else better, labels, classes)
        if len(classes) == 2 and classes[1] in labels:
            rows.scores["network"] = own[:, labels.index(classes[1])].astype(np.float64)
    return {"network": CalibratedOn(made.method, made.rows, made.on)}


def _add_numbers(said: dict[str, Said], views: dict[str, View]) -> None:
    """What the network predicts, and the naive forecast where there is one."""
    for rows in said.values():
        for name, view in views.items():
            rows.by[name] = view.X[rows_of(view, rows.ids)].astype(np.float64)


def _add_constant(said: dict[str, Said], value: np.ndarray) -> None:
    """What is right most often, or nearest on average, without a look at the row: ``value``, made of train labels."""
    for rows in said.values():
        rows.by["constant"] = np.broadcast_to(value, rows.truth.shape)


def _scale(naive: View) -> float | None:
    """Mean absolute error of the naive forecast on train rows."""
    rows = naive.rows("train") & naive.known
    error = float(np.abs(naive.X[rows] - naive.targets(rows)).mean())
    return error if error > 0 else None


def numbers(result: Evaluation) -> dict[str, Any]:
    """The nested numbers of metrics.json; clusters of the deep view stand under the miner's bare name."""
    own, slices = of_figures(result.figures)
    pairs = {name.replace(" - ", "_minus_"): _bounded(as_json(pair)) for name, pair in result.fusion.pairs.items()}
    rows = {
        stage: {"in": c["in"], "accepted": c["accepted"], "quarantined": sum(c["quarantined"].values())}
        for stage, c in result.counts.items()
    }
    miners = {
        name: {k: v for k, v in _bounded(scores).items() if k not in ("low", "high")}
        for name, scores in result.scores.items()
    }
    ways = {way: _bounded(values) | _bounded(own.get(way, {})) for way, values in result.fusion.ways.items()}
    told = {
        "fusion": {**ways, "differences": pairs},
        "clusters": {name.removesuffix("@deep"): _bounded(values) for name, values in result.clusters.items()},
        "miners": miners, "rows": rows,
    }  # fmt: skip
    if result.rules:
        told["rules"] = {
            over: {name: values.get(name, 0) for name in ("kept", "held_up")} for over, values in result.rules.items()
        }
    if slices:
        told["slices"] = slices
    if result.cross_validation.ways:
        told["cross_validation"] = cross_validation.scalars(result.cross_validation)
    if result.cluster_pairs:
        told["cluster_differences"] = {name: _bounded(as_json(pair)) for name, pair in result.cluster_pairs.items()}
    return told


def _bounded(values: dict[str, Any]) -> dict[str, Any]:
    """The numbers among ``values``, an interval as two of them; those of one class or curve with that before them."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Interval):
            before = key.removesuffix("interval")
            flat |= {f"{before}low": value.low, f"{before}high": value.high}
        elif isinstance(value, Difference):
            flat |= {f"{key}_{inner}": number for inner, number in _bounded(as_json(value)).items()}
        elif key == "positive" and isinstance(value, dict):
            flat |= {f"{key}_{inner}": number for inner, number in _bounded(value).items()}
        elif isinstance(value, int | float):
            flat[key] = value
    return flat
