"""Clustering accuracy, one-to-one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.matching import match, matched

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Clustering accuracy (one-to-one Hungarian matching)",
    source="Yang et al., Image clustering using local discriminant models and global integration, IEEE TIP 2010; Kuhn 1955",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=True,
    perfect=1.0,
    random=None,
    headline=True,
)


def compute(evidence: Evidence) -> float:
    """max over one-to-one maps m of (1/n) Σ_i [labels_true_i = m(labels_pred_i)]; in (0, 1], 1: clusters are the classes.

    labels_true, labels_pred: [n] integers. The matching may be rectangular: with more clusters than classes the
    samples of unmatched clusters are wrong, with fewer the unmatched classes are. Noise is one cluster, and may be matched.

    >>> import metrics
    >>> metrics.get("acc").score(labels_true=[0, 0, 1, 1], labels_pred=[1, 1, 0, 2])
    0.75
    """
    table = evidence.contingency
    return matched(table, *match(table)).sum() / table.n
