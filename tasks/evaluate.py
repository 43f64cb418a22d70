"""evaluate: how good each miner is on rows that nothing was fitted on, and whether fusion paid."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.metrics import classification, clustering, confusion, paired_difference
from tasks.progress import Progress
from tasks.store import PREDICTIONS, SUMMARY, read, read_manifest, write_json
from tasks.views import load_view

if TYPE_CHECKING:
    from tasks.config import Evaluate

#: The four ways that "Did fusion pay?" compares, as key -> view (None: the network's own verdict).
WAYS = {"raw_svm": "raw", "network": None, "deep_svm": "deep", "both_svm": "raw+deep"}
#: What a person reads for each way.
TITLES = {
    "raw_svm": "raw → SVM",
    "network": "the network alone",
    "deep_svm": "deep → SVM",
    "both_svm": "raw + deep → SVM",
}


def evaluate(
    *, params: "Evaluate", raw: Path, unreadable: Path, rejected: Path, clean: Path, features: Path,
    miners: Path, metrics: Path, evaluation: Path, progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Test-set figures to ``metrics`` (numbers for DVC) and ``evaluation`` (tables and sentences for the report).

    Where several SVMs were fitted on a view, the one with the best val accuracy stands for it.
    """
    predictions = read(miners / PREDICTIONS).to_pandas()
    table = predictions[predictions["split"] == "test"].reset_index(drop=True)
    truth = table["label"].to_numpy(str)
    network = _network_verdict(features)
    predictions["network"] = predictions["id"].map(network)
    table["network"] = table["id"].map(network)
    labels = sorted(set(truth.tolist()))
    names = [c for c in table.columns if "@" in c]
    kinds = json.loads((miners / SUMMARY).read_bytes())
    clusterers = {n for n in names if kinds[n.partition("@")[0]]["clusterer"]}
    machines = [n for n in names if kinds[n.partition("@")[0]]["miner"].endswith("_svm")]
    classifiers = [n for n in names if n not in clusterers] + ["network"]
    scores = {n: classification(truth, table[n].to_numpy(str), labels, params.confidence) for n in classifiers}
    val = predictions[predictions["split"] == "val"]
    chosen = {way: _choose(view, machines, val) for way, view in WAYS.items()}
    fusion = _fusion(chosen, scores, table, truth, params)
    clusters = _clusters(sorted(clusterers), table, features, params)
    counts = _counts(raw, unreadable, rejected, clean, features, miners)
    write_json(metrics, _numbers(scores, fusion, clusters, counts))
    # picked on val rows: the best of several on test rows would flatter itself
    best = max(fusion["ways"], key=lambda way: _val_accuracy(chosen[way], val))
    write_json(
        evaluation,
        {
            "labels": labels, "test_rows": len(table), "scores": scores, "fusion": fusion, "best": best,
            "titles": list(TITLES.items()), "clusters": clusters, "counts": counts,
            "confusion": {w: confusion(truth, table[n].to_numpy(str), labels) for w, n in chosen.items() if n},
        },
    )  # fmt: skip
    progress(len(table), len(table), "test rows", note=fusion["sentence"])
    return {"rows": len(table), "verdict": fusion["sentence"]}


def sentence(ways: dict[str, dict[str, Any]], pairs: dict[str, dict[str, Any]]) -> str:
    """What follows from the table, for a person who reads one sentence of it."""
    if "deep_svm" not in ways or "network" not in ways:
        return "No SVM was fitted on the deep view, so nothing can be said of fusion."

    def shown(name: str) -> str:
        pair = pairs[name]
        return f"{pair['difference'] * 100:+.1f} points ({pair['interval'][0] * 100:+.1f} to {pair['interval'][1] * 100:+.1f})"

    parts = []
    gain = pairs["deep_svm - network"]["interval"]
    if gain[0] > 0:
        parts.append(
            f"Fusion paid: an SVM on the deep features beats the network alone by {shown('deep_svm - network')}."
        )
    elif gain[1] < 0:
        parts.append(
            f"Fusion did not pay: an SVM on the deep features is worse than the network alone, {shown('deep_svm - network')}."
        )
    else:
        parts.append(
            f"An SVM on the deep features and the network alone cannot be told apart, {shown('deep_svm - network')}: "
            "the network alone is the simpler choice."
        )
    if "deep_svm - raw_svm" in pairs:
        gain = pairs["deep_svm - raw_svm"]["interval"]
        if gain[0] > 0:
            parts.append(f"Deep features are worth their training: {shown('deep_svm - raw_svm')} over the raw view.")
        elif gain[1] < 0:
            parts.append(
                f"The raw view alone does better than deep features: {shown('deep_svm - raw_svm')}. Train no network here."
            )
        else:
            parts.append(
                f"The raw view alone is as good as deep features, {shown('deep_svm - raw_svm')}, and far cheaper."
            )
    if "both_svm - deep_svm" in pairs:
        gain = pairs["both_svm - deep_svm"]["interval"]
        adds = "adds" if gain[0] > 0 else "costs" if gain[1] < 0 else "changes nothing that can be measured:"
        parts.append(f"Laying the raw view beside the deep one {adds} {shown('both_svm - deep_svm')}.")
    return " ".join(parts)


def _network_verdict(features: Path) -> dict[str, str]:
    """id -> the label with the highest probability."""
    labels = json.loads(read_manifest(features / "network").metadata["labels"])
    view = load_view(features, "network")
    return dict(zip(view.ids.tolist(), np.array(labels)[view.X.argmax(1)].tolist(), strict=True))


def _choose(view: str | None, machines: list[str], val: Any) -> str | None:
    """The support vector machine on ``view`` that does best on val rows; ties and no val rows: the first."""
    if view is None:
        return "network"
    names = [n for n in machines if n.partition("@")[2] == view]
    return max(names, key=lambda n: _val_accuracy(n, val), default=None)


def _val_accuracy(name: str | None, val: Any) -> float:
    return float((val[name] == val["label"]).mean()) if name and len(val) else 0.0


def _fusion(
    chosen: dict[str, str | None], scores: dict[str, Any], table: Any, truth: np.ndarray, params: "Evaluate"
) -> dict[str, Any]:
    ways = {
        way: {"by": name, **{k: v for k, v in scores[name].items() if k != "classes"}}
        for way, name in chosen.items() if name
    }  # fmt: skip
    hits = {way: table[chosen[way]].to_numpy(str) == truth for way in ways}
    wanted = [
        ("deep_svm", "network"),
        ("deep_svm", "raw_svm"),
        ("both_svm", "deep_svm"),
        ("network", "raw_svm"),
    ]
    pairs = {
        f"{a} - {b}": paired_difference(hits[a], hits[b], params.confidence, params.resamples, params.seed)
        for a, b in wanted if a in hits and b in hits
    }  # fmt: skip
    return {"ways": ways, "pairs": pairs, "sentence": sentence(ways, pairs), "confidence": params.confidence}


def _clusters(names: list[str], table: Any, features: Path, params: "Evaluate") -> dict[str, Any]:
    found = {}
    for name in names:
        view = load_view(features, name.partition("@")[2])
        mask = view.rows("test")
        clusters = dict(zip(table["id"], table[name], strict=True))
        assigned = np.array([clusters[i] for i in view.ids[mask].tolist()])
        rng = np.random.default_rng(params.seed)
        sample = rng.permutation(len(assigned))[: params.silhouette_rows]
        found[name] = clustering(view.label[mask], assigned, view.X[mask], sample)
    return found


def _counts(raw: Path, unreadable: Path, rejected: Path, clean: Path, features: Path, miners: Path) -> dict[str, Any]:
    """The ledger: rows in, accepted and quarantined of each stage, each stage's `in` being the last one's `accepted`."""
    summary = json.loads((rejected / SUMMARY).read_bytes())
    kept = read_manifest(clean).counts
    lost = {reason: n for reason, n in kept["quarantined"].items() if reason != "rejected by validate"}
    ledger = {
        "ingest": read_manifest(raw).counts,
        "validate": {k: summary[k] for k in ("in", "accepted", "quarantined")},
        "clean": {"in": summary["accepted"], "accepted": kept["accepted"], "quarantined": lost},
        "extract": read_manifest(features / "deep").counts,
    }
    before = ledger["ingest"]["accepted"]
    for stage in ("validate", "clean", "extract"):
        if ledger[stage]["in"] != before:
            raise ValueError(f"rows unaccounted for before {stage}: {before} came out, {ledger[stage]['in']} went in")
        before = ledger[stage]["accepted"]
    ledger["mine"] = read_manifest(miners / PREDICTIONS).counts
    return ledger


def _numbers(
    scores: dict[str, Any], fusion: dict[str, Any], clusters: dict[str, Any], counts: dict[str, Any]
) -> dict[str, Any]:
    """The nested numbers of metrics.json; clusters of the deep view stand under the miner's bare name."""
    named = {name.removesuffix("@deep"): values for name, values in clusters.items()}
    ways = {
        way: {"accuracy": v["accuracy"], "low": v["interval"][0], "high": v["interval"][1],
              "precision": v["precision"], "recall": v["recall"], "f1": v["f1"]}
        for way, v in fusion["ways"].items()
    }  # fmt: skip
    pairs = {
        name.replace(" - ", "_minus_"): {
            "difference": p["difference"],
            "low": p["interval"][0],
            "high": p["interval"][1],
        }
        for name, p in fusion["pairs"].items()
    }
    rows = {
        stage: {"in": c["in"], "accepted": c["accepted"], "quarantined": sum(c["quarantined"].values())}
        for stage, c in counts.items()
    }
    miners = {name: {k: v[k] for k in ("accuracy", "precision", "recall", "f1")} for name, v in scores.items()}
    return {"fusion": {**ways, "differences": pairs}, "clusters": named, "miners": miners, "rows": rows}
