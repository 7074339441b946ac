"""A dataset in one NumPy archive, `<name>.npz`: images or inputs, labels, and split where there is an official one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Raw

if TYPE_CHECKING:
    from datasets.source import Source

BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)  # what NumPy raises on a bad file


def load(source: Source, path: str) -> Raw:
    """Reads the archive at `path`; pickled objects in it are refused."""
    found = source.find(path)
    with source.reading(found):
        return read(found)


def read(path: Path) -> Raw:
    """The canonical arrays in an archive.

    `images` ([n, h, w] or [n, c, h, w] uint8) or `inputs` ([n, d] float32), `labels` [n], `split` [n] (0 train, 1 test).
    """
    with opened(path) as archive:
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
def opened(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an archive by name, each read when asked for; pickled objects are refused."""
    with path.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array, no .npz archive")
        with archive:
            yield archive


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
