"""What follows from the figures, in words: sentences about approaches that were compared on the same rows."""

from typing import TYPE_CHECKING, Any

from tasks.metrics import measure
from tasks.stats.intervals import Interval

if TYPE_CHECKING:
    # these bring scikit-learn
    from tasks.evaluation.cross_validation import CrossValidation
    from tasks.evaluation.scorers import Difference

CLUSTERS = (
    "Clusters of the deep features agree better with the classes than those of the raw view: {}.",
    "Clusters of the deep features agree less with the classes than those of the raw view: {}.",
    "Clusters of the deep features and of the raw view agree equally well with the classes as far as can be told: {}.",
)
#: Ways of which the first that was judged is told of in a sentence, as what a person would have been misled on.
TOLD = ("deep_svm", "both_svm", "network", "raw_svm")


def told(pair: "Difference", cases: tuple[str, str, str], measure: dict[str, str]) -> str:
    """The one of ``cases`` (better, worse, who can tell) that the interval of a difference allows."""
    case = {1: cases[0], -1: cases[1], 0: cases[2]}[sign(pair, measure)]
    return case.format(shown(pair, measure))


def sign(pair: "Difference", measure: dict[str, str]) -> int:
    """1 where the interval of a difference says that the first is better, -1 worse, 0 where it holds zero."""
    interval = pair.interval
    higher = 0 if interval.crosses_zero else 1 if interval.low > 0 else -1
    return higher if measure["better"] == "higher" else -higher


def shown(pair: "Difference", measure: dict[str, str]) -> str:
    """A difference with its interval in the unit of ``measure``."""
    interval = pair.interval
    values = (interval.value, interval.low, interval.high)
    if measure["unit"] == "share":
        middle, low, high = (f"{v * 100:+.1f}" for v in values)
        return f"{middle} points ({low} to {high})"
    middle, low, high = (f"{v:+.3g}" for v in values)
    return f"{middle} in {measure['title']} ({low} to {high})"


def counted(key: str, curve: dict[str, Any]) -> str:
    """Whether the number of clusters that train rows chose for ``key`` (`NAME@VIEW`) is one of clusters at all."""
    structure, measure, k = curve.get("structure"), curve["measure"], curve["chosen"]
    if structure is None:
        return ""
    of, value, high = " on the view ".join(key.split("@")), dict(curve["values"])[k], curve["high"]
    chance = "no clusters that could be told from chance"
    if measure == "bic":
        better = f"the BIC of {k} is {'' if structure else 'no '}better than that of a single one"
        return f"{of}: {better}." if structure else f"{of}: {chance}; {better}."
    name = {"stability": "prediction strength"}.get(measure, measure)
    found = f"the {name} of {k} is {value:.2f}, {{}} than rows without clusters can be expected to give ({high:.2f})"
    if structure:
        return f"{of}: {found.format('more')}."
    if value > high:
        return (
            f"{of}: clusters that other rows do not confirm; {found.format('more')}, but less than the 0.8 from which "
            "clusters count as found again."
        )
    return f"{of}: {chance}; {found.format('no more')}. To cut the rows there is arbitrary."


def clusters(
    pairs: "dict[str, Difference]", found: dict[str, Any], curves: dict[str, dict[str, Any]] | None = None
) -> str:
    """What clusters say of the two views; without classes only that nobody can say, and which are none by ``curves``."""
    if pairs:
        return " ".join(
            (f"{name}: " if len(pairs) > 1 else "") + told(pair, CLUSTERS, measure("clustering"))
            for name, pair in pairs.items()
        )
    if not found or any("ari" in values for values in found.values()):
        return ""
    listed = ", ".join(
        f"{v['clusters']} by {name.replace('@', ' on the view ')} (silhouette {v['silhouette']:.2f})"
        for name, v in found.items()
    )
    return (
        f"There are no classes to judge by. Clusters found: {listed}. A silhouette tells how well clusters stand apart "
        "within their own view; it is no contest between views."
    ) + "".join(f" {counted(key, curve)}" for key, curve in (curves or {}).items() if curve.get("structure") is False)


def crossed_ways(found: "CrossValidation") -> str:
    """What a person takes home: how good, and by how much the naive way would have misled."""
    listed = found.chosen or list(found.ways)
    if not listed or found.measure is None:
        return "No way to a verdict was judged in every fold."
    share = found.measure["unit"] == "share"
    told = [
        f"{found.titles[way]} {figure(found.ways[way].interval.value, share)} "
        f"({figure(found.ways[way].interval.low, share).removesuffix(' %')} to "
        f"{figure(found.ways[way].interval.high, share)})"
        for way in listed
    ]
    what = "right on" if share else "off by"
    text = f"Cross-validated, with an encoder of its own in each of {found.folds} folds, {what}: {', '.join(told)}."
    for way in (*TOLD, *listed):
        optimism = found.ways[way].optimism if way in found.ways else None
        if optimism:
            return f"{text} {misled(found.titles[way], optimism.interval, share)}"
    return text


def misled(title: str, optimism: Interval, share: bool) -> str:
    """The optimism of one way in words."""
    middle, low, high = optimism.value, optimism.low, optimism.high
    unit, scale = (" points", 100.0) if share else ("", 1.0)
    form = "{:.1f}" if share else "{:.3g}"

    def written(value: float) -> str:
        return form.format(value * scale)

    better, worse = ("better", "worse") if share else ("nearer to the truth", "farther from the truth")
    if low > 0:
        return f"Judged naively, {title} looks {written(middle)}{unit} ({written(low)} to {written(high)}) {better} than it is."
    if high < 0:
        return f"Judged naively, {title} looks {written(-middle)}{unit} ({written(-high)} to {written(-low)}) {worse} than it is."
    signed = [("+" if v > 0 else "") + written(v) for v in (middle, low, high)]
    return (
        f"Judged naively, {title} looks as good as it is, as far as can be told: "
        f"{signed[0]}{unit} ({signed[1]} to {signed[2]})."
    )


def figure(value: float, share: bool) -> str:
    """A figure as a sentence has it."""
    return f"{value:.1%}".replace("%", " %") if share else f"{value:.4g}"
