"""params.yaml: what is wrong is named with its file, its key and what to do."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks import STAGES
from tasks.config import loader
from tasks.config.clean import Clean, CleanImage, CleanTabular, Outliers
from tasks.config.dataset import Dataset
from tasks.config.encoders import CNN, RNN, Encoders
from tasks.config.loader import read_yaml
from tasks.config.mine import Mine, Miner
from tasks.config.parsing import parse, plain
from tasks.config.source import Input, Source
from tasks.config.train import Adam, Train
from tasks.config.validate import Expectation, Validate
from tests.config.test_loader import ONE, refused

SHIPPED = Path(__file__).parents[2] / "params.yaml"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"default: {{}}\n{ONE}", "unknown key 'default'. Did you mean 'defaults'?"),
        (f"defaults: {{trian: {{}}}}\n{ONE}", "defaults.trian: unknown section. Did you mean 'train'?"),
        (f"defaults: {{source: x}}\n{ONE}", "defaults.source: unknown section."),
        (f"defaults: {{train: {{epoch: 3}}}}\n{ONE}", "defaults.train.epoch: unknown key. Did you mean 'epochs'?"),
        (f"{ONE}    trian: {{}}\n", "datasets.d.trian: unknown key. Did you mean 'train'?"),
        (f"{ONE}    ingest: {{shard_row: 3}}\n", "datasets.d.ingest.shard_row: unknown key. Did you mean 'shard_rows'?"),
        (f"{ONE}    train: {{loss: {{label_smothing: 0}}}}\n",
         "datasets.d.train.loss.label_smothing: unknown key. Did you mean 'label_smoothing'?"),
        (f"{ONE}    train: {{encoders: {{image: {{name: cnn, kernl: 3}}}}}}\n",
         "datasets.d.train.encoders.image.kernl: unknown key. Did you mean 'kernel'?"),
        (f"{ONE}    train: {{encoders: {{image: {{name: vgg, kernel: 3}}}}}}\n",
         "datasets.d.train.encoders.image.kernel: unknown key."),
        (f"{ONE}    train: {{encoders: {{image: {{name: vg}}}}}}\n",
         "datasets.d.train.encoders.image.name: unknown name 'vg'. Did you mean 'vgg'?"),
        (f"{ONE}    train: {{encoders: {{text: {{name: vgg}}}}}}\n",
         "datasets.d.train.encoders.text.name: unknown name 'vgg'."),
        (f"{ONE}    train: {{encoder: {{name: vgg}}}}\n",
         "datasets.d.train.encoder: unknown key. Did you mean 'encoders'?"),
        (f"{ONE}    train: {{encoders: {{images: {{name: vgg}}}}}}\n",
         "datasets.d.train.encoders.images: unknown key. Did you mean 'image'?"),
        (f"{ONE}    clean: {{height: 3}}\n", "datasets.d.clean.height: unknown key."),
        (f"{ONE}    clean: {{tabular: {{outlier: {{}}}}}}\n",
         "datasets.d.clean.tabular.outlier: unknown key. Did you mean 'outliers'?"),
        (f"{ONE}    train: {{optimizer: {{name: adan}}}}\n",
         "datasets.d.train.optimizer.name: unknown name 'adan'. Did you mean 'adam'?"),
        (f"{ONE}    mine: {{miners: {{svm: {{miner: rbf_svm, view: [raw]}}}}}}\n",
         "datasets.d.mine.miners.svm.view: unknown key. Did you mean 'views'?"),
        (f"{ONE}    validate: {{expectations: [{{expect: x, argument: {{}}}}]}}\n", "Did you mean 'arguments'?"),
        ("datasets: {d: {source: {path: x, lable: y}}}\n",
         "datasets.d.source.lable: unknown key. Did you mean 'label'?"),
    ],
)  # fmt: skip
def test_an_unknown_key_and_the_nearest_known_one(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('ingest: {shard_rows: "3"}', "ingest.shard_rows: should be a valid integer, but it is '3'"),
        ("ingest: {shard_rows: 2.5}", "ingest.shard_rows: should be a valid integer"),
        ("ingest: {shard_rows: true}", "ingest.shard_rows: should be a valid integer"),
        ('ingest: {val: "0.1"}', "ingest.val: should be a valid number"),
        ("ingest: []", "ingest: "),
        (
            "train: {augment: {image: {flip: 1}}}",
            "train.augment.image.flip: should be 'auto' or should be a valid boolean, but it is",
        ),
        (
            "train: {augment: {image: {flip: no}}}",
            "train.augment.image.flip: should be 'auto' or should be a valid boolean, but it is",
        ),
        ("train: {encoders: {image: {name: vgg, channels: 3}}}", "train.encoders.image.channels: "),
        ("train: {encoders: {image: {name: vgg, channels: [3, x]}}}", "train.encoders.image.channels.1: "),
        ("validate: {labels: a}", "validate.labels: "),
        ("validate: {labels: [1]}", "validate.labels.0: should be a valid string, but it is 1"),
        ("clean: {image: {height: tall}}", "clean.image.height: "),
        ("clean: {tabular: {numeric: median}}", "clean.tabular.numeric: "),
        ("inputs: {a: {columns: age}}", "inputs.a.columns: "),
        ("mine: {miners: {a: {views: [raw]}}}", "mine.miners.a.miner: this key is required"),
        ("evaluate: {costs: {false_positive: 1}}", "evaluate.costs.false_negative: this key is required"),
    ],
)
def test_a_wrong_type(tmp_path: Path, section: str, says: str) -> None:
    assert f"datasets.d.{says}" in refused(tmp_path, f"{ONE}    {section}\n")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("ingest: {shard_rows: 0}", "ingest.shard_rows: should be greater than or equal to 1, but it is 0"),
        ("ingest: {val: 1.5}", "ingest.val: should be less than or equal to 1"),
        ("ingest: {val: -0.1}", "ingest.val: should be greater than or equal to 0"),
        ("ingest: {val: .nan}", "ingest.val: should be a finite number"),
        ("ingest: {val: 0.5, test: 0.5}", "ingest: val + test is 1, which leaves nothing to train on"),
        ("train: {optimizer: {name: sgd, lr: 0}}", "train.optimizer.lr: "),
        ("train: {optimizer: {name: sgd, lr: .inf}}", "train.optimizer.lr: should be a finite number"),
        ("train: {batch: 1}", "train.batch: "),
        ("train: {seed: -1}", "train.seed: "),
        ("train: {seed: 4294967296}", "train.seed: "),
        ("train: {device: tpu}", "train.device: should be 'auto', 'cpu' or 'cuda', but it is 'tpu'"),
        ("clean: {image: {height: 0}}", "clean.image.height: "),
        ("clean: {image: {mode: CMYK}}", "clean.image.mode: "),
        ("clean: {fit_rows: 0}", "clean.fit_rows: "),
        ("clean: {tabular: {outliers: {method: iqrs}}}", "clean.tabular.outliers.method: "),
        ("clean: {tabular: {outliers: {action: drop}}}", "clean.tabular.outliers.action: "),
        ("validate: {leak: 0.3}", "validate.leak: should be greater than or equal to 0.5"),
        ("validate: {copies: maybe}", "validate.copies: should be 'auto', 'reject' or 'keep', but it is 'maybe'"),
        ("objective: regresion", "objective: "),
        ("validate: {max_imbalance: 0.5}", "validate.max_imbalance: "),
        ("validate: {expectations: [{expect: x, action: ignore}]}", "validate.expectations.0.action: "),
        ("evaluate: {confidence: 1}", "evaluate.confidence: "),
        ("inputs: {label: {}}", "inputs: 'label' cannot name an input"),
        ("inputs: {A: {}}", "inputs: 'A' cannot name an input"),
        ("inputs: {a.b: {}}", "inputs: 'a.b' cannot name an input"),
        (
            "inputs: {a: {modality: tabular, columns: [x], categorical: [y]}}",
            "inputs.a: 'y' is not among its columns (x)",
        ),
        ("inputs: {a: {modality: tabular, columns: [x], date: [y]}}", "inputs.a: 'y' is not among its columns (x)"),
        ("inputs: {a: {modality: sound}}", "inputs.a.modality: "),
        (
            "train: {encoders: {text: {name: sentence_transformer}}}",
            "set clean.text.tokens: byte and train.augment.text.word_dropout: 0",
        ),
    ],
)
def test_an_impossible_value(tmp_path: Path, section: str, says: str) -> None:
    said = refused(tmp_path, f"{ONE}    {section}\n")
    assert said.startswith("datasets.d")
    assert says in said


@pytest.mark.parametrize(
    "name", ["../../../../escaped/evil", "/abs", "a@b", "x.score", "<b>", "A", "a b", "a\\n", "", "a" * 65, "a\\e[31m"]
)
@pytest.mark.parametrize(
    "section",
    [
        'mine: {{miners: {{"{}": {{miner: kmeans, views: [deep]}}}}}}',
        'mine: {{miners: {{a: {{miner: kmeans, views: [deep, "raw+{}"]}}}}}}',
        'inputs: {{"{}": {{}}}}',
    ],
)
def test_a_name_that_would_be_part_of_a_path(tmp_path: Path, section: str, name: str) -> None:
    said = refused(tmp_path, f"{ONE}    {section.format(name)}\n")
    assert said.startswith("datasets.d")
    assert "cannot name" in said
    assert "\x1b" not in said


def test_no_cache_of_pickles(tmp_path: Path) -> None:
    miner = "mine: {miners: {a: {miner: agglomerative, views: [deep], params: {memory: ../../evil}}}}"
    assert "memory: a cache on disk" in refused(tmp_path, f"{ONE}    {miner}\n")


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, f"{ONE}    train: {{epochs: 0, bach: 3}}\n    ingest: {{val: x}}\n")
    assert len(said.splitlines()) == 3
    for key in ("train.epochs", "train.bach", "ingest.val"):
        assert f"datasets.d.{key}: " in said


def rich() -> Dataset:
    """A dataset with something in every kind of field."""
    return Dataset(
        source=Source(path="x.csv", root="/", id="id", split="s", group="g"),
        inputs={
            "scan": Input(columns=("file",)),
            "table": Input(modality="tabular", columns=("age", "job", "day"), categorical=("job",), date=("day",)),
        },
        objective="regression",
        validate=Validate(
            labels=("no", "00123"),
            expectations=(Expectation(expect="e", arguments={"value_pairs_set": [[1, None]]}, action="warn"),),
        ),
        clean=Clean(
            image=CleanImage(height=32, mode="L"),
            tabular=CleanTabular(
                numeric=("median", {"name": "KBinsDiscretizer", "n_bins": 4}), columns={"age": ("mean",)},
                outliers=Outliers(method="iqr", action="clip", columns=("age",)),
            ),
        ),
        train=Train(
            encoders=Encoders(image=CNN(channels=(3,), dense=()), text=RNN(name="lstm")),
            optimizer=Adam(name="adam"),
        ),
        mine=Mine(
            miners={"m": Miner(miner="rbf_svm", views=("raw", "raw+deep"), max_rows=9,
                                      params={"C": 1.5, "shrinking": True, "max_iter": 3, "gamma": "auto", "x": None})}
        ),
    )  # fmt: skip


@pytest.mark.parametrize("value", [rich(), *loader.load(SHIPPED).values()], ids=["rich", "shipped"])
def test_plain_and_back(value: Dataset) -> None:
    back = parse(Dataset, plain(value), "here")
    assert back == value
    assert hash(back.train.encoders) == hash(value.train.encoders)  # tuples came back as tuples


def missing_keys(kind: Any, mapping: dict[str, Any], where: str) -> list[str]:
    """Fields of a dataclass value, and of those inside it, that a mapping does not name."""
    found = []
    for part in fields(kind):
        if part.name not in mapping:
            found.append(f"{where}.{part.name}")
        elif is_dataclass(inner := getattr(kind, part.name)):
            found += missing_keys(inner, mapping[part.name], f"{where}.{part.name}")
    return found


def test_the_shipped_defaults_show_every_key() -> None:
    defaults = read_yaml(SHIPPED)["defaults"]
    dataset = parse(Dataset, {"source": {"path": "."}, **defaults}, "shipped")
    assert set(defaults) == set(STAGES) == {f.name for f in fields(dataset)} - {"source", "inputs", "objective"}
    assert [k for stage in STAGES for k in missing_keys(getattr(dataset, stage), defaults[stage], stage)] == []
    for name, miner in dataset.mine.miners.items():
        assert missing_keys(miner, defaults["mine"]["miners"][name], name) == []
    assert missing_keys(dataset.clean.image, {"height": "auto"}, "clean") == [
        "clean.width",
        "clean.mode",
        "clean.max_auto_side",
    ]


def test_the_shipped_defaults_are_those_of_the_code_where_these_say_the_same() -> None:
    """Tests and libraries build from the code; `fit_rows`, bounds and seeds may not drift from what params.yaml shows."""
    shipped = read_yaml(SHIPPED)["defaults"]
    dataset = plain(Dataset(source=Source(path=".")))
    for stage in ("ingest", "validate", "clean", "extract", "evaluate", "report"):
        assert {k: v for k, v in dataset[stage].items() if shipped[stage][k] != v} == {}
