"""A dataset in one NumPy archive, `<name>.npz`: images or inputs, labels, and split where there is an official one."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
import psutil

from datasets.base import Raw
from datasets.parts.bounded import BOUND

if TYPE_CHECKING:
    from datasets.source import Source


MEMBERS = 100
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def load(source: Source, path: str) -> Raw:
    """Reads the archive at `path`; pickled objects in it are refused."""
    found = source.find(path)
    with source.reading(found):
        return read(found, source.bound)


def read(path: Path, bound: int = BOUND) -> Raw:
    """The canonical arrays in an archive, whose members may have so many bytes together.

    `images` ([n, h, w] or [n, c, h, w] uint8) or `inputs` ([n, d] float32), `labels` [n], `split` [n] (0 train, 1 test).
    """
    with opened(path, bound) as archive:
        absent = {"images" if "images" in archive else "inputs", "labels"} - set(archive)
        if absent:
            held = ", ".join(sorted(archive)) or "none"
            raise ValueError(f"it has no array {' and no '.join(sorted(absent))}; it has {held}")
        return _raw(archive)


def read_any(path: Path) -> tuple[Raw, dict[str, list[str]]]:
    """A user's own archive: (arrays, words). Labels are optional, numbers that are no bytes become float32 vectors.

    words: its arrays of strings, such as `class_names` or `backbone`.
    """
    with opened(path) as archive:
        if not {"images", "inputs"} & set(archive):
            raise ValueError(f"it has neither images nor inputs; it has {', '.join(sorted(archive)) or 'no array'}")
        raw = _raw(archive)
        words = {name: archive[name].ravel().astype(str).tolist() for name in archive if archive[name].dtype.kind == "U"}
    inputs = raw.inputs
    if "images" in archive and (inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[1] not in (1, 3)):
        raise ValueError(
            f"its images are {inputs.dtype} {list(inputs.shape)}; allowed: uint8 [n, h, w], [n, 1, h, w], [n, 3, h, w]"
        )
    if "images" not in archive:
        if inputs.dtype.kind not in "fiu" or inputs.ndim != 2:
            raise ValueError(f"its inputs are {inputs.dtype} {list(inputs.shape)}; allowed: numbers [n, d]")
        with np.errstate(over="ignore"):
            inputs = inputs.astype(np.float32)
    return Raw(inputs, raw.labels, raw.split), words


@contextmanager
def opened(path: Path, bound: int | None = None) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an archive by name, each read when asked for; pickled objects are refused.

    bound: how many bytes its members may have together; by default what this machine has of memory.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz archive, which is a zip file")
    with zipfile.ZipFile(path) as packed:
        total, bound = sum(member.file_size for member in packed.infolist()), bound or psutil.virtual_memory().total
        if total > bound or len(packed.infolist()) > MEMBERS:
            raise ValueError(
                f"its {len(packed.infolist())} members unpack to {total:,} bytes; at most {MEMBERS} and {bound:,} are read"
            )
        yield _Archive(packed)


class _Archive(Mapping[str, np.ndarray]):
    """The arrays in a zip file by name. A header is checked before room is made for what it says."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self._members = {one.filename.removesuffix(".npy"): one for one in packed.infolist() if one.filename.endswith(".npy")}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        with self._packed.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise ValueError(f"its array {name} is of version {version} of the format, which nobody writes for numbers")
            try:
                shape, fortran, dtype = _HEADERS[version](stream)
            except (SyntaxError, TypeError, TokenError) as error:  # it is Python source
                raise ValueError(f"its array {name} has a header that can't be read: {error}") from error
            size = dtype.itemsize * math.prod(shape)
            if dtype.hasobject:
                raise ValueError(f"its array {name} holds pickled objects, which are refused")
            if size != member.file_size - stream.tell():
                raise ValueError(f"its array {name} says that it is {dtype} {shape}, which is not what it holds")
            data = bytearray(stream.read())
        if len(data) != size:
            raise ValueError(f"its array {name} is cut off")
        return np.ndarray(shape, dtype, data, order="F" if fortran else "C")


def _raw(archive: Mapping[str, np.ndarray]) -> Raw:
    key = "images" if "images" in archive else "inputs"
    inputs = archive[key]
    labels, split = (archive.get(name) for name in ("labels", "split"))
    if key == "images" and inputs.ndim == 3:
        inputs = inputs[:, None]
    for name, array in {"labels": labels, "split": split}.items():
        if array is not None and array.dtype.kind not in "iu":
            raise ValueError(f"its {name} are of type {array.dtype}, not integers")
    return Raw(inputs, None if labels is None else labels.astype(np.int64), None if split is None else split.astype(np.int8))
