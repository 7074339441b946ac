"""The pieces of a dataset as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.base import Raw


def joined(pieces: Sequence[tuple[np.ndarray, np.ndarray]], *, split: bool = True) -> Raw:
    """Pieces (images [n, c, h, w], labels [n]) in their order; the last is the test part, unless there is no split."""
    sizes = [len(labels) for _, labels in pieces]
    parts = np.repeat(np.arange(2, dtype=np.int8), [sum(sizes[:-1]), sizes[-1]]) if split else None
    labels = np.concatenate([labels for _, labels in pieces])
    return Raw(np.concatenate([images for images, _ in pieces]), labels.astype(np.int64), parts)
