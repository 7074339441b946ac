"""The sighted door: labels, and the split that kNN and the probe are scored on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.ground.files import load_array


def load(folder: Path) -> np.ndarray | None:
    """The labels in a prepared labels folder, in prepared order: [n] int64 in 0..classes-1; None where there are none."""
    labels = load_array(folder / "y.npy")
    return labels if len(labels) else None


def load_split(inputs: Path) -> np.ndarray | None:
    """The official split in a prepared inputs folder: [n] int8, 0 train and 1 test, or None."""
    path = inputs / "split.npy"
    return load_array(path) if path.is_file() else None


def load_all(labels: Path, inputs: Path, seed: int) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """What a scorer needs of two prepared folders: (labels, official split, split for kNN and probe), None for what is not."""
    truth, split = load(labels), load_split(inputs)
    return truth, split, None if truth is None else evaluation_split(truth, split, seed)


def evaluation_split(labels: np.ndarray, split: np.ndarray | None, seed: int) -> np.ndarray:
    """The split for kNN and the probe: [n] int8, 0 train and 1 test.

    The official one if there is one, else a stratified 80/20 drawn from `seed`. Of every class with two rows or more
    at least one row lies in each part; a single row goes to train.
    """
    if split is not None:
        return split.astype(np.int8)
    drawn = np.zeros(len(labels), np.int8)
    generator = np.random.Generator(np.random.PCG64(seed))
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        # A fifth, halves rounded up, in integers.
        count = min(max((2 * len(rows) + 5) // 10, 1), len(rows) - 1)
        drawn[rows[:count]] = 1
    return drawn
