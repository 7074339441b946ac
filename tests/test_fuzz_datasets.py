"""Hostile files: whatever bytes a reader is given, it returns what it should or says in one line that the file is damaged."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import pickle
import random
import resource
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.ground.errors import MissingData
from datasets import stl10, svhn, usps
from datasets.base import Raw
from datasets.parts import bounded, cifar, coil, emnist, idx, npz, text
from datasets.source import Source

CLASSES = ("alpha", "beta")
GROWTH_MIB = 300
BOUND = 1 << 20


@dataclass(frozen=True)
class Format:
    """How a reader is fed. seed: a small right file, unpacked; pack: what makes the file of it; read: the reader."""

    name: str
    seed: bytes
    read: Callable[[Path], Any]
    pack: Callable[[bytes], bytes] = bytes


def idx_bytes(*shape: int) -> bytes:
    """A right IDX file."""
    data = bytes(i % 7 for i in range(int(np.prod(shape))))
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def npy(array: np.ndarray) -> bytes:
    """A right NPY file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def tarred(body: bytes, name: str = "beta/7") -> bytes:
    """A packed tar archive with one member."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    return stream.getvalue()


def batch() -> bytes:
    """A right batch of CIFAR, as its authors' Python 2 pickled it."""
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    state = b"(I1\n(I1\nI3072\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\n"
    return b"(dS'data'\n" + reconstruct + state + b"T" + struct.pack("<i", 3072) + bytes(3072) + b"tbsS'labels'\n(lI3\nas."


def mat() -> bytes:
    """A right file of MATLAB with two images."""
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)}, do_compression=True)
    return stream.getvalue()


def read_emnist(path: Path) -> Any:
    """One part of EMNIST's archive."""
    with zipfile.ZipFile(path) as archive:
        return emnist._part(archive, "x", 0)


def read_coil(path: Path) -> Any:
    """One image of Columbia's archive."""
    with zipfile.ZipFile(path) as archive:
        return [coil._image("demo", archive, member) for member in coil._members(archive, ["obj1__0.png"])]


def png() -> bytes:
    """A right image of Columbia's."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.zeros((128, 128), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def line(label: int) -> str:
    """A right line of a text set."""
    return json.dumps({"target": label, "target_name": CLASSES[label], "id": "7", "text": "some words", "split": "train"}) + "\n"


def arrays(images: bytes, labels: bytes) -> bytes:
    """An archive of arrays, for an `.npz`."""
    return zipped({"images.npy": images, "labels.npy": labels})


def read_npz(path: Path) -> Raw:
    """An archive of arrays, with a small bound."""
    return npz.read(path, BOUND)


def read_texts(path: Path) -> Any:
    """An archive of texts."""
    return text.read_archive(path, r"(?P<name>[a-z]+)/(?P<id>[0-9]+)", CLASSES)


def packed_emnist(body: bytes) -> bytes:
    """EMNIST's archive with these images."""
    members = {"x-images-idx3-ubyte.gz": body, "x-labels-idx1-ubyte.gz": idx_bytes(2)}
    return zipped({name: gzip.compress(content, 1) for name, content in members.items()})


def gzipped(body: bytes) -> bytes:
    """A gzip file."""
    return gzip.compress(body, 1)


IMAGES, LABELS = npy(np.zeros((2, 2, 2), np.uint8)), npy(np.arange(2))
USPS = (" ".join(["3.0"] + ["-0.5"] * 256) + "\n").encode()
FORMATS = [
    Format("idx", idx_bytes(2, 2, 2), idx.read),
    Format("idx.gz", idx_bytes(2, 2, 2), idx.read, gzipped),
    Format("npz", IMAGES, read_npz, lambda body: arrays(body, LABELS)),
    Format("labels.npz", LABELS, read_npz, lambda body: arrays(IMAGES, body)),
    Format("cifar", batch(), lambda path: cifar.unpickle(path.read_bytes(), "labels")),
    Format("usps.gz", USPS, usps.read_text, gzipped),
    Format("lines.xz", (line(0) + line(1)).encode(), lambda path: text.read_lines(path, CLASSES), lzma.compress),
    Format("texts.zip", b"some words", read_texts, lambda body: zipped({"beta/7": body})),
    Format("texts.tar.gz", b"some words", read_texts, tarred),
    Format("stl10", bytes(3 * 96 * 96), lambda path: stl10.parse(path.read_bytes(), b"\1")),
    Format("svhn.mat", mat(), svhn.read_mat),
    Format("emnist.zip", idx_bytes(2, 2, 2), read_emnist, packed_emnist),
    Format("coil.zip", png(), read_coil, lambda body: zipped({"obj1__0.png": body})),
]


def changed(body: bytes, draw: random.Random) -> bytes:
    """A right file with some bytes set, taken out, put in or doubled."""
    out = bytearray(body)
    for _ in range(draw.randint(0, 4)):
        place = draw.randint(0, min(len(out), draw.choice([40, 120, len(out)])))
        match draw.choice(["set", "set", "extreme", "put", "cut", "double", "end"]):
            case "set":
                out[place : place + 1] = draw.randbytes(1)
            case "extreme":
                out[place : place + 4] = draw.choice([b"\xff", b"\x7f", b"\0"]) * 4
            case "put":
                out[place:place] = draw.randbytes(draw.randint(1, 12))
            case "cut":
                del out[place : place + draw.randint(1, 12)]
            case "double":
                out[place:place] = out[place : place + draw.randint(1, 40)]
            case "end":
                del out[place:]
    return bytes(out)


def hostile(format_: Format, draw: random.Random) -> bytes:
    """A file of a format: changed before it was packed, changed after, or no file of it at all."""
    match draw.choice(["before", "after", "none"] if format_.pack is not bytes else ["after", "after", "none"]):
        case "before":
            return format_.pack(changed(format_.seed, draw))
        case "after":
            return changed(format_.pack(format_.seed), draw)
        case _:
            return format_.seed[: draw.randint(0, 4)] + draw.randbytes(draw.randint(0, 200))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for all files."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


def outcome(format_: Format, body: bytes, folder: Path) -> Any:
    """What the reader returns, or the MissingData that it ends in; anything else is raised."""
    path = folder / f"x.{format_.name}"
    path.write_bytes(body)
    source = Source(folder, folder / "cache", name="demo", bound=BOUND)
    try:
        with source.reading(path):
            return format_.read(path)
    except MissingData as error:
        return error


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
def test_right_files_are_read(format_: Format, folder: Path) -> None:
    """The files that are changed below are right ones."""
    assert not isinstance(outcome(format_, format_.pack(format_.seed), folder), MissingData)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
@pytest.mark.filterwarnings("ignore")  # readers of hostile files may warn
def test_hostile_files_are_one_line(format_: Format, folder: Path) -> None:
    """Any bytes give arrays or one line of MissingData, and no great use of memory."""
    before = peak_mib()

    @given(st.integers(0, 2**64 - 1))
    def feed(seed: int) -> None:
        body = hostile(format_, random.Random(seed))
        found = outcome(format_, body, folder)
        if isinstance(found, MissingData):
            assert "\n" not in str(found)
            assert "is damaged" in str(found)
        elif isinstance(found, Raw):
            assert found.inputs.nbytes <= BOUND

    feed()
    assert peak_mib() - before < GROWTH_MIB


def bomb(declared: int, body: bytes) -> bytes:
    """An archive of arrays whose directory declares another size for the images."""
    out = bytearray(arrays(body, LABELS))
    place = out.index(b"PK\1\2")
    out[place + 24 : place + 28] = struct.pack("<I", declared)
    return bytes(out)


def header(shape: str, data: bytes = b"") -> bytes:
    """An NPY file that says it has this shape."""
    words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(words)) + words.encode() + data


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("npz", arrays(npy(np.zeros(1 << 24, np.uint8)), LABELS), "at most 100 and 1,048,576 are read"),
        ("npz", bomb(0xFFFFFF00, IMAGES), "at most 100 and 1,048,576 are read"),
        ("npz", arrays(header("(1099511627776,)"), LABELS), "which is not what it holds"),
        ("npz", arrays(header("(-1,)", b"1"), LABELS), "which is not what it holds"),
        ("npz", arrays(header("(1,"), LABELS), "has a header that can't be read"),
        ("npz", zipped({f"{i}.npy": b"" for i in range(200)}), "its 200 members unpack to 0 bytes"),
        ("npz", zipped({"../../images.npy": IMAGES, "/labels.npy": LABELS}), "it has no array inputs and no labels"),
        ("npz", pickle.dumps(IMAGES), "no .npz archive"),
        ("idx", bytes([0, 0, 8, 4]) + b"\xff" * 16, "its header says 340282366604025813516997721482669850625"),
        ("idx", b"\0\0\x0d\1" + bytes(8), "no IDX file of unsigned bytes"),
        ("cifar", b"\x80\x02]r\xff\xff\xff\x7f.", "it holds no batch"),  # the unpickler in C makes room for 2^32 objects here
        ("cifar", pickle.dumps({b"data": 1, b"labels": [1]}), "no array"),
        ("lines.xz", lzma.compress(b"[" * 100_000), "recursion"),
        ("texts.tar.gz", tarred(b"x", "../../etc/7"), ""),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # an archive holds the time it was made at
)
def test_known_tricks(name: str, body: bytes, said: str, folder: Path) -> None:
    """Bombs, absurd sizes, wrong magic numbers, pickles, names that climb: one line that says what is wrong; nothing is made."""
    before = peak_mib()
    found = outcome(next(one for one in FORMATS if one.name == name), body, folder)
    assert peak_mib() - before < GROWTH_MIB
    if said:
        assert isinstance(found, MissingData)
        assert said in str(found)
        assert "\n" not in str(found)
    else:
        assert found == []  # of members with other names nothing is read
    assert [path for path in folder.rglob("*") if not path.name.startswith("x.")] == []


def test_what_unpacks_beyond_a_bound_is_refused() -> None:
    """A stream is read up to its bound, to the byte, and no further."""
    packed = gzip.compress(bytes(100_000))
    assert bounded.gunzip(packed, 100_000) == bytes(100_000)
    with pytest.raises(ValueError, match="unpacks to more than 99,999 bytes"):
        bounded.gunzip(packed, 99_999)
