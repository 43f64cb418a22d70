"""Did fusion pay? Ways to a verdict, from the raw view alone to both views together, compared on the same rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.sentences import sentence

if TYPE_CHECKING:
    # this brings scikit-learn, which whoever shows a `table` need not wait for
    from tasks.judges import Classes, Numbers, Said

SVM, BOOSTING = ("linear_svm", "rbf_svm", "poly_svm", "nystroem_svm"), ("gradient_boosting",)


@dataclass(frozen=True)
class Way:
    """One way to a verdict: the best of some ``miners`` on a ``view``, or what its name says."""

    title: str
    view: str | None = None
    miners: tuple[str, ...] = ()


WAYS = {
    "naive": Way("seasonal naive"),
    "raw_svm": Way("raw → SVM", "raw", SVM),
    "raw_boosting": Way("raw → gradient boosting", "raw", BOOSTING),
    "network": Way("the network alone"),
    "deep_svm": Way("deep → SVM", "deep", SVM),
    "both_svm": Way("raw + deep → SVM", "raw+deep", SVM),
}
#: What a person reads for each way.
TITLES = {key: way.title for key, way in WAYS.items()}
#: Differences that are of interest.
PAIRS = (
    ("deep_svm", "network"), ("deep_svm", "raw_svm"), ("deep_svm", "raw_boosting"), ("both_svm", "deep_svm"),
    ("network", "raw_svm"), ("network", "raw_boosting"), ("network", "naive"), ("deep_svm", "naive"),
)  # fmt: skip


def fusion(judge: "Classes | Numbers", val: "Said", kinds: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    """The table of ways, their differences, and what follows; all choices are made on ``val`` rows.

    Args:
        kinds: name of each miner in params.yaml -> its entry `miner` in the registry.
        scores: every figure of each verdict on test rows.
    """
    chosen = choose(judge, val, kinds)
    merits = {way: judge.merit(name, val) if len(val.ids) else 0.0 for way, name in chosen.items()}
    ways = {
        way: {"by": name, **{k: v for k, v in scores[name].items() if k != "classes"}} for way, name in chosen.items()
    }
    # picked on val rows: the best of several on test rows would flatter itself
    learned = [way for way in chosen if way != "naive"]
    best = max(learned, key=lambda way: merits[way], default="")
    raw = max((w for w in learned if w.startswith("raw_")), key=lambda way: merits[way], default="raw_svm")
    wanted = dict.fromkeys([*PAIRS, (best, raw), (best, "naive")])
    pairs = {
        f"{a} - {b}": judge.pair(chosen[a], chosen[b]) for a, b in wanted if a in chosen and b in chosen and a != b
    }
    return {
        "ways": ways, "pairs": pairs, "sentence": sentence(ways, pairs, judge.measure, raw, best),
        "confidence": judge.params.confidence, "measure": judge.measure, "best": best, "raw": raw, "chosen": chosen,
    }  # fmt: skip


def choose(judge: "Classes | Numbers", val: "Said", kinds: dict[str, Any]) -> dict[str, str]:
    """way -> the verdict that stands for it: of several miners the best on val rows; of equals, or without any, the first."""
    found = {}
    for key, way in WAYS.items():
        names = [key] if way.view is None else [
            n for n in judge.test.by if n.partition("@")[2] == way.view and kinds[n.partition("@")[0]]["miner"] in way.miners
        ]  # fmt: skip
        names = [name for name in names if name in judge.test.by]
        if names:
            found[key] = max(names, key=lambda name: judge.merit(name, val) if len(val.ids) else 0.0)
    return found


def table(result: dict[str, Any]) -> list[dict[str, str]]:
    """One row of text a way, for places that show plain tables; ``result`` is what `evaluate` wrote."""
    found = result["fusion"]
    measure, titles = found["measure"], dict(result["titles"])
    rows = []
    for way, v in found["ways"].items():
        values = [v[measure["key"]], *v["interval"]]
        value, low, high = (f"{x:.2%}" if measure["unit"] == "share" else f"{x:.4g}" for x in values)
        row = {"way": titles[way], "by": v["by"], measure["title"]: value, "interval": f"{low} to {high}"}
        if measure["key"] == "accuracy":
            row["F1 (macro)"] = f"{v['f1']:.2%}"
        elif v["r2"] is not None:
            row["R2"] = f"{v['r2']:.3f}"
        if (v.get("positive") or {}).get("auc") is not None:
            row |= {"F1 (positive class)": f"{v['positive']['f1']:.2%}", "AUC": f"{v['positive']['auc']:.4f}"}
        rows.append(row)
    return rows
