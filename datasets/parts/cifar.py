"""The batches of CIFAR-10 and CIFAR-100: pickles of their authors' Python 2, read without calling anything in them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.base import Raw
from datasets.parts.joined import joined
from datasets.parts.unpacked import bodies

if TYPE_CHECKING:
    from datasets.source import Source


def load(source: Source, files: Mapping[str, str], url: str, *, labels: str = "labels") -> Raw:
    """The train batches, then the test batch, in their order; unpacked where they are, else from the archive.

    files: checksum by path, of the train batches, the test batch and the archive, in this order. labels: which of the
    batches' lists of labels.
    """
    *batches, archive = files
    parts = []
    for path, data in bodies(source, files, batches, archive, url):
        with source.reading(path):
            parts.append(unpickle(data, labels))
    return joined(parts)


def unpickle(data: bytes, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """One batch, whose checksum the caller has verified: images [n, 3, 32, 32] uint8, labels [n] int64."""
    try:
        batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a hostile pickle may raise anything
        raise ValueError(f"it is no pickle of arrays: {error}") from error
    if not isinstance(batch, dict) or not {b"data", labels.encode()} <= set(batch):
        raise ValueError(f"it holds no batch with data and {labels}")
    images, classes = batch[b"data"], batch[labels.encode()]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != 3 * 32 * 32:
        raise ValueError("its data are no array [n, 3072] of unsigned bytes")
    if not isinstance(classes, list) or not all(type(label) is int and 0 <= label < 1000 for label in classes):
        raise ValueError(f"its {labels} are no list of numbers from 0")
    return images.reshape(-1, 3, 32, 32), np.array(classes, np.int64)


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]  # the one in C makes room for four billion objects if asked
    """Knows NumPy's arrays and nothing else, so that no other code can be called."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: np.empty(0),  # its shape comes with its bytes
            ("numpy", "ndarray"): None,  # named, never called
            ("numpy", "dtype"): _byte,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return allowed[module, name]


def _byte(code: Any, *_: Any) -> np.dtype:
    """The one type that a batch holds."""
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"it holds an array of type {code!r}, not of unsigned bytes")
    return np.dtype("u1")
