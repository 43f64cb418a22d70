"""`deepmine add`: look at a source, say what it holds, and write its entry."""

import os
import random
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from flows.project import PARAMS, datasets
from tasks import sources
from tasks.config import Source, check_name, load
from tasks.errors import DeepmineError
from tasks.modalities import modality
from tasks.store import write_atomically

#: Items that are opened to learn their sizes; a sample, as opening 60,000 files takes a while.
SAMPLE = 500


def add(name: str, path: str, columns: dict[str, str]) -> None:
    """Print what ``path`` holds and append a commented entry to params.yaml.

    Raises:
        DeepmineError: the name is taken or impossible, or the source is no form that is known.
    """
    check_name(name, "command line")
    if name in datasets():
        raise DeepmineError(f"{PARAMS} already has a dataset '{name}'. Choose another name, or edit that entry.")
    source = Source(path=_seen_from_here(path), **{**columns, **_root(columns)})
    source = _guess(source, columns)
    listing = sources.listing(source)
    facts = _sample(source, listing)
    labels = Counter(listing["label"].to_pylist())
    known = sorted(label for label in labels if label is not None)
    if len(known) < 2:
        raise DeepmineError(f"{path}: {len(known)} class ({', '.join(known) or 'no labels'}); at least two are needed.")
    console = Console(highlight=False)
    for line in _findings(source, listing, labels, facts):
        console.print(line, soft_wrap=True, markup=False)
    _write(name, source, _entry(source))
    console.print(f"\nwrote datasets.{name} into {PARAMS}; now: deepmine run {name}", markup=False)


def _seen_from_here(path: str) -> str:
    """``path`` relative to the project when it lies inside, else absolute: the entry must hold from anywhere."""
    if path.startswith(sources.EMBEDDED):
        return path
    full = Path(os.environ.get("DEEPMINE_FROM", "."), os.path.expanduser(path)).resolve()
    here = Path.cwd().resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) and full != here else str(full)


def _root(columns: dict[str, str]) -> dict[str, str]:
    return {"root": _seen_from_here(columns["root"])} if "root" in columns else {}


def _guess(source: Source, given: dict[str, str]) -> Source:
    """Fill in the columns of a list by their usual names."""
    path = Path(source.path)
    if not path.is_file():
        return source
    names = sources.read_table(path).column_names
    usual = {
        "label": ("label", "class", "target", "category"),
        "split": ("split", "subset", "fold"),
        "group": ("group",),
    }
    found = {
        key: next((n for n in names if n.lower() in choices), None)
        for key, choices in usual.items()
        if key not in given
    }
    return Source(**{**vars(source), **{k: v for k, v in found.items() if v}})


def _sample(source: Source, listing: pa.Table) -> list[dict[str, Any]]:
    """Facts of up to SAMPLE items, or `reason` where one cannot be read."""
    made = modality("image")
    picked = sorted(random.Random(0).sample(range(listing.num_rows), min(SAMPLE, listing.num_rows)))  # noqa: S311
    facts: list[dict[str, Any]] = []
    for path in listing["path"].take(picked).to_pylist():
        try:
            facts.append(made.inspect(sources.read_bytes(source, path), 50_000_000))
        except sources.Unreadable as error:
            facts.append({"reason": error.reason, "path": path})
    return facts


def _findings(source: Source, listing: pa.Table, labels: Counter[str], facts: list[dict[str, Any]]) -> list[str]:
    good = [f for f in facts if "reason" not in f]
    bad = [f for f in facts if "reason" in f]
    size = sum(s for s in listing["size"].to_pylist() if s > 0)
    lines = [f"{source.path}: {listing.num_rows:,} items" + (f", {size / 1e6:,.1f} MB" if size else "")]
    largest, smallest = labels.most_common(1)[0], labels.most_common()[-1]
    shown = ", ".join(f"{k} {n:,}" for k, n in labels.most_common(12)) + (" ..." if len(labels) > 12 else "")
    lines.append(f"classes  {len(labels)}: {shown}")
    splits = Counter(listing["split"].to_pylist())
    by = "group" if source.group else "content"
    lines.append("splits   " + (", ".join(f"{k or 'none given'} {n:,}" for k, n in sorted(splits.items(), key=str))
                 if any(splits) else f"none given: by hash of the {by}, 20 % test, 10 % val"))  # fmt: skip
    if good:
        sizes = Counter(f"{f['width']} x {f['height']} {f['mode']}" for f in good).most_common(4)
        lines.append(f"images   {', '.join(f'{s} ({n / len(good):.0%})' for s, n in sizes)}, of {len(facts):,} opened")
    copies = len(good) - len({f["content"] for f in good})
    problems = [f"{n} of {len(facts):,} opened: {why}" for why, n in Counter(f["reason"] for f in bad).items()]
    problems += [f"{copies} copies among those opened"] * bool(copies)
    problems += [f"largest class {largest[0]} has {largest[1] / smallest[1]:.0f} times the rows of {smallest[0]}"] * (
        largest[1] > 10 * smallest[1]
    )
    return lines + [f"problem  {p}" for p in problems or ["none seen"]]


def _entry(source: Source) -> dict[str, Any]:
    return {"source": {k: v for k, v in vars(source).items() if v is not None and (k != "label" or v != "label")}}


def _write(name: str, source: Source, entry: dict[str, Any]) -> None:
    """Append under `datasets:`, leaving every byte before it as it is."""
    from ruamel.yaml import YAML

    yaml = YAML()
    buffer = StringIO()
    yaml.dump({name: entry}, buffer)
    lines = [f"  {line}" for line in buffer.getvalue().splitlines()]
    path = Path(PARAMS)
    text = path.read_text(encoding="utf-8")
    if "\ndatasets:" not in f"\n{text}" or not _datasets_last(text):
        raise DeepmineError(
            f"{PARAMS}: 'datasets:' must be the last section for an entry to be added. Move it to the end."
        )
    new = text.rstrip("\n") + f"\n\n  # added by: deepmine add {name}\n" + "\n".join(lines) + "\n"
    trial = path.with_name(".params.trial.yaml")
    try:
        trial.write_text(new, encoding="utf-8")
        load(trial)
    finally:
        trial.unlink(missing_ok=True)
    write_atomically(path, new.encode())


def _datasets_last(text: str) -> bool:
    tops = [line.split(":")[0] for line in text.splitlines() if line and line[0].isalpha()]
    return bool(tops) and tops[-1] == "datasets"
