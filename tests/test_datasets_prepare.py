"""Preparation: what is written where, what is made again, and the two doors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import datasets
from benchmark.ground.errors import MissingData, UserError
from benchmark.ground.files import sha256_array
from datasets import inputs, labels, registry
from datasets import prepare as module
from datasets.base import Card, Raw
from datasets.prepare import Prepared, prepare, sha_labels


def made(**changes: object) -> tuple[Card, Raw]:
    """A small set of images with an official split, sorted by class, and its card."""
    truth = np.repeat(np.arange(3), 20).astype(np.int64)
    images = np.random.default_rng(1).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    raw = dataclasses.replace(Raw(images, truth, (np.arange(60) % 5 == 0).astype(np.int8)), **changes)
    card = Card(
        title="Demo",
        source="made here",
        licence="CC0",
        modality="image" if raw.inputs.ndim == 4 else "vector",
        shape=raw.inputs.shape[1:],
        n=60,
        classes=3,
        n_test=0 if raw.split is None else 12,
        class_counts=[20, 20, 20],
        sha_inputs=sha256_array(raw.inputs),
        sha_labels=sha_labels(raw),
    )
    return card, raw


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A dataset named demo whose card, arrays and number of loads a test may read and change."""
    card, raw = made()
    state = SimpleNamespace(card=card, raw=raw, loads=0)

    def load(source: object) -> Raw:
        state.loads += 1
        return state.raw

    monkeypatch.setattr(registry, "card", lambda name: state.card)
    monkeypatch.setattr(registry, "entry", lambda name: SimpleNamespace(card=state.card, family=""))
    monkeypatch.setattr(registry, "get", lambda name: SimpleNamespace(card=state.card, load=load))
    return state


def everything(cache: Path) -> dict[str, bytes]:
    """All files below a folder with their bytes."""
    return {str(path.relative_to(cache)): path.read_bytes() for path in sorted(cache.rglob("*")) if path.is_file()}


def test_layout(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Inputs and split lie under one root, labels under another, and nothing else is written."""
    found = prepare("demo", cache=tmp_path)
    assert set(everything(tmp_path)) == {
        f"inputs/{found.inputs_address}/x.npy",
        f"inputs/{found.inputs_address}/split.npy",
        f"labels/{found.labels_address}/y.npy",
        "labels/index/demo.json",
    }
    want = Prepared(
        name="demo",
        kind="grey",
        modality="image",
        inputs=tmp_path / "inputs" / found.inputs_address,
        inputs_address=found.inputs_address,
        labels=tmp_path / "labels" / found.labels_address,
        labels_address=found.labels_address,
        n=60,
        classes=3,
        has_split=True,
    )
    assert found == want
    known = json.loads((tmp_path / "labels" / "index" / "demo.json").read_text())
    assert (known["inputs"], known["labels"], known["version"]) == (
        found.inputs_address,
        found.labels_address,
        module.PREPARE_VERSION,
    )


def test_same_bytes_everywhere(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Two caches get the same files, byte for byte."""
    prepare("demo", cache=tmp_path / "a")
    prepare("demo", cache=tmp_path / "b")
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_the_order_comes_from_the_name(demo: SimpleNamespace, tmp_path: Path) -> None:
    """The permutation depends on the dataset's name, and on the labels not at all."""
    first = prepare("demo", cache=tmp_path)
    other = prepare("other", cache=tmp_path)
    assert first.inputs_address != other.inputs_address
    demo.card, demo.raw = made(labels=np.random.default_rng(2).permutation(demo.raw.labels))
    again = prepare("demo", cache=tmp_path)
    assert demo.loads == 3
    assert again.inputs_address == first.inputs_address
    assert again.labels_address != first.labels_address


def test_the_permutation_is_fixed() -> None:
    """The order of protocol v1 never changes: this is it for ten rows."""
    assert module.permutation("digits", 10).tolist() == [9, 4, 8, 2, 3, 1, 5, 7, 0, 6]


def test_addresses_are_fixed(tmp_path: Path) -> None:
    """The prepared bytes of protocol v1 never change: outputs and records name them by these addresses."""
    found = prepare("blobs", cache=tmp_path)
    assert found.inputs_address[:16] == "f4148e6b5e4a1414"
    assert found.labels_address[:16] == "42ec7fef05d42f7a"


def test_second_call_loads_nothing(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Whole prepared files are found again without the raw ones."""
    first = prepare("demo", cache=tmp_path)
    before = everything(tmp_path)
    assert prepare("demo", cache=tmp_path) == first
    assert demo.loads == 1
    assert everything(tmp_path) == before


@pytest.mark.parametrize("file", ["x.npy", "split.npy", "y.npy", "demo.json"])
@pytest.mark.parametrize("damage", ["gone", "cut off", "a byte changed"])
def test_damage_is_repaired(demo: SimpleNamespace, tmp_path: Path, file: str, damage: str) -> None:
    """A prepared file that is gone, cut off or changed is made again, the same."""
    prepare("demo", cache=tmp_path)
    before = everything(tmp_path)
    (path,) = tmp_path.rglob(file)
    body = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(body[:-5] if damage == "cut off" else body[:-5] + bytes([body[-5] ^ 1]) + body[-4:])
    prepare("demo", cache=tmp_path)
    assert everything(tmp_path) == before
    assert demo.loads == 2


def test_a_new_version_prepares_anew(demo: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another PREPARE_VERSION or another card asks for the raw files again."""
    prepare("demo", cache=tmp_path)
    monkeypatch.setattr(module, "PREPARE_VERSION", 10**6)
    prepare("demo", cache=tmp_path)
    assert demo.loads == 2
    demo.card = dataclasses.replace(demo.card, sha_inputs="0" * 64)
    with pytest.raises(MissingData, match="hash of the inputs"):
        prepare("demo", cache=tmp_path)


def test_index_leads_nowhere_else(demo: SimpleNamespace, tmp_path: Path) -> None:
    """An index that is no index is not believed."""
    prepare("demo", cache=tmp_path)
    index = tmp_path / "labels" / "index" / "demo.json"
    good = json.loads(index.read_text())
    for bad in (
        "[]",
        "null",
        json.dumps({**good, "files": {}}),
        json.dumps({**good, "inputs": good["labels"]}),
        '{"version": 1}',
    ):
        loads = demo.loads
        index.write_text(bad)
        prepare("demo", cache=tmp_path)
        assert demo.loads == loads + 1
        assert json.loads(index.read_text()) == good


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"inputs": np.zeros((60, 1, 4, 5), np.uint8)}, "shape of the inputs"),
        ({"inputs": np.zeros((59, 1, 4, 4), np.uint8)}, "shape of the inputs"),
        ({"inputs": np.zeros((60, 1, 4, 4), np.int16)}, "type of the inputs"),
        ({"inputs": np.zeros((60, 1, 4, 4), np.uint8)}, "hash of the inputs"),
        ({"labels": np.zeros(60, np.int64)}, "classes"),
        ({"labels": np.repeat(np.arange(3), 20)[::-1].astype(np.int64)}, "hash of the labels"),
        ({"labels": np.repeat(np.arange(3), 20).astype(np.int32)}, "type of the labels"),
        ({"split": None}, "number of test rows"),
        ({"split": (np.arange(60) % 5 == 1).astype(np.int8)}, "hash of the labels"),
        ({"split": (np.arange(60) % 5 == 0).astype(np.int8) * 2}, "number of test rows"),
    ],
)
def test_another_version_of_the_data(demo: SimpleNamespace, tmp_path: Path, change: dict, fact: str) -> None:
    """Arrays that are not the card's are one clear line, and nothing is written."""
    demo.raw = dataclasses.replace(demo.raw, **change)
    with pytest.raises(MissingData, match=f"the {fact} is .*, but the card says ") as caught:
        prepare("demo", cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == {}


def test_nothing_half_written(demo: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure while writing leaves no half a file, and the next call mends it."""
    save = np.save

    def fail(stream, array, **kwargs) -> None:
        if array.ndim == 1:
            stream.write(b"half")
            raise OSError("disk full")
        save(stream, array, **kwargs)

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        prepare("demo", cache=tmp_path)
    assert [Path(path).name for path in everything(tmp_path)] == ["x.npy"]
    monkeypatch.setattr(np, "save", save)
    assert len(labels.load(prepare("demo", cache=tmp_path).labels)) == 60


def test_npz_stands_in(demo: SimpleNamespace, tmp_path: Path) -> None:
    """`<name>.npz` in the data folder stands in for a dataset's files; a made dataset ignores it."""
    np.savez(tmp_path / "demo.npz", images=demo.raw.inputs[:, 0], labels=demo.raw.labels, split=demo.raw.split)
    prepare("demo", cache=tmp_path / "a", data=tmp_path)
    assert demo.loads == 1
    demo.card = dataclasses.replace(demo.card, files={"x": "md5:0"})
    prepare("demo", cache=tmp_path / "b", data=tmp_path)
    assert demo.loads == 1
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_vectors(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Vectors lose one global mean and one global scale, so features keep their proportions; a card may say no."""
    x = np.random.default_rng(3).normal(5, 2, (60, 4)).astype(np.float32) * np.float32([1, 1, 1, 9])
    demo.card, demo.raw = made(inputs=x, split=None)
    found = prepare("demo", cache=tmp_path)
    got = np.load(found.inputs / "x.npy")
    want = ((x - x.mean(dtype=np.float64)) / x.std(dtype=np.float64)).astype(np.float32)
    assert np.allclose(np.sort(got, axis=0), np.sort(want, axis=0), rtol=1e-6, atol=1e-7)
    assert (found.kind, found.has_split) == ("vector", False)
    demo.card = dataclasses.replace(demo.card, standardise=False)
    plain = np.load(prepare("demo", cache=tmp_path).inputs / "x.npy")
    assert np.array_equal(np.sort(plain, axis=0), np.sort(x, axis=0))


def test_constant_vectors(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Vectors without any spread become zeros, not NaN."""
    demo.card, demo.raw = made(inputs=np.full((60, 4), 3, np.float32), split=None)
    assert not np.load(prepare("demo", cache=tmp_path).inputs / "x.npy").any()


def test_doors(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Transductive gives every row, inductive the train rows, and both rows stand in prepared order."""
    found = prepare("demo", cache=tmp_path)
    x, split = np.load(found.inputs / "x.npy"), np.load(found.inputs / "split.npy")
    every = inputs.load(found.inputs, track="transductive")
    assert np.array_equal(every.inputs.train.numpy(), x)
    assert every.train_rows.tolist() == list(range(60))
    part = inputs.load(found.inputs, track="inductive")
    assert np.array_equal(part.inputs.train.numpy(), x[split == 0])
    assert np.array_equal(part.all.numpy(), x)
    assert part.train_rows.dtype == torch.int64
    assert part.train_rows.tolist() == np.flatnonzero(split == 0).tolist()
    assert np.array_equal(part.split, split)
    assert np.array_equal(labels.load_split(found.inputs), split)
    assert {field.name for field in dataclasses.fields(part.inputs)} == {"modality", "train"}


def test_loaded_tensors_are_free(demo: SimpleNamespace, tmp_path: Path) -> None:
    """Writing into what the door gave does not reach the file."""
    found = prepare("demo", cache=tmp_path)
    before = everything(tmp_path)
    inputs.load(found.inputs, track="transductive").inputs.train.zero_()
    assert everything(tmp_path) == before


def test_wrong_track(demo: SimpleNamespace, tmp_path: Path) -> None:
    """An unknown track, and the inductive one without a split, are refused with the next step."""
    found = prepare("demo", cache=tmp_path / "a")
    with pytest.raises(UserError, match="no track 'semi'; there are: transductive, inductive"):
        inputs.load(found.inputs, track="semi")
    demo.card, demo.raw = made(split=None)
    found = prepare("demo", cache=tmp_path / "b")
    with pytest.raises(UserError, match="transductive only"):
        inputs.load(found.inputs, track="inductive")
    assert labels.load_split(found.inputs) is None


def test_door_refuses_other_arrays(tmp_path: Path) -> None:
    """The blind door gives images or vectors, and never unpickles."""
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    with pytest.raises(UserError, match="float64 of 2 axes"):
        inputs.load(tmp_path, track="transductive")
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        inputs.load(tmp_path, track="transductive")


def test_evaluation_split() -> None:
    """Without an official split a fifth of each class is test, drawn from the seed alone."""
    truth = np.repeat([0, 1, 2], [50, 103, 7])
    drawn = labels.evaluation_split(truth, None, 5)
    assert drawn.dtype == np.int8
    assert np.bincount(truth, weights=drawn).tolist() == [10, 21, 1]
    assert np.array_equal(drawn, labels.evaluation_split(truth, None, 5))
    assert not np.array_equal(drawn, labels.evaluation_split(truth, None, 6))


@pytest.mark.parametrize(("n", "test"), [(1, 0), (2, 1), (3, 1), (7, 1), (8, 2), (12, 2), (13, 3)])
def test_evaluation_split_of_small_classes(n: int, test: int) -> None:
    """A class of two or more has a row in each part; a single row is train."""
    assert labels.evaluation_split(np.zeros(n, np.int64), None, 0).sum() == test


def test_official_split_wins() -> None:
    """An official split is taken as it is."""
    split = np.array([1, 0, 0, 1], np.int8)
    assert np.array_equal(labels.evaluation_split(np.zeros(4, np.int64), split, 0), split)


def test_unknown_name(tmp_path: Path) -> None:
    """A name nobody has is answered with the nearest ones, and nothing is written."""
    with pytest.raises(UserError, match="no dataset 'mnist_test'; did you mean 'mnist-test'"):
        prepare("mnist_test", cache=tmp_path)
    assert everything(tmp_path) == {}


def test_a_loader_is_needed(tmp_path: Path) -> None:
    """A plug-in without load is refused, one with it joins the room."""
    body = 'from datasets.base import Card\ncard = Card(title="t", source="s", licence="l", modality="image", shape=[1, 2, 2],'
    body += ' n=2, classes=2, sha_inputs="", sha_labels="", hidden=True)\n'
    for name, more in (("no_loader", ""), ("with_loader", "def load(source):\n    return 'raw'\n")):
        path = tmp_path / f"{name}.py"
        path.write_text(body + more)
        try:
            assert datasets.plug_in(path) == [name.replace("_", "-")]
            if more:
                assert datasets.get("with-loader").load(None) == "raw"
            else:
                with pytest.raises(UserError, match="defines no load"):
                    datasets.get("no-loader")
        finally:
            registry._room._plugins.clear()
