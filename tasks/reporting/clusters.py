"""What `evaluate` found of clusters, arranged for the page: each in words, and how far two clusterings agree."""

from typing import Any

#: Clusters of a clustering that are told of at most.
MOST_TOLD = 100
#: The style of a word for how stable a cluster is.
TAGS = {"stable": "good", "dissolves": "bad"}
Told = dict[str, dict[str, dict[str, Any]]]


def told(verdict: dict[str, Any]) -> Told:
    """`NAME@VIEW` -> cluster -> its profile, with the style of its stability; empty where nothing was profiled."""
    return {
        key: {one["cluster"]: {**one, "tag": TAGS.get(one.get("called"), "")} for one in found[:MOST_TOLD]}
        for key, found in sorted(verdict.get("profiles", {}).items())
    }


def agreement(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """Every two clusterings with their adjusted Rand index, the most alike first."""
    pairs = [
        {"pair": [name.replace("@", " on ") for name in key.split(" - ")], **values}
        for key, values in verdict.get("agreement", {}).items()
    ]
    return sorted(pairs, key=lambda pair: (-pair["ari"], pair["pair"]))
