"""`deepmine add` writes entries that load, recipes among them, and changes nothing else."""

from pathlib import Path

import pytest

from flows import add as adding
from tasks.config.loader import load, read_yaml
from tasks.core.errors import DeepmineError
from tests.fixtures.images import class_folders

ROOT = Path(__file__).parents[2]
RECIPES = read_yaml(ROOT / "tasks/config/recipes.yaml")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the repository's params.yaml, which is the working directory."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_entry_is_commented_and_the_rest_stays(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (clone / "params.yaml").read_text()
    text = "size of it,price\n" + "".join(f"{i},{i * 2.5}\n" for i in range(40))
    (clone / "homes.csv").write_text(text)
    adding.add("homes", "homes.csv", {})
    after = (clone / "params.yaml").read_text()
    assert after.startswith(before.rstrip("\n"))
    assert after[len(before.rstrip("\n")) :] == (
        "\n\n  # added by: deepmine add homes\n"
        "  homes:\n"
        "    source:\n"
        "      path: homes.csv\n"
        "      label: price\n"
        "    inputs:\n"
        "      table:\n"
        "        modality: tabular\n"
        "        columns: [size of it]\n"
        "    mine:\n"
        "      miners:\n"
        "        gradient_boosting:\n"
        "          miner: gradient_boosting\n"
        "          views: [raw]\n"
        "    objective: regression  # of price, a number: classification if it is a class\n"
    )
    made = load(clone / "params.yaml")["homes"]
    assert (made.source.label, made.inputs["table"].columns, made.objective) == ("price", ("size of it",), "regression")
    assert "wrote datasets.homes into params.yaml; now: deepmine run homes" in capsys.readouterr().out


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_can_be_added(clone: Path, recipe: str) -> None:
    class_folders(clone / "pics", each=4)
    adding.add("pics", "pics", {}, recipe)
    text = (clone / "params.yaml").read_text()
    assert f"# added by: deepmine add pics --recipe {recipe}\n  # {RECIPES[recipe]['about']}\n" in text
    dataset = load(clone / "params.yaml")["pics"]
    entry = RECIPES[recipe]["entry"]
    assert dataset.source.path == "pics"
    assert dataset.train.encoders.image.name == entry["train"]["encoders"]["image"]["name"]
    assert dataset.train.optimizer.name == entry["train"]["optimizer"]["name"]
    assert (dataset.clean.image.height, dataset.train.epochs) == (
        entry["clean"]["image"]["height"],
        entry["train"]["epochs"],
    )


def test_the_five_recipes_say_what_they_are() -> None:
    assert list(RECIPES) == ["cifar-cnn", "mnist-ffn", "mnist-cnn", "folders-150", "folders-28"]
    encoders = {name: recipe["entry"]["train"]["encoders"]["image"] for name, recipe in RECIPES.items()}
    assert encoders["cifar-cnn"]["channels"] == encoders["mnist-cnn"]["channels"] == [32, 64]
    assert encoders["folders-150"]["channels"] == [32, 64, 128, 128]
    assert encoders["folders-150"]["dense"] == [512]
    assert (encoders["mnist-ffn"]["hidden"], encoders["folders-28"]["hidden"]) == ([128], [64])
    assert encoders["folders-28"]["dropout"] == 0.2
    assert RECIPES["folders-28"]["entry"]["train"]["augment"]["image"]["flip"] is True
    assert all(len(recipe["about"]) > 40 for recipe in RECIPES.values())


def test_recipes_that_are_refused(clone: Path) -> None:
    class_folders(clone / "pics", each=4)
    before = (clone / "params.yaml").read_text()
    with pytest.raises(DeepmineError, match=r"no recipe 'mnist-cn'. Did you mean 'mnist-cnn'"):
        adding.add("pics", "pics", {}, "mnist-cn")
    (clone / "t.csv").write_text("a,label\n" + "".join(f"{i / 7},{i % 2}\n" for i in range(30)))
    with pytest.raises(DeepmineError, match=r"is for inputs of modality image; t.csv has tabular"):
        adding.add("cells", "t.csv", {}, "mnist-cnn")
    assert (clone / "params.yaml").read_text() == before


def test_paths_from_where_a_person_stands(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = class_folders(tmp_path_factory.mktemp("pics"), each=4)
    (clone / "t.csv").write_text("path,label\n" + "".join(f"{p.relative_to(other)},{p.parent.name}\n"
                                 for p in sorted(other.rglob("*")) if p.is_file()))  # fmt: skip
    adding.add("pics", "t.csv", {"root": str(other)})
    source = load(clone / "params.yaml")["pics"].source
    assert (source.path, source.root) == ("t.csv", str(other.resolve()))
    assert list(load(clone / "params.yaml")["pics"].inputs) == ["image"]


def test_a_source_is_called_as_the_person_called_it(clone: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-share"
    class_folders(outside / "deep" / "v1")
    (clone / "latest").symlink_to(outside / "deep" / "v1")
    (clone / "share").symlink_to(outside)
    for typed, written in [
        ("latest", "latest"), ("./latest/", "latest"), ("share/deep/v1", "share/deep/v1"),
        (str(clone / "latest"), "latest"), ("latest/../v1", str(outside / "deep" / "v1")),
    ]:  # fmt: skip
        assert adding._seen_from_here(typed) == written
    adding.add("now", "latest", {})
    assert load(clone / "params.yaml")["now"].source.path == "latest"


def test_links_out_of_the_source_are_no_rows_and_hard_links_are(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    class_folders(outside)
    class_folders(clone / "pictures")
    homes = sorted(p for p in (clone / "pictures").iterdir() if p.is_dir())
    theirs = sorted(p for p in outside.rglob("*") if p.is_file())
    (homes[0] / "soft.png").symlink_to(theirs[0])
    (homes[0] / "hard.png").hardlink_to(theirs[1])
    (homes[0] / "within.png").symlink_to(sorted(homes[1].iterdir())[0])
    adding.add("pictures", "pictures", {})
    told = capsys.readouterr().out
    assert "1 of " in told.partition("opened: outside the source folder")[0].splitlines()[-1]
    assert told.count("outside the source folder") == 1


def test_what_is_written_every_reader_of_yaml_takes_for_the_same(clone: Path) -> None:
    from dvc.utils.serialize import load_yaml

    names = [
        "<a> 0: x",
        "'\" b='",
        "{{c}} [d] #e",
        "; f # g",
        "| h",
        "&& i",
        "* j",
        "!k",
        "%l",
        "@m",
        "`n",
        "\x1b[2J\u202eo",
        "p: q",
    ]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    rows = "".join(f"no{i % 2}," + ",".join(str(i * (k + 1) % 17) for k in range(len(names))) + "\n" for i in range(60))
    (clone / "odd.csv").write_text(f"label,{header}\n{rows}", encoding="utf-8")
    adding.add("odd", "odd.csv", {})
    ours = load(clone / "params.yaml")["odd"].inputs["table"].columns
    assert set(ours) == set(names)
    assert tuple(load_yaml(str(clone / "params.yaml"))["datasets"]["odd"]["inputs"]["table"]["columns"]) == ours
