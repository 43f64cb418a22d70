"""Outliers among the test rows: what each detector flags, whether errors gather there, and the rows most unlike the train rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.reporting import fusion
from tasks.reporting.formatting import change, percent, significant
from tasks.reporting.section import Content
from tasks.reporting.test_rows import PredictedRows

if TYPE_CHECKING:
    from tasks.reporting.run import Run

#: Classes whose fraction of flagged rows is listed, the largest first.
CLASSES = 5


@dataclass(frozen=True)
class Novelty(Content):
    """A line for each detector and each two of them; rows with the highest scores of the detector ``by``.

    Attributes:
        best: the title of the approach whose errors are counted, "" where there is none.
    """

    classification: bool
    best: str
    confidence: float
    detectors: list[dict[str, Any]]
    agreement: list[dict[str, Any]]
    by: str
    examples: list[dict[str, Any]]

    @property
    def row_ids(self) -> list[str]:
        return [item["id"] for item in self.examples]


def build(run: "Run") -> Novelty | None:
    """None where no detector was fitted."""
    found = run.evaluated
    if not found.get("detectors"):
        return None
    compared = run.part(fusion.build)
    return Novelty(
        classification=compared.task == "classification", best=compared.best["title"] if compared.best else "",
        confidence=compared.confidence, detectors=detectors(found), agreement=agreement(found), by=first(found),
        examples=examples(found, run.test_rows, 2 * run.params.examples),
    )  # fmt: skip


def detectors(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each detector, with the errors of the approach that val rows chose on flagged rows and on the others."""
    share = evaluated["aim"] == "classification"
    found = []
    for key, scores in sorted((evaluated.get("detectors") or {}).items()):
        name, _, view = key.partition("@")
        classes = sorted(
            ((label, flagged, rows) for label, (flagged, rows) in scores["classes"].items() if flagged),
            key=lambda each: (-each[1] / each[2], each[0]),
        )
        found.append({
            **scores, "name": name, "view": view, "errors": _errors(scores["errors"], share),
            "classes": [f"{label}: {flagged:,} of {rows:,}" for label, flagged, rows in classes[:CLASSES]],
        })  # fmt: skip
    return found


def _errors(found: dict[str, Any] | None, share: bool) -> dict[str, Any] | None:
    """Error rates, or mean absolute errors; `more` says whether flagged rows have significantly more."""
    if found is None:
        return None
    unit = "share" if share else "number"
    low, high = found["interval"]
    one = percent if share else significant
    return {
        "flagged": one(found["flagged"]), "others": one(found["others"]), "rows": found["rows"],
        "difference": change(found["difference"], unit), "low": change(low, unit), "high": change(high, unit),
        "more": low > 0, "auc": found.get("auc"),
    }  # fmt: skip


def agreement(evaluated: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each two detectors."""
    pairs = (evaluated.get("detector_pairs") or {}).items()
    return [{"names": key.split(" - "), **scores} for key, scores in sorted(pairs)]


def first(evaluated: dict[str, Any]) -> str:
    """The detector whose rows are shown: one of the deep view, if there is any."""
    names = sorted(evaluated.get("detectors") or {}, key=lambda key: (key.partition("@")[2] != "deep", key))
    return names[0] if names else ""


def examples(evaluated: dict[str, Any], rows: PredictedRows, count: int) -> list[dict[str, Any]]:
    """Captions of the test rows with the highest scores."""
    place = {i: k for k, i in enumerate(rows.ids.tolist())}
    most = (evaluated.get("detectors") or {}).get(first(evaluated), {"most": []})["most"]
    found = []
    for one in [m for m in most if m["id"] in place][:count]:
        item = rows.caption(place[one["id"]], "true class", "predicted", "true", "label")
        found.append({**item, "facts": [*item["facts"], {"name": "score", "text": significant(one["score"], 3)}]})
    return found
