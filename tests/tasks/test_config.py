"""params.yaml: what is wrong is named with its file, its key and what to do."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks import STAGES, config
from tasks.errors import DeepmineError

SHIPPED = Path(__file__).parents[2] / "params.yaml"
ONE = "datasets:\n  d:\n    source: pictures\n"


def load(tmp_path: Path, text: str) -> dict[str, config.Dataset]:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def refused(tmp_path: Path, text: str) -> str:
    """What is said of a params.yaml; the file is always named first."""
    with pytest.raises(DeepmineError) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'params.yaml'}: ")
    return said.removeprefix(f"{tmp_path / 'params.yaml'}: ")


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    assert load(tmp_path, ONE) == {"d": config.Dataset(source=config.Source(path="pictures"))}


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
        ("mine: {miners: {a: {views: [raw]}}}", "mine.miners.a.miner: this key is needed"),
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
    ],
)
def test_an_impossible_value(tmp_path: Path, section: str, says: str) -> None:
    said = refused(tmp_path, f"{ONE}    {section}\n")
    assert said.startswith("datasets.d")
    assert says in said


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, f"{ONE}    train: {{epochs: 0, bach: 3}}\n    ingest: {{val: x}}\n")
    assert len(said.splitlines()) == 3
    for key in ("train.epochs", "train.bach", "ingest.val"):
        assert f"datasets.d.{key}: " in said


@pytest.mark.parametrize(
    "name", ["a;b", "$(x)", "../x", "A", "aB", "1a", "-a", "", "a b", "a/b", "ä", "a\\n", "1", "~"]
)
def test_a_bad_name(tmp_path: Path, name: str) -> None:
    key = name if name in ("1", "~") else f'"{name}"'
    assert "cannot name a dataset" in refused(tmp_path, f"datasets: {{{key}: {{source: x}}}}\n")


@pytest.mark.parametrize("name", ["a", "my-images", "a_1"])
def test_a_good_name(tmp_path: Path, name: str) -> None:
    assert list(load(tmp_path, f"datasets: {{{name}: {{source: x}}}}\n")) == [name]


def test_tags_are_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    said = refused(tmp_path, f"datasets: !!python/object/apply:os.system ['touch {mark}']\n")
    assert said.startswith("not valid YAML")
    assert not mark.exists()


def test_an_alias_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    said = refused(tmp_path, "".join(f"{line}\n" for line in ["defaults:", *(f"  {line}" for line in lines), ONE]))
    assert said == "over 100,000 values once its aliases are expanded; refused."


@pytest.mark.parametrize("text", ["defaults: &a {train: *a}\n", "defaults: &a [*a, *a]\n"])
def test_an_alias_inside_what_it_names(tmp_path: Path, text: str) -> None:
    assert "once its aliases are expanded; refused" in refused(tmp_path, text + ONE)


def test_nesting_without_end(tmp_path: Path) -> None:
    assert "nested too deeply" in refused(tmp_path, f"defaults: {'[' * 3000}{']' * 3000}\n")


def test_aliases_are_fine_in_small_numbers(tmp_path: Path) -> None:
    made = load(tmp_path, "datasets:\n  a: &a {source: x, train: {epochs: 3}}\n  b: *a\n")
    assert made["a"] == made["b"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("datasets: {}\ndatasets: {}\n", "not valid YAML: while constructing a mapping"),
        ("datasets: {d: {source: x, train: {seed: 1, seed: 2}}}\n", "duplicate key"),
        ("datasets: [\n", "not valid YAML"),
        ("- a\n- b\n", "expected a mapping"),
        ("just text\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("datasets: [a]\n", "must be mappings"),
        (f"defaults: 3\n{ONE}", "must be mappings"),
        ("datasets: {}\n", "no datasets. Add one: deepmine add NAME PATH"),
        ("datasets: {d: x}\n", "datasets.d: expected a mapping with at least 'source"),
        ("datasets: {d: {}}\n", "datasets.d.source: this key is needed"),
    ],
)
def test_other_shapes(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_missing_file_and_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"params.yaml: no such file"):
        config.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes("datasets: {d: {source: ü}}\n".encode("latin-1"))
    with pytest.raises(DeepmineError, match=r"not UTF-8 at byte 23"):
        config.load(tmp_path / "params.yaml")


def test_yaml_1_2_keeps_text_as_text(tmp_path: Path) -> None:
    made = load(tmp_path, f"{ONE}    validate: {{labels: [no, yes, on, off, y, 12:30:00]}}\n")["d"]
    assert made.validate.labels == ("no", "yes", "on", "off", "y", "12:30:00")


def test_defaults_are_merged_key_by_key(tmp_path: Path) -> None:
    text = """
    defaults:
      train: {epochs: 3, batch: 8, optimizer: {name: sgd, lr: 0.7},
        encoders: {image: {name: vgg, channels: [4], dropout: 0.5}, text: {name: rnn, hidden: 4}}}
      mine: {miners: {svm: {miner: rbf_svm, views: [raw], params: {C: 2.0, gamma: scale}}}}
    datasets:
      a: {source: x}
      b:
        source: {path: y, label: kind}
        train: {epochs: 5, encoders: {image: {channels: [8]}}}
        mine: {miners: {svm: {params: {C: 9.0}}, km: {miner: kmeans, views: [deep]}}}
      c: {source: z, train: {encoders: {image: {name: cnn}}, optimizer: {name: adam}}}
    """
    made = load(tmp_path, text)
    assert made["a"].train.epochs == 3
    assert made["a"].train.encoders.image == config.VGG(channels=(4,), dropout=0.5)
    b = made["b"]
    assert (b.train.epochs, b.train.batch, b.train.encoders.image) == (5, 8, config.VGG(channels=(8,), dropout=0.5))
    assert [made[name].train.encoders.text for name in "abc"] == [config.RNN(name="rnn", hidden=4)] * 3
    assert b.source == config.Source(path="y", label="kind")
    assert b.mine.miners["svm"].params == {"C": 9.0, "gamma": "scale"}
    assert list(b.mine.miners) == ["svm", "km"]
    # another name: nothing of the old mapping is left, neither channels and dropout nor lr
    assert made["c"].train.encoders.image == config.CNN()
    assert made["c"].train.optimizer == config.Adam(name="adam")


def test_a_list_replaces_a_list(tmp_path: Path) -> None:
    text = "defaults: {validate: {labels: [a, b]}}\ndatasets: {d: {source: x, validate: {labels: [c]}}}\n"
    assert load(tmp_path, text)["d"].validate.labels == ("c",)


@pytest.mark.parametrize("bad", ["epochs: 0", 'epochs: "3"', "epoch: 3"])
def test_a_bad_default_is_refused_though_every_dataset_overrides_it(tmp_path: Path, bad: str) -> None:
    text = f"defaults: {{train: {{{bad}}}}}\ndatasets: {{d: {{source: x, train: {{epochs: 3}}}}}}\n"
    assert refused(tmp_path, text).startswith("defaults.train.epoch")


def rich() -> config.Dataset:
    """A dataset with something in every kind of field."""
    return config.Dataset(
        source=config.Source(path="x.csv", root="/", id="id", split="s", group="g"),
        inputs={
            "scan": config.Input(columns=("file",)),
            "table": config.Input(modality="tabular", columns=("age", "job", "day"), categorical=("job",), date=("day",)),
        },
        objective="regression",
        validate=config.Validate(
            labels=("no", "00123"),
            expectations=(config.Expectation(expect="e", arguments={"a": [1, {"b": None}]}, action="warn"),),
        ),
        clean=config.Clean(
            image=config.CleanImage(height=32, mode="L"),
            tabular=config.CleanTabular(
                numeric=("median", {"name": "KBinsDiscretizer", "n_bins": 4}), columns={"age": ("mean",)},
                outliers=config.Outliers(method="iqr", action="clip", columns=("age",)),
            ),
        ),
        train=config.Train(
            encoders=config.Encoders(image=config.CNN(channels=(3,), dense=()), text=config.RNN(name="lstm")),
            optimizer=config.Adam(name="adam"),
        ),
        mine=config.Mine(
            miners={"m": config.Miner(miner="rbf_svm", views=("raw", "raw+deep"), max_rows=9,
                                      params={"C": 1.5, "shrinking": True, "max_iter": 3, "gamma": "auto", "x": None})}
        ),
    )  # fmt: skip


@pytest.mark.parametrize("value", [rich(), *config.load(SHIPPED).values()], ids=["rich", "shipped"])
def test_plain_and_back(value: config.Dataset) -> None:
    back = config.parse(config.Dataset, config.plain(value), "here")
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
    defaults = config.read_yaml(SHIPPED)["defaults"]
    dataset = config.parse(config.Dataset, {"source": {"path": "."}, **defaults}, "shipped")
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
    shipped = config.read_yaml(SHIPPED)["defaults"]
    dataset = config.plain(config.Dataset(source=config.Source(path=".")))
    for stage in ("ingest", "validate", "clean", "extract", "evaluate", "report"):
        assert {k: v for k, v in dataset[stage].items() if shipped[stage][k] != v} == {}


@pytest.mark.parametrize("key", ["2020-01-01", "[a, b]"])
def test_a_key_that_is_no_text_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"defaults: {{train: {{? {key} : 1}}}}\ndatasets: {{a: {{source: x}}}}\n")
    with pytest.raises(config.DeepmineError, match="is no text"):
        config.load(path)


def test_a_folder_in_place_of_params_yaml(tmp_path: Path) -> None:
    with pytest.raises(config.DeepmineError, match="cannot be read"):
        config.load(tmp_path)
