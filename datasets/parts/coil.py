"""The object images of Columbia: a zip of PNG files `obj<object>__<view>.png`, 128×128, as 4×4 block means."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from benchmark.ground.errors import MissingData
from datasets.base import Raw

if TYPE_CHECKING:
    from datasets.source import Source

SIDE, BLOCK = 128, 4
# The luma of ITU-R BT.601, in thousandths: integers, so that the mean of a block is exact and its halves are halves.
LUMA = np.array([299, 587, 114], np.int64)


def load(source: Source, files: Mapping[str, str], url: str, *, objects: int, views: Sequence[int]) -> Raw:
    """Grey images [objects · views, 1, 32, 32] by object, then by view; labels are the objects from 0.

    files: the archive and its checksum. views: as the files' names count them.
    """
    ((path, checksum),) = files.items()
    found = source.find(path, checksum=checksum, urls=[url])
    names = [f"obj{number}__{view}.png" for number in range(1, objects + 1) for view in views]
    with source.reading(found), zipfile.ZipFile(found) as archive:
        images = np.stack([_image(source.name, archive, member) for member in _members(archive, names)])
    return Raw(images[:, None], np.repeat(np.arange(objects, dtype=np.int64), len(views)))


def block_means(image: np.ndarray) -> np.ndarray:
    """[h, w] or [h, w, 3] uint8 -> [h/4, w/4] uint8: the mean luma of each block of 4×4, rounded half to even."""
    thousandths = image.astype(np.int64) * LUMA.sum() if image.ndim == 2 else image @ LUMA
    height, width = thousandths.shape
    sums = thousandths.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).sum((1, 3))
    return np.rint(sums / (LUMA.sum() * BLOCK**2)).astype(np.uint8)


def _members(archive: zipfile.ZipFile, names: Sequence[str]) -> list[str]:
    """The members that have these names, in whatever folder."""
    found = {PurePosixPath(member).name: member for member in archive.namelist()}
    absent = [name for name in names if name not in found]
    if absent:
        raise ValueError(f"it has no member {absent[0]}, and lacks {len(absent)} of {len(names)}")
    return [found[name] for name in names]


def _image(dataset: str, archive: zipfile.ZipFile, member: str) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingData(
            f"dataset {dataset!r}: reading PNG files needs the package pillow, which is absent; next: install it, "
            f"or bring the arrays as {dataset}.npz (docs/data.md)"
        ) from error
    if archive.getinfo(member).file_size > 8 * SIDE * SIDE:
        raise ValueError(f"its member {member} is larger than an image of {SIDE}×{SIDE}")
    try:
        image = Image.open(io.BytesIO(archive.read(member)), formats=["PNG"])
        if image.size != (SIDE, SIDE) or image.mode not in ("L", "RGB"):
            width, height = image.size
            raise ValueError(f"its member {member} is {width}×{height} of mode {image.mode}, not {SIDE}×{SIDE} of L or RGB")
        return block_means(np.asarray(image))
    except (SyntaxError, Image.DecompressionBombError) as error:  # what else Pillow raises on broken PNG files
        raise ValueError(f"its member {member} is no PNG file: {error}") from error
