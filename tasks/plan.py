"""plan: what each later stage will work on, as one small file that DVC compares key by key."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks import STAGES, sources
from tasks.config.parsing import plain
from tasks.core.code_hash import code_hash
from tasks.core.errors import Damaged, DeepmineError, nearest
from tasks.core.files import read_json, write_json
from tasks.modalities import MODALITIES
from tasks.sources import snapshot
from tasks.sources.base import paths_of
from tasks.sources.listing_file import digest, read_listing, write_listing
from tasks.sources.readers import format_of

if TYPE_CHECKING:
    from tasks.config.dataset import Dataset

#: Stages that know modalities; those after them see features alone.
ABOVE_THE_WAIST = ("ingest", "validate", "clean", "train", "extract", "report")
#: Stages that do one thing or another by what is to be learned.
WITH_OBJECTIVE = ("validate", "train", "mine", "evaluate", "report")
#: Stages that `crossvalidate` repeats for every fold.
CHAIN = ("clean", "train", "extract", "mine")


def plan(*, dataset: "Dataset", listing: Path, plan: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """Scan the source and write the plan of one dataset.

    Args:
        dataset: its entry, defaults merged in.
        listing: Parquet file of the items found, with the shard that each belongs to. Known items keep their
            shard and new ones get new shards, so that added data leaves finished shards as they are.
        plan: JSON file; for each stage its resolved parameters and the hash of the code it can reach.
        warn: told in a sentence when the source is away and the recorded listing is kept.

    Raises:
        DeepmineError: the source cannot be listed, or a miner's parameters are refused.
    """
    old = read_plan(plan)
    check_miners(dataset, old.get("mine", {}))
    rows = _listing(dataset, listing, warn)
    summary = {"rows": rows.num_rows, "digest": digest(rows)}
    # the name, so that the plan of one dataset is not taken for that of another
    result: dict[str, Any] = {"dataset": plan.stem, "source": plain(dataset)["source"], "listing": summary}
    result |= {stage: stage_slice(dataset, stage, summary) for stage in STAGES}
    if result != old:
        write_json(plan, result)
    return result


def stage_slice(dataset: "Dataset", stage: str, listing: dict[str, Any]) -> dict[str, Any]:
    """All that makes a stage's result besides its input files: parameters, code, and for ingest the listing."""
    values = plain(dataset)
    kinds = {i.modality for i in dataset.inputs.values()}
    if stage == "crossvalidate":
        return _crossvalidate(dataset, values, kinds)
    part: dict[str, Any] = {
        "params": relevant(values[stage], stage, kinds),
        "code": code_hash(stage, registry_entries(dataset)),
    }
    if stage in ABOVE_THE_WAIST:
        part["inputs"] = values["inputs"]
    if stage in WITH_OBJECTIVE:
        part["objective"] = values["objective"]
    if stage == "mine":  # of the intervals that say whether a rule held up
        part["confidence"] = values["evaluate"]["confidence"]
    if stage == "ingest":
        part["listing"] = listing
        part["source"] = {key: value for key, value in values["source"].items() if key not in ("path", "root")}
    return part


def _crossvalidate(dataset: "Dataset", values: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """The slice of `crossvalidate`: all that its folds go through; where there are none, nothing that could rerun it."""
    code = code_hash("crossvalidate", registry_entries(dataset))
    if dataset.chain is None:
        return {"params": {"folds": 0}, "code": code}
    chain = plain(dataset.chain)
    chain |= {stage: relevant(values[stage], stage, kinds) for stage in CHAIN}
    return {"params": values["crossvalidate"], "code": code, "chain": chain}


def relevant(values: dict[str, Any], stage: str, kinds: Collection[str]) -> dict[str, Any]:
    """A stage's parameters less those of modalities that the dataset has not, which change nothing for it."""
    found = dict(values)
    if stage == "train":
        return found | {key: _of(found[key], kinds) for key in ("encoders", "augment")}
    return _of(found, kinds) if stage in ("validate", "clean") else found


def _of(values: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in kinds or key not in MODALITIES}


def registry_entries(dataset: "Dataset") -> dict[str, set[str]]:
    """The keys of each registry that the dataset uses."""
    kinds: set[str] = {i.modality for i in dataset.inputs.values()}
    loss = dataset.train.loss.name
    return {
        "MODALITIES": kinds,
        "READERS": {format_of(path) for path in paths_of(dataset.source)},
        "ENCODERS": {getattr(dataset.train.encoders, kind).name for kind in kinds},
        "OPTIMIZERS": {dataset.train.optimizer.name},
        "LOSSES": {loss} | ({"cross_entropy", "absolute_error"} if loss == "auto" else set()),
        "MINERS": {m.miner for m in dataset.mine.miners.values()},
        "CHAIN": set(CHAIN) if dataset.crossvalidate.folds else set(),
    }


def check_miners(dataset: "Dataset", recorded: Mapping[str, Any]) -> None:
    """Refuse what scikit-learn would refuse, before anything runs; skipped where the ``recorded`` slice of `mine` passed.

    Raises:
        DeepmineError: an unknown miner or view, or a parameter that its estimator refuses.
    """
    values = plain(dataset)
    if (values["mine"], values["objective"]) == (recorded.get("params"), recorded.get("objective")):
        return
    from tasks.miners import MINERS, accelerate  # scikit-learn takes a second to import
    from tasks.miners.hyperparameters import check

    if dataset.mine.accelerate:
        accelerate.require()

    for name, miner in dataset.mine.miners.items():
        if miner.miner not in MINERS:
            raise DeepmineError(
                f"params.yaml: mine.miners.{name}.miner: unknown miner '{miner.miner}'.{nearest(miner.miner, MINERS)}"
            )
        for view in (v for views in miner.views for v in views.split("+")):
            if view not in ("raw", "deep"):
                raise DeepmineError(
                    f"params.yaml: mine.miners.{name}.views: unknown view '{view}'.{nearest(view, ['raw', 'deep'])}"
                )
        check(miner.miner, dict(miner.params), f"params.yaml: mine.miners.{name}.params", dataset.objective)


def _listing(dataset: "Dataset", path: Path, warn: Callable[[str], None]) -> pa.Table:
    old, lost = None, None
    try:
        old = read_listing(path) if path.is_file() else None
    except Damaged as error:
        lost = error
    if old is not None and not sources.exists(dataset.source):
        warn(f"{dataset.source.path} does not exist; continuing with the {old.num_rows:,} items recorded last time")
        return old
    if lost and not sources.exists(dataset.source):
        raise lost  # there is nothing that it could be made anew from
    known = snapshot.load(snapshot.beside(path))
    shares = dataset.ingest.val, dataset.ingest.test
    found, seen = sources.scan(dataset.source, dataset.inputs, shares, warn, known)
    table = assign_shards(found, old, dataset.ingest.shard_rows)
    if old is None or not table.equals(old):
        write_listing(path, table)
    if seen is not known and not seen.equals(known):
        snapshot.save(snapshot.beside(path), seen)
    return table


def assign_shards(table: pa.Table, old: pa.Table | None, shard_rows: int) -> pa.Table:
    """``table`` with a column `shard`: that of ``old`` for known ids, new ones after them for the rest."""
    shards: list[int | None] = [None] * table.num_rows
    following = 0
    if old is not None and pc.max(pc.value_counts(old["shard"]).field("counts")).as_py() <= shard_rows:
        known = dict(zip(old["id"].to_pylist(), old["shard"].to_pylist(), strict=True))
        shards = [known.get(name) for name in table["id"].to_pylist()]
        following = max(known.values()) + 1
    fresh = 0
    for i, shard in enumerate(shards):
        if shard is None:
            shards[i] = following + fresh // shard_rows
            fresh += 1
    return table.append_column("shard", sources.column(shards, pa.int64())).sort_by(
        [("shard", "ascending"), ("id", "ascending")]
    )


def read_plan(path: Path) -> dict[str, Any]:
    """The plan as it was; nothing where there is none, or a damaged one: it is made anew."""
    try:
        return read_json(path)
    except DeepmineError:
        return {}
