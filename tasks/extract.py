"""extract: the views of every cleaned row, shard by shard: `deep`, `raw`, and the network's own verdict."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import save

from tasks.core.cpu import cores
from tasks.core.errors import DeepmineError
from tasks.core.files import fingerprint, inside, write_atomically
from tasks.core.progress import Progress
from tasks.encoders.device import fix_arithmetic, pick_device, pick_dtype
from tasks.encoders.network import Card, Network, encoder_fingerprint, load_network
from tasks.extraction import seasonal_naive
from tasks.extraction.build_views import Group, State, input_states, write_views
from tasks.extraction.deep_view import Forward, batch_rows
from tasks.extraction.raw_view import RawView, fit_raw, train_rows
from tasks.features.view import view_schema
from tasks.storage.store import read_manifest

if TYPE_CHECKING:
    from tasks.config.train import Extract

#: Files of what the raw view was fitted to.
FITTED = "raw.safetensors"
#: Shards in work at a time on a GPU: while some are read or written, others keep it busy. On a CPU one for each core.
IN_FLIGHT = 4


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

    `deep`: the encoder's features; `raw`: what each input gives without a network (`RAW_WORDS` of its
    modality), the best practice that needs no training; `network`: what the network itself says
    (`Network`). Every schema carries the view's fingerprint. Where the past of a forecast is in the row, `naive` is
    the value of one season before. Finished shards are kept in ``scratch`` and not made again: of added rows alone
    the shards are encoded, and where train rows are among them, `raw` is fitted and projected anew.

    Returns:
        Counts of rows: all, those that went through the network and those that were projected; device, precision.
    """
    fix_arithmetic()
    states = input_states(clean)
    device = pick_device(params.device)
    dtype = pick_dtype(params.precision, device)
    network, card = load_network(encoder)
    batch = batch_rows(params, device, card)
    _require_same_cleaning(card, states)
    forward = Forward(network, card, batch, device, dtype)
    groups = [
        _deep(network, forward, encoder_fingerprint(encoder, card, dtype), code),
        _raw(states, clean, features, params, batch, code),
    ]
    if card.objective == "forecasting":
        groups += _naive(states, card, clean, params, code)
    workers = cores() if device.type == "cpu" else IN_FLIGHT
    encoded, projected, *_ = write_views(groups, clean, features, scratch, progress, workers)
    return {
        "rows": read_manifest(clean).rows,
        "encoded": encoded,
        "projected": projected,
        "device": device.type,
        "precision": str(dtype).removeprefix("torch."),
    }


def _require_same_cleaning(card: Card, states: dict[str, State]) -> None:
    """Refuse an encoder that was trained on rows that were cleaned otherwise: its features would mean something else."""
    trained = {name: part["state"] for name, part in card.inputs.items()}
    if trained != states:
        differing = sorted(n for n in trained.keys() | states.keys() if trained.get(n) != states.get(n))
        raise DeepmineError(
            f"extract: the encoder was trained on data that was cleaned differently (input {', '.join(differing)}). "
            "Run all stages of this dataset: deepmine run"
        )


def _deep(network: Network, forward: Forward, mark: str, code: str) -> Group:
    """What the network makes of a row, its features and its verdict."""
    card = forward.card
    outputs = len(card.labels) or len(card.mean) or 1
    schemas = {
        "deep": view_schema("deep", network.width, mark, slices=json.dumps(network.slices)),
        "network": view_schema("network", outputs, mark, labels=json.dumps(card.labels), objective=card.objective),
    }
    return Group(schemas, forward, fingerprint(code, forward.batch, mark, forward.device.type))


def _raw(states: dict[str, State], clean: Path, features: Path, params: "Extract", batch: int, code: str) -> Group:
    """The raw view, its parts fitted here and left below ``features``."""
    fitted = fit_raw(states, clean, params)
    for name, made in fitted.items():
        write_atomically(inside(features, f"_{name}.{FITTED}"), save(made))
    prints = {name: fingerprint([array.tobytes().hex() for array in made.values()]) for name, made in fitted.items()}
    mark = fingerprint("raw", states, prints)
    view = RawView(states, fitted, batch)
    told = {"names": json.dumps(view.names)} if view.names else {}
    schema = view_schema("raw", view.width, mark, sparse=view.sparse, parts=json.dumps(view.parts), **told)
    return Group({"raw": schema}, view, fingerprint(code, batch, mark))


def _naive(states: dict[str, State], card: Card, clean: Path, params: "Extract", code: str) -> list[Group]:
    """The seasonal-naive forecast as a view, where the past of what is forecast is the one series of the row."""
    forms = {name: part["form"] for name, part in card.inputs.items() if part["form"]["kind"] == "sequence"}
    if len(forms) != 1:
        return []
    [(name, form)] = forms.items()
    channels, outputs = form["shape"][1], len(card.mean)
    if outputs % channels:
        return []
    period = params.season
    if period == "auto":
        period = seasonal_naive.season(train_rows(clean, name, states[name], params.fit_rows))
    horizon = outputs // channels
    mark = fingerprint("naive", name, period, horizon)
    schema = view_schema("naive", outputs, mark, season=str(period))
    return [
        Group(
            {"naive": schema},
            lambda rows: [seasonal_naive.forecast(rows.items[name], horizon, period)],
            fingerprint(code, mark),
        )
    ]
