"""Clusters that are there are found, called stable and told in words; where there are none, that is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import metrics as sk

from tasks.config.mine import Mine, Miner, Rules
from tasks.core.errors import DeepmineError
from tasks.core.files import read_json
from tasks.core.progress import Progress
from tasks.evaluation import sentences
from tasks.evaluation.cluster_profiles import MOST_CLUSTERS, called, of_classes, of_numbers, profiles
from tasks.evaluation.clusterings import clusterings
from tasks.features.item_matrix import ItemMatrix
from tasks.features.view import Part, View
from tasks.metrics.clustering import clustering
from tasks.mine import mine
from tasks.miners import Task
from tasks.miners.fitting import Job, fit
from tasks.miners.hyperparameters import check, count_of, given, open_count
from tasks.miners.n_clusters import HALVINGS, Curve, count, kept, structureless
from tasks.miners.stability import jaccard, stability
from tasks.reporting import clusters as page
from tasks.stats.rand_index import ari
from tasks.stats.resampling import Resampling
from tasks.storage.names import NOISE, PREDICTIONS, SUMMARY
from tasks.storage.store import read
from tasks.storage.summaries import Stability, read_mine_summary
from tests.fixtures.itemstore import write_items
from tests.fixtures.views import write_view
from tests.fixtures.written import written

GROUPERS = {"kmeans": "n_clusters", "agglomerative": "n_clusters", "gaussian_mixture": "n_components"}


def blobs(k: int, n: int = 240, width: int = 10, apart: float = 6.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) rows of ``k`` round groups, and the group of each."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(n) % k)
    return apart * np.eye(k, width)[group] + rng.normal(size=(n, width)), group


def even(n: int = 240, width: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, width))


def view(X: Any) -> View:
    """Every fourth row is held out."""
    n = X.shape[0]
    X = X.astype(np.float32) if isinstance(X, np.ndarray) else csr_array(X, dtype=np.float32)
    split = np.where(np.arange(n) % 4 == 0, "test", "train")
    ids = np.array([f"r{i:04d}" for i in range(n)])
    parts = (Part(X.shape[1], sparse=not isinstance(X, np.ndarray)),)
    return View("deep", ids, split, np.full(n, ""), np.zeros(n, bool), X, "f" * 64, parts)


def job(X: Any, miner: str = "kmeans", classes: int = 10, **params: Any) -> tuple[Job, np.ndarray]:
    made = view(X)
    task = Task(aim="clusters", classes=classes, parts=made.parts)
    return Job("groups", miner, made, task, params, None), np.flatnonzero(made.rows("train"))


def curve(X: Any, measure: str, miner: str = "kmeans") -> Curve:
    found = count(*job(X, miner, **{GROUPERS[miner]: measure}))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("miner", "measure"),
    [(m, by) for m in GROUPERS for by in ("silhouette", "stability") if (m, by) != ("gaussian_mixture", "stability")],
)
def test_planted_clusters_are_counted(miner: str, measure: str) -> None:
    found = curve(blobs(4, width=4, apart=9.0)[0], measure, miner)
    assert (found.measure, found.best, found.structure) == (measure, 4, True)
    assert len(found.errors) == len(found.values)
    assert all(error >= 0 for _, error in found.errors)
    assert (found.high or 0) < dict(found.values)[4]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measure", ["silhouette", "stability"])
def test_rows_spread_evenly_have_no_clusters(measure: str, seed: int) -> None:
    found = curve(even(seed=seed), measure)
    assert found.structure is False
    told = sentences.counted("groups@deep", {**vars(found), "chosen": found.best, "structure": found.structure})
    assert told.startswith("groups on the view deep: no clusters that could be told from chance; the ")


def test_a_mixture_is_held_against_a_single_normal_distribution() -> None:
    found = curve(np.random.default_rng(0).normal(size=(240, 3)), "bic", "gaussian_mixture")
    assert ([k for k, _ in found.reference], found.structure) == ([1], False)
    found = curve(blobs(4, width=4)[0], "bic", "gaussian_mixture")
    assert (found.best, found.structure) == (4, True)
    told = sentences.counted("m@deep", {**vars(found), "chosen": found.best, "structure": True})
    assert told == "m on the view deep: the BIC of 4 is better than that of a single one."


def test_sparse_rows_are_held_against_words_dealt_out_anew() -> None:
    group = np.arange(240) % 4
    counts = csr_array(np.random.default_rng(0).random((240, 40)) < 0.05 + 0.9 * (np.arange(40) % 4 == group[:, None]))
    assert curve(counts, "silhouette").structure is True
    dealt = structureless(counts.astype(np.float32), np.random.default_rng(1))
    np.testing.assert_array_equal(dealt.sum(0), counts.sum(0))
    assert (dealt != counts).nnz
    assert curve(dealt, "silhouette").structure is False


def test_rows_without_clusters_fill_the_same_box_along_their_axes() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) @ np.array([[3.0, 3.0], [-0.1, 0.1]]) + 7
    drawn = structureless(X, rng)
    turned = (drawn - X.mean(0)) @ np.array([[1, -1], [1, 1]]) / 2**0.5
    assert np.ptp(turned[:, 1]) < 1.5 < 10 < np.ptp(turned[:, 0])
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=1.5)


def test_by_stability_it_is_the_most_that_are_found_again() -> None:
    values = ((2, 1.0), (3, 0.9), (4, 0.79), (5, 0.5))
    assert Curve("n_clusters", "stability", 9, values).best == 3
    assert Curve("n_clusters", "stability", 9, values, ((4, 0.02),)).best == 4
    none = Curve("n_clusters", "stability", 9, ((2, 0.5), (3, 0.6)), (), ((3, 0.1),), 0.2)
    assert (none.best, none.structure) == (3, False)
    told = sentences.counted("g@raw", {**vars(none), "chosen": 3, "structure": False})
    assert told.startswith("g on the view raw: clusters that other rows do not confirm; the prediction strength of 3")
    assert Curve("n_clusters", "stability", 9, values).structure is None


def test_strength_is_that_of_the_worst_cluster() -> None:
    own, other = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([5, 5, 5, 5, 5, 6, 6])
    assert kept(own, other) == pytest.approx(1 / 3)
    assert kept(own, own + 3) == 1
    assert kept(np.array([0, 0, 1]), np.array([0, 0, 1])) == 0  # a row alone has no pairs that speak for it
    assert HALVINGS > 1


def test_how_many_may_be_asked_by_a_word() -> None:
    none, classes = Task(aim="clusters"), Task()
    for name, parameter in GROUPERS.items():
        by = open_count(name, {parameter: "stability"}, classes)
        assert by is not None
        assert (by.name, by.measure) == (parameter, "stability")
        assert given(name, {parameter: "stability", "verbose": 1}) == {"verbose": 1}
        assert open_count(name, {parameter: "auto"}, classes) == open_count(name, {}, none) == count_of(name)
        for word in ("auto", "silhouette", "stability"):
            check(name, {parameter: word}, "here")
    check("gaussian_mixture", {"n_components": "bic"}, "here")
    with pytest.raises(DeepmineError) as caught:
        check("kmeans", {"n_clusters": "bic"}, "here")
    assert str(caught.value) == (
        "here: 'n_clusters' of kmeans is a whole number, or one of auto, silhouette, stability, by which train rows "
        "choose it; 'bic' is neither. Known: auto, silhouette, stability."
    )
    with pytest.raises(DeepmineError, match="Did you mean 'stability'"):
        check("agglomerative", {"n_clusters": "stabilty"}, "here")


def refitted(X: Any, k: int, miner: str = "kmeans", **more: Any) -> Stability | None:
    made, rows = job(X, miner, **({GROUPERS[miner]: k} if miner in GROUPERS else {}), **more)
    return stability(made, rows, {}, fit(made, rows, {}))


@pytest.mark.parametrize("miner", [*GROUPERS, "hdbscan"])
def test_planted_clusters_are_stable(miner: str) -> None:
    found = refitted(blobs(4, apart=12.0)[0], 4, miner)
    assert found is not None
    assert found.mean > 0.9
    assert found.low <= found.mean <= found.high
    assert sorted(found.clusters) == ["0", "1", "2", "3"]
    assert {called(index) for index in found.clusters.values()} == {"stable"}
    assert found == refitted(blobs(4, apart=12.0)[0], 4, miner)


def test_clusters_of_even_rows_are_not() -> None:
    found = refitted(even(), 6)
    assert found is not None
    assert found.mean < 0.6
    assert "dissolves" in {called(index) for index in found.clusters.values()}


def test_what_is_cut_at_random_dissolves_and_the_rest_does_not() -> None:
    found = refitted(blobs(3, n=300, width=3, apart=30.0)[0], 4)  # one of three round groups is cut in two
    assert found is not None
    words = [called(index) for index in found.clusters.values()]
    assert len(words) == 4
    assert {"stable", "dissolves"} <= set(words)


def test_jaccard_by_hand() -> None:
    found, said = np.array([0, 0, 0, 1, 1, -1]), np.array([7, 7, -1, 8, 8, 8])
    np.testing.assert_allclose(jaccard(found, said), [2 / 3, 2 / 3])
    np.testing.assert_allclose(jaccard(found, np.full(6, -1)), [0, 0])


@pytest.mark.parametrize(
    ("X", "k", "miner", "more"),
    [
        (blobs(1)[0], 1, "kmeans", {}),  # one cluster
        (even(8), 5, "kmeans", {}),  # a half has fewer rows than clusters
        (even(3), 2, "kmeans", {}),
        (even(40), 2, "hdbscan", {"min_cluster_size": 20}),  # and fewer than neighbours
    ],
)
def test_what_cannot_be_refitted_says_nothing(X: np.ndarray, k: int, miner: str, more: dict[str, Any]) -> None:
    assert refitted(X, k, miner, **more) is None


def test_figures_are_those_of_scikit_learn() -> None:
    X, group = blobs(3)
    said = np.where(np.arange(len(X)) < 40, "0", group.astype(str))
    found = clustering(group.astype(str), said, X, np.arange(len(X)))
    assert found["davies_bouldin"] == pytest.approx(sk.davies_bouldin_score(X, said))
    assert found["calinski_harabasz"] == pytest.approx(sk.calinski_harabasz_score(X, said))
    three = sk.homogeneity_completeness_v_measure(group, said)
    assert (found["homogeneity"], found["completeness"], found["nmi"]) == pytest.approx(three)
    assert found["nmi"] == pytest.approx(sk.normalized_mutual_info_score(group, said))
    thin = clustering(None, said, csr_array(X), np.arange(len(X)))
    assert set(thin) == {"silhouette", "clusters"}
    apart = np.where(np.arange(len(X)) < 40, NOISE, group.astype(str))
    assert clustering(None, apart, X, np.arange(len(X)))["davies_bouldin"] == pytest.approx(
        sk.davies_bouldin_score(X[40:], apart[40:])
    )


@pytest.mark.parametrize("k", [3, 12])
def test_the_interval_of_an_ari_holds_the_truth_as_often_as_it_says(k: int) -> None:
    rng = np.random.default_rng(0)
    shares = rng.gamma(1.0, 1.0, (k, k)) + k * np.eye(k)
    shares /= shares.sum()

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        return np.divmod(rng.choice(k * k, n, p=shares.ravel()), k)

    truth = sk.adjusted_rand_score(*drawn(1_000_000))
    intervals = np.array([ari(*drawn(200), Resampling(0.9, 200, seed)).as_json() for seed in range(300)])
    missed = [(intervals[:, 0] > truth).mean(), (intervals[:, 1] < truth).mean()]
    assert 0.85 < 1 - sum(missed) < 0.95
    assert max(missed) < 0.09  # of 0.05 each: they lie about the truth, not above it
    one, two = drawn(100)
    sampling = Resampling(0.9, 200, 0)
    assert ari(one, one, sampling).as_json() == [1.0, 1.0]
    assert ari(one, two, sampling) == ari(one, two, sampling)


def planted(n: int = 300, seed: int = 0) -> tuple[np.ndarray, ItemMatrix, np.ndarray]:
    """Three clusters: of class a, bright; of class b; of anything. And 40 items that say nothing."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % 3
    label = np.where(cluster == 0, "a", np.where(cluster == 1, "b", rng.choice(["a", "b", "c"], n)))
    bright = rng.random(n) < np.where(cluster == 0, 0.7, 0.2)
    noise = rng.random((n, 40)) < rng.uniform(0.05, 0.95, 40)
    held = csr_array(np.column_stack([bright, noise]).astype(np.float32))
    names = ("bright", *(f"noise {i}" for i in range(40)))
    attributes = ("brightness", *(f"n{i}" for i in range(40)))
    known = of_classes(label.tolist()).beside(ItemMatrix(held, names, attributes))
    return cluster.astype(str), known, rng.normal(size=(n, 4)) + 5 * np.eye(3, 4)[cluster]


def test_a_profile_names_what_was_planted() -> None:
    cluster, known, X = planted()
    found = written(profiles(cluster, known, X, {"0": 0.914, "1": 0.7, "2": 0.3}))
    assert [one["cluster"] for one in found] == ["0", "1", "2"]
    assert [[item["name"] for item in one["items"]] for one in found] == [["“a”", "bright"], ["“b”"], ["“c”"]]
    assert [one["called"] for one in found] == ["stable", "wavers", "dissolves"]
    assert found[0]["sentence"].startswith("Cluster 0 (100 rows, 33.3 % of all, stable .91): 100 % are “a” (")
    assert "; bright (" in found[0]["sentence"]
    first = found[0]["items"][0]
    assert (first["inside"], first["lift"]) == (1.0, pytest.approx(1 / np.mean(known.matrix[:, [0]].toarray())))
    assert first["q"] < 1e-9
    assert found[0]["nearest"] in ("1", "2")
    assert 0 < found[0]["spread"] < 1


def test_items_that_say_nothing_are_not_named() -> None:
    false = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        held = csr_array((rng.random((300, 60)) < 0.3).astype(np.float32))
        known = ItemMatrix(held, tuple(f"i{i}" for i in range(60)), tuple(f"a{i}" for i in range(60)))
        found = written(profiles((np.arange(300) % 5).astype(str), known, rng.normal(size=(300, 2)), {}))
        false += any(one["items"] for one in found)
        assert (
            all("nothing that is known of its rows sets them apart; they stand" in o["sentence"] for o in found)
            or false
        )
    assert false <= 3


def test_profiles_of_nothing_known_noise_one_cluster_and_very_many() -> None:
    nothing, X = ItemMatrix(csr_array((40, 0)), (), ()), even(40)
    (one,) = written(profiles(np.full(40, "0"), nothing, X, {}))
    assert (one["sentence"], one.get("nearest")) == (
        "Cluster 0 (40 rows, 100 % of all): nothing that is known of its rows sets them apart.", None,
    )  # fmt: skip
    noisy = written(profiles(np.array([NOISE] * 10 + ["10"] * 10 + ["9"] * 20), nothing, csr_array(X), {}))
    assert [one["cluster"] for one in noisy] == ["9", "10", NOISE]
    assert noisy[-1]["sentence"].startswith("Noise (10 rows, 25.0 % of all): ")
    many = np.array([str(i % 500) for i in range(1200)])
    found = written(profiles(many, ItemMatrix(csr_array((1200, 0)), (), ()), even(1200), {}))
    assert len(found) == MOST_CLUSTERS
    assert {one["rows"] for one in found} == {3}


def test_numbers_are_told_by_quarters() -> None:
    values = np.array([*range(100), np.nan], float)
    known = of_numbers(values)
    assert known.matrix.sum(0).tolist() == [25, 25, 25, 25]
    assert known.matrix[[100]].sum() == 0
    found = written(profiles(np.where(values > 74, "high", "rest"), known, even(101), {}))
    assert found[0]["items"][0]["name"] == "in the highest quarter of the label"
    assert of_numbers(np.full(3, np.nan)).matrix.sum() == 0


@pytest.mark.parametrize("aim", ["classification", "regression", "clusters"])
def test_from_train_rows_to_the_page(aim: str, tmp_path: Path) -> None:
    """`mine` and what `evaluate` calls, twice: the same bytes, each cluster in words by the items that were planted."""
    X, group = blobs(3)
    ids = np.array([f"r{i:03d}" for i in range(240)])
    split = np.array(["train", "train", "val", "test"])[np.arange(240) % 4]
    label = {
        "classification": np.array([f"class {g}" for g in group]), "clusters": np.array([None] * 240),
        "regression": (group + np.arange(240) / 1000).astype(str),
    }[aim]  # fmt: skip
    write_view(tmp_path / "f", "deep", X, ids=ids, split=split, label=label)
    objective = {"clusters": "autoencoder"}.get(aim, aim)
    write_view(tmp_path / "f", "network", np.zeros((240, 1)), ids=ids, split=split, label=label, objective=objective)
    names = ["colour=red", "colour=blue"]
    held = np.stack([group == 0, group == 1], 1)
    write_items(tmp_path / "items", ids.tolist(), split.tolist(), label.tolist(), names, ["colour"] * 2, held)
    params = Mine(
        rules=Rules(views=()),
        miners={
            "groups": Miner(miner="kmeans", views=("deep",), params={"n_clusters": "stability"}),
            "dense": Miner(miner="hdbscan", views=("deep",)),
        },
    )
    for folder in ("one", "two"):
        at = {"items": tmp_path / "items", "features": tmp_path / "f", "miners": tmp_path / folder}
        mine(params=params, progress=Progress(quiet=True), **at)
    mined = read_json(tmp_path / "one" / SUMMARY)
    summary = read_mine_summary(tmp_path / "one")
    assert (tmp_path / "one" / SUMMARY).read_bytes() == (tmp_path / "two" / SUMMARY).read_bytes()
    assert (mined["aim"], mined["curves"]["groups@deep"]["chosen"]) == (aim, 3)
    assert mined["stability"]["groups@deep"]["mean"] > 0.9
    names = ["dense@deep", "groups@deep"]
    predictions, sampling = read(tmp_path / "one" / PREDICTIONS), Resampling(0.95, 2000, 0)
    found = written(clusterings(names, predictions, tmp_path / "f", tmp_path / "items", summary, sampling, 2000))
    told = found["profiles"]["groups@deep"]
    known = {item["name"] for one in told for item in one["items"]}
    assert known >= {"colour=red", "colour=blue"}
    assert all(one["called"] == "stable" for one in told)
    assert ("ari_interval" in found["clusters"]["groups@deep"]) == (aim == "classification")
    assert found["clusters"]["groups@deep"]["stability"] == mined["stability"]["groups@deep"]["mean"]
    assert ("“class 0”" in known) == (aim == "classification")
    assert any("quarter" in name for name in known) == (aim == "regression")
    (pair,) = page.agreement(found)
    assert pair["pair"] == ["dense on deep", "groups on deep"]
    assert page.profiles(found)["groups@deep"]["0"]["tag"] == "good"
    assert page.profiles({}) == {}


def test_without_held_out_rows_there_is_nothing_to_say(tmp_path: Path) -> None:
    X = blobs(2)[0]
    ids, split, label = np.array([f"r{i:03d}" for i in range(240)]), np.full(240, "train"), np.array([None] * 240)
    write_view(tmp_path / "f", "deep", X, ids=ids, split=split, label=label)
    made, rows = job(X)
    made = Job(made.name, made.miner, View(**{**vars(made.view), "split": split}), made.task, {}, None)
    assert stability(made, np.arange(240), {}, fit(made, rows, {})) is None
