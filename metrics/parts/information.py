"""Entropies and mutual information of a contingency table, in nats."""

from __future__ import annotations

import numpy as np

from metrics.parts.contingency import Contingency


def entropy(sizes: np.ndarray) -> float:
    """−Σ p log p with p = sizes / Σ sizes; sizes are positive counts. One group alone gives exactly 0."""
    if len(sizes) == 1:
        return 0.0
    p = sizes / sizes.sum()
    return float(-(p * np.log(p)).sum())


def mutual_information(contingency: Contingency) -> float:
    """Σ p(c, k) log(p(c, k) / (p(c) p(k))); at least 0. One class or one cluster alone gives exactly 0."""
    if len(contingency.classes) == 1 or len(contingency.clusters) == 1:
        return 0.0
    p = contingency.counts / contingency.n
    classes = (contingency.class_sizes / contingency.n)[contingency.rows]
    clusters = (contingency.cluster_sizes / contingency.n)[contingency.columns]
    return max(0.0, float((p * np.log(p / (classes * clusters))).sum()))
