"""A train and a test part as one dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.base import Raw


def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Raw:
    """One part (images [n, c, h, w], labels [n]) without a split, or two, train first, with the split that they make."""
    sizes = [len(labels) for _, labels in parts]
    split = np.repeat(np.arange(2, dtype=np.int8), sizes) if len(parts) == 2 else None
    labels = np.concatenate([labels for _, labels in parts])
    return Raw(np.concatenate([images for images, _ in parts]), labels.astype(np.int64), split)
