"""validate: a Great Expectations suite from the dataset's declaration; what fails goes to quarantine, unchanged."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config.objective import resolve
from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, named, write_json
from tasks.core.progress import Progress
from tasks.modalities import modality, repeats
from tasks.storage.names import SUMMARY
from tasks.storage.quarantine import QUARANTINE, set_aside
from tasks.storage.store import MANIFEST, read, read_manifest
from tasks.validation import near_duplicates, run_checks
from tasks.validation.context import Context, needed_columns
from tasks.validation.expectations import Check, Outcome, run_suite
from tasks.validation.finding import LEAK, NOTE, in_words

if TYPE_CHECKING:
    from tasks.config.source import Input
    from tasks.config.validate import Validate

#: Reasons that say nothing of the data's quality, so that they do not count towards the threshold.
COPIES = ("copy", "copy across splits", "copies with different labels")


def validate(
    *, params: "Validate", inputs: "dict[str, Input]", objective: str, raw: Path, unreadable: Path, rejected: Path,
    quality: Path, warn: Callable[[str], None], progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Check the raw rows; write the failing ones to ``rejected`` with their reason, and Data Docs to ``quality``.

    Near-duplicates among the accepted rows stay: they are counted in the summary and listed in ``quality``. ``warn`` is
    given every finding of the leak checks (`tasks.validation.CHECKS`) that is no note.

    Raises:
        DeepmineError: the share of unusable rows is over the threshold, a class or split is too small,
            an expectation with action `fail` is not met, or there are leaks and `validate.leaks` is `fail`.
    """
    by_nature = repeats(spec.modality for spec in inputs.values())
    rejects = params.copies == "reject" or (params.copies == "auto" and not by_nature)
    rows = _rows(raw, params, inputs, rejects)
    objective = resolve(objective, bool(rows["label"].notna().any()))
    labels: list[str] = []
    if objective == "classification":
        labels = list(params.labels) or sorted(rows.loc[rows["split"] == "train", "label"].dropna().unique())
    progress(0, len(rows), "rows", note="checking expectations", always=True)
    checks = [*_row_checks(labels, objective, rejects), *_input_checks(params, inputs)]
    if objective in ("regression", "forecasting"):
        rows["label as numbers"] = rows["label"].where(_numbers(rows["label"], objective))
    row_outcomes = run_suite("rows", rows if params.expectations else _named(rows, checks), checks, quality)
    reasons = _reasons(rows, row_outcomes)
    sound = reasons == ""
    classes = class_table(rows.loc[sound & bool(labels), ["label", "split"]], labels)
    class_outcomes = run_suite("classes", classes, _class_checks(params), quality) if labels else []
    if objective == "classification" and not labels:
        raise DeepmineError("validate: no train row has a label. Set 'objective: autoencoder' to work without labels.")
    alike = None
    if column := _sketched(inputs):
        progress(len(rows), len(rows), "rows", note="looking for near-duplicates", always=True)
        sketches = read(raw, [column])[column]
        alike = _near_duplicates(rows, sound, sketches, params.near_duplicates, quality)
        rows["brightness"] = np.where(sketches.is_valid(), _sketches(sketches).mean(1, dtype=np.float32), np.nan)
    progress(len(rows), len(rows), "rows", note="looking for leaks", always=True)
    removed = int((reasons == COPIES[1]).sum())
    findings = run_checks(Context(rows[sound], inputs, params, objective, raw, removed, alike))
    bad = _quarantine(raw, rows, reasons)
    counts = set_aside(bad, rejected, fingerprint("validate", repr(params), labels))
    lost = read_manifest(unreadable).rows
    write_json(
        rejected / SUMMARY,
        {
            "files": named(rejected, MANIFEST), "in": len(rows),
            "accepted": len(rows) - len(bad), "quarantined": counts, "labels": labels,
            "objective": objective, "classes": classes.to_dict("records"), "near_duplicates": alike,
            "findings": findings,
            "expectations": [vars(o) | {"rows": len(o.rows)} for o in row_outcomes + class_outcomes],
        },
    )  # fmt: skip
    _judge(params, row_outcomes + class_outcomes, counts, len(rows), lost, classes, findings)
    for finding in findings:
        if finding["severity"] != NOTE:
            warn(in_words(finding))
    return {
        "rows": len(rows) - len(bad),
        "rejected": len(bad),
        "objective": objective,
        "near_duplicates": alike["rows"] if alike else 0,
        "expectations": len(row_outcomes + class_outcomes),
    }


def _rows(raw: Path, params: "Validate", inputs: "dict[str, Input]", rejects: bool) -> pd.DataFrame:
    """The facts of all rows, no more columns than are needed, and which rows are copies or repeat an id.

    Where a person has expectations of their own, all columns: these may name any.
    """
    facts = [f"{name}.{suffix}" for name, spec in inputs.items() for suffix in modality(spec.modality).checked(spec)]
    columns = ["id", "split", "label", "content", *needed_columns(inputs)]
    if params.expectations:
        columns = ["id", "content", "split", "label", "group", "source", "bytes", "time"]
    table = read(raw, [*dict.fromkeys(columns), *facts])
    if not rejects and not params.expectations:  # 64 bits tell equal rows from others, and take a quarter of the room
        short = pc.utf8_slice_codeunits(table["content"], 0, 16)
        table = table.set_column(table.column_names.index("content"), "content", short)
    rows = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    rows["repeated id"] = rows["id"].where(rows.duplicated("id", keep=False))
    if rejects:
        rows["copy"] = copies(rows)
    return rows


def _sketched(inputs: "dict[str, Input]") -> str | None:
    """The column of sketches that near-duplicates are found by: the first input's that has one."""
    having = (name for name, spec in inputs.items() if "sketch" in modality(spec.modality).raw_fields(spec))
    return next((f"{name}.sketch" for name in having), None)


def _named(rows: pd.DataFrame, checks: list[Check]) -> pd.DataFrame:
    """The columns that ``checks`` name: Great Expectations hashes and copies all that it is given."""
    return rows[list(dict.fromkeys(c.arguments["column"] for c in checks if c.arguments["column"] in rows))]


def _quarantine(raw: Path, rows: pd.DataFrame, reasons: np.ndarray) -> pa.Table:
    """The rows with a reason, as the quarantine has them."""
    gone = reasons != ""
    bad = rows[gone]
    if len(bad) and "source" not in bad:
        bad = bad.assign(source=read(raw, ["source"])["source"].filter(pa.array(gone)).to_pandas().to_numpy())
    columns = {
        c: pa.array(bad[c], pa.string(), from_pandas=True) if c in bad else pa.nulls(len(bad), pa.string())
        for c in ("id", "source", "label", "split", "copy")
    }
    columns |= {"reason": pa.array(reasons[gone].tolist(), pa.string()), "detail": columns.pop("copy")}
    return pa.table(columns).select(QUARANTINE.names).cast(QUARANTINE)


def copies(rows: pd.DataFrame) -> pd.Series:
    """For each row that repeats another's content, what it is a copy of; else None.

    One of a set of copies stays: the one in test, else in val, else the first id. Copies under two labels all go.
    """
    found = pd.Series(None, index=rows.index, dtype=object)
    same = rows.loc[rows.duplicated("content", keep=False), ["id", "content", "split", "label"]]
    codes = pd.Series(pd.factorize(same["label"], use_na_sentinel=False)[0], index=same.index)
    labels = codes.groupby(same["content"])
    differ = labels.transform("min") != labels.transform("max")
    if differ.any():
        listed = same[differ]
        # by hand, as a text of what is missing is missing
        told = [f"{i} ({None if pd.isna(k) else k})" for i, k in zip(listed["id"], listed["label"], strict=True)]
        first = pd.Series(told, index=listed.index).groupby(listed["content"]).head(4)
        others = first.groupby(listed["content"]).agg(", ".join)
        found[listed.index] = f"{COPIES[2]}: " + listed["content"].map(others).astype(object)
    same = same[~differ]
    rank = same["split"].map({"test": 0, "val": 1, "train": 2})
    same = same.assign(rank=rank).sort_values(["rank", "id"])
    kept = same.drop_duplicates("content").set_index("content")[["id", "split"]]
    same = same[same.duplicated("content")].join(kept, on="content", rsuffix=" kept")
    kind = np.where(same["split"] == same["split kept"], COPIES[0], COPIES[1]).astype(object)
    found[same.index] = kind + ": of " + same["id kept"].astype(object) + " in " + same["split kept"].astype(object)
    return found


def _sketches(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size binaries as an (N, D) uint8 array."""
    width = column.type.byte_width
    parts = [np.frombuffer(c.buffers()[1], np.uint8, len(c) * width, c.offset * width) for c in column.chunks]
    return np.concatenate([np.zeros(0, np.uint8), *parts]).reshape(-1, width)  # (N, D)


def _near_duplicates(
    rows: pd.DataFrame, sound: np.ndarray, sketches: pa.ChunkedArray, threshold: float, quality: Path
) -> dict[str, Any]:
    """What is alike among the ``sound`` rows that have a sketch."""
    chosen = sound & sketches.is_valid().to_numpy()
    rows = rows[chosen]
    links = near_duplicates.find(_sketches(sketches.filter(pa.array(chosen))), threshold)
    listed = pa.Table.from_pandas(near_duplicates.members(rows, links), preserve_index=False)
    pq.write_table(listed.replace_schema_metadata(), quality / "near_duplicates.parquet")
    return near_duplicates.summary(rows, links, threshold)


def class_table(rows: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Rows of each class in each split, and how many times smaller it is than the largest class."""
    table = pd.crosstab(rows["label"], rows["split"]).reindex(labels, fill_value=0)
    table = table.reindex(columns=["train", "val", "test"], fill_value=0)
    total = table.sum(axis=1)
    table["times_smaller"] = (total.max() / total.replace(0, np.nan)).fillna(np.inf).replace(np.inf, 1e9).round(3)
    return table.rename_axis("label").reset_index()


def _numbers(labels: "pd.Series", objective: str) -> np.ndarray:
    """(N,) whether each label is one finite number or, of a forecast, as many between spaces as most labels are."""
    texts = pc.utf8_trim_whitespace(pa.array(labels, pa.string(), from_pandas=True))
    parts = pc.utf8_split_whitespace(texts)
    parts = parts if isinstance(parts, pa.Array) else parts.combine_chunks()
    counts = pc.list_value_length(parts).fill_null(0).to_numpy()
    values = pd.to_numeric(pd.Series(parts.flatten()), errors="coerce").to_numpy(float)
    wrong = pc.list_parent_indices(parts).to_numpy()[~np.isfinite(values)]
    wanted = 1 if objective == "regression" else np.bincount(counts[counts > 0], minlength=2).argmax()
    return (counts == wanted) & (np.bincount(wrong, minlength=len(labels)) == 0)


def _input_checks(params: "Validate", inputs: "dict[str, Input]") -> list[Check]:
    """What each input's modality expects of its facts, and the person's own expectations."""
    checks = []
    for name, spec in inputs.items():
        for expect, arguments, action, reason in modality(spec.modality).checks(spec, getattr(params, spec.modality)):
            column = f"{name}.{arguments['column']}"
            checks.append(Check(expect, {**arguments, "column": column}, action, reason))
    return checks + [Check(e.expect, dict(e.arguments), e.action, where=e.where) for e in params.expectations]


def _row_checks(labels: list[str], objective: str, rejects: bool) -> list[Check]:
    wanted = {"column": "label", "value_set": labels}
    of_label = {
        "classification": [
            Check("expect_column_values_to_not_be_null", {"column": "label"}, "reject", "label missing"),
            Check("expect_column_values_to_be_in_set", wanted, "reject", "unknown label"),
        ],
        "autoencoder": [],
    }
    numbers = [
        Check("expect_column_values_to_not_be_null", {"column": "label"}, "reject", "label missing"),
        Check("expect_column_values_to_not_be_null", {"column": "label as numbers"}, "reject", "label is not a number"),
    ]
    return [
        Check("expect_column_values_to_be_null", {"column": "repeated id"}, "fail", "ids are not unique"),
        *of_label.get(objective, numbers),
        Check("expect_column_values_to_be_in_set", {"column": "split", "value_set": ["train", "val", "test"]}, "fail"),
        *([Check("expect_column_values_to_be_null", {"column": "copy"}, "reject", "copy")] if rejects else []),
        Check("expect_column_distinct_values_to_contain_set", {"column": "split", "value_set": ["train", "test"]},
              "fail", "a split has no rows"),
    ]  # fmt: skip


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


def _reasons(rows: pd.DataFrame, outcomes: list[Outcome]) -> np.ndarray:
    """(N,) the reason of each row's rejection, "" for accepted rows; the first failed expectation names it."""
    reasons = np.full(len(rows), "", dtype=object)
    for outcome in outcomes:
        if outcome.action == "reject" and not outcome.success:
            fresh = np.array(outcome.rows, int)
            fresh = fresh[reasons[fresh] == ""]
            copies = [text.partition(":")[0] for text in rows["copy"].iloc[fresh]] if outcome.reason == "copy" else None
            reasons[fresh] = outcome.reason if copies is None else copies
    return reasons


def _judge(
    params: "Validate",
    outcomes: list[Outcome],
    counts: dict[str, int],
    rows: int,
    lost: int,
    classes: pd.DataFrame,
    findings: list[dict[str, Any]],
) -> None:
    problems = []
    if params.leaks == "fail":
        problems += [in_words(one) for one in findings if one["severity"] == LEAK]
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
