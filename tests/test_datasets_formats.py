"""The readers of file formats, on small files made here: right, cut off, of another format, and with code inside."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.ground.errors import MissingData
from datasets import cifar10, usps
from datasets.base import Raw
from datasets.parts import idx, npz
from datasets.source import Source

URL = "https://localhost:1/"


def md5(path: Path) -> str:
    """A file's checksum as a card writes it."""
    return f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"


def packed_idx(array: np.ndarray, *, kind: int = 8) -> bytes:
    """The bytes of an IDX file."""
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


class TestIdx:
    """The format of MNIST."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Five train and three test images, packed and unpacked."""
        draw = np.random.default_rng(0)
        for part, n in (("train", 5), ("t10k", 3)):
            arrays = {"images-idx3": draw.integers(0, 256, (n, 4, 4)), "labels-idx1": np.arange(n)}
            for kind, array in arrays.items():
                body = packed_idx(array.astype(np.uint8))
                (tmp_path / f"{part}-{kind}-ubyte").write_bytes(body)
                (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(body, mtime=0))
        return tmp_path

    def load(self, folder: Path, checksums: dict[str, str] | None = None, **changes: list[str]) -> Raw:
        """Loads the set in `folder`."""
        files = checksums or {f"./{path.name}": md5(path) for path in folder.iterdir() if path.is_file()}
        return idx.load(Source(folder, folder / "cache", name="demo"), files, URL, ".", **changes)

    def test_right(self, folder: Path) -> None:
        """Train comes before test, images have a channel, labels are int64."""
        raw = self.load(folder)
        assert raw.inputs.shape == (8, 1, 4, 4)
        assert raw.inputs.dtype == np.uint8
        assert raw.labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
        assert raw.labels.dtype == np.int64
        assert raw.split is not None
        assert raw.split.tolist() == [0] * 5 + [1] * 3
        want = np.frombuffer((folder / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8)
        assert np.array_equal(raw.inputs[5:].ravel(), want)

    def test_one_part_has_no_split(self, folder: Path) -> None:
        """The test part alone is a whole set."""
        raw = self.load(folder, parts=["t10k"])
        assert raw.labels.tolist() == [0, 1, 2]
        assert raw.split is None

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_packed_or_unpacked(self, folder: Path, suffix: str) -> None:
        """Either of the two files of each array is enough, and gives the same."""
        want = self.load(folder)
        checksums = {f"./{path.name}": md5(path) for path in folder.iterdir()}
        for path in list(folder.iterdir()):
            if (path.suffix == ".gz") == (suffix == ""):
                path.unlink()
        got = self.load(folder, checksums)
        assert np.array_equal(got.inputs, want.inputs)
        assert np.array_equal(got.labels, want.labels)

    def test_checksum_before_parsing(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file with the wrong checksum is never parsed."""
        checksums = {f"./{path.name}": md5(path) for path in folder.iterdir()}
        (folder / "train-images-idx3-ubyte.gz").write_bytes(b"changed")
        monkeypatch.setattr(idx, "read", lambda path: pytest.fail(f"{path} was parsed"))
        with pytest.raises(MissingData, match="is damaged: its md5"):
            self.load(folder, checksums)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda b: b[:-1], "it holds 15 bytes of data, but its header says 16"),
            (lambda b: b + b"\0", "it holds 17 bytes of data, but its header says 16"),
            (lambda b: b[:9], "cut off within its header, after 9 bytes"),
            (lambda b: b"", "first four bytes are absent"),
            (lambda b: b"PK" + b[2:], "no IDX file of unsigned bytes"),
            (lambda b: b[:2] + b"\x0d" + b[3:], "no IDX file of unsigned bytes"),
            (lambda b: b[:3] + b"\0" + b[4:], "no IDX file of unsigned bytes"),
            (lambda b: pickle.dumps(np.zeros(3)), "no IDX file of unsigned bytes"),
        ],
        ids=["cut off", "trailing byte", "short header", "empty", "wrong magic", "floats", "no axes", "pickle"],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_wrong_bytes(self, tmp_path: Path, change, message: str, packed: bool) -> None:
        """Anything but a whole IDX file of unsigned bytes is refused, and the message says why."""
        body = change(packed_idx(np.zeros((4, 2, 2), np.uint8)))
        path = tmp_path / ("x.gz" if packed else "x")
        path.write_bytes(gzip.compress(body) if packed else body)
        with pytest.raises(ValueError, match=message):
            idx.read(path)

    def test_cut_off_gzip(self, folder: Path) -> None:
        """A packed file that is cut off is damaged, whatever its checksum says."""
        path = folder / "t10k-labels-idx1-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(MissingData, match=r"t10k-labels-idx1-ubyte\.gz is damaged"):
            self.load(folder)

    def test_wrong_axes(self, folder: Path) -> None:
        """Labels where images belong are refused."""
        path = folder / "train-images-idx3-ubyte.gz"
        path.write_bytes((folder / "train-labels-idx1-ubyte.gz").read_bytes())
        with pytest.raises(MissingData, match="it has 1 axes, not 3"):
            self.load(folder)

    def test_numbers_differ(self, folder: Path) -> None:
        """As many labels as images."""
        (folder / "train-labels-idx1-ubyte.gz").write_bytes((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
        with pytest.raises(MissingData, match="5 images and 3 labels"):
            self.load(folder)


class Bomb:
    """Its pickle creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        """What unpickling would call."""
        return os.mkdir, (str(self.path),)


class TestNpz:
    """One NumPy archive."""

    def test_right(self, tmp_path: Path) -> None:
        """Images get a channel, labels and split the types of the contract."""
        images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
        np.savez_compressed(tmp_path / "demo.npz", images=images, labels=np.uint8([2, 0, 1]), split=np.uint8([0, 0, 1]))
        raw = npz.load(Source(tmp_path, tmp_path / "cache", name="demo"), "demo.npz")
        assert raw.inputs.shape == (3, 1, 4, 4)
        assert raw.inputs.tobytes() == images.tobytes()
        assert (raw.labels.dtype, raw.labels.tolist()) == (np.int64, [2, 0, 1])
        assert raw.split is not None
        assert (raw.split.dtype, raw.split.tolist()) == (np.int8, [0, 0, 1])

    def test_vectors(self, tmp_path: Path) -> None:
        """Vectors come under `inputs`, and the split may be absent."""
        np.savez(tmp_path / "demo.npz", inputs=np.zeros((3, 2), np.float32), labels=np.arange(3))
        raw = npz.read(tmp_path / "demo.npz")
        assert raw.inputs.shape == (3, 2)
        assert raw.split is None

    def test_no_pickles(self, tmp_path: Path) -> None:
        """An archive with a pickled object where an array belongs is refused, and its code never runs."""
        bomb = np.empty(1, object)
        bomb[0] = Bomb(tmp_path / "exploded")
        for arrays in ({"images": bomb, "labels": np.arange(1)}, {"images": np.zeros((1, 2, 2), np.uint8), "labels": bomb}):
            np.savez(tmp_path / "demo.npz", **arrays)
            with pytest.raises(MissingData, match="holds pickled objects, which are refused"):
                npz.load(Source(tmp_path, tmp_path / "cache", name="demo"), "demo.npz")
        (tmp_path / "demo.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        with pytest.raises(MissingData, match="damaged"):
            npz.load(Source(tmp_path, tmp_path / "cache", name="demo"), "demo.npz")
        assert not (tmp_path / "exploded").exists()

    def test_cut_off(self, tmp_path: Path) -> None:
        """A cut-off archive is damaged."""
        np.savez(tmp_path / "demo.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.arange(3))
        path = tmp_path / "demo.npz"
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(MissingData, match="damaged"):
            npz.load(Source(tmp_path, tmp_path / "cache", name="demo"), "demo.npz")

    def test_wrong_arrays(self, tmp_path: Path) -> None:
        """Absent arrays are named, and labels must be integers."""
        path = tmp_path / "demo.npz"
        np.savez(path, pictures=np.zeros(3))
        with pytest.raises(ValueError, match="no array inputs and no labels; it has pictures"):
            npz.read(path)
        np.savez(path, images=np.zeros((3, 4, 4), np.uint8), labels=np.zeros(3))
        with pytest.raises(ValueError, match="labels are of type float64"):
            npz.read(path)


class TestUspsText:
    """The text files of USPS."""

    def line(self, label: float, values: list[float]) -> str:
        """One row, with the publisher's four decimals and final space."""
        return f"{label:.4f} " + " ".join(f"{v:.4f}" for v in values) + " \n"

    def write(self, path: Path, text: str) -> Path:
        """A packed text file."""
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return path

    def test_right(self, tmp_path: Path) -> None:
        """-1..1 becomes 0..255, halves to even, whatever the last bit of a float is."""
        values = [-1.0, 1.0, 0.0, -0.996, -0.992, -0.2, 0.2, 0.012] + [-1.0] * 248
        want = [0, 255, 128, 1, 1, 102, 153, 129]
        images, labels = usps.read_text(self.write(tmp_path / "a.gz", self.line(6, values) + self.line(0, values[::-1])))
        assert images.shape == (2, 1, 16, 16)
        assert images.dtype == np.uint8
        assert images[0].ravel()[:8].tolist() == want
        assert images[1].ravel()[::-1][:8].tolist() == want
        assert (labels.dtype, labels.tolist()) == (np.int64, [6, 0])

    def test_halves_are_exact(self, tmp_path: Path) -> None:
        """Every value of three decimals is rounded as exact arithmetic says, the nine halves to even among them."""
        from fractions import Fraction

        steps = list(range(-1000, 1001))
        want = [round((Fraction(step, 1000) + 1) / 2 * 255) for step in steps]
        padded = steps + [0] * (256 * 8 - len(steps))
        text = "".join(self.line(1, [step / 1000 for step in padded[i : i + 256]]) for i in range(0, len(padded), 256))
        images, _ = usps.read_text(self.write(tmp_path / "a.gz", text))
        assert images.ravel()[: len(want)].tolist() == want

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1 holds 0 values, not 257"),
            ("1.0 0.5\n", "line 1 holds 2 values, not 257"),
            ("1.0 " + "0 " * 256 + "\n" + "2.0 " + "0 " * 100, "line 2 holds 101 values, not 257"),
            ("11.0 " + "0 " * 256, "do not lie in 0..9"),
            ("1.0 " + "3 " * 256, "do not lie in 0..9"),
            ("1.0 " + "x " * 256, "could not convert"),
            ("1.0 " + "nan " * 256, "do not lie in 0..9"),
        ],
    )
    def test_wrong_text(self, tmp_path: Path, text: str, message: str) -> None:
        """Rows of another length, values outside their range and words are refused."""
        with pytest.raises(ValueError, match=message):
            usps.read_text(self.write(tmp_path / "a.gz", text))

    def test_two_ways_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The text files and the archive give the same arrays, in the same order."""
        steps = np.random.default_rng(0).integers(-1000, 1001, (5, 256))
        rows = [self.line(label, (step / 1000).tolist()) for label, step in enumerate(steps)]
        text = tmp_path / "text"
        text.mkdir()
        paths = {"usps/zip.train.gz": "".join(rows[:3]), "usps/zip.test.gz": "".join(rows[3:])}
        files = {path: md5(self.write(text / path, body)) for path, body in paths.items()}
        monkeypatch.setattr(usps, "card", dataclasses.replace(usps.card, files=files))
        first = usps.load(Source(text, tmp_path / "cache", name="usps"))
        assert first.split is not None
        assert first.labels.tolist() == [0, 1, 2, 3, 4]
        assert first.split.tolist() == [0, 0, 0, 1, 1]
        archive = tmp_path / "archive"
        archive.mkdir()
        np.savez(archive / "usps.npz", images=first.inputs[:, 0], labels=first.labels, split=first.split)
        second = usps.load(Source(archive, tmp_path / "cache", name="usps"))
        assert np.array_equal(first.inputs, second.inputs)
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.split, second.split)


def batch(first: int, n: int = 4) -> bytes:
    """A batch as its authors' Python 2 pickled it: bytes for keys, an array of NumPy 1's module names."""
    data = (np.arange(n * 3072).reshape(n, 3072) + first).astype(np.uint8)
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    state = b"(I1\n(I%d\nI3072\nt" % n + b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR" + b"(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb" + b"I00\n"
    pixels = b"T" + struct.pack("<i", data.nbytes) + data.tobytes() + b"tb"
    labels = b"(l" + b"".join(b"I%d\na" % ((first + i) % 10) for i in range(n))
    return b"(dS'data'\n" + reconstruct + state + pixels + b"sS'labels'\n" + labels + b"s."


class TestCifar:
    """The batches of CIFAR-10."""

    NAMES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Six small batches, and a card with their checksums."""
        folder = tmp_path / "data" / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        for number, name in enumerate(self.NAMES):
            (folder / name).write_bytes(batch(number))
        self.checksums(tmp_path / "data", monkeypatch)
        return folder

    def checksums(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts the checksums of the files as they are on the card."""
        paths = [*[f"cifar-10-batches-py/{name}" for name in self.NAMES], "cifar-10-python.tar.gz"]
        files = {path: md5(data / path) if (data / path).is_file() else cifar10.card.files[path] for path in paths}
        monkeypatch.setattr(cifar10, "card", dataclasses.replace(cifar10.card, files=files))

    def load(self, folder: Path) -> Raw:
        """Loads from the data folder that holds `folder`."""
        return cifar10.load(Source(folder.parent, folder.parent / "cache", name="cifar10"))

    def test_right(self, folder: Path) -> None:
        """Five train batches come before the test batch; pixels are channels first."""
        raw = self.load(folder)
        assert raw.inputs.shape == (24, 3, 32, 32)
        assert raw.inputs.dtype == np.uint8
        assert raw.inputs[0].ravel()[:5].tolist() == [0, 1, 2, 3, 4]
        assert raw.labels.tolist() == [(b + i) % 10 for b in range(6) for i in range(4)]
        assert raw.split is not None
        assert raw.split.tolist() == [0] * 20 + [1] * 4

    def test_archive(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The official archive gives the same without being unpacked, and each batch in it is verified."""
        want = self.load(folder)
        archive = folder.parent / "cifar-10-python.tar.gz"
        bodies = {name: (folder / name).read_bytes() for name in self.NAMES}
        self.pack(archive, bodies)
        self.checksums(folder.parent, monkeypatch)
        for name in self.NAMES:
            (folder / name).unlink()
        got = self.load(folder)
        assert np.array_equal(got.inputs, want.inputs)
        assert np.array_equal(got.labels, want.labels)
        assert list(folder.iterdir()) == []
        self.pack(archive, {**bodies, "test_batch": b"changed"})
        files = {**cifar10.card.files, archive.name: md5(archive)}
        monkeypatch.setattr(cifar10, "card", dataclasses.replace(cifar10.card, files=files))
        with pytest.raises(MissingData, match="its member cifar-10-batches-py/test_batch has the wrong checksum"):
            self.load(folder)

    def pack(self, path: Path, bodies: dict[str, bytes]) -> None:
        """Makes an archive of batches."""
        with tarfile.open(path, "w:gz") as archive:
            for name, body in bodies.items():
                member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))

    def test_checksum_before_unpickling(self, folder: Path, tmp_path: Path) -> None:
        """A batch with the wrong checksum is never unpickled."""
        (folder / "test_batch").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        with pytest.raises(MissingData, match="test_batch is damaged: its md5"):
            self.load(folder)
        assert not (tmp_path / "exploded").exists()

    def test_code_is_refused(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even with the right checksum, a pickle that calls anything but NumPy's arrays is refused."""
        (folder / "test_batch").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        self.checksums(folder.parent, monkeypatch)
        with pytest.raises(MissingData, match="mkdir, which is refused"):
            self.load(folder)
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("body", [batch(0)[:-100], b"", pickle.dumps([1]), pickle.dumps({b"data": 1})])
    def test_wrong_batches(self, folder: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
        """A cut-off batch, an empty file and another pickle are damaged files."""
        (folder / "data_batch_3").write_bytes(body)
        self.checksums(folder.parent, monkeypatch)
        with pytest.raises(MissingData, match="data_batch_3 is damaged"):
            self.load(folder)

    def test_one_batch_missing(self, folder: Path) -> None:
        """With some batches there, the absent one is named."""
        (folder / "data_batch_2").unlink()
        with pytest.raises(MissingData, match="data_batch_2 is missing"):
            self.load(folder)
