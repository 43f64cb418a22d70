"""The sections of the page that show rows by what miners know of them: like rows, unlike rows, directions, trees."""

from pathlib import Path
from typing import Any

from tasks.core.files import read_json
from tasks.features.view import load_view
from tasks.reporting import components, neighbours, novelty, trees
from tasks.reporting.formatting import percent, significant
from tasks.reporting.test_rows import Judged
from tasks.storage.names import PREDICTIONS, SUMMARY
from tasks.storage.store import read, read_manifest


def sections(
    verdict: dict[str, Any], judged: Judged, galleries: list[dict[str, Any]], features: Path, miners: Path, count: int
) -> dict[str, Any]:
    """What the templates name of these sections."""
    summary = read_json(miners / SUMMARY)
    odd = novelty.examples(verdict, judged, 2 * count)
    key = _neighbours(miners)
    told = (verdict.get("neighbours") or {}).get(key, {})
    near = []
    if key:
        said = read(miners / PREDICTIONS, ["id", f"{key}.like", f"{key}.distance"])
        rows = neighbours.wanted(galleries, [item["id"] for item in odd], told.get("doubtful", []))
        near = neighbours.lines(rows, said, key, load_view(features, key.partition("@")[2]))
    return {
        "near": near, "near_by": key, "near_told": neighbours.sentence(told),
        "odd": odd, "odd_by": novelty.first(verdict), "detectors": novelty.detectors(verdict),
        "marked_alike": novelty.agreement(verdict), "components": components.components(summary.get("components") or {}),
        "trees": trees.trees(summary.get("trees") or {}, summary.get("tree_nodes") or {}), "maps": maps(verdict),
        "calibrated": calibrated(verdict),
    }  # fmt: skip


def ids(found: dict[str, Any]) -> list[str]:
    """All rows that these sections show."""
    items = [item for line in found["near"] for item in line["items"]]
    return list(
        dict.fromkeys([*(item["id"] for item in [*items, *found["odd"]]), *components.ids(found["components"])])
    )


def maps(verdict: dict[str, Any]) -> list[str]:
    """A sentence for each kernel machine of many rows: what was held against what."""
    found = []
    one = percent if verdict["aim"] == "classification" else lambda merit: significant(-merit)
    for key, told in sorted((verdict.get("kernel_maps") or {}).items()):
        text = f"{key}: on so many rows an exact kernel machine costs too much; a kernel map with a linear machine"
        if told["map"] is None:
            found.append(f"{text} was fitted on all {told['rows']:,} train rows.")
            continue
        what = "is right on" if verdict["aim"] == "classification" else "is off by"
        used = "map" if told["used"] == "map" else "exact machine"
        found.append(
            f"{text} on all {told['rows']:,} train rows {what} {one(told['map'])} of val rows, the exact machine on "
            f"{told['part']:,} of them {one(told['exact'])}. The {used} is used."
        )
    return found


def calibrated(verdict: dict[str, Any]) -> str:
    """How the probabilities of the miners and of the network were made, in a sentence."""
    words = {"sigmoid": "a sigmoid (Platt)", "temperature": "one temperature", "own": "nothing: too few rows, so their own",
             "none": "nothing: too few rows, so there are none"}  # fmt: skip
    ways: dict[tuple[str, str, int], list[str]] = {}
    for key, told in sorted((verdict.get("calibrated") or {}).items()):
        ways.setdefault((told["method"], told.get("on", "val"), told["rows"]), []).append(key)
    parts = [
        f"{', '.join(keys)} by {words[method]}"
        + (f" on {rows:,} {on} rows" + (", in turn unseen" if on == "train" else "") if rows else "")
        for (method, on, rows), keys in ways.items()
    ]
    return f"Probabilities were calibrated: {'; '.join(parts)}." if parts else ""


def _neighbours(miners: Path) -> str:
    """What keeps the nearest train rows, one of the deep view first; "" where nothing does."""
    columns = [column for column, _ in read_manifest(miners / PREDICTIONS).schema]
    keys = [column.removesuffix(".like") for column in columns if column.endswith(".like")]
    return min(keys, key=lambda key: (key.partition("@")[2] != "deep", key), default="")
