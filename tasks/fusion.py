"""Did fusion pay? Approaches, with and without a network, compared on the same test rows."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tasks.conclusions import ROLES, Table, conclude, in_words
from tasks.grouped import methods

if TYPE_CHECKING:
    # this brings scikit-learn, which whoever shows a `table` need not wait for
    from tasks.judges import Classes, Numbers, Said

SVM, BOOSTING = ("linear_svm", "rbf_svm", "poly_svm", "nystroem_svm"), ("gradient_boosting",)
#: Predictions without any model, and what each is called where labels are classes and where they are numbers.
BASELINES = {
    "constant": ("always the commonest class", "always the train median"), "naive": ("seasonal naive", "seasonal naive")
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One approach: the best of some ``miners`` on a ``view`` (of all that no other approach has: None), or its own name.

    Attributes:
        kind: `plain` needs no network, `network` is the network alone, `fused` is a miner on its deep features.
    """

    title: str
    kind: str
    view: str | None = None
    miners: tuple[str, ...] | None = None


WAYS = {
    "constant": Way("constant prediction", "plain"),
    "naive": Way("seasonal naive", "plain"),
    "raw_svm": Way("raw → SVM", "plain", "raw", SVM),
    "raw_boosting": Way("raw → gradient boosting", "plain", "raw", BOOSTING),
    "raw_other": Way("raw → other miner", "plain", "raw"),
    "network": Way("the network alone", "network"),
    "deep_svm": Way("deep → SVM", "fused", "deep", SVM),
    "deep_other": Way("deep → other miner", "fused", "deep"),
    "both_svm": Way("raw + deep → SVM", "fused", "raw+deep", SVM),
    "both_other": Way("raw + deep → other miner", "fused", "raw+deep"),
}
#: What a person reads for each approach.
TITLES = {key: way.title for key, way in WAYS.items()}
#: Differences that are shown wherever both approaches were judged, beside those that the conclusion rests on.
PAIRS = (
    ("deep_svm", "network"), ("deep_svm", "raw_svm"), ("deep_svm", "raw_boosting"), ("both_svm", "deep_svm"),
    ("network", "raw_svm"), ("network", "raw_boosting"), ("network", "naive"), ("deep_svm", "naive"),
)  # fmt: skip


def fusion(judge: "Classes | Numbers", val: "Said", kinds: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    """The table of approaches, their differences, and what follows; all choices are made on ``val`` rows.

    Args:
        kinds: name of each miner in params.yaml -> its entry `miner` in the registry.
        scores: every figure of each verdict on test rows.
    """
    chosen = choose(judge, val, kinds)
    merits = {way: judge.merit(name, val) if len(val.ids) else 0.0 for way, name in chosen.items()}
    ways = {
        way: {"by": name, **{k: v for k, v in scores[name].items() if k != "classes"}} for way, name in chosen.items()
    }
    told = titles(judge.measure)
    learned = [way for way in chosen if way not in BASELINES]
    found: dict[str, Any] = {
        "ways": ways, "pairs": {}, "sentence": "", "confidence": judge.params.confidence, "measure": judge.measure,
        "methods": {"ways": methods(ways.values()), "pairs": {}},
        "best": "", "raw": None, "chosen": chosen, "titles": told, "conclusion": None,
    }  # fmt: skip
    if not learned:
        return found
    # picked on val rows: the best of several on test rows would flatter itself
    best = max(learned, key=lambda way: merits[way])
    picked = {kind: way for kind in ("fused", "network", "plain") if (way := _best(kind, merits))}
    plain = tuple(way for way in chosen if WAYS[way].kind == "plain")
    baselines = tuple(way for way in chosen if way in BASELINES)
    compared = _compared(judge, chosen)
    table = Table(ways, told, judge.measure, compared, plain, baselines, best)
    concluded = conclude(table, picked)
    shown = [*PAIRS, *((picked.get(a), picked.get(b)) for a, b in ROLES), (best, picked["plain"]), (best, "naive")]
    pairs = {f"{a} - {b}": compared(a, b) for a, b in dict.fromkeys(shown) if a in chosen and b in chosen and a != b}
    found["methods"]["pairs"] = methods(pairs.values())
    return found | {
        "pairs": pairs, "sentence": in_words(concluded, table), "best": best, "raw": concluded.plain,
        "conclusion": asdict(concluded) | {"paid": concluded.paid},
    }  # fmt: skip


def _compared(judge: "Classes | Numbers", chosen: dict[str, str]) -> Callable[[str, str], dict[str, Any]]:
    """The paired difference of two approaches on test rows, each made once."""
    return cache(lambda a, b: judge.pair(chosen[a], chosen[b]))


def _best(kind: str, merits: dict[str, float]) -> str | None:
    """The approach of a kind that val rows favour; of equals the first that learns something."""
    mine = [way for way in merits if WAYS[way].kind == kind]
    return max(mine, key=lambda way: (merits[way], way not in BASELINES), default=None)


def titles(measure: dict[str, str]) -> dict[str, str]:
    """What a person reads for each approach where verdicts are judged by ``measure``."""
    at = 0 if measure["unit"] == "share" else 1
    return TITLES | {name: told[at] for name, told in BASELINES.items()}


def choose(judge: "Classes | Numbers", val: "Said", kinds: dict[str, Any]) -> dict[str, str]:
    """way -> the verdict that stands for it: of several miners the best on val rows; of equals, or without any, the first."""
    found = {}
    for key in WAYS:
        names = candidates(key, list(judge.test.by), kinds)
        if names:
            found[key] = max(names, key=lambda name: judge.merit(name, val) if len(val.ids) else 0.0)
    return found


def candidates(key: str, names: list[str], kinds: dict[str, Any]) -> list[str]:
    """Those of the verdicts ``names`` that may stand for the approach ``key``."""
    way = WAYS[key]
    if way.view is None:
        return [key] if key in names else []
    taken = {miner for other in WAYS.values() if other.view == way.view for miner in other.miners or ()}
    here = {name: kinds[name.partition("@")[0]]["miner"] for name in names if name.partition("@")[2] == way.view}
    return [name for name, miner in here.items() if (miner in way.miners if way.miners else miner not in taken)]


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
            row |= {"RMSE": f"{v['rmse']:.4g}", "R2": f"{v['r2']:.3f}"}
        if (v.get("positive") or {}).get("auc") is not None:
            row |= {"F1 (positive class)": f"{v['positive']['f1']:.2%}", "AUC": f"{v['positive']['auc']:.4f}"}
        rows.append(row)
    return rows
