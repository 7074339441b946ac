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
    batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    if not isinstance(batch, dict) or not {b"data", labels.encode()} <= set(batch):
        raise ValueError(f"it holds no batch with data and {labels}")
    return batch[b"data"].reshape(-1, 3, 32, 32), np.array(batch[labels.encode()], np.int64)


class _Unpickler(pickle.Unpickler):
    """Knows NumPy's arrays and nothing else, so that no other code can be called."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return allowed[module, name]
