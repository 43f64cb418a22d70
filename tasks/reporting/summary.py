"""The first page: what was found, how certain that is, and what is wrong with the data; a sentence each, with a link."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.core.text import many
from tasks.reporting import clusters, confusion, cross_validation, fusion, leaks, quality, reliability, rules
from tasks.reporting.clusters import Clusters
from tasks.reporting.confusion import Confusion
from tasks.reporting.cross_validation import CrossValidation
from tasks.reporting.formatting import bounds, confidence, count, cut, figure, isolated, number, percent, significant
from tasks.reporting.fusion import Fusion
from tasks.reporting.leaks import Leaks
from tasks.reporting.quality import Quality
from tasks.reporting.reliability import Reliability
from tasks.reporting.rules import Rules
from tasks.reporting.run_record import total
from tasks.reporting.section import Content

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Test rows, and test rows of a class, under which a score is uncertain.
FEW_ROWS, FEW_OF_CLASS = 200, 20
#: Fractions of the rows that are worth a line: unusable ones, copies, texts that the network truncates.
MANY_LOST, MANY_COPIES, MANY_SHORTENED = 0.001, 0.01, 0.05
#: Characters of a label in a sentence.
LABEL = 40
Line = dict[str, str]  # `text`, and the `href` of the section that has more


@dataclass(frozen=True)
class Parts:
    """The sections that are summed up; None for those that are not shown."""

    fusion: Fusion
    quality: Quality
    clusters: Clusters
    leaks: Leaks | None = None
    confusion: Confusion | None = None
    cross_validation: CrossValidation | None = None
    reliability: Reliability | None = None
    rules: Rules | None = None


@dataclass(frozen=True)
class Summary(Content):
    """The three lists of lines, none of them empty, and the figures below them."""

    name: str
    source: str
    found: list[Line]
    certainty: list[Line]
    problems: list[Line]
    fusion: Fusion
    quality: Quality
    seconds: float | None


def build(run: "Run") -> Summary:
    parts = Parts(
        fusion=run.part(fusion.build), quality=run.part(quality.build), clusters=run.part(clusters.build),
        leaks=run.part(leaks.build), confusion=run.part(confusion.build),
        cross_validation=run.part(cross_validation.build), reliability=run.part(reliability.build),
        rules=run.part(rules.build),
    )  # fmt: skip
    return Summary(
        name=run.name, source=run.planned["source"]["path"], found=found(parts, run.evaluated), certainty=certainty(parts),
        problems=problems(parts), fusion=parts.fusion, quality=parts.quality, seconds=total(run.recorded),
    )  # fmt: skip


def _name(label: str) -> str:
    return isolated(cut(label, LABEL))


def _line(text: str, anchor: str) -> Line:
    return {"text": text, "href": f"#{anchor}"}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def found(parts: Parts, evaluated: dict[str, Any]) -> list[Line]:
    """What was found: the best approach, whether fusion paid, the commonest mistake, clusters, rules."""
    compared, lines = parts.fusion, []
    best = compared.best
    if best:
        unit, title = compared.measure["unit"], compared.measure["title"]
        value = figure(best["value"], unit)
        text = f"classifies {value} of the test rows correctly" if unit == "share" else f"has a {title} of {value}"
        if compared.positive and best["positive"]["auc"] is not None:
            text += f" (AUC {number(best['positive']['auc'])})"
        lines.append(_line(f"{_capital(best['title'])}, chosen without using test rows, {text}.", "fusion"))
    lines.append(_line(compared.sentence, "fusion"))
    if parts.confusion and (text := _confused(evaluated)):
        lines.append(_line(text, "confusion"))
    groups = parts.clusters.clusterings
    groups = [g for g in groups if g["view"] == "deep"] or groups
    if groups and best:
        group = max(groups, key=lambda g: g["ari"] if g["ari"] is not None else g["silhouette"])
        agree = "" if group["ari"] is None else f"; adjusted Rand index with the labels: {number(group['ari'])}"
        clusters_ = many(group["clusters"], "cluster", "clusters")
        lines.append(_line(f"{group['name']} finds {clusters_} on the {group['view']} view{agree}.", "clusters"))
    parts_ = parts.rules.parts if parts.rules else []
    return lines + [_line(line, "rules") for part in parts_ if (line := _rule(part))]


def _rule(part: dict[str, Any]) -> str:
    """The first rule of a view that was replicated on test rows, and how many were."""
    held = [rule for table in part["tables"] for rule in table["rules"] if rule["held_up"]]
    if not held:
        return ""
    title = f"{part['title'][:1].lower()}{part['title'][1:]}"
    first = held[0]["held_out_words"]
    if len(held) == 1:
        return f"One rule {title} was replicated on test rows: {first}."
    return f"{count(len(held))} rules {title} were replicated on test rows, the first: {first}."


def _confused(evaluated: dict[str, Any]) -> str:
    """The pair of classes that the best approach confuses most often."""
    matrix, labels = evaluated["confusion"][evaluated["best"]], evaluated["labels"]
    if len(matrix) < 3:
        return ""
    wrong = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    if not wrong:
        return "The chosen approach makes no mistake on the test rows."
    n, i, j = max(wrong, key=lambda cell: (cell[0], -cell[1], -cell[2]))
    return (
        f"The most frequent mistake: “{_name(labels[i])}” predicted as “{_name(labels[j])}”, "
        f"{count(n)} of {many(sum(matrix[i]), 'time', 'times')}."
    )


def certainty(parts: Parts) -> list[Line]:
    """How certain the scores are: test rows, intervals, differences, cross-validation, calibration."""
    compared, rows = parts.fusion, parts.fusion.test_rows
    if not compared.best:
        why = "no test row has a label" if rows else "there are no test rows"
        return [
            _line(f"No prediction could be scored: {why}.", "fusion"),
            *_stability(parts.clusters),
            *_replicated(parts),
        ]
    unit, sure = compared.measure["unit"], confidence(compared.confidence)
    lines = [
        _line(
            f"All scores are from {many(rows, 'test row', 'test rows')} that nothing was fitted on; the {sure} interval of the "
            f"chosen approach is {bounds(compared.best['interval'], unit)}.",
            "fusion",
        )
    ]
    small = [row for row in (parts.confusion.classes if parts.confusion else []) if row["rows"] < FEW_OF_CLASS]
    if rows < FEW_ROWS:
        text = f"With only {many(rows, 'test row', 'test rows')}, small differences between approaches mean nothing."
        lines.append(_line(text, "fusion"))
    elif small:
        few = min(small, key=lambda row: row["rows"])
        have = f" and {len(small) - 1} more have" if len(small) > 1 else " has"
        text = (
            f"“{_name(few['label'])}”{have} fewer than {FEW_OF_CLASS} test rows: scores of such a class are uncertain."
        )
        lines.append(_line(text, "confusion"))
    differ = [p for p in compared.differences if p["interval"][0] > 0 or p["interval"][1] < 0]
    if total_ := len(compared.differences):
        are = "is" if len(differ) == 1 else "are"
        text = (
            f"{len(differ)} of {many(total_, 'difference', 'differences')} between approaches {are} statistically significant "
            f"({sure} interval excludes 0)."
        )
        lines.append(_line(text, "fusion"))
    if parts.cross_validation and (text := parts.cross_validation.tables.get("sentence", "")):
        lines.append(_line(text, "cross-validation"))
    return lines + (_reliable(parts.reliability) if parts.reliability else [])


def _stability(found: Clusters) -> list[Line]:
    """How far the clusters of each clustering are found again; the deep view first."""
    known = [group for group in found.clusterings if group["stability"] is not None]
    return [
        _line(
            f"{group['name']} on the {group['view']} view, fitted again on random halves of the rows, has a stability of "
            f"{number(group['stability'])} (adjusted Rand index; 1: identical clusters).",
            "clusters",
        )
        for group in sorted(known, key=lambda group: group["view"] != "deep")[:2]
    ]


def _replicated(parts: Parts) -> list[Line]:
    """How many of all rules were replicated on test rows."""
    parts_ = parts.rules.parts if parts.rules else []
    mined = [rule for part in parts_ for table in part["tables"] for rule in table["rules"]]
    held = sum(bool(rule["held_up"]) for rule in mined)
    were = "was" if held == 1 else "were"
    text = f"{count(held)} of {many(len(mined), 'rule', 'rules')} found on train rows {were} replicated on test rows."
    return [_line(text, "rules")] if mined else []


def _reliable(found: Reliability) -> list[Line]:
    """What comparisons, calibration, costs, residuals and slices say."""
    described = (found.equivalent, found.calibration, found.costs, found.residuals)
    texts = [found.groups, *(part.get("sentence", "") for part in described if part)]
    texts += found.slices["lines"][:2] if found.slices else []
    return [_line(text, "reliability") for text in texts if text]


def _set_aside(found: Quality) -> list[Line]:
    """What was quarantined: copies, copies whose labels contradict each other, and all else."""
    read = found.splits["total"] + found.quarantined
    of: dict[str, int] = {}
    for group in found.quarantine:
        reason = "copy" if group["reason"].startswith("copy ") else group["reason"]  # within a split, or across
        of[reason] = of.get(reason, 0) + group["rows"]
    texts = []
    if contradicting := of.pop("copies with different labels", 0):
        texts.append(f"{count(contradicting)} rows are identical but have different labels; all of them were left out.")
    copied = of.pop("copy", 0)
    if copied > MANY_COPIES * read:
        texts.append(f"{count(copied)} rows ({percent(copied / read)}) are copies of others; one of each was kept.")
    unusable = sum(of.values())
    if unusable > MANY_LOST * read:
        worst = max(of, key=lambda reason: of[reason])
        rows = many(unusable, "row", "rows")
        texts.append(f"{rows} ({percent(unusable / read)}) could not be used; the most frequent reason: {worst}.")
    return [_line(text, "quality") for text in texts]


def problems(parts: Parts) -> list[Line]:
    """What is wrong with the data."""
    found = parts.quality
    lines = [
        _line(f"{leak['title']}: {leak['text']}", "leaks") for leak in (parts.leaks.findings if parts.leaks else [])
    ]
    lines += _near_duplicates(found.near_duplicates or {})
    lines += [_line(part["sentence"], "quality") for part in found.shortened if part["share"] > MANY_SHORTENED]
    lines += _set_aside(found)
    sizes = [row["total"] for row in found.splits["rows"] if row["total"]]
    if len(sizes) > 1 and max(sizes) >= 5 * min(sizes):
        times = significant(max(sizes) / min(sizes), 2)
        lines.append(
            _line(f"Classes are imbalanced: the largest has {times} times the rows of the smallest.", "quality")
        )
    if not found.splits["totals"][1]:
        text = (
            "There are no val rows: parameters and miners were chosen by cross-validation on train rows, and nothing "
            "could choose between the miners and the network."
        )
        lines.append(_line(text, "quality"))
    unmet = [e for e in found.expectations if not e["success"] and e["action"] != "reject"]
    if unmet:
        reasons = ", ".join(dict.fromkeys(e["reason"] or e["words"] for e in unmet[:3]))
        lines.append(_line(f"Unmet expectations: {reasons}.", "quality"))
    return lines or [_line("The checks found no problem.", "quality")]


def _near_duplicates(found: dict[str, Any]) -> list[Line]:
    texts = []
    if leaked := found.get("leaked"):
        are = "is a near-duplicate" if leaked == 1 else "are near-duplicates"
        test = f"{count(leaked)} of the {many(found['test'], 'test row', 'test rows')}"
        texts.append(f"{test} {are} of a row in train or val, so test scores may be too good.")
    if conflicts := found.get("conflicts"):
        groups = "group of near-duplicates has" if conflicts == 1 else "groups of near-duplicates have"
        texts.append(f"{count(conflicts)} {groups} different labels.")
    return [_line(text, "near-duplicates") for text in texts]
