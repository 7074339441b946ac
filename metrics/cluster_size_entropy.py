"""How evenly samples spread over clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.information import entropy

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Cluster-size entropy (nats)",
    source="Shannon, A mathematical theory of communication, 1948",
    needs={"clusters"},
    low=0.0,
    high=None,
    better="neither",
    symmetric=False,
    perfect=None,
    random=None,
    description="Its exponential is the effective number of clusters.",
)


def compute(evidence: Evidence) -> float:
    """−Σ_k p_k log p_k in nats, p_k the share of cluster k; 0: one cluster, log k: k clusters of one size.

    labels_pred: [n] integers. Not divided by log k: dividing by the clusters used would call two of ten an even split.
    Noise counts as one cluster.

    >>> import metrics
    >>> round(metrics.get("cluster_size_entropy").score(labels_pred=[0, 0, 7, 7]), 6)
    0.693147
    """
    return entropy(np.array(list(evidence.clusters.values())))
