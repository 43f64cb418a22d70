"""crossvalidate: cross-validation in which every fold has an encoder of its own, and how much too good the naive way looks.

The one stage that runs others: for each fold it calls `clean`, `train`, `extract` and `mine` as they are, on rows whose
splits are the fold's. So cleaning, vocabulary, encoder, components and miners are all made of the fold's train rows.
"""

import inspect
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config.objective import resolve
from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, named, read_json, write_json
from tasks.core.progress import Progress, Share
from tasks.core.records import as_json, from_json
from tasks.core.text import CONFIDENCE
from tasks.evaluation.predictions import verdicts
from tasks.features.label_values import parse_numbers
from tasks.splitting.folds import Cases, Folds, make_folds, told
from tasks.splitting.resplit import resplit
from tasks.storage.names import SUMMARY
from tasks.storage.quarantine import QUARANTINE
from tasks.storage.scratch import Scratch
from tasks.storage.store import MANIFEST, Writer, read, read_manifest
from tasks.storage.summaries import CrossValidationSummary, FoldSummary

if TYPE_CHECKING:
    from tasks.config.dataset import Chain
    from tasks.config.evaluate import CrossValidate
    from tasks.config.mine import Mine

#: The verbs of a fold, in their order. By name: where there are no folds none of them is imported or changes anything.
CHAIN = {
    "clean": "tasks.clean:clean",
    "train": "tasks.train:train",
    "extract": "tasks.extract:extract",
    "mine": "tasks.mine:mine",
}
#: About what share of the seconds of a fold each of them takes, in percent; for the time left.
SHARES = {"clean": 5, "train": 60, "extract": 10, "mine": 25}
STORES = ("raw", "rejected", "clean", "cleaned", "items", "encoder", "features", "miners")
COMMON = {"id": pa.string(), "fold": pa.int64(), "unit": pa.string(), "label": pa.string()}
OFF = "no folds were asked for"


@dataclass(frozen=True)
class Piece:
    """Work that is finished as a whole: what it is called, its own key, and its length in rows."""

    name: str
    key: str
    rows: int


def crossvalidate(
    *, params: "CrossValidate", chain: "Chain | None", code: str, raw: Path, rejected: Path, crossvalidation: Path, scratch: Path,
    warn: Callable[[str], None], progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Out-of-fold verdicts to the store ``crossvalidation``: `id`, `fold`, `unit`, `label`, `nested.WAY` and `naive.WAY`.

    Nested: the machines of the fold have seen nothing of the row. Naive: one encoder has seen all rows, and only the
    miners on its features are cross-validated, on the same rows. Their difference is the optimism of the naive way.
    A finished fold is kept in ``scratch``; one that was killed goes on with the verb that it was in. Where there are
    no folds, or none can be made, the store is empty and its summary says why.

    Raises:
        DeepmineError: a verb of a fold fails; the text says in which.
    """
    if chain is None:
        return _empty(crossvalidation, OFF)
    cases = _cases(raw, rejected, chain)
    if not (cases.label != "").any():
        return _empty(crossvalidation, "no row has a label that predictions could be compared with", params.folds)
    folds = make_folds(cases, params.folds, params.scheme, chain.val, params.seed)
    if folds.why:
        warn(f"crossvalidate: {folds.why}")
    if folds.count < 2:
        return _empty(crossvalidation, folds.why, params.folds)
    began = time.perf_counter()
    work = Work(chain, code, raw, rejected, cases, folds, scratch, progress)
    nested, naive = work.nested(), work.naive()
    different = {about.aim for _, about in nested + naive}
    if len(different) > 1:
        return _empty(
            crossvalidation, f"the folds differ in what there is to learn: {', '.join(sorted(different))}", params.folds
        )
    table, lost = _joined(nested, naive, cases, folds)
    first, grouped = nested[0][1], len(set(folds.units.tolist())) < len(folds.units)
    summary = CrossValidationSummary(
        folds.count, params.folds, folds.why, table.num_rows, folds.scheme, lost, grouped, list(told(folds)), first.aim,
        first.kinds, first.clusterers, [about.skipped for _, about in nested], [about.merits for _, about in nested],
    )  # fmt: skip
    _write(crossvalidation, table, summary, fingerprint(*(piece.key for piece in work.pieces)))
    work.finish()
    progress(work.total, work.total, "rows", note=f"{folds.count} folds in {time.perf_counter() - began:.0f} s")
    return {
        "rows": table.num_rows,
        "folds": folds.count,
        "scheme": folds.scheme,
        "made": work.made,
        "seconds_of": work.seconds,
    }


def _empty(crossvalidation: Path, why: str, asked: int = 0) -> dict[str, Any]:
    table = pa.schema(list(COMMON.items())).empty_table()
    _write(crossvalidation, table, CrossValidationSummary(0, asked, why, 0), fingerprint("crossvalidate", why))
    return {"rows": 0, "folds": 0} | ({"why": why} if asked else {})


def _write(crossvalidation: Path, table: pa.Table, summary: CrossValidationSummary, mark: str) -> None:
    writer = Writer(crossvalidation, table.schema, mark)
    writer.add(table)
    writer.finish({"in": table.num_rows, "accepted": table.num_rows, "quarantined": {}})
    write_json(crossvalidation / SUMMARY, as_json(summary) | {"files": named(crossvalidation, MANIFEST)})


def _cases(raw: Path, rejected: Path, chain: "Chain") -> Cases:
    """The accepted rows in the order of their ids."""
    table = read(raw, ["id", "content", "label", "group", "time"])
    table = table.filter(pc.invert(pc.is_in(table["id"], read(rejected, ["id"])["id"].combine_chunks()))).sort_by("id")
    ids, content, label, group = (
        np.array(table[name].fill_null("").to_pylist(), dtype=object) for name in ("id", "content", "label", "group")
    )
    known = label[label != ""].tolist()
    numbers = resolve(chain.objective, bool(known)) in ("regression", "forecasting")
    if chain.objective == "autoencoder" and 2 * len(set(known)) > len(known):  # as `mine` has it: these are no classes
        try:
            numbers = bool(np.isfinite(parse_numbers(known)).all())
        except ValueError:
            label = np.full(len(label), "", dtype=object)
    clock = table["time"].to_numpy().astype(np.float64)  # NaN where null
    return Cases(ids, content, label, group, clock, numbers, float(chain.span))


def _without_detectors(params: "Mine") -> "Mine":
    """Less what nobody reads of a fold and takes a while: rules, and detectors of rows that are unlike the others."""
    from tasks.miners import Task, kind

    judged = {name: one for name, one in params.miners.items() if kind(one.miner, Task()) != "outlier_detector"}
    return replace(params, miners=judged, rules=replace(params.rules, views=()))


def _joined(
    nested: list[tuple[pa.Table, FoldSummary]], naive: list[tuple[pa.Table, FoldSummary]], cases: Cases, folds: Folds
) -> tuple[pa.Table, int]:
    """The rows that a nested fold judged, sorted by id, and how many that were to be judged it set aside."""
    table = pa.concat_tables([t for t, _ in nested], promote_options="default").sort_by("id").combine_chunks()
    beside = pa.concat_tables([t for t, _ in naive], promote_options="default").combine_chunks()
    ids = table["id"].combine_chunks()
    at = np.searchsorted(cases.ids.astype(str), np.array(ids.to_pylist(), dtype=str))
    columns = {
        "id": ids, "fold": pa.array(folds.fold[at], pa.int64()), "unit": pa.array(folds.units[at].tolist(), pa.string()),
        "label": table["label"],
    }  # fmt: skip
    places = pc.index_in(ids, beside["id"].combine_chunks())
    kept = [name for name in table.column_names if name not in ("id", "split", "label")]
    columns |= {f"nested.{name}": table[name] for name in kept}
    columns |= {f"naive.{name}": beside[name].take(places) for name in kept if name in beside.column_names}
    return pa.table(columns).combine_chunks(), int((folds.split == "test").sum()) - table.num_rows


class Work:
    """All that has to be made, piece by piece, finished ones kept.

    Attributes:
        pieces: in their order; ``total`` their length in rows, for the time left.
        made: how many were not found finished; ``seconds`` what each of these took.
    """

    def __init__(
        self, chain: "Chain", code: str, raw: Path, rejected: Path, cases: Cases, folds: Folds, scratch: Path,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.chain, self.code, self.raw, self.rejected = chain, code, raw, rejected
        self.cases, self.folds, self.progress = cases, folds, progress
        self.cache, self.home = Scratch(scratch / "pieces"), scratch / "work"
        made_of = fingerprint(code, repr(chain), read_manifest(raw).row_digest, cases.ids.tolist())
        n, mine = len(cases.ids), len(cases.ids) * SHARES["mine"] // 100
        keys = [fingerprint(made_of, row.tolist()) for row in folds.split]
        self.nested_pieces = [Piece(f"fold {k + 1} of {len(keys)}", f"nested.{key}", n) for k, key in enumerate(keys)]
        self.encoder = Piece("one encoder of all rows", f"encoder.{made_of}", n - mine)
        self.naive_pieces = [
            Piece(f"non-nested, fold {k + 1} of {len(keys)}", f"naive.{key}", mine) for k, key in enumerate(keys)
        ]
        self.pieces = [*self.nested_pieces, self.encoder, *self.naive_pieces]
        self.total = sum(piece.rows for piece in self.pieces)
        self.made, self.seconds = 0, dict[str, float]()
        self.done = 0
        for folder in self.home.glob("*"):  # of other parameters or rows: large, and of no use
            if folder.name not in {piece.key for piece in self.pieces}:
                shutil.rmtree(folder)
        found = sum(p.rows for p in (*self.nested_pieces, *self.naive_pieces) if self.cache.find(p.key))
        self.progress.start(found)

    def nested(self) -> list[tuple[pa.Table, FoldSummary]]:
        """The test rows of every fold as machines see them that know nothing of these."""
        return [self._verdicts(piece, k, self._prepare, tuple(CHAIN)) for k, piece in enumerate(self.nested_pieces)]

    def naive(self) -> list[tuple[pa.Table, FoldSummary]]:
        """The same rows as miners see them on the features of an encoder that was trained on all rows."""
        home = self.home / self.encoder.key
        if not all(self.cache.find(piece.key) for piece in self.naive_pieces):
            began = time.perf_counter()
            split = dict.fromkeys(self.cases.ids.tolist(), "train")
            self._run(self.encoder, home, lambda: self._prepare(home, split), ("clean", "train", "extract"))
            self.seconds[self.encoder.name] = round(time.perf_counter() - began, 2)
        self.done += self.encoder.rows

        def prepare(into: Path, split: dict[str, str]) -> None:
            resplit(self.raw, into / "raw", split)
            resplit(home / "items", into / "items", split)
            for view in sorted(p for p in (home / "features").iterdir() if p.is_dir()):
                resplit(view, into / "features" / view.name, split)

        return [self._verdicts(piece, k, prepare, ("mine",)) for k, piece in enumerate(self.naive_pieces)]

    def finish(self) -> None:
        """Remove all but the finished pieces."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.cache.prune()

    def _prepare(self, home: Path, split: dict[str, str]) -> None:
        resplit(self.raw, home / "raw", split)
        Writer(home / "rejected", QUARANTINE, "crossvalidate").finish({"in": 0, "accepted": 0, "quarantined": {}})

    def _verdicts(
        self, piece: Piece, k: int, prepare: Callable[[Path, dict[str, str]], None], verbs: tuple[str, ...]
    ) -> tuple[pa.Table, FoldSummary]:
        """What is said of the test rows of fold ``k``, and what there is to know of it."""
        found = self.cache.find(piece.key)
        if found is None:
            began, home, row = time.perf_counter(), self.home / piece.key, self.folds.split[k]
            split = {i: s for i, s in zip(self.cases.ids.tolist(), row.tolist(), strict=True) if s}
            self._run(piece, home, lambda: prepare(home, split), verbs)
            table, about = verdicts(home / "features", home / "miners")
            table = table.filter(pc.equal(table["split"], "test")).sort_by("id").combine_chunks()
            found = self.cache.put(
                piece.key, table.replace_schema_metadata({"about": json.dumps(about, sort_keys=True, default=as_json)})
            )
            shutil.rmtree(home)
            self.made += 1
            self.seconds[piece.name] = round(time.perf_counter() - began, 2)
        self.done += piece.rows
        table = pq.read_table(found[0], page_checksum_verification=True)
        return table.replace_schema_metadata(None), from_json(FoldSummary, json.loads(table.schema.metadata[b"about"]))

    def _run(self, piece: Piece, home: Path, prepare: Callable[[], None], verbs: Iterable[str]) -> None:
        """The ``verbs`` in turn in the folder ``home``, less those that were finished there before."""
        marks = home / "done.json"
        done: list[str] = read_json(marks)["done"] if marks.is_file() else []
        passed, shares = 0, {verb: SHARES[verb] for verb in verbs}
        for verb in ("prepare", *verbs):
            size = piece.rows * shares.get(verb, 0) // sum(shares.values())
            if verb not in done:
                part = Share(self.progress, self.done + passed, size, self.total, "rows", f"{piece.name}, {verb}")
                part(0, 1, "rows")
                if verb == "prepare":
                    prepare()
                else:
                    self._call(verb, home, part, piece)
                done.append(verb)
                write_json(marks, {"done": done})
            passed += size

    def _call(self, verb: str, home: Path, progress: Progress, piece: Piece) -> None:
        module, _, name = CHAIN[verb].partition(":")
        function = getattr(import_module(module), name)
        params = getattr(self.chain, verb)
        if verb == "mine":
            params = _without_detectors(params)
        known: dict[str, Any] = {
            **{store: home / store for store in STORES}, "params": params, "code": self.code,
            "inputs": self.chain.inputs, "objective": self.chain.objective, "scratch": home / "scratch" / verb,
            "progress": progress, "confidence": CONFIDENCE,  # of rules alone, which no fold looks for
        }  # fmt: skip
        try:
            function(**{key: known[key] for key in inspect.signature(function).parameters})
        except DeepmineError as error:
            raise DeepmineError(f"crossvalidate: {piece.name}: {error}") from None
