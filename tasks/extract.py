"""extract: the views of every cleaned row, shard by shard: `deep`, `raw`, and the network's own verdict."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors.numpy import save

from tasks.encoders.network import (
    autocast,
    encoder_fingerprint,
    fix_arithmetic,
    load_network,
    pick_device,
    pick_dtype,
    place,
)
from tasks.modalities import modality
from tasks.progress import Progress
from tasks.store import (
    STATE,
    Scratch,
    Writer,
    fingerprint,
    read_manifest,
    read_shards,
    vector_column,
    write_atomically,
)
from tasks.views import COLUMNS, blocks, view_schema

if TYPE_CHECKING:
    from tasks.config import Extract

COMPONENTS = "pca.safetensors"


def extract(
    *,
    params: "Extract",
    code: str,
    clean: Path,
    encoder: Path,
    features: Path,
    scratch: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write three views below ``features``, each a store with one vector column named like the view.

    `deep`: the encoder's features; `raw`: principal components of the pixels, fitted on train rows (a baseline
    that needs no training); `network`: the probabilities of the network's own head. Every schema carries the
    view's fingerprint. Finished shards are kept in ``scratch`` and not made again.
    """
    fix_arithmetic()
    state = json.loads((clean / STATE).read_bytes())
    made = modality(state["modality"])
    name = state["input"]
    manifest = read_manifest(clean)
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    network, card = load_network(encoder)
    network = place(network, device)
    deep_mark = encoder_fingerprint(encoder, card, dtype)

    def items(table: pa.Table) -> np.ndarray:
        pixels: np.ndarray = made.pixels(table[name], state)  # (N, H, W, C)
        return pixels

    def run_network(table: pa.Table) -> list[np.ndarray]:
        return encode(network, items(table), lambda x: made.tensor(x, card.state), params.batch, device, dtype)

    components, mean = fit_components(_train_rows(clean, name, items, made.flat, params.fit_rows), params)
    raw_mark = fingerprint("pca", state, fingerprint_bytes(components, mean))
    write_atomically(features / COMPONENTS, save({"components": components, "mean": mean}))

    def project(table: pa.Table) -> list[np.ndarray]:
        parts = [((made.flat(b) - mean) @ components.T)[:n] for b, n in blocks(items(table), params.batch)]
        return [np.concatenate(parts)]  # (N, components)

    slices = json.dumps({name: [0, network.encoder.width]})
    network_views = {
        "deep": view_schema("deep", network.head.in_features, deep_mark, slices=slices),
        "network": view_schema("network", len(card.labels), deep_mark, labels=json.dumps(card.labels)),
    }
    raw_views = {"raw": view_schema("raw", len(components), raw_mark)}
    cache = Scratch(scratch)
    writers = {
        v: Writer(features / v, s, s.metadata[b"fingerprint"].decode()) for v, s in (network_views | raw_views).items()
    }
    done = encoded = 0
    progress.start()
    for shard, table in read_shards(clean):
        key = fingerprint(code, params.batch, shard.sha256)
        fresh = [
            _views(table, network_views, run_network, fingerprint(key, deep_mark, device.type), cache, writers),
            _views(table, raw_views, project, fingerprint(key, raw_mark), cache, writers),
        ]
        encoded += table.num_rows if any(fresh) else 0
        done += table.num_rows
        progress(done, manifest.rows, "rows", note="" if any(fresh) else "kept from before")
    for writer in writers.values():
        writer.finish({"in": manifest.rows, "accepted": manifest.rows, "quarantined": {}})
    cache.prune()
    return {
        "rows": done,
        "encoded": encoded,
        "device": device.type,
        "precision": str(dtype).removeprefix("torch."),
    }


@torch.inference_mode()
def encode(
    network: Any, items: np.ndarray, prepare: Callable[[torch.Tensor], torch.Tensor], batch: int,
    device: torch.device, dtype: torch.dtype,
) -> list[np.ndarray]:  # fmt: skip
    """Features (N, width) and class probabilities (N, K) of (N, ...) items, float32, in batches of one fixed size."""
    features, verdicts = [], []
    for block, count in blocks(items, batch):
        with autocast(device, dtype):
            tensor = prepare(torch.from_numpy(block).to(device)).contiguous(memory_format=torch.channels_last)
            feature, scores = network(tensor)
        features.append(feature[:count].float().cpu())
        verdicts.append(scores[:count].float().softmax(1).cpu())
    return [torch.cat(features).numpy(), torch.cat(verdicts).numpy()]


def fit_components(train: np.ndarray, params: "Extract") -> tuple[np.ndarray, np.ndarray]:
    """Principal components (K, D) and mean (D,) of (N, D) train rows; K <= params.components."""
    from sklearn.decomposition import PCA

    pca = PCA(min(params.components, *train.shape), random_state=params.seed).fit(train)
    return pca.components_.astype(np.float32), pca.mean_.astype(np.float32)


def fingerprint_bytes(*arrays: np.ndarray) -> str:
    """sha256 over the bytes of arrays."""
    return fingerprint([array.tobytes().hex() for array in arrays])


def _train_rows(
    clean: Path,
    name: str,
    items: Callable[[pa.Table], np.ndarray],
    flat: Callable[[np.ndarray], np.ndarray],
    limit: int,
) -> np.ndarray:
    """At most ``limit`` flattened train rows, those whose id hashes lowest: the same ones however rows are sharded."""
    parts, ranks = [], []
    for _, table in read_shards(clean, ["id", "split", name]):
        table = table.filter(pc.equal(table["split"], "train")).combine_chunks()
        if table.num_rows:
            parts.append(items(table))
            ranks += [fingerprint(i) for i in table["id"].to_pylist()]
    order = np.argsort(np.array(ranks))[:limit]
    return flat(np.concatenate(parts)[order])  # (N, D)


def _views(
    table: pa.Table, schemas: dict[str, pa.Schema], make: Callable[[pa.Table], list[np.ndarray]], key: str,
    cache: Scratch, writers: dict[str, Writer],
) -> bool:  # fmt: skip
    """Append one shard to each of ``schemas``' stores; False where scratch had them all."""
    found = {view: cache.find(f"{key}.{view}") for view in schemas}
    fresh = not all(found.values())
    if fresh:
        for view, values in zip(schemas, make(table), strict=True):
            columns = [*(table[c].combine_chunks() for c in COLUMNS), vector_column(values)]
            found[view] = cache.put(f"{key}.{view}", pa.Table.from_arrays(columns, schema=schemas[view]))
    for view, shard in found.items():
        if shard is not None:
            writers[view].link(shard)
    return fresh
