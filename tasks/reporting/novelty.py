"""What detectors say of the test rows, arranged as tables, and the rows that are most unlike the train rows."""

from typing import Any

from tasks.reporting.formatting import change, percent, significant
from tasks.reporting.test_rows import Judged

#: Classes of which the share of flagged rows is told, the largest share first.
CLASSES = 5


def detectors(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each detector, with the errors of the best way on flagged rows and on the others in words."""
    share = verdict["aim"] == "classification"
    found = []
    for key, told in sorted((verdict.get("detectors") or {}).items()):
        name, _, view = key.partition("@")
        classes = sorted(
            ((label, flagged, rows) for label, (flagged, rows) in told["classes"].items() if flagged),
            key=lambda each: (-each[1] / each[2], each[0]),
        )
        found.append({
            **told, "name": name, "view": view, "errors": _errors(told["errors"], share),
            "classes": [f"{label}: {flagged:,} of {rows:,}" for label, flagged, rows in classes[:CLASSES]],
        })  # fmt: skip
    return found


def _errors(told: dict[str, Any] | None, share: bool) -> dict[str, Any] | None:
    """Error rates, or mean absolute errors; `more` says whether the difference is beyond doubt."""
    if told is None:
        return None
    unit = "share" if share else "number"
    low, high = told["interval"]
    one = percent if share else significant
    return {
        "flagged": one(told["flagged"]), "others": one(told["others"]), "rows": told["rows"],
        "difference": change(told["difference"], unit), "low": change(low, unit), "high": change(high, unit),
        "more": low > 0, "auc": told.get("auc"),
    }  # fmt: skip


def agreement(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each two detectors."""
    pairs = (verdict.get("detector_pairs") or {}).items()
    return [{"names": key.split(" - "), **told} for key, told in sorted(pairs)]


def first(verdict: dict[str, Any]) -> str:
    """The detector whose rows are shown: one of the deep view, if there is any."""
    names = sorted(verdict.get("detectors") or {}, key=lambda key: (key.partition("@")[2] != "deep", key))
    return names[0] if names else ""


def examples(verdict: dict[str, Any], rows: Judged, count: int) -> list[dict[str, Any]]:
    """Captions of the most unlike test rows."""
    place = {i: k for k, i in enumerate(rows.ids.tolist())}
    most = (verdict.get("detectors") or {}).get(first(verdict), {"most": []})["most"]
    found = []
    for told in [m for m in most if m["id"] in place][:count]:
        item = rows.caption(place[told["id"]], "true class", "predicted", "true", "label")
        found.append({**item, "told": [*item["told"], {"name": "score", "text": significant(told["score"], 3)}]})
    return found
