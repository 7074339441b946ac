"""IDX, the format of MNIST and its kin: a magic number, big-endian sizes, bytes."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Raw
from datasets.parts.bounded import gunzip
from datasets.parts.joined import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets.source import Source

_UNSIGNED_BYTE = 8


def read(path: Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, packed (`.gz`) or not; ValueError where it is anything else."""
    return parse(gunzip(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


def parse(data: bytes) -> np.ndarray:
    """The array in the bytes of an unpacked IDX file."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTE or not 1 <= data[3] <= 4:
        raise ValueError(f"its first four bytes are {data[:4].hex() or 'absent'}, which is no IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"it is cut off within its header, after {len(data)} bytes")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) != start + prod(shape):
        raise ValueError(f"it holds {len(data) - start} bytes of data, but its header says {prod(shape)} ({shape})")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def load(source: Source, files: Mapping[str, str], url: str, folder: str, parts: Sequence[str] = ("train", "t10k")) -> Raw:
    """The images [n, 1, h, w] and labels of one or both parts, train first; of each file the packed or the unpacked one.

    files: checksum by path, of the packed files, and of the unpacked ones where they are known. url: the folder of the
    official packed files.
    """
    pairs = []
    for part in parts:
        x = _array(source, files, url, f"{folder}/{part}-images-idx3-ubyte", 3)
        y = _array(source, files, url, f"{folder}/{part}-labels-idx1-ubyte", 1)
        if len(x) != len(y):
            raise source.damaged(Path(folder), f"the {part} part has {len(x)} images and {len(y)} labels")
        pairs.append((x[:, None], y))
    return joined(pairs, split=len(parts) == 2)


def _array(source: Source, files: Mapping[str, str], url: str, path: str, ndim: int) -> np.ndarray:
    packed = f"{path}.gz"
    if path in files and source.has(path) and not source.has(packed):
        found = source.find(path, checksum=files[path])
    else:
        found = source.find(packed, checksum=files[packed], urls=[url + packed.rsplit("/", 1)[-1]])
    with source.reading(found):
        array = read(found)
        if array.ndim != ndim:
            raise ValueError(f"it has {array.ndim} axes, not {ndim}")
    return array
