"""Did fusion pay? Approaches, with and without a network, compared on the same test rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.core.text import many
from tasks.evaluation.conclusions import ROLES, Conclusion, Table, conclude, in_words
from tasks.metrics import secondary
from tasks.splitting.folds import rank
from tasks.stats.cluster_robust import standard_error
from tasks.stats.intervals import methods
from tasks.storage.summaries import MinerKind

if TYPE_CHECKING:
    # this brings scikit-learn, which whoever shows a `table` need not wait for
    from tasks.evaluation.scorers import Classes, Difference, Numbers, Said

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
#: Kinds of approaches, the simplest first.
KINDS = ("plain", "network", "fused")
#: What a person reads for each approach.
TITLES = {key: way.title for key, way in WAYS.items()}
#: Differences that are shown wherever both approaches were judged, beside those that the conclusion rests on.
PAIRS = (
    ("deep_svm", "network"), ("deep_svm", "raw_svm"), ("deep_svm", "raw_boosting"), ("both_svm", "deep_svm"),
    ("network", "raw_svm"), ("network", "raw_boosting"), ("network", "naive"), ("deep_svm", "naive"),
)  # fmt: skip


@dataclass(frozen=True)
class Fusion:
    """The table of approaches, and whether fusion paid.

    Attributes:
        ways: approach -> the prediction it is `by`, and every metric of it.
        pairs: `A - B` -> the metric of the first approach minus that of the second.
        sentence: what follows, in words.
        measure: key, title, direction and unit of the metric that approaches are compared by.
        methods: of the intervals in ``ways`` and ``pairs``.
        raw: the best approach without a network.
        reason: why the best approach was chosen, as a clause.
    """

    ways: dict[str, dict[str, Any]]
    pairs: dict[str, "Difference"]
    sentence: str
    confidence: float
    measure: dict[str, str] | None
    methods: dict[str, dict[str, str]]
    raw: str | None
    conclusion: Conclusion | None
    reason: str


@dataclass(frozen=True)
class Approaches:
    """Which approach is the ``best``, which prediction was ``chosen`` to stand for each, and their ``titles``."""

    best: str
    chosen: dict[str, str]
    titles: dict[str, str]


class Choice:
    """By what approaches are chosen: val rows; where these are few, also folds of train and val rows.

    Folds are asked of what needs no network, where they are honest, and among miners of one view (`folds.rank`). A network
    is too dear to be made anew for each fold, so that between what needs one and what needs none val rows decide even if
    they are few, or of few groups: the simplest approach within a standard error of the best (Breiman et al. 1984), which
    counts groups of val rows where there are any.

    Args:
        folds: verdict -> its figure in folds.
    """

    def __init__(self, judge: "Classes | Numbers", val: "Said", folds: dict[str, float]) -> None:
        self.judge, self.val, self.folds = judge, val, folds

    def words(self, kind: str, title: str, others: bool) -> str:
        """Why the approach called ``title`` was chosen, as a clause; ``others``: there were some of other kinds."""
        rows = len(self.val.ids)
        if not rows:
            return f"Without val rows the simplest approach was chosen, {title}"
        val = f"{many(rows, 'val row', 'val rows')}"
        if self.val.groups is not None:
            val += f" of {many(len(np.unique(self.val.groups)), 'group', 'groups')}"
        if kind != KINDS[0]:
            return f"{val} favour {title}" + (", by more than a standard error over what is simpler" if others else "")
        first = f"{'folds of train and val rows' if self.folds else val} favour {title}"
        first = f"{first[0].upper()}{first[1:]}"
        if not others:
            return first
        return f"{first} among what needs no network, and by {val} nothing with a network is a standard error better"

    def best(self, names: list[str]) -> str:
        """The best of miners of one view, or of what needs no network; of equals, or without any figure, the first."""
        folds = self.folds if all(name in self.folds for name in names) else {}
        return max(names, key=lambda n: rank(n.partition("@")[2], self._merit(n), folds.get(n)))

    def simplest(self, names: list[str]) -> str:
        """The first of ``names`` that is no standard error worse on val rows than the best of them."""
        best = max(names, key=self._merit)
        sign = 1 if self.judge.measure["better"] == "higher" else -1
        top = sign * self.judge.values(best, self.val).astype(np.float64)
        for name in names:
            lost = top - sign * self.judge.values(name, self.val)
            groups = np.arange(len(lost)) if self.val.groups is None else self.val.groups
            if len(np.unique(groups)) < 2 or lost.mean() <= standard_error(lost, groups):
                return name
        return best

    def _merit(self, name: str) -> float:
        return self.judge.merit(name, self.val) if len(self.val.ids) else 0.0


def fusion(
    judge: "Classes | Numbers", val: "Said", kinds: dict[str, MinerKind], scores: dict[str, Any],
    folds: dict[str, float] | None = None,
) -> tuple[Fusion, Approaches]:  # fmt: skip
    """The table of approaches, their differences, and what follows; all choices are made on ``val`` rows and ``folds``.

    Args:
        kinds: name of each miner in params.yaml -> its entry `miner` in the registry.
        scores: every figure of each verdict on test rows.
    """
    choice = Choice(judge, val, folds or {})
    named = {key: candidates(key, list(judge.test.by), kinds) for key in WAYS}
    chosen = {key: choice.best(names) for key, names in named.items() if names}
    ways = {
        way: {"by": name, **{k: v for k, v in scores[name].items() if k != "classes"}} for way, name in chosen.items()
    }
    told = titles(judge.measure)
    learned = [way for way in chosen if way not in BASELINES]
    confidence, used = judge.sampling.confidence, {"ways": methods(ways.values()), "pairs": dict[str, str]()}
    if not learned:
        return Fusion(ways, {}, "", confidence, judge.measure, used, None, None, ""), Approaches("", chosen, told)
    picked = {kind: way for kind in KINDS if (way := _best(kind, list(chosen), chosen, choice))}
    best, reason = _of_all(learned, chosen, choice, told)
    plain = tuple(way for way in chosen if WAYS[way].kind == "plain")
    baselines = tuple(way for way in chosen if way in BASELINES)
    compared = _compared(judge, chosen)
    table = Table(ways, told, judge.measure, compared, plain, baselines, best, reason)
    concluded = conclude(table, picked)
    shown = [*PAIRS, *((picked.get(a), picked.get(b)) for a, b in ROLES), (best, picked["plain"]), (best, "naive")]
    pairs = {f"{a} - {b}": compared(a, b) for a, b in dict.fromkeys(shown) if a in chosen and b in chosen and a != b}
    used["pairs"] = methods(pairs.values())
    sentence = in_words(concluded, table)
    fused = Fusion(ways, pairs, sentence, confidence, judge.measure, used, concluded.plain, concluded, reason)
    return fused, Approaches(best, chosen, told)


def _of_all(learned: list[str], chosen: dict[str, str], choice: Choice, titles: dict[str, str]) -> tuple[str, str]:
    """The best approach that learns something, which may need a network or none; and why it was chosen."""
    ofs = [way for kind in KINDS if (way := _best(kind, learned, chosen, choice))]
    names = [chosen[way] for way in ofs]
    best = ofs[names.index(choice.simplest(names))]
    return best, choice.words(WAYS[best].kind, titles[best], len(ofs) > 1)


def _best(kind: str, ways: list[str], chosen: dict[str, str], choice: Choice) -> str | None:
    """The approach of a kind that is favoured; of equals the first that learns something."""
    mine = sorted((way for way in ways if WAYS[way].kind == kind), key=lambda way: way in BASELINES)
    return mine[[chosen[way] for way in mine].index(choice.best([chosen[way] for way in mine]))] if mine else None


def _compared(judge: "Classes | Numbers", chosen: dict[str, str]) -> "Callable[[str, str], Difference]":
    """The paired difference of two approaches on test rows, each made once."""
    return cache(lambda a, b: judge.pair(chosen[a], chosen[b]))


def titles(measure: dict[str, str]) -> dict[str, str]:
    """What a person reads for each approach where verdicts are judged by ``measure``."""
    at = 0 if measure["unit"] == "share" else 1
    return TITLES | {name: told[at] for name, told in BASELINES.items()}


def candidates(key: str, names: list[str], kinds: dict[str, MinerKind]) -> list[str]:
    """Those of the verdicts ``names`` that may stand for the approach ``key``."""
    way = WAYS[key]
    if way.view is None:
        return [key] if key in names else []
    taken = {miner for other in WAYS.values() if other.view == way.view for miner in other.miners or ()}
    here = {name: kinds[name.partition("@")[0]].miner for name in names if name.partition("@")[2] == way.view}
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
        for key, metric in secondary(result["aim"], result["positive"] is not None).items():
            inside, _, name = key.rpartition(".")
            other = (v[inside] if inside else v).get(name)
            if other is not None:
                title = f"{metric.title} (positive class)" if inside else metric.title
                row[title] = f"{other:.2%}" if metric.unit == "share" else f"{other:.4g}"
        rows.append(row)
    return rows
