"""What every metric promises, checked on whatever the room holds."""

import doctest
import importlib
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import metrics
from benchmark.ground.errors import UserError
from benchmark.ground.rooms import NOT_ENTRIES, Room
from metrics.base import NEEDS, Card
from metrics.evidence import Evidence
from metrics.parts.contingency import Contingency

FOLDER = Path(metrics.__file__).parent
GIVES = {
    "contingency": ("labels_true", "labels_pred"),
    "train_contingency": ("labels_true_train", "labels_pred_train"),
    "clusters": ("labels_pred",),
    "labels_true": ("labels_true",),
    "labels_pred": ("labels_pred",),
    "embeddings": ("embeddings",),
    "soft": ("soft",),
    "split": ("embeddings_train", "labels_train", "embeddings_test", "labels_test"),
    "neighbours": ("embeddings_train", "labels_train", "embeddings_test", "labels_test"),
}
CLUSTERS = {need for need, arrays in GIVES.items() if any("pred" in array or array == "soft" for array in arrays)}
every = pytest.mark.parametrize("name", metrics.names())
of_clusters = pytest.mark.parametrize("name", [name for name in metrics.names() if CLUSTERS & set(metrics.card(name).needs)])


def random_world(seed, *, n=240, classes=4, clusters=6, width=5):
    """Arrays in which nothing has to do with anything."""
    rng = np.random.default_rng(seed)
    soft = rng.random((n, clusters)) ** 3
    embeddings = rng.normal(size=(n, width)).astype(np.float32)
    true, true_train = rng.integers(classes, size=n), rng.integers(classes, size=n)
    return {
        "labels_true": true,
        "labels_pred": rng.integers(clusters, size=n),
        "embeddings": embeddings,
        "soft": soft / soft.sum(axis=1, keepdims=True),
        "embeddings_train": embeddings[: n // 2],
        "labels_train": true[: n // 2],
        "embeddings_test": embeddings[n // 2 :],
        "labels_test": true[n // 2 :],
        "labels_true_train": true_train,
        "labels_pred_train": rng.integers(clusters, size=n),
    }


def perfect_world(classes, *, each=60):
    """Arrays in which clusters equal classes and an embedding is the one-hot vector of the class."""
    true = np.tile(np.arange(classes), each)
    pred = (true + 1) % classes
    world = random_world(0, n=len(true))
    hot = np.eye(classes, dtype=np.float32)
    half = classes * each // 2
    world |= {"labels_true": true, "labels_pred": pred, "labels_true_train": true, "labels_pred_train": pred}
    world |= {"soft": hot[pred], "embeddings": hot[true], "labels_train": true[:half], "labels_test": true[half:]}
    return world | {"embeddings_train": hot[true[:half]], "embeddings_test": hot[true[half:]]}


def needed(name, world):
    """The arrays of a world that a metric needs."""
    return {array: world[array] for need in metrics.card(name).needs for array in GIVES[need]}


def relabelled(world, *, clusters=None, classes=None):
    """The world with cluster or class ids put through a function, soft columns in reverse where clusters are."""
    out = dict(world)
    for key, change in (("pred", clusters), ("true", classes), ("labels_train", classes), ("labels_test", classes)):
        for array in world:
            if change and key in array:
                out[array] = change(world[array])
    if clusters:
        out["soft"] = world["soft"][:, ::-1]
    return out


def test_every_file_is_a_metric():
    """Each file of the room that is no base file declares at least one metric, and no metric comes from nowhere."""
    files = {path for path in FOLDER.glob("*.py") if path.stem not in NOT_ENTRIES}
    assert {metrics.entry(name).path for name in metrics.names()} == files
    assert len(metrics.names()) >= 23


def test_gives_covers_the_vocabulary():
    """This file knows what arrays each word of the vocabulary stands for, so nothing below is tested on nothing."""
    assert set(GIVES) == set(NEEDS)
    for need, arrays in GIVES.items():
        assert all(array in NEEDS[need] for array in arrays)


@pytest.mark.parametrize("field", [field.name for field in fields(Card)][:9])
def test_a_file_that_lacks_a_declaration_is_refused(field, tmp_path):
    """Each property of a card must be declared: a file without it cannot be listed."""
    lines = {
        "title": "'x'",
        "source": "'x'",
        "needs": "{'clusters'}",
        "low": "0.0",
        "high": "1.0",
        "better": "'higher'",
        "symmetric": "False",
        "perfect": "1.0",
        "random": "None",
    }
    for left_out in (None, field):
        body = ", ".join(f"{key}={value}" for key, value in lines.items() if key != left_out)
        (tmp_path / "new.py").write_text(f"card = Card({body})\ndef compute(evidence): return 0.0\n")
        room = Room("room", tmp_path, Card, "metric")
        if left_out is None:
            assert room.names() == ["new"]
        else:
            with pytest.raises(UserError, match=field):
                room.names()


@pytest.mark.parametrize(
    ("change", "match"), [({"needs": {"lables"}}, "lables"), ({"needs": ()}, "needs"), ({"better": "up"}, "up")]
)
def test_a_card_takes_known_words_only(change, match):
    """A card with a word outside the vocabulary is refused and the word named."""
    with pytest.raises(ValueError, match=match):
        replace(metrics.card("acc"), **change)


@every
def test_card_says_what_the_board_needs(name):
    """A card has a title, a source, and a range that holds its own fixed values."""
    card = metrics.card(name)
    assert card.title
    assert card.source
    assert metrics.get(name).card == card
    low, high = -np.inf if card.low is None else card.low, np.inf if card.high is None else card.high
    assert low < high
    assert all(low <= value <= high for value in (card.perfect, card.random) if value is not None)


@every
@pytest.mark.parametrize("seed", range(4))
def test_range(name, seed):
    """On random arrays, clustered evenly or not, a value lies in the declared range."""
    card = metrics.card(name)
    world = random_world(seed, n=[240, 40, 13, 4][seed], clusters=[6, 2, 9, 3][seed])
    value = metrics.get(name).score(**needed(name, world))
    assert np.isfinite(value)
    assert card.low is None or value >= card.low
    assert card.high is None or value <= card.high


@every
def test_symmetric(name):
    """Swapping the two labellings changes nothing where the card says so, and something where it does not."""
    metric, card = metrics.get(name), metrics.card(name)
    if "contingency" not in card.needs:
        assert not card.symmetric
        return
    changes = []
    for seed in range(12):
        world = random_world(seed, n=60 if seed < 4 else 10)
        world["labels_pred"] = world["labels_pred"] - 1
        swapped = dict(world)
        for end in ("", "_train"):
            swapped |= {f"labels_true{end}": world[f"labels_pred{end}"], f"labels_pred{end}": world[f"labels_true{end}"]}
        changes.append(abs(metric.score(**needed(name, world)) - metric.score(**needed(name, swapped))))
    assert max(changes) < 1e-12 if card.symmetric else max(changes) > 1e-6


@every
def test_perfect(name):
    """A perfect result gets the declared value; where none is declared it depends on more than being perfect."""
    metric, declared = metrics.get(name), metrics.card(name).perfect
    values = [metric.score(**needed(name, perfect_world(classes))) for classes in (2, 5)]
    if declared is None:
        assert abs(values[0] - values[1]) > 1e-3
    else:
        np.testing.assert_allclose(values, declared, atol=1e-9)


@every
def test_random(name):
    """A random result gets the declared value on average; where none is declared it depends on the numbers drawn."""
    metric, declared = metrics.get(name), metrics.card(name).random
    worlds = [{"classes": 2, "clusters": 3, "width": 3}, {"classes": 12, "clusters": 30, "width": 9}]
    means = [np.mean([metric.score(**needed(name, random_world(seed, **world))) for seed in range(5)]) for world in worlds]
    if declared is None:
        assert abs(means[0] - means[1]) > 1e-3
    else:
        np.testing.assert_allclose(means, declared, atol=0.02)


@every
def test_none_where_something_is_missing(name):
    """Without any one array it needs a metric measures None, and `score` says which array is missing."""
    metric, arrays = metrics.get(name), needed(name, random_world(0))
    assert metric.measure(Evidence(**arrays)) is not None
    for array in arrays:
        rest = {key: value for key, value in arrays.items() if key != array}
        assert metric.measure(Evidence(**rest)) is None
        with pytest.raises(UserError, match=array):
            metric.score(**rest)


@of_clusters
def test_cluster_ids_are_only_names(name):
    """Renumbering the clusters, with gaps and offsets, changes nothing; neither does it where matchings tie."""
    metric = metrics.get(name)
    for seed in range(6):
        world = random_world(seed, n=240 if seed < 2 else 16)
        same = relabelled(world, clusters=lambda ids: (5 - ids) * 1_000_003 + 40)
        assert metric.score(**needed(name, same)) == pytest.approx(metric.score(**needed(name, world)), abs=1e-12)


@every
def test_class_ids_are_only_names(name):
    """Renumbering the classes in order, with gaps, offsets and negative ids, changes nothing."""
    metric, world = metrics.get(name), random_world(1)
    same = relabelled(world, classes=lambda ids: ids * 77 - 100)
    assert metric.score(**needed(name, same)) == pytest.approx(metric.score(**needed(name, world)), abs=1e-12)


@every
def test_deterministic(name):
    """Measured twice, a value is the same to the last bit, and measuring changes none of the arrays."""
    metric, arrays = metrics.get(name), needed(name, random_world(2))
    before = {key: value.copy() for key, value in arrays.items()}
    assert metric.score(**arrays) == metric.score(**arrays)
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, before[key])


@every
def test_one_sample(name):
    """One sample gives a finite value in range or None, never an error or a warning."""
    world = {key: value[:1] for key, value in random_world(3).items()}
    world["soft"] = world["soft"] / world["soft"].sum()
    value = metrics.get(name).measure(Evidence(**needed(name, world)))
    assert value is None or np.isfinite(value)
    by_size = {"acc_head", "acc_medium", "acc_tail"}  # the one class of test is none of training's here
    assert (value is None) == (name in {"uniformity", "silhouette", *by_size})


@of_clusters
def test_noise_is_one_more_cluster(name):
    """Calling a cluster noise leaves a score as it is; only coverage and the counts of clusters tell noise apart."""
    world = random_world(4)
    noisy = dict(world)
    for array in ("labels_pred", "labels_pred_train"):
        noisy[array] = np.where(world[array] == 2, -1, world[array])
    metric = metrics.get(name)
    change = metric.score(**needed(name, noisy)) - metric.score(**needed(name, world))
    told_apart = {"coverage", "clusters_used", "k_error"}
    assert (abs(change) > 1e-3) == (name in told_apart)


@pytest.mark.parametrize(
    "name", [name for name in metrics.names() if set(metrics.card(name).needs) <= {"contingency", "clusters"}]
)
def test_recomputed_from_a_record_alone(name):
    """A record's triples, written as JSON and read, give the same value as the labels did."""
    world = random_world(5)
    world["labels_pred"] = np.where(world["labels_pred"] == 3, -1, world["labels_pred"])
    first = Evidence(labels_true=world["labels_true"], labels_pred=world["labels_pred"])
    triples = json.loads(json.dumps(first.contingency.triples()))
    again = Evidence(contingency=Contingency.from_triples(triples))
    assert metrics.get(name).measure(again) == metrics.get(name).measure(first)


@every
def test_source_files(name):
    """A metric's source is its own file and the parts that decide its value."""
    files, needs = metrics.source_files(name), set(metrics.card(name).needs)
    assert metrics.entry(name).path in files
    stems = {path.stem for path in files}
    assert ("neighbours" in stems) == ("neighbours" in needs)
    assert ("contingency" in stems) == bool(needs & {"contingency", "train_contingency", "clusters"} or name == "ece")
    assert stems.isdisjoint({"base", "registry", "evidence", "__init__"})


def test_listing_imports_nothing_heavy():
    """Names and cards are read without importing torch, scikit-learn, scipy, faiss or pandas."""
    code = (
        "import sys, metrics; [metrics.card(n) for n in metrics.names()];"
        "print(sorted({'torch', 'sklearn', 'scipy', 'faiss', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    assert out.stdout.strip() == "[]"


def test_unknown_metric():
    """An unknown name is answered with the nearest one."""
    with pytest.raises(UserError, match="did you mean 'linear_probe'"):
        metrics.get("linear_prob")


@pytest.mark.parametrize(
    "module",
    sorted(
        {metrics.entry(name).module for name in metrics.names()}
        | {"metrics.base", "metrics.evidence", "metrics.parts.contingency"}
    ),
)
def test_examples_run(module):
    """The example in a docstring gives what it says."""
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 1
    assert not result.failed
