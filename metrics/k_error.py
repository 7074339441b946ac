"""How far the number of clusters is from the number of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.contingency import NOISE

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Error in the number of clusters",
    source="Protocol v1",
    needs={"contingency"},
    low=0.0,
    high=None,
    better="lower",
    symmetric=False,
    perfect=0.0,
    random=None,
    description="Tells something only of methods that find the number themselves.",
)


def compute(evidence: Evidence) -> float:
    """|clusters used − classes|, noise not counted as a cluster; 0: as many clusters as classes.

    labels_true, labels_pred: [n] integers; ids that do not occur do not count.

    >>> import metrics
    >>> metrics.get("k_error").score(labels_true=[0, 1, 2, 2], labels_pred=[4, 4, 4, -1])
    2.0
    """
    table = evidence.contingency
    return abs(len(set(table.clusters.tolist()) - {NOISE}) - len(table.classes))
