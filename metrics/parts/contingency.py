"""The table of classes and clusters, made once, from which most scores follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NOISE = -1
_DENSE = 1 << 24  # a table of so many cells is counted in one pass, whatever n is; a larger one by sorting


@dataclass(frozen=True)
class Contingency:
    """How many samples of each class lie in each cluster. Only classes and clusters that occur are kept.

    classes: [c] int64, sorted ids. clusters: [k] int64, sorted ids; −1, noise, counts as one cluster.
    rows, columns, counts: [m] int64 each, the cells that are not zero, sorted by row, then by column.

    >>> table = Contingency.of([7, 7, 9], [2, 2, -1])
    >>> table.triples()
    [[7, 2, 2], [9, -1, 1]]
    """

    classes: np.ndarray
    clusters: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, labels_true: Sequence[int] | np.ndarray, labels_pred: Sequence[int] | np.ndarray) -> Contingency:
        """Counts two labellings of the same samples, each [n] of any integers."""
        classes, true = compact(np.asarray(labels_true, dtype=np.int64))
        clusters, pred = compact(np.asarray(labels_pred, dtype=np.int64))
        width = len(clusters)
        joint = true * width
        joint += pred
        if len(classes) * width <= max(_DENSE, 4 * len(true)):
            flat = np.bincount(joint, minlength=len(classes) * width)
            cells = np.flatnonzero(flat)
            counts = flat[cells]
        else:
            cells, counts = np.unique(joint, return_counts=True)
        kept_rows, rows = np.unique(cells // width, return_inverse=True)
        kept_columns, columns = np.unique(cells % width, return_inverse=True)
        return cls(classes[kept_rows], clusters[kept_columns], rows, columns, counts.astype(np.int64))

    @classmethod
    def from_triples(cls, triples: Iterable[Sequence[int]]) -> Contingency:
        """The table that `triples` wrote down: [class, cluster, count] each, none of them twice."""
        array = np.array(list(triples), dtype=np.int64).reshape(-1, 3)
        array = array[np.lexsort((array[:, 1], array[:, 0]))]
        repeated = (array[1:, :2] == array[:-1, :2]).all(axis=1)
        if not len(array) or (array[:, 2] < 1).any() or repeated.any():
            raise ValueError("the triples must be [class, cluster, count], at least one, counts above 0, no pair twice")
        classes, rows = np.unique(array[:, 0], return_inverse=True)
        clusters, columns = np.unique(array[:, 1], return_inverse=True)
        return cls(classes, clusters, rows, columns, array[:, 2])

    def triples(self) -> list[list[int]]:
        """The table as [class, cluster, count] with the original ids, sorted; empty cells are left out."""
        return np.column_stack([self.classes[self.rows], self.clusters[self.columns], self.counts]).tolist()

    @cached_property
    def n(self) -> int:
        """The number of samples."""
        return int(self.counts.sum())

    @cached_property
    def class_sizes(self) -> np.ndarray:
        """[c] int64: samples of each class."""
        return sums(self.rows, self.counts, len(self.classes))

    @cached_property
    def cluster_sizes(self) -> np.ndarray:
        """[k] int64: samples in each cluster."""
        return sums(self.columns, self.counts, len(self.clusters))

    @cached_property
    def table(self) -> np.ndarray:
        """[c, k] int64: the dense table."""
        table = np.zeros((len(self.classes), len(self.clusters)), dtype=np.int64)
        table[self.rows, self.columns] = self.counts
        return table


def sums(groups: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """[count] int64: the sum of integer values in each group; exact, where bincount's weights would pass through floats."""
    total = np.zeros(count, dtype=np.int64)
    np.add.at(total, groups, values)
    return total


def compact(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n] int64 as (ids [m], codes [n] in 0..m-1) with labels = ids[codes]; ids are sorted and may include unused ones.

    Labels whose span is small only lose their offset; wide ones are relabelled by hashing, which is faster than sorting.
    """
    low, high = int(labels.min()), int(labels.max())
    if high - low < 4096 or high - low < len(labels) // 64:
        return np.arange(low, high + 1), labels - low if low else labels
    import pandas as pd

    codes, ids = pd.factorize(labels)
    order = np.argsort(ids)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return ids[order], rank[codes]
