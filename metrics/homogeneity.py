"""Homogeneity: does each cluster hold one class only?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.information import entropy, mutual_information

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Homogeneity",
    source="Rosenberg & Hirschberg, V-measure, EMNLP 2007",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="It is 1 for clusters of one sample each.",
)


def compute(evidence: Evidence) -> float:
    """1 − H(C|K) / H(C) = I(C; K) / H(C); 0: clusters say nothing of classes, 1: each cluster holds one class.

    labels_true, labels_pred: [n] integers. One class alone: 1.

    >>> import metrics
    >>> metrics.get("homogeneity").score(labels_true=[0, 0, 1, 1], labels_pred=[0, 0, 1, 2])
    1.0
    """
    table = evidence.contingency
    total = entropy(table.class_sizes)
    return min(1.0, mutual_information(table) / total) if total else 1.0
