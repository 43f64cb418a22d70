"""Training against the matrix-product ceiling, extraction against the bare forward pass."""

import shutil
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.flop_counter import FlopCounterMode

from tasks.config.encoders import CNN, VGG
from tasks.config.train import Augment, AugmentImage, Extract, Train
from tasks.core.cpu import cores
from tasks.core.files import write_json
from tasks.core.progress import Progress
from tasks.encoders.device import autocast, fix_arithmetic, pick_device, pick_dtype, place
from tasks.encoders.fused_inference import fold
from tasks.encoders.network import Card, Network, save_network
from tasks.encoders.resident_rows import Rows
from tasks.encoders.training import fit
from tasks.extract import IN_FLIGHT, extract
from tasks.extraction.build_views import Group, write_views
from tasks.extraction.deep_view import Forward, batch_rows
from tasks.features.view import view_schema
from tasks.modalities import image
from tasks.storage.names import STATE
from tasks.storage.store import Writer
from tasks.train import Feed
from tests.benchmarks.measure import Result, compare, turns

CIFAR = {
    "modality": "image", "height": 32, "width": 32, "mode": "RGB",
    "mean": [125.0, 123.0, 114.0], "std": [63.0, 62.0, 67.0],
}  # fmt: skip
CLASSES = [f"class {i}" for i in range(10)]
AUGMENT = Augment(image=AugmentImage(flip=True))
QUIET = Progress(quiet=True)


def pictures(rows: int) -> np.ndarray:
    """(rows, 32, 32, 3) uint8, which compresses about as little as photographs do."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 224, (rows, 8, 8, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    return coarse + rng.integers(0, 32, coarse.shape, dtype=np.uint8)


def card(encoder: Any, mirror: bool = False) -> Card:
    """Of a network over these pictures."""
    part = {"encoder": asdict(encoder), "form": image.form(CIFAR), "state": CIFAR}
    return Card({"image": part}, labels=CLASSES, mirror=["image"] if mirror else [])


def training(device_name: str, rows: int = 4096, repeats: int = 5) -> list[Result]:
    """One epoch of the default network in batches of 512, its operations made as one large matrix product as well.

    Operations are those of the forward and the backward pass; augmentation, the optimiser's own and the checkpoint
    take time and count for nothing.
    """
    fix_arithmetic()
    device = pick_device(device_name)
    dtype = pick_dtype("auto", device)
    encoder = VGG()
    params = Train(epochs=1, batch=min(512, rows), augment=AUGMENT)
    items = {"image": torch.from_numpy(pictures(rows)).to(device)}
    whole = Rows(items, torch.arange(rows, device=device) % len(CLASSES))
    feed = Feed({"image": CIFAR}, params, whole)
    network = place(card(encoder).build(), device)

    counter = FlopCounterMode(display=False)
    with counter, autocast(device, dtype):
        network.train()(feed.prepare(whole.take(slice(16)).inputs))[1].float().logsumexp(1).sum().backward()
    work = counter.get_total_flops() / 16 * rows

    side = 4096 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    products = max(round(work / (2 * side**3)), 1)

    def multiply() -> None:
        for _ in range(products):
            torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.safetensors"

        def epoch() -> None:
            checkpoint.unlink(missing_ok=True)
            fit(
                network, whole, whole.take(slice(0)), params=params, prepare=feed.prepare, augment=feed.augment,
                dtype=dtype, checkpoint=checkpoint, key="", progress=QUIET,
            )  # fmt: skip

        seconds = turns({"ours": epoch, "product": multiply}, repeats)
    scaled = [s * work / (products * 2 * side**3) for s in seconds["product"]]
    what = f"{side} x {side} matrix products, {_name(dtype)}"
    images = compare("training", seconds["ours"], scaled, rows, "images/s", what)
    flops = compare("training, operations", seconds["ours"], scaled, work / 1e9, "GFLOP/s", what)
    return [images, flops]


def extraction(device_name: str, rows: int = 16_384, repeats: int = 3) -> list[Result]:
    """Clean shards to feature shards, both verified, against the forward pass alone on tensors made before.

    The reference is the network with its normalisation folded, as PyTorch runs it, the usual way (threads inside each
    operation) or ours (a batch on each core), whichever is quicker. `forward` is our own form of it alone, on the same
    tensors. `everything` is the whole stage: it also fits the principal components of the raw view, projects on them
    and writes that view. The plain CNN goes through four times the rows, as it is many times quicker.
    """
    device = pick_device(device_name)
    dtype = pick_dtype("auto", device)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for encoder, mirror, count in ((VGG(), True, rows), (CNN(), False, 4 * rows)):
            items = write_clean(home / "clean", count)
            fix_arithmetic()
            torch.manual_seed(0)
            described = card(encoder, mirror)
            network = described.build().eval()
            save_network(home / encoder.name, network, described)
            params = Extract(device=device_name)
            batch = batch_rows(params, device, described)
            schemas = {
                "deep": view_schema("deep", network.width, ""),
                "network": view_schema("network", len(CLASSES), ""),
            }
            forward = Forward(network, described, batch, device, dtype)
            workers = cores() if device.type == "cpu" else IN_FLIGHT

            def deep(forward: Forward = forward, schemas: dict[str, pa.Schema] = schemas) -> None:
                group = Group(schemas, forward, "")
                write_views([group], home / "clean", home / "out", home / "scratch", QUIET, workers)  # noqa: B023
                shutil.rmtree(home / "scratch")

            def everything(encoder: VGG | CNN = encoder, params: Extract = params) -> None:
                extract(
                    params=params, code="", clean=home / "clean", encoder=home / encoder.name,
                    features=home / "out", scratch=home / "scratch", progress=QUIET,
                )  # fmt: skip
                shutil.rmtree(home / "scratch")

            ready = _prepared(forward, items)
            ways = {"deep": deep, "everything": everything}
            for kind, made in (("quick", forward.network), ("bare", place(fold(network).to(dtype), device))):
                ways |= {f"{kind} {way}": run for way, run in _alone(made, ready, device).items()}
            seconds = turns(ways, repeats)
            bare, seconds["forward"] = (_quickest(seconds, kind) for kind in ("bare", "quick"))
            what = f"folded network alone, {_name(dtype)}, batch {batch}"
            for kind in ("deep", "everything", "forward"):
                name = f"extraction, {encoder.name}, {kind}"
                results.append(compare(name, seconds[kind], bare, count, "images/s", what))
    return results


def write_clean(folder: Path, rows: int, shard_rows: int = 2048) -> np.ndarray:
    """A clean store of generated pictures; the pictures."""
    items = pictures(rows)
    schema = pa.schema(
        [*((n, pa.string()) for n in ("id", "content", "split", "label")), ("image", image.column_type(CIFAR))],
        metadata={"inputs": '{"image": "image"}'},
    )
    writer = Writer(folder, schema, "generated")
    for start in range(0, rows, shard_rows):
        numbers = range(start, min(start + shard_rows, rows))
        columns: list[list[Any]] = [
            [f"class{i % 10}/{i:06d}.png" for i in numbers],
            [f"{i:064x}" for i in numbers],
            ["train" if i % 10 < 8 else "test" for i in numbers],
            [CLASSES[i % 10] for i in numbers],
            [items[i].tobytes() for i in numbers],
        ]
        arrays = [pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)]
        writer.add(pa.Table.from_arrays(arrays, schema=schema))
    write_json(folder / STATE, {"inputs": {"image": CIFAR}})
    writer.finish({"in": rows, "accepted": rows, "quarantined": {}})
    return items


def _prepared(forward: Forward, items: np.ndarray) -> list[torch.Tensor]:
    whole = torch.from_numpy(items[: len(items) // forward.batch * forward.batch]).to(forward.device)
    return [forward.prepare("image", part) for part in whole.split(forward.batch)]


def _alone(network: Network, ready: list[torch.Tensor], device: torch.device) -> dict[str, Callable[[], None]]:
    @torch.inference_mode()
    def one(x: torch.Tensor) -> None:
        network({"image": x})

    def threads() -> None:
        fix_arithmetic()
        for x in ready:
            one(x)
        if device.type == "cuda":
            torch.cuda.synchronize()

    def batches() -> None:
        with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(one, ready))

    return {"threads": threads} if device.type == "cuda" else {"threads": threads, "batches": batches}


def _quickest(seconds: dict[str, list[float]], kind: str) -> list[float]:
    return min((s for way, s in seconds.items() if way.startswith(kind)), key=statistics.median)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
