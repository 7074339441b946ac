"""Normalised mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.information import entropy, mutual_information

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Normalised mutual information (arithmetic mean)",
    source="Strehl & Ghosh, Cluster ensembles, JMLR 2002; arithmetic mean: Kvalseth 1987",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=True,
    perfect=1.0,
    random=None,
    headline=True,
    description="Not corrected for chance: it rises with the number of clusters.",
)


def compute(evidence: Evidence) -> float:
    """2 I(C; K) / (H(C) + H(K)); 0: independent, 1: the same partition.

    labels_true, labels_pred: [n] integers. One class and one cluster: 1, the same partition; only one of the two: 0.

    >>> import metrics
    >>> metrics.get("nmi").score(labels_true=[0, 0, 1, 1], labels_pred=[1, 1, 0, 0])
    1.0
    """
    table = evidence.contingency
    total = entropy(table.class_sizes) + entropy(table.cluster_sizes)
    return min(1.0, 2 * mutual_information(table) / total) if total else 1.0
