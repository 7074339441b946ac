"""Clustering accuracy of random labellings: the floor under ACC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.contingency import Contingency
from metrics.parts.matching import match, matched

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="ACC of random labellings",
    source="Protocol v1: the mean over 10 labellings, each drawn uniformly over as many clusters as were found",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="neither",
    symmetric=False,
    perfect=None,
    random=None,
    description="Read ACC against it: with few samples a cluster even chance matches well.",
)

DRAWS = 10


def compute(evidence: Evidence) -> float:
    """Mean ACC of 10 labellings drawn uniformly over the clusters that occur (noise is one); in (0, 1].

    labels_true, labels_pred: [n] integers. Depends on the class sizes and the number of clusters alone, so a record's
    table is enough, and on evidence.seed, 0 by default: the same number every time.

    >>> import metrics
    >>> metrics.get("acc_chance").score(labels_true=[0, 0, 0, 1], labels_pred=[4, 4, 4, 4])
    0.75
    """
    table = evidence.contingency
    rng = np.random.default_rng(evidence.seed)
    true = np.repeat(np.arange(len(table.classes)), table.class_sizes)
    total = 0
    for _ in range(DRAWS):
        drawn = Contingency.of(true, rng.integers(len(table.clusters), size=table.n))
        total += int(matched(drawn, *match(drawn)).sum())
    return total / (DRAWS * table.n)
