"""Completeness: does each class lie in one cluster only?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.information import entropy, mutual_information

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Completeness",
    source="Rosenberg & Hirschberg, V-measure, EMNLP 2007",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="It is 1 for one cluster of everything.",
)


def compute(evidence: Evidence) -> float:
    """1 − H(K|C) / H(K) = I(C; K) / H(K); 0: classes say nothing of clusters, 1: each class lies in one cluster.

    labels_true, labels_pred: [n] integers. One cluster alone: 1.

    >>> import metrics
    >>> metrics.get("completeness").score(labels_true=[0, 0, 1, 1], labels_pred=[3, 3, 3, 3])
    1.0
    """
    table = evidence.contingency
    total = entropy(table.cluster_sizes)
    return min(1.0, mutual_information(table) / total) if total else 1.0
