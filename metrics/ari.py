"""Adjusted Rand index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Adjusted Rand index",
    source="Hubert & Arabie, Comparing partitions, Journal of Classification 1985",
    needs={"contingency"},
    low=-0.5,
    high=1.0,
    better="higher",
    symmetric=True,
    perfect=1.0,
    random=0.0,
    headline=True,
)


def compute(evidence: Evidence) -> float:
    """(RI − E[RI]) / (max RI − E[RI]) over all pairs of samples; −0.5 at worst, 0: chance, 1: the same partition.

    labels_true, labels_pred: [n] integers. Two trivial partitions that agree (one cluster each, or all samples apart;
    n = 1 among them): 1.

    >>> import metrics
    >>> metrics.get("ari").score(labels_true=[0, 0, 1, 1], labels_pred=[0, 0, 1, 2])
    0.5714285714285714
    """
    table = evidence.contingency
    together, in_class, in_cluster = (_squares(x) for x in (table.counts, table.class_sizes, table.cluster_sizes))
    both = together - table.n
    only_class, only_cluster = in_class - together, in_cluster - together
    neither = table.n**2 - in_class - in_cluster + together
    if not only_class and not only_cluster:
        return 1.0
    below = (both + only_class) * (only_class + neither) + (both + only_cluster) * (only_cluster + neither)
    return 2 * (both * neither - only_class * only_cluster) / below


def _squares(counts: np.ndarray) -> int:
    """Σ counts², as a Python int: products of two such sums pass the range of int64 from n = 55,000 on."""
    return int((counts * counts).sum())
