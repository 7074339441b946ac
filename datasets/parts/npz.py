"""A dataset in one NumPy archive, `<name>.npz`: images or inputs, labels, and split where there is an official one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Raw

if TYPE_CHECKING:
    from datasets.source import Source


def load(source: Source, path: str) -> Raw:
    """Reads the archive at `path`; pickled objects in it are refused."""
    found = source.find(path)
    with source.reading(found):
        return read(found)


def read(path: Path) -> Raw:
    """The canonical arrays in an archive.

    `images` ([n, h, w] or [n, c, h, w] uint8) or `inputs` ([n, d] float32), `labels` [n], `split` [n] (0 train, 1 test).
    """
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        keys = set(archive.files)
        key = "images" if "images" in keys else "inputs"
        absent = {key, "labels"} - keys
        if absent:
            raise ValueError(f"it has no array {' and no '.join(sorted(absent))}; it has {', '.join(sorted(keys)) or 'none'}")
        inputs, labels = archive[key], archive["labels"]
        split = archive["split"] if "split" in keys else None
    if key == "images" and inputs.ndim == 3:
        inputs = inputs[:, None]
    for name, array in {"labels": labels, "split": split}.items():
        if array is not None and array.dtype.kind not in "iu":
            raise ValueError(f"its {name} are of type {array.dtype}, not integers")
    return Raw(inputs, labels.astype(np.int64), None if split is None else split.astype(np.int8))
