"""Purity: accuracy where many clusters may share a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Purity (many-to-one)",
    source="Manning, Raghavan & Schütze, Introduction to Information Retrieval, 2008, eq. 182",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="It rises with the number of clusters and is 1 for clusters of one sample each.",
)


def compute(evidence: Evidence) -> float:
    """(1/n) Σ_k max_c |cluster k ∩ class c|; in (0, 1], 1: each cluster holds one class.

    labels_true, labels_pred: [n] integers. At least the share of the largest class.

    >>> import metrics
    >>> metrics.get("purity").score(labels_true=[0, 0, 1, 1], labels_pred=[0, 1, 2, 2])
    1.0
    """
    table = evidence.contingency
    largest = np.zeros(len(table.clusters), dtype=np.int64)
    np.maximum.at(largest, table.columns, table.counts)
    return largest.sum() / table.n
