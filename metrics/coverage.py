"""Share of samples that are in a cluster at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.contingency import NOISE

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Coverage",
    source="Protocol v1: stands beside every score of a method that leaves out noise",
    needs={"clusters"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=1.0,
)


def compute(evidence: Evidence) -> float:
    """1 − (samples with cluster −1) / n; 0: everything is noise, 1: nothing is.

    labels_pred: [n] integers.

    >>> import metrics
    >>> metrics.get("coverage").score(labels_pred=[0, 0, 7, -1])
    0.75
    """
    sizes = evidence.clusters
    return 1 - sizes.get(NOISE, 0) / sum(sizes.values())
