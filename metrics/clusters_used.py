"""How many clusters hold a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.contingency import NOISE

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Clusters used",
    source="Protocol v1",
    needs={"clusters"},
    low=0.0,
    high=None,
    better="neither",
    symmetric=False,
    perfect=None,
    random=None,
    description="Fewer than k: the clustering has collapsed.",
)


def compute(evidence: Evidence) -> float:
    """Number of cluster ids that occur; noise (−1) is not counted, so 0: everything is noise.

    labels_pred: [n] integers.

    >>> import metrics
    >>> metrics.get("clusters_used").score(labels_pred=[0, 0, 7, -1])
    2.0
    """
    return len(evidence.clusters.keys() - {NOISE})
