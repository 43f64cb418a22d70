"""params.yaml as a file: its names, its YAML, what is merged, and what is refused."""

from pathlib import Path

import pytest

from tasks.config import loader
from tasks.config.dataset import Dataset
from tasks.config.encoders import CNN, RNN, VGG
from tasks.config.source import Source
from tasks.config.train import Adam
from tasks.core.errors import DeepmineError

ONE = "datasets:\n  d:\n    source: pictures\n"


def load(tmp_path: Path, text: str) -> dict[str, Dataset]:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return loader.load(path)


def refused(tmp_path: Path, text: str) -> str:
    """What is said of a params.yaml; the file is always named first."""
    with pytest.raises(DeepmineError) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'params.yaml'}: ")
    return said.removeprefix(f"{tmp_path / 'params.yaml'}: ")


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    assert load(tmp_path, ONE) == {"d": Dataset(source=Source(path="pictures"))}


@pytest.mark.parametrize(
    "name", ["a;b", "$(x)", "../x", "A", "aB", "1a", "-a", "", "a b", "a/b", "ä", "a\\n", "1", "~"]
)
def test_a_bad_name(tmp_path: Path, name: str) -> None:
    key = name if name in ("1", "~") else f'"{name}"'
    assert "cannot name a dataset" in refused(tmp_path, f"datasets: {{{key}: {{source: x}}}}\n")


@pytest.mark.parametrize("name", ["a", "my-images", "a_1"])
def test_a_good_name(tmp_path: Path, name: str) -> None:
    assert list(load(tmp_path, f"datasets: {{{name}: {{source: x}}}}\n")) == [name]


def test_a_wrong_entry_stands_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        f"{ONE}  e: {{source: x, trian: {{}}}}\n  E: {{source: x}}\n  1: {{source: x}}\n  f:\n", encoding="utf-8"
    )
    good, wrong = loader.entries(path)
    assert list(good) == ["d"]
    assert list(wrong) == ["e", "E", "1", "f"]
    assert "datasets.e.trian: unknown key. Did you mean 'train'?" in wrong["e"]
    with pytest.raises(DeepmineError) as caught:
        loader.load(path)
    assert str(caught.value).splitlines() == list(wrong.values())


def test_a_mistake_in_the_defaults_stops_all(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"defaults: {{train: {{epoch: 3}}}}\n{ONE}", encoding="utf-8")
    with pytest.raises(DeepmineError, match=r"defaults.train.epoch: unknown key. Did you mean 'epochs'"):
        loader.entries(path)


def test_tags_are_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    said = refused(tmp_path, f"datasets: !!python/object/apply:os.system ['touch {mark}']\n")
    assert said.startswith("not valid YAML")
    assert not mark.exists()


def test_an_alias_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    said = refused(tmp_path, "".join(f"{line}\n" for line in ["defaults:", *(f"  {line}" for line in lines), ONE]))
    assert said == "over 100,000 values once its aliases are expanded. Write them out, or use fewer."


@pytest.mark.parametrize("text", ["defaults: &a {train: *a}\n", "defaults: &a [*a, *a]\n"])
def test_an_alias_inside_what_it_names(tmp_path: Path, text: str) -> None:
    assert "once its aliases are expanded" in refused(tmp_path, text + ONE)


def test_nesting_without_end(tmp_path: Path) -> None:
    assert "nested too deeply" in refused(tmp_path, f"defaults: {'[' * 3000}{']' * 3000}\n")


def test_aliases_are_fine_in_small_numbers(tmp_path: Path) -> None:
    made = load(tmp_path, "datasets:\n  a: &a {source: x, train: {epochs: 3}}\n  b: *a\n")
    assert made["a"] == made["b"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("datasets: {}\ndatasets: {}\n", "line 2: the key 'datasets' is there twice"),
        ("datasets: {d: {source: x, train: {seed: 1, seed: 2}}}\n", "the key 'seed' is there twice"),
        ("datasets: [\n", "not valid YAML"),
        ("- a\n- b\n", "expected a mapping"),
        ("just text\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("datasets: [a]\n", "must be mappings"),
        (f"defaults: 3\n{ONE}", "must be mappings"),
        ("datasets: {}\n", "no datasets. Add one: deepmine add NAME PATH"),
        ("datasets: {d: x}\n", "datasets.d: expected a mapping with at least 'source"),
        ("datasets: {d: {}}\n", "datasets.d.source: this key is required"),
    ],
)
def test_other_shapes(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_missing_file_and_other_bytes(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match=r"params.yaml: no such file"):
        loader.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes("datasets: {d: {source: ü}}\n".encode("latin-1"))
    with pytest.raises(DeepmineError, match=r"not UTF-8 at byte 23"):
        loader.load(tmp_path / "params.yaml")


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
    assert made["a"].train.encoders.image == VGG(channels=(4,), dropout=0.5)
    b = made["b"]
    assert (b.train.epochs, b.train.batch, b.train.encoders.image) == (5, 8, VGG(channels=(8,), dropout=0.5))
    assert [made[name].train.encoders.text for name in "abc"] == [RNN(name="rnn", hidden=4)] * 3
    assert b.source == Source(path="y", label="kind")
    assert b.mine.miners["svm"].params == {"C": 9.0, "gamma": "scale"}
    assert list(b.mine.miners) == ["svm", "km"]
    # another name: nothing of the old mapping is left, neither channels and dropout nor lr
    assert made["c"].train.encoders.image == CNN()
    assert made["c"].train.optimizer == Adam(name="adam")


def test_a_list_replaces_a_list(tmp_path: Path) -> None:
    text = "defaults: {validate: {labels: [a, b]}}\ndatasets: {d: {source: x, validate: {labels: [c]}}}\n"
    assert load(tmp_path, text)["d"].validate.labels == ("c",)


@pytest.mark.parametrize("bad", ["epochs: 0", 'epochs: "3"', "epoch: 3"])
def test_a_bad_default_is_refused_though_every_dataset_overrides_it(tmp_path: Path, bad: str) -> None:
    text = f"defaults: {{train: {{{bad}}}}}\ndatasets: {{d: {{source: x, train: {{epochs: 3}}}}}}\n"
    assert refused(tmp_path, text).startswith("defaults.train.epoch")


@pytest.mark.parametrize("key", ["2020-01-01", "[a, b]"])
def test_a_key_that_is_no_text_is_named(tmp_path: Path, key: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"defaults: {{train: {{? {key} : 1}}}}\ndatasets: {{a: {{source: x}}}}\n")
    with pytest.raises(DeepmineError, match="is not text"):
        loader.load(path)


def test_a_folder_in_place_of_params_yaml(tmp_path: Path) -> None:
    with pytest.raises(DeepmineError, match="cannot be read"):
        loader.load(tmp_path)


@pytest.mark.parametrize(
    "text", ["defaults: {judge: {folds: 3}}\ndatasets: {a: x}\n", "datasets: {a: {source: x, judge: {folds: 3}}}\n"]
)
def test_a_section_that_was_renamed_is_refused_with_its_new_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(DeepmineError, match=r"\.judge: this section is called 'crossvalidate' now"):
        loader.load(path)
