"""validate: a Great Expectations suite from the dataset's declaration; what fails goes to quarantine, unchanged."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks import duplicates
from tasks.errors import DeepmineError
from tasks.expectations import Check, Outcome, run_suite
from tasks.modalities import modality
from tasks.progress import Progress
from tasks.store import QUARANTINE, SUMMARY, Writer, fingerprint, read, read_manifest, write_json

if TYPE_CHECKING:
    from tasks.config import Validate

#: Reasons that say nothing of the data's quality, so that they do not count towards the threshold.
COPIES = ("copy", "copy across splits", "copies with different labels")


def validate(
    *, params: "Validate", raw: Path, unreadable: Path, rejected: Path, quality: Path, warn: Callable[[str], None],
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Check the raw rows; write the failing ones to ``rejected`` with their reason, and Data Docs to ``quality``.

    Near-duplicates among the accepted rows stay: they are counted in the summary and listed in ``quality``;
    ``warn`` is told of those across splits or under different labels.

    Raises:
        DeepmineError: the share of unusable rows is over the threshold, a class or split is too small,
            or an expectation with action `fail` is not met.
    """
    manifest = read_manifest(raw)
    facts = modality(manifest.metadata["modality"]).FACTS
    columns = ["id", "content", "split", "label", "group", "source", "bytes", *facts]
    table = read(raw, columns)
    sketches = _sketches(table["sketch"])
    rows = table.drop_columns(["sketch"]).to_pandas()
    rows["copy"] = copies(rows)
    labels = list(params.labels) or sorted(rows.loc[rows["split"] == "train", "label"].dropna().unique())
    progress(0, len(rows), "rows", note="checking expectations", always=True)
    row_outcomes = run_suite("rows", rows, _row_checks(params, labels, list(facts)), quality)
    reasons = _reasons(rows, row_outcomes)
    classes = class_table(rows[[r == "" for r in reasons]], labels)
    class_outcomes = run_suite("classes", classes, _class_checks(params), quality)
    progress(len(rows), len(rows), "rows", note="looking for near-duplicates", always=True)
    sound = np.array([r == "" for r in reasons])
    alike = _near_duplicates(rows[sound], sketches[sound], params.near_duplicates, quality)

    counts = dict(sorted(Counter(r for r in reasons if r).items()))
    bad = rows[[r != "" for r in reasons]]
    writer = Writer(rejected, QUARANTINE, fingerprint("validate", repr(params), labels))
    writer.add(
        pa.table(
            {
                **{c: pa.array(bad[c], pa.string(), from_pandas=True) for c in ("id", "source", "label", "split")},
                "reason": pa.array([r for r in reasons if r], pa.string()),
                "detail": pa.array(bad["copy"], pa.string(), from_pandas=True),
            },
            schema=QUARANTINE,
        )
    )
    writer.finish({"in": len(bad), "accepted": len(bad), "quarantined": {}})
    lost = read_manifest(unreadable).rows
    write_json(
        rejected / SUMMARY,
        {
            "in": len(rows), "accepted": len(rows) - len(bad), "quarantined": counts, "labels": labels,
            "classes": classes.to_dict("records"), "near_duplicates": alike,
            "expectations": [vars(o) | {"rows": len(o.rows)} for o in row_outcomes + class_outcomes],
        },
    )  # fmt: skip
    _judge(params, row_outcomes + class_outcomes, counts, len(rows), lost, classes)
    if alike["leaked"] or alike["val_leaked"] or alike["conflicts"]:
        warn(alike["sentence"])
    return {
        "rows": len(rows) - len(bad),
        "rejected": len(bad),
        "near_duplicates": alike["rows"],
        "expectations": len(row_outcomes + class_outcomes),
    }


def copies(rows: pd.DataFrame) -> pd.Series:
    """For each row that repeats another's content, what it is a copy of; else None.

    One of a set of copies stays: the one in test, else in val, else the first id. Copies under two labels all go.
    """
    found = pd.Series(None, index=rows.index, dtype=object)
    repeated = rows[rows.duplicated("content", keep=False)]
    order = {"test": 0, "val": 1, "train": 2}
    for _, group in repeated.groupby("content"):
        if group["label"].nunique(dropna=False) > 1:
            others = ", ".join(f"{i} ({label})" for i, label in zip(group["id"][:4], group["label"][:4], strict=True))
            found[group.index] = f"{COPIES[2]}: {others}"
            continue
        ranked = sorted(group.index, key=lambda i: (order[rows["split"][i]], rows["id"][i]))
        kept = ranked[0]
        for i in ranked[1:]:
            same = rows["split"][i] == rows["split"][kept]
            found[i] = f"{COPIES[0] if same else COPIES[1]}: of {rows['id'][kept]} in {rows['split'][kept]}"
    return found


def _sketches(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size binaries as an (N, D) uint8 array."""
    width = column.type.byte_width
    parts = [np.frombuffer(c.buffers()[1], np.uint8, len(c) * width, c.offset * width) for c in column.chunks]
    return np.concatenate([np.zeros(0, np.uint8), *parts]).reshape(-1, width)  # (N, D)


def _near_duplicates(rows: pd.DataFrame, sketches: np.ndarray, threshold: float, quality: Path) -> dict[str, Any]:
    links = duplicates.find(sketches, threshold)
    listed = pa.Table.from_pandas(duplicates.members(rows, links), preserve_index=False)
    pq.write_table(listed.replace_schema_metadata(), quality / "near_duplicates.parquet")
    return duplicates.summary(rows, links, threshold)


def class_table(rows: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Rows of each class in each split, and how many times smaller it is than the largest class."""
    table = pd.crosstab(rows["label"], rows["split"]).reindex(labels, fill_value=0)
    table = table.reindex(columns=["train", "val", "test"], fill_value=0)
    total = table.sum(axis=1)
    table["times_smaller"] = (total.max() / total.replace(0, np.nan)).fillna(np.inf).replace(np.inf, 1e9).round(3)
    return table.rename_axis("label").reset_index()


def _row_checks(params: "Validate", labels: list[str], facts: list[str]) -> list[Check]:
    between = {"min_value": params.min_side, "max_value": params.max_side}
    checks = [
        Check("expect_column_values_to_be_unique", {"column": "id"}, "fail", "ids are not unique"),
        Check("expect_column_values_to_not_be_null", {"column": "label"}, "reject", "label missing"),
        Check("expect_column_values_to_be_in_set", {"column": "label", "value_set": labels}, "reject", "unknown label"),
        Check("expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "val", "test"]}, "fail"),
        *(
            Check("expect_column_values_to_be_between", {"column": c, **between}, "reject", f"{c} out of bounds")
            for c in ("width", "height") if c in facts
        ),
        Check("expect_column_values_to_be_null", {"column": "copy"}, "reject", "copy"),
        Check("expect_column_distinct_values_to_contain_set", {"column": "split", "value_set": ["train", "test"]},
              "fail", "a split has no rows"),
    ]  # fmt: skip
    return checks + [Check(e.expect, dict(e.arguments), e.action) for e in params.expectations]


def _class_checks(params: "Validate") -> list[Check]:
    least = {"min_value": params.min_class_rows}
    return [
        Check("expect_table_row_count_to_be_between", {"min_value": 2}, "fail", "fewer than two classes"),
        Check("expect_column_values_to_be_between", {"column": "train", **least}, "fail", "too few train rows of a class"),
        Check("expect_column_values_to_be_between", {"column": "test", **least}, "fail", "too few test rows of a class"),
        Check("expect_column_values_to_be_between", {"column": "val", **least}, "warn", "too few val rows of a class"),
        Check("expect_column_values_to_be_between", {"column": "times_smaller", "max_value": params.max_imbalance},
              "warn", "imbalanced classes"),
    ]  # fmt: skip


def _reasons(rows: pd.DataFrame, outcomes: list[Outcome]) -> list[str]:
    """The reason of each row's rejection, "" for accepted rows; the first failed expectation names it."""
    reasons = [""] * len(rows)
    kinds = rows["copy"].str.partition(":")[0].to_list()
    for outcome in outcomes:
        if outcome.action == "reject" and not outcome.success:
            for i in outcome.rows:
                reasons[i] = reasons[i] or (kinds[i] if outcome.reason == "copy" else outcome.reason)
    return reasons


def _judge(
    params: "Validate",
    outcomes: list[Outcome],
    counts: dict[str, int],
    rows: int,
    lost: int,
    classes: pd.DataFrame,
) -> None:
    problems = []
    for outcome in outcomes:
        if outcome.action == "fail" and not outcome.success:
            where = f" (column {outcome.column})" if outcome.column else ""
            examples = [str(classes["label"][i]) for i in outcome.rows[:5]] if outcome.suite == "classes" else []
            problems.append(outcome.reason + (f": {', '.join(examples)}" if examples else where))
    wrong = lost + sum(n for reason, n in counts.items() if reason not in COPIES)
    share = wrong / max(rows + lost, 1)
    if share > params.max_rejected:
        listed = {"unreadable": lost, **counts}
        problems.append(
            f"{wrong:,} of {rows + lost:,} rows ({share:.1%}) cannot be used, over max_rejected {params.max_rejected:.1%}: "
            + ", ".join(f"{n:,} {reason}" for reason, n in listed.items() if n and reason not in COPIES)
        )
    if problems:
        raise DeepmineError(
            "the data does not pass validation:\n  - " + "\n  - ".join(problems)
            + "\nThe rejected rows and their reasons stand in data/quarantine; mend the source, or change "
            "'validate' in params.yaml."
        )  # fmt: skip
