"""The first page: what was found, how sure that is, and what is wrong with the data; a sentence each, with where to look."""

from typing import Any

from tasks.core.text import many
from tasks.reporting.formatting import bounds, confidence, count, cut, figure, isolated, number, percent, significant

#: Test rows, and test rows of a class, under which a figure may be far off.
FEW_ROWS, FEW_OF_CLASS = 200, 20
#: Shares of the rows that are worth a word on the first page: unusable ones, copies, texts that the network reads in part.
MANY_LOST, MANY_COPIES, MANY_SHORTENED = 0.001, 0.01, 0.05
#: Characters of a label in a sentence.
LABEL = 40
Line = dict[str, str]


def front(page: dict[str, Any], verdict: dict[str, Any]) -> dict[str, list[Line]]:
    """Lines of `text` and `href` under `found`, `sure` and `wrong`; no group is empty.

    Args:
        page: the sections of the page as the templates have them.
        verdict: what `evaluate` wrote.
    """
    return {"found": _found(page, verdict), "sure": _sure(page, verdict), "wrong": _wrong(page)}


def _name(label: str) -> str:
    return isolated(cut(label, LABEL))


def _line(text: str, chapter: str) -> Line:
    return {"text": text, "href": f"#{chapter}"}


def _found(page: dict[str, Any], verdict: dict[str, Any]) -> list[Line]:
    fusion, lines = page["fusion"], []
    best = fusion["best"]
    if best:
        unit = fusion["measure"]["unit"]
        value = figure(best["value"], unit)
        told = f"is right on {value} of the test rows" if unit == "share" else f"is off by {value} on average"
        if fusion["positive"] and best["positive"]["auc"] is not None:
            told += f" (AUC {number(best['positive']['auc'])})"
        lines.append(
            _line(
                f"{best['title'][:1].upper()}{best['title'][1:]}, chosen without a look at test rows, {told}.", "fusion"
            )
        )
    lines.append(_line(fusion["sentence"], "fusion"))
    if pair := _confused(page, verdict):
        lines.append(_line(pair, "confusion"))
    groups = [g for g in page["clusters"] if g["view"] == "deep"] or page["clusters"]
    if groups and best:
        group = max(groups, key=lambda g: g["ari"] if g["ari"] is not None else g["silhouette"])
        agree = (
            f", which agree with the labels to {number(group['ari'])} (ARI; 1 is fully)"
            if group["ari"] is not None
            else ""
        )
        lines.append(
            _line(
                f"{group['name']} finds {count(group['clusters'])} clusters on the {group['view']} view{agree}.",
                "clusters",
            )
        )
    for part in page.get("rules") or []:
        if line := _rule(part):
            lines.append(_line(line, "rules"))
    return lines


def _rule(part: dict[str, Any]) -> str:
    """The first rule of a view that held up on test rows, and how many did."""
    rules = [rule for table in part["tables"] for rule in table["rules"] if rule["held_up"]]
    if not rules:
        return ""
    first = rules[0]["held_out_words"]
    title = f"{part['title'][:1].lower()}{part['title'][1:]}"
    if len(rules) == 1:
        return f"One rule {title} held up on test rows: {first}."
    return f"{count(len(rules))} rules {title} held up on test rows, the first: {first}."


def _confused(page: dict[str, Any], verdict: dict[str, Any]) -> str:
    """The pair of classes that the best way takes for each other most often."""
    matrix = verdict["confusion"].get(verdict["best"]) if verdict["best"] else None
    if not matrix or len(matrix) < 3:
        return ""
    labels = verdict["labels"]
    wrong = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    if not wrong:
        return "The approach chosen makes no mistake on the test rows."
    n, i, j = max(wrong, key=lambda cell: (cell[0], -cell[1], -cell[2]))
    return f"The commonest mistake: “{_name(labels[i])}” taken for “{_name(labels[j])}”, {count(n)} of {count(sum(matrix[i]))} times."


def _sure(page: dict[str, Any], verdict: dict[str, Any]) -> list[Line]:
    fusion, lines, rows = page["fusion"], [], page["test_rows"]
    best = fusion["best"]
    if not best:
        why = "no test row has a label" if rows else "there are no test rows"
        return [_line(f"No verdict could be judged: {why}.", "fusion"), *_stable(page["clusters"]), *_held(page)]
    unit = fusion["measure"]["unit"]
    lines.append(
        _line(
            f"All figures are from {count(rows)} test rows that nothing was fitted to; the "
            f"{confidence(fusion['confidence'])} interval of the approach chosen is {bounds(best['interval'], unit)}.",
            "fusion",
        )
    )
    small = [row for row in page["classes"] if row["rows"] < FEW_OF_CLASS]
    if rows < FEW_ROWS:
        lines.append(
            _line(f"{count(rows)} test rows are few: small differences between ways mean nothing here.", "fusion")
        )
    elif small:
        few = min(small, key=lambda row: row["rows"])
        more = f" and {len(small) - 1} more" if len(small) > 1 else ""
        lines.append(
            _line(
                f"“{_name(few['label'])}”{more} has under {FEW_OF_CLASS} test rows: figures of that class may be far off.",
                "confusion",
            )
        )
    told = [p for p in fusion["differences"] if p["interval"][0] > 0 or p["interval"][1] < 0]
    total = len(fusion["differences"])
    if total:
        are = "is" if len(told) == 1 else "are"
        sure = f"{confidence(fusion['confidence'])} interval without 0"
        lines.append(
            _line(
                f"{len(told)} of {total} differences between approaches {are} larger than chance allows ({sure}).",
                "fusion",
            )
        )
    if sentence := (verdict.get("cross_validation") or {}).get("sentence"):
        lines.append(_line(sentence, "folds"))
    return lines + _trusted(page.get("trust") or {})


def _stable(clusters: list[dict[str, Any]]) -> list[Line]:
    """How far the clusters of each clustering come out again; the deep view first."""
    known = [group for group in clusters if group["stability"] is not None]
    return [
        _line(
            f"{group['name']} on the {group['view']} view, made again from half of the rows, agrees with itself by "
            f"{number(group['stability'])} (ARI; 1 is fully).",
            "clusters",
        )
        for group in sorted(known, key=lambda group: group["view"] != "deep")[:2]
    ]


def _held(page: dict[str, Any]) -> list[Line]:
    """How many of all rules were borne out by test rows."""
    rules = [rule for part in page.get("rules") or [] for table in part["tables"] for rule in table["rules"]]
    held = sum(bool(rule["held_up"]) for rule in rules)
    text = f"Test rows, in which no rule was looked for, bear out {count(held)} of {many(len(rules), 'rule', 'rules')}."
    return [_line(text, "rules")] if rules else []


def _trusted(trust: dict[str, Any]) -> list[Line]:
    """What calibration, costs, slices and the comparison of all verdicts say."""
    told = [trust.get("groups") or ""]
    told += [(trust.get(part) or {}).get("sentence") or "" for part in ("alike", "calibration", "costs", "residuals")]
    told += ((trust.get("slices") or {}).get("lines") or [])[:2]
    return [_line(text, "trust") for text in told if text]


def _set_aside(page: dict[str, Any]) -> list[Line]:
    """What was quarantined: copies, copies whose labels contradict each other, and all else."""
    read = page["splits"]["total"] + sum(group["rows"] for group in page["quarantine"])
    of: dict[str, int] = {}
    for group in page["quarantine"]:
        reason = "copy" if group["reason"].startswith("copy ") else group["reason"]  # within a split, or across
        of[reason] = of.get(reason, 0) + group["rows"]
    told = []
    if torn := of.pop("copies with different labels", 0):
        told.append(
            f"{count(torn)} rows are equal to others of another label; as nobody knows which is right, all were left out."
        )
    copied = of.pop("copy", 0)
    if copied > MANY_COPIES * read:
        told.append(f"{count(copied)} rows ({percent(copied / read)}) are copies of others; one of each was kept.")
    gone = sum(of.values())
    if gone > MANY_LOST * read:
        worst = max(of, key=lambda reason: of[reason])
        told.append(f"{count(gone)} rows ({percent(gone / read)}) could not be used, most for: {worst}.")
    return [_line(text, "quality") for text in told]


def _wrong(page: dict[str, Any]) -> list[Line]:
    lines = [_line(leak["sentence"], "leaks") for leak in page["leaks"]]
    alike = page["alike"]
    if alike["leaked"]:
        lines.append(
            _line(
                f"{count(alike['leaked'])} of the {count(alike['test'])} test rows look almost the same as a row in train or val, so "
                "test figures may be too good.",
                "near-duplicates",
            )
        )
    if alike.get("conflicts"):
        lines.append(
            _line(f"{count(alike['conflicts'])} groups of near-duplicates have different labels.", "near-duplicates")
        )
    lines += [_line(part["sentence"], "quality") for part in page["shortened"] if part["share"] > MANY_SHORTENED]
    lines += _set_aside(page)
    sizes = [row["total"] for row in page["splits"]["rows"] if row["total"]]
    if len(sizes) > 1 and max(sizes) >= 5 * min(sizes):
        lines.append(
            _line(
                f"Classes are uneven: the largest has {significant(max(sizes) / min(sizes), 2)} times the rows of the smallest.",
                "quality",
            )
        )
    if not page["splits"]["totals"][1]:
        lines.append(
            _line(
                "There are no val rows: folds of train rows chose parameters and miners, and nothing could choose between these and "
                "the network.",
                "quality",
            )
        )
    unmet = [e for e in page["expectations"] if not e["success"] and e["action"] != "reject"]
    if unmet:
        reasons = ", ".join(dict.fromkeys(e["reason"] or e["words"] for e in unmet[:3]))
        lines.append(_line(f"Not as expected: {reasons}.", "quality"))
    return lines or [_line("Nothing that the checks look for was found.", "quality")]
