"""A user's own data: folders of images, archives, features; with and without labels; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import benchmark
import datasets
from benchmark.ground.errors import MissingData, UserError
from benchmark.plan import Cell, from_record
from benchmark.report.tables import freshness
from benchmark.store import Results, cache_root
from datasets import inputs, outside, registry
from datasets.prepare import prepare

RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """Sets that joined in a test are gone after it."""
    yield
    registry._joined.clear()


def picture(path: Path, side: tuple[int, int] = (6, 6), mode: str = "L", value: int | None = None) -> Path:
    """Writes an image of noise, or of one value."""
    shape = (side[1], side[0]) if mode == "L" else (side[1], side[0], 3)
    body = RNG.integers(0, 256, shape) if value is None else np.full(shape, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(body.astype(np.uint8)).save(path)
    return path


def archive(path: Path, **arrays: Any) -> Path:
    """Writes an archive."""
    np.savez(path, **arrays)
    return path


def blobs(n: int = 40, d: int = 3) -> np.ndarray:
    """Two clouds, half of the rows each, in order."""
    return np.repeat([[0.0], [9.0]], n // 2, axis=0) + RNG.normal(size=(n, d))


def test_folder_of_classes(tmp_path: Path) -> None:
    """A sub-folder a class, in the order of their names; grey images are one channel, and other files are passed over."""
    for name, value in (("b", 10), ("a", 200)):
        for number in range(3):
            picture(tmp_path / "Set 1" / name / f"{number}.png", value=value + number)
    (tmp_path / "Set 1" / "a" / "notes.txt").write_text("no image")
    name, card, raw = outside.read(f"folder:{tmp_path / 'Set 1'}")
    assert name.startswith("folder-set-1-")
    assert (card.n, card.classes, list(card.shape), card.class_names) == (6, 2, [1, 6, 6], ["a", "b"])
    assert raw.labels is not None
    assert raw.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert raw.inputs[:, 0, 0, 0].tolist() == [200, 201, 202, 10, 11, 12]
    assert raw.split is None


def test_folder_with_parts(tmp_path: Path) -> None:
    """PATH/train and PATH/test make the official split; colour anywhere makes three channels; --size crops the middle."""
    picture(tmp_path / "train" / "x" / "0.png", (8, 6), "RGB")
    picture(tmp_path / "train" / "y" / "0.png", (12, 12))
    picture(tmp_path / "test" / "x" / "0.jpg", (6, 9))
    spec = f"folder:{tmp_path}"
    with pytest.raises(UserError, match=r"images differ in size: .* give --size"):
        outside.read(spec)
    _, card, raw = outside.read(spec, size=6)
    assert raw.split is not None
    assert raw.split.tolist() == [0, 0, 1]
    assert (card.n_test, list(card.test_counts), list(card.shape)) == (1, [1, 0], [3, 6, 6])
    assert raw.inputs.shape == (3, 3, 6, 6)
    assert np.array_equal(raw.inputs[1, 0], raw.inputs[1, 2])


def test_folder_without_classes(tmp_path: Path) -> None:
    """Images in the folder itself have no labels."""
    for number in range(2):
        picture(tmp_path / f"{number}.png")
    _, card, raw = outside.read(f"folder:{tmp_path}")
    assert raw.labels is None
    assert card.classes == 0


def test_folder_refused(tmp_path: Path) -> None:
    """No folder, no images, a broken image, a link out of the folder: one clear line each."""
    inside = tmp_path / "set"
    picture(inside / "a" / "0.png")
    for path, says in ((tmp_path / "none", "is no folder"), (tmp_path / "empty", "holds no images")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=says):
            outside.read(f"folder:{path}")
    (inside / "a" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    with pytest.raises(UserError, match=r"1\.png is no image that can be read"):
        outside.read(f"folder:{inside}")
    (inside / "a" / "1.png").unlink()
    (inside / "a" / "1.png").symlink_to(picture(tmp_path / "other.png"))
    with pytest.raises(UserError, match="is a link out of"):
        outside.read(f"folder:{inside}")


def test_archive(tmp_path: Path) -> None:
    """Any integers are labels; numbers of any kind become float32; a split makes an inductive track."""
    x = blobs()
    path = archive(tmp_path / "My Data.npz", inputs=x, labels=np.repeat([7, -3], 20), split=np.tile([0, 0, 0, 1], 10))
    name, card, raw = outside.read(f"npz:{path}")
    assert name.startswith("npz-my-data-")
    assert raw.inputs.dtype == np.float32
    assert raw.labels is not None
    assert raw.labels[:1].tolist() + raw.labels[-1:].tolist() == [1, 0]
    assert (card.n_test, card.tracks, card.class_names) == (10, ("transductive", "inductive"), ["-3", "7"])


def test_name_is_the_content(tmp_path: Path) -> None:
    """The same arrays have the same name wherever they lie under it; other arrays, or other labels, have another."""
    x = blobs()
    one = archive(tmp_path / "a.npz", inputs=x)
    (tmp_path / "deep").mkdir()
    two = archive(tmp_path / "deep" / "a.npz", inputs=x)
    three = archive(tmp_path / "c.npz", inputs=x, labels=np.repeat([0, 1], 20))
    names = [outside.read(f"npz:{path}")[0] for path in (one, two, three)]
    assert names[0] == names[1]
    assert names[0].rsplit("-", 1)[1] != names[2].rsplit("-", 1)[1]
    hostile = archive(tmp_path / "..;rm -rf; é|<b>.npz", inputs=x)
    assert set(outside.read(f"npz:{hostile}")[0]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"data": np.zeros((3, 2))}, "neither images nor inputs"),
        ({"inputs": np.zeros((3, 2, 2))}, r"allowed: numbers \[n, d\]"),
        ({"images": np.zeros((3, 2, 2))}, "allowed: uint8"),
        ({"images": np.zeros((3, 2, 4, 4), np.uint8)}, "allowed: uint8"),
        ({"inputs": np.array([[0.0, np.nan], [1, 2]])}, "NaN or infinity in 1 of 2"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(2, int)}, r"labels of shape \[2\]"),
        ({"inputs": np.zeros((3, 2)), "labels": np.zeros(3)}, "not integers"),
        ({"inputs": np.zeros((3, 2)), "split": np.array([0, 0, 0])}, "must hold 0"),
        ({"inputs": np.zeros((3, 2)), "split": np.array([0, 1, 3])}, "must hold 0"),
        ({"inputs": np.zeros((1, 2))}, "at least 2"),
        ({"inputs": np.array([{"a": 1}], object)}, "can't be read"),
    ],
)
def test_archive_refused(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    """An archive that can't be scored is one clear line."""
    path = archive(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=says):
        outside.read(f"npz:{path}")


def test_not_an_archive(tmp_path: Path) -> None:
    """A text, a pickle, a single array and an absent file are refused."""
    (tmp_path / "x.npz").write_text("no archive")
    np.save(tmp_path / "y.npy", np.zeros((3, 2)))
    (tmp_path / "y.npy").rename(tmp_path / "y.npz")
    for name, says in (("x", "can't be read"), ("y", "can't be read"), ("z", "is no file")):
        with pytest.raises(UserError, match=says):
            outside.read(f"npz:{tmp_path / name}.npz")


def test_rows_without_labels_are_trained_on_and_not_scored(tmp_path: Path) -> None:
    """A split of 2 marks rows that a method is fitted on in the inductive track, and that no score ever looks at."""
    x, truth = blobs(), np.repeat([0, 1], 20)
    split = np.tile([0, 1, 2, 2], 10)
    told = np.where(split == 2, -1, truth)
    path = archive(tmp_path / "u.npz", inputs=x, labels=told, split=split)
    name, card, _ = outside.read(f"npz:{path}")
    assert (card.n, card.n_test, card.n_unlabelled, card.classes, card.tracks) == (40, 10, 20, 2, ("inductive",))
    options = {"seeds": 1, "budget": "smoke", "jobs": 1, "track": "inductive", "results": tmp_path / "results"}
    methods = ["pixels_kmeans", "supervised_ceiling"]
    frame = benchmark.run(datasets=[f"npz:{path}"], methods=methods, **options).set_index("method")
    assert frame.state.tolist() == ["ok", "ok"]
    assert frame.acc["pixels_kmeans"] == frame.knn["pixels_kmeans"] == frame.acc_train_matching["pixels_kmeans"] == 1.0
    ready = prepare(name, cache=cache_root())
    assert len(inputs.load(ready.inputs, track="inductive").inputs.train) == 30
    with pytest.raises(UserError, match="has rows without labels"):
        datasets.card(f"{name}@20")


def test_features_say_who_made_them(tmp_path: Path) -> None:
    """Features are taken as they are, and every row says that a pretrained model stands behind it."""
    path = archive(tmp_path / "f.npz", inputs=blobs(), labels=np.repeat([0, 1], 20), backbone="timm:tiny (random)")
    name = datasets.join(f"features:{path}")
    card = datasets.card(name)
    assert (card.pretrained, card.standardise) == ("timm:tiny (random)", False)
    assert Cell("pixels_kmeans", name, "transductive", "smoke", 0).told == {"k", "pretrained"}


def test_run_from_a_notebook(tmp_path: Path) -> None:
    """A user's own vectors run in one call; without labels the scores that need none remain, and k must be given."""
    labelled = archive(tmp_path / "a.npz", inputs=blobs(), labels=np.repeat([0, 1], 20))
    bare = archive(tmp_path / "b.npz", inputs=blobs())
    options = {"methods": ["pixels_kmeans", "supervised_ceiling"], "seeds": 1, "budget": "smoke", "jobs": 1}
    frame = benchmark.run(datasets=[f"npz:{labelled}"], results=tmp_path / "results", **options)
    scores = frame.set_index("method")
    assert scores.acc["pixels_kmeans"] == 1.0
    with pytest.raises(UserError, match="no labels, so nothing says how many clusters are wanted; give --k"):
        benchmark.run(datasets=[f"npz:{bare}"], results=tmp_path / "results", **options)
    frame = benchmark.run(datasets=[f"npz:{bare}"], k=2, results=tmp_path / "results", **options).set_index("method")
    assert frame.state["supervised_ceiling"] == "not_applicable"
    row = frame.loc["pixels_kmeans"]
    assert row.isna()[["acc", "nmi", "ari", "knn", "linear_probe", "purity"]].all()
    assert row.silhouette > 0.5
    assert row.clusters_used == 2
    # A board is made from the records alone, where the data are not.
    registry._joined.clear()
    for _, record in Results(tmp_path / "results").records():
        cell = from_record(record)
        assert record["state"] == "not_applicable" or (cell.k, freshness(record)) == (2, "fresh")
        with pytest.raises(MissingData, match="known by its records alone"):
            prepare(record["dataset"], cache=tmp_path / "cache")
