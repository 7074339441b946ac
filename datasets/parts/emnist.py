"""EMNIST: one archive of packed IDX files, whose images lie on their side."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Raw
from datasets.parts import idx
from datasets.parts.bounded import gunzip, whole
from datasets.parts.joined import joined

if TYPE_CHECKING:
    from datasets.source import Source

_URL = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"


def load(source: Source, files: Mapping[str, str], part: str, *, first: int = 0) -> Raw:
    """The train images, then the test images, upright, in their files' order.

    files: the archive and its checksum. part: such as "letters". first: the least label, which becomes 0.
    """
    ((path, checksum),) = files.items()
    found = source.find(path, checksum=checksum, urls=[_URL])
    with source.reading(found), zipfile.ZipFile(found) as archive:
        return joined([_part(archive, f"gzip/emnist-{part}-{which}", first) for which in ("train", "test")])


def _part(archive: zipfile.ZipFile, stem: str, first: int) -> tuple[np.ndarray, np.ndarray]:
    """(images [n, 1, h, w] uint8, labels [n] int64) of one part."""
    images = _member(archive, f"{stem}-images-idx3-ubyte.gz", 3)
    labels = _member(archive, f"{stem}-labels-idx1-ubyte.gz", 1)
    if len(images) != len(labels):
        raise ValueError(f"its {stem} has {len(images)} images and {len(labels)} labels")
    if labels.size and labels.min() < first:
        raise ValueError(f"its {stem} has the label {labels.min()}, but labels start at {first}")
    # The images are stored column by column.
    return images.transpose(0, 2, 1)[:, None], labels.astype(np.int64) - first


def _member(archive: zipfile.ZipFile, name: str, ndim: int) -> np.ndarray:
    with archive.open(name) as stream:
        array = idx.parse(gunzip(whole(stream)))
    if array.ndim != ndim:
        raise ValueError(f"its member {name} has {array.ndim} axes, not {ndim}")
    return array
