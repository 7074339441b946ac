"""Every dataset found keeps what its card and the two doors promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import datasets
from benchmark.ground.errors import MissingData
from benchmark.ground.files import sha256_array
from datasets import inputs, labels
from datasets.prepare import Prepared, check, fold_seed, prepare, read, repeats
from datasets.source import Source

ALL = datasets.names(hidden=True)
FREE = [name for name in ALL if not datasets.card(name).files]
FILED = [name for name in ALL if datasets.card(name).files]
DATA = os.environ.get("BLINDBENCH_DATA")
HEX = set("0123456789abcdef")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for the module, so that each dataset is prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(params=ALL if DATA else FREE)
def ready(request: pytest.FixtureRequest, cache: Path) -> Prepared:
    """A prepared dataset; those made of files only where BLINDBENCH_DATA has them."""
    try:
        return prepare(request.param, cache=cache, data=Path(DATA) if DATA else None)
    except MissingData as error:
        if request.param in FREE or "is missing" not in str(error):
            raise
        pytest.skip(f"BLINDBENCH_DATA lacks it: {error}")


@pytest.mark.skipif(DATA is None, reason="real files are looked at only where BLINDBENCH_DATA names their folder")
def test_real_data() -> None:
    """BLINDBENCH_DATA names a folder, so that the tests below see real files."""
    assert Path(str(DATA)).is_dir()


@pytest.mark.parametrize("name", ALL)
def test_card(name: str) -> None:
    """A card is complete and agrees with itself."""
    card = datasets.card(name)
    assert card.modality in ("image", "vector")
    assert len(card.shape) == (3 if card.modality == "image" else 1)
    assert all((card.title, card.source, card.licence))
    if not card.files or card.sha_inputs or card.sha_labels:
        assert len(card.sha_inputs) == len(card.sha_labels) == 64
        assert set(card.sha_inputs + card.sha_labels) <= HEX
        assert sum(card.class_counts) == card.n - card.n_unlabelled
        assert sum(card.test_counts) == card.n_test
    assert sum(card.class_counts) in (0, card.n - card.n_unlabelled)
    assert sum(card.test_counts) in (0, card.n_test)
    assert len(card.class_counts) in (0, card.classes)
    assert len(card.test_counts) in (0, card.classes)
    assert len(card.class_names) in ((0, card.classes) if card.hidden else (card.classes,))
    assert 0 <= card.n_test < card.n
    stated = [checksum for checksum in card.files.values() if checksum]
    assert not [checksum for checksum in stated if checksum.partition(":")[0] not in ("md5", "sha256")]
    if len(stated) < len(card.files):  # then the hashes of the arrays stand for the file, or nothing does; the card says which
        assert any("no checksum" in defect for defect in card.defects)
        assert card.sha_inputs or any("content is not verified" in defect for defect in card.defects)


def test_content_is_told_apart() -> None:
    """No two datasets have one name for their inputs, nor for labels that no hash stands for."""
    inputs_ids = [datasets.card(name).inputs_id for name in ALL]
    labels_ids = [datasets.card(name).labels_id for name in ALL if not datasets.card(name).sha_labels]
    assert len(set(inputs_ids)) == len(inputs_ids)
    assert len(set(labels_ids)) == len(labels_ids)


def test_hidden() -> None:
    """Datasets for tests are listed only where they are asked for."""
    assert "blobs" in ALL
    assert "blobs" not in datasets.names()


def test_development() -> None:
    """The sets on which protocol v1 lets settings be tuned are marked so, and the sets it ranks on are not."""
    assert all(datasets.card(name).development for name in ("digits", "shapes", "usps", "mnist-test"))
    assert not any(datasets.card(name).development for name in ("mnist", "fashion-mnist", "fashion-mnist-test", "cifar10"))


def test_listing_is_light() -> None:
    """Listing the datasets imports neither torch nor NumPy."""
    code = "import sys, datasets; datasets.names(); print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_blind_door_is_blind() -> None:
    """The blind door brings in neither the sighted door, nor prepare, nor any loader."""
    code = "import sys, datasets.inputs; print(sorted(m for m in sys.modules if m.startswith('datasets.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['datasets.base', 'datasets.inputs', 'datasets.registry']"


@pytest.mark.parametrize("name", FREE)
def test_loader_repeats(name: str, tmp_path: Path) -> None:
    """A dataset that needs no files gives the arrays of its card, twice."""
    for _ in range(2):
        check(name, read(name, Source(None, tmp_path)), datasets.card(name))


def test_inputs_as_the_card_says(ready: Prepared) -> None:
    """The blind door gives tensors of the card's shape, number and type."""
    card = datasets.card(ready.name)
    loaded = inputs.load(ready.inputs, track="transductive")
    assert tuple(loaded.all.shape) == (card.n, *card.shape)
    assert loaded.all.dtype == (torch.uint8 if card.modality == "image" else torch.float32)
    assert loaded.inputs.modality == card.modality == ready.modality
    assert loaded.inputs.train is loaded.all
    assert torch.equal(loaded.train_rows, torch.arange(card.n))
    assert (loaded.split is not None) == bool(card.n_test) == ready.has_split


def test_inductive_track(ready: Prepared) -> None:
    """The inductive track trains on the official train rows, and on nothing else."""
    card = datasets.card(ready.name)
    if not card.n_test:
        return
    loaded = inputs.load(ready.inputs, track="inductive")
    assert loaded.split is not None
    assert len(loaded.inputs.train) == card.n - card.n_test
    assert torch.equal(loaded.inputs.train, loaded.all[torch.from_numpy(loaded.split == 0)])
    assert torch.equal(loaded.inputs.train, loaded.all[loaded.train_rows])


def test_labels_as_the_card_says(ready: Prepared) -> None:
    """The sighted door gives the card's class counts, exactly."""
    card = datasets.card(ready.name)
    found = labels.load(ready.labels)
    assert found.dtype == np.int64
    assert np.bincount(found, minlength=card.classes).tolist() == list(card.class_counts) or not card.class_counts
    assert np.unique(found).tolist() == list(range(card.classes))


def test_repeats_as_the_card_says(ready: Prepared, tmp_path: Path) -> None:
    """The card counts exact repeats among all rows, and test rows that are a train row too, where it knows the arrays."""
    card = datasets.card(ready.name)
    if not card.sha_inputs:
        return
    raw = read(ready.name, Source(Path(DATA) if DATA else None, tmp_path, name=ready.name))
    assert repeats(raw) == (card.duplicates, card.leaks)


def test_rows_stay_together(ready: Prepared, tmp_path: Path) -> None:
    """Preparation only reorders: each sample keeps its label and its part of the split."""
    card = datasets.card(ready.name)
    if card.modality == "vector" and card.standardise:
        return
    raw = read(ready.name, Source(Path(DATA) if DATA else None, tmp_path, name=ready.name))
    prepared = inputs.load(ready.inputs, track="transductive")
    parts = np.zeros(card.n, np.int8)
    before = _rows(raw.inputs, raw.labels, parts if raw.split is None else raw.split)
    assert before == _rows(prepared.all.numpy(), labels.load(ready.labels), parts if prepared.split is None else prepared.split)


def _rows(x: np.ndarray, y: np.ndarray, split: np.ndarray) -> list[tuple[bytes, int, int]]:
    return sorted(zip((row.tobytes() for row in x), y.tolist(), split.tolist(), strict=True))


def test_order_tells_nothing(ready: Prepared) -> None:
    """Neither the labels nor the split run through the rows in any order."""
    found = labels.load(ready.labels)
    rows = np.arange(len(found))
    bound = 5 / np.sqrt(len(found))
    assert abs(np.corrcoef(rows, found)[0, 1]) < bound
    assert abs(np.mean(found[1:] == found[:-1]) - np.square(np.bincount(found) / len(found)).sum()) < bound
    split = labels.load_split(ready.inputs)
    if split is not None:
        assert abs(np.corrcoef(rows, split)[0, 1]) < bound


def test_no_trace_of_labels(ready: Prepared, cache: Path) -> None:
    """The inputs' folder is named by a hash of what is in it, and holds inputs and the split alone."""
    assert sorted(path.name for path in ready.inputs.iterdir()) == (["split.npy", "x.npy"] if ready.has_split else ["x.npy"])
    assert len(ready.inputs_address) == 64
    assert set(ready.inputs_address + ready.labels_address) <= HEX
    assert ready.inputs_address != ready.labels_address
    assert ready.name not in str(ready.inputs.relative_to(cache))
    card = datasets.card(ready.name)
    x = np.load(ready.inputs / "x.npy", allow_pickle=False)
    assert (ready.inputs / "x.npy").stat().st_size == x.nbytes + 128
    assert x.shape == (card.n, *card.shape)
    outside = [path for path in cache.rglob("*") if path.is_file() and "labels" not in path.relative_to(cache).parts]
    assert not [path for path in outside if path.name not in ("x.npy", "split.npy")]


def test_prepared_once(ready: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call finds the files whole and opens no raw file."""
    monkeypatch.setattr("datasets.prepare.read", None)
    assert prepare(ready.name, cache=cache) == ready


def test_vectors_are_standardised(ready: Prepared) -> None:
    """Vectors have one global mean of 0 and one global scale of 1."""
    card = datasets.card(ready.name)
    if card.modality == "vector" and card.standardise:
        x = np.load(ready.inputs / "x.npy").astype(np.float64)
        assert abs(x.mean()) < 1e-6
        assert abs(x.std() - 1) < 1e-6


@pytest.mark.parametrize("name", FILED)
def test_missing_files(name: str, tmp_path: Path) -> None:
    """Without its files a dataset is one clear line that says how to get them, and nothing is written."""
    step = "it has no download" if list(datasets.card(name).files) == [f"{name}.npz"] else f"data get {name}`"
    with pytest.raises(MissingData, match=rf"^dataset '{name}': the file .* is missing .*{step}.*$") as caught:
        prepare(name, cache=tmp_path / "cache", data=tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_fold_seeds_differ() -> None:
    """Each dataset has its own seed for the 80/20, the same on every call."""
    seeds = [fold_seed(name) for name in ALL]
    assert len(set(seeds)) == len(ALL)
    assert seeds == [fold_seed(name) for name in ALL]
    assert fold_seed("digits") == 1428225260


def test_index_says_what_was_prepared(ready: Prepared, cache: Path) -> None:
    """The index lies on the sighted side and records both addresses."""
    known = json.loads((cache / "labels" / "index" / f"{ready.name}.json").read_text())
    assert (known["inputs"], known["labels"]) == (ready.inputs_address, ready.labels_address)
    assert known["sha_inputs"] == datasets.card(ready.name).inputs_id
    assert sha256_array(labels.load(ready.labels)) != known["labels"]
