"""The loaders of images, on small files of the official formats made here: right, cut off, changed, and of another format."""

from __future__ import annotations

import ast
import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import datasets
from benchmark.ground.errors import MissingData
from benchmark.report.text import here
from datasets import (
    cifar100,
    cifar100_20,
    coil20,
    coil100,
    emnist_balanced,
    emnist_letters,
    kmnist,
    stl10,
    stl10_unlabelled,
    svhn,
)
from datasets.base import Raw
from datasets.parts import coil
from datasets.prepare import check, read
from datasets.source import Source

MODULES = [kmnist, emnist_letters, emnist_balanced, cifar100, cifar100_20, svhn, stl10, stl10_unlabelled]
SETS = {module.__name__.split(".")[1].replace("_", "-"): module for module in MODULES}
FILED = [name for name in datasets.names(hidden=True) if datasets.card(name).files]
DATA = os.environ.get("BLINDBENCH_DATA")
Body = dict[str, bytes]


def images(seed: int, *shape: int) -> np.ndarray:
    """Noise, uint8."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    """A packed IDX file of unsigned bytes."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def zipped(members: Body) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def tarred(members: Body) -> bytes:
    """A packed tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return stream.getvalue()


def png(array: np.ndarray) -> bytes:
    """A PNG file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def make_kmnist() -> tuple[Body, Raw]:
    """Four train and three test images."""
    x, y = images(0, 7, 28, 28), np.uint8([3, 1, 0, 9, 2, 2, 5])
    files = {}
    for part, rows in (("train", slice(4)), ("t10k", slice(4, 7))):
        files[f"KMNIST/raw/{part}-images-idx3-ubyte.gz"] = idx(x[rows])
        files[f"KMNIST/raw/{part}-labels-idx1-ubyte.gz"] = idx(y[rows])
    return files, Raw(x[:, None], y.astype(np.int64), np.int8([0, 0, 0, 0, 1, 1, 1]))


def make_emnist(part: str, first: int) -> tuple[Body, Raw]:
    """Four train and three test images of one part, stored column by column."""
    x, y = images(1, 7, 28, 28), np.uint8([3, 1, 0, 9, 25, 2, 5])
    members = {}
    for which, rows in (("train", slice(4)), ("test", slice(4, 7))):
        stored = np.stack([image.T for image in x[rows]])
        members[f"gzip/emnist-{part}-{which}-images-idx3-ubyte.gz"] = idx(stored)
        members[f"gzip/emnist-{part}-{which}-labels-idx1-ubyte.gz"] = idx(y[rows] + np.uint8(first))
    return {"EMNIST/raw/gzip.zip": zipped(members)}, Raw(x[:, None], y.astype(np.int64), np.int8([0, 0, 0, 0, 1, 1, 1]))


def batch(data: np.ndarray, **lists: list[int]) -> bytes:
    """A batch as Python 3 pickles it, with NumPy 1's module names."""
    body = pickle.dumps({b"data": data, **{key.encode(): value for key, value in lists.items()}}, protocol=3)
    return body.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def make_cifar(key: str) -> tuple[Body, Raw]:
    """Four train and three test images, with both lists of labels."""
    x, y = images(2, 7, 3072), {"fine_labels": [99, 0, 5, 7, 1, 2, 3], "coarse_labels": [19, 0, 1, 1, 0, 0, 4]}
    parts = {"train": slice(4), "test": slice(4, 7)}
    files = {
        f"cifar-100-python/{part}": batch(x[rows], **{name: labels[rows] for name, labels in y.items()})
        for part, rows in parts.items()
    }
    return files, Raw(x.reshape(7, 3, 32, 32), np.array(y[key]), np.int8([0, 0, 0, 0, 1, 1, 1]))


def make_svhn() -> tuple[Body, Raw]:
    """Four train and three test images; a nought is a ten."""
    x, y = images(3, 7, 3, 32, 32), np.uint8([[10], [1], [9], [3], [2], [10], [5]])
    files = {}
    for part, rows in (("train", slice(4)), ("test", slice(4, 7))):
        stream = io.BytesIO()
        savemat(stream, {"X": x[rows].transpose(2, 3, 1, 0), "y": y[rows]}, do_compression=True)
        files[f"{part}_32x32.mat"] = stream.getvalue()
    return files, Raw(x, np.array([0, 1, 9, 3, 2, 0, 5]), np.int8([0, 0, 0, 0, 1, 1, 1]))


def make_stl10() -> tuple[Body, Raw]:
    """Two train images and one test image, stored column by column."""
    x, y = images(4, 3, 3, 96, 96), np.uint8([10, 1, 4])
    files = {}
    for part, rows in (("train", slice(2)), ("test", slice(2, 3))):
        files[f"stl10_binary/{part}_X.bin"] = b"".join(channel.T.tobytes() for image in x[rows] for channel in image)
        files[f"stl10_binary/{part}_y.bin"] = y[rows].tobytes()
    return files, Raw(x, np.array([9, 0, 3]), np.int8([0, 0, 1]))


def make_stl10_unlabelled() -> tuple[Body, Raw]:
    """The same, and three images without labels."""
    files, known = make_stl10()
    more = images(5, 3, 3, 96, 96)
    files["stl10_binary/unlabeled_X.bin"] = b"".join(channel.T.tobytes() for image in more for channel in image)
    labels = np.concatenate([known.labels, [-1, -1, -1]])
    return files, Raw(np.concatenate([known.inputs, more]), labels, np.int8([*known.split, 2, 2, 2]))


MAKERS: dict[str, Callable[[], tuple[Body, Raw]]] = {
    "kmnist": make_kmnist,
    "emnist-letters": lambda: make_emnist("letters", 1),
    "emnist-balanced": lambda: make_emnist("balanced", 0),
    "cifar100": lambda: make_cifar("fine_labels"),
    "cifar100-20": lambda: make_cifar("coarse_labels"),
    "svhn": make_svhn,
    "stl10": make_stl10,
    "stl10-unlabelled": make_stl10_unlabelled,
}


def put(folder: Path, files: Body) -> None:
    """Writes the files below a folder."""
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def sign(name: str, files: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the checksums of these files on the card, in the card's order."""
    card = SETS[name].card
    known = {path: f"md5:{hashlib.md5(files[path]).hexdigest()}" if path in files else was for path, was in card.files.items()}
    assert set(files) <= set(known)
    monkeypatch.setattr(SETS[name], "card", dataclasses.replace(card, files=known))


def load(name: str, folder: Path) -> Raw:
    """What the loader makes of a data folder."""
    return SETS[name].load(Source(folder, folder / "cache", name=name))


def same(got: Raw, want: Raw) -> None:
    """Two sets of canonical arrays are equal, types included."""
    assert (got.inputs.dtype, got.labels.dtype, got.split.dtype) == (np.uint8, np.int64, np.int8)
    assert np.array_equal(got.inputs, want.inputs)
    assert got.labels.tolist() == want.labels.tolist()
    assert got.split.tolist() == want.split.tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upright images, channels first, labels from 0, train before test, each in its file's order."""
    files, want = MAKERS[name]()
    put(tmp_path, files)
    sign(name, files, monkeypatch)
    same(load(name, tmp_path), want)


@pytest.mark.parametrize("name", MAKERS)
def test_wrong_checksum(name: str, tmp_path: Path) -> None:
    """Whatever does not have the official checksum is refused before it is parsed."""
    put(tmp_path, {path: pickle.dumps(Bomb(tmp_path / "exploded")) for path in MAKERS[name]()[0]})
    with pytest.raises(MissingData, match="is damaged: its md5 is"):
        load(name, tmp_path)
    assert not (tmp_path / "exploded").exists()


class Bomb:
    """Its pickle creates a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        """What unpickling would call."""
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: pickle.dumps([1])])
@pytest.mark.parametrize("name", MAKERS)
def test_damaged(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    """Each file that is cut off, empty or of another format is one line that names it, even if its checksum were right."""
    whole = MAKERS[name]()[0]
    for path, body in whole.items():
        files = {**whole, path: change(body)}
        put(tmp_path, files)
        sign(name, files, monkeypatch)
        with pytest.raises(MissingData, match=rf"^dataset '{name}': the file \S+ is damaged: .+; remove it.*$"):
            load(name, tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_each_file_is_needed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file that is absent is named, with how to get it."""
    whole = MAKERS[name]()[0]
    sign(name, whole, monkeypatch)
    for path in whole:
        folder = tmp_path / path.replace("/", " ")
        put(folder, {other: body for other, body in whole.items() if other != path})
        with pytest.raises(MissingData, match=rf"the file .* is missing .* next: `uv run run_all.py data get {name}`"):
            load(name, folder)


@pytest.mark.parametrize(("name", "archive"), [("cifar100", "cifar-100-python.tar.gz"), ("stl10", "stl10_binary.tar.gz")])
def test_archives(name: str, archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official archive gives the same without being unpacked, also where some of its files lie unpacked beside it."""
    members, want = MAKERS[name]()
    extra = {f"{archive.split('.')[0]}/unlabeled_X.bin": b"more"}
    files = {archive: tarred({**extra, **dict(reversed(members.items()))})}
    put(tmp_path, {**files, next(iter(members)): b"not looked at"})
    sign(name, {**members, **files}, monkeypatch)
    same(load(name, tmp_path), want)
    for wrong, message in (
        ({**members, next(iter(members)): b"changed"}, f"its member {next(iter(members))} has the wrong checksum"),
        (dict(list(members.items())[1:]), f"it has no member {next(iter(members))}"),
    ):
        files = {archive: tarred(wrong)}
        put(tmp_path, files)
        sign(name, {**members, **files}, monkeypatch)
        with pytest.raises(MissingData, match=message):
            load(name, tmp_path)


def test_archive_members_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link in an archive is not followed."""
    members = make_stl10()[0]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    files = {"stl10_binary.tar.gz": stream.getvalue()}
    put(tmp_path, files)
    sign("stl10", {**members, **files}, monkeypatch)
    with pytest.raises(MissingData, match=r"it has no member stl10_binary/test_X\.bin"):
        load("stl10", tmp_path)


def test_partly_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With some files unpacked, no archive and downloads allowed, the archive is asked for."""
    members = make_cifar("fine_labels")[0]
    put(tmp_path, dict([next(iter(members.items()))]))
    sign("cifar100", members, monkeypatch)
    asked = []
    monkeypatch.setattr(Source, "_fetch", lambda self, path, checksum, urls: asked.append((path, checksum, *urls)) or tmp_path)
    with pytest.raises(MissingData, match="is damaged"):
        cifar100.load(Source(tmp_path, tmp_path / "cache", download=True, name="cifar100"))
    assert asked == [
        (
            "cifar-100-python.tar.gz",
            cifar100.card.files["cifar-100-python.tar.gz"],
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        )
    ]


def test_cifar100_refuses_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the right checksum, a pickle that calls anything but NumPy's arrays is refused, and so is another batch."""
    files = make_cifar("fine_labels")[0]
    for body, message in (
        (pickle.dumps(Bomb(tmp_path / "exploded")), "mkdir, which is refused"),
        (batch(images(0, 2, 3072), labels=[1, 2]), "it holds no batch with data and fine_labels"),
    ):
        files["cifar-100-python/test"] = body
        put(tmp_path, files)
        sign("cifar100", files, monkeypatch)
        with pytest.raises(MissingData, match=message):
            load("cifar100", tmp_path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gzip/emnist-letters-train-images-idx3-ubyte.gz": None}, "There is no item named 'gzip/emnist-letters-train-images"),
        ({"gzip/emnist-letters-test-labels-idx1-ubyte.gz": idx(np.uint8([1, 2]))}, "has 3 images and 2 labels"),
        ({"gzip/emnist-letters-test-labels-idx1-ubyte.gz": idx(np.uint8([0, 1, 2]))}, "has the label 0, but labels start at 1"),
        ({"gzip/emnist-letters-test-labels-idx1-ubyte.gz": idx(images(0, 3, 2, 2))}, "has 3 axes, not 1"),
        ({"gzip/emnist-letters-test-labels-idx1-ubyte.gz": b"no gzip"}, "Not a gzipped file"),
    ],
)
def test_emnist_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Body, message: str) -> None:
    """A member that is absent, of another format or of another part is refused."""
    with zipfile.ZipFile(io.BytesIO(make_emnist("letters", 1)[0]["EMNIST/raw/gzip.zip"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = {name: body for name, body in {**members, **change}.items() if body is not None}
    files = {"EMNIST/raw/gzip.zip": zipped(members)}
    put(tmp_path, files)
    sign("emnist-letters", files, monkeypatch)
    with pytest.raises(MissingData, match=message):
        load("emnist-letters", tmp_path)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"X": images(0, 32, 32, 3, 2)}, "it has no variable y"),
        ({"pictures": np.zeros(2)}, "it has no variable X and no y"),
        ({"X": images(0, 32, 32, 3, 2), "y": np.uint8([[1]])}, "beside 1 labels"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": np.uint8([[1], [2]])}, "its X is float64"),
        ({"X": images(0, 32, 32, 3, 2), "y": np.uint8([[0], [11]])}, "its labels do not lie in 1..10"),
    ],
)
def test_svhn_variables(tmp_path: Path, variables: dict[str, np.ndarray], message: str) -> None:
    """Other variables, types, sizes and labels are refused."""
    savemat(tmp_path / "x.mat", variables)
    with pytest.raises(ValueError, match=message):
        svhn.read_mat(tmp_path / "x.mat")


def test_stl10_labels() -> None:
    """Labels outside 1..10, and another number of them, are refused."""
    with pytest.raises(ValueError, match=r"its labels do not lie in 1\.\.10"):
        stl10.parse(bytes(3 * 96 * 96), b"\0")
    with pytest.raises(ValueError, match="27648 bytes beside 2 labels"):
        stl10.parse(bytes(3 * 96 * 96), b"\1\2")


class TestCoil:
    """The zip archives of COIL-20 and COIL-100."""

    def load(self, folder: Path, body: bytes, objects: int = 2, views: range = range(0, 15, 5)) -> Raw:
        """Loads an archive of a few images."""
        put(folder, {"coil.zip": body})
        return coil.load(Source(folder, folder / "cache", name="demo"), {"coil.zip": ""}, "", objects=objects, views=views)

    def members(self, *, colour: bool = False) -> dict[str, np.ndarray]:
        """Two objects from three sides, in the order of names: 10 before 5."""
        names = sorted(f"coil-20-proc/obj{number}__{view}.png" for number in (1, 2) for view in (0, 5, 10))
        return {name: images(seed, *(128, 128, 3)[: 2 + colour]) for seed, name in enumerate(names)}

    def test_order(self, tmp_path: Path) -> None:
        """Images come by object, then by view, as numbers and not as words; other members don't matter."""
        members = self.members()
        body = zipped(
            {**{name: png(image) for name, image in members.items()}, "coil-20-proc/readme": b"", "__MACOSX/._x.png": b""}
        )
        raw = self.load(tmp_path, body)
        assert (raw.inputs.shape, raw.inputs.dtype, raw.split) == ((6, 1, 32, 32), np.uint8, None)
        assert (raw.labels.tolist(), raw.labels.dtype) == ([0, 0, 0, 1, 1, 1], np.int64)
        for row, (number, view) in zip(raw.inputs, [(number, view) for number in (1, 2) for view in (0, 5, 10)], strict=True):
            assert np.array_equal(row[0], coil.block_means(members[f"coil-20-proc/obj{number}__{view}.png"]))

    def test_colour(self, tmp_path: Path) -> None:
        """Colour becomes luma, and three equal channels are as good as one."""
        members = self.members()
        grey = self.load(tmp_path, zipped({name: png(image) for name, image in members.items()}))
        same_grey = self.load(tmp_path, zipped({name: png(np.stack([image] * 3, -1)) for name, image in members.items()}))
        assert np.array_equal(grey.inputs, same_grey.inputs)
        colour = self.load(tmp_path, zipped({name: png(image) for name, image in self.members(colour=True).items()}))
        assert not np.array_equal(grey.inputs, colour.inputs)

    def test_block_means_are_exact(self) -> None:
        """The mean of a block is rounded as exact arithmetic says, halves to even, in grey and in colour."""
        from fractions import Fraction

        luma = (Fraction(299, 1000), Fraction(587, 1000), Fraction(114, 1000))
        for image in (
            images(0, 16, 32),
            images(1, 16, 32, 3),
            np.tile(np.uint8([0, 1]), (8, 4)),
            np.tile(np.uint8([1, 2]), (8, 4)),
        ):
            got = coil.block_means(image)
            for i, j in np.ndindex(got.shape):
                block = image[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].reshape(16, -1).tolist()
                values = [Fraction(p[0]) if len(p) == 1 else sum(w * c for w, c in zip(luma, p, strict=True)) for p in block]
                assert got[i, j] == round(sum(values) / 16)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (png(images(0, 64, 64)), "is 64×64 of mode L, not 128×128"),
            (png(images(0, 128, 128, 4)), "is 128×128 of mode RGBA"),
            (b"GIF89a" + bytes(100), "cannot identify image file"),
            (png(images(0, 128, 128))[:5000], "truncated"),
            (b"", "cannot identify image file"),
            (bytes(200_000), "larger than an image"),
        ],
    )
    def test_wrong_images(self, tmp_path: Path, body: bytes, message: str) -> None:
        """Other sizes, formats and halves of images are refused, and what is far too large is not unpacked."""
        members = {name: png(image) for name, image in self.members().items()}
        with pytest.raises(MissingData, match=message):
            self.load(tmp_path, zipped({**members, "coil-20-proc/obj1__0.png": body}))

    def test_broken_chunks(self, tmp_path: Path) -> None:
        """An image whose data goes on in a chunk without a name is refused."""
        whole = png(images(0, 128, 128))
        start = whole.index(b"IDAT") - 4
        data = zlib.compress(bytes(129 * 128))
        first = struct.pack(">I", 8) + b"IDAT" + data[:8] + struct.pack(">I", zlib.crc32(b"IDAT" + data[:8]))
        broken = whole[:start] + first + struct.pack(">I", 8) + bytes(4) + data[8:16] + bytes(4)
        members = {name: png(image) for name, image in self.members().items()}
        with pytest.raises(MissingData, match=r"obj1__0\.png is no PNG file: broken PNG file"):
            self.load(tmp_path, zipped({**members, "coil-20-proc/obj1__0.png": broken}))

    @pytest.mark.parametrize(("module", "last"), [(coil20, "obj20__71.png"), (coil100, "obj100__355.png")])
    def test_every_view_is_needed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module, last: str) -> None:
        """An archive without its last view is refused, and the view named."""
        card = module.card
        views = range(72) if module is coil20 else range(0, 360, 5)
        names = [f"coil/obj{number}__{view}.png" for number in range(1, card.classes + 1) for view in views]
        assert len(names) == card.n
        assert names[-1].endswith(f"/{last}")
        (path,) = card.files
        put(tmp_path, {path: zipped(dict.fromkeys(names[:-1], b""))})
        monkeypatch.setattr(module, "card", dataclasses.replace(card, files={path: ""}))
        with pytest.raises(MissingData, match=f"it has no member {last}, and lacks 1 of {card.n}"):
            module.load(Source(tmp_path, tmp_path / "cache", name="coil"))

    @pytest.mark.parametrize("body", [b"", b"no zip", zipped({"obj1__0.png": b""})[:-10]], ids=["empty", "text", "cut off"])
    def test_no_zip(self, tmp_path: Path, body: bytes) -> None:
        """What is no zip archive, or half of one, is damaged."""
        with pytest.raises(MissingData, match="is damaged: File is not a zip file"):
            self.load(tmp_path, body)

    def test_without_pillow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Pillow is absent the message says so, and what to bring instead."""
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingData, match=r"needs the package pillow.*bring the arrays as demo\.npz"):
            self.load(tmp_path, zipped({name: b"" for name in self.members()}))

    @pytest.mark.skipif(not (DATA and (Path(DATA) / "coil20.npz").is_file()), reason="BLINDBENCH_DATA has no coil20.npz")
    def test_both_ways_in(self, tmp_path: Path) -> None:
        """The zip and the archive of arrays give what the card says: here with each pixel of the real set made a block."""
        raw = read("coil20", Source(Path(str(DATA)), tmp_path, name="coil20"))
        check("coil20", raw, coil20.card)
        large = raw.inputs[:, 0].repeat(4, 1).repeat(4, 2)
        names = [f"coil-20-proc/obj{number}__{view}.png" for number in range(1, 21) for view in range(72)]
        order = np.random.default_rng(0).permutation(1440)
        put(tmp_path, {"coil-20-proc.zip": zipped({names[row]: png(large[row]) for row in order})})
        check("coil20", read("coil20", Source(tmp_path, tmp_path / "cache", name="coil20")), coil20.card)


@pytest.mark.parametrize("name", ["orl-32", "umist-32"])
def test_brought_by_the_user(name: str, tmp_path: Path) -> None:
    """A set without a download says what to bring, and refuses other arrays than the card's."""
    card = datasets.card(name)
    with pytest.raises(MissingData, match=rf"the file {name}\.npz is missing .*it has no download of its own"):
        datasets.get(name).load(Source(tmp_path, tmp_path / "cache", download=True, name=name))
    labels = np.repeat(np.arange(card.classes), card.class_counts)
    np.savez(tmp_path / f"{name}.npz", images=np.zeros((card.n, 32, 32), np.uint8), labels=labels)
    raw = read(name, Source(tmp_path, tmp_path / "cache", name=name))
    with pytest.raises(MissingData, match="the hash of the inputs is"):
        check(name, raw, card)


@pytest.mark.parametrize("name", FILED)
def test_addresses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a loader asks for first is a file of its card, with that checksum, over https."""
    asked = []

    def fetch(self: Source, path: str, checksum: str, urls: list[str]) -> Path:
        asked.append((path, checksum, list(urls)))
        raise MissingData("asked")

    monkeypatch.setattr(Source, "_fetch", fetch)
    card = datasets.card(name)
    with pytest.raises(MissingData):
        datasets.get(name).load(Source(None, tmp_path, download=True, name=name))
    if list(card.files) == [f"{name}.npz"]:
        assert not asked
        return
    ((path, checksum, urls),) = asked
    assert card.files[path] == checksum
    assert checksum or any("no checksum" in defect for defect in card.defects)
    assert urls
    assert all(url.startswith("https://") for url in urls)


def test_every_address() -> None:
    """In the code of the loaders every address is of https, and every call with an address hands over a checksum."""
    calls = 0
    for path in [*Path(datasets.__file__).parent.glob("*.py"), *Path(datasets.__file__).parent.glob("parts/*.py")]:
        tree = ast.parse(path.read_text())
        outside = [
            node for node in tree.body if not (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "card")
        ]
        for node in [inner for statement in outside for inner in ast.walk(statement)]:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "http://" not in node.value, path
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "find":
                given = {keyword.arg for keyword in node.keywords}
                calls += "urls" in given
                assert "checksum" in given or "urls" not in given, f"{path}, line {node.lineno}"
    assert calls > 5


@pytest.mark.parametrize(
    ("name", "files", "want"),
    [
        ("kmnist", ["KMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz"], "yes"),
        ("kmnist", ["KMNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte"], "no: data get kmnist"),
        ("kmnist", ["KMNIST/raw/train-{images-idx3,labels-idx1}-ubyte.gz"], "no: data get kmnist"),
        ("mnist", ["MNIST/raw/{train,t10k}-images-idx3-ubyte.gz", "MNIST/raw/{train,t10k}-labels-idx1-ubyte"], "yes"),
        ("emnist-letters", ["EMNIST/raw/gzip.zip"], "yes"),
        ("emnist-balanced", ["EMNIST/raw/gzip.zip"], "yes"),
        ("emnist-letters", ["EMNIST/raw/emnist-letters-train-images-idx3-ubyte"], "no: data get emnist-letters"),
        ("cifar100", ["cifar-100-python/{train,test}"], "yes"),
        ("cifar100-20", ["cifar-100-python.tar.gz"], "yes"),
        ("cifar100-20", ["cifar-100-python/train"], "no: data get cifar100-20"),
        ("cifar100-20", ["cifar100-20.npz"], "yes"),
        ("cifar100-20", ["cifar100.npz"], "no: data get cifar100-20"),
        ("svhn", ["{train,test}_32x32.mat"], "yes"),
        ("svhn", ["train_32x32.mat", "extra_32x32.mat"], "no: data get svhn"),
        ("stl10", ["stl10_binary.tar.gz"], "yes"),
        ("stl10", ["stl10_binary/{train,test}_{X,y}.bin"], "yes"),
        ("stl10", ["stl10_binary/{train,test}_X.bin", "stl10_binary/test_y.bin"], "no: data get stl10"),
        ("coil20", ["coil-20-proc.zip"], "yes"),
        ("coil20", ["coil20.npz"], "yes"),
        ("coil20", [], "no: data get coil20"),
        ("coil100", ["coil-100.zip"], "yes"),
        ("orl-32", ["orl-32.npz"], "yes"),
        ("orl-32", [], "no: bring orl-32.npz"),
        ("umist-32", ["orl-32.npz"], "no: bring umist-32.npz"),
        ("20newsgroups", ["20newsgroups.jsonl.xz"], "yes"),
        ("bbc-news", ["bbc-fulltext.zip"], "yes"),
        ("bbc-news", ["20newsgroups.jsonl.xz"], "no: data get bbc-news"),
        ("mnist-2d", [], "no: bring mnist-2d.npz"),
        ("usps", ["usps/zip.train.gz"], "no: data get usps"),
    ],
)
def test_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: list[str], want: str) -> None:
    """Whether a dataset is on this disk is what its loader would find: empty files are damaged there, not missing."""
    data = tmp_path / "data"
    data.mkdir()
    put(data, {path: b"" for pattern in files for path in braces(pattern)})
    monkeypatch.setenv("BLINDBENCH_DATA", str(data))
    monkeypatch.setenv("BLINDBENCH_CACHE", str(tmp_path / "cache"))
    assert here(name) == want
    if want == "yes":
        with pytest.raises(MissingData, match="damaged"):
            read(name, Source(data, tmp_path / "cache", name=name))


def braces(pattern: str) -> list[str]:
    """What a shell makes of {a,b}."""
    head, opened, rest = pattern.partition("{")
    if not opened:
        return [pattern]
    choices, _, tail = rest.partition("}")
    return [head + choice + end for choice in choices.split(",") for end in braces(tail)]


@pytest.mark.skipif(
    not (DATA and (Path(DATA) / "cifar-10-batches-py").is_dir()), reason="BLINDBENCH_DATA has no cifar-10-batches-py"
)
def test_cifar10_is_prepared_quickly(tmp_path: Path) -> None:
    """Preparing CIFAR-10 takes under 10 seconds of a core and under 1 GiB at its peak, imports included."""
    prepares = "import sys; from pathlib import Path; from datasets.prepare import prepare;"
    prepares += "prepare('cifar10', cache=Path(sys.argv[1]), data=Path(sys.argv[2]))"
    # A process between, because Linux counts the peak of whoever starts a process as the process's own.
    between = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
    between += "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    command = [sys.executable, "-c", between, sys.executable, "-c", prepares, str(tmp_path), str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 10
    assert peak * (1 if sys.platform == "darwin" else 1024) < 2**30
